package dev.slipway.proxy;

import dev.slipway.proxy.GuestApi.Answer;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufUtil;
import io.netty.buffer.Unpooled;
import io.netty.channel.embedded.EmbeddedChannel;
import io.netty.handler.codec.http.DefaultFullHttpResponse;
import io.netty.handler.codec.http.FullHttpRequest;
import io.netty.handler.codec.http.FullHttpResponse;
import io.netty.handler.codec.http.HttpHeaderNames;
import io.netty.handler.codec.http.HttpObjectAggregator;
import io.netty.handler.codec.http.HttpResponseStatus;
import io.netty.handler.codec.http.HttpServerCodec;
import io.netty.handler.codec.http.HttpUtil;
import io.netty.handler.codec.http.HttpVersion;
import io.netty.handler.codec.http.QueryStringDecoder;
import java.nio.charset.StandardCharsets;

/**
 * A guest's connection to the gateway's port 80: one request, one answer, and the end. A request that a web page has sent
 * is told by its header Origin or Sec-Fetch-Site, and refused: whoever writes a page that is looked at in the guest is not
 * the guest. Limits: a request line of 4 KiB, 8 KiB of header, 64 KiB of body, {@value #SECONDS} seconds for all of it.
 */
final class GuestApiFlow implements GuestStream.Service {

    private static final int SECONDS = 10;
    private static final int MAX_REQUEST_LINE = 4_096;
    private static final int MAX_HEADER = 8_192;
    private static final int MAX_BODY = 65_536;
    private static final String FETCH_SITE = "Sec-Fetch-Site";

    private final ProxyContext context;
    private final GuestStream stream;
    private final GuestApi api;
    private final EmbeddedChannel http = new EmbeddedChannel(
            new HttpServerCodec(MAX_REQUEST_LINE, MAX_HEADER, MAX_BODY), new HttpObjectAggregator(MAX_BODY));
    private final Runnable forgetTimer;
    private boolean asked;
    private boolean over;

    GuestApiFlow(ProxyContext context, GuestStream stream, GuestApi api) {
        this.context = context;
        this.stream = stream;
        this.api = api;
        forgetTimer = context.after(SECONDS * 1_000L, stream::abort);
        stream.service(this);
        stream.accept();
    }

    @Override
    public void fromGuest() {
        for (ByteBuf input = stream.input(); input != null && !over; input = stream.input()) {
            int bytes = input.readableBytes();
            ByteBuf copy = Unpooled.copiedBuffer(input);
            input.skipBytes(bytes);
            stream.inputRead(bytes);
            if (asked) {
                // One request is all that is answered.
                copy.release();
                continue;
            }
            http.writeInbound(copy);
            sendWhatTheCodecSays();
            FullHttpRequest request = http.readInbound();
            if (request != null) {
                asked = true;
                try {
                    ask(request);
                } finally {
                    request.release();
                }
            }
        }
        if (stream.hasInputEnded() && !asked && !over) {
            end();
        }
    }

    /** That a body is too long, or that one may come. */
    private void sendWhatTheCodecSays() {
        for (ByteBuf bytes = http.readOutbound(); bytes != null; bytes = http.readOutbound()) {
            stream.send(bytes);
        }
        if (!http.isOpen()) {
            end();
        }
    }

    private void ask(FullHttpRequest request) {
        if (request.decoderResult().isFailure()) {
            answer(text(400, "that is not an HTTP request"));
        } else if (request.headers().contains(HttpHeaderNames.ORIGIN)
                || request.headers().contains(FETCH_SITE)) {
            answer(text(403, "not for web pages"));
        } else {
            String path = new QueryStringDecoder(request.uri()).path();
            api.ask(
                    request.method().name(),
                    path,
                    ByteBufUtil.getBytes(request.content()),
                    answer -> context.loop().execute(() -> answer(answer)));
        }
    }

    private static Answer text(int status, String text) {
        return new Answer(status, "text/plain; charset=utf-8", (text + "\n").getBytes(StandardCharsets.UTF_8));
    }

    private void answer(Answer answer) {
        if (over) {
            return;
        }
        context.touched().run();
        FullHttpResponse response = new DefaultFullHttpResponse(
                HttpVersion.HTTP_1_1,
                HttpResponseStatus.valueOf(answer.status()),
                Unpooled.wrappedBuffer(answer.body()));
        response.headers().set(HttpHeaderNames.CONTENT_TYPE, answer.type());
        HttpUtil.setContentLength(response, answer.body().length);
        HttpUtil.setKeepAlive(response, false);
        http.writeOutbound(response);
        for (ByteBuf bytes = http.readOutbound(); bytes != null; bytes = http.readOutbound()) {
            stream.send(bytes);
        }
        end();
    }

    private void end() {
        if (!over) {
            over = true;
            release();
            stream.sendEnd();
            stream.ignoreInput();
        }
    }

    private void release() {
        forgetTimer.run();
        http.finishAndReleaseAll();
    }

    @Override
    public void roomToGuest() {
        // An answer is short, and was sent as a whole.
    }

    @Override
    public void gone(boolean inOrder) {
        if (!over) {
            over = true;
            release();
        }
    }
}
