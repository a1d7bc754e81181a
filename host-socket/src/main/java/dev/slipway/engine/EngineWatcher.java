package dev.slipway.engine;

import com.fasterxml.jackson.jr.ob.JSON;
import dev.slipway.ethernet.Transport;
import dev.slipway.event.Event;
import dev.slipway.event.Events;
import dev.slipway.publish.PortRequest;
import dev.slipway.publish.PublishedPorts;
import io.netty.bootstrap.Bootstrap;
import io.netty.channel.Channel;
import io.netty.channel.ChannelFuture;
import io.netty.channel.ChannelHandler;
import io.netty.channel.ChannelInitializer;
import io.netty.channel.EventLoop;
import io.netty.handler.codec.http.DefaultFullHttpRequest;
import io.netty.handler.codec.http.HttpClientCodec;
import io.netty.handler.codec.http.HttpHeaderNames;
import io.netty.handler.codec.http.HttpMethod;
import io.netty.handler.codec.http.HttpObjectAggregator;
import io.netty.handler.codec.http.HttpVersion;
import io.netty.util.concurrent.ScheduledFuture;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Follows one engine; see the package's documentation. Everything runs on one event loop, that of the published ports.
 */
public final class EngineWatcher implements AutoCloseable {

    static final int MAX_ANSWER = 8 << 20;
    static final int ANSWER_SECONDS = 10;
    private static final int RETRY_MILLIS = 500;
    /** Events come in bursts, and one look serves for all of them. */
    private static final int SETTLE_MILLIS = 50;

    private static final Logger LOG = LoggerFactory.getLogger(EngineWatcher.class);

    private final Path socket;
    private final EventLoop loop;
    private final Transport transport;
    private final PublishedPorts ports;
    private Map<String, List<PortRequest>> published = new HashMap<>();
    private final Events events;
    private final int answerMillis;
    private Channel stream;
    private boolean answers;
    private boolean lookQueued;
    private boolean looking;
    private boolean lookAgain;
    private String said = "";
    private boolean closed;

    private EngineWatcher(
            Path socket, EventLoop loop, Transport transport, PublishedPorts ports, Events events, int answerMillis) {
        this.answerMillis = answerMillis;
        this.socket = socket;
        this.loop = loop;
        this.transport = transport;
        this.ports = ports;
        this.events = events;
    }

    /**
     * Begins to follow an engine, which need not be there yet.
     *
     * @param socket of its API
     * @param loop of the published ports
     * @param events where it is told that the engine comes and goes
     */
    public static EngineWatcher watch(
            Path socket, EventLoop loop, Transport transport, PublishedPorts ports, Events events) {
        return watch(socket, loop, transport, ports, events, 1_000 * ANSWER_SECONDS);
    }

    /** The same with another time for an answer, in milliseconds. */
    static EngineWatcher watch(
            Path socket, EventLoop loop, Transport transport, PublishedPorts ports, Events events, int answerMillis) {
        EngineWatcher watcher = new EngineWatcher(socket, loop, transport, ports, events, answerMillis);
        loop.execute(watcher::listen);
        return watcher;
    }

    /** Asks for events; what happens before the answer begins is seen by the first look. */
    private void listen() {
        if (closed) {
            return;
        }
        connect(
                new EventLines(this),
                false,
                channel -> {
                    stream = channel;
                    // Without the engine's word that it listens there is nothing to wait for but the end.
                    channel.closeFuture().addListener(done -> retry());
                },
                "/events?filters=%7B%22type%22%3A%5B%22container%22%2C%22network%22%5D%7D",
                this::retry);
    }

    private void retry() {
        stream = null;
        lost("its connection has ended");
        if (!closed) {
            loop.schedule(this::listen, RETRY_MILLIS, TimeUnit.MILLISECONDS);
        }
    }

    /** Something happened, or may have. */
    void changed() {
        if (looking) {
            lookAgain = true;
        } else if (!lookQueued && !closed) {
            lookQueued = true;
            loop.schedule(this::look, SETTLE_MILLIS, TimeUnit.MILLISECONDS);
        }
    }

    private void look() {
        lookQueued = false;
        if (closed) {
            return;
        }
        looking = true;
        connect(new ContainerList(this), true, channel -> {}, "/containers/json", () -> looked(null));
    }

