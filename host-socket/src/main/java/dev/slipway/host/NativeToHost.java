package dev.slipway.host;

import dev.slipway.posix.Errno;
import dev.slipway.posix.IoVectors;
import dev.slipway.posix.Sockets;
import dev.slipway.seam.HostStream;
import java.lang.foreign.MemorySegment;
import java.util.concurrent.TimeUnit;

/**
 * The way from the guest to the host of a {@link NativeHostStream}, whose queue is the kernel's send buffer.
 *
 * <p>Payloads of a turn are gathered where they came in and written by one call. What the kernel does not take is copied
 * into {@link HeldBytes}. The room promised to the guest is what the kernel's send queue has free, asked for again when
 * half of it is used up; and, while the host keeps up, a little more, because the kernel lets a send buffer grow only when
 * it sees that more is wanted.
 *
 * <pre>
 *   taken ≤ ───── held ───── ≤ ──── only, or gathered ──── ≤ written ≤ ─── room ─── ≤ promised
 *      └ in the kernel └ copied, it comes first  └ where it came in, until the turn ends
 * </pre>
 *
 * <p>While anything is held nothing is gathered, so that bytes stay in order; the end of the stream goes to the kernel
 * when nothing is left of either.
 *
 * <p>Limits: {@link #PROMISE_MAX} is promised at most, {@link #PROMISE_EXTRA} of it beyond what the kernel has room for and
 * as far as the VM's {@code QueueBudget} has it.
 */
final class NativeToHost {

    private static final int PROMISE_MAX = 4 << 20;
    private static final int PROMISE_INITIAL = 64 << 10;
    /**
     * The kernel is asked for its room when less than this, or less than the largest segment, is promised; what a request
     * takes does not lead to it. A guest that is promised less than a segment sends none, and would wait for its timers.
     */
    private static final int PROMISE_LOW = 48 << 10;
    /** Beyond the kernel's room, while the host keeps up. */
    private static final int PROMISE_EXTRA = 128 << 10;
    /** A host that takes nothing for so long does not keep up. */
    private static final long SLOW_NANOS = 100_000_000L;

    private static final long RETRY_MILLIS = 50;

    private final NativeHostStream stream;
    private final NativeHostSockets owner;
    private final Sockets sockets;
    private final HostStream.Listener listener;
    private final int fd;
    private final int promiseLow;

    private long written;
    private long promised = PROMISE_INITIAL;
    private int extra;
    /** The first payload of a turn, which is mostly the only one; with a second they move to {@link #gathered}. */
    private MemorySegment only;

    private long onlyOffset;
    private int onlyLength;
    private IoVectors gathered;
    private HeldBytes held;
    private long blockedSince;
    /** When the kernel last took of what is held. */
    private long progressAt;

    private boolean slow;
    private boolean retrying;
    private long takenAtFailure;
    private boolean shutdownWanted;
    private boolean shutdown;

    NativeToHost(NativeHostStream stream, NativeHostSockets owner, HostStream.Listener listener, int fd) {
        this.stream = stream;
        this.owner = owner;
        this.sockets = owner.sockets();
        this.listener = listener;
        this.fd = fd;
        this.promiseLow = Math.max(PROMISE_LOW, owner.mtu());
    }

    /** See {@link HostStream#room}. */
    int room() {
        if (stream.isOpen() && promised - written < promiseLow && held == null) {
            promise();
        }
        return (int) (promised - written);
    }

    private void promise() {
        int free = sockets.sendRoom(fd);
        if (free < 0) {
            return;
        }
        owner.budget().unreserve(extra);
        extra = slow ? 0 : owner.budget().reserve(PROMISE_EXTRA);
        // The kernel counts memory, not payload: half is for its own structures, of which it mostly needs less.
        long room = Math.min(free / 2, PROMISE_MAX) + (long) extra;
        promised = Math.max(promised, written + room);
        if (promised == written) {
            retryLater();
        }
    }

    /** See {@link HostStream#write}. */
    void write(MemorySegment source, long offset, int length) {
        written += length;
        if (held == null && !source.isNative()) {
            flush();
        }
        if (held != null || !source.isNative()) {
            hold().add(source, offset, length);
            holding(length);
            return;
        }
        if (only == null && gathered == null) {
            only = source;
            onlyOffset = offset;
            onlyLength = length;
            return;
        }
        if (gathered == null) {
            gathered = owner.takeVectors();
            gathered.add(only, onlyOffset, onlyLength);
            only = null;
        } else if (gathered.isFull()) {
            written -= length;
            flush();
            // Which may have failed.
            stream.write(source, offset, length);
            return;
        }
        gathered.add(source, offset, length);
    }

    /** Payloads of this turn that are not written yet. */
    private long unflushed() {
        return only != null ? onlyLength : gathered == null ? 0 : gathered.bytes();
    }

    private void holding(int bytes) {
        owner.budget().fromGuest(bytes);
        owner.shedIfNeeded();
    }

