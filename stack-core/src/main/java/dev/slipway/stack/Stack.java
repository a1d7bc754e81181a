package dev.slipway.stack;

import dev.slipway.dhcp.DhcpServer;
import dev.slipway.dhcp.LeaseTable;
import dev.slipway.dns.NameServer;
import dev.slipway.icmp.EchoTable;
import dev.slipway.ip.Ipv4Output;
import dev.slipway.ip.Ipv6Neighbours;
import dev.slipway.ip.Ipv6Output;
import dev.slipway.ip.Neighbours;
import dev.slipway.seam.DropCounters;
import dev.slipway.seam.FrameSink;
import dev.slipway.seam.HostSockets;
import dev.slipway.seam.ServiceRelay;
import dev.slipway.seam.StackSettings;
import dev.slipway.tcp.TcpTable;
import dev.slipway.time.DeadlineQueue;
import dev.slipway.time.Timed;
import dev.slipway.udp.UdpForwards;
import dev.slipway.udp.UdpTable;
import dev.slipway.wire.ArpPacket;
import dev.slipway.wire.BigEndian;
import dev.slipway.wire.DropReason;
import dev.slipway.wire.EthernetFrame;
import dev.slipway.wire.Frame;
import dev.slipway.wire.Icmpv4Packet;
import dev.slipway.wire.IpAddress;
import dev.slipway.wire.Ipv4Packet;
import dev.slipway.wire.MacAddress;
import dev.slipway.wire.TcpSegment;
import dev.slipway.wire.UdpDatagram;
import java.lang.foreign.MemorySegment;
import java.util.function.Consumer;
import java.util.function.LongPredicate;

/**
 * The TCP/IP stack that one guest sees as its network: router, name server, DHCP server, and everything beyond them.
 *
 * <pre>
 *   input ─ Ethernet ─┬─ ARP
 *                     ├─ IPv6  {@link Ipv6Input}
 *                     └─ IPv4 ─ reassembly ─┬─ ICMP  echo: of our own addresses, or by the host ({@link EchoTable})
 *                                           ├─ UDP   DHCP, DNS; else a socket of the host ({@link UdpTable})
 *                                           └─ TCP   a connection of the host ({@link TcpTable})
 * </pre>
 *
 * <p>Sans-IO: the owner hands over frames and the time; see the package's documentation. All methods belong to the thread
 * that owns the stack.
 */
public final class Stack {

    private static final int DHCP_SERVER_PORT = 67;
    private static final int DNS_PORT = 53;
    private static final int TTL = 64;
    private static final long PROTOCOL_ERROR_INTERVAL = 1_000_000_000L;

    private final StackSettings settings;
    private final FrameSink toGuest;
    private final DropCounters drops;
    private final LeaseTable leases;
    private final int holder;
    private final NameServer names;
    private final DhcpServer dhcp;
    private final DeadlineQueue deadlines = new DeadlineQueue();
    private final Neighbours neighbours = new Neighbours();
    private final Ipv4Output output;
    private final Ipv6Output output6;
    private final Ipv6Input ipv6;
    private final Timed advertisements;
    private final Reassembly reassembly;
    private final TcpTable tcp;
    private final UdpTable udp;
    private final EchoTable echo;
    private final UdpForwards forwards;
    private final ToGuestPorts ports;
    private Runnable turnWanted = () -> {};
    private Consumer<Throwable> failureListener = failure -> {};
    private long failures;

    private final EthernetFrame ethernet = new EthernetFrame();
    private final ArpPacket arp = new ArpPacket();
    private final Ipv4Packet ip = new Ipv4Packet();
    private final Icmpv4Packet icmp = new Icmpv4Packet();
    private final UdpDatagram datagram = new UdpDatagram();
    private final TcpSegment segment = new TcpSegment();

    private long nextProtocolError = Long.MIN_VALUE;
    private boolean mayHaveBooted;
    /** When the last frame came. */
    private long latest;

