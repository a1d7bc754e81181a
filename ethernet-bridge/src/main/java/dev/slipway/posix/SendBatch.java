package dev.slipway.posix;

import java.lang.foreign.MemorySegment;
import java.util.Objects;

/**
 * Datagrams to one destination that one call sends. It holds addresses only: the caller keeps the memory of the
 * datagrams alive and as it is until the call.
 */
public final class SendBatch {

    private final int capacity;
    private final MessageHeaders headers;
    private final SocketAddress destination = new SocketAddress();
    private int size;

    /** Room for some datagrams, 1 to {@link IoVectors#MAX}, which is also what one call takes. */
    public SendBatch(int capacity) {
        if (capacity < 1 || capacity > IoVectors.MAX) {
            throw new IllegalArgumentException("a batch of 1 to " + IoVectors.MAX + " datagrams, not " + capacity);
        }
        this.capacity = capacity;
        headers = new MessageHeaders(capacity);
    }

    /** Empties the batch and names where the datagrams added next go: an IPv4 address (network order) and a port. */
    public SendBatch to(int ipv4, int port) {
        destination.set(ipv4, port);
        size = 0;
        return this;
    }

    public void clear() {
        size = 0;
    }

    public boolean isFull() {
        return size == capacity;
    }

    /** Datagrams added. */
    public int size() {
        return size;
    }

    /** Adds a datagram; an empty one too. */
    public void add(MemorySegment segment, long offset, long length) {
        Objects.checkFromIndexSize(offset, length, segment.byteSize());
        if (!segment.isNative()) {
            throw new IllegalArgumentException("a datagram of a batch lies in native memory, not in an array");
        }
        if (size == capacity) {
            throw new IndexOutOfBoundsException("more than " + capacity + " datagrams");
        }
        headers.setName(size, destination.address(), destination.length());
        headers.setPiece(size, segment.address() + offset, length);
        size++;
    }

    /** Where a datagram's entry lies in native memory. */
    long address(int first) {
        return headers.address(first);
    }
}
