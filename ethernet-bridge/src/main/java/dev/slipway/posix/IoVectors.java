package dev.slipway.posix;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Objects;

/**
 * An array of {@code struct iovec} in native memory, made once and patched: the pieces of one gathering write.
 *
 * <pre>
 *  0        8        16
 *  +--------+--------+
 *  |  base  | length | …
 *  +--------+--------+
 * </pre>
 *
 * It holds addresses only: the caller keeps the memory of the pieces alive.
 */
public final class IoVectors {

    /** The most pieces that one call takes ({@code UIO_MAXIOV}). */
    public static final int MAX = 1024;

    private static final int SIZE = 16;

    private final MemorySegment array;
    private final int capacity;
    private int size;
    private long bytes;

    /** Room for some pieces, 1 to {@link #MAX}. */
    public IoVectors(int capacity) {
        if (capacity < 1 || capacity > MAX) {
            throw new IllegalArgumentException("an array of 1 to " + MAX + " pieces, not " + capacity);
        }
        this.capacity = capacity;
        array = Arena.ofAuto().allocate((long) capacity * SIZE, 8);
    }

    public void clear() {
        size = 0;
        bytes = 0;
    }

    public boolean isFull() {
        return size == capacity;
    }

    /** Pieces in use. */
    public int size() {
        return size;
    }

    /** Bytes of all pieces as they were added. */
    public long bytes() {
        return bytes;
    }

    /** Adds a piece; its bytes must stay where they are until the call. */
    public void add(MemorySegment segment, long offset, long length) {
        Objects.checkFromIndexSize(offset, length, segment.byteSize());
        if (size == capacity) {
            throw new IndexOutOfBoundsException("more than " + capacity + " pieces");
        }
        long at = (long) size++ * SIZE;
        array.set(ValueLayout.JAVA_LONG, at, segment.address() + offset);
        array.set(ValueLayout.JAVA_LONG, at + 8, length);
        bytes += length;
    }

    /**
     * Steps over bytes at the front that a call has taken; the piece in which they end is shortened.
     *
     * @return the first piece that is left, or {@link #size} if none is
     */
    public int skip(long taken) {
        long left = taken;
        int first = 0;
        for (; first < size; first++) {
            long at = (long) first * SIZE;
            long length = array.get(ValueLayout.JAVA_LONG, at + 8);
            if (left < length) {
                array.set(ValueLayout.JAVA_LONG, at, array.get(ValueLayout.JAVA_LONG, at) + left);
                array.set(ValueLayout.JAVA_LONG, at + 8, length - left);
                break;
            }
            left -= length;
        }
        return first;
    }

    /** Bytes of the pieces from {@code first} on. */
    public long bytesFrom(int first) {
        long sum = 0;
        for (int piece = first; piece < size; piece++) {
            sum += array.get(ValueLayout.JAVA_LONG, (long) piece * SIZE + 8);
        }
        return sum;
    }

    /**
     * Copies the pieces from {@code first} on, one behind the other; their memory must still be alive.
     *
     * @return bytes copied
     * @throws IndexOutOfBoundsException if the target has no room for them
     */
    public int copyRest(int first, MemorySegment target, long offset) {
        Objects.checkFromIndexSize(offset, bytesFrom(first), target.byteSize());
        long to = offset;
        for (int piece = first; piece < size; piece++) {
            long at = (long) piece * SIZE;
            long length = array.get(ValueLayout.JAVA_LONG, at + 8);
            MemorySegment source = MemorySegment.ofAddress(array.get(ValueLayout.JAVA_LONG, at))
                    .reinterpret(length);
            MemorySegment.copy(source, 0, target, to, length);
            to += length;
        }
        return (int) (to - offset);
    }

    /** Where a piece's entry lies in native memory. */
    long address(int piece) {
        return array.address() + (long) piece * SIZE;
    }
}
