package dev.slipway.publish;

import dev.slipway.ethernet.Transport;
import dev.slipway.ethernet.UnixSocketPath;
import dev.slipway.host.VmSession;
import io.netty.channel.Channel;
import io.netty.channel.ChannelException;
import io.netty.channel.ChannelFuture;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.channel.ChannelOption;
import io.netty.channel.EventLoop;
import io.netty.channel.ReflectiveChannelFactory;
import io.netty.channel.socket.DuplexChannel;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.SocketAddress;
import java.util.concurrent.TimeUnit;

/**
 * Accepts TCP connections, or those of a Unix socket, and passes them on to the VM's event loop: on every transport but
 * the native one, which has {@link NativeStreamListener} for TCP.
 */
final class StreamListener extends ChannelInboundHandlerAdapter implements Listener {

    static final int BACKLOG = 1_024;
    /** How long nothing is accepted after the host had no descriptor left. */
    static final int PAUSE_MILLIS = 100;

    private final PortRequest request;
    private final boolean preserveSource;
    private final Targets targets;
    private final Channel channel;
    private UnixSocketPath place;

    private StreamListener(PortRequest request, boolean preserveSource, Targets targets, Channel channel) {
        this.request = request;
        this.preserveSource = preserveSource;
        this.targets = targets;
        this.channel = channel;
    }

    /** Listens on TCP; on the loop's own thread. */
    static StreamListener listen(
            PortRequest request,
            InetSocketAddress address,
            boolean preserveSource,
            Targets targets,
            EventLoop loop,
            Transport transport)
            throws IOException {
        Channel channel = open(new ReflectiveChannelFactory<>(transport.tcpServerChannel()));
        channel.config().setOption(ChannelOption.SO_REUSEADDR, true);
        StreamListener listener = new StreamListener(request, preserveSource, targets, channel);
        listener.bind(loop, address);
        return listener;
    }

    /** Listens on a Unix socket; on the loop's own thread. */
    static StreamListener listenUnix(PortRequest request, Targets targets, EventLoop loop, Transport transport)
            throws IOException {
        UnixSocketPath place = UnixSocketPath.prepare(request.path().orElseThrow());
        Channel channel = open(new ReflectiveChannelFactory<>(transport.unixServerChannel()));
        StreamListener listener = new StreamListener(request, false, targets, channel);
        try {
            listener.bind(loop, transport.unixAddress(place.bindTo()));
        } catch (IOException e) {
            place.abandon();
            throw e;
        }
        try {
            place.publish();
        } catch (IOException e) {
            channel.close();
            throw e;
        }
        listener.place = place;
        return listener;
    }

    private static Channel open(ReflectiveChannelFactory<? extends Channel> factory) throws IOException {
        try {
            return factory.newChannel();
        } catch (ChannelException e) {
            throw new IOException("the host has no descriptor left", e);
        }
    }

    private void bind(EventLoop loop, SocketAddress address) throws IOException {
        channel.config().setOption(ChannelOption.SO_BACKLOG, BACKLOG);
        channel.pipeline().addLast(this);
        ChannelFuture step = loop.register(channel);
        if (step.isSuccess()) {
            step = channel.bind(address);
        }
        if (!step.isSuccess()) {
            channel.close();
            Throwable cause = step.cause();
            throw cause instanceof IOException e ? e : new IOException(cause);
        }
    }

    @Override
    public int port() {
        return channel.localAddress() instanceof InetSocketAddress address ? address.getPort() : 0;
    }

    @Override
    public void channelRead(ChannelHandlerContext context, Object connection) {
        DuplexChannel accepted = (DuplexChannel) connection;
        Targets.Target target = targets.find(request);
        if (target == null) {
            reset(accepted);
            return;
        }
        VmSession session = target.session();
        InetSocketAddress client = accepted.remoteAddress() instanceof InetSocketAddress address ? address : null;
        session.loop().execute(() -> {
            boolean taken = false;
            try {
                taken = session.clients()
                        .connect(target.guest(), request.guestPort(), client, preserveSource, accepted);
            } finally {
                if (!taken && !accepted.isRegistered()) {
                    reset(accepted);
                }
            }
        });
    }

    /** Nobody takes it: its peer sees a reset and no end in order. */
    private static void reset(Channel accepted) {
        try {
            accepted.config().setOption(ChannelOption.SO_LINGER, 0);
        } catch (ChannelException e) {
            // It is gone already.
        }
        accepted.unsafe().closeForcibly();
    }

    @Override
    public void exceptionCaught(ChannelHandlerContext context, Throwable cause) {
        // No descriptor left, most likely. The connection waits in the kernel: ask again later rather than spin.
        channel.config().setAutoRead(false);
        context.executor().schedule(() -> channel.config().setAutoRead(true), PAUSE_MILLIS, TimeUnit.MILLISECONDS);
    }

    @Override
    public void close() {
        if (place != null) {
            place.remove();
        }
        channel.close();
    }
}
