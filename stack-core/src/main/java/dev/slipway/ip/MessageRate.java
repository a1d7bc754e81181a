package dev.slipway.ip;

/**
 * Messages of one kind that a guest can cause: 100 a second, in bursts of 100 at most. For errors RFC 1812, section
 * 4.3.2.8, and RFC 4443, section 2.4 f, ask for such.
 */
public final class MessageRate {

    private static final int BURST = 100;
    private static final long INTERVAL = 10_000_000L;

    private long tokens = BURST * INTERVAL;
    private long time;

    /** Whether one more may be sent now; it is counted as sent. */
    public boolean allows(long now) {
        tokens = Math.min(BURST * INTERVAL, tokens + Math.max(0, now - time));
        time = now;
        if (tokens < INTERVAL) {
            return false;
        }
        tokens -= INTERVAL;
        return true;
    }
}
