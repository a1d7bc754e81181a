package dev.slipway.ip;

/**
 * How often a guest can cause something: so many times a second, and as many at once after a second of rest. By default
 * 100, for messages of one kind: for errors RFC 1812, section 4.3.2.8, and RFC 4443, section 2.4 f, ask for such.
 */
public final class MessageRate {

    private static final long SECOND = 1_000_000_000L;
    private static final int MESSAGES = 100;

    private final long interval;
    private long tokens = SECOND;
    private long time;

    public MessageRate() {
        this(MESSAGES);
    }

    /** @param perSecond 1 to 1,000,000,000 */
    public MessageRate(int perSecond) {
        interval = SECOND / perSecond;
    }

    /** Whether there may be one more now; it is counted as having been. */
    public boolean allows(long now) {
        tokens = Math.min(SECOND, tokens + Math.max(0, now - time));
        time = now;
        if (tokens < interval) {
            return false;
        }
        tokens -= interval;
        return true;
    }
}
