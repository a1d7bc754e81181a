package dev.slipway.lan;

import dev.slipway.dhcp.DhcpSettings;
import dev.slipway.dhcp.LeaseTable;
import dev.slipway.ip.Ipv6Neighbours;
import dev.slipway.seam.Ipv6Settings;
import dev.slipway.seam.StackSettings;
import dev.slipway.wire.ArpPacket;
import dev.slipway.wire.BigEndian;
import dev.slipway.wire.Dhcp6Message;
import dev.slipway.wire.DropReason;
import dev.slipway.wire.EthernetFrame;
import dev.slipway.wire.Frame;
import dev.slipway.wire.Frame.ChecksumState;
import dev.slipway.wire.Icmpv6Packet;
import dev.slipway.wire.Ipv4Packet;
import dev.slipway.wire.Ipv6Packet;
import dev.slipway.wire.TcpSegment;
import dev.slipway.wire.UdpDatagram;
import java.lang.foreign.MemorySegment;

/**
 * Looks at the frames that one VM sends to others: whether it may claim what it claims, and may say what it says. All but
 * {@link #lost} belongs to the thread of that VM.
 *
 * <p>What a frame is looked at for must be what its receiver sees. So a checksum that is left to be written may lie
 * nowhere but in the field that it is for (or behind a header of UDP, of what UDP carries), the first fragment of a
 * datagram must hold the ports or the type, and of IPv6 all extension headers (RFC 7112); neighbour discovery may not come
 * in fragments (RFC 6980).
 */
final class FrameGuard {

    private static final int DHCP_SERVER = 67;
    private static final int DHCP_CLIENT = 68;
    private static final int DHCP6_CLIENT = 546;

    private static final int ICMP_REDIRECT = 5;
    private static final int ICMP_ROUTER_ADVERTISEMENT = 9;

    private static final int LISTENER_QUERY = 130;
    private static final int LISTENER_DONE = 132;
    private static final int LISTENER_REPORT_V2 = 143;

    private static final int OPTION_SOURCE_LINK = 1;
    private static final int OPTION_TARGET_LINK = 2;
    /** Type to target of a neighbour solicitation or advertisement. */
    private static final int NEIGHBOUR_HEADER = 24;

    private static final int TCP_CHECKSUM = TcpSegment.CHECKSUM;
    private static final int UDP_CHECKSUM = UdpDatagram.CHECKSUM;
    private static final int ICMP_CHECKSUM = 2;
    private static final int TCP_DATA_OFFSET = 12;

    /** Bytes of a fragment that must be there to tell what the datagram is; a fragment but the last has as many. */
    private static final int LEAST_FRAGMENT = 8;

    /** Into how many segments a large unit may be cut: as many as every link has room for. */
    static final int MAX_SEGMENTS = 1024;

    private final StackSettings settings;
    private final Ipv6Settings ipv6;
    private final LeaseTable leases;
    private final OwnedAddresses owned = new OwnedAddresses();
    private final Ipv6Neighbours owned6 = new Ipv6Neighbours();
    private int holder;

    private final ArpPacket arp = new ArpPacket();
    private final Ipv4Packet ip = new Ipv4Packet();
    private final Ipv6Packet ip6 = new Ipv6Packet();
    private Station sender;
    private boolean group;
    private boolean gatewayOnly;
    private long now;

    FrameGuard(StackSettings settings, LeaseTable leases) {
        this.settings = settings;
        this.ipv6 = settings.ipv6();
        this.leases = leases;
    }

    /** Says who the VM is to the table of leases. */
    void holder(int newHolder) {
        holder = newHolder;
    }

    /** The VM is gone: what it was found to own is looked up again. */
    void clear() {
        owned.clear();
        owned6.clear();
    }

    /** An IPv4 address has lost its owner, whoever that was. From any thread, while nobody can get it. */
    void lost(int address) {
        owned.lost(address);
    }