    /**
     * @param toGuest where frames for the guest go
     * @param host the host's sockets
     * @param names answers the guest's queries over UDP; its answers come on the thread that owns the stack
     * @param leases addresses and their owners, shared by all guests of a network
     * @param drops where drops are counted, shared with {@code names}
     * @param secret 16 random bytes, kept from everyone
     */
    public Stack(
            StackSettings settings,
            FrameSink toGuest,
            HostSockets host,
            NameServer names,
            LeaseTable leases,
            DropCounters drops,
            byte[] secret) {
        this.settings = settings;
        this.toGuest = toGuest;
        this.names = names;
        this.leases = leases;
        this.drops = drops;
        holder = leases.join();
        dhcp = new DhcpServer(settings, leases, holder);
        output = new Ipv4Output(settings, toGuest, neighbours, drops, secret);
        reassembly = new Reassembly(settings.limits().reassemblyBytes(), drops, deadlines);
        Ipv6Neighbours neighbours6 = new Ipv6Neighbours();
        output6 = new Ipv6Output(settings, toGuest, neighbours6, drops, secret);
        tcp = new TcpTable(settings, output, output6, host, drops, deadlines, secret);
        udp = new UdpTable(settings, output, output6, host, drops, deadlines, this::wantsTurn);
        echo = new EchoTable(settings, output, output6, host, drops, deadlines, this::wantsTurn);
        forwards = new UdpForwards(settings, output, output6, drops, deadlines);
        ports = new ToGuestPorts(settings, toGuest, neighbours, neighbours6, leases, holder, tcp, forwards);
        tcp.whenTurnWanted(this::wantsTurn);
        ipv6 = new Ipv6Input(
                settings,
                output6,
                neighbours6,
                leases.ipv6(),
                holder,
                reassembly,
                tcp,
                udp,
                echo,
                forwards,
                ports,
                names,
                segment,
                datagram,
                this::flush,
                drops,
                deadlines,
                this::wantsTurn);
        ports.askBy(ipv6::solicit, ipv6::pingAll);
        advertisements = new Advertisements(ipv6::advertise);
    }

    /** Who is told that {@link #endTurn} is wanted although no frame came: something happened on the host. */
    public void whenTurnWanted(Runnable listener) {
        turnWanted = listener;
    }

    /**
     * Whose addresses the guest may ask for and give back by DHCP, by MAC address; all without this. What it says in the
     * name of others is dropped as {@link DropReason#DHCP}.
     */
    public void serveDhcpOnly(LongPredicate those) {
        dhcp.serveOnly(those);
    }

    /** What the table of addresses calls this guest. */
    public int holder() {
        return holder;
    }

    /** Who is told of defects of ours that cost a flow. */
    public void whenFailed(Consumer<Throwable> listener) {
        failureListener = listener;
        tcp.whenFailed(listener);
        udp.whenFailed(listener);
        echo.whenFailed(listener);
    }

    /** Frames that were dropped, and flows that were ended, because of a defect of ours. */
    public long failures() {
        return failures + tcp.counters().failures() + udp.failures() + echo.failures();
    }

    public DropCounters drops() {
        return drops;
    }

    public TcpTable tcp() {
        return tcp;
    }

    public UdpTable udp() {
        return udp;
    }

    public EchoTable echo() {
        return echo;
    }

    /** What the host's clients reach the guest by; {@link #endTurn} is wanted after each of its methods. */
    public ToGuestPorts ports() {
        return ports;
    }

    /** Bytes of fragments that wait for the rest of their datagram. */
    public int reassemblyBytes() {
        return reassembly.bytes();
    }

    private void wantsTurn() {
        turnWanted.run();
    }

    /**
     * A frame from the guest. Its bytes must stay as they are until {@link #endTurn}.
     *
     * @param now the time in nanoseconds of a clock that never goes back
     */
    public void input(Frame frame, long now) {
        latest = now;
        output.at(now);
        output6.at(now);
        try {
            DropReason reason = receive(frame, now);
            if (reason != DropReason.NONE) {
                drops.count(reason);
            }
        } catch (RuntimeException | OutOfMemoryError failure) {
            failures++;
            failureListener.accept(failure);
        }
    }

