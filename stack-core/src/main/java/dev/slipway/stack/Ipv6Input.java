package dev.slipway.stack;

import dev.slipway.dhcp.Dhcp6Server;
import dev.slipway.dhcp.Ipv6Addresses;
import dev.slipway.dns.NameServer;
import dev.slipway.icmp.EchoTable;
import dev.slipway.ip.Ipv6Neighbours;
import dev.slipway.ip.Ipv6Output;
import dev.slipway.seam.DropCounters;
import dev.slipway.seam.Ipv6Settings;
import dev.slipway.seam.ServiceRelay;
import dev.slipway.seam.StackSettings;
import dev.slipway.tcp.TcpTable;
import dev.slipway.time.DeadlineQueue;
import dev.slipway.udp.UdpForwards;
import dev.slipway.udp.UdpTable;
import dev.slipway.wire.BigEndian;
import dev.slipway.wire.Checksum;
import dev.slipway.wire.Dhcp6Message;
import dev.slipway.wire.DropReason;
import dev.slipway.wire.Frame;
import dev.slipway.wire.Icmpv6Packet;
import dev.slipway.wire.IpAddress;
import dev.slipway.wire.Ipv4Packet;
import dev.slipway.wire.Ipv6Packet;
import dev.slipway.wire.TcpSegment;
import dev.slipway.wire.UdpDatagram;
import java.lang.foreign.MemorySegment;
import java.util.function.LongConsumer;

/**
 * IPv6 of the guest: whose source address it is, what a router checks, and which protocol takes it.
 *
 * <p>TCP, UDP and echo requests go where IPv4's go, DNS on the gateway is answered, {@link NeighbourDiscovery} answers
 * what a router and a neighbour are asked; what groups of services are asked goes to the host if it may ({@link
 * ServiceRelay}). Fragments are put together first; neighbour discovery in fragments is refused
 * (RFC 6980).
 */
final class Ipv6Input {

    private static final int DNS_PORT = 53;

    private final StackSettings settings;
    private final Ipv6Settings network;
    private final Ipv6Neighbours neighbours;
    private final Ipv6Output output;
    private final NeighbourDiscovery discovery;
    private final Dhcp6Server dhcp;
    private final Ipv6Addresses addresses;
    private final int holder;
    private final Reassembly reassembly;
    private final TcpTable tcp;
    private final UdpTable udp;
    private final EchoTable echo;
    private final UdpForwards forwards;
    private final ToGuestPorts ports;
    private final NameServer names;
    private final LongConsumer handOn;
    private final DropCounters drops;
    private final DeadlineQueue deadlines;
    private final Runnable turnWanted;

    private final Ipv6Packet ip = new Ipv6Packet();
    private final Icmpv6Packet icmp = new Icmpv6Packet();
    private final TcpSegment segment;
    private final UdpDatagram datagram;

    /**
     * @param addresses of all guests of the network
     * @param holder who this guest is to them
     * @param segment what the stack reads segments with, one at a time
     * @param handOn told the time before memory that packets came in is used again
     */
    Ipv6Input(
            StackSettings settings,
            Ipv6Output output,
            Ipv6Neighbours neighbours,
            Ipv6Addresses addresses,
            int holder,
            Reassembly reassembly,
            TcpTable tcp,
            UdpTable udp,
            EchoTable echo,
            UdpForwards forwards,
            ToGuestPorts ports,
            NameServer names,
            TcpSegment segment,
            UdpDatagram datagram,
            LongConsumer handOn,
            DropCounters drops,
            DeadlineQueue deadlines,
            Runnable turnWanted) {
        this.settings = settings;
        this.network = settings.ipv6();
        this.output = output;
        this.neighbours = neighbours;
        this.addresses = addresses;
        this.holder = holder;
        this.reassembly = reassembly;
        this.tcp = tcp;
        this.udp = udp;
        this.echo = echo;
        this.forwards = forwards;
        this.ports = ports;
        this.names = names;
        this.segment = segment;
        this.datagram = datagram;
        this.handOn = handOn;
        this.drops = drops;
        this.deadlines = deadlines;
        this.turnWanted = turnWanted;
        this.discovery = new NeighbourDiscovery(settings, output, neighbours);
        this.dhcp = new Dhcp6Server(settings, NeighbourDiscovery.searchList(settings));
    }

