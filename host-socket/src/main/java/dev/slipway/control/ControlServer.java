package dev.slipway.control;

import dev.slipway.ethernet.SocketPathException;
import dev.slipway.ethernet.Transport;
import dev.slipway.ethernet.UnixSocketPath;
import io.netty.bootstrap.ServerBootstrap;
import io.netty.channel.Channel;
import io.netty.channel.ChannelFuture;
import io.netty.channel.ChannelInitializer;
import io.netty.channel.EventLoopGroup;
import io.netty.channel.group.ChannelGroup;
import io.netty.channel.group.DefaultChannelGroup;
import io.netty.handler.codec.http.HttpObjectAggregator;
import io.netty.handler.codec.http.HttpServerCodec;
import io.netty.handler.timeout.ReadTimeoutHandler;
import io.netty.util.concurrent.GlobalEventExecutor;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** Listens on the control API's socket. */
public final class ControlServer implements AutoCloseable {

    /** Connections at a time; one more is closed at once. */
    static final int MAX_CONNECTIONS = 64;

    private static final int MAX_REQUEST_LINE = 4_096;
    private static final int MAX_HEADER = 8_192;
    private static final int MAX_BODY = 65_536;
    private static final int SILENCE_SECONDS = 10;
    private static final int CLOSE_MILLIS = 1_000;

    private final UnixSocketPath place;
    private final Channel server;
    private final ChannelGroup connections;

    private ControlServer(UnixSocketPath place, Channel server, ChannelGroup connections) {
        this.place = place;
        this.server = server;
        this.connections = connections;
    }

    /**
     * Listens.
     *
     * @param loops of the given transport
     * @param apis asked in this order
     * @param counters where it counts
     * @throws SocketPathException if no socket can be made there
     * @throws IOException if the system refuses for another reason
     */
    public static ControlServer listen(
            Path path,
            EventLoopGroup loops,
            Transport transport,
            List<? extends ControlApi> apis,
            ControlCounters counters)
            throws IOException {
        UnixSocketPath place = UnixSocketPath.prepare(path);
        ChannelGroup connections = new DefaultChannelGroup(GlobalEventExecutor.INSTANCE);
        ChannelFuture bound = new ServerBootstrap()
                .group(loops)
                .channel(transport.unixServerChannel())
                .childHandler(new ChannelInitializer<Channel>() {
                    @Override
                    protected void initChannel(Channel channel) {
                        if (connections.size() >= MAX_CONNECTIONS) {
                            counters.refused.incrementAndGet();
                            channel.close();
                            return;
                        }
                        connections.add(channel);
                        channel.pipeline()
                                .addLast(new ReadTimeoutHandler(SILENCE_SECONDS, TimeUnit.SECONDS))
                                .addLast(new HttpServerCodec(MAX_REQUEST_LINE, MAX_HEADER, MAX_BODY))
                                .addLast(new HttpObjectAggregator(MAX_BODY))
                                .addLast(new ControlHandler(apis));
                    }
                })
                .bind(transport.unixAddress(place.bindTo()))
                .awaitUninterruptibly();
        if (!bound.isSuccess()) {
            place.abandon();
            throw new IOException(
                    path + ": cannot listen on it: " + bound.cause().getMessage(), bound.cause());
        }
        try {
            place.publish();
        } catch (SocketPathException e) {
            bound.channel().close();
            throw e;
        }
        return new ControlServer(place, bound.channel(), connections);
    }

    /** Stops listening, ends the connections and removes the socket. */
    @Override
    public void close() {
        place.remove();
        server.close().awaitUninterruptibly(CLOSE_MILLIS);
        connections.close().awaitUninterruptibly(CLOSE_MILLIS);
    }
}