    /** The list has come; null if it has not, and then nothing changes. */
    void looked(byte[] json) {
        looking = false;
        if (closed) {
            return;
        }
        boolean understood = json != null && understood(json);
        // Without a connection for events the next one begins with a look.
        boolean again = lookAgain || !understood && stream != null;
        lookAgain = false;
        if (again) {
            lookQueued = true;
            loop.schedule(this::look, understood ? SETTLE_MILLIS : RETRY_MILLIS, TimeUnit.MILLISECONDS);
        }
    }

    private boolean understood(byte[] json) {
        try {
            carryOut(ContainerPort.of(JSON.std.listFrom(json)));
            report("");
            if (!answers && !closed) {
                answers = true;
                events.tell(Event.Kind.ENGINE_CONNECTED, Map.of("engine", socket.toString()));
            }
            return true;
        } catch (IOException | RuntimeException e) {
            report("its list of containers makes no sense: " + firstLine(e));
            return false;
        }
    }

    private static String firstLine(Exception e) {
        String text = String.valueOf(e.getMessage());
        int end = text.indexOf('\n');
        return end < 0 ? text : text.substring(0, end);
    }

    private void carryOut(List<ContainerPort> wanted) {
        Map<String, List<PortRequest>> target = new HashMap<>();
        for (ContainerPort port : wanted) {
            target.computeIfAbsent(port.owner(), owner -> new ArrayList<>()).add(port.request());
        }
        for (Map.Entry<String, List<PortRequest>> each : published.entrySet()) {
            if (!each.getValue().equals(target.get(each.getKey()))) {
                ports.unpublishAllOf(each.getKey());
            }
        }
        for (Map.Entry<String, List<PortRequest>> each : target.entrySet()) {
            if (!each.getValue().equals(published.get(each.getKey()))) {
                ports.publishWhenFree(each.getValue(), each.getKey());
            }
        }
        published = target;
    }

    /** Says what is wrong with the engine, each thing once. */
    void report(String problem) {
        if (!problem.equals(said)) {
            said = problem;
            if (!problem.isEmpty()) {
                lost(problem);
                LOG.warn("engine at {}: {}; what is published stays, and it is asked again", socket, problem);
            }
        }
    }

    private void lost(String problem) {
        if (answers) {
            answers = false;
            events.tell(Event.Kind.ENGINE_LOST, Map.of("engine", socket.toString(), "problem", problem));
        }
    }

    /** What to do with a connection that was made. */
    private interface Connected {
        void connected(Channel channel);
    }

    private void connect(ChannelHandler answer, boolean whole, Connected made, String path, Runnable failed) {
        Bootstrap bootstrap = new Bootstrap()
                .group(loop)
                .channel(transport.unixChannel())
                .handler(new ChannelInitializer<Channel>() {
                    @Override
                    protected void initChannel(Channel channel) {
                        channel.pipeline().addLast(new HttpClientCodec());
                        if (whole) {
                            channel.pipeline().addLast(new HttpObjectAggregator(MAX_ANSWER));
                        }
                        channel.pipeline().addLast(answer);
                    }
                });
        ChannelFuture connecting = bootstrap.connect(transport.unixAddress(socket));
        connecting.addListener(done -> {
            if (!done.isSuccess() || closed) {
                connecting.channel().close();
                failed.run();
                return;
            }
            made.connected(connecting.channel());
            if (whole) {
                // For all of it: one that deals out its answer would never be silent for long.
                ScheduledFuture<?> end = loop.schedule(
                        () -> {
                            report("no whole answer within " + answerMillis + " ms");
                            connecting.channel().close();
                        },
                        answerMillis,
                        TimeUnit.MILLISECONDS);
                connecting.channel().closeFuture().addListener(ended -> end.cancel(false));
            }
            DefaultFullHttpRequest request = new DefaultFullHttpRequest(HttpVersion.HTTP_1_1, HttpMethod.GET, path);
            request.headers().set(HttpHeaderNames.HOST, "engine");
            connecting.channel().writeAndFlush(request);
        });
    }

    /** Stops following; what is published is taken back by its owner, {@link PublishedPorts}. */
    @Override
    public void close() {
        loop.execute(() -> {
            closed = true;
            if (stream != null) {
                stream.close();
            }
        });
    }
}