    /**
     * A packet of the guest's.
     *
     * @param mac the frame's source
     */
    DropReason receive(MemorySegment bytes, long offset, int length, boolean verify, long mac, long now) {
        DropReason reason = ip.parse(bytes, offset, length);
        if (reason != DropReason.NONE) {
            return reason;
        }
        if (ip.hopLimit() == 0) {
            return DropReason.TTL;
        }
        long high = ip.destinationHigh();
        long low = ip.destinationLow();
        boolean multicast = IpAddress.isGroupV6(high);
        boolean nameless = (ip.sourceHigh() | ip.sourceLow()) == 0;
        if (nameless && (!multicast || ip.protocol() != Ipv6Packet.PROTOCOL_ICMP)) {
            return DropReason.MARTIAN;
        }
        if (!nameless) {
            reason = checkSource(ip.sourceHigh(), ip.sourceLow(), mac);
            if (reason != DropReason.NONE) {
                return reason;
            }
        }
        boolean relayed = multicast && settings.relayOf(high, low) != null;
        if (multicast && !relayed && ip.protocol() == Ipv4Packet.PROTOCOL_UDP) {
            return receiveDhcp(bytes, verify, now);
        }
        if (multicast && !relayed) {
            return ip.protocol() == Ipv6Packet.PROTOCOL_ICMP && !ip.isFragment()
                    ? receiveIcmp(bytes, ip.payloadOffset(), ip.payloadLength(), true, now)
                    : DropReason.DESTINATION;
        }
        if (!multicast && !network.isOwn(high, low)) {
            reason = mayGoOn(bytes, offset, high, low);
            if (reason != DropReason.NONE) {
                return reason;
            }
        }
        return ip.isFragment()
                ? receiveFragment(bytes, offset, now)
                : deliver(bytes, ip.payloadOffset(), ip.payloadLength(), verify, now);
    }

    /** A fragment; what cannot be one is told where it is wrong (RFC 8200, section 4.5). */
    private DropReason receiveFragment(MemorySegment bytes, long offset, long now) {
        int end = ip.fragmentOffset() + ip.payloadLength();
        if (ip.hasMoreFragments() && end % 8 != 0) {
            sendError(Icmpv6Packet.PARAMETER_PROBLEM, 0, Ipv6Packet.PAYLOAD_LENGTH, bytes, offset);
            return DropReason.FRAGMENT;
        }
        if (end > Reassembly.MAX_PAYLOAD_V6) {
            int field = ip.headerLength() - Ipv6Packet.FRAGMENT_HEADER_LENGTH + 2;
            sendError(Icmpv6Packet.PARAMETER_PROBLEM, 0, field, bytes, offset);
            return DropReason.FRAGMENT;
        }
        int length = reassembly.add(ip, bytes, now);
        if (length < 0) {
            return DropReason.NONE;
        }
        MemorySegment whole = reassembly.payload();
        DropReason reason = ip.parseWhole(whole, length, reassembly.protocol());
        if (reason != DropReason.NONE) {
            return reason;
        }
        reason = deliver(whole, ip.wholePayloadOffset(), length - ip.wholePayloadOffset(), true, now);
        // The next one is put together in the same memory, so what came in this one must be handed on now.
        handOn.accept(now);
        return reason;
    }

