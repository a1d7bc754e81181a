package dev.slipway.queue;

/**
 * How much memory the queues of all flows of a VM hold, and how much a single flow may have in view of it. The more is
 * held, the less each flow gets; but always a little, so that every flow moves on.
 *
 * <p>What was promised to a guest stays promised, so bytes from the guest can still come to hold more than the limit:
 * {@link #isExceeded} says so, and the owner gives up a flow that the host does not take bytes from.
 */
public final class QueueBudget {

    /** What a flow gets however little is left, in bytes. */
    public static final int FLOW_MIN = 4 << 10;

    private final long limit;
    private long toGuest;
    private long fromGuest;
    private long reserved;

    /** @param limit in bytes */
    public QueueBudget(long limit) {
        this.limit = limit;
    }

    public void toGuest(int bytes) {
        toGuest += bytes;
    }

    public void fromGuest(int bytes) {
        fromGuest += bytes;
    }

    /** Bytes that all queues hold, counted by the size of their buffers. */
    public long held() {
        return toGuest + fromGuest;
    }

    public boolean isExceeded() {
        return fromGuest > limit;
    }

    /**
     * Sets memory aside that a flow may come to hold, so that all of them together never exceed the limit.
     *
     * @return how many bytes of those wanted it gets, maybe none; to be given back by {@link #unreserve}
     */
    public int reserve(int wanted) {
        int granted = (int) Math.min(wanted, (limit - reserved) >> 2);
        if (granted < FLOW_MIN) {
            return 0;
        }
        reserved += granted;
        return granted;
    }

    public void unreserve(int bytes) {
        reserved -= bytes;
    }

    /** Bytes that are set aside. */
    public long reserved() {
        return reserved;
    }

    /** What a queue may hold that is given {@code full} bytes when memory is plenty; at most an eighth of all. */
    public int allowance(int full) {
        long held = held();
        int most = (int) Math.max(Math.min(full, limit >> 3), FLOW_MIN);
        if (held < limit >> 2) {
            return most;
        }
        if (held < limit >> 1) {
            return Math.max(most >> 2, FLOW_MIN);
        }
        if (held < (limit >> 2) * 3) {
            return Math.max(most >> 4, FLOW_MIN);
        }
        return FLOW_MIN;
    }
}
