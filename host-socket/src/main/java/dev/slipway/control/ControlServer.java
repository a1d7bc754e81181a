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
import io.netty.util.AttributeKey;
import io.netty.util.concurrent.GlobalEventExecutor;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;

/** Listens on the control API's socket. */
public final class ControlServer implements AutoCloseable {

    /** Connections that speak HTTP at a time; for one more the one goes that has waited longest for its request. */
    static final int MAX_CONNECTIONS = 64;

    /** Set on a connection that somebody else closes from now on. */
    static final AttributeKey<Boolean> GIVEN_AWAY = AttributeKey.valueOf(ControlServer.class, "givenAway");

    private static final int MAX_REQUEST_LINE = 4_096;
    private static final int MAX_HEADER = 8_192;
    private static final int MAX_BODY = 65_536;
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
        Waiting waiting = new Waiting(MAX_CONNECTIONS);
        ChannelFuture bound = new ServerBootstrap()
                .group(loops)
                .channel(transport.unixServerChannel())
                .childHandler(new ChannelInitializer<Channel>() {
                    @Override
                    protected void initChannel(Channel channel) {
                        connections.add(channel);
                        serve(channel, waiting, apis, counters);
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

    /** Makes a connection one that asks the APIs. */
    static void serve(Channel channel, Waiting waiting, List<? extends ControlApi> apis, ControlCounters counters) {
        RequestDeadline deadline = new RequestDeadline(waiting, counters);
        channel.pipeline()
                .addLast(deadline)
                .addLast(new HttpServerCodec(MAX_REQUEST_LINE, MAX_HEADER, MAX_BODY))
                .addLast(new HttpObjectAggregator(MAX_BODY))
                .addLast(new ControlHandler(apis, deadline));
    }

    /** Stops listening, ends the connections and removes the socket. */
    @Override
    public void close() {
        place.remove();
        server.close().awaitUninterruptibly(CLOSE_MILLIS);
        connections.close(channel -> !channel.hasAttr(GIVEN_AWAY)).awaitUninterruptibly(CLOSE_MILLIS);
    }
}