    /**
     * Looks at a frame, its Ethernet header included.
     *
     * @param from whom it comes
     * @param toGroup whether it is for several, the VM's own stack among them
     * @return {@link DropReason#NONE} if it may go, to others too unless {@link #isForGatewayOnly}
     */
    DropReason check(Frame frame, Station from, boolean toGroup, long time) {
        sender = from;
        group = toGroup;
        gatewayOnly = false;
        now = time;
        int longest = settings.mtu() + EthernetFrame.HEADER_LENGTH;
        if (frame.segmentSize() == 0 && frame.length() > longest) {
            return DropReason.OVERSIZE;
        }
        MemorySegment bytes = frame.bytes();
        long at = frame.offset() + EthernetFrame.HEADER_LENGTH;
        int length = frame.length() - EthernetFrame.HEADER_LENGTH;
        return switch (BigEndian.u16(bytes, at - 2)) {
            case EthernetFrame.TYPE_IPV4 -> checkIpv4(frame, bytes, at, length);
            case EthernetFrame.TYPE_IPV6 -> ipv6.enabled() ? checkIpv6(frame, bytes, at, length) : DropReason.IPV6_OFF;
            case EthernetFrame.TYPE_ARP -> checkArp(frame, bytes, at, length);
            default -> DropReason.ETHERTYPE;
        };
    }

    /** Whether the frame that was looked at last is a question that nobody but the gateway is to hear. */
    boolean isForGatewayOnly() {
        return gatewayOnly;
    }

    // --- ARP ----------------------------------------------------------------------------------------------------

    private DropReason checkArp(Frame frame, MemorySegment bytes, long at, int length) {
        DropReason reason = arp.parse(bytes, at, length);
        if (reason != DropReason.NONE) {
            return reason;
        }
        if (frame.checksum() == ChecksumState.PARTIAL || frame.segmentSize() != 0) {
            return DropReason.OFFLOAD;
        }
        if (arp.senderMac() != sender.mac) {
            return DropReason.SPOOF;
        }
        // A sender of 0 asks whether an address is free (RFC 5227) and claims nothing.
        if (arp.senderIp() == 0) {
            return arp.operation() == ArpPacket.REQUEST ? DropReason.NONE : DropReason.SPOOF;
        }
        return owns(arp.senderIp()) ? DropReason.NONE : DropReason.SPOOF;
    }

    // --- IPv4 ---------------------------------------------------------------------------------------------------

    private DropReason checkIpv4(Frame frame, MemorySegment bytes, long offset, int length) {
        DropReason reason = ip.parse(bytes, offset, length);
        if (reason != DropReason.NONE) {
            return reason;
        }
        int payload = ip.payloadLength();
        long at = ip.payloadOffset();
        if (ip.fragmentOffset() == 0) {
            reason = checkWhatIpv4Says(bytes, at, payload);
            if (reason != DropReason.NONE || gatewayOnly) {
                return reason;
            }
        }
        if (!isSound(frame, ip.protocol(), (int) (at - frame.offset()), payload, ip.isFragment())) {
            return DropReason.OFFLOAD;
        }
        int source = ip.source();
        if (settings.contains(source)) {
            return owns(source) ? DropReason.NONE : DropReason.SPOOF;
        }
        return isRouted(source) ? DropReason.NONE : DropReason.MARTIAN;
    }

    private DropReason checkWhatIpv4Says(MemorySegment bytes, long at, int payload) {
        if (ip.isFragment() && payload < LEAST_FRAGMENT) {
            return DropReason.FRAGMENT;
        }
        if (ip.protocol() == Ipv4Packet.PROTOCOL_UDP) {
            return payload < UdpDatagram.HEADER_LENGTH
                    ? DropReason.UDP
                    : checkPorts(bytes, at, DHCP_SERVER, DHCP_CLIENT);
        }
        if (ip.protocol() == Ipv4Packet.PROTOCOL_ICMP) {
            int type = payload == 0 ? ICMP_REDIRECT : BigEndian.u8(bytes, at);
            return type == ICMP_REDIRECT || type == ICMP_ROUTER_ADVERTISEMENT ? DropReason.ICMP : DropReason.NONE;
        }
        return DropReason.NONE;
    }

    /** Only the gateway serves DHCP, and only it is asked. */
    private DropReason checkPorts(MemorySegment bytes, long at, int server, int client) {
        int from = BigEndian.u16(bytes, at);
        int to = BigEndian.u16(bytes, at + 2);
        gatewayOnly = group && from != server && to == server;
        return gatewayOnly || from != server && to != server && to != client ? DropReason.NONE : DropReason.ROGUE_DHCP;
    }

