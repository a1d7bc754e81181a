package dev.slipway.time;

/**
 * Something with a deadline. It may move its deadline as often as it likes at the cost of a field write: {@link
 * DeadlineQueue} is told only when the deadline comes closer than the time it already waits for.
 */
public abstract class Timed {

    /** {@link #deadline} of something that waits for nothing. */
    public static final long NEVER = Long.MAX_VALUE;

    /** When the queue looks at this the next time; meaningless while {@code queueIndex} is negative. */
    long wakeAt;

    /** Where this stands in the queue's heap, or -1. */
    int queueIndex = -1;

    /** When {@link #expired} is wanted, in the stack's nanoseconds, or {@link #NEVER}. */
    protected abstract long deadline();

    /**
     * The deadline has passed. Must move or clear it.
     *
     * @param now the stack's time in nanoseconds
     */
    protected abstract void expired(long now);
}
