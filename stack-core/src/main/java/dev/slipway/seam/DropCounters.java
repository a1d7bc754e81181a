package dev.slipway.seam;

import dev.slipway.wire.DropReason;

/**
 * How often each thing was dropped. Written by the thread that owns the stack; others may read a number that is a
 * moment old.
 */
public final class DropCounters {

    private static final DropReason[] REASONS = DropReason.values();

    private final long[] counts = new long[REASONS.length];

    public void count(DropReason reason) {
        counts[reason.ordinal()]++;
    }

    public long get(DropReason reason) {
        return counts[reason.ordinal()];
    }

    /** The sum over all reasons. */
    public long total() {
        long total = 0;
        for (long count : counts) {
            total += count;
        }
        return total;
    }

    /** The counters that are not zero, {@code name=count} joined by blanks. */
    @Override
    public String toString() {
        StringBuilder text = new StringBuilder();
        for (DropReason reason : REASONS) {
            if (counts[reason.ordinal()] != 0) {
                text.append(text.isEmpty() ? "" : " ")
                        .append(reason.label())
                        .append('=')
                        .append(counts[reason.ordinal()]);
            }
        }
        return text.toString();
    }
}
