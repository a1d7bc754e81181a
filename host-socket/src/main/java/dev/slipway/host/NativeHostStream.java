package dev.slipway.host;

import dev.slipway.posix.Errno;
import dev.slipway.posix.IoVectors;
import dev.slipway.posix.Sockets;
import dev.slipway.seam.HostStream;
import dev.slipway.seam.IcmpError;
import io.netty.channel.IoEvent;
import io.netty.channel.IoRegistration;
import io.netty.channel.epoll.EpollIoEvent;
import io.netty.channel.epoll.EpollIoHandle;
import io.netty.channel.epoll.EpollIoOps;
import io.netty.channel.unix.FileDescriptor;
import io.netty.util.concurrent.Future;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.concurrent.TimeUnit;

/**
 * A TCP connection of the host by system calls: the kernel's own socket buffers are the queues of the seam.
 *
 * <p><b>Host to guest.</b> Bulk is read by MSG_PEEK at the socket's peek offset and dropped by MSG_TRUNC when the guest
 * has acknowledged it, so a retransmission reads the kernel's queue again. A little that comes when nothing is under
 * way (an answer, a keystroke) is read for good and kept in a small pooled array until it is acknowledged, which costs
 * one system call in place of three.
 *
 * <pre>
 *   discarded ≤ kernelStart ────────────── kernelPeek ─ …
 *      └ small array ┘└ the kernel's queue, peeked so far ┘
 * </pre>
 *
 * <p><b>Guest to host.</b> Payloads of a turn are gathered where they came in and written by one call. What the kernel
 * does not take is copied into {@link HeldBytes}. The room promised to the guest is what the kernel's send queue has
 * free, asked for again when half of it is used up; and, while the host keeps up, a little more, because the kernel lets
 * a send buffer grow only when it sees that more is wanted.
 *
 * <p>Registered edge-triggered and once: no call per change of interest, and no storm of events for bytes that stay in
 * the queue until they are acknowledged.
 */
final class NativeHostStream implements HostStream, EpollIoHandle, Runnable {

    /** A first read when nothing is under way; the size of pooled arrays. */
    static final int SMALL = 2 << 10;

    private static final EpollIoOps INTEREST = EpollIoOps.EPOLLIN
            .with(EpollIoOps.EPOLLOUT)
            .with(EpollIoOps.EPOLLRDHUP)
            .with(EpollIoOps.EPOLLET);
    private static final int READABLE = EpollIoOps.EPOLLIN.value();
    private static final int WRITABLE = EpollIoOps.EPOLLOUT.value();
    private static final int PEER_CLOSED = EpollIoOps.EPOLLRDHUP.value();
    private static final int ERROR = EpollIoOps.EPOLLERR.value();
    /** EPOLLHUP, which Netty has no name for. */
    private static final int HANG_UP = 0x10;

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
    private static final int DISCARD_AT = 64 << 10;
    private static final long NOT_ENDED = Long.MAX_VALUE;

    private enum State {
        CONNECTING,
        OPEN,
        CLOSED
    }

    private final NativeHostSockets owner;
    private final Sockets sockets;
    private final Listener listener;
    private final int fd;
    private final boolean ipv6;
    private final int promiseLow;
    private FileDescriptor descriptor;
    private IoRegistration registration;
    private State state = State.CONNECTING;
    private ConnectFailure failure;

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

    private long written;
    private long promised;
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
    private boolean failed;
    private long takenAtFailure;
    private boolean shutdownWanted;
    private boolean outputShutdown;

    NativeHostStream(NativeHostSockets owner, Listener listener, int fd, boolean ipv6) {
        this.owner = owner;
        this.sockets = owner.sockets();
        this.listener = listener;
        this.fd = fd;
        this.ipv6 = ipv6;
        this.promised = PROMISE_INITIAL;
        this.promiseLow = Math.max(PROMISE_LOW, owner.mtu());
    }

    /** A stream that was refused before it had a socket: the listener hears why. */
    void fail(ConnectFailure reason) {
        failure = reason;
        state = State.CLOSED;
        owner.loop().execute(this);
    }

    /**
     * The socket has begun to connect.
     *
     * @param result of the connect call: 0, or minus EINPROGRESS
     */
    void connecting(int result) {
        if (!register()) {
            sockets.close(fd);
            owner.closed(this);
            fail(ConnectFailure.EXHAUSTED);
            return;
        }
        if (result == 0) {
            opened();
            owner.loop().execute(this);
        }
    }

    /** The socket was accepted, and the kernel will send a reset when it is closed; see {@link #opened}. */
    void accepted() {
        state = State.OPEN;
        if (!register()) {
            ioFailed(0);
        }
    }