    /** All frames of a batch, or all events of a turn, were handed over: answers what they have to be answered with. */
    public void endTurn(long now) {
        output.at(now);
        output6.at(now);
        echo.at(now);
        flush(now);
    }

    /** Hands on what came in: the memory it lies in is somebody else's afterwards, whatever happens here. */
    private void flush(long now) {
        try {
            tcp.endTurn(now);
        } finally {
            udp.endTurn(now);
        }
    }

    /**
     * Says whether the host has a way out by IPv6, for {@link dev.slipway.seam.Ipv6Settings#followsHost}: the guest is
     * told at once whether it has a router. {@link #endTurn} is wanted.
     */
    public void ipv6Router(boolean isOne) {
        ipv6.router(isOne);
    }

    /** The channel to the guest was full and has room again; {@link #endTurn} is wanted. */
    public void guestReady() {
        tcp.guestReady();
    }

    /** Fires the timers that are due; {@link #endTurn} is wanted. */
    public void poll(long now) {
        output.at(now);
        output6.at(now);
        deadlines.poll(now);
    }

    /** When {@link #poll} is wanted next, or {@code Long.MAX_VALUE}. */
    public long nextDeadline() {
        return deadlines.next();
    }

    /**
     * A guest is at the channel: the one that was there before, or another, or the same after a restart. {@link #endTurn}
     * is wanted.
     */
    public void attached() {
        mayHaveBooted = tcp.size() > 0 || udp.size() > 0;
        // While nobody was there the channel had no room; those that waited for it would wait for ever.
        tcp.guestReady();
    }

    /**
     * This stack ends, and its guest may live on: all flows are reset on both sides, and others may have its share of the
     * addresses.
     */
    public void close() {
        tcp.shutDown();
        reset();
        leases.forget(holder, latest);
    }

    /**
     * The guest is gone: all its flows are reset on the host's side, and addresses that it used without asking may be used
     * by others.
     */
    public void reset() {
        leases.leave(holder, latest);
        tcp.reset();
        udp.reset();
        forwards.reset();
        echo.reset();
        reassembly.clear();
        neighbours.clear();
        ports.reset();
        ipv6.reset();
        mayHaveBooted = false;
    }

    // --- Ethernet -----------------------------------------------------------------------------------------------

    private DropReason receive(Frame frame, long now) {
        MemorySegment bytes = frame.bytes();
        DropReason reason = ethernet.parse(bytes, frame.offset(), frame.length());
        if (reason != DropReason.NONE) {
            return reason;
        }
        if (frame.length() > settings.mtu() + EthernetFrame.HEADER_LENGTH && frame.segmentSize() == 0) {
            return DropReason.OVERSIZE;
        }
        if (ethernet.source() == settings.gatewayMac()) {
            return DropReason.SPOOF;
        }
        long destination = ethernet.destination();
        if (destination != settings.gatewayMac() && !MacAddress.isGroup(destination)) {
            return DropReason.NOT_FOR_US;
        }
        long payload = frame.offset() + EthernetFrame.HEADER_LENGTH;
        int length = frame.length() - EthernetFrame.HEADER_LENGTH;
        return switch (ethernet.type()) {
            case EthernetFrame.TYPE_IPV4 ->
                receiveIpv4(bytes, payload, length, frame.checksum() == Frame.ChecksumState.COMPLETE, now);
            case EthernetFrame.TYPE_ARP -> receiveArp(bytes, payload, length, now);
            case EthernetFrame.TYPE_IPV6 ->
                settings.ipv6().enabled()
                        ? receiveIpv6(bytes, payload, length, frame.checksum() == Frame.ChecksumState.COMPLETE, now)
                        : DropReason.IPV6_OFF;
            default -> DropReason.ETHERTYPE;
        };
    }

