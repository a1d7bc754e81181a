package dev.slipway.control;

import com.fasterxml.jackson.jr.ob.JSON;
import dev.slipway.event.Event;
import dev.slipway.event.Events;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufUtil;
import io.netty.channel.Channel;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.channel.WriteBufferWaterMark;
import io.netty.util.ReferenceCountUtil;
import io.netty.util.concurrent.ScheduledFuture;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.TimeUnit;

/**
 * The answer to {@code GET /v1/events}: a stream of server-sent events (HTML Standard, section 9.2) without an end.
 *
 * <pre>
 *   id: 17
 *   event: port-published
 *   data: {"number":17,"time":"2026-11-27T19:00:00.123Z","type":"port-published","protocol":"tcp",…}
 * </pre>
 *
 * A comment every {@value #PULSE_SECONDS} seconds shows that nothing happened. A client that does not read is cut off
 * once {@value #MAX_WAITING} bytes wait for it, and counted.
 */
final class EventStream extends ChannelInboundHandlerAdapter {

    /** Streams at a time; one more is refused. */
    static final int MAX_STREAMS = 16;

    static final int MAX_WAITING = 64 << 10;
    private static final int PULSE_SECONDS = 15;
    private static final String HEAD =
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\n"
                    + "Connection: close\r\n\r\n: what happens from now on\n\n";

    private final Channel channel;
    private final ControlCounters counters;
    private Runnable end;
    private ScheduledFuture<?> pulse;

    private EventStream(Channel channel, ControlCounters counters) {
        this.channel = channel;
        this.counters = counters;
    }

    /**
     * An answer that takes the connection over.
     *
     * @throws ApiException if there are too many
     */
    static ApiResponse of(Events events, ControlCounters counters) throws ApiException {
        if (counters.eventStreams.incrementAndGet() > MAX_STREAMS) {
            counters.eventStreams.decrementAndGet();
            counters.eventStreamsRefused.incrementAndGet();
            throw new ApiException(429, "too-many", MAX_STREAMS + " clients hear of events already");
        }
        return ApiResponse.takeover((channel, early) -> new EventStream(channel, counters).begin(events));
    }

    private void begin(Events events) {
        channel.config().setWriteBufferWaterMark(new WriteBufferWaterMark(MAX_WAITING / 2, MAX_WAITING));
        channel.pipeline().addLast(this);
        // To hear of the end.
        channel.config().setAutoRead(true);
        end = events.listen(event -> {
            String text = text(event);
            channel.eventLoop().execute(() -> send(text));
        });
        send(HEAD);
        pulse = channel.eventLoop()
                .scheduleAtFixedRate(() -> send(": nothing\n\n"), PULSE_SECONDS, PULSE_SECONDS, TimeUnit.SECONDS);
        channel.closeFuture().addListener(closed -> finish());
    }

    private void send(String text) {
        if (!channel.isActive()) {
            return;
        }
        if (!channel.isWritable()) {
            counters.eventStreamsCut.incrementAndGet();
            channel.close();
            return;
        }
        ByteBuf bytes = ByteBufUtil.writeUtf8(channel.alloc(), text);
        channel.writeAndFlush(bytes);
    }

    static String text(Event event) {
        Map<String, Object> data = new LinkedHashMap<>();
        data.put("number", event.number());
        data.put("time", event.time().toString());
        data.put("type", event.kind().toString());
        data.putAll(event.facts());
        try {
            return "id: " + event.number() + "\nevent: " + event.kind() + "\ndata: " + JSON.std.asString(data) + "\n\n";
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private void finish() {
        end.run();
        pulse.cancel(false);
        counters.eventStreams.decrementAndGet();
    }

    /** What the client says after its request means nothing. */
    @Override
    public void channelRead(ChannelHandlerContext context, Object message) {
        ReferenceCountUtil.release(message);
    }

    @Override
    public void exceptionCaught(ChannelHandlerContext context, Throwable cause) {
        context.close();
    }
}