    private boolean register() {
        descriptor = new FileDescriptor(fd);
        Future<IoRegistration> registered = owner.loop().register(this);
        if (!registered.isSuccess()) {
            return false;
        }
        registration = registered.getNow();
        registration.submit(INTEREST);
        return true;
    }

    /** Delivers what became known within a method of the seam. */
    @Override
    public void run() {
        if (failure != null) {
            owner.touched();
            listener.failed(failure);
        } else if (failed && state == State.OPEN) {
            hostReset();
        } else if (state == State.OPEN) {
            owner.touched();
            listener.connected();
        }
    }

    @Override
    public FileDescriptor fd() {
        return descriptor;
    }

    @Override
    public void handle(IoRegistration from, IoEvent event) {
        int ops = ((EpollIoEvent) event).ops().value();
        try {
            happened(ops);
        } catch (RuntimeException | OutOfMemoryError e) {
            owner.failed(e);
            abort();
        }
    }

    private void happened(int ops) {
        if (state == State.CLOSED) {
            return;
        }
        owner.touched();
        if (state == State.CONNECTING) {
            if ((ops & (WRITABLE | ERROR | HANG_UP)) == 0) {
                return;
            }
            IcmpError said = (ops & ERROR) != 0 ? errorOfConnect() : null;
            if (said != null) {
                connectFailed(said);
                return;
            }
            // A connect that failed is never plain writability (connect(2), epoll_ctl(2)).
            int error = (ops & (ERROR | HANG_UP)) == 0 ? 0 : sockets.pendingError(fd);
            if (error != 0) {
                connectFailed(NativeHostSockets.failureOf(Math.abs(error)));
                return;
            }
            opened();
            listener.connected();
        } else if ((ops & ERROR) != 0 && sockets.pendingError(fd) != 0) {
            hostReset();
            return;
        }
        if ((ops & (PEER_CLOSED | HANG_UP)) != 0) {
            peerClosed = true;
        }
        if ((ops & (READABLE | PEER_CLOSED | HANG_UP)) != 0) {
            drained = false;
            listener.readable();
        }
        if ((ops & WRITABLE) != 0 && (held != null || shutdownWanted && !outputShutdown)) {
            writeHeld();
        }
    }

    /**
     * From now on an error that a router reports is a matter of the kernel's, which tries on (RFC 1122, 4.2.3.9). And
     * until the guest has ended its stream, an end of this process is no end of the stream: however it comes about, the
     * kernel sends a reset.
     */
    private void opened() {
        state = State.OPEN;
        sockets.keepErrors(fd, ipv6, false);
        sockets.resetOnClose(fd);
    }

    /** What the network said about the kernel's SYN, or {@code null}. */
    private IcmpError errorOfConnect() {
        ErrorQueue errors = owner.errors();
        IcmpError said = null;
        while (said == null && errors.next(fd)) {
            said = errors.error();
        }
        return said;
    }

    private void connectFailed(IcmpError said) {
        giveUpConnecting();
        listener.failed(said);
    }

    private void connectFailed(ConnectFailure reason) {
        giveUpConnecting();
        listener.failed(reason);
    }

    private void giveUpConnecting() {
        owner.counters().connectsFailed++;
        release();
        sockets.close(fd);
    }

    private void hostReset() {
        owner.counters().resetsByHost++;
        release();
        sockets.resetOnClose(fd);
        sockets.close(fd);
        listener.reset();
    }

    private void abort() {
        if (state == State.CLOSED) {
            return;
        }
        boolean open = state == State.OPEN;
        reset();
        if (open) {
            listener.reset();
        } else {
            listener.failed(ConnectFailure.EXHAUSTED);
        }
    }

    // --- guest to host ------------------------------------------------------------------------------------------

