package dev.slipway.tcp;

/**
 * How much may be in flight to the guest (RFC 5681, with bytes counted as in RFC 3465): slow start, congestion
 * avoidance, and what losses do to them. In bytes.
 */
final class CongestionWindow {

    /**
     * What may be in flight before anything is known of the link: it is a local one. At least ten segments (RFC 6928),
     * because a guest may wait for a second one before it acknowledges the first.
     */
    static final int INITIAL = 64 << 10;

    private static final int INITIAL_SEGMENTS = 10;

    static final int MAX = 16 << 20;

    private final int mss;
    private int window;
    private int slowStartThreshold = Integer.MAX_VALUE;

    CongestionWindow(int mss) {
        this.mss = mss;
        this.window = Math.max(INITIAL, INITIAL_SEGMENTS * mss);
    }

    int bytes() {
        return window;
    }

    /** Bytes were acknowledged while the window was what limited the flow. Grows by no more than those. */
    void acknowledged(long newly) {
        long grown = window < slowStartThreshold ? newly : Math.max(1, newly * mss / window);
        window = (int) Math.min(window + grown, MAX);
    }

    /** A segment has left the link while a loss is repaired (RFC 5681, section 3.2, step 4). */
    void inflate() {
        window = Math.min(window + mss, MAX);
    }

    /** A loss was found while others went through. */
    void lost(long inFlight) {
        lower(inFlight);
        window = slowStartThreshold;
    }

    /** The loss is repaired. */
    void recovered() {
        window = Math.max(slowStartThreshold, 2 * mss);
    }

    /** Nothing went through for a whole time-out. */
    void timedOut(long inFlight) {
        lower(inFlight);
        window = mss;
    }

    private void lower(long inFlight) {
        slowStartThreshold = (int) Math.max(inFlight / 2, 2L * mss);
    }
}
