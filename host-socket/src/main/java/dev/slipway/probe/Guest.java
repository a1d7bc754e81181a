package dev.slipway.probe;

import dev.slipway.seam.DropCounters;
import dev.slipway.wire.BigEndian;
import dev.slipway.wire.Checksum;
import dev.slipway.wire.DropReason;
import dev.slipway.wire.EthernetFrame;
import dev.slipway.wire.Icmpv4Packet;
import dev.slipway.wire.IpAddress;
import dev.slipway.wire.Ipv4Packet;
import dev.slipway.wire.MacAddress;
import dev.slipway.wire.TcpSegment;
import dev.slipway.wire.UdpDatagram;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.function.BooleanSupplier;

/**
 * A virtual machine's end of a frame socket: one network card with one address, and a loop of turns. Everything happens
 * on the thread that calls it.
 */
public final class Guest implements AutoCloseable {

    /** Gets the datagrams that come to a port. */
    interface DatagramHandler {
        void received(int source, int sourcePort, MemorySegment bytes, long offset, int length);
    }

    private static final int DEFAULT_MTU = 1500;
    private static final int TTL = 64;
    private static final int IP_OFFSET = EthernetFrame.HEADER_LENGTH;
    private static final int PAYLOAD_OFFSET = IP_OFFSET + Ipv4Packet.HEADER_LENGTH;
    private static final long LONGEST_WAIT = 1_000_000_000L;
    private static final long ARP_INTERVAL = 500_000_000L;

    private final FrameLink link;
    private final FrameLink.Receiver receiver = this::frame;
    private final long mac;
    private final SplittableRandom random;
    private int address;
    private int netmask;
    private int gateway;
    private int mtu = DEFAULT_MTU;

    private final Neighbours neighbours;
    private final EchoClient echo = new EchoClient(this);
    private final Map<Integer, DatagramHandler> ports = new HashMap<>();
    private final List<TcpConnection> connections = new ArrayList<>();
    private final DropCounters rejected = new DropCounters();
    private int identification;
    private int nextPort;

    private final EthernetFrame ethernet = new EthernetFrame();
    private final Ipv4Packet ip = new Ipv4Packet();
    private final Icmpv4Packet icmp = new Icmpv4Packet();
    private final UdpDatagram udp = new UdpDatagram();
    private final TcpSegment tcp = new TcpSegment();

    Guest(FrameLink link, long mac, SplittableRandom random) {
        this.link = link;
        this.mac = mac;
        this.neighbours = new Neighbours(link, mac);
        this.random = random;
        this.nextPort = 49_152 + random.nextInt(8_192);
        this.identification = random.nextInt(1 << 16);
    }

    /**
     * Attaches to a backend that listens on a Unix socket in QEMU's stream framing, with a random local MAC address.
     *
     * @throws IOException if nothing listens there
     */
    public static Guest attach(Path socket) throws IOException {
        return over(QemuSocket.connect(socket));
    }

    /**
     * The same, but it does not run all the time; see {@link StallingLink}.
     *
     * @param frames that come between two such times
     */
    static Guest attachStalling(Path socket, int frames) throws IOException {
        return over(new StallingLink(QemuSocket.connect(socket), frames));
    }

    private static Guest over(FrameLink link) {
        SplittableRandom random =
                new SplittableRandom(System.nanoTime() ^ ProcessHandle.current().pid() << 32);
        return new Guest(link, 0x5254_0000_0000L | random.nextInt() & 0xFFFF_FFFFL, random);
    }

    /** What came with a header or checksum that cannot be, by reason. */
    public DropCounters rejected() {
        return rejected;
    }

    long mac() {
        return mac;
    }

    long now() {
        return link.now();
    }

    int randomInt() {
        return random.nextInt();
    }

    /** Takes the address, network and router of a lease; {@code largestMtu} bounds its MTU. */
    void configure(Lease lease, int largestMtu) {
        address = lease.address();
        neighbours.answerFor(address);
        netmask = lease.netmask();
        gateway = lease.router();
        mtu = Math.min(lease.mtu() == 0 ? DEFAULT_MTU : lease.mtu(), largestMtu);
    }

    int mtu() {
        return mtu;
    }

    /**
     * One turn: what is to go, what came, and the answers to it.
     *
     * @param waitNanos how long to wait for a frame if none is there
     * @return whether a frame came
     */
    boolean turn(long waitNanos) throws IOException {
        endTurns();
        boolean came = link.receive(receiver, waitNanos);
        endTurns();
        return came;
    }

