package dev.slipway.posix;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * An array of {@code struct mmsghdr} in native memory, made once and patched: what sendmmsg(2) and recvmmsg(2) take. As
 * many pieces ({@code struct iovec}) stand behind it; each message has the one of its number, or some in a row.
 *
 * <pre>
 *  0          8            16         24          32        40       48       56       60   64
 *  +----------+--------+---+----------+-----------+---------+--------+--------+--------+----+
 *  | address  | its    |   | iovec    | number of | control | its    | flags  | bytes  |    |
 *  | of peer  | length |   |          | iovecs    | data    | length |        | passed |    |
 *  +----------+--------+---+----------+-----------+---------+--------+--------+--------+----+
 * </pre>
 */
final class MessageHeaders {

    private static final int SIZE = 64;
    private static final int VECTOR_SIZE = 16;
    private static final int NAME = 0;
    private static final int NAME_LENGTH = 8;
    private static final int VECTOR = 16;
    private static final int VECTOR_COUNT = 24;
    private static final int CONTROL = 32;
    private static final int CONTROL_LENGTH = 40;
    private static final int FLAGS = 48;
    private static final int LENGTH = 56;

    private final int capacity;
    private final MemorySegment array;

    MessageHeaders(int capacity) {
        this.capacity = capacity;
        array = Arena.ofAuto().allocate((long) capacity * (SIZE + VECTOR_SIZE), 8);
        for (int i = 0; i < capacity; i++) {
            array.set(ValueLayout.JAVA_LONG, at(i) + VECTOR, array.address() + vectorAt(i));
            array.set(ValueLayout.JAVA_LONG, at(i) + VECTOR_COUNT, 1);
        }
    }

    /** Where the peer's {@code struct sockaddr} lies. */
    void setName(int index, long address, int length) {
        array.set(ValueLayout.JAVA_LONG, at(index) + NAME, address);
        array.set(ValueLayout.JAVA_INT, at(index) + NAME_LENGTH, length);
    }

    void setPiece(int index, long address, long length) {
        array.set(ValueLayout.JAVA_LONG, vectorAt(index), address);
        array.set(ValueLayout.JAVA_LONG, vectorAt(index) + 8, length);
    }

    /** Gives a message {@code count} pieces in a row, from {@code first} on. */
    void setPieces(int index, int first, int count) {
        array.set(ValueLayout.JAVA_LONG, at(index) + VECTOR, array.address() + vectorAt(first));
        array.set(ValueLayout.JAVA_LONG, at(index) + VECTOR_COUNT, count);
    }

    /** Bytes of a piece. */
    long pieceLength(int piece) {
        return array.get(ValueLayout.JAVA_LONG, vectorAt(piece) + 8);
    }

    /** Where a message's control data lie; 0 and 0 for none. */
    void setControl(int index, long address, long length) {
        array.set(ValueLayout.JAVA_LONG, at(index) + CONTROL, address);
        array.set(ValueLayout.JAVA_LONG, at(index) + CONTROL_LENGTH, length);
    }

    /** Bytes of the peer's address, after a call that filled it in. */
    int nameLength(int index) {
        return array.get(ValueLayout.JAVA_INT, at(index) + NAME_LENGTH);
    }

    /** What the kernel says of a message that it received (MSG_TRUNC, …). */
    int flags(int index) {
        return array.get(ValueLayout.JAVA_INT, at(index) + FLAGS);
    }

    /** Bytes that the last call passed. */
    int length(int index) {
        return array.get(ValueLayout.JAVA_INT, at(index) + LENGTH);
    }

    /** Where an entry lies in native memory. */
    long address(int index) {
        return array.address() + at(index);
    }

    private static long at(int index) {
        return (long) index * SIZE;
    }

    private long vectorAt(int index) {
        return (long) capacity * SIZE + (long) index * VECTOR_SIZE;
    }
}
