package dev.slipway.ethernet;

import dev.slipway.ethernet.PacketOutput.Outcome;
import dev.slipway.ethernet.SocketPathException.Reason;
import dev.slipway.posix.Errno;
import dev.slipway.posix.ReceiveBatch;
import dev.slipway.posix.SocketAddress;
import dev.slipway.posix.Sockets;
import dev.slipway.wire.EthernetFrame;
import dev.slipway.wire.Frame;
import io.netty.channel.EventLoop;
import io.netty.channel.IoEvent;
import io.netty.channel.IoEventLoop;
import io.netty.channel.IoRegistration;
import io.netty.channel.epoll.EpollIoEvent;
import io.netty.channel.epoll.EpollIoHandle;
import io.netty.channel.epoll.EpollIoOps;
import io.netty.channel.unix.FileDescriptor;
import io.netty.util.concurrent.Future;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Frames as packets, one each, on a Unix socket: datagrams of QEMU and vfkit, or connections of BESS. Unless there is an
 * {@link Offload}, large units are cut and checksums completed here.
 *
 * <p><b>Datagrams.</b> The guest's side has a name of its own; the first that sends from one is the guest, and the socket
 * is connected to it. From then on the kernel refuses what others send, and makes the guest wait rather than lose frames.
 * Nothing tells that the guest's socket is closed, so while the guest is silent the connection is made anew every
 * {@link #WATCH_MILLIS}: that fails when the socket is gone, and finds a new one of the same name. An old vfkit greets
 * with a datagram that begins with {@code VFKT}; a greeting is no frame.
 *
 * <p><b>Connections.</b> One at a time. The next one waits {@link StreamLink#GRACE_MILLIS} for the end of the one before,
 * or until another comes, and is then closed and counted.
 *
 * <p>Descriptors that somebody sends along are let go of by the kernel, because nothing is asked for beside the bytes.
 *
 * <p>Limits: frames of up to {@link Frame#MAX_LENGTH} bytes; a longer one is dropped and counted. At most {@value
 * #BATCHES_PER_TURN} calls of {@value ReceiveBatch#SLOTS} packets are received in one turn of the event loop. 1 MiB is
 * queued to the guest, and 256 KiB of frames that cannot wait; beyond that a frame is dropped and counted. Linux only.
 */
public final class PacketLink implements GuestLink {

    /** How often a guest that is silent is looked for, in milliseconds. */
    static final int WATCH_MILLIS = 100;

    private static final int SEND_BUFFER = 1 << 20;
    private static final int RECEIVE_BUFFER = 4 << 20;
    private static final int ACCEPT_PAUSE_MILLIS = 1000;
    private static final int RETRY_MILLIS = 50;
    private static final int BATCHES_PER_TURN = 4;
    private static final int MODE = 0600;
    private static final int BACKLOG = 16;
    private static final int NONE = -1;

    /** EPOLLHUP, which is reported unasked (sys/epoll.h). */
    private static final int HANG_UP = 0x10;

    private static final EpollIoOps READ =
            EpollIoOps.valueOf(EpollIoOps.EPOLLIN.value() | EpollIoOps.EPOLLRDHUP.value());
    private static final EpollIoOps READ_AND_WRITE = EpollIoOps.valueOf(READ.value() | EpollIoOps.EPOLLOUT.value());

    private static final int GREETING = 0x5646_4B54; // VFKT
    private static final ValueLayout.OfInt BIG_ENDIAN_INT =
            ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.BIG_ENDIAN);

    private static final Logger LOG = LoggerFactory.getLogger(PacketLink.class);

    /** What packets are like. */
    public enum Kind {
        /** Datagrams. */
        DATAGRAMS(Sockets.SOCK_DGRAM),
        /** Datagrams, perhaps after a greeting that is one. */
        GREETED_DATAGRAMS(Sockets.SOCK_DGRAM),
        /** Connections that keep the bounds of packets. */
        CONNECTIONS(Sockets.SOCK_SEQPACKET);

        private final int type;

        Kind(int type) {
            this.type = type;
        }
    }

    private final EventLoop loop;
    private final Kind kind;
    private final Offload offload;
    private final int longestPlain;
    private final Sockets sockets = new Sockets();
    private final LinkCounters counters = new LinkCounters();
    private final GuestEvents events;
    private final ReceiveBatch received = ReceiveBatch.ofUnixSocket();
    private final PacketOutput output;
    private final Frame frame = new Frame();
    private final SocketAddress peer = new SocketAddress();
    private final SocketAddress connected = new SocketAddress().clear();
    private final SocketAddress stranger = new SocketAddress();

    private String place = "";
    private UnixSocketPath socketFile;
    /** The socket that is bound; a guest's own is another one if packets come on connections. */
    private Registered bound;

    private Registered guest;
    private Future<?> watch;
    private int waiting = NONE;
    private Future<?> patience;
    private long framesAtLastLook;
    private boolean mixed;
    private boolean full;
    private boolean retrying;
    private boolean toldOfStrangers;
    private boolean goingDown;
    private boolean closed;

    /**
     * Makes a link without a socket.
     *
     * @param loop the event loop that owns it, on epoll
     * @param offload what the guest's card leaves undone of its frames
     * @param mtu bytes of the largest IP packet that the guest takes
     */
    public PacketLink(EventLoop loop, Kind kind, Offload offload, int mtu) {
        this.loop = loop;
        this.kind = kind;
        this.offload = offload;
        longestPlain = mtu + EthernetFrame.HEADER_LENGTH;
        events = new GuestEvents(loop, counters, () -> guest != null);
        output = new PacketOutput(offload, longestPlain, counters, events::postReady);
    }

    /** The same for a guest whose card leaves nothing undone. */
    public PacketLink(EventLoop loop, Kind kind, int mtu) {
        this(loop, kind, Offload.NONE, mtu);
    }

    /**
     * Makes a Unix socket of mode 0600. To be called once, from any thread; the receiver's methods run on the event loop,
     * none from within a method of this link.
     *
     * @throws SocketPathException if no socket can be made there; a stale one, which nobody has open, is replaced
     */
    public void listen(Path path, Receiver to) throws SocketPathException {
        OnLoop.run(loop, path.toString(), () -> listenOnLoop(path, to));
    }

    /**
     * Takes over a connected socket that this process was given, whose peer is the guest. To be called once, from any
     * thread.
     *
     * @param fd of a Unix socket, datagram or seqpacket; closed with the link
     * @param name for messages
     */
    public void adopt(int fd, String name, Receiver to) throws SocketPathException {
        OnLoop.run(loop, name, () -> {
            events.to(to);
            place = name;
            peer.clear();
            sockets.adopt(fd);
            prepare(fd);
            try {
                attach(new Registered(fd, this::guestEvent));
            } catch (IllegalStateException e) {
                sockets.close(fd);
                throw e;
            }
        });
    }

    private void listenOnLoop(Path path, Receiver to) throws SocketPathException {
        UnixSocketPath prepared = UnixSocketPath.prepareInPlace(path);
        int fd = sockets.open(Sockets.AF_UNIX, kind.type);
        check(path, fd);
        try {
            sockets.setMode(fd, MODE);
            check(path, sockets.bind(fd, new SocketAddress().set(path)));
            prepared.publish();
            if (kind == Kind.CONNECTIONS) {
                check(path, sockets.listen(fd, BACKLOG));
            } else {
                prepare(fd);
            }
            bound = new Registered(fd, kind == Kind.CONNECTIONS ? this::acceptable : this::guestEvent);
        } catch (SocketPathException | RuntimeException e) {
            sockets.close(fd);
            prepared.remove();
            throw e;
        }
        events.to(to);
        place = path.toString();
        socketFile = prepared;
        bound.want(EpollIoOps.EPOLLIN);
    }

    private static void check(Path path, int result) throws SocketPathException {
        if (result < 0) {
            throw new SocketPathException(path, Reason.REFUSED, "cannot listen on it: " + Errno.name(-result));
        }
    }

    private void prepare(int fd) {
        // The kernel gives what its own limits allow.
        sockets.setOption(fd, Sockets.SOL_SOCKET, Sockets.SO_SNDBUF, SEND_BUFFER);
        sockets.setOption(fd, Sockets.SOL_SOCKET, Sockets.SO_RCVBUF, RECEIVE_BUFFER);
    }

    // --- connections --------------------------------------------------------------------------------------------

    private void acceptable(int events) {
        int fd = sockets.accept(bound.number());
        while (fd >= 0) {
            arrived(fd);
            if (closed) {
                return;
            }
            fd = sockets.accept(bound.number());
        }
        if (fd == -Errno.EMFILE || fd == -Errno.ENFILE || fd == -Errno.ENOMEM || fd == -Errno.ENOBUFS) {
            // The connection waits in the kernel: ask again later rather than spin.
            counters.refusedConnection();
            bound.want(EpollIoOps.EPOLLERR);
            loop.schedule(
                    () -> {
                        if (!closed) {
                            bound.want(EpollIoOps.EPOLLIN);
                        }
                    },
                    ACCEPT_PAUSE_MILLIS,
                    TimeUnit.MILLISECONDS);
        }
    }

    private void arrived(int fd) {
        if (guest == null) {
            attachConnection(fd);
            return;
        }
        if (waiting != NONE) {
            // Whose end nobody has noticed yet, if it is the same VM that comes again and again.
            refuseWaiting();
        }
        waiting = fd;
        patience = loop.schedule(this::refuseWaiting, StreamLink.GRACE_MILLIS, TimeUnit.MILLISECONDS);
    }

    private void refuseWaiting() {
        counters.refusedConnection();
        dismissWaiting();
    }

    private void dismissWaiting() {
        if (waiting != NONE) {
            patience.cancel(false);
            sockets.close(waiting);
            waiting = NONE;
        }
    }

    private void attachConnection(int fd) {
        prepare(fd);
        try {
            attach(new Registered(fd, this::guestEvent));
        } catch (IllegalStateException e) {
            counters.refusedConnection();
            sockets.close(fd);
        }
    }

    private void attach(Registered registered) {
        guest = registered;
        full = false;
        framesAtLastLook = counters.framesFromGuest();
        output.open();
        counters.connection();
        events.attached();
        wantMore();
    }

    // --- datagrams ----------------------------------------------------------------------------------------------

    /** Whether the sender of a datagram is the guest, or is from now on. */
    private boolean isGuest(int index) {
        if (guest != null) {
            if (!mixed || received.isFrom(index, peer)) {
                return true;
            }
            counters.refusedConnection();
            return false;
        }
        received.source(index, stranger);
        int result = stranger.isNamed() ? sockets.connect(bound.number(), stranger) : -Errno.ENOTCONN;
        if (result < 0) {
            counters.refusedConnection();
            if (!toldOfStrangers) {
                toldOfStrangers = true;
                LOG.warn(
                        "{}: a frame came from {}; later ones are only counted",
                        place,
                        stranger.isNamed()
                                ? stranger.path() + ", where nothing can be sent to (" + Errno.name(-result) + ")"
                                : "a socket without a name, which cannot be answered: it must be bound to a path");
            }
            return false;
        }
        received.source(index, peer);
        mixed = true;
        watch = loop.scheduleWithFixedDelay(this::look, WATCH_MILLIS, WATCH_MILLIS, TimeUnit.MILLISECONDS);
        attach(bound);
        return guest != null;
    }

    /** Whether a guest that is silent is still there; if one with the same name took its place, it is the guest. */
    private void look() {
        if (guest == null) {
            return;
        }
        long frames = counters.framesFromGuest();
        if (frames == framesAtLastLook) {
            int result = sockets.connect(guest.number(), peer);
            if (result < 0 && result != -Errno.EAGAIN && result != -Errno.EINTR) {
                gone("the guest's socket " + peer.path() + " is gone (" + Errno.name(-result) + ")");
            }
        }
        framesAtLastLook = frames;
    }

    // --- from the guest -----------------------------------------------------------------------------------------

    private void guestEvent(int events) {
        if ((events & EpollIoOps.EPOLLOUT.value()) != 0 && full) {
            full = false;
            flush();
        }
        if ((events & ~EpollIoOps.EPOLLOUT.value()) != 0) {
            readable((events & (EpollIoOps.EPOLLRDHUP.value() | HANG_UP)) != 0);
        }
        if (guest != null) {
            wantMore();
        }
    }

    private void readable(boolean ended) {
        for (int batch = 0; batch < BATCHES_PER_TURN && !closed; batch++) {
            Registered from = guest != null ? guest : bound;
            if (from == null) {
                return;
            }
            int count = sockets.receive(from.number(), received);
            if (count < 0) {
                mixed = false;
                failed(count, ended);
                return;
            }
            String end = deliver(count, ended);
            endOfBatch();
            if (end != null) {
                gone(end);
                return;
            }
            if (count < ReceiveBatch.SLOTS) {
                return;
            }
        }
    }

    private void failed(int error, boolean ended) {
        if (error == -Errno.EAGAIN || error == -Errno.EINTR || error == -Errno.ENOMEM || error == -Errno.ENOBUFS) {
            return;
        }
        if (guest != null) {
            gone(
                    ended && error == -Errno.ECONNRESET
                            ? "the guest closed the connection with frames unread"
                            : "the connection failed: " + Errno.name(-error));
        }
    }

    /** Hands over what was received: null, or why the guest is gone. */
    private String deliver(int count, boolean ended) {
        for (int i = 0; i < count && !closed; i++) {
            int length = received.length(i);
            if (kind == Kind.CONNECTIONS || bound == null) {
                if (guest == null) {
                    return null;
                }
                if (length == 0 && ended) {
                    return "the guest closed the connection";
                }
            } else if (!isGuest(i)) {
                continue;
            }
            if (received.isCut(i) || length > Frame.MAX_LENGTH + offload.headerLength()) {
                counters.skippedOversize();
            } else if (!isGreeting(i, length)) {
                deliver(received.offset(i), length);
            }
        }
        return null;
    }

    private void deliver(long at, int length) {
        if (offload.read(received.memory(), at, length, frame, longestPlain)) {
            counters.fromGuest(frame.length());
            events.frame(frame);
        } else {
            counters.badOffload();
        }
    }

    /** An old vfkit's first datagram; shorter than any frame, also when it comes again from a guest that was restarted. */
    private boolean isGreeting(int index, int length) {
        return kind == Kind.GREETED_DATAGRAMS
                && length >= 4
                && (length < EthernetFrame.HEADER_LENGTH || counters.framesFromGuest() == framesAtAttach())
                && received.memory().get(BIG_ENDIAN_INT, received.offset(index)) == GREETING;
    }

    private long framesAtAttach() {
        return guest == null ? NONE : guest.framesBefore;
    }

    private void endOfBatch() {
        if (closed) {
            return;
        }
        events.endOfBatch();
    }

    private void gone(String reason) {
        if (guest == null) {
            return;
        }
        release();
        events.detached(reason);
        if (closed) {
            return;
        }
        if (waiting != NONE && guest == null) {
            int next = waiting;
            waiting = NONE;
            patience.cancel(false);
            attachConnection(next);
        } else if (guest == null && bound != null) {
            bound.want(EpollIoOps.EPOLLIN);
        }
    }

    private void release() {
        Registered old = guest;
        guest = null;
        output.close();
        if (watch != null) {
            watch.cancel(false);
            watch = null;
        }
        if (old != bound) {
            old.close();
        } else {
            // What is still queued is the old guest's, and the kernel throws it away with this.
            sockets.connect(bound.number(), stranger.unspecified());
        }
    }

    // --- to the guest -------------------------------------------------------------------------------------------

    @Override
    public int room() {
        return output.room();
    }

    @Override
    public Frame begin(int capacity) {
        return output.begin(capacity);
    }

    @Override
    public void send(Frame sent) {
        output.send(sent);
    }

    @Override
    public void flush() {
        if (guest == null || full) {
            return;
        }
        Outcome outcome = output.flush(sockets, guest.number(), connected);
        if (outcome == Outcome.GONE && peer.isNamed() && sockets.connect(guest.number(), peer) == 0) {
            // Another socket has the name by now.
            outcome = output.flush(sockets, guest.number(), connected);
        }
        switch (outcome) {
            case EMPTY -> full = false;
            case FULL -> {
                full = true;
                wantMore();
                retryLater();
            }
            case GONE -> goneLater();
        }
    }

    /** For the rare want of memory, of which no event tells the end. */
    private void retryLater() {
        if (!retrying) {
            retrying = true;
            loop.schedule(
                    () -> {
                        retrying = false;
                        if (guest != null && full) {
                            full = false;
                            flush();
                        }
                    },
                    RETRY_MILLIS,
                    TimeUnit.MILLISECONDS);
        }
    }

    /** Not from within a call of the receiver's own. */
    private void goneLater() {
        if (!goingDown) {
            goingDown = true;
            Registered whose = guest;
            String reason = "nothing can be sent to the guest any more (" + Errno.name(output.error()) + ")";
            loop.execute(() -> {
                goingDown = false;
                if (guest == whose) {
                    gone(reason);
                }
            });
        }
    }

    private void wantMore() {
        if (guest != null) {
            guest.want(full ? READ_AND_WRITE : READ);
        }
    }

    // --- for others ---------------------------------------------------------------------------------------------

    @Override
    public boolean isAttached() {
        return guest != null;
    }

    @Override
    public LinkCounters counters() {
        return counters;
    }

    /** Closes all sockets and removes the path. No event follows. From any thread. */
    @Override
    public void close() {
        if (!loop.inEventLoop()) {
            loop.execute(this::close);
            return;
        }
        if (closed) {
            return;
        }
        closed = true;
        dismissWaiting();
        if (guest != null) {
            release();
        }
        if (bound != null) {
            bound.close();
            socketFile.remove();
        }
    }

    /** What happens to a descriptor; the argument says what, in the bits of epoll. */
    private interface Happening {
        void happened(int events);
    }

    /** A descriptor on the event loop. */
    private final class Registered implements EpollIoHandle {

        private final FileDescriptor descriptor;
        private final Happening happening;
        private final IoRegistration registration;
        private final long framesBefore = counters.framesFromGuest();
        private int wanted;
        private boolean shut;

        /** Not closed if this fails. */
        Registered(int fd, Happening happening) {
            this.descriptor = new FileDescriptor(fd);
            this.happening = happening;
            Future<IoRegistration> registered = ((IoEventLoop) loop).register(this);
            if (!registered.isSuccess()) {
                throw new IllegalStateException("not registered with the event loop", registered.cause());
            }
            registration = registered.getNow();
        }

        void want(EpollIoOps ops) {
            if (!shut && wanted != ops.value()) {
                wanted = ops.value();
                registration.submit(ops);
            }
        }

        int number() {
            return descriptor.intValue();
        }

        @Override
        public FileDescriptor fd() {
            return descriptor;
        }

        @Override
        public void handle(IoRegistration ignored, IoEvent event) {
            if (!shut) {
                happening.happened(((EpollIoEvent) event).ops().value());
            }
        }

        /** Called by the loop too, when it ends. */
        @Override
        public void close() {
            if (!shut) {
                shut = true;
                registration.cancel();
                sockets.close(descriptor.intValue());
            }
        }
    }
}
