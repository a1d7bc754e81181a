package dev.slipway.queue;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufAllocator;
import java.lang.foreign.MemorySegment;

/**
 * Bytes of a host connection that the guest does not have yet, in the buffers they were read into. They can be copied
 * from any position as often as needed, until they are discarded. An empty queue holds no buffer.
 *
 * <p>A reader asks for {@link #target}, which is the last buffer while that has room, so that a host that sends byte by
 * byte fills buffers and does not collect them.
 */
public final class ByteQueue {

    private static final int WORTH_FILLING = 512;

    private final QueueBudget budget;
    private Piece first;
    private Piece last;
    private Piece cursor;
    private long start;
    private long end;
    private int held;

    public ByteQueue(QueueBudget budget) {
        this.budget = budget;
    }

    /** One buffer: its readable bytes begin at position {@code start} of the stream and at index 0. */
    private static final class Piece {
        final ByteBuf buffer;
        final MemorySegment memory;
        final long start;
        long end;
        Piece next;

        Piece(ByteBuf buffer, long start) {
            this.buffer = buffer;
            this.memory = MemorySegment.ofBuffer(buffer.internalNioBuffer(0, buffer.capacity()));
            this.start = start;
            this.end = start + buffer.writerIndex();
        }
    }

    /** The position behind the last byte. */
    public long end() {
        return end;
    }

    /** Bytes of memory held. */
    public int held() {
        return held;
    }

    /**
     * A buffer to read into, behind its writer index; the caller owns one reference.
     *
     * @param size of a new buffer, in bytes, if the last one has no room
     */
    public ByteBuf target(ByteBufAllocator allocator, int size) {
        if (last != null && last.buffer.writableBytes() >= WORTH_FILLING) {
            return last.buffer.retain();
        }
        return allocator.directBuffer(size, size);
    }

    /** Takes a buffer that {@link #target} gave, with something more in it, and its reference. */
    public void append(ByteBuf buffer) {
        if (last != null && last.buffer == buffer) {
            buffer.release();
            last.end = last.start + buffer.writerIndex();
        } else {
            Piece piece = new Piece(buffer, end);
            if (last == null) {
                first = piece;
            } else {
                last.next = piece;
            }
            last = piece;
            held += buffer.capacity();
            budget.toGuest(buffer.capacity());
        }
        end = last.end;
    }

    /**
     * Copies what there is from a position on.
     *
     * @return bytes copied, 0 at the end
     * @throws IllegalArgumentException if the position was discarded
     */
    public int copy(long position, MemorySegment target, long offset, int length) {
        if (position < start) {
            throw new IllegalArgumentException("position " + position + " was discarded: the queue begins at " + start);
        }
        Piece piece = cursor != null && cursor.start <= position ? cursor : first;
        while (piece != null && piece.end <= position) {
            piece = piece.next;
        }
        int copied = 0;
        while (piece != null && copied < length) {
            long from = position + copied - piece.start;
            int bytes = (int) Math.min(length - copied, piece.end - piece.start - from);
            MemorySegment.copy(piece.memory, from, target, offset + copied, bytes);
            copied += bytes;
            cursor = piece;
            piece = piece.next;
        }
        return copied;
    }

    /**
     * Lets go of all bytes before a position.
     *
     * @throws IllegalArgumentException if the position lies behind the last byte
     */
    public void discard(long position) {
        if (position > end) {
            throw new IllegalArgumentException("position " + position + " lies behind the end, " + end);
        }
        start = Math.max(start, position);
        while (first != null && first.end <= position) {
            Piece gone = first;
            first = gone.next;
            if (cursor == gone) {
                cursor = null;
            }
            held -= gone.buffer.capacity();
            budget.toGuest(-gone.buffer.capacity());
            gone.buffer.release();
        }
        if (first == null) {
            last = null;
        }
    }

    /** Lets go of everything. */
    public void clear() {
        discard(end);
    }
}
