package dev.slipway.stack;

import dev.slipway.time.Timed;

/** Says again every ten minutes who the router is, as long as a guest speaks IPv6 (RFC 4861, section 6.2.4). */
final class Advertisements extends Timed {

    static final long INTERVAL = 600_000_000_000L;

    private final Runnable advertise;
    private long next = Long.MIN_VALUE;

    Advertisements(Runnable advertise) {
        this.advertise = advertise;
    }

    @Override
    protected long deadline() {
        return next;
    }

    @Override
    protected void expired(long now) {
        advertise.run();
        next = now + INTERVAL;
    }
}
