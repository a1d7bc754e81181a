package dev.slipway.control;

import io.netty.channel.Channel;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.util.concurrent.ScheduledFuture;
import java.util.concurrent.TimeUnit;

/**
 * The time that a client has for a whole request, from its connection or the answer before, however it deals out the bytes.
 * One that is over it is told so, if it has begun a request, and its connection is closed; so is one that does not read the
 * answer for as long. Of too many connections the one that has waited longest makes room.
 */
final class RequestDeadline extends ChannelInboundHandlerAdapter {

    static final int SECONDS = 10;

    private final Waiting waiting;
    private final ControlCounters counters;
    private ChannelHandlerContext context;
    private ScheduledFuture<?> deadline;
    private boolean begun;

    RequestDeadline(Waiting waiting, ControlCounters counters) {
        this.waiting = waiting;
        this.counters = counters;
    }

    @Override
    public void handlerAdded(ChannelHandlerContext added) {
        context = added;
        answered();
        added.channel().closeFuture().addListener(closed -> waiting.remove(added.channel()));
    }

    /** The answer to a request is on its way, and the next one may come. */
    void answered() {
        begun = false;
        cancel();
        deadline = context.executor().schedule(this::over, SECONDS, TimeUnit.SECONDS);
        Channel eldest = waiting.waits(context.channel());
        if (eldest != null) {
            counters.refused.incrementAndGet();
            eldest.close();
        }
    }

    @Override
    public void channelRead(ChannelHandlerContext reading, Object bytes) {
        begun = true;
        reading.fireChannelRead(bytes);
    }

    private void over() {
        if (begun && context.channel().isWritable()) {
            counters.requestsTimedOut.incrementAndGet();
            context.pipeline().writeAndFlush(ControlHandler.timedOut());
        }
        context.close();
    }

    private void cancel() {
        if (deadline != null) {
            deadline.cancel(false);
        }
    }

    /** HTTP ends here. */
    @Override
    public void handlerRemoved(ChannelHandlerContext removed) {
        cancel();
        waiting.remove(removed.channel());
    }
}
