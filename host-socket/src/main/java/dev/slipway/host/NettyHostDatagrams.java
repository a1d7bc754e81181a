package dev.slipway.host;

import dev.slipway.egress.EgressPolicy.Protocol;
import dev.slipway.ethernet.Transport;
import dev.slipway.seam.HostDatagrams;
import dev.slipway.wire.IpAddress;
import dev.slipway.wire.UdpDatagram;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufAllocator;
import io.netty.buffer.PooledByteBufAllocator;
import io.netty.channel.ChannelFuture;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.channel.ChannelOption;
import io.netty.channel.DefaultMaxMessagesRecvByteBufAllocator;
import io.netty.channel.socket.DatagramChannel;
import io.netty.channel.socket.DatagramPacket;
import io.netty.channel.socket.nio.NioDatagramChannel;
import io.netty.channel.unix.IntegerUnixChannelOption;
import io.netty.channel.unix.UnixChannel;
import io.netty.util.internal.PlatformDependent;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;

/**
 * A UDP socket of the host over a Netty channel, on any transport.
 *
 * <p>Each datagram is sent at once, so that {@link #send} can say what the kernel said. The socket is not connected, as
 * one guest port speaks with many peers, and an unconnected socket does not hear that a peer's port is closed, as far as
 * portable code goes. Nor can that set a time to live; and the kernel decides whether what is sent may be fragmented.
 */
final class NettyHostDatagrams extends ChannelInboundHandlerAdapter implements HostDatagrams {

    /** Keeps IPv4 from an IPv6 socket, so that a port may be bound once for each family (RFC 3493, section 5.3). */
    private static final IntegerUnixChannelOption ONLY_IPV6 =
            new IntegerUnixChannelOption("IPV6_V6ONLY", 41, PlatformDependent.isOsx() ? 27 : 26);

    /** What the kernel may be asked to hold per socket; it gives what its own limit allows. */
    private static final int KERNEL_BUFFER = 512 << 10;

    /**
     * Datagrams per wake-up. NIO collects the datagrams of a wake-up before it hands them on, so there it is one, as
     * all share one buffer.
     */
    private static final int BATCH = 64;

    private final NettyHostSockets owner;
    private final Destinations destinations;
    private final Listener listener;
    private final boolean ipv6;
    private final int maxPayload;
    private DatagramChannel channel;
    private UdpSocket.Sender sender;
    private IpAddress lastDestination;
    private InetSocketAddress lastAddress;
    /** Whether something was sent to a group. */
    private boolean asksGroups;

    private boolean closed;

    NettyHostDatagrams(NettyHostSockets owner, Destinations destinations, Listener listener, boolean ipv6) {
        this.owner = owner;
        this.destinations = destinations;
        this.listener = listener;
        this.ipv6 = ipv6;
        this.maxPayload = ipv6 ? UdpDatagram.MAX_PAYLOAD_V6 : UdpDatagram.MAX_PAYLOAD;
    }

    /** Opens a socket of the host at a port, or returns false if that is taken. */
    boolean open(Transport transport, int port) throws IOException {
        UdpSocket socket = UdpSocket.open(transport, ipv6);
        DatagramChannel fresh = socket.channel();
        if (ipv6 && fresh instanceof UnixChannel) {
            fresh.config().setOption(ONLY_IPV6, 1);
        }
        InetSocketAddress local =
                ipv6 ? NettyHostSockets.socketAddress(new IpAddress(0, 0), port) : new InetSocketAddress(port);
        fresh.config().setAllocator(PooledByteBufAllocator.DEFAULT);
        fresh.config().setRecvByteBufAllocator(new OneBuffer(owner, fresh instanceof NioDatagramChannel ? 1 : BATCH));
        fresh.config().setOption(ChannelOption.SO_RCVBUF, KERNEL_BUFFER);
        fresh.config().setOption(ChannelOption.SO_SNDBUF, KERNEL_BUFFER);
        ChannelFuture registered = owner.loop().register(fresh);
        ChannelFuture bound = registered.isSuccess() ? fresh.bind(local) : registered;
        if (!bound.isSuccess()) {
            fresh.close();
            return false;
        }
        fresh.pipeline().addLast(this);
        channel = fresh;
        sender = socket.sender();
        return true;
    }

