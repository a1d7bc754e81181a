package dev.slipway.ethernet;

import dev.slipway.ethernet.SocketPathException.Reason;
import dev.slipway.wire.EthernetFrame;
import dev.slipway.wire.Frame;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.netty.channel.Channel;
import io.netty.channel.ChannelFuture;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.channel.ChannelOption;
import io.netty.channel.EventLoop;
import io.netty.channel.ReflectiveChannelFactory;
import io.netty.channel.socket.SocketChannel;
import io.netty.util.AttributeKey;
import io.netty.util.concurrent.ScheduledFuture;
import java.net.InetSocketAddress;
import java.net.SocketAddress;
import java.nio.file.Path;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Frames in a stream, each behind its length ({@link StreamFraming}), perhaps after a {@link Handshake}: on a listening
 * Unix socket or TCP port. Unless there is an {@link Offload}, large units are cut and checksums completed here.
 *
 * <p>One guest at a time. Whoever connects while one is attached waits for {@link #GRACE_MILLIS}: if the old
 * connection ends meanwhile (a VM that crashed and was started again may be back before its end was read) the newcomer
 * is attached, else, or if another comes, it is closed and counted; a connection that is still in its handshake by then gives way to it. The
 * end of a connection is noticed at once, and the link listens on.
 *
 * <p>Limits: frames of up to {@link Frame#MAX_LENGTH} bytes are handed over, those of up to 128 KiB are stepped over
 * and counted, a longer length ends the connection. 1 to 4 MiB are queued to the guest ({@link QueueLimit}), and 256 KiB of
 * frames that cannot wait; beyond that a frame is dropped and counted. At most 2 MiB are read in one turn of the event loop. A
 * handshake takes {@link #HANDSHAKE_MILLIS} at most.
 */
public final class StreamLink implements GuestLink {

    /** How long a second connection waits for the end of the first, in milliseconds. */
    public static final int GRACE_MILLIS = 250;

    /** How long a handshake may take, in milliseconds. */
    public static final int HANDSHAKE_MILLIS = 5_000;

    /** What the kernel is asked to hold for a guest that reads slower than frames come, in bytes. */
    private static final int SEND_BUFFER = 4 << 20;

    /** The longest that accepting rests when the process has no descriptor left, in milliseconds. */
    private static final int ACCEPT_PAUSE_MILLIS = 1000;

    private static final AttributeKey<byte[]> EARLY = AttributeKey.valueOf(StreamLink.class, "early");

    private static final Logger LOG = LoggerFactory.getLogger(StreamLink.class);

    private final EventLoop loop;
    private final Transport transport;
    private final StreamFraming framing;
    private final Optional<Handshake.Factory> handshakes;
    private final LinkCounters counters = new LinkCounters();
    private final GuestEvents events;
    private final StreamInput input;
    private final StreamOutput output;

    private String place = "";
    private UnixSocketPath socketFile;
    private Channel server;
    private Channel guest;
    private Channel waiting;
    private ScheduledFuture<?> patience;
    /** What is left to be said before frames; null when a guest is attached, or nobody is there. */
    private Handshake handshake;

    private ScheduledFuture<?> handshakeEnd;
    private int handshakeMillis = HANDSHAKE_MILLIS;
    private byte[] step;
    private String lastRefusal = "";
    private boolean closed;

    /**
     * Makes a link that does not listen yet.
     *
     * @param loop the event loop that owns it, of the given transport
     * @param framing how frames stand in the stream
     * @param offload what the guest's card leaves undone of its frames
     * @param handshakes what is said before them, if anything is
     * @param mtu bytes of the largest IP packet that the guest takes
     */
    private StreamLink(
            EventLoop loop,
            Transport transport,
            StreamFraming framing,
            Offload offload,
            Optional<Handshake.Factory> handshakes,
            int mtu) {
        this.loop = loop;
        this.transport = transport;
        this.framing = framing;
        this.handshakes = handshakes;
        events = new GuestEvents(loop, counters, () -> guest != null);
        int longestPlain = mtu + EthernetFrame.HEADER_LENGTH;
        this.input = new StreamInput(framing, offload, longestPlain, counters);
        this.output = new StreamOutput(
                framing, offload, longestPlain, counters, new QueueLimit(System::nanoTime), events::postReady);
    }

    /**
     * A link without a handshake, which does not listen yet.
     *
     * @param loop the event loop that owns it, of the given transport
     * @param mtu bytes of the largest IP packet that the guest takes
     */
    public StreamLink(EventLoop loop, Transport transport, StreamFraming framing, int mtu) {
        this(loop, transport, framing, Offload.NONE, Optional.empty(), mtu);
    }

    /** A link without a handshake in QEMU's framing, to a guest whose card may leave things undone. */
    public static StreamLink qemu(EventLoop loop, Transport transport, Offload offload, int mtu) {
        return new StreamLink(loop, transport, StreamFraming.QEMU, offload, Optional.empty(), mtu);
    }

    /** A link in VPNKit's protocol, with its handshake. */
    public static StreamLink vpnkit(
            EventLoop loop, Transport transport, VpnkitHandshake.Identities identities, int mtu) {
        return new StreamLink(
                loop,
                transport,
                StreamFraming.HYPERKIT,
                Offload.NONE,
                Optional.of(VpnkitHandshake.vpnkit(mtu, identities)),
                mtu);
    }

    /** A link for HyperKit as gvproxy serves it: VPNKit's handshake, of which nothing is checked. */
    public static StreamLink hyperkit(
            EventLoop loop, Transport transport, VpnkitHandshake.Identities identities, int mtu) {
        return new StreamLink(
                loop,
                transport,
                StreamFraming.HYPERKIT,
                Offload.NONE,
                Optional.of(VpnkitHandshake.gvproxy(mtu, identities)),
                mtu);
    }

    /**
     * Listens on a Unix socket of mode 0600. To be called once, from any thread; the receiver's methods run on the
     * event loop, none from within a method of this link.
     *
     * @throws SocketPathException if no socket can be made there; a stale one, on which nobody listens, is replaced
     */
    public void listen(Path path, Receiver to) throws SocketPathException {
        OnLoop.run(loop, path.toString(), () -> listenOnLoop(path, to));
    }

    /**
     * Listens on a TCP port. Whoever can connect to it is the guest, so it should be one of this machine's loopback. To
     * be called once, from any thread; the receiver's methods run on the event loop.
     *
     * @param at an address of this machine, resolved, and a port; 0 for any free one
     * @return where it listens
     * @throws SocketPathException if it cannot
     */
    public InetSocketAddress listen(InetSocketAddress at, Receiver to) throws SocketPathException {
        String name = at.getAddress().getHostAddress() + ":" + at.getPort();
        OnLoop.run(loop, name, () -> {
            Channel listening = new ReflectiveChannelFactory<>(transport.tcpServerChannel()).newChannel();
            listening.config().setOption(ChannelOption.SO_REUSEADDR, true);
            bind(listening, at, name);
            begin(name, listening, to);
        });
        return (InetSocketAddress) server.localAddress();
    }

    /**
     * Takes over a stream socket that this process was given: one that is connected to the guest, or one that listens. To
     * be called once, from any thread.
     *
     * @param name for messages
     */
    public void adopt(InheritedSocket socket, String name, Receiver to) throws SocketPathException {
        OnLoop.run(loop, name, () -> {
            Channel channel = transport.adopt(socket.descriptor(), socket.unix(), socket.listening());
            if (!socket.listening()) {
                begin(name, null, to);
                attach(channel);
                return;
            }
            channel.pipeline().addLast(new Accepting());
            ChannelFuture registered = loop.register(channel);
            if (!registered.isSuccess()) {
                channel.close();
                throw new SocketPathException(name, Reason.REFUSED, "cannot wait for connections", registered.cause());
            }
            begin(name, channel, to);
        });
    }

    /**
     * Listens nowhere: connections are handed over by {@link #hand}. To be called once, from any thread.
     *
     * @param name for messages
     */
    public void serve(String name, Receiver to) throws SocketPathException {
        OnLoop.run(loop, name, () -> begin(name, null, to));
    }

    /**
     * Hands over a connection that was made elsewhere, as one that a listening socket has accepted. From any thread.
     *
     * @param connection of the link's transport, registered with no event loop, its pipeline empty
     * @param early what was read from it already
     */
    public void hand(Channel connection, byte[] early) {
        connection.attr(EARLY).set(early);
        loop.execute(() -> arrived(connection));
    }

    private void listenOnLoop(Path path, Receiver to) throws SocketPathException {
        UnixSocketPath prepared = UnixSocketPath.prepare(path);
        Channel listening = new ReflectiveChannelFactory<>(transport.unixServerChannel()).newChannel();
        try {
            bind(listening, transport.unixAddress(prepared.bindTo()), path.toString());
        } catch (SocketPathException e) {
            prepared.abandon();
            throw e;
        }
        try {
            prepared.publish();
        } catch (SocketPathException e) {
            listening.close();
            throw e;
        }
        socketFile = prepared;
        begin(path.toString(), listening, to);
    }

    /** On the loop's own thread, where both steps are done when they return. */
    private void bind(Channel listening, SocketAddress at, String name) throws SocketPathException {
        if (closed || server != null) {
            throw new IllegalStateException(closed ? "the link is closed" : "the link listens already");
        }
        listening.pipeline().addLast(new Accepting());
        ChannelFuture done = loop.register(listening);
        if (done.isSuccess()) {
            done = listening.bind(at);
        }
        if (!done.isSuccess()) {
            listening.close();
            throw new SocketPathException(
                    name, Reason.REFUSED, "cannot listen on it: " + done.cause().getMessage(), done.cause());
        }
    }

    private void begin(String name, Channel listening, Receiver to) {
        place = name;
        events.to(to);
        server = listening;
    }

    @Override
    public int room() {
        return output.room();
    }

    @Override
    public Frame begin(int capacity) {
        return output.begin(capacity);
    }

    @Override
    public void send(Frame frame) {
        output.send(frame);
    }

    @Override
    public void flush() {
        output.flush();
    }

    @Override
    public boolean isAttached() {
        return guest != null && handshake == null;
    }

    @Override
    public LinkCounters counters() {
        return counters;
    }

    /** Ends the connection, if any, stops listening and removes the socket. No event follows. From any thread. */
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
        if (server != null) {
            server.close();
            if (socketFile != null) {
                socketFile.remove();
            }
        }
        dismissWaiting();
        if (guest != null) {
            release();
        }
    }

    /** Gives the next handshakes so many milliseconds, where {@link #HANDSHAKE_MILLIS} are too long to wait. */
    void handshakeMillis(int millis) {
        handshakeMillis = millis;
    }

    /** Whether every buffer of the link is its own again; false while it is not closed. */
    boolean isReleased() {
        return closed && guest == null && input.isUnshared() && output.isUnshared();
    }

    private void arrived(Channel newcomer) {
        if (closed) {
            counters.refusedConnection();
            newcomer.unsafe().closeForcibly();
        } else if (guest == null) {
            attach(newcomer);
        } else {
            if (waiting != null) {
                // Whose end nobody has noticed yet, if it is the same VM that comes again and again.
                counters.refusedConnection();
                dismissWaiting();
            }
            waiting = newcomer;
            patience = loop.schedule(this::refuseWaiting, GRACE_MILLIS, TimeUnit.MILLISECONDS);
        }
    }

    private void refuseWaiting() {
        if (handshake != null) {
            // Who cannot say who it is does not keep out who perhaps can.
            detach(guest, "another connection came while it was in its handshake");
            return;
        }
        counters.refusedConnection();
        dismissWaiting();
    }

    private void dismissWaiting() {
        if (waiting != null) {
            patience.cancel(false);
            waiting.unsafe().closeForcibly();
            waiting = null;
        }
    }

    private void attach(Channel newcomer) {
        guest = newcomer;
        input.open();
        newcomer.config().setRecvByteBufAllocator(input);
        // The kernel gives what its own limit allows. With more on the way, both sides wake up less often.
        newcomer.config().setOption(ChannelOption.SO_SNDBUF, SEND_BUFFER);
        if (newcomer instanceof SocketChannel) {
            newcomer.config().setOption(ChannelOption.TCP_NODELAY, true);
        }
        // Reading begins in a later event, after the receiver has heard of the guest.
        newcomer.config().setAutoRead(false);
        // First, as a handler of a connection that has left another event loop would be added by that one, later.
        loop.register(newcomer);
        newcomer.pipeline().addLast(new Connection());
        if (handshakes.isPresent()) {
            handshake = handshakes.get().begin();
            handshakeEnd = loop.schedule(
                    () -> detach(newcomer, "its handshake took longer than " + handshakeMillis + " ms"),
                    handshakeMillis,
                    TimeUnit.MILLISECONDS);
        } else {
            attached(newcomer);
        }
        byte[] early = newcomer.attr(EARLY).getAndSet(null);
        if (early != null && early.length > 0) {
            newcomer.pipeline().fireChannelRead(Unpooled.wrappedBuffer(early));
        }
        if (guest == newcomer) {
            newcomer.config().setAutoRead(true);
        }
    }

    /** The connection is a guest's from now on. */
    private void attached(Channel newcomer) {
        output.open(newcomer);
        counters.connection();
        events.attached();
    }

    /**
     * Goes on with the handshake as far as what was read goes.
     *
     * @return null, or why the connection ends
     */
    private String shakeHands(Channel connection) {
        while (handshake != null && input.available() >= handshake.wanted()) {
            if (handshake.wanted() == 0) {
                endHandshake();
                attached(connection);
                return null;
            }
            if (step == null || step.length < handshake.wanted()) {
                step = new byte[handshake.wanted()];
            }
            input.take(step, handshake.wanted());
            Handshake.Step next = handshake.step(step);
            if (next.answer().length > 0) {
                connection.writeAndFlush(Unpooled.wrappedBuffer(next.answer()));
            }
            if (next.refusal() != null) {
                return next.refusal();
            }
        }
        return null;
    }

    private void endHandshake() {
        handshake = null;
        handshakeEnd.cancel(false);
    }

    /** Tells why a connection did not become a guest's, unless that was the reason last time: it may come every 100 ms. */
    private void refused(String reason) {
        counters.failedHandshake();
        if (!reason.equals(lastRefusal)) {
            lastRefusal = reason;
            LOG.info("{}: a connection was ended: {}; those with the same reason are only counted", place, reason);
        }
    }

    private void detach(Channel connection, String reason) {
        if (connection != guest) {
            return;
        }
        boolean wasGuest = handshake == null;
        release();
        if (wasGuest) {
            events.detached(reason);
        } else {
            refused(reason);
        }
        if (waiting != null && guest == null && !closed) {
            Channel next = waiting;
            waiting = null;
            patience.cancel(false);
            attach(next);
        }
    }

    private void release() {
        Channel connection = guest;
        guest = null;
        if (handshake != null) {
            endHandshake();
        }
        input.close();
        // Without this Netty may go on to read from the descriptor that it has just closed.
        connection.config().setAutoRead(false);
        connection.close();
        output.close();
    }

    /** Takes connections. */
    private final class Accepting extends ChannelInboundHandlerAdapter {

        @Override
        public void channelRead(ChannelHandlerContext context, Object connection) {
            arrived((Channel) connection);
        }

        @Override
        public void exceptionCaught(ChannelHandlerContext context, Throwable cause) {
            // No descriptor left, most likely. The connection waits in the kernel: ask again later rather than spin.
            counters.refusedConnection();
            Channel listening = context.channel();
            listening.config().setAutoRead(false);
            loop.schedule(() -> listening.config().setAutoRead(true), ACCEPT_PAUSE_MILLIS, TimeUnit.MILLISECONDS);
        }
    }

    /** One guest's connection. */
    private final class Connection extends ChannelInboundHandlerAdapter {

        @Override
        public void channelRead(ChannelHandlerContext context, Object read) {
            Channel connection = context.channel();
            try {
                if (connection == guest) {
                    input.append((ByteBuf) read);
                    received(connection);
                }
            } finally {
                ((ByteBuf) read).release();
            }
        }

        private void received(Channel connection) {
            String lost = null;
            if (handshake != null) {
                lost = shakeHands(connection);
                if (lost != null || handshake != null) {
                    next(connection, lost);
                    return;
                }
            }
            lost = input.deliver(events);
            if (connection != guest) {
                return;
            }
            events.endOfBatch();
            next(connection, lost);
        }

        private void next(Channel connection, String lost) {
            if (lost != null) {
                detach(connection, lost);
            } else if (connection == guest) {
                input.compact();
            }
        }

        @Override
        public void channelInactive(ChannelHandlerContext context) {
            detach(
                    context.channel(),
                    handshake != null
                            ? "it was closed in its handshake, after " + input.available() + " bytes of a message"
                            : "the guest closed the connection" + input.position());
        }

        @Override
        public void exceptionCaught(ChannelHandlerContext context, Throwable cause) {
            if (context.channel() == guest) {
                detach(context.channel(), "the connection failed: " + cause.getMessage());
            } else {
                context.close();
            }
        }
    }
}
