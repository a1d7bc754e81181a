package dev.slipway.ethernet;

import dev.slipway.ethernet.SocketPathException.Reason;
import dev.slipway.wire.EthernetFrame;
import dev.slipway.wire.Frame;
import io.netty.buffer.ByteBuf;
import io.netty.channel.Channel;
import io.netty.channel.ChannelFuture;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.channel.ChannelOption;
import io.netty.channel.EventLoop;
import io.netty.channel.ReflectiveChannelFactory;
import io.netty.util.concurrent.ScheduledFuture;
import java.nio.file.Path;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;

/**
 * QEMU's stream framing on a listening Unix socket ({@code -netdev stream,addr.type=unix}): each frame behind its
 * length, four bytes in network order. It carries no offload, so large units are cut and checksums completed here.
 *
 * <p>One guest at a time. Whoever connects while one is attached waits for {@link #GRACE_MILLIS}: if the old
 * connection ends meanwhile (a VM that crashed and was started again may be back before its end was read) the newcomer
 * is attached, else it is closed and counted. The end of a connection is noticed at once, and the link listens on.
 *
 * <p>Limits: frames of up to {@link Frame#MAX_LENGTH} bytes are handed over, those of up to 128 KiB are stepped over
 * and counted, a longer length ends the connection. 1 MiB is queued to the guest, and 256 KiB of frames that cannot
 * wait; beyond that a frame is dropped and counted. At most 1 MiB is read in one turn of the event loop.
 */
public final class QemuStreamLink implements GuestLink {

    /** How long a second connection waits for the end of the first, in milliseconds. */
    public static final int GRACE_MILLIS = 250;

    /** What the kernel is asked to hold for a guest that reads slower than frames come, in bytes. */
    private static final int SEND_BUFFER = 4 << 20;

    /** The longest that accepting rests when the process has no descriptor left, in milliseconds. */
    private static final int ACCEPT_PAUSE_MILLIS = 1000;

    private final EventLoop loop;
    private final Transport transport;
    private final LinkCounters counters = new LinkCounters();
    private final FailureLog failures = new FailureLog(counters);
    private final StreamInput input = new StreamInput(counters);
    private final StreamOutput output;
    private final Runnable ready = this::deliverReady;

    private Receiver receiver;
    private UnixSocketPath place;
    private Channel server;
    private Channel guest;
    private Channel waiting;
    private ScheduledFuture<?> patience;
    private boolean readyPosted;
    private boolean closed;

    /**
     * Makes a link that does not listen yet.
     *
     * @param loop the event loop that owns it, of the given transport
     * @param mtu bytes of the largest IP packet that the guest takes
     */
    public QemuStreamLink(EventLoop loop, Transport transport, int mtu) {
        this.loop = loop;
        this.transport = transport;
        this.output = new StreamOutput(mtu + EthernetFrame.HEADER_LENGTH, counters, this::postReady);
    }

    /**
     * Listens on a Unix socket of mode 0600. To be called once, from any thread; the receiver's methods run on the
     * event loop, none from within a method of this link.
     *
     * @throws SocketPathException if no socket can be made there; a stale one, on which nobody listens, is replaced
     */
    public void listen(Path path, Receiver to) throws SocketPathException {
        if (loop.inEventLoop()) {
            listenOnLoop(path, to);
            return;
        }
        try {
            loop.submit(() -> {
                        listenOnLoop(path, to);
                        return null;
                    })
                    .get();
        } catch (ExecutionException e) {
            if (e.getCause() instanceof SocketPathException refused) {
                throw refused;
            }
            throw new IllegalStateException("cannot listen on " + path, e.getCause());
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new SocketPathException(path, Reason.REFUSED, "interrupted while binding it", e);
        }
    }

    private void listenOnLoop(Path path, Receiver to) throws SocketPathException {
        if (closed || server != null) {
            throw new IllegalStateException(closed ? "the link is closed" : "the link listens already");
        }
        UnixSocketPath prepared = UnixSocketPath.prepare(path);
        Channel listening = new ReflectiveChannelFactory<>(transport.unixServerChannel()).newChannel();
        listening.pipeline().addLast(new Accepting());
        // On the loop's own thread both are done when they return.
        ChannelFuture step = loop.register(listening);
        if (step.isSuccess()) {
            step = listening.bind(transport.unixAddress(prepared.bindTo()));
        }
        if (!step.isSuccess()) {
            listening.close();
            prepared.abandon();
            throw new SocketPathException(path, Reason.REFUSED, "cannot listen on it: " + step.cause(), step.cause());
        }
        try {
            prepared.publish();
        } catch (SocketPathException e) {
            listening.close();
            throw e;
        }
        receiver = to;
        place = prepared;
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
        return guest != null;
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
            place.remove();
        }
        dismissWaiting();
        if (guest != null) {
            release();
        }
    }

    /** Whether every buffer of the link is its own again; false while it is not closed. */
    boolean isReleased() {
        return closed && guest == null && input.isUnshared() && output.isUnshared();
    }

    private void arrived(Channel newcomer) {
        if (closed || waiting != null) {
            counters.refusedConnection();
            newcomer.unsafe().closeForcibly();
        } else if (guest == null) {
            attach(newcomer);
        } else {
            waiting = newcomer;
            patience = loop.schedule(this::refuseWaiting, GRACE_MILLIS, TimeUnit.MILLISECONDS);
        }
    }

    private void refuseWaiting() {
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
        output.open(newcomer);
        counters.connection();
        newcomer.config().setRecvByteBufAllocator(input);
        // The kernel gives what its own limit allows. With more on the way, both sides wake up less often.
        newcomer.config().setOption(ChannelOption.SO_SNDBUF, SEND_BUFFER);
        newcomer.pipeline().addLast(new Connection());
        // Reading begins in a later event, after the receiver has heard of the guest.
        newcomer.config().setAutoRead(false);
        loop.register(newcomer);
        try {
            receiver.attached();
        } catch (RuntimeException | OutOfMemoryError e) {
            failures.log("attached", e);
        }
        if (guest == newcomer) {
            newcomer.config().setAutoRead(true);
        }
    }

    private void detach(Channel connection, String reason) {
        if (connection != guest) {
            return;
        }
        release();
        try {
            receiver.detached(reason);
        } catch (RuntimeException | OutOfMemoryError e) {
            failures.log("detached", e);
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
        input.close();
        // Without this Netty may go on to read from the descriptor that it has just closed.
        connection.config().setAutoRead(false);
        connection.close();
        output.close();
    }

    private void postReady() {
        if (!readyPosted) {
            // In this order, as it may fail for want of memory.
            loop.execute(ready);
            readyPosted = true;
        }
    }

    private void deliverReady() {
        readyPosted = false;
        if (guest != null) {
            try {
                receiver.ready();
            } catch (RuntimeException | OutOfMemoryError e) {
                failures.log("ready", e);
            }
        }
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
                    received(connection);
                }
            } finally {
                ((ByteBuf) read).release();
            }
        }

        private void received(Channel connection) {
            String lost = input.deliver(receiver, failures);
            if (connection != guest) {
                return;
            }
            try {
                receiver.endOfBatch();
            } catch (RuntimeException | OutOfMemoryError e) {
                failures.log("end of batch", e);
            }
            if (lost != null) {
                detach(connection, lost);
            } else if (connection == guest) {
                input.compact();
            }
        }

        @Override
        public void channelInactive(ChannelHandlerContext context) {
            detach(context.channel(), "the guest closed the connection" + input.position());
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