    /** The port on the host. */
    int localPort() {
        return channel.localAddress().getPort();
    }

    @Override
    public Verdict send(
            IpAddress destination,
            int port,
            int hopLimit,
            boolean dontFragment,
            MemorySegment source,
            long offset,
            int length) {
        if (closed) {
            return Verdict.LOST;
        }
        Destinations.Way way = destinations.judge(destination, Protocol.UDP, port);
        Verdict refusal = Destinations.refusalOfDatagram(way);
        if (refusal != null) {
            owner.counters().datagramsRefusedByPolicy++;
            return refusal;
        }
        if (length > maxPayload) {
            return Verdict.TOO_BIG;
        }
        ByteBuffer buffer = owner.sendBuffer(source, offset, length);
        if (destination.isGroup()) {
            asksGroups = true;
            if (ipv6) {
                destinations.groupInterface().ifPresent(by -> channel.config().setNetworkInterface(by));
            }
        }
        try {
            if (sender.send(buffer, addressOf(destination, way, port)) < length) {
                owner.counters().datagramsLost++;
                return Verdict.LOST;
            }
            owner.counters().datagramsToHost++;
            return Verdict.SENT;
        } catch (IOException e) {
            owner.counters().datagramsLost++;
            return Failures.ofSend(e);
        }
    }

    @Override
    public int pathMtu() {
        return 0;
    }

    private InetSocketAddress addressOf(IpAddress destination, Destinations.Way way, int port) {
        if (lastAddress == null || lastAddress.getPort() != port || !destination.equals(lastDestination)) {
            lastAddress = NettyHostSockets.socketAddress(destinations.onHost(destination, way), port);
            lastDestination = destination;
        }
        return lastAddress;
    }

    @Override
    public void flush() {
        // Nothing waits: see send.
    }

    @Override
    public void channelRead(ChannelHandlerContext context, Object message) {
        DatagramPacket packet = (DatagramPacket) message;
        try {
            received(packet);
        } finally {
            packet.release();
        }
    }

    private void received(DatagramPacket packet) {
        if (closed) {
            return;
        }
        InetSocketAddress sender = packet.sender();
        IpAddress from = IpAddress.ofBytes(sender.getAddress().getAddress());
        IpAddress source = asksGroups ? destinations.answererSeenByGuest(from) : destinations.seenByGuest(from);
        if (source == null || source.isV4() == ipv6) {
            owner.counters().datagramsFromStrangers++;
            return;
        }
        owner.counters().datagramsFromHost++;
        ByteBuf content = packet.content();
        int length = content.readableBytes();
        MemorySegment memory = MemorySegment.ofBuffer(content.internalNioBuffer(content.readerIndex(), length));
        tell(() -> listener.received(source, sender.getPort(), memory, 0, length));
    }

    /** A listener that throws loses what it was told, nothing else. */
    private void tell(Runnable event) {
        owner.touched();
        try {
            event.run();
        } catch (RuntimeException | OutOfMemoryError e) {
            owner.failed(e);
        }
    }

    @Override
    public void exceptionCaught(ChannelHandlerContext context, Throwable cause) {
        // An error that the kernel kept for this socket; the datagram it speaks of is lost, the socket is not.
        owner.counters().datagramsLost++;
    }

    @Override
    public void close() {
        if (!closed) {
            closed = true;
            channel.close();
            owner.closed(this);
        }
    }

    /** Reads every datagram into the one buffer of the VM: an idle socket holds no memory. */
    private static final class OneBuffer extends DefaultMaxMessagesRecvByteBufAllocator {
        private final NettyHostSockets owner;

        OneBuffer(NettyHostSockets owner, int batch) {
            super(batch);
            this.owner = owner;
        }

        @Override
        @SuppressWarnings("deprecation") // Netty deprecates the type of what its own channels take
        public Handle newHandle() {
            return new MaxMessageHandle() {
                @Override
                public ByteBuf allocate(ByteBufAllocator allocator) {
                    return owner.datagramBuffer();
                }

                @Override
                public int guess() {
                    return UdpDatagram.MAX_PAYLOAD_V6;
                }
            };
        }
    }
}