    private void endTurns() throws IOException {
        long now = link.now();
        for (int i = 0; i < connections.size(); i++) {
            connections.get(i).endTurn(now);
        }
        link.flush();
    }

    /** When a timer wants a turn. */
    long nextDeadline() {
        long next = Long.MAX_VALUE;
        for (int i = 0; i < connections.size(); i++) {
            next = Math.min(next, connections.get(i).deadline());
        }
        return next;
    }

    /**
     * Runs turns until a condition holds.
     *
     * @return false if {@code limitNanos} passed before
     */
    boolean await(BooleanSupplier condition, long limitNanos) throws IOException {
        long deadline = link.now() + limitNanos;
        while (!condition.getAsBoolean()) {
            long now = link.now();
            if (now >= deadline) {
                return false;
            }
            long next = nextDeadline();
            long wait = next <= now ? 0 : Math.min(next - now, deadline - now);
            turn(Math.min(wait, LONGEST_WAIT));
        }
        return true;
    }

    private void frame(MemorySegment bytes, long offset, int length) {
        DropReason reason = ethernet.parse(bytes, offset, length);
        if (reason == DropReason.NONE
                && (ethernet.destination() == mac || MacAddress.isGroup(ethernet.destination()))) {
            long payload = offset + EthernetFrame.HEADER_LENGTH;
            int payloadLength = length - EthernetFrame.HEADER_LENGTH;
            reason = switch (ethernet.type()) {
                case EthernetFrame.TYPE_ARP -> neighbours.input(bytes, payload, payloadLength);
                case EthernetFrame.TYPE_IPV4 -> inputIpv4(bytes, payload, payloadLength);
                default -> DropReason.NONE;
            };
        }
        if (reason != DropReason.NONE) {
            rejected.count(reason);
        }
    }

    private DropReason inputIpv4(MemorySegment bytes, long offset, int length) {
        DropReason reason = ip.parse(bytes, offset, length);
        if (reason != DropReason.NONE) {
            return reason;
        }
        if (ip.isFragment()) {
            return DropReason.FRAGMENT;
        }
        int destination = ip.destination();
        long payload = ip.payloadOffset();
        int payloadLength = ip.payloadLength();
        if (ip.protocol() == Ipv4Packet.PROTOCOL_UDP) {
            return inputUdp(bytes, payload, payloadLength);
        }
        if (destination != address || address == 0) {
            return DropReason.NONE;
        }
        return switch (ip.protocol()) {
            case Ipv4Packet.PROTOCOL_TCP -> inputTcp(bytes, payload, payloadLength);
            case Ipv4Packet.PROTOCOL_ICMP -> inputIcmp(bytes, payload, payloadLength);
            default -> DropReason.NONE;
        };
    }

    private DropReason inputUdp(MemorySegment bytes, long offset, int length) {
        DropReason reason = udp.parse(bytes, offset, length, ip.source(), ip.destination(), true);
        if (reason == DropReason.NONE) {
            DatagramHandler handler = ports.get(udp.destinationPort());
            if (handler != null) {
                handler.received(ip.source(), udp.sourcePort(), bytes, udp.payloadOffset(), udp.payloadLength());
            }
        }
        return reason;
    }

    private DropReason inputTcp(MemorySegment bytes, long offset, int length) {
        DropReason reason = tcp.parse(bytes, offset, length, ip.source(), ip.destination(), true);
        if (reason != DropReason.NONE) {
            return reason;
        }
        for (int i = 0; i < connections.size(); i++) {
            TcpConnection connection = connections.get(i);
            if (connection.isFor(ip.source(), tcp.sourcePort(), tcp.destinationPort())) {
                connection.input(tcp, link.now());
                return DropReason.NONE;
            }
        }
        if (!tcp.has(TcpSegment.RST)) {
            refuse();
        }
        return DropReason.NONE;
    }

