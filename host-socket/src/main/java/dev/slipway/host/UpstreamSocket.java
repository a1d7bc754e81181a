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
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.IntSupplier;

/**
 * A UDP socket connected to one DNS server: a source port that the kernel chose at random, and ids that we choose at
 * random. As it is connected, the kernel drops what others send, and says when nobody listens at the server.
 */
final class UpstreamSocket extends ChannelInboundHandlerAdapter {

    /** Queries after which another port is used. */
    private static final int MAX_USES = 128;

    /** A route to the server may have changed: a connected socket keeps the source address it began with. */
    private static final long MAX_AGE_NANOS = 5_000_000_000L;

    private static final int MAX_MESSAGE = 65_535;

    private final ResolverCounters counters;
    private final IntSupplier ids;
    private final long openedAt;
    private final Map<Integer, Lookup> pending = new HashMap<>();
    private final DatagramChannel channel;
    private int uses;
    private boolean retired;
    private boolean flushQueued;

    /**
     * @param ids makes random 16-bit numbers
     * @throws IOException if the host has no socket left, or no way to the server
     */
    UpstreamSocket(
            EventLoop loop,
            Transport transport,
            InetSocketAddress server,
            ResolverCounters counters,
            IntSupplier ids,
            long now)
            throws IOException {
        this.counters = counters;
        this.ids = ids;
        this.openedAt = now;
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
        channel.pipeline().addLast(this);
    }

    /** Whether it may be used for another query. */
    boolean isFresh(long now) {
        return !retired && uses < MAX_USES && now - openedAt < MAX_AGE_NANOS && channel.isOpen();
    }

    boolean isIdle() {
        return pending.isEmpty();
    }

    /** Uses it no more: something may be wrong with it. */
    void retire() {
        retired = true;
    }

    /**
     * Sends a query; the lookup hears of an answer, or that the server cannot be reached.
     *
     * @return the id it was sent with
     */
    int send(Lookup lookup, byte[] query) {
        uses++;
        int id = ids.getAsInt();
        while (pending.putIfAbsent(id, lookup) != null) {
            id = ids.getAsInt();
        }
        int sentId = id;
        ByteBuf buffer = channel.alloc().directBuffer(query.length).writeBytes(DnsExchange.withId(query, id));
        channel.write(buffer).addListener(sent -> {
            if (!sent.isSuccess() && pending.get(sentId) == lookup) {
                lookup.unreachable(this);
            }
        });
        if (!flushQueued) {
            // Behind all that is ready now, so that queries that came together leave by one system call.
            flushQueued = true;
            channel.eventLoop().execute(this::flush);
        }
        return id;
    }

    private void flush() {
        flushQueued = false;
        channel.flush();
    }

    void forget(int id) {
        pending.remove(id);
    }

    @Override
    public void channelRead(ChannelHandlerContext context, Object message) {
        DatagramPacket packet = (DatagramPacket) message;
        byte[] response = new byte[packet.content().readableBytes()];
        packet.content().readBytes(response);
        packet.release();
        Lookup lookup = response.length < 2 ? null : pending.get(DnsExchange.id(response));
        if (lookup == null || !lookup.accepts(response)) {
            counters.rejected++;
            return;
        }
        lookup.answered(this, response);
    }

    @Override
    public void exceptionCaught(ChannelHandlerContext context, Throwable cause) {
        // Nobody listens at the server, or there is no way to it: all who wait here need not wait longer.
        retire();
        List<Lookup> waiting = new ArrayList<>(pending.values());
        for (Lookup lookup : waiting) {
            lookup.unreachable(this);
        }
    }

    void close() {
        channel.close();
    }
}
