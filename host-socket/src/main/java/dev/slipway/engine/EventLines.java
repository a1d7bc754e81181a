package dev.slipway.engine;

import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.SimpleChannelInboundHandler;
import io.netty.handler.codec.http.HttpContent;
import io.netty.handler.codec.http.HttpObject;
import io.netty.handler.codec.http.HttpResponse;

/**
 * The engine's events: that one came is all that counts, because a look at the list tells the rest. Their text is not
 * read, so it cannot be wrong.
 */
final class EventLines extends SimpleChannelInboundHandler<HttpObject> {

    private final EngineWatcher watcher;

    EventLines(EngineWatcher watcher) {
        this.watcher = watcher;
    }

    @Override
    protected void channelRead0(ChannelHandlerContext context, HttpObject part) {
        if (part.decoderResult().isFailure()) {
            watcher.report("what it sends is not HTTP");
            context.close();
        } else if (part instanceof HttpResponse response) {
            if (response.status().code() == 200) {
                watcher.changed();
            } else {
                watcher.report("it answers GET /events with " + response.status());
                context.close();
            }
        } else if (part instanceof HttpContent content && content.content().isReadable()) {
            watcher.changed();
        }
    }

    @Override
    public void exceptionCaught(ChannelHandlerContext context, Throwable cause) {
        context.close();
    }
}
