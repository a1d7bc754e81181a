package dev.slipway.probe;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/**
 * What a TCP connection has received and nobody has read: a ring, with what came out of order already at its place.
 *
 * <p>Positions count bytes from the start of the stream. Gaps are kept as a short sorted list; what would need more of
 * them than it holds is dropped, and comes again.
 */
final class ReceiveQueue {

    private static final int MAX_RANGES = 64;

    private final MemorySegment ring;
    private final int capacity;
    private long head;
    private long next;
    private int ranges;
    private int lastChanged;
    private final long[] starts = new long[MAX_RANGES];
    private final long[] ends = new long[MAX_RANGES];

    ReceiveQueue(Arena arena, int capacity) {
        this.ring = arena.allocate(capacity);
        this.capacity = capacity;
    }

    /** The position that is expected next. */
    long next() {
        return next;
    }

    /** How many bytes beyond {@link #next} are taken. */
    int window() {
        return (int) (head + capacity - next);
    }

    /** How many bytes can be read in order. */
    int readable() {
        return (int) (next - head);
    }

    boolean hasGap() {
        return ranges > 0;
    }

    /** How many ranges came behind gaps. */
    int ranges() {
        return ranges;
    }

    /** The position of the first byte of a range; they are in order. */
    long start(int range) {
        return starts[range];
    }

    /** The position behind the last byte of a range. */
    long end(int range) {
        return ends[range];
    }

    /** The range that bytes were added to last, or the first one if it is gone; 0 if there is none. */
    int lastChanged() {
        return lastChanged >= 0 && lastChanged < ranges ? lastChanged : 0;
    }

    /** Takes bytes at a position; what was taken before, or lies beyond the window, is left out. */
    void offer(long position, MemorySegment bytes, long offset, int length) {
        long from = Math.max(position, next);
        long to = Math.min(position + length, head + capacity);
        if (from >= to || from > next && !remember(from, to)) {
            return;
        }
        copyIn(from, bytes, offset + (from - position), (int) (to - from));
        if (from == next) {
            next = to;
            while (ranges > 0 && starts[0] <= next) {
                next = Math.max(next, ends[0]);
                remove(0, 1);
                lastChanged--;
            }
        }
    }

    private boolean remember(long from, long to) {
        int first = 0;
        while (first < ranges && ends[first] < from) {
            first++;
        }
        int last = first;
        long start = from;
        long end = to;
        while (last < ranges && starts[last] <= to) {
            start = Math.min(start, starts[last]);
            end = Math.max(end, ends[last]);
            last++;
        }
        if (last == first) {
            if (ranges == MAX_RANGES) {
                return false;
            }
            System.arraycopy(starts, first, starts, first + 1, ranges - first);
            System.arraycopy(ends, first, ends, first + 1, ranges - first);
            ranges++;
        } else {
            remove(first + 1, last - first - 1);
        }
        starts[first] = start;
        ends[first] = end;
        lastChanged = first;
        return true;
    }

    private void remove(int index, int count) {
        System.arraycopy(starts, index + count, starts, index, ranges - index - count);
        System.arraycopy(ends, index + count, ends, index, ranges - index - count);
        ranges -= count;
    }

    private void copyIn(long position, MemorySegment bytes, long offset, int length) {
        int at = (int) (position % capacity);
        int first = Math.min(length, capacity - at);
        MemorySegment.copy(bytes, offset, ring, at, first);
        MemorySegment.copy(bytes, offset + first, ring, 0, length - first);
    }

    /** Gives what can be read to a reader, in one or two pieces, and forgets it. */
    void drain(Reader reader) {
        while (head < next) {
            int at = (int) (head % capacity);
            int length = (int) Math.min(next - head, capacity - at);
            reader.read(head, ring, at, length);
            head += length;
        }
    }

    /** Who reads. */
    interface Reader {

        /**
         * Takes bytes; they are valid only during the call.
         *
         * @param position of the first of them in the stream
         */
        void read(long position, MemorySegment bytes, long offset, int length);
    }
}
