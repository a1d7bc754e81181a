package dev.slipway.tcp;

import dev.slipway.wire.BigEndian;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;

/**
 * Payload of the guest that came before its turn (RFC 9293, section 3.10.7.4), as sorted pieces that do not overlap.
 * Only a channel that loses frames ever fills it. Bounded in bytes and in pieces: what does not fit is dropped, and
 * the guest sends it again.
 */
final class OutOfOrder {

    /** What a piece takes beside its payload: the array's header, and its place in the lists. */
    static final int PIECE_OVERHEAD = 32;

    /** More pieces than this make no connection faster, and their bookkeeping would be the guest's to choose. */
    static final int MAX_PIECES = 1024;

    private long[] starts = new long[16];
    private byte[][] pieces = new byte[16][];
    private int size;
    private int bytes;
    private long newest;

    boolean isEmpty() {
        return size == 0;
    }

    /** Bytes of memory that are held: payload, and {@link #PIECE_OVERHEAD} for each piece. */
    int bytes() {
        return bytes;
    }

    /**
     * Keeps what is new of some payload.
     *
     * @param start stream position of the first byte
     * @param room how many bytes of memory may be added
     * @return false if some of it found no room
     */
    boolean add(long start, MemorySegment payload, long offset, int length, int room) {
        long at = start;
        long end = start + length;
        int added = 0;
        int index = firstEndingAfter(at);
        while (at < end) {
            if (index < size && starts[index] <= at) {
                at = Math.max(at, endOf(index));
                index++;
                continue;
            }
            long pieceEnd = index < size ? Math.min(end, starts[index]) : end;
            int pieceLength = (int) (pieceEnd - at);
            if (added + pieceLength + PIECE_OVERHEAD > room || size == MAX_PIECES) {
                return false;
            }
            byte[] piece = new byte[pieceLength];
            MemorySegment.copy(payload, ValueLayout.JAVA_BYTE, offset + (at - start), piece, 0, pieceLength);
            insert(index, at, piece);
            added += pieceLength + PIECE_OVERHEAD;
            at = pieceEnd;
            index++;
        }
        newest = start;
        return true;
    }

    /** Where the first piece begins. Meaningless if there is none. */
    long firstStart() {
        return starts[0];
    }

    /** Takes the first piece out. */
    byte[] removeFirst() {
        byte[] piece = pieces[0];
        size--;
        System.arraycopy(starts, 1, starts, 0, size);
        System.arraycopy(pieces, 1, pieces, 0, size);
        pieces[size] = null;
        bytes -= piece.length + PIECE_OVERHEAD;
        return piece;
    }

    /**
     * Writes selective acknowledgements (RFC 2018, section 4): first the block that holds what came last, then others.
     *
     * @param base the sequence number of stream position 0
     * @return how many blocks of 8 bytes were written
     */
    int writeBlocks(MemorySegment target, long offset, int maxBlocks, int base) {
        int written = writeBlockAround(newest, target, offset, base);
        long newestStart = written == 0 ? -1 : blockStart(firstEndingAfter(newest));
        int index = 0;
        while (index < size && written < maxBlocks) {
            int last = blockLast(index);
            if (starts[index] != newestStart) {
                writeBlock(index, last, target, offset + 8L * written++, base);
            }
            index = last + 1;
        }
        return written;
    }

    private int writeBlockAround(long position, MemorySegment target, long offset, int base) {
        int index = firstEndingAfter(position);
        if (index == size || starts[index] > position) {
            return 0;
        }
        int first = index;
        while (first > 0 && endOf(first - 1) == starts[first]) {
            first--;
        }
        writeBlock(first, blockLast(index), target, offset, base);
        return 1;
    }

    private long blockStart(int index) {
        int first = index;
        while (first > 0 && endOf(first - 1) == starts[first]) {
            first--;
        }
        return starts[first];
    }

    private int blockLast(int index) {
        int last = index;
        while (last + 1 < size && starts[last + 1] == endOf(last)) {
            last++;
        }
        return last;
    }

    private void writeBlock(int first, int last, MemorySegment target, long offset, int base) {
        BigEndian.putI32(target, offset, base + (int) starts[first]);
        BigEndian.putI32(target, offset + 4, base + (int) endOf(last));
    }

    private long endOf(int index) {
        return starts[index] + pieces[index].length;
    }

    private int firstEndingAfter(long position) {
        int low = 0;
        int high = size;
        while (low < high) {
            int middle = (low + high) >>> 1;
            if (endOf(middle) <= position) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        return low;
    }

    private void insert(int index, long start, byte[] piece) {
        if (size == starts.length) {
            starts = Arrays.copyOf(starts, size * 2);
            pieces = Arrays.copyOf(pieces, size * 2);
        }
        System.arraycopy(starts, index, starts, index + 1, size - index);
        System.arraycopy(pieces, index, pieces, index + 1, size - index);
        starts[index] = start;
        pieces[index] = piece;
        size++;
        bytes += piece.length + PIECE_OVERHEAD;
    }
}