    private DropReason deliver(MemorySegment bytes, long at, int length, boolean verify, long now) {
        if (isToGroup() && ip.protocol() != Ipv4Packet.PROTOCOL_UDP) {
            return ip.protocol() == Ipv6Packet.PROTOCOL_ICMP && !ip.isFragment()
                    ? receiveIcmp(bytes, at, length, true, now)
                    : DropReason.DESTINATION;
        }
        return switch (ip.protocol()) {
            case Ipv4Packet.PROTOCOL_TCP -> receiveTcp(bytes, at, length, verify, now);
            case Ipv4Packet.PROTOCOL_UDP -> receiveUdp(bytes, at, length, verify, now);
            case Ipv6Packet.PROTOCOL_ICMP -> receiveIcmp(bytes, at, length, false, now);
            default -> {
                reportUnknown(bytes, at);
                yield DropReason.PROTOCOL;
            }
        };
    }

    /** Says that nobody takes what the packet at hand carries (RFC 4443, section 3.4). */
    private void reportUnknown(MemorySegment bytes, long at) {
        if (!ip.isFragment()) {
            sendError(
                    Icmpv6Packet.PARAMETER_PROBLEM,
                    Icmpv6Packet.CODE_NEXT_HEADER,
                    ip.protocolOffset(),
                    bytes,
                    at - ip.headerLength());
        }
    }

    /** Whether the frame's sender may use a source address: it belongs to whom used it first. */
    private DropReason checkSource(long high, long low, long mac) {
        long owner = neighbours.macOf(high, low);
        if (owner == mac) {
            return DropReason.NONE;
        }
        if (owner != 0 || network.isOwn(high, low)) {
            return DropReason.SPOOF;
        }
        if (high != network.prefix() && high != Ipv6Settings.LINK_LOCAL || low == 0) {
            return DropReason.MARTIAN;
        }
        if (neighbours.size() >= Ipv6Neighbours.LIMIT) {
            return DropReason.NEIGHBOUR_LIMIT;
        }
        // A link-local address is one of this guest's own link, the others are the network's.
        if (high != Ipv6Settings.LINK_LOCAL && !addresses.claim(holder, high, low, mac)) {
            return DropReason.SPOOF;
        }
        neighbours.bind(high, low, mac);
        if (high != Ipv6Settings.LINK_LOCAL) {
            ports.guestIsAt(high, low, mac);
        }
        return DropReason.NONE;
    }

    /** What a router checks before it forwards; says why not by ICMPv6. */
    private DropReason mayGoOn(MemorySegment bytes, long offset, long high, long low) {
        if (high >>> 54 == Ipv6Settings.LINK_LOCAL >>> 54 || high == 0 && (low == 0 || low == 1)) {
            return DropReason.DESTINATION;
        }
        if (high == network.prefix()) {
            sendError(Icmpv6Packet.UNREACHABLE, Icmpv6Packet.CODE_ADDRESS_UNREACHABLE, 0, bytes, offset);
            return DropReason.DESTINATION;
        }
        if (ip.hopLimit() == 1) {
            sendError(Icmpv6Packet.TIME_EXCEEDED, 0, 0, bytes, offset);
            return DropReason.TTL;
        }
        return DropReason.NONE;
    }

    /** Reports an error about the packet at hand, if such may be reported (RFC 4443, section 2.4 e). */
    private void sendError(int type, int code, int rest, MemorySegment bytes, long offset) {
        boolean isError = ip.protocol() == Ipv6Packet.PROTOCOL_ICMP
                && ip.payloadLength() > 0
                && (Icmpv6Packet.isError(BigEndian.u8(bytes, ip.payloadOffset()))
                        || BigEndian.u8(bytes, ip.payloadOffset()) == Icmpv6Packet.REDIRECT);
        if (!isError && ip.fragmentOffset() == 0 && !isToGroup()) {
            output.sendError(type, code, rest, bytes, offset, ip.totalLength(), network.gateway(), source());
        }
    }

    private IpAddress source() {
        return new IpAddress(ip.sourceHigh(), ip.sourceLow());
    }

    private IpAddress destination() {
        return new IpAddress(ip.destinationHigh(), ip.destinationLow());
    }

