package dev.slipway.ethernet;

import dev.slipway.ethernet.PacketOutput.Outcome;
import dev.slipway.posix.Errno;
import dev.slipway.posix.ReceiveBatch;
import dev.slipway.posix.SocketAddress;
import dev.slipway.posix.Sockets;
import dev.slipway.wire.EthernetFrame;
import dev.slipway.wire.Frame;
import io.netty.channel.EventLoop;
import io.netty.channel.epoll.EpollIoOps;
import io.netty.util.concurrent.Future;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;

/**
 * Frames as packets, one each, on a Unix socket: datagrams of QEMU and vfkit, or connections of BESS. Unless there is an
 * {@link Offload}, large units are cut and checksums completed here.
 *
 * <p><b>Datagrams.</b> Who the guest is, {@link DatagramPeer} says; one that is silent is looked for every {@link
 * #WATCH_MILLIS}. An old vfkit greets with a datagram that begins with {@code VFKT}; a greeting is no frame.
 *
 * <p><b>Connections.</b> One at a time, by an {@link Acceptor}.
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
    private static final int RETRY_MILLIS = 50;
    private static final int BATCHES_PER_TURN = 4;

    /** EPOLLHUP, which is reported unasked (sys/epoll.h). */
    private static final int HANG_UP = 0x10;

    private static final EpollIoOps READ =
            EpollIoOps.valueOf(EpollIoOps.EPOLLIN.value() | EpollIoOps.EPOLLRDHUP.value());
    private static final EpollIoOps READ_AND_WRITE = EpollIoOps.valueOf(READ.value() | EpollIoOps.EPOLLOUT.value());

    private static final int GREETING = 0x5646_4B54; // VFKT
    private static final ValueLayout.OfInt BIG_ENDIAN_INT =
            ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.BIG_ENDIAN);

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
    private final SocketAddress connected = new SocketAddress().clear();
    private final DatagramPeer peer;
    private final Acceptor acceptor;

    private String place = "";
    /** The socket on which all datagrams come; null if they come on connections, or on a socket that was adopted. */
    private BoundSocket bound;

    private LoopDescriptor guest;
    private Future<?> watch;
    private boolean full;
    private boolean retrying;
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
        peer = new DatagramPeer(sockets, counters);
        acceptor = new Acceptor(loop, sockets, counters, new Connections());
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
            peer.unnamed();
            sockets.adopt(fd);
            prepare(fd);
            try {
                attach(new LoopDescriptor(loop, sockets, fd, READ, this::guestEvent));
            } catch (IllegalStateException e) {
                sockets.close(fd);
                throw e;
            }
        });
    }

    private void listenOnLoop(Path path, Receiver to) throws SocketPathException {
        if (kind == Kind.CONNECTIONS) {
            acceptor.listen(path, kind.type);
        } else {
            bound = BoundSocket.open(loop, sockets, path, kind.type, this::guestEvent);
            prepare(bound.descriptor().number());
        }
        events.to(to);
        place = path.toString();
    }

    private void prepare(int fd) {
        // The kernel gives what its own limits allow.
        sockets.setOption(fd, Sockets.SOL_SOCKET, Sockets.SO_SNDBUF, SEND_BUFFER);
        sockets.setOption(fd, Sockets.SOL_SOCKET, Sockets.SO_RCVBUF, RECEIVE_BUFFER);
    }

    /** Guests that come on connections. */
    private final class Connections implements Acceptor.Link {

        @Override
        public boolean isTaken() {
            return guest != null;
        }

        @Override
        public void connected(int fd) {
            prepare(fd);
            try {
                attach(new LoopDescriptor(loop, sockets, fd, READ, PacketLink.this::guestEvent));
            } catch (IllegalStateException e) {
                counters.refusedConnection();
                sockets.close(fd);
            }
        }
    }

    private void attach(LoopDescriptor descriptor) {
        guest = descriptor;
        full = false;
        peer.watch();
        output.open();
        counters.connection();
        events.attached();
        wantMore();
    }

    // --- datagrams ----------------------------------------------------------------------------------------------

    /** Whether the sender of a datagram is the guest, or is from now on. */
    private boolean isGuest(int index) {
        if (guest != null) {
            return peer.hasSent(received, index);
        }
        LoopDescriptor socket = bound.descriptor();
        if (!peer.meet(place, socket.number(), received, index)) {
            return false;
        }
        watch = loop.scheduleWithFixedDelay(this::look, WATCH_MILLIS, WATCH_MILLIS, TimeUnit.MILLISECONDS);
        attach(socket);
        return guest != null;
    }

    /** Whether a guest that is silent is still there; if one with the same name took its place, it is the guest. */
    private void look() {
        String end = guest == null ? null : peer.look(guest.number());
        if (end != null) {
            gone(end);
        }
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
            LoopDescriptor from = guest != null || bound == null ? guest : bound.descriptor();
            if (from == null) {
                return;
            }
            int count = sockets.receive(from.number(), received);
            if (count < 0) {
                peer.drained();
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
            if (bound == null) {
                if (guest == null) {
                    return null;
                }
                if (length == 0 && isEnd(i, count, ended)) {
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

    /**
     * Whether an empty packet is the end of the connection. The kernel shows both alike, and the end again in each slot
     * that is left; and the guest may have closed since the event came.
     */
    private boolean isEnd(int index, int count, boolean ended) {
        for (int i = index + 1; i < count; i++) {
            if (received.length(i) > 0) {
                return false;
            }
        }
        return ended || sockets.isPeerDone(guest.number());
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
                && (length < EthernetFrame.HEADER_LENGTH || counters.framesFromGuest() == 0)
                && received.memory().get(BIG_ENDIAN_INT, received.offset(index)) == GREETING;
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
        if (guest == null && bound != null) {
            bound.descriptor().want(LoopDescriptor.READ);
        }
        acceptor.next();
    }

    private void release() {
        LoopDescriptor old = guest;
        guest = null;
        output.close();
        if (watch != null) {
            watch.cancel(false);
            watch = null;
        }
        if (bound != null) {
            peer.part(old.number());
        } else {
            old.close();
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
        if (outcome == Outcome.GONE && peer.isBack(guest.number())) {
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
            LoopDescriptor whose = guest;
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
        if (guest != null) {
            release();
        }
        acceptor.close();
        if (bound != null) {
            bound.close();
        }
    }
}
