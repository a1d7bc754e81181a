package dev.slipway.vhost;

/** A message of the front-end's cannot be: the connection ends. The message says why, for people. */
final class ProtocolViolation extends Exception {

    private static final long serialVersionUID = 1L;

    ProtocolViolation(String what) {
        super(what, null, false, false);
    }
}
