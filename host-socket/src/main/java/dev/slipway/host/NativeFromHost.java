package dev.slipway.host;

import dev.slipway.posix.Errno;
import dev.slipway.posix.IoVectors;
import dev.slipway.posix.Sockets;
import dev.slipway.seam.HostStream;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * The way from the host to the guest of a {@link NativeHostStream}, whose queue is the kernel's receive buffer.
 *
 * <p>Bulk is read by MSG_PEEK at the socket's peek offset and dropped by MSG_TRUNC when the guest has acknowledged it, so a
 * retransmission reads the kernel's queue again. A little that comes when nothing is under way (an answer, a keystroke) is
 * read for good and kept in a small pooled array until it is acknowledged, which costs one system call in place of three.
 *
 * <pre>
 *   discarded ≤ kernelStart ────────────── kernelPeek ─ …
 *      └ small array ┘└ the kernel's queue, peeked so far ┘
 * </pre>
 *
 * <p>The socket is registered edge-triggered, so {@code drained} is what knows whether a look is worth a system call.
 *
 * <p>Limit: {@link #SMALL} bytes in the array; all else waits in the kernel.
 */
final class NativeFromHost {

    /** A first read when nothing is under way; the size of pooled arrays. */
    static final int SMALL = 2 << 10;

    private static final int DISCARD_AT = 64 << 10;
    private static final long NOT_ENDED = Long.MAX_VALUE;

    private final NativeHostStream stream;
    private final NativeHostSockets owner;
    private final Sockets sockets;
    private final int fd;

    private long discarded;
    private long kernelStart;
    private long kernelPeek;
    private long end = NOT_ENDED;
    private byte[] small;
    private int smallLength;
    private boolean drained = true;
    private boolean peerClosed;
    private boolean peekOffset;
    private boolean dropDue;

    NativeFromHost(NativeHostStream stream, NativeHostSockets owner, int fd) {
        this.stream = stream;
        this.owner = owner;
        this.sockets = owner.sockets();
        this.fd = fd;
    }

    /** There is something new to read, or an end. */
    void readable() {
        drained = false;
    }

    /** The host has ended its stream: the kernel reports nothing new after that, and every look is worth it. */
    void peerClosed() {
        peerClosed = true;
    }

    /** Whether all was read, and the end seen. */
    boolean hasEnded() {
        return end != NOT_ENDED;
    }

    /** See {@link HostStream#peek(long, MemorySegment, long, int, int, int)}. */
    int peek(long position, MemorySegment target, long offset, int wanted, int piece, int distance) {
        int length = Math.min(wanted, piece);
        if (position < kernelStart) {
            int from = smallLength - (int) (kernelStart - position);
            int copied = Math.min(length, smallLength - from);
            MemorySegment.copy(small, from, target, ValueLayout.JAVA_BYTE, offset, copied);
            return copied;
        }
        if (position >= end) {
            return HostStream.END;
        }
        if (position >= kernelPeek && drained || stream.isFailed()) {
            return 0;
        }
        if (!target.isNative()) {
            return peekIntoArray(position, target, offset);
        }
        if (position == discarded && position >= kernelPeek) {
            return readSmall(position, target, offset, length);
        }
        return wanted > piece
                ? peekPieces(position, target, offset, wanted, piece, distance)
                : peekBulk(position, target, offset, length);
    }

    /** A look for whether there is anything: one byte at most. */
    private int peekIntoArray(long position, MemorySegment target, long offset) {
        MemorySegment scratch = owner.scratch();
        int peeked = peekBulk(position, scratch, 0, 1);
        if (peeked > 0) {
            MemorySegment.copy(scratch, 0, target, offset, peeked);
        }
        return peeked;
    }

    private int readSmall(long position, MemorySegment target, long offset, int length) {
        dropAcknowledged();
        int wanted = Math.min(length, SMALL);
        int count = sockets.read(fd, target, offset, wanted);
        if (count <= 0) {
            return ended(count, position);
        }
        small = owner.takeSmall(count);
        MemorySegment.copy(target, ValueLayout.JAVA_BYTE, offset, small, 0, count);
        smallLength = count;
        kernelStart += count;
        kernelPeek = kernelStart;
        peekOffset = false;
        drained = count < wanted && !peerClosed;
        return count;
    }

    private int peekBulk(long position, MemorySegment target, long offset, int length) {
        seek(position);
        return peeked(position, sockets.peek(fd, target, offset, length), length);
    }

    /** In one call, since each walks over all that the queue holds before the position. */
    private int peekPieces(long position, MemorySegment target, long offset, int length, int piece, int distance) {
        seek(position);
        IoVectors pieces = owner.takeVectors();
        pieces.clear();
        long at = offset;
        int added = 0;
        while (added < length && !pieces.isFull()) {
            int next = Math.min(piece, length - added);
            pieces.add(target, at, next);
            at += distance;
            added += next;
        }
        int count = sockets.peek(fd, pieces);
        owner.giveBack(pieces);
        return peeked(position, count, added);
    }

    private void seek(long position) {
        if (!peekOffset || kernelPeek != position) {
            sockets.setOption(fd, Sockets.SOL_SOCKET, Sockets.SO_PEEK_OFF, (int) (position - kernelStart));
            peekOffset = true;
            kernelPeek = position;
        }
    }

    private int peeked(long position, int count, int length) {
        if (count <= 0) {
            return ended(count, position);
        }
        kernelPeek = position + count;
        drained = count < length && !peerClosed;
        return count;
    }

    private int ended(int result, long position) {
        if (result == 0) {
            end = position;
            return HostStream.END;
        }
        drained = true;
        if (!Errno.isAgain(result)) {
            stream.ioFailed(0);
        }
        return 0;
    }

    /** See {@link HostStream#discard}. */
    void discard(long position) {
        discarded = position;
        if (small != null && position >= kernelStart) {
            owner.giveBack(small);
            small = null;
            smallLength = 0;
        }
        // While more is there to be read, the acknowledgements of several turns make one call.
        // When all was read, what is kept back may be what keeps the kernel's window shut.
        boolean due = drained || position - kernelStart >= DISCARD_AT || position == kernelPeek;
        if (due && !dropDue && position > kernelStart) {
            // In this order, as it may fail for want of memory.
            owner.dropLater(stream);
            dropDue = true;
        }
    }

    /** The turn ends. */
    void dropNow() {
        dropDue = false;
        dropAcknowledged();
    }

    /** What the guest has is let go of by the kernel, whose window to the host opens again. */
    void dropAcknowledged() {
        while (discarded > kernelStart) {
            int dropped = sockets.discard(fd, discarded - kernelStart);
            if (dropped <= 0) {
                if (dropped < 0 && !Errno.isAgain(dropped)) {
                    // The error is told only once: a later look would take the reset for an end.
                    stream.ioFailed(0);
                }
                return;
            }
            kernelStart += dropped;
        }
    }

    /** Lets go of everything; the descriptor is about to be closed. */
    void release() {
        if (small != null) {
            owner.giveBack(small);
            small = null;
        }
    }
}
