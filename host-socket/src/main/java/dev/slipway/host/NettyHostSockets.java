package dev.slipway.host;

import dev.slipway.egress.EgressPolicy.Protocol;
import dev.slipway.ethernet.Transport;
import dev.slipway.queue.QueueBudget;
import dev.slipway.seam.HostDatagrams;
import dev.slipway.seam.HostEcho;
import dev.slipway.seam.HostSockets;
import dev.slipway.seam.HostStream;
import dev.slipway.seam.HostStream.ConnectFailure;
import dev.slipway.wire.IpAddress;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.PooledByteBufAllocator;
import io.netty.channel.ChannelException;
import io.netty.channel.EventLoop;
import io.netty.channel.ReflectiveChannelFactory;
import io.netty.channel.socket.DuplexChannel;
import io.netty.channel.socket.SocketChannel;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.UnknownHostException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.Set;
import java.util.function.Consumer;

/**
 * The host's sockets for one VM, over Netty channels on the VM's event loop. Everything here belongs to that loop.
 */
final class NettyHostSockets implements HostSockets, AutoCloseable {

    private static final int DATAGRAM_MAX = 65_535;

    private final EventLoop loop;
    private final Destinations destinations;
    private final QueueBudget budget;
    private final HostCounters counters;
    private final Runnable touched;
    private final Consumer<Throwable> failed;
    private final ReflectiveChannelFactory<? extends SocketChannel> streamChannels;
    private final Transport transport;
    private final Set<NettyHostStream> streams = new HashSet<>();
    private final Set<NettyHostDatagrams> datagrams = new HashSet<>();
    private ByteBuf datagramBuffer;
    private ByteBuffer sendBuffer;
    private MemorySegment sendMemory;

    /**
     * @param budget for the queues of all connections
     * @param touched called before each event that is delivered: the stack has something to end its turn for
     * @param failed called with what the stack threw when it was told of an event
     */
    NettyHostSockets(
            EventLoop loop,
            Transport transport,
            Destinations destinations,
            QueueBudget budget,
            HostCounters counters,
            Runnable touched,
            Consumer<Throwable> failed) {
        this.loop = loop;
        this.destinations = destinations;
        this.budget = budget;
        this.counters = counters;
        this.touched = touched;
        this.failed = failed;
        this.streamChannels = new ReflectiveChannelFactory<>(transport.tcpChannel());
        this.transport = transport;
    }

    // ---- TCP

    @Override
    public HostStream connect(IpAddress destination, int port, int hopLimit, HostStream.Listener listener) {
        NettyHostStream stream = new NettyHostStream(this, listener);
        Destinations.Way way = destinations.judge(destination, Protocol.TCP, port);
        ConnectFailure refusal = Destinations.refusal(way);
        if (refusal != null) {
            counters.connectsRefusedByPolicy++;
            stream.fail(refusal);
            return stream;
        }
        if (!admits()) {
            counters.socketsExhausted++;
            stream.fail(ConnectFailure.EXHAUSTED);
            return stream;
        }
        SocketChannel channel;
        try {
            channel = streamChannels.newChannel();
        } catch (ChannelException | OutOfMemoryError e) {
            Descriptors.ofThisProcess().closed();
            counters.socketsExhausted++;
            stream.fail(ConnectFailure.EXHAUSTED);
            return stream;
        }
        channel.config().setAllocator(PooledByteBufAllocator.DEFAULT);
        counters.connects++;
        streams.add(stream);
        counters.openStreams = streams.size();
        stream.connect(channel, socketAddress(destinations.onHost(destination, way), port));
        return stream;
    }

    /**
     * A connection that the host has accepted, for a guest that was not asked yet; only after {@link #admitsAccepted}
     * has said yes.
     */
    HostStream accepted(DuplexChannel channel, HostStream.Listener listener) {
        NettyHostStream stream = new NettyHostStream(this, listener);
        streams.add(stream);
        counters.openStreams = streams.size();
        counters.accepts++;
        stream.accept(channel);
        return stream;
    }

    EventLoop loop() {
        return loop;
    }

    QueueBudget budget() {
        return budget;
    }

    HostCounters counters() {
        return counters;
    }

    void connectFailed(ConnectFailure failure) {
        counters.connectsFailed++;
        if (failure == ConnectFailure.EXHAUSTED) {
            counters.socketsExhausted++;
        }
    }