    private DropReason receiveTcp(MemorySegment bytes, long at, int length, boolean verify, long now) {
        long sourceHigh = ip.sourceHigh();
        long sourceLow = ip.sourceLow();
        long high = ip.destinationHigh();
        long low = ip.destinationLow();
        int pseudo =
                verify ? Checksum.pseudoHeader(sourceHigh, sourceLow, high, low, Ipv4Packet.PROTOCOL_TCP, length) : 0;
        DropReason reason = segment.parse(bytes, at, length, pseudo, verify);
        if (reason == DropReason.NONE) {
            tcp.input(segment, sourceHigh, sourceLow, high, low, hopsLeft(), now);
        }
        return reason;
    }

    private boolean isToGroup() {
        return IpAddress.isGroupV6(ip.destinationHigh());
    }

    /** The hop limit that is left of the packet's behind the gateway; a group of the link is relayed to, not routed to. */
    private int hopsLeft() {
        boolean stays = network.isOwn(ip.destinationHigh(), ip.destinationLow()) || isToGroup();
        return stays ? ip.hopLimit() : ip.hopLimit() - 1;
    }

    private DropReason receiveUdp(MemorySegment bytes, long at, int length, boolean verify, long now) {
        DropReason reason = datagram.parse(bytes, at, length, ip, verify);
        if (reason != DropReason.NONE) {
            return reason;
        }
        long high = ip.destinationHigh();
        long low = ip.destinationLow();
        boolean toGateway = isGateway(high, low);
        if (toGateway && datagram.destinationPort() == DNS_PORT) {
            return receiveDns(bytes);
        }
        ServiceRelay relay = settings.relayOf(high, low);
        if (relay != null && datagram.destinationPort() != relay.port()) {
            return DropReason.DESTINATION;
        }
        if (forwards.answer(datagram, bytes, ip, now)) {
            return DropReason.NONE;
        }
        if (toGateway) {
            if (!ip.isFragment()) {
                sendError(
                        Icmpv6Packet.UNREACHABLE, Icmpv6Packet.CODE_PORT_UNREACHABLE, 0, bytes, at - ip.headerLength());
            }
            return DropReason.DESTINATION;
        }
        boolean whole = !ip.isFragment();
        udp.input(datagram, bytes, ip.sourceHigh(), ip.sourceLow(), high, low, hopsLeft(), whole, now);
        return DropReason.NONE;
    }

    /** A message to all servers of the link, if that is what it is, not in fragments. */
    private DropReason receiveDhcp(MemorySegment bytes, boolean verify, long now) {
        boolean toServers = ip.destinationHigh() == Dhcp6Server.GROUP.high()
                && ip.destinationLow() == Dhcp6Server.GROUP.low()
                && !ip.isFragment();
        if (!toServers) {
            return DropReason.DESTINATION;
        }
        DropReason reason = datagram.parse(bytes, ip.payloadOffset(), ip.payloadLength(), ip, verify);
        if (reason != DropReason.NONE) {
            return reason;
        }
        if (datagram.destinationPort() != Dhcp6Message.SERVER_PORT || ip.sourceHigh() != Ipv6Settings.LINK_LOCAL) {
            return DropReason.DESTINATION;
        }
        reason = dhcp.answer(bytes, datagram.payloadOffset(), datagram.payloadLength());
        if (reason == DropReason.NONE) {
            for (int i = 0; i < dhcp.leases(); i++) {
                discovery.announced().announced(network.prefix(), dhcp.leased(i), now);
            }
            deadlines.watch(discovery.announced());
            IpAddress guest = source();
            int length = dhcp.replyLength();
            Frame frame = output.begin(UdpDatagram.HEADER_LENGTH + length);
            long at = frame.offset() + Ipv6Output.HEADERS;
            MemorySegment.copy(dhcp.reply(), 0, frame.bytes(), at + UdpDatagram.HEADER_LENGTH, length);
            UdpDatagram.write(
                    frame.bytes(),
                    at,
                    Ipv6Settings.ROUTER,
                    Dhcp6Message.SERVER_PORT,
                    guest,
                    datagram.sourcePort(),
                    length);
            output.send(frame, UdpDatagram.HEADER_LENGTH + length, Ipv6Settings.ROUTER, guest, Ipv4Packet.PROTOCOL_UDP);
        }
        return reason;
    }