    private DropReason receiveIpv6(MemorySegment bytes, long offset, int length, boolean verify, long now) {
        deadlines.watch(advertisements);
        return ipv6.receive(bytes, offset, length, verify, ethernet.source(), now);
    }

    private DropReason receiveArp(MemorySegment bytes, long offset, int length, long now) {
        DropReason reason = arp.parse(bytes, offset, length);
        if (reason != DropReason.NONE) {
            return reason;
        }
        if (arp.senderMac() != ethernet.source() || settings.isOwn(arp.senderIp())) {
            return DropReason.SPOOF;
        }
        // A sender of 0 asks whether an address is free (RFC 5227) and claims nothing.
        if (arp.senderIp() != 0) {
            reason = checkSource(arp.senderIp(), now);
            if (reason != DropReason.NONE) {
                return reason;
            }
        }
        if (arp.operation() == ArpPacket.REQUEST && settings.isOwn(arp.targetIp())) {
            answerArp(arp.senderMac(), arp.senderIp(), arp.targetIp());
        }
        return DropReason.NONE;
    }

    private void answerArp(long askerMac, int askerIp, int ours) {
        Frame frame = toGuest.begin(EthernetFrame.HEADER_LENGTH + ArpPacket.LENGTH);
        EthernetFrame.write(frame.bytes(), frame.offset(), askerMac, settings.gatewayMac(), EthernetFrame.TYPE_ARP);
        ArpPacket.write(
                frame.bytes(),
                frame.offset() + EthernetFrame.HEADER_LENGTH,
                ArpPacket.REPLY,
                settings.gatewayMac(),
                ours,
                askerMac,
                askerIp);
        toGuest.send(frame);
    }

    /** Whether the frame's sender may use a source address (an address belongs to whom it was leased or who used it first). */
    private DropReason checkSource(int source, long now) {
        long mac = ethernet.source();
        if (neighbours.macOf(source) == mac) {
            return DropReason.NONE;
        }
        if (settings.isOwn(source)) {
            return DropReason.SPOOF;
        }
        if (!settings.contains(source) || source == settings.broadcast() || source == settings.network()) {
            return DropReason.MARTIAN;
        }
        if (!leases.claim(holder, source, mac, now) || !neighbours.bind(source, mac)) {
            return DropReason.SPOOF;
        }
        ports.guestIsAt(source, mac);
        return DropReason.NONE;
    }

    // --- IPv4 ---------------------------------------------------------------------------------------------------

    private DropReason receiveIpv4(MemorySegment bytes, long offset, int length, boolean verify, long now) {
        DropReason reason = ip.parse(bytes, offset, length);
        if (reason != DropReason.NONE) {
            return reason;
        }
        if (ip.ttl() == 0) {
            return DropReason.TTL;
        }
        int source = ip.source();
        int destination = ip.destination();
        boolean nameless = source == 0;
        if (!nameless) {
            reason = checkSource(source, now);
            if (reason != DropReason.NONE) {
                return reason;
            }
        }
        boolean broadcast = isBroadcast(destination);
        if (nameless && !broadcast) {
            return DropReason.MARTIAN;
        }
        boolean group = broadcast || settings.relayOf(destination) != null;
        if (group ? ip.protocol() != Ipv4Packet.PROTOCOL_UDP : isNowhere(destination)) {
            return DropReason.DESTINATION;
        }
        if (!group && MacAddress.isGroup(ethernet.destination())) {
            return DropReason.DESTINATION;
        }
        if (!group && !settings.isOwn(destination) && !mayGoOn(bytes, offset, length, source, destination)) {
            return settings.contains(destination) ? DropReason.DESTINATION : DropReason.TTL;
        }
        if (!ip.isFragment()) {
            return deliver(
                    ip.protocol(), bytes, ip.payloadOffset(), ip.payloadLength(), source, destination, verify, now);
        }
        int whole = reassembly.add(ip, bytes, now);
        if (whole < 0) {
            return DropReason.NONE;
        }
        reason = deliver(ip.protocol(), reassembly.payload(), 0, whole, source, destination, true, now);
        // The next datagram is put together in the same memory, so what came in this one must be handed on now.
        flush(now);
        return reason;
    }