    /** Whether the VM may use an address of the network. */
    private boolean owns(int address) {
        return owned.has(address, sender.id)
                || !settings.isOwn(address)
                        && leases.claim(holder, address, sender.mac, now, () -> owned.add(address, sender.id));
    }

    /** Whether an address lies behind the VM, because DHCP says that the VM is the router to it. */
    private boolean isRouted(int address) {
        int first = address >>> 24;
        if (first == 0 || first == 127 || first >= 224) {
            return false;
        }
        for (DhcpSettings.Route route : leases.dhcp().routes()) {
            int mask = route.prefixLength() == 0 ? 0 : -1 << 32 - route.prefixLength();
            int router = route.router();
            if ((address & mask) == route.network()
                    && (owned.has(router, sender.id) || leases.ownerOf(router) == sender.mac)) {
                return true;
            }
        }
        return false;
    }

    // --- IPv6 ---------------------------------------------------------------------------------------------------

    private DropReason checkIpv6(Frame frame, MemorySegment bytes, long offset, int length) {
        DropReason reason = ip6.parse(bytes, offset, length);
        if (reason != DropReason.NONE) {
            return reason;
        }
        int payload = ip6.payloadLength();
        long at = ip6.payloadOffset();
        boolean icmp = ip6.protocol() == Ipv6Packet.PROTOCOL_ICMP;
        boolean nameless = (ip6.sourceHigh() | ip6.sourceLow()) == 0;
        if (ip6.fragmentOffset() == 0) {
            reason = checkWhatIpv6Says(bytes, at, payload, icmp, nameless);
            if (reason != DropReason.NONE || gatewayOnly) {
                return reason;
            }
        }
        if (!isSound(frame, ip6.protocol(), (int) (at - frame.offset()), payload, ip6.isFragment())) {
            return DropReason.OFFLOAD;
        }
        if (nameless) {
            return icmp && !ip6.isFragment() ? DropReason.NONE : DropReason.MARTIAN;
        }
        return owns(ip6.sourceHigh(), ip6.sourceLow());
    }

    private DropReason checkWhatIpv6Says(MemorySegment bytes, long at, int payload, boolean icmp, boolean nameless) {
        if (ip6.isFragment()) {
            if (payload < LEAST_FRAGMENT) {
                return DropReason.FRAGMENT;
            }
            if (isExtension(ip6.protocol())) {
                return DropReason.IP_EXTENSIONS;
            }
        }
        if (ip6.protocol() == Ipv4Packet.PROTOCOL_UDP) {
            return payload < UdpDatagram.HEADER_LENGTH
                    ? DropReason.UDP
                    : checkPorts(bytes, at, Dhcp6Message.SERVER_PORT, DHCP6_CLIENT);
        }
        return icmp ? checkIcmpv6(bytes, at, payload, nameless) : DropReason.NONE;
    }

    /** Hop-by-hop options, routing, fragment and destination options: what has another header behind it. */
    private static boolean isExtension(int protocol) {
        return protocol == 0 || protocol == 43 || protocol == Ipv6Packet.FRAGMENT || protocol == 60;
    }

    private DropReason checkIcmpv6(MemorySegment bytes, long at, int payload, boolean nameless) {
        if (payload < Icmpv6Packet.HEADER_LENGTH) {
            return DropReason.ICMP;
        }
        int type = BigEndian.u8(bytes, at);
        return switch (type) {
            case Icmpv6Packet.ROUTER_ADVERTISEMENT, Icmpv6Packet.REDIRECT -> DropReason.ROGUE_RA;
            case Icmpv6Packet.ROUTER_SOLICITATION -> {
                gatewayOnly = group;
                yield group ? DropReason.NONE : DropReason.NEIGHBOUR;
            }
            case Icmpv6Packet.NEIGHBOUR_SOLICITATION, Icmpv6Packet.NEIGHBOUR_ADVERTISEMENT ->
                checkNeighbour(type, bytes, at, payload, nameless);
            default -> {
                boolean listener = type >= LISTENER_QUERY && type <= LISTENER_DONE || type == LISTENER_REPORT_V2;
                yield nameless && !listener ? DropReason.MARTIAN : DropReason.NONE;
            }
        };
    }