    /** A reset for a segment that belongs to nothing (RFC 9293, section 3.10.7.1). */
    private void refuse() {
        boolean acknowledges = tcp.has(TcpSegment.ACK);
        int peer = ip.source();
        long at = beginIp(ethernet.source(), TcpSegment.HEADER_LENGTH, Ipv4Packet.PROTOCOL_TCP, peer);
        if (at >= 0) {
            TcpSegment.write(
                    link.memory(),
                    at,
                    address,
                    tcp.destinationPort(),
                    peer,
                    tcp.sourcePort(),
                    acknowledges ? tcp.acknowledgement() : 0,
                    acknowledges ? 0 : tcp.sequence() + tcp.sequenceLength(),
                    acknowledges ? TcpSegment.RST : TcpSegment.RST | TcpSegment.ACK,
                    0,
                    TcpSegment.HEADER_LENGTH,
                    TcpSegment.HEADER_LENGTH);
            BigEndian.putU16(
                    link.memory(),
                    at + TcpSegment.CHECKSUM,
                    Checksum.finish(Checksum.sum(link.memory(), at, TcpSegment.HEADER_LENGTH)));
            send(TcpSegment.HEADER_LENGTH);
        }
    }

    private DropReason inputIcmp(MemorySegment bytes, long offset, int length) {
        DropReason reason = icmp.parse(bytes, offset, length);
        if (reason != DropReason.NONE) {
            return reason;
        }
        if (icmp.type() == Icmpv4Packet.ECHO_REPLY) {
            echo.replied(bytes, offset);
        } else if (icmp.type() == Icmpv4Packet.ECHO_REQUEST) {
            long at = beginIp(ethernet.source(), length, Ipv4Packet.PROTOCOL_ICMP, ip.source());
            if (at >= 0) {
                MemorySegment.copy(bytes, offset, link.memory(), at, length);
                Icmpv4Packet.write(link.memory(), at, length, Icmpv4Packet.ECHO_REPLY, 0);
                send(length);
            }
        } else if (icmp.type() == Icmpv4Packet.UNREACHABLE) {
            unreachable(bytes, offset + Icmpv4Packet.HEADER_LENGTH, length - Icmpv4Packet.HEADER_LENGTH);
        }
        return DropReason.NONE;
    }

    /** The packet at fault is quoted: its header and at least eight bytes, which name the ports. */
    private void unreachable(MemorySegment bytes, long offset, int length) {
        if (length < Ipv4Packet.HEADER_LENGTH + 8) {
            return;
        }
        int headerLength = (BigEndian.u8(bytes, offset) & 0xF) * 4;
        if (length < headerLength + 8 || BigEndian.u8(bytes, offset + 9) != Ipv4Packet.PROTOCOL_TCP) {
            return;
        }
        int peer = BigEndian.i32(bytes, offset + 16);
        int sourcePort = BigEndian.u16(bytes, offset + headerLength);
        int destinationPort = BigEndian.u16(bytes, offset + headerLength + 2);
        for (TcpConnection connection : connections) {
            if (connection.isFor(peer, destinationPort, sourcePort)) {
                connection.unreachable();
            }
        }
    }

    /**
     * Asks who has an address.
     *
     * @return its MAC address, or -1 if nobody answered in time
     */
    long resolve(int neighbour, long limitNanos) throws IOException {
        neighbours.forget(neighbour);
        long deadline = link.now() + limitNanos;
        while (link.now() < deadline) {
            neighbours.ask(neighbour);
            if (await(() -> neighbours.find(neighbour) >= 0, Math.min(ARP_INTERVAL, deadline - link.now()))) {
                return neighbours.find(neighbour);
            }
        }
        return -1;
    }

    /** Says where a neighbour is, as if it had answered. */
    void neighbour(int neighbour, long neighbourMac) {
        neighbours.learn(neighbour, neighbourMac);
    }

    /** The MAC address that packets to an address go to: the neighbour's, or the gateway's; -1 if unknown. */
    private long nextHop(int destination) throws IOException {
        int hop = (destination & netmask) == (address & netmask) ? destination : gateway;
        long known = neighbours.find(hop);
        return known >= 0 ? known : resolve(hop, 3 * ARP_INTERVAL);
    }

    private long beginIp(long destinationMac, int length, int protocol, int destination) {
        long at = link.begin(PAYLOAD_OFFSET + length);
        if (at < 0) {
            return -1;
        }
        EthernetFrame.write(link.memory(), at, destinationMac, mac, EthernetFrame.TYPE_IPV4);
        Ipv4Packet.write(
                link.memory(),
                at + IP_OFFSET,
                Ipv4Packet.HEADER_LENGTH + length,
                identification++ & 0xFFFF,
                Ipv4Packet.dontFragment(),
                TTL,
                protocol,
                address,
                destination);
        return at + PAYLOAD_OFFSET;
    }

