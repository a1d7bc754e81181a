package dev.slipway.vhost;

/** What stands in a ring cannot be: the ring is broken. The message says what, for people. */
final class RingViolation extends Exception {

    private static final long serialVersionUID = 1L;

    RingViolation(String what) {
        super(what, null, false, false);
    }
}
