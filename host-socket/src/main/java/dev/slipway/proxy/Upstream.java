package dev.slipway.proxy;

import dev.slipway.queue.ReadLimit;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufAllocator;
import io.netty.channel.ChannelException;
import io.netty.channel.ChannelFuture;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.channel.ChannelOption;
import io.netty.channel.socket.ChannelInputShutdownEvent;
import io.netty.channel.socket.SocketChannel;
import io.netty.handler.ssl.SslCloseCompletionEvent;
import io.netty.handler.ssl.SslHandler;

/**
 * A connection of the host that a proxied flow uses: to a proxy, through one, or around it. It is made by a {@link
 * Dialer}, which calls {@link #opened} or {@link #failed}; from then on it stands last in the channel's pipeline.
 *
 * <p>It is read only while its owner has room, and asks for bytes of the guest only while Netty holds few.
 */
final class Upstream extends ChannelInboundHandlerAdapter implements ReadLimit.Reader {

    private final ProxyContext context;
    private Owner owner;
    private SocketChannel channel;
    private Runnable cancelDial = () -> {};
    private boolean open;
    private boolean closed;
    private boolean ended;
    private boolean endedForCertain;
    private long pending;
    private boolean endWanted;
    private boolean outputEnded;

    /** Who uses the connection. Called on the event loop; any call may come from within one of {@link Upstream}'s. */
    interface Owner {

        /** Bytes may be written. Never from within {@link Dialer#dial}. */
        void connected();

        /** There is no connection. Never from within {@link Dialer#dial}. No other call follows. */
        void failed(DialFailure failure);

        /** Bytes came; their reference is the owner's. */
        void received(ByteBuf bytes);

        /** The other side sends no more. */
        void ended();

        /** The connection is gone. No other call follows. */
        void broken();

        /** There is room to write again. */
        void writable();

        /** Whether the owner takes more bytes; when it does again it calls {@link Upstream#resume}. */
        boolean hasRoom();
    }

    Upstream(ProxyContext context, Owner owner) {
        this.context = context;
        this.owner = owner;
    }

    /** Hands it to another owner. */
    void owner(Owner next) {
        owner = next;
    }

    // ---- for the dialer

    /** What is to be called off if the owner gives up before there is a connection. */
    void onCancel(Runnable cancel) {
        cancelDial = cancel;
    }

    void channel(SocketChannel dialled) {
        channel = dialled;
    }

    /** Whether the owner has given up. */
    boolean isClosed() {
        return closed;
    }

    void opened() {
        if (!closed) {
            open = true;
            owner.connected();
            resume();
        }
    }

    void failed(DialFailure failure) {
        if (!closed) {
            closed = true;
            context.counters().failures++;
            if (failure.reason() == DialFailure.Reason.PROXY_SAYS_NO) {
                context.counters().refusedByProxy++;
            }
            owner.failed(failure);
        }
    }

    // ---- to the host

    /** Whether Netty holds little enough for more. */
    boolean isWritable() {
        return open && !closed && channel.isWritable();
    }

    /** Writes bytes, whose reference is taken; they go out with {@link #flush}. */
    void write(ByteBuf bytes) {
        if (!open || closed) {
            bytes.release();
            return;
        }
        int length = bytes.readableBytes();
        pending += length;
        context.budget().fromGuest(length);
        channel.write(bytes).addListener(done -> written((ChannelFuture) done, length));
    }

    void flush() {
        if (open && !closed) {
            channel.flush();
        }
    }

    private void written(ChannelFuture done, int length) {
        pending -= length;
        context.budget().fromGuest(-length);
        if (!done.isSuccess()) {
            lost();
        } else if (pending == 0 && endWanted) {
            // Not now: Netty is in the middle of writing.
            context.loop().execute(this::endOutput);
        }
    }

    /** Ends the output when all that was written is in the kernel. */
    void end() {
        endWanted = true;
        if (pending == 0) {
            endOutput();
        }
    }