    /** Gives the datagrams that come to a port to a handler; {@code null}: to nobody. */
    void onDatagram(int port, DatagramHandler handler) {
        if (handler == null) {
            ports.remove(port);
        } else {
            ports.put(port, handler);
        }
    }

    /** An own port that was not used before by this guest. */
    int freshPort() {
        nextPort = nextPort == 65_535 ? 49_152 : nextPort + 1;
        return nextPort;
    }

    /** Sends a datagram to everybody on the link, before there is an address if need be. */
    void broadcast(int sourcePort, int destinationPort, byte[] payload) {
        sendUdp(MacAddress.BROADCAST, sourcePort, -1, destinationPort, payload);
    }

    /** Sends a datagram; if nobody answers for its next hop it is lost. */
    void sendUdp(int sourcePort, int destination, int destinationPort, byte[] payload) throws IOException {
        long hop = nextHop(destination);
        if (hop >= 0) {
            sendUdp(hop, sourcePort, destination, destinationPort, payload);
        }
    }

    private void sendUdp(long hop, int sourcePort, int destination, int destinationPort, byte[] payload) {
        int length = UdpDatagram.HEADER_LENGTH + payload.length;
        long at = beginIp(hop, length, Ipv4Packet.PROTOCOL_UDP, destination);
        if (at >= 0) {
            MemorySegment.copy(
                    MemorySegment.ofArray(payload), 0, link.memory(), at + UdpDatagram.HEADER_LENGTH, payload.length);
            UdpDatagram.write(link.memory(), at, address, sourcePort, destination, destinationPort, payload.length);
            send(length);
        }
    }

    /** Pings an address once; see {@link EchoClient#ping}. */
    long ping(int destination, int payload, long limitNanos) throws IOException {
        return echo.ping(destination, payload, limitNanos);
    }

    /**
     * Begins an IP packet to an address.
     *
     * @return where in {@link #memory} its payload goes, or -1 if it cannot be sent
     */
    long begin(int destination, int protocol, int length) throws IOException {
        long hop = nextHop(destination);
        return hop < 0 ? -1 : beginIp(hop, length, protocol, destination);
    }

    /** Sends the packet begun last. */
    void send(int length) {
        link.send(PAYLOAD_OFFSET + length);
    }

    MemorySegment memory() {
        return link.memory();
    }

    /**
     * Begins to open a TCP connection.
     *
     * @throws IOException if nobody answers for the next hop
     */
    TcpConnection connect(int destination, int port) throws IOException {
        return connect(destination, port, freshPort(), random.nextInt());
    }

    TcpConnection connect(int destination, int port, int ownPort, int initialSequence) throws IOException {
        long hop = nextHop(destination);
        if (hop < 0) {
            throw new IOException("nobody answers ARP for the way to " + IpAddress.toString(destination));
        }
        int mss = mtu - Ipv4Packet.HEADER_LENGTH - TcpSegment.HEADER_LENGTH;
        TcpConnection connection = new TcpConnection(
                new Port(hop, destination), address, ownPort, destination, port, mss, initialSequence, link.now());
        connections.add(connection);
        return connection;
    }

    /** Forgets a connection, which is reset if it has not ended. */
    void release(TcpConnection connection) {
        if (connections.remove(connection)) {
            if (connection.end() == TcpConnection.End.NONE) {
                connection.abort();
            }
            connection.free();
        }
    }

    @Override
    public void close() throws IOException {
        for (TcpConnection connection : List.copyOf(connections)) {
            release(connection);
        }
        try {
            link.flush();
        } catch (IOException e) {
            // Nobody is there to hear the resets.
            link.close();
            return;
        }
        link.close();
    }

    /** The way of a connection's segments to its next hop. */
    private final class Port implements TcpConnection.Port {
        private final long hop;
        private final int destination;

        Port(long hop, int destination) {
            this.hop = hop;
            this.destination = destination;
        }

        @Override
        public int room() {
            return link.room();
        }

        @Override
        public long begin(int length) {
            return beginIp(hop, length, Ipv4Packet.PROTOCOL_TCP, destination);
        }

        @Override
        public MemorySegment memory() {
            return link.memory();
        }

        @Override
        public void send(int length) {
            Guest.this.send(length);
        }
    }
}
