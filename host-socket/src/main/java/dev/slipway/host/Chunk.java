package dev.slipway.host;

import io.netty.buffer.ByteBuf;
import io.netty.channel.ChannelFuture;
import io.netty.channel.ChannelFutureListener;
import java.lang.foreign.MemorySegment;

/** Bytes of the guest on their way into a host connection: a buffer that is filled, then written, then let go. */
final class Chunk implements ChannelFutureListener {

    static final int MIN = 2 << 10;
    static final int MAX = 64 << 10;

    private final NettyHostStream stream;
    private final ByteBuf buffer;
    private final MemorySegment memory;
    private final int capacity;
    private int length;
    Chunk next;

    Chunk(NettyHostStream stream, ByteBuf buffer) {
        this.stream = stream;
        this.buffer = buffer;
        this.capacity = buffer.capacity();
        this.memory = MemorySegment.ofBuffer(buffer.internalNioBuffer(0, capacity));
    }

    boolean isFull() {
        return length == capacity;
    }

    int capacity() {
        return capacity;
    }

    /** Bytes of the guest in it. */
    int length() {
        return length;
    }

    /** Copies as much as has room, and says how much that is. */
    int append(MemorySegment source, long offset, int bytes) {
        int copied = Math.min(bytes, capacity - length);
        MemorySegment.copy(source, offset, memory, length, copied);
        length += copied;
        return copied;
    }

    /** The buffer, ready to be written; its reference goes to the caller. */
    ByteBuf seal() {
        return buffer.writerIndex(length);
    }

    /** Bytes of a chunk being written that are in the host's kernel: Netty moves the reader index with them. */
    int partlyTaken() {
        return buffer.readerIndex();
    }

    /** Lets go of a chunk that was not handed over. */
    void release() {
        buffer.release();
    }

    @Override
    public void operationComplete(ChannelFuture future) {
        stream.written(this, future);
    }
}
