package dev.slipway.host;

import dev.slipway.ethernet.Transport;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.PooledByteBufAllocator;
import io.netty.channel.ChannelFuture;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.channel.EventLoop;
import io.netty.channel.FixedRecvByteBufAllocator;
import io.netty.channel.socket.DatagramChannel;
import io.netty.channel.socket.DatagramPacket;
import java.io.IOException;
import java.net.InetSocketAddress;

/** A socket to a DNS server as a Netty channel, of any transport. */
final class NettyUpstreamSocket extends UpstreamSocket {

    private static final int MAX_MESSAGE = 65_535;

    private final DatagramChannel channel;

    /**
     * @throws IOException if the host has no socket left, or no way to the server
     */
    NettyUpstreamSocket(
            EventLoop loop,
            Transport transport,
            InetSocketAddress server,
            ResolverCounters counters,
            RandomIds ids,
            long now)
            throws IOException {
        super(counters, ids, now);
        channel = UdpSocket.open(transport, server.getAddress()).channel();
        channel.config().setAllocator(PooledByteBufAllocator.DEFAULT);
        channel.config().setRecvByteBufAllocator(new FixedRecvByteBufAllocator(MAX_MESSAGE));
        ChannelFuture ready = loop.register(channel);
        if (ready.isSuccess()) {
            ready = channel.connect(server);
        }
        if (!ready.isSuccess()) {
            channel.close();
            throw new IOException("cannot ask " + server, ready.cause());
        }
        channel.pipeline().addLast(new Receiver());
    }

    @Override
    void add(byte[] query, int id) {
        Lookup lookup = waiting(id);
        ByteBuf buffer =
                channel.alloc().directBuffer(query.length).writeBytes(query).setShort(0, id);
        channel.write(buffer).addListener(sent -> {
            if (!sent.isSuccess()) {
                notSent(id, lookup);
            }
        });
    }

    @Override
    void flush() {
        channel.flush();
    }

    @Override
    void release() {
        channel.close();
    }

    private final class Receiver extends ChannelInboundHandlerAdapter {

        @Override
        public void channelRead(ChannelHandlerContext context, Object message) {
            DatagramPacket packet = (DatagramPacket) message;
            byte[] response = new byte[packet.content().readableBytes()];
            packet.content().readBytes(response);
            packet.release();
            received(response);
        }

        @Override
        public void exceptionCaught(ChannelHandlerContext context, Throwable cause) {
            broken();
        }
    }
}
