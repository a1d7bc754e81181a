package dev.slipway.publish;

import dev.slipway.ethernet.Transport;
import dev.slipway.host.PortClients;
import dev.slipway.udp.UdpForwards;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufUtil;
import io.netty.buffer.Unpooled;
import io.netty.channel.ChannelException;
import io.netty.channel.ChannelFuture;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.EventLoop;
import io.netty.channel.FixedRecvByteBufAllocator;
import io.netty.channel.ReflectiveChannelFactory;
import io.netty.channel.SimpleChannelInboundHandler;
import io.netty.channel.socket.DatagramChannel;
import io.netty.channel.socket.DatagramPacket;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.net.InetSocketAddress;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;

/**
 * Receives the datagrams of clients and hands them to the VM's event loop; sends them what the guest answers, from the
 * port that they sent to.
 */
final class UdpListener extends SimpleChannelInboundHandler<DatagramPacket> implements Listener {

    /** Clients that are remembered; one more, and the one heard of longest ago is forgotten. */
    static final int MAX_CLIENTS = 4_096;

    private static final int MAX_DATAGRAM = 65_535;

    private final PortRequest request;
    private final boolean preserveSource;
    private final Targets targets;
    private final DatagramChannel channel;
    private final Map<InetSocketAddress, Client> clients = new LinkedHashMap<>(16, 0.75f, true);

    private UdpListener(PortRequest request, boolean preserveSource, Targets targets, DatagramChannel channel) {
        this.request = request;
        this.preserveSource = preserveSource;
        this.targets = targets;
        this.channel = channel;
    }

    /** Listens; on the loop's own thread. */
    static UdpListener listen(
            PortRequest request,
            InetSocketAddress address,
            boolean preserveSource,
            Targets targets,
            EventLoop loop,
            Transport transport)
            throws IOException {
        DatagramChannel channel;
        try {
            channel = new ReflectiveChannelFactory<DatagramChannel>(transport.datagramChannel()).newChannel();
        } catch (ChannelException e) {
            throw new IOException("the host has no descriptor left", e);
        }
        UdpListener listener = new UdpListener(request, preserveSource, targets, channel);
        channel.config().setRecvByteBufAllocator(new FixedRecvByteBufAllocator(MAX_DATAGRAM));
        channel.pipeline().addLast(listener);
        ChannelFuture step = loop.register(channel);
        if (step.isSuccess()) {
            step = channel.bind(address);
        }
        if (!step.isSuccess()) {
            channel.close();
            Throwable cause = step.cause();
            throw cause instanceof IOException e ? e : new IOException(cause);
        }
        return listener;
    }

    @Override
    public int port() {
        return channel.localAddress().getPort();
    }

    @Override
    protected void channelRead0(ChannelHandlerContext context, DatagramPacket packet) {
        Targets.Target target = targets.find(request);
        if (target == null) {
            return;
        }
        byte[] payload = ByteBufUtil.getBytes(packet.content());
        Client client = clients.get(packet.sender());
        if (client == null || !client.target.equals(target)) {
            client = new Client(target, packet.sender());
            clients.put(packet.sender(), client);
            forgetEldest();
        }
        Client from = client;
        target.session().loop().execute(() -> from.deliver(payload));
    }

    private void forgetEldest() {
        if (clients.size() > MAX_CLIENTS) {
            Iterator<?> eldest = clients.keySet().iterator();
            eldest.next();
            eldest.remove();
        }
    }

    /** One client and its conversation with the guest. Its methods run on the VM's event loop. */
    private final class Client implements UdpForwards.Client {

        final Targets.Target target;
        private final InetSocketAddress address;
        /** Where the guest sees it, while there is a conversation. */
        private Optional<PortClients.Place> place = Optional.empty();

        Client(Targets.Target target, InetSocketAddress address) {
            this.target = target;
            this.address = address;
        }

        void deliver(byte[] payload) {
            PortClients clients = target.session().clients();
            if (place.isEmpty() || !clients.isAt(place.get(), target.guest())) {
                place = clients.placeOf(target.guest(), request.guestPort(), address, preserveSource);
            }
            if (place.isPresent()) {
                clients.deliver(request.guestPort(), place.get(), this, MemorySegment.ofArray(payload), payload.length);
            }
        }

        @Override
        public void answered(MemorySegment payload, long offset, int length) {
            byte[] copy = new byte[length];
            MemorySegment.copy(payload, ValueLayout.JAVA_BYTE, offset, copy, 0, length);
            ByteBuf answer = Unpooled.wrappedBuffer(copy);
            channel.writeAndFlush(new DatagramPacket(answer, address));
        }

        @Override
        public void forgotten() {
            place = Optional.empty();
            channel.eventLoop().execute(() -> clients.remove(address, this));
        }
    }

    /** What the network says about a datagram of ours to a client is of no use to the guest. */
    @Override
    public void exceptionCaught(ChannelHandlerContext context, Throwable cause) {
        // The next datagram may do better.
    }

    @Override
    public void close() {
        channel.close();
    }
}