    /** Whether an address is the router's own, by which no service of the host is reached. */
    private boolean isGateway(long high, long low) {
        boolean host = network.host() != null
                && high == network.prefix()
                && low == network.host().low();
        return network.isOwn(high, low) && !host;
    }

    private DropReason receiveDns(MemorySegment bytes) {
        IpAddress guest = source();
        IpAddress asked = destination();
        int port = datagram.sourcePort();
        names.query(bytes, datagram.payloadOffset(), datagram.payloadLength(), false, answer -> {
            output.sendDatagram(asked, DNS_PORT, guest, port, answer);
            turnWanted.run();
        });
        return DropReason.NONE;
    }

    private DropReason receiveIcmp(MemorySegment bytes, long at, int length, boolean multicast, long now) {
        DropReason reason = icmp.parse(ip, bytes, at, length);
        if (reason != DropReason.NONE) {
            return reason;
        }
        return switch (icmp.type()) {
            case Icmpv6Packet.ROUTER_SOLICITATION,
                    Icmpv6Packet.ROUTER_ADVERTISEMENT,
                    Icmpv6Packet.NEIGHBOUR_SOLICITATION,
                    Icmpv6Packet.NEIGHBOUR_ADVERTISEMENT,
                    Icmpv6Packet.REDIRECT ->
                ip.hasFragmentHeader() ? DropReason.NEIGHBOUR : receiveNeighbour(bytes, at, length, now);
            case Icmpv6Packet.ECHO_REQUEST -> multicast ? DropReason.NONE : receiveEcho(bytes, at, length, now);
            // Errors about what we sent change nothing; who listens to which groups does not matter here.
            default -> Icmpv6Packet.isError(icmp.type()) ? DropReason.ICMP : DropReason.NONE;
        };
    }

    private DropReason receiveNeighbour(MemorySegment bytes, long at, int length, long now) {
        DropReason reason = discovery.receive(icmp.type(), ip, bytes, at, length, now);
        deadlines.watch(discovery.announced());
        return reason;
    }

    private DropReason receiveEcho(MemorySegment bytes, long at, int length, long now) {
        if (!network.isOwn(ip.destinationHigh(), ip.destinationLow())) {
            return echo.input(source(), destination(), hopsLeft(), !ip.isFragment(), bytes, at, length, now);
        }
        if (output.room() <= length) {
            return DropReason.GUEST_QUEUE_FULL;
        }
        IpAddress guest = source();
        IpAddress asked = destination();
        // The guest's frame may be the guest's own memory, so the reply is made in ours.
        MemorySegment reply = reassembly.payload();
        MemorySegment.copy(bytes, at, reply, 0, length);
        Icmpv6Packet.write(reply, 0, length, Icmpv6Packet.ECHO_REPLY, 0, asked, guest);
        output.sendCopy(reply, 0, length, asked, guest, Ipv6Packet.PROTOCOL_ICMP);
        return DropReason.NONE;
    }

    /** Tells the guest about the router, unasked. */
    void advertise() {
        discovery.advertise(Ipv6Output.ALL_NODES);
    }

    /** Asks the link who has an address. */
    void solicit(IpAddress target) {
        discovery.solicit(target);
    }

    /** Asks whoever is there. */
    void pingAll() {
        discovery.pingAll();
    }

    /** Says whether there is a way out by IPv6, and tells a guest that uses it. */
    void router(boolean isOne) {
        discovery.router(isOne);
        if (neighbours.size() > 0) {
            advertise();
        }
    }

    /** The guest is gone. */
    void reset() {
        neighbours.clear();
        discovery.announced().clear();
        dhcp.reset();
    }
}
