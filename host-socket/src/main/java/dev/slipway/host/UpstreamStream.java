package dev.slipway.host;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.PooledByteBufAllocator;
import io.netty.channel.ChannelFuture;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.channel.EventLoop;
import io.netty.channel.socket.SocketChannel;
import java.net.InetSocketAddress;
import java.util.Arrays;

/** A TCP connection to one DNS server for one query (RFC 7766): the message follows its length in two bytes. */
final class UpstreamStream extends ChannelInboundHandlerAdapter {

    private static final int PREFIX = 2;
    private static final int FIRST_BUFFER = 2_048;

    private final Lookup lookup;
    private final ResolverCounters counters;
    private final SocketChannel channel;
    private byte[] input = new byte[FIRST_BUFFER];
    private int length;
    private boolean done;

    UpstreamStream(Lookup lookup, ResolverCounters counters, SocketChannel channel) {
        this.lookup = lookup;
        this.counters = counters;
        this.channel = channel;
    }

    /** Connects and sends; the lookup hears of an answer, or that there is none. */
    void send(EventLoop loop, InetSocketAddress server, byte[] query) {
        channel.config().setAllocator(PooledByteBufAllocator.DEFAULT).setTcpNoDelay(true);
        channel.pipeline().addLast(this);
        ChannelFuture registered = loop.register(channel);
        if (!registered.isSuccess()) {
            failed();
            return;
        }
        channel.connect(server).addListener(connected -> {
            if (!connected.isSuccess()) {
                failed();
                return;
            }
            ByteBuf message = channel.alloc().directBuffer(PREFIX + query.length);
            channel.writeAndFlush(message.writeShort(query.length).writeBytes(query));
        });
    }

    @Override
    public void channelRead(ChannelHandlerContext context, Object message) {
        ByteBuf bytes = (ByteBuf) message;
        try {
            while (bytes.isReadable() && !done) {
                int wanted = Math.min(missing(), bytes.readableBytes());
                bytes.readBytes(input, length, wanted);
                length += wanted;
                if (missing() == 0) {
                    finish();
                }
            }
        } finally {
            bytes.release();
        }
    }

    private int missing() {
        if (length < PREFIX) {
            return PREFIX - length;
        }
        int total = PREFIX + ((input[0] & 0xFF) << 8 | input[1] & 0xFF);
        if (total > input.length) {
            input = Arrays.copyOf(input, total);
        }
        return total - length;
    }

    private void finish() {
        byte[] response = Arrays.copyOfRange(input, PREFIX, length);
        if (lookup.accepts(response) && DnsExchange.id(response) == DnsExchange.id(lookup.query())) {
            done = true;
            lookup.answered(this, response);
            channel.close();
        } else {
            counters.rejected++;
            failed();
        }
    }

    @Override
    public void channelInactive(ChannelHandlerContext context) {
        failed();
    }

    @Override
    public void exceptionCaught(ChannelHandlerContext context, Throwable cause) {
        failed();
    }

    private void failed() {
        if (!done) {
            done = true;
            channel.close();
            lookup.unreachable(this);
        }
    }

    void close() {
        done = true;
        channel.close();
    }
}