    /** Bytes that wait for the host's kernel. */
    int heldFromGuest() {
        return held == null ? 0 : held.length();
    }

    /** Whether the host's kernel has taken nothing for so long that its peer must be thought of as one that hangs. */
    boolean isStalled(long now) {
        return held != null && now - progressAt > SLOW_NANOS;
    }

    /** What waits for the kernel is thrown away. */
    void letGoOfHeld() {
        if (held != null) {
            owner.budget().fromGuest(-held.length());
            held.free();
            held = null;
        }
    }

    private HeldBytes hold() {
        if (held == null) {
            held = new HeldBytes();
            blockedSince = System.nanoTime();
            progressAt = blockedSince;
        }
        return held;
    }

    /** See {@link HostStream#flush}. */
    void flush() {
        if (only != null) {
            MemorySegment payload = only;
            only = null;
            writeOnly(payload);
        } else if (gathered != null) {
            IoVectors vectors = gathered;
            gathered = null;
            writeGathered(vectors);
            owner.giveBack(vectors);
        } else if (held != null) {
            drainHeld();
        }
        shutOutputIfDone();
    }

    private void writeOnly(MemorySegment payload) {
        int result = sockets.write(fd, payload, onlyOffset, onlyLength);
        if (result < 0 && !Errno.isAgain(result)) {
            stream.ioFailed(onlyLength);
            return;
        }
        int taken = Math.max(result, 0);
        if (taken < onlyLength) {
            hold().add(payload, onlyOffset + taken, onlyLength - taken);
            retryLater();
            holding(onlyLength - taken);
        }
    }

    private void writeGathered(IoVectors vectors) {
        long result = sockets.write(fd, vectors, 0);
        if (result < 0 && !Errno.isAgain(result)) {
            stream.ioFailed(vectors.bytes());
            return;
        }
        result = Math.max(result, 0);
        if (result < vectors.bytes()) {
            long rest = vectors.bytes() - result;
            hold().add(vectors, vectors.skip(result));
            retryLater();
            holding((int) rest);
        }
    }

    private void writeHeld() {
        long before = taken();
        drainHeld();
        shutOutputIfDone();
        if (taken() != before || shutdown) {
            listener.writable();
        }
    }

    private void drainHeld() {
        while (held != null && !stream.isFailed()) {
            int result = sockets.write(fd, held.memory(), held.start(), held.length());
            if (result < 0) {
                if (!Errno.isAgain(result)) {
                    stream.ioFailed(0);
                }
                retryLater();
                return;
            }
            held.taken(result);
            owner.budget().fromGuest(-result);
            progressAt = System.nanoTime();
            if (held.length() == 0) {
                held.free();
                held = null;
                slow = progressAt - blockedSince > SLOW_NANOS;
            }
        }
    }

    /**
     * The kernel reports room only when a third of its buffer is free, which a slow reader may need an hour for; the
     * guest would not wait for so long for an acknowledgement. So look from time to time.
     */
    private void retryLater() {
        stream.awaitWritable();
        if (!retrying) {
            owner.loop().schedule(this::retry, RETRY_MILLIS, TimeUnit.MILLISECONDS);
            retrying = true;
        }
    }

    private void retry() {
        retrying = false;
        if (!stream.isOpen()) {
            return;
        }
        owner.touched();
        if (held != null) {
            writeHeld();
        } else if (promised <= written) {
            promise();
            if (promised > written) {
                listener.writable();
            }
        }
    }

    /**
     * The connection is lost: from here on nothing more counts as taken.
     *
     * @param lost bytes neither in the kernel, nor held, nor waiting for the end of the turn
     */
    void failed(long lost) {
        takenAtFailure = taken() - lost;
    }

    /** See {@link HostStream#taken}. */
    long taken() {
        if (stream.isFailed()) {
            return takenAtFailure;
        }
        int waiting = held == null ? 0 : held.length();
        return written - waiting - unflushed();
    }

    /** The host is to see the end of the stream when it has all that was written. */
    void shutDown() {
        shutdownWanted = true;
        shutOutputIfDone();
    }

    private void shutOutputIfDone() {
        if (shutdownWanted && !shutdown && !stream.isFailed() && only == null && gathered == null && held == null) {
            shutdown = true;
            sockets.endOnClose(fd);
            sockets.shutdownOutput(fd);
        }
    }

    /** Whether the kernel was told of the end. */
    boolean isShutdown() {
        return shutdown;
    }

    /** Whether the kernel lacks bytes that were written. */
    boolean hasUnwritten() {
        return held != null || unflushed() > 0;
    }

    /** The kernel has room again. */
    void writable() {
        if (held != null || shutdownWanted && !shutdown) {
            writeHeld();
        }
    }

    /** Lets go of everything; the descriptor is about to be closed. */
    void release() {
        only = null;
        if (gathered != null) {
            owner.giveBack(gathered);
            gathered = null;
        }
        letGoOfHeld();
        owner.budget().unreserve(extra);
        extra = 0;
    }
}
