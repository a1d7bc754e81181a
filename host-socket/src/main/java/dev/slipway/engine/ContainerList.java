package dev.slipway.engine;

import io.netty.buffer.ByteBufUtil;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.SimpleChannelInboundHandler;
import io.netty.handler.codec.http.FullHttpResponse;

/** One answer to {@code GET /containers/json}. */
final class ContainerList extends SimpleChannelInboundHandler<FullHttpResponse> {

    private final EngineWatcher watcher;
    private boolean answered;

    ContainerList(EngineWatcher watcher) {
        this.watcher = watcher;
    }

    @Override
    protected void channelRead0(ChannelHandlerContext context, FullHttpResponse response) {
        if (response.decoderResult().isFailure()) {
            watcher.report("what it sends is not HTTP");
        } else if (response.status().code() != 200) {
            watcher.report("it answers GET /containers/json with " + response.status());
        } else {
            answered = true;
            watcher.looked(ByteBufUtil.getBytes(response.content()));
        }
        context.close();
    }

    @Override
    public void exceptionCaught(ChannelHandlerContext context, Throwable cause) {
        watcher.report("its list of containers cannot be read: " + cause.getMessage());
        context.close();
    }

    @Override
    public void channelInactive(ChannelHandlerContext context) {
        if (!answered) {
            answered = true;
            watcher.looked(null);
        }
    }
}
