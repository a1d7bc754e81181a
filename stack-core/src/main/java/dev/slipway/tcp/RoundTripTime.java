package dev.slipway.tcp;

/**
 * The retransmission time-out (RFC 6298) of one direction: smoothed round-trip time, its variation, and the back-off.
 * Times are nanoseconds.
 */
final class RoundTripTime {

    /** As Linux has it; RFC 6298 would have 1 s, which stalls a local link for nothing. */
    static final long MIN_TIMEOUT = 200_000_000L;

    static final long MAX_TIMEOUT = 60_000_000_000L;
    static final long INITIAL_TIMEOUT = 1_000_000_000L;

    private long smoothed = -1;
    private long variation;
    private int backoff;

    /** A round trip that was measured on a segment sent once (Karn's rule, RFC 6298, section 3). */
    void measured(long roundTrip) {
        if (smoothed < 0) {
            smoothed = roundTrip;
            variation = roundTrip / 2;
        } else {
            variation += (Math.abs(smoothed - roundTrip) - variation) / 4;
            smoothed += (roundTrip - smoothed) / 8;
        }
        backoff = 0;
    }

    /** The time-out has passed without an acknowledgement: the next one is twice as long. */
    void backOff() {
        if (timeout() < MAX_TIMEOUT) {
            backoff++;
        }
    }

    /** New data was acknowledged: the next time-out is not longer than need be (RFC 6298, section 5.7 and Karn). */
    void progressed() {
        backoff = 0;
    }

    long timeout() {
        long base = smoothed < 0 ? INITIAL_TIMEOUT : Math.max(MIN_TIMEOUT, smoothed + 4 * variation);
        return Math.min(MAX_TIMEOUT, base << Math.min(backoff, 20));
    }

    /** The smoothed round-trip time, or -1 before the first measurement. */
    long smoothed() {
        return smoothed;
    }
}