    @Override
    public int room() {
        if (state == State.CLOSED) {
            return 0;
        }
        if (state == State.OPEN && promised - written < promiseLow && held == null) {
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

    @Override
    public void write(MemorySegment source, long offset, int length) {
        if (state == State.CLOSED || failed) {
            // The descriptor may be somebody else's by now, or will never take these bytes: the end is under way.
            return;
        }
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
            write(source, offset, length);
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

    /** Gives the connection up by our own decision: its peer sees a reset, and the listener hears of it later. */
    void shed() {
        ioFailed(0);
        letGoOfHeld();
    }

    private void letGoOfHeld() {
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

    @Override
    public void flush() {
        if (state == State.CLOSED) {
            return;
        }
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
            ioFailed(onlyLength);
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
            ioFailed(vectors.bytes());
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

    /** The kernel has room again, or may have. Only for events: it tells the listener. */
    private void writeHeld() {
        long before = taken();
        drainHeld();
        shutOutputIfDone();
        if (taken() != before || outputShutdown) {
            listener.writable();
        }
    }

    private void drainHeld() {
        while (held != null && !failed) {
            int result = sockets.write(fd, held.memory(), held.start(), held.length());
            if (result < 0) {
                if (!Errno.isAgain(result)) {
                    ioFailed(0);
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
        if (!retrying) {
            owner.loop().schedule(this::retry, RETRY_MILLIS, TimeUnit.MILLISECONDS);
            retrying = true;
        }
    }

    private void retry() {
        retrying = false;
        if (state != State.OPEN) {
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
     * The connection is lost: from here on nothing more counts as taken, and the host sees no end but a reset.
     *
     * @param lost bytes neither in the kernel, nor held, nor waiting for the end of the turn
     */
    private void ioFailed(long lost) {
        if (!failed) {
            takenAtFailure = taken() - lost;
            failed = true;
            owner.loop().execute(this);
        }
    }

    @Override
    public long taken() {
        if (failed) {
            return takenAtFailure;
        }
        int waiting = held == null ? 0 : held.length();
        return written - waiting - unflushed();
    }

    @Override
    public void shutdownOutput() {
        if (state == State.CLOSED) {
            return;
        }
        shutdownWanted = true;
        shutOutputIfDone();
    }

    private void shutOutputIfDone() {
        if (shutdownWanted && !outputShutdown && !failed && only == null && gathered == null && held == null) {
            outputShutdown = true;
            sockets.endOnClose(fd);
            sockets.shutdownOutput(fd);
        }
    }

    @Override
    public boolean isOutputShutdown() {
        return outputShutdown;
    }

    // --- host to guest ------------------------------------------------------------------------------------------

    @Override
    public int peek(long position, MemorySegment target, long offset, int length) {
        if (state == State.CLOSED) {
            return 0;
        }
        if (position < kernelStart) {
            int from = smallLength - (int) (kernelStart - position);
            int copied = Math.min(length, smallLength - from);
            MemorySegment.copy(small, from, target, ValueLayout.JAVA_BYTE, offset, copied);
            return copied;
        }
        if (position >= end) {
            return END;
        }
        if (position >= kernelPeek && drained || failed) {
            return 0;
        }
        if (!target.isNative()) {
            return peekIntoArray(position, target, offset);
        }
        return position == discarded && position >= kernelPeek
                ? readSmall(position, target, offset, length)
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
        if (!peekOffset || kernelPeek != position) {
            sockets.setOption(fd, Sockets.SOL_SOCKET, Sockets.SO_PEEK_OFF, (int) (position - kernelStart));
            peekOffset = true;
            kernelPeek = position;
        }
        int count = sockets.peek(fd, target, offset, length);
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
            return END;
        }
        drained = true;
        if (!Errno.isAgain(result)) {
            ioFailed(0);
        }
        return 0;
    }

    @Override
    public void discard(long position) {
        if (state == State.CLOSED) {
            return;
        }
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
            owner.dropLater(this);
            dropDue = true;
        }
    }

    /** The turn ends. */
    void dropNow() {
        dropDue = false;
        if (state != State.CLOSED) {
            dropAcknowledged();
        }
    }

    private void dropAcknowledged() {
        while (discarded > kernelStart) {
            int dropped = sockets.discard(fd, discarded - kernelStart);
            if (dropped <= 0) {
                if (dropped < 0 && !Errno.isAgain(dropped)) {
                    // The error is told only once: a later look would take the reset for an end.
                    ioFailed(0);
                }
                return;
            }
            kernelStart += dropped;
        }
    }

    // --- the end ------------------------------------------------------------------------------------------------

    @Override
    public void reset() {
        if (state == State.CLOSED) {
            return;
        }
        // Where both ends have been seen and passed on, no reset is left to be sent.
        boolean overAlready = outputShutdown && end != NOT_ENDED && !failed;
        release();
        if (!overAlready) {
            sockets.resetOnClose(fd);
        }
        sockets.close(fd);
    }

    @Override
    public void close() {
        if (state == State.CLOSED) {
            return;
        }
        if (failed || held != null || unflushed() > 0) {
            // The host must not take for an end in order what lacks bytes.
            reset();
            return;
        }
        dropAcknowledged();
        release();
        if (!outputShutdown) {
            sockets.endOnClose(fd);
        }
        sockets.close(fd);
    }

    private void release() {
        state = State.CLOSED;
        if (registration != null) {
            try {
                registration.cancel();
            } catch (OutOfMemoryError e) {
                // The descriptor has to be closed all the same, which takes it out of the kernel's set.
                owner.failed(e);
            }
        }
        if (small != null) {
            owner.giveBack(small);
            small = null;
        }
        only = null;
        if (gathered != null) {
            owner.giveBack(gathered);
            gathered = null;
        }
        letGoOfHeld();
        owner.budget().unreserve(extra);
        extra = 0;
        owner.closed(this);
    }
}
