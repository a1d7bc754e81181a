package dev.slipway.host;

import dev.slipway.posix.IoVectors;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/**
 * Bytes of one flow that the host's kernel did not take, in order, in native memory of their own. There is one only
 * while a host is slower than its guest; it grows to what was promised and is gone when the kernel has it all.
 */
final class HeldBytes {

    private static final int MIN = 16 << 10;

    private Arena arena = Arena.ofConfined();
    private MemorySegment memory = arena.allocate(MIN);
    private int start;
    private int end;

    int length() {
        return end - start;
    }

    MemorySegment memory() {
        return memory;
    }

    /** Where the bytes begin in {@link #memory}. */
    int start() {
        return start;
    }

    void add(MemorySegment source, long offset, int length) {
        MemorySegment.copy(source, offset, roomFor(length), end, length);
        end += length;
    }

    void add(IoVectors vectors, int first) {
        MemorySegment room = roomFor((int) vectors.bytesFrom(first));
        int copied = vectors.copyRest(first, room, end);
        end += copied;
    }

    /** The kernel has taken bytes from the front. */
    void taken(int length) {
        start += length;
        if (start == end) {
            start = 0;
            end = 0;
        }
    }

    void free() {
        arena.close();
    }

    private MemorySegment roomFor(int length) {
        if (end + length > memory.byteSize()) {
            int held = length();
            long size = memory.byteSize();
            while (size < held + length) {
                size *= 2;
            }
            Arena oldArena = arena;
            MemorySegment old = memory;
            arena = Arena.ofConfined();
            memory = arena.allocate(size);
            MemorySegment.copy(old, start, memory, 0, held);
            oldArena.close();
            start = 0;
            end = held;
        }
        return memory;
    }
}
