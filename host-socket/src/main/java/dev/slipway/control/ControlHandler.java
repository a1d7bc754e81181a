package dev.slipway.control;

import io.netty.buffer.Unpooled;
import io.netty.channel.ChannelFutureListener;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.SimpleChannelInboundHandler;
import io.netty.handler.codec.http.DefaultFullHttpResponse;
import io.netty.handler.codec.http.FullHttpRequest;
import io.netty.handler.codec.http.FullHttpResponse;
import io.netty.handler.codec.http.HttpHeaderNames;
import io.netty.handler.codec.http.HttpMethod;
import io.netty.handler.codec.http.HttpResponseStatus;
import io.netty.handler.codec.http.HttpUtil;
import io.netty.handler.codec.http.HttpVersion;
import io.netty.handler.codec.http.TooLongHttpHeaderException;
import io.netty.handler.codec.http.TooLongHttpLineException;
import io.netty.handler.timeout.ReadTimeoutException;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.function.Supplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Answers the requests of one connection. */
final class ControlHandler extends SimpleChannelInboundHandler<FullHttpRequest> {

    private static final Logger LOG = LoggerFactory.getLogger(ControlHandler.class);
    private static final String STATUS_PATH = "/v1/status";

    private final Supplier<Status> status;

    ControlHandler(Supplier<Status> status) {
        this.status = status;
    }

    @Override
    protected void channelRead0(ChannelHandlerContext context, FullHttpRequest request) {
        boolean malformed = request.decoderResult().isFailure();
        FullHttpResponse response =
                malformed ? malformed(request.decoderResult().cause()) : answer(request);
        boolean keep = !malformed && HttpUtil.isKeepAlive(request);
        HttpUtil.setContentLength(response, response.content().readableBytes());
        HttpUtil.setKeepAlive(response, keep);
        var written = context.writeAndFlush(response);
        if (!keep) {
            written.addListener(ChannelFutureListener.CLOSE);
        }
    }

    private FullHttpResponse answer(FullHttpRequest request) {
        String uri = request.uri();
        int query = uri.indexOf('?');
        String path = query < 0 ? uri : uri.substring(0, query);
        if (!path.equals(STATUS_PATH)) {
            return error(HttpResponseStatus.NOT_FOUND, "not-found", "there is no " + path);
        }
        if (!request.method().equals(HttpMethod.GET)) {
            FullHttpResponse response = error(
                    HttpResponseStatus.METHOD_NOT_ALLOWED,
                    "method-not-allowed",
                    path + " can only be got, not " + request.method());
            response.headers().set(HttpHeaderNames.ALLOW, "GET");
            return response;
        }
        return json(HttpResponseStatus.OK, status.get().toJson());
    }

    private static FullHttpResponse malformed(Throwable cause) {
        if (cause instanceof TooLongHttpLineException) {
            return error(
                    HttpResponseStatus.REQUEST_URI_TOO_LONG, "request-line-too-long", "the request line is too long");
        }
        if (cause instanceof TooLongHttpHeaderException) {
            return error(
                    HttpResponseStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
                    "header-too-large",
                    "the request's header is too large");
        }
        return error(HttpResponseStatus.BAD_REQUEST, "not-http", "that is not an HTTP request");
    }

    private static FullHttpResponse error(HttpResponseStatus status, String code, String message) {
        JsonText json = new JsonText().begin("{").key("error").begin("{");
        json.field("code", code).field("message", message);
        return json(status, json.end("}").end("}").toString());
    }

    private static FullHttpResponse json(HttpResponseStatus status, String text) {
        byte[] bytes = (text + "\n").getBytes(StandardCharsets.UTF_8);
        FullHttpResponse response =
                new DefaultFullHttpResponse(HttpVersion.HTTP_1_1, status, Unpooled.wrappedBuffer(bytes));
        response.headers().set(HttpHeaderNames.CONTENT_TYPE, "application/json");
        return response;
    }

    @Override
    public void exceptionCaught(ChannelHandlerContext context, Throwable cause) {
        if (!(cause instanceof ReadTimeoutException || cause instanceof IOException)) {
            LOG.warn("control API: a request failed", cause);
        }
        context.close();
    }
}