    private void endOutput() {
        if (outputEnded || closed || !open || pending > 0) {
            return;
        }
        outputEnded = true;
        SslHandler tls = channel.pipeline().get(SslHandler.class);
        if (tls == null) {
            channel.shutdownOutput();
        } else {
            tls.closeOutbound().addListener(done -> channel.shutdownOutput());
        }
    }

    @Override
    public void channelWritabilityChanged(ChannelHandlerContext handler) {
        if (open && !closed && channel.isWritable()) {
            owner.writable();
        }
    }

    // ---- from the host

    /** The owner has room again. */
    void resume() {
        if (open && !closed && !ended && !channel.config().isAutoRead() && owner.hasRoom()) {
            channel.config().setAutoRead(true);
        }
    }

    /** Reads no more until {@link #resume}. Between the two nothing is asked of the kernel but to be told of bytes. */
    private void pause() {
        channel.config().setAutoRead(false);
    }

    @Override
    public boolean mayRead() {
        return !closed && (!open || owner.hasRoom());
    }

    @Override
    public void readBegins() {
        // With automatic reading there is nothing to ask for again.
    }

    @Override
    public ByteBuf readTarget(ByteBufAllocator allocator, int size) {
        if (!mayRead()) {
            throw ReadLimit.QueueFull.INSTANCE;
        }
        return allocator.directBuffer(size, size);
    }

    @Override
    public void channelRead(ChannelHandlerContext handler, Object message) {
        ByteBuf bytes = (ByteBuf) message;
        if (closed || !open) {
            bytes.release();
        } else {
            owner.received(bytes);
            if (!closed && !owner.hasRoom()) {
                pause();
            }
        }
    }

    @Override
    public void userEventTriggered(ChannelHandlerContext handler, Object event) {
        boolean endOfTls = event instanceof SslCloseCompletionEvent end && end.isSuccess();
        if (endOfTls || event instanceof ChannelInputShutdownEvent) {
            endedForCertain |= endOfTls || handler.pipeline().get(SslHandler.class) == null;
            if (!open) {
                lost();
            } else if (!ended && !closed) {
                ended = true;
                owner.ended();
            }
        }
    }

    @Override
    public void exceptionCaught(ChannelHandlerContext handler, Throwable cause) {
        if (cause != ReadLimit.QueueFull.INSTANCE) {
            lost();
        } else if (!closed) {
            pause();
        }
    }

    @Override
    public void channelInactive(ChannelHandlerContext handler) {
        lost();
    }

    /**
     * Whether the other side itself has ended what it sends: within TLS anybody on the way can end the connection, but
     * only the other side can say so (RFC 8446, section 6.1).
     */
    boolean hasEndedForCertain() {
        return endedForCertain;
    }

    private void lost() {
        if (closed) {
            return;
        }
        if (!open) {
            failed(new DialFailure(DialFailure.Reason.PROXY_BROKEN, 502, "the connection to the proxy broke"));
            cancelDial.run();
            closeChannel(false);
            return;
        }
        closed = true;
        closeChannel(true);
        owner.broken();
    }

    // ---- the end

    /** Gives the connection up, maybe before there is one. The owner is told nothing more. */
    void abort() {
        if (!closed) {
            closed = true;
            cancelDial.run();
            closeChannel(open);
        }
    }

    /** Lets go of a connection that has ended in order. The owner is told nothing more. */
    void close() {
        if (!closed) {
            closed = true;
            cancelDial.run();
            closeChannel(pending > 0);
        }
    }

    private void closeChannel(boolean withReset) {
        if (channel == null) {
            return;
        }
        if (withReset) {
            try {
                channel.config().setOption(ChannelOption.SO_LINGER, 0);
            } catch (ChannelException e) {
                // The connection is gone already, so its peer needs no reset.
            }
        }
        ChannelHandlerContext tls = channel.pipeline().context(SslHandler.class);
        if (withReset && tls != null) {
            // Past TLS, which would say that all is well, and wait for the other side to read that.
            tls.close();
        } else {
            channel.close();
        }
    }
}