    private boolean isBroadcast(int destination) {
        return destination == -1 || destination == settings.broadcast();
    }

    /** Addresses that no host has: this network, loopback, multicast, class E. */
    private boolean isNowhere(int destination) {
        int first = destination >>> 24;
        return first == 0 || first == 127 || first >= 224 || destination == settings.network();
    }

    /** What a router checks before it forwards; says why not by ICMP. */
    private boolean mayGoOn(MemorySegment bytes, long offset, int length, int source, int destination) {
        if (settings.contains(destination)) {
            sendError(Icmpv4Packet.UNREACHABLE, Icmpv4Packet.CODE_HOST_UNREACHABLE, bytes, offset, length, source);
            return false;
        }
        if (ip.ttl() == 1) {
            sendError(Icmpv4Packet.TIME_EXCEEDED, 0, bytes, offset, length, source);
            return false;
        }
        return true;
    }

    /** Reports an error about the packet at hand, if such may be reported (RFC 1122, section 3.2.2). */
    private void sendError(int type, int code, MemorySegment bytes, long offset, int length, int source) {
        boolean isError = ip.protocol() == Ipv4Packet.PROTOCOL_ICMP
                && ip.payloadLength() > 0
                && Icmpv4Packet.isError(BigEndian.u8(bytes, ip.payloadOffset()));
        if (isError || ip.fragmentOffset() > 0) {
            return;
        }
        int available = Math.min(length, ip.totalLength());
        output.sendError(type, code, 0, bytes, offset, ip.headerLength(), available, settings.gateway(), source);
    }

    /** Says that nobody takes the packet at hand, unless its headers are gone because it came in fragments. */
    private void sendUnreachable(int code, MemorySegment bytes, long payload, int source) {
        if (!ip.isFragment()) {
            sendError(Icmpv4Packet.UNREACHABLE, code, bytes, payload - ip.headerLength(), ip.totalLength(), source);
        }
    }

    /** The time to live that is left of the packet's behind the gateway. */
    private int hopsLeft(int destination) {
        // A group of the link is relayed to and not routed to.
        return settings.isOwn(destination) || IpAddress.isGroupV4(destination) ? ip.ttl() : ip.ttl() - 1;
    }

    private DropReason deliver(
            int protocol,
            MemorySegment bytes,
            long offset,
            int length,
            int source,
            int destination,
            boolean verify,
            long now) {
        return switch (protocol) {
            case Ipv4Packet.PROTOCOL_TCP -> {
                DropReason reason = segment.parse(bytes, offset, length, source, destination, verify);
                if (reason == DropReason.NONE) {
                    tcp.input(segment, source, destination, hopsLeft(destination), now);
                }
                yield reason;
            }
            case Ipv4Packet.PROTOCOL_UDP -> receiveUdp(bytes, offset, length, source, destination, verify, now);
            case Ipv4Packet.PROTOCOL_ICMP -> receiveIcmp(bytes, offset, length, source, destination, now);
            default -> {
                if (now >= nextProtocolError) {
                    nextProtocolError = now + PROTOCOL_ERROR_INTERVAL;
                    sendUnreachable(Icmpv4Packet.CODE_PROTOCOL_UNREACHABLE, bytes, offset, source);
                }
                yield DropReason.PROTOCOL;
            }
        };
    }

