package dev.slipway.control;

import io.netty.channel.Channel;
import io.netty.channel.ChannelFuture;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.channel.ChannelOption;
import io.netty.channel.socket.ChannelInputShutdownEvent;
import io.netty.channel.socket.DuplexChannel;

/**
 * One direction of two connections that are joined, both on one event loop. A read follows a write that the kernel took,
 * so that a slow side slows the other; each end is passed on by itself.
 */
final class Relay extends ChannelInboundHandlerAdapter {

    private final DuplexChannel to;
    private boolean ended;

    private Relay(DuplexChannel to) {
        this.to = to;
    }

    /** Joins two connections from which nothing is being read. */
    static void join(DuplexChannel one, DuplexChannel other) {
        prepare(one, other);
        prepare(other, one);
        one.read();
        other.read();
    }

    private static void prepare(DuplexChannel from, DuplexChannel to) {
        from.config().setAutoRead(false);
        from.config().setOption(ChannelOption.ALLOW_HALF_CLOSURE, true);
        from.pipeline().addLast(new Relay(to));
    }

    @Override
    public void channelRead(ChannelHandlerContext context, Object bytes) {
        to.writeAndFlush(bytes).addListener(done -> {
            if (done.isSuccess()) {
                context.read();
            } else {
                end(context.channel());
            }
        });
    }

    @Override
    public void userEventTriggered(ChannelHandlerContext context, Object event) {
        if (event instanceof ChannelInputShutdownEvent && !ended) {
            ended = true;
            ChannelFuture shut = to.shutdownOutput();
            shut.addListener(done -> {
                if (to.isInputShutdown() || !done.isSuccess()) {
                    end(context.channel());
                }
            });
        }
    }

    private void end(Channel from) {
        from.close();
        to.close();
    }

    @Override
    public void channelInactive(ChannelHandlerContext context) {
        to.close();
    }

    @Override
    public void exceptionCaught(ChannelHandlerContext context, Throwable cause) {
        end(context.channel());
    }
}
