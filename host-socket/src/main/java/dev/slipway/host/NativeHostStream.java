package dev.slipway.host;

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

/**
 * A TCP connection of the host by system calls: the kernel's own socket buffers are the queues of the seam.
 *
 * <p>Each direction has its own invariants: {@link NativeToHost} from the guest to the host, {@link NativeFromHost} back.
 * Here is what they share: the descriptor, its registration with the event loop, how the connection comes about, and how
 * it ends.
 *
 * <p>Registered edge-triggered: no storm of events for bytes that stay in the queue until they are acknowledged, and no call
 * per change of interest but two of an accepted connection, when the guest takes it and when the host first lacks room.
 */
final class NativeHostStream implements HostStream, EpollIoHandle, Runnable {

    /** Of a connection that the host has accepted, until the guest has too: nobody can take its bytes before. */
    private static final EpollIoOps ENDS = EpollIoOps.EPOLLRDHUP.with(EpollIoOps.EPOLLET);
    /** Until the kernel's buffer was full once: a fresh socket would tell at once that it is writable. */
    private static final EpollIoOps INPUT = ENDS.with(EpollIoOps.EPOLLIN);

    private static final EpollIoOps ALL = INPUT.with(EpollIoOps.EPOLLOUT);
    private static final int READABLE = EpollIoOps.EPOLLIN.value();
    private static final int WRITABLE = EpollIoOps.EPOLLOUT.value();
    private static final int PEER_CLOSED = EpollIoOps.EPOLLRDHUP.value();
    private static final int ERROR = EpollIoOps.EPOLLERR.value();
    /** EPOLLHUP, which Netty has no name for. */
    private static final int HANG_UP = 0x10;

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
    private final NativeToHost toHost;
    private final NativeFromHost fromHost;
    private OwnedDescriptor descriptor;
    private IoRegistration registration;
    private EpollIoOps interest;
    private State state = State.CONNECTING;
    private ConnectFailure failure;

    private boolean failed;

    NativeHostStream(NativeHostSockets owner, Listener listener, int fd, boolean ipv6) {
        this.owner = owner;
        this.sockets = owner.sockets();
        this.listener = listener;
        this.fd = fd;
        this.ipv6 = ipv6;
        this.toHost = new NativeToHost(this, owner, listener, fd);
        this.fromHost = new NativeFromHost(this, owner, fd);
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
        if (!register(ALL)) {
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
        if (register(ENDS)) {
            // No event tells of what has come before the guest takes the connection.
            fromHost.readable();
        } else {
            ioFailed(0);
        }
    }

    private boolean register(EpollIoOps first) {
        descriptor = new OwnedDescriptor(fd);
        Future<IoRegistration> registered = owner.loop().register(this);
        if (!registered.isSuccess()) {
            return false;
        }
        registration = registered.getNow();
        listen(first);
        return true;
    }

    private void listen(EpollIoOps ops) {
        interest = ops;
        registration.submit(ops);
    }

    /** The kernel's buffer is full: it is to tell when it no longer is. */
    void awaitWritable() {
        if (interest != ALL && state == State.OPEN && !failed) {
            listen(ALL);
        }
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
            fromHost.peerClosed();
        }
        if ((ops & (READABLE | PEER_CLOSED | HANG_UP)) != 0) {
            fromHost.readable();
            listener.readable();
        }
        if ((ops & WRITABLE) != 0) {
            toHost.writable();
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
        return state == State.CLOSED ? 0 : toHost.room();
    }

    @Override
    public void write(MemorySegment source, long offset, int length) {
        // Else the descriptor may be somebody else's by now, or will never take these bytes: the end is under way.
        if (state != State.CLOSED && !failed) {
            toHost.write(source, offset, length);
        }
    }

    @Override
    public void flush() {
        if (state != State.CLOSED) {
            toHost.flush();
        }
    }

    @Override
    public long taken() {
        return toHost.taken();
    }

    @Override
    public void shutdownOutput() {
        if (state != State.CLOSED) {
            toHost.shutDown();
        }
    }

    @Override
    public boolean isOutputShutdown() {
        return toHost.isShutdown();
    }

    /** Bytes that wait for the host's kernel. */
    int heldFromGuest() {
        return toHost.heldFromGuest();
    }

    /** Whether the host's kernel has taken nothing for so long that its peer must be thought of as one that hangs. */
    boolean isStalled(long now) {
        return toHost.isStalled(now);
    }

    // --- host to guest ------------------------------------------------------------------------------------------

    @Override
    public int peek(long position, MemorySegment target, long offset, int length) {
        return peek(position, target, offset, length, length, 0);
    }

    @Override
    public int peek(long position, MemorySegment target, long offset, int length, int piece, int distance) {
        if (state == State.CLOSED) {
            return 0;
        }
        if (interest == ENDS) {
            listen(INPUT);
        }
        return fromHost.peek(position, target, offset, length, piece, distance);
    }

    @Override
    public void discard(long position) {
        if (state != State.CLOSED) {
            fromHost.discard(position);
        }
    }

    /** The turn ends. */
    void dropNow() {
        if (state != State.CLOSED) {
            fromHost.dropNow();
        }
    }

    // --- the end ------------------------------------------------------------------------------------------------

    boolean isOpen() {
        return state == State.OPEN;
    }

    /** Whether the connection is lost, and the listener is about to hear of it. */
    boolean isFailed() {
        return failed;
    }

    /**
     * The connection is lost: from here on nothing more counts as taken, and the host sees no end but a reset.
     *
     * @param lost bytes neither in the kernel, nor held, nor waiting for the end of the turn
     */
    void ioFailed(long lost) {
        if (!failed) {
            toHost.failed(lost);
            failed = true;
            owner.loop().execute(this);
        }
    }

    /** Gives the connection up by our own decision: its peer sees a reset, and the listener hears of it later. */
    void shed() {
        ioFailed(0);
        toHost.letGoOfHeld();
    }

    @Override
    public void reset() {
        if (state == State.CLOSED) {
            return;
        }
        // Where both ends have been seen and passed on, no reset is left to be sent.
        boolean overAlready = toHost.isShutdown() && fromHost.hasEnded() && !failed;
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
        if (failed || toHost.hasUnwritten()) {
            // The host must not take for an end in order what lacks bytes.
            reset();
            return;
        }
        fromHost.dropAcknowledged();
        release();
        if (!toHost.isShutdown()) {
            sockets.endOnClose(fd);
        }
        sockets.close(fd);
    }

    private void release() {
        state = State.CLOSED;
        if (registration != null) {
            descriptor.closing();
            try {
                registration.cancel();
            } catch (OutOfMemoryError e) {
                // The descriptor has to be closed all the same, which takes it out of the kernel's set.
                owner.failed(e);
            }
        }
        fromHost.release();
        toHost.release();
        owner.closed(this);
    }
}