    private DropReason receiveIcmp(
            MemorySegment bytes, long offset, int length, int source, int destination, long now) {
        DropReason reason = icmp.parse(bytes, offset, length);
        if (reason != DropReason.NONE) {
            return reason;
        }
        if (icmp.type() != Icmpv4Packet.ECHO_REQUEST) {
            // Errors about what we sent change nothing: redirects and source quench least of all (RFC 6633).
            return DropReason.ICMP;
        }
        if (!settings.isOwn(destination)) {
            return echo.input(
                    IpAddress.ofV4(source),
                    IpAddress.ofV4(destination),
                    hopsLeft(destination),
                    ip.mayNotBeFragmented(),
                    bytes,
                    offset,
                    length,
                    now);
        }
        if (output.room() <= length) {
            return DropReason.GUEST_QUEUE_FULL;
        }
        // The guest's frame may be the guest's own memory, so the reply is made in ours.
        MemorySegment reply = reassembly.payload();
        if (bytes != reply) {
            MemorySegment.copy(bytes, offset, reply, 0, length);
        }
        Icmpv4Packet.write(reply, 0, length, Icmpv4Packet.ECHO_REPLY, 0);
        output.sendCopy(reply, 0, length, destination, source, Ipv4Packet.PROTOCOL_ICMP, TTL);
        return DropReason.NONE;
    }

    private DropReason receiveUdp(
            MemorySegment bytes, long offset, int length, int source, int destination, boolean verify, long now) {
        DropReason reason = datagram.parse(bytes, offset, length, source, destination, verify);
        if (reason != DropReason.NONE) {
            return reason;
        }
        int port = datagram.destinationPort();
        boolean toGateway = destination == settings.gateway();
        boolean broadcast = isBroadcast(destination);
        if (port == DHCP_SERVER_PORT && (broadcast || toGateway)) {
            return receiveDhcp(bytes, now);
        }
        if (broadcast || source == 0) {
            return source == 0 ? DropReason.MARTIAN : DropReason.DESTINATION;
        }
        if (toGateway && port == DNS_PORT) {
            return receiveDns(bytes, source);
        }
        ServiceRelay relay = settings.relayOf(destination);
        if (relay != null && port != relay.port()) {
            return DropReason.DESTINATION;
        }
        if (forwards.answer(datagram, bytes, source, destination, now)) {
            return DropReason.NONE;
        }
        if (toGateway) {
            sendUnreachable(Icmpv4Packet.CODE_PORT_UNREACHABLE, bytes, offset, source);
            return DropReason.DESTINATION;
        }
        udp.input(datagram, bytes, source, destination, hopsLeft(destination), ip.mayNotBeFragmented(), now);
        return DropReason.NONE;
    }

    private DropReason receiveDns(MemorySegment bytes, int guest) {
        int port = datagram.sourcePort();
        names.query(bytes, datagram.payloadOffset(), datagram.payloadLength(), false, answer -> {
            output.sendDatagram(settings.gateway(), DNS_PORT, guest, port, answer);
            wantsTurn();
        });
        return DropReason.NONE;
    }

    private DropReason receiveDhcp(MemorySegment bytes, long now) {
        DropReason reason = dhcp.answer(bytes, datagram.payloadOffset(), datagram.payloadLength(), now);
        if (reason != DropReason.NONE) {
            return reason;
        }
        if (mayHaveBooted && dhcp.wasDiscover()) {
            // A guest that asks for an address from scratch after it came back has restarted: its old flows are dead.
            mayHaveBooted = false;
            tcp.reset();
            udp.reset();
            forwards.reset();
            echo.reset();
        }
        int leased = leases.leaseOf(ethernet.source());
        if (leased != 0 && leases.ownerOf(leased) == ethernet.source() && neighbours.bind(leased, ethernet.source())) {
            ports.guestIsAt(leased, ethernet.source());
        }
        int length = dhcp.replyLength();
        if (length > 0) {
            int total = UdpDatagram.HEADER_LENGTH + length;
            Frame frame = output.begin(total);
            long header = frame.offset() + Ipv4Output.HEADERS;
            dhcp.copyReply(frame.bytes(), header + UdpDatagram.HEADER_LENGTH);
            int destination = dhcp.replyDestination();
            UdpDatagram.write(
                    frame.bytes(), header, settings.gateway(), DHCP_SERVER_PORT, destination, dhcp.replyPort(), length);
            output.send(frame, total, settings.gateway(), destination, Ipv4Packet.PROTOCOL_UDP, dhcp.replyMac());
        }
        return DropReason.NONE;
    }
}