    /** Whether there is room for a connection that the host has accepted, which is counted then. */
    boolean admitsAccepted() {
        return admits();
    }

    /** A connection that {@link #admitsAccepted} has counted does not come about. */
    void acceptedInVain() {
        Descriptors.ofThisProcess().closed();
    }

    /** Whether memory and descriptors suffice for another socket, which is counted then. */
    private static boolean admits() {
        return MemoryReserve.ofThisProcess().admitsFlows()
                && Descriptors.ofThisProcess().admitsChannel();
    }

    void closed(NettyHostStream stream) {
        if (streams.remove(stream)) {
            Descriptors.ofThisProcess().closed();
        }
        counters.openStreams = streams.size();
    }

    /** Tells a stream's listener what happened. A listener that throws loses this one connection. */
    void deliver(NettyHostStream stream, int events) {
        if (events == 0) {
            return;
        }
        touched.run();
        try {
            stream.tell(events);
        } catch (RuntimeException | OutOfMemoryError e) {
            failed(e);
            stream.abort();
        }
    }

    void failed(Throwable cause) {
        failed.accept(cause);
    }

    /**
     * Gives up a connection if bytes from the guest hold too much memory altogether: of those whose host does not take
     * them, the one that holds most.
     */
    void shedIfNeeded() {
        if (!budget.isExceeded()) {
            return;
        }
        NettyHostStream victim = null;
        int most = 0;
        for (NettyHostStream stream : streams) {
            int held = stream.isStalled() ? stream.heldFromGuest() : 0;
            if (held > most) {
                most = held;
                victim = stream;
            }
        }
        if (victim != null) {
            counters.flowsShed++;
            victim.abort();
        }
    }

    // ---- UDP

    @Override
    public HostDatagrams openDatagrams(int preferredPort, boolean ipv6, HostDatagrams.Listener listener) {
        NettyHostDatagrams socket = new NettyHostDatagrams(this, destinations, listener, ipv6);
        if (!admits()) {
            counters.socketsExhausted++;
            return null;
        }
        if (!open(socket, preferredPort) && (preferredPort == 0 || !open(socket, 0))) {
            Descriptors.ofThisProcess().closed();
            counters.socketsExhausted++;
            return null;
        }
        datagrams.add(socket);
        counters.openDatagrams = datagrams.size();
        return socket;
    }

    @Override
    public HostEcho openEcho(int preferredIdentifier, boolean ipv6, HostEcho.Listener listener) {
        return NoEcho.INSTANCE;
    }

    private boolean open(NettyHostDatagrams socket, int port) {
        try {
            return socket.open(transport, port);
        } catch (IOException e) {
            return false;
        }
    }

    void closed(NettyHostDatagrams socket) {
        if (datagrams.remove(socket)) {
            Descriptors.ofThisProcess().closed();
        }
        counters.openDatagrams = datagrams.size();
    }

    /** What every datagram of every socket of this VM is read into: it is handed on before the next one is read. */
    ByteBuf datagramBuffer() {
        if (datagramBuffer == null) {
            datagramBuffer = PooledByteBufAllocator.DEFAULT.directBuffer(DATAGRAM_MAX, DATAGRAM_MAX);
        }
        return datagramBuffer.clear().retain();
    }

    /** The bytes of a datagram in memory that a socket can send from, valid until the next call. */
    ByteBuffer sendBuffer(MemorySegment source, long offset, int length) {
        if (sendBuffer == null) {
            sendBuffer = ByteBuffer.allocateDirect(DATAGRAM_MAX);
            sendMemory = MemorySegment.ofBuffer(sendBuffer);
        }
        MemorySegment.copy(source, offset, sendMemory, 0, length);
        return sendBuffer.clear().limit(length);
    }

    void touched() {
        touched.run();
    }

    // ----

    static InetSocketAddress socketAddress(IpAddress address, int port) {
        try {
            return new InetSocketAddress(InetAddress.getByAddress(address.toBytes()), port);
        } catch (UnknownHostException e) {
            throw new IllegalArgumentException("an IP address has 4 or 16 bytes: " + address, e);
        }
    }

    /** Resets all connections and closes all sockets. No event follows. */
    @Override
    public void close() {
        new ArrayList<>(streams).forEach(NettyHostStream::reset);
        new ArrayList<>(datagrams).forEach(NettyHostDatagrams::close);
        if (datagramBuffer != null) {
            datagramBuffer.release();
            datagramBuffer = null;
        }
    }
}