    private DropReason checkNeighbour(int type, MemorySegment bytes, long at, int payload, boolean nameless) {
        if (ip6.hasFragmentHeader() || payload < NEIGHBOUR_HEADER) {
            return DropReason.NEIGHBOUR;
        }
        long end = at + payload;
        for (long option = at + NEIGHBOUR_HEADER; option < end; ) {
            int length = option + 2 > end ? 0 : 8 * BigEndian.u8(bytes, option + 1);
            if (length == 0 || option + length > end) {
                return DropReason.NEIGHBOUR;
            }
            int kind = BigEndian.u8(bytes, option);
            if ((kind == OPTION_SOURCE_LINK || kind == OPTION_TARGET_LINK)
                    && BigEndian.u48(bytes, option + 2) != sender.mac) {
                return DropReason.SPOOF;
            }
            option += length;
        }
        if (type == Icmpv6Packet.NEIGHBOUR_SOLICITATION) {
            return DropReason.NONE;
        }
        return nameless ? DropReason.MARTIAN : owns(BigEndian.i64(bytes, at + 8), BigEndian.i64(bytes, at + 16));
    }

    /** Whether the VM may use an address; link-local ones are one network's, too. */
    private DropReason owns(long high, long low) {
        long owner = owned6.macOf(high, low);
        if (owner == sender.mac) {
            return DropReason.NONE;
        }
        if (owner != 0 || ipv6.isOwn(high, low)) {
            return DropReason.SPOOF;
        }
        if (high != ipv6.prefix() && high != Ipv6Settings.LINK_LOCAL || low == 0) {
            return DropReason.MARTIAN;
        }
        if (owned6.size() >= Ipv6Neighbours.LIMIT) {
            return DropReason.NEIGHBOUR_LIMIT;
        }
        if (!leases.ipv6().claim(holder, high, low, sender.mac)) {
            return DropReason.SPOOF;
        }
        owned6.bind(high, low, sender.mac);
        return DropReason.NONE;
    }

    // --- offload ------------------------------------------------------------------------------------------------

    /**
     * Whether what is left to be done to a frame changes nothing that it was looked at for, and is no more than a link can
     * do.
     *
     * @param transport where the transport's header begins, from the frame's first byte
     * @param payload bytes from there on
     */
    private boolean isSound(Frame frame, int protocol, int transport, int payload, boolean fragment) {
        boolean partial = frame.checksum() == ChecksumState.PARTIAL;
        if (partial && (fragment || !isField(frame, protocol, transport))) {
            return false;
        }
        int size = frame.segmentSize();
        if (size == 0) {
            return true;
        }
        if (!partial || protocol != Ipv4Packet.PROTOCOL_TCP || payload < TcpSegment.HEADER_LENGTH) {
            return false;
        }
        int header = (BigEndian.u8(frame.bytes(), frame.offset() + transport + TCP_DATA_OFFSET) >>> 4) * 4;
        return header >= TcpSegment.HEADER_LENGTH
                && header <= payload
                && transport + header + Math.min(size, payload - header) <= settings.mtu() + EthernetFrame.HEADER_LENGTH
                && (payload - header + size - 1) / size <= MAX_SEGMENTS
                && transport + payload == frame.length();
    }

    /** Whether a partial checksum is completed where that protocol has one. */
    private static boolean isField(Frame frame, int protocol, int transport) {
        int start = frame.checksumStart();
        int at = start + frame.checksumOffset();
        return switch (protocol) {
            case Ipv4Packet.PROTOCOL_TCP -> start == transport && at == transport + TCP_CHECKSUM;
            case Ipv4Packet.PROTOCOL_UDP ->
                start == transport && at == transport + UDP_CHECKSUM || start >= transport + UdpDatagram.HEADER_LENGTH;
            case Ipv4Packet.PROTOCOL_ICMP, Ipv6Packet.PROTOCOL_ICMP ->
                start == transport && at == transport + ICMP_CHECKSUM;
            default -> start >= transport;
        };
    }
}
