package dev.slipway.tcp;

/**
 * What the guest said it has beyond what it acknowledged (RFC 2018), as stream positions: sorted ranges that do not
 * touch. Bounded: what does not fit is forgotten, which costs a retransmission and nothing else.
 */
final class SelectiveAcks {

    private static final int LIMIT = 32;

    private static final long[] NONE = {};

    /** Made when the guest first reports a gap; most connections never see one. */
    private long[] starts = NONE;

    private long[] ends = NONE;
    private int size;
    private long total;

    void clear() {
        size = 0;
        total = 0;
    }

    boolean isEmpty() {
        return size == 0;
    }

    /** Bytes in all ranges. */
    long total() {
        return total;
    }

    /** The position behind the last byte reported, or 0. */
    long highest() {
        return size == 0 ? 0 : ends[size - 1];
    }

    /**
     * Adds a range.
     *
     * @return whether any of it is new
     */
    boolean add(long start, long end) {
        int first = 0;
        while (first < size && ends[first] < start) {
            first++;
        }
        if (first < size && starts[first] <= start && end <= ends[first]) {
            return false;
        }
        long from = start;
        long to = end;
        int behind = first;
        while (behind < size && starts[behind] <= to) {
            from = Math.min(from, starts[behind]);
            to = Math.max(to, ends[behind]);
            behind++;
        }
        if (behind == first) {
            if (size == LIMIT) {
                return false;
            }
            if (starts == NONE) {
                starts = new long[LIMIT];
                ends = new long[LIMIT];
            }
            System.arraycopy(starts, first, starts, first + 1, size - first);
            System.arraycopy(ends, first, ends, first + 1, size - first);
            size++;
        } else if (behind > first + 1) {
            System.arraycopy(starts, behind, starts, first + 1, size - behind);
            System.arraycopy(ends, behind, ends, first + 1, size - behind);
            size -= behind - first - 1;
        }
        starts[first] = from;
        ends[first] = to;
        count();
        return true;
    }

    /** Forgets everything before a position: it is acknowledged. */
    void advance(long position) {
        int gone = 0;
        while (gone < size && ends[gone] <= position) {
            gone++;
        }
        if (gone > 0) {
            System.arraycopy(starts, gone, starts, 0, size - gone);
            System.arraycopy(ends, gone, ends, 0, size - gone);
            size -= gone;
        }
        if (size > 0 && starts[0] < position) {
            starts[0] = position;
        }
        if (size > 0 || gone > 0) {
            count();
        }
    }

    /** The first position at or after the given one that the guest did not report. */
    long nextHole(long position) {
        for (int i = 0; i < size; i++) {
            if (position < starts[i]) {
                return position;
            }
            if (position < ends[i]) {
                return ends[i];
            }
        }
        return position;
    }

    /** Where the hole that begins at a position ends, or {@code Long.MAX_VALUE} if nothing behind it was reported. */
    long holeEnd(long position) {
        for (int i = 0; i < size; i++) {
            if (position < starts[i]) {
                return starts[i];
            }
        }
        return Long.MAX_VALUE;
    }

    /** Bytes between two positions that were not reported. */
    long missing(long from, long to) {
        long missing = Math.max(0, to - from);
        for (int i = 0; i < size; i++) {
            missing -= Math.max(0, Math.min(to, ends[i]) - Math.max(from, starts[i]));
        }
        return missing;
    }

    private void count() {
        total = 0;
        for (int i = 0; i < size; i++) {
            total += ends[i] - starts[i];
        }
    }
}
