package dev.slipway.ethernet;

import java.util.function.LongSupplier;

/**
 * How many bytes may wait for a guest: what it takes in {@link #PATIENCE}, by how fast it took those that filled the
 * queue before. A guest that is fast gets long writes, which wake it and this process less often; for one that is slow
 * no more waits than has to, since what is asked for meanwhile stands behind it. See decision 032.
 *
 * <pre>
 *   LEAST ≤ bytes ≤ MOST,    bytes → (bytes + rate · PATIENCE) / 2 each time the queue was full and is half empty
 * </pre>
 *
 * <p>The clock is read twice each time the queue is full, not for each write.
 */
final class QueueLimit {

    /** The limit at first, and the least, in bytes. */
    static final int LEAST = 1 << 20;
    /** The most, in bytes. */
    static final int MOST = 4 << 20;
    /** How long what is queued may take, in nanoseconds. */
    static final long PATIENCE = 15_000_000;

    private final LongSupplier clock;
    private int bytes = LEAST;
    private long reachedAt;
    private long taken;

    /** @param clock nanoseconds, from anywhere */
    QueueLimit(LongSupplier clock) {
        this.clock = clock;
    }

    /** A guest comes, of which nothing is known. */
    void begin() {
        bytes = LEAST;
    }

    int bytes() {
        return bytes;
    }

    /** The queue is full. */
    void reached() {
        reachedAt = clock.getAsLong();
        taken = 0;
    }

    /** The guest's kernel has taken bytes. */
    void taken(int count) {
        taken += count;
    }

    /** The queue that was full has room again. */
    void left() {
        long nanos = Math.max(1, clock.getAsLong() - reachedAt);
        // As doubles, since a clock that stood still makes more of it than a long holds.
        double wanted = (double) taken * PATIENCE / nanos;
        bytes = (int) Math.clamp((bytes + wanted) / 2, LEAST, MOST);
    }
}
