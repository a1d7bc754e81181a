package dev.slipway.probe;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/**
 * What is to be sent on a TCP connection and not yet acknowledged: a ring. Positions count bytes from the start of the
 * stream.
 */
final class SendQueue {

    private final MemorySegment ring;
    private final int capacity;
    private long acknowledged;
    private long end;

    SendQueue(Arena arena, int capacity) {
        this.ring = arena.allocate(capacity);
        this.capacity = capacity;
    }

    /** The position behind the last byte written. */
    long end() {
        return end;
    }

    int room() {
        return (int) (acknowledged + capacity - end);
    }

    /** Appends as much as there is room for, and says how much that was. */
    int write(MemorySegment bytes, long offset, int length) {
        int taken = Math.min(length, room());
        int at = (int) (end % capacity);
        int first = Math.min(taken, capacity - at);
        MemorySegment.copy(bytes, offset, ring, at, first);
        MemorySegment.copy(bytes, offset + first, ring, 0, taken - first);
        end += taken;
        return taken;
    }

    void copyTo(long position, MemorySegment target, long offset, int length) {
        int at = (int) (position % capacity);
        int first = Math.min(length, capacity - at);
        MemorySegment.copy(ring, at, target, offset, first);
        MemorySegment.copy(ring, 0, target, offset + first, length - first);
    }

    /** Forgets everything before a position. */
    void acknowledge(long position) {
        acknowledged = position;
    }
}
