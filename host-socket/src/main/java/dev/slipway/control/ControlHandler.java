package dev.slipway.control;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufUtil;
import io.netty.buffer.Unpooled;
import io.netty.channel.ChannelFutureListener;
import io.netty.channel.ChannelHandler;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.channel.ChannelPipeline;
import io.netty.channel.SimpleChannelInboundHandler;
import io.netty.handler.codec.http.DefaultFullHttpResponse;
import io.netty.handler.codec.http.FullHttpRequest;
import io.netty.handler.codec.http.FullHttpResponse;
import io.netty.handler.codec.http.HttpHeaderNames;
import io.netty.handler.codec.http.HttpResponseStatus;
import io.netty.handler.codec.http.HttpUtil;
import io.netty.handler.codec.http.HttpVersion;
import io.netty.handler.codec.http.TooLongHttpHeaderException;
import io.netty.handler.codec.http.TooLongHttpLineException;
import io.netty.util.ReferenceCountUtil;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.util.List;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Answers the requests of one connection. */
final class ControlHandler extends SimpleChannelInboundHandler<FullHttpRequest> {

    private static final Logger LOG = LoggerFactory.getLogger(ControlHandler.class);

    private final List<? extends ControlApi> apis;
    private final RequestDeadline deadline;

    ControlHandler(List<? extends ControlApi> apis, RequestDeadline deadline) {
        this.apis = apis;
        this.deadline = deadline;
    }

    @Override
    protected void channelRead0(ChannelHandlerContext context, FullHttpRequest request) {
        boolean malformed = request.decoderResult().isFailure();
        ApiResponse answer =
                malformed ? ApiResponse.error(malformed(request.decoderResult().cause())) : answer(context, request);
        if (answer.takeover() != null) {
            handOver(context, answer.takeover());
            return;
        }
        boolean keep = !malformed && HttpUtil.isKeepAlive(request);
        FullHttpResponse response = response(answer, keep);
        deadline.answered();
        var written = context.writeAndFlush(response);
        if (!keep) {
            written.addListener(ChannelFutureListener.CLOSE);
        }
    }

    /** What a client is told that takes too long to say what it wants. */
    static FullHttpResponse timedOut() {
        return response(
                ApiResponse.error(new ApiException(
                        408,
                        "request-timeout",
                        "a whole request must come within " + RequestDeadline.SECONDS + " seconds")),
                false);
    }

    private static FullHttpResponse response(ApiResponse answer, boolean keep) {
        FullHttpResponse response = new DefaultFullHttpResponse(
                HttpVersion.HTTP_1_1,
                HttpResponseStatus.valueOf(answer.status()),
                Unpooled.wrappedBuffer(answer.body()));
        if (answer.body().length > 0) {
            response.headers().set(HttpHeaderNames.CONTENT_TYPE, answer.type());
        }
        HttpUtil.setContentLength(response, answer.body().length);
        HttpUtil.setKeepAlive(response, keep);
        return response;
    }

    private static void handOver(ChannelHandlerContext context, ApiResponse.Takeover takeover) {
        ChannelPipeline pipeline = context.pipeline();
        context.channel().config().setAutoRead(false);
        EarlyBytes early = new EarlyBytes();
        pipeline.addLast(early);
        // From behind, so that what the codec has read beyond the request comes out of it to the last.
        List<String> names = pipeline.names();
        for (int i = names.size() - 1; i >= 0; i--) {
            if (pipeline.get(names.get(i)) instanceof ChannelHandler handler && handler != early) {
                pipeline.remove(handler);
            }
        }
        pipeline.remove(early);
        takeover.take(context.channel(), early.bytes.toByteArray());
    }

    /** Keeps what came behind a request. */
    private static final class EarlyBytes extends ChannelInboundHandlerAdapter {

        final ByteArrayOutputStream bytes = new ByteArrayOutputStream();

        @Override
        public void channelRead(ChannelHandlerContext context, Object message) {
            if (message instanceof ByteBuf read) {
                bytes.writeBytes(ByteBufUtil.getBytes(read));
            }
            ReferenceCountUtil.release(message);
        }
    }

    private ApiResponse answer(ChannelHandlerContext context, FullHttpRequest request) {
        try {
            ApiRequest asked = ApiRequest.of(
                    request.method().name(), request.uri(), ByteBufUtil.getBytes(request.content()), context.channel());
            for (ControlApi api : apis) {
                ApiResponse answer = api.answer(asked);
                if (answer != null) {
                    return answer;
                }
            }
            throw new ApiException(404, "not-found", "there is no " + asked.path());
        } catch (ApiException e) {
            return ApiResponse.error(e);
        } catch (IllegalArgumentException e) {
            return ApiResponse.error(new ApiException(400, "bad-request", "the request's address makes no sense"));
        } catch (RuntimeException e) {
            LOG.warn("control API: {} {} failed", request.method(), request.uri(), e);
            return ApiResponse.error(new ApiException(500, "defect", "a defect of this program; see its log"));
        }
    }

    private static ApiException malformed(Throwable cause) {
        if (cause instanceof TooLongHttpLineException) {
            return new ApiException(414, "request-line-too-long", "the request line is too long");
        }
        if (cause instanceof TooLongHttpHeaderException) {
            return new ApiException(431, "header-too-large", "the request's header is too large");
        }
        return new ApiException(400, "not-http", "that is not an HTTP request");
    }

    @Override
    public void exceptionCaught(ChannelHandlerContext context, Throwable cause) {
        if (!(cause instanceof IOException)) {
            LOG.warn("control API: a request failed", cause);
        }
        context.close();
    }
}
