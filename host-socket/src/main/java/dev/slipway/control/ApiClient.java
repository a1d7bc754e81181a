package dev.slipway.control;

import com.fasterxml.jackson.jr.ob.JSON;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufUtil;
import io.netty.buffer.Unpooled;
import io.netty.channel.embedded.EmbeddedChannel;
import io.netty.handler.codec.http.DefaultFullHttpRequest;
import io.netty.handler.codec.http.FullHttpRequest;
import io.netty.handler.codec.http.FullHttpResponse;
import io.netty.handler.codec.http.HttpClientCodec;
import io.netty.handler.codec.http.HttpContent;
import io.netty.handler.codec.http.HttpHeaderNames;
import io.netty.handler.codec.http.HttpMethod;
import io.netty.handler.codec.http.HttpObjectAggregator;
import io.netty.handler.codec.http.HttpResponse;
import io.netty.handler.codec.http.HttpUtil;
import io.netty.handler.codec.http.HttpVersion;
import io.netty.handler.codec.http.LastHttpContent;
import java.io.IOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Map;
import java.util.function.Consumer;

/** Asks the control API of a running network, one request per connection, and waits for the answer. */
public final class ApiClient {

    private static final int MAX_ANSWER = 64 << 20;
    private static final int BUFFER = 64 << 10;

    private final Path socket;

    public ApiClient(Path socket) {
        this.socket = socket;
    }

    /**
     * Asks.
     *
     * @param body JSON in maps and lists, or null for none
     * @return the answer's JSON; empty if it has no body
     * @throws IOException if there is no answer, or it is an error, whose message it has
     */
    public Map<String, Object> ask(String method, String path, Object body) throws IOException {
        EmbeddedChannel http = new EmbeddedChannel(new HttpClientCodec(), new HttpObjectAggregator(MAX_ANSWER));
        try (SocketChannel channel = SocketChannel.open(StandardProtocolFamily.UNIX)) {
            channel.connect(UnixDomainSocketAddress.of(socket));
            send(http, channel, method, path, body);
            FullHttpResponse response = receive(http, channel);
            try {
                return understand(response);
            } finally {
                response.release();
            }
        } finally {
            http.finishAndReleaseAll();
        }
    }

    /**
     * Listens to what happens until the network ends.
     *
     * @param line hears of each event: its JSON, on one line
     * @throws IOException if there is no answer, or it is an error, whose message it has
     */
    public void follow(Consumer<String> line) throws IOException {
        EmbeddedChannel http = new EmbeddedChannel(new HttpClientCodec());
        try (SocketChannel channel = SocketChannel.open(StandardProtocolFamily.UNIX)) {
            channel.connect(UnixDomainSocketAddress.of(socket));
            send(http, channel, "GET", "/v1/events", null);
            EventLines lines = new EventLines(line);
            ByteBuffer buffer = ByteBuffer.allocate(BUFFER);
            while (channel.read(buffer.clear()) >= 0) {
                http.writeInbound(Unpooled.copiedBuffer(buffer.flip()));
                for (Object part = http.readInbound(); part != null; part = http.readInbound()) {
                    lines.take(part);
                }
            }
        } finally {
            http.finishAndReleaseAll();
        }
    }

    /** Finds the events in the parts of an answer. */
    private static final class EventLines {

        private static final String DATA = "data: ";

        private final Consumer<String> line;
        private final StringBuilder text = new StringBuilder();
        private boolean refused;

        EventLines(Consumer<String> line) {
            this.line = line;
        }

        void take(Object part) throws IOException {
            if (part instanceof HttpResponse response) {
                refused = response.status().code() != 200;
            }
            if (part instanceof HttpContent content) {
                text.append(content.content().toString(StandardCharsets.UTF_8));
                content.release();
            }
            if (refused && part instanceof LastHttpContent) {
                Map<String, Object> json = JSON.std.mapFrom(text.toString());
                throw new IOException(
                        json.get("error") instanceof Map<?, ?> error
                                ? String.valueOf(error.get("message"))
                                : "refused");
            }
            for (int end = text.indexOf("\n"); !refused && end >= 0; end = text.indexOf("\n")) {
                if (text.indexOf(DATA) == 0) {
                    line.accept(text.substring(DATA.length(), end));
                }
                text.delete(0, end + 1);
            }
        }
    }

    private static void send(EmbeddedChannel http, SocketChannel channel, String method, String path, Object body)
            throws IOException {
        ByteBuf content = body == null
                ? Unpooled.EMPTY_BUFFER
                : Unpooled.copiedBuffer(JSON.std.asString(body), StandardCharsets.UTF_8);
        FullHttpRequest request =
                new DefaultFullHttpRequest(HttpVersion.HTTP_1_1, HttpMethod.valueOf(method), path, content);
        request.headers().set(HttpHeaderNames.HOST, "slipway").set(HttpHeaderNames.CONTENT_TYPE, "application/json");
        HttpUtil.setContentLength(request, content.readableBytes());
        HttpUtil.setKeepAlive(request, false);
        http.writeOutbound(request);
        for (ByteBuf bytes = http.readOutbound(); bytes != null; bytes = http.readOutbound()) {
            ByteBuffer buffer = ByteBuffer.wrap(ByteBufUtil.getBytes(bytes));
            bytes.release();
            while (buffer.hasRemaining()) {
                channel.write(buffer);
            }
        }
    }

    private static FullHttpResponse receive(EmbeddedChannel http, SocketChannel channel) throws IOException {
        ByteBuffer buffer = ByteBuffer.allocate(BUFFER);
        FullHttpResponse response = http.readInbound();
        while (response == null) {
            int read = channel.read(buffer.clear());
            if (read < 0) {
                throw new IOException("the connection ended before the answer");
            }
            http.writeInbound(Unpooled.copiedBuffer(buffer.flip()));
            response = http.readInbound();
        }
        return response;
    }

    private static Map<String, Object> understand(FullHttpResponse response) throws IOException {
        byte[] bytes = ByteBufUtil.getBytes(response.content());
        Map<String, Object> json = bytes.length == 0 ? Map.of() : JSON.std.mapFrom(bytes);
        if (response.status().code() >= 300) {
            throw new IOException(
                    json.get("error") instanceof Map<?, ?> error
                            ? String.valueOf(error.get("message"))
                            : "it answers " + response.status());
        }
        return json;
    }
}
