package dev.slipway.host;

/**
 * How much memory the queues of all flows of a VM hold, and how much a single flow may have in view of it. The more is
 * held, the less each flow gets; but always a little, so that every flow moves on.
 *
 * <p>What was promised to a guest stays promised, so all flows together can still come to hold more than the limit:
 * {@link #isExceeded} says so, and the owner gives up the flow that holds most.
 */
final class QueueBudget {

    /** What a flow gets however little is left, in bytes. */
    static final int FLOW_MIN = 4 << 10;

    private final long limit;
    private long held;

    /** @param limit in bytes */
    QueueBudget(long limit) {
        this.limit = limit;
    }

    void add(int bytes) {
        held += bytes;
    }

    void remove(int bytes) {
        held -= bytes;
    }

    /** Bytes that all queues hold, counted by the size of their buffers. */
    long held() {
        return held;
    }

    boolean isExceeded() {
        return held > limit;
    }

    /** What a queue may hold that is given {@code full} bytes when memory is plenty. */
    int allowance(int full) {
        if (held < limit >> 2) {
            return full;
        }
        if (held < limit >> 1) {
            return Math.max(full >> 2, FLOW_MIN);
        }
        if (held < (limit >> 2) * 3) {
            return Math.max(full >> 4, FLOW_MIN);
        }
        return FLOW_MIN;
    }
}
