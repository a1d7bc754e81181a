package dev.slipway.stack;

import dev.slipway.ip.Ipv6Neighbours;
import dev.slipway.ip.Ipv6Output;
import dev.slipway.ip.MessageRate;
import dev.slipway.seam.Ipv6Settings;
import dev.slipway.seam.StackSettings;
import dev.slipway.wire.BigEndian;
import dev.slipway.wire.DnsMessage;
import dev.slipway.wire.DropReason;
import dev.slipway.wire.Frame;
import dev.slipway.wire.Icmpv6Packet;
import dev.slipway.wire.IpAddress;
import dev.slipway.wire.Ipv6Packet;
import java.io.ByteArrayOutputStream;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * The router's part of neighbour discovery (RFC 4861): answers who asks for a router or for one of our addresses, and
 * advertises prefix, name server, search list and MTU (RFC 8106).
 *
 * <p>What a guest says here claims nothing: who has which address is learnt from the sources of packets alone, and an
 * address that is announced is asked for ({@link AnnouncedAddresses}). So floods of solicitations and of duplicate address
 * detection cost nothing but their answers, and of these there are as many as a {@link MessageRate} allows.
 */
final class NeighbourDiscovery {

    /** Seconds that the router is one for (RFC 8319, section 4): the most there is. */
    private static final int ROUTER_LIFETIME = 65_535;

    private static final int HOP_LIMIT = 255;
    private static final int FOREVER = -1;

    private static final int OPTION_SOURCE_LINK = 1;
    private static final int OPTION_TARGET_LINK = 2;
    private static final int OPTION_PREFIX = 3;
    private static final int OPTION_MTU = 5;
    private static final int OPTION_RDNSS = 25;
    private static final int OPTION_DNSSL = 31;
    private static final int ON_LINK_AND_AUTONOMOUS = 0xC0;
    private static final int OTHER_CONFIGURATION = 0x40;
    private static final int ROUTER = 0x8000_0000;
    private static final int SOLICITED = 0x4000_0000;
    private static final int OVERRIDE = 0x2000_0000;

    /** Where the lifetime of the router lies in an advertisement. */
    private static final int LIFETIME = 6;

    private static final int ADVERTISEMENT_HEADER = 16;
    private static final int SOLICITATION_LENGTH = 24;
    private static final int NEIGHBOUR_LENGTH = 32;

    private final Ipv6Settings network;
    private final Ipv6Output output;
    private final long gatewayMac;
    private final byte[] advertisement;
    private final AnnouncedAddresses announced;
    private final MessageRate answers = new MessageRate();

    /** @param neighbours the addresses that the guest uses */
    NeighbourDiscovery(StackSettings settings, Ipv6Output output, Ipv6Neighbours neighbours) {
        this.announced = new AnnouncedAddresses(neighbours, this::solicit);
        this.network = settings.ipv6();
        this.output = output;
        this.gatewayMac = settings.gatewayMac();
        this.advertisement = advertisement(settings);
        router(!network.followsHost());
    }

    /**
     * A message of neighbour discovery whose checksum is good.
     *
     * @return {@link DropReason#ROGUE_RA} for what only a router may send, {@link DropReason#NEIGHBOUR} for what is none
     *     (RFC 4861, sections 6.1 and 7.1), {@link DropReason#NEIGHBOUR_RATE}, {@link DropReason#NONE}
     */
    DropReason receive(int type, Ipv6Packet ip, MemorySegment bytes, long at, int length, long now) {
        if (type == Icmpv6Packet.ROUTER_ADVERTISEMENT || type == Icmpv6Packet.REDIRECT) {
            return DropReason.ROGUE_RA;
        }
        boolean solicitation = type == Icmpv6Packet.NEIGHBOUR_SOLICITATION;
        boolean router = type == Icmpv6Packet.ROUTER_SOLICITATION;
        boolean nameless = (ip.sourceHigh() | ip.sourceLow()) == 0;
        int header = router ? Icmpv6Packet.HEADER_LENGTH : SOLICITATION_LENGTH;
        if (ip.hopLimit() != HOP_LIMIT
                || BigEndian.u8(bytes, at + 1) != 0
                || length < header
                || !areOptions(bytes, at + header, at + length, nameless)) {
            return DropReason.NEIGHBOUR;
        }
        if (router) {
            if (!answers.allows(now)) {
                return DropReason.NEIGHBOUR_RATE;
            }
            advertise(Ipv6Output.ALL_NODES);
            return DropReason.NONE;
        }
        long high = BigEndian.i64(bytes, at + 8);
        long low = BigEndian.i64(bytes, at + 16);
        if (!network.isOwn(high, low)) {
            boolean announces = (nameless || !solicitation) && high == network.prefix() && low != 0;
            return !announces || announced.announced(high, low, now) ? DropReason.NONE : DropReason.NEIGHBOUR_RATE;
        }
        if (!solicitation) {
            return DropReason.SPOOF;
        }
        if (!answers.allows(now)) {
            return DropReason.NEIGHBOUR_RATE;
        }
        answer(new IpAddress(high, low), nameless ? null : new IpAddress(ip.sourceHigh(), ip.sourceLow()));
        return DropReason.NONE;
    }

    /** Where addresses wait that the guest announced. */
    AnnouncedAddresses announced() {
        return announced;
    }

    /**
     * Whether the options' lengths agree with the message's; one of length 0 would never end.
     *
     * @param nameless whether the message comes from nobody's address, who has no address of the link to tell either
     */
    private static boolean areOptions(MemorySegment bytes, long from, long end, boolean nameless) {
        long at = from;
        while (at < end) {
            int own = at + 2 > end ? 0 : 8 * BigEndian.u8(bytes, at + 1);
            if (own == 0 || at + own > end || nameless && BigEndian.u8(bytes, at) == OPTION_SOURCE_LINK) {
                return false;
            }
            at += own;
        }
        return true;
    }

    /** Says where one of our addresses is; to all if somebody without an address asks whether it is free. */
    private void answer(IpAddress ours, IpAddress asker) {
        IpAddress to = asker == null ? Ipv6Output.ALL_NODES : asker;
        Frame frame = output.begin(NEIGHBOUR_LENGTH);
        MemorySegment bytes = frame.bytes();
        long at = frame.offset() + Ipv6Output.HEADERS;
        BigEndian.putI32(bytes, at + 4, ROUTER | OVERRIDE | (asker == null ? 0 : SOLICITED));
        BigEndian.putI64(bytes, at + 8, ours.high());
        BigEndian.putI64(bytes, at + 16, ours.low());
        BigEndian.putU16(bytes, at + 24, OPTION_TARGET_LINK << 8 | 1);
        BigEndian.putU48(bytes, at + 26, gatewayMac);
        Icmpv6Packet.write(bytes, at, NEIGHBOUR_LENGTH, Icmpv6Packet.NEIGHBOUR_ADVERTISEMENT, 0, ours, to);
        output.send(frame, NEIGHBOUR_LENGTH, ours, to, Ipv6Packet.PROTOCOL_ICMP, HOP_LIMIT);
    }

    /** Asks who has an address: its group on the link (RFC 4291, section 2.7.1), with where we are. */
    void solicit(IpAddress target) {
        IpAddress group = new IpAddress(0xFF02L << 48, 0x1_FF00_0000L | target.low() & 0xFF_FFFFL);
        Frame frame = output.begin(NEIGHBOUR_LENGTH);
        MemorySegment bytes = frame.bytes();
        long at = frame.offset() + Ipv6Output.HEADERS;
        BigEndian.putI32(bytes, at + 4, 0);
        BigEndian.putI64(bytes, at + 8, target.high());
        BigEndian.putI64(bytes, at + 16, target.low());
        BigEndian.putU16(bytes, at + 24, OPTION_SOURCE_LINK << 8 | 1);
        BigEndian.putU48(bytes, at + 26, gatewayMac);
        Icmpv6Packet.write(
                bytes, at, NEIGHBOUR_LENGTH, Icmpv6Packet.NEIGHBOUR_SOLICITATION, 0, Ipv6Settings.ROUTER, group);
        output.send(frame, NEIGHBOUR_LENGTH, Ipv6Settings.ROUTER, group, Ipv6Packet.PROTOCOL_ICMP, HOP_LIMIT);
    }

    /**
     * Asks all nodes of the link for a sign of life (RFC 4443, section 4.1), from the address of the network, so that who
     * has one answers from its own.
     */
    void pingAll() {
        Frame frame = output.begin(Icmpv6Packet.HEADER_LENGTH);
        long at = frame.offset() + Ipv6Output.HEADERS;
        BigEndian.putI32(frame.bytes(), at + 4, 0);
        Icmpv6Packet.write(
                frame.bytes(),
                at,
                Icmpv6Packet.HEADER_LENGTH,
                Icmpv6Packet.ECHO_REQUEST,
                0,
                network.gateway(),
                Ipv6Output.ALL_NODES);
        output.send(
                frame,
                Icmpv6Packet.HEADER_LENGTH,
                network.gateway(),
                Ipv6Output.ALL_NODES,
                Ipv6Packet.PROTOCOL_ICMP,
                HOP_LIMIT);
    }

    /** Says whether there is a way out by this router: what is advertised from now on (RFC 4861, section 6.2.5). */
    void router(boolean isOne) {
        BigEndian.putU16(MemorySegment.ofArray(advertisement), LIFETIME, isOne ? ROUTER_LIFETIME : 0);
    }

    /** Sends a router advertisement. */
    void advertise(IpAddress to) {
        Frame frame = output.begin(advertisement.length);
        long at = frame.offset() + Ipv6Output.HEADERS;
        MemorySegment.copy(MemorySegment.ofArray(advertisement), 0, frame.bytes(), at, advertisement.length);
        Icmpv6Packet.write(
                frame.bytes(), at, advertisement.length, Icmpv6Packet.ROUTER_ADVERTISEMENT, 0, Ipv6Settings.ROUTER, to);
        output.send(frame, advertisement.length, Ipv6Settings.ROUTER, to, Ipv6Packet.PROTOCOL_ICMP, HOP_LIMIT);
    }

    private static byte[] advertisement(StackSettings settings) {
        byte[] names = searchList(settings);
        byte[] search = Arrays.copyOf(names, names.length + (-names.length & 7));
        int searchOption = search.length == 0 ? 0 : 8 + search.length;
        byte[] message = new byte[ADVERTISEMENT_HEADER + 8 + 8 + 32 + 24 + searchOption];
        MemorySegment bytes = MemorySegment.ofArray(message);
        BigEndian.putU8(bytes, 4, 64);
        // Who wants an address by DHCPv6 gets one; but it is only told to ask for the rest.
        BigEndian.putU8(bytes, 5, OTHER_CONFIGURATION);
        int at = ADVERTISEMENT_HEADER;
        BigEndian.putU16(bytes, at, OPTION_SOURCE_LINK << 8 | 1);
        BigEndian.putU48(bytes, at + 2, settings.gatewayMac());
        at += 8;
        BigEndian.putU16(bytes, at, OPTION_MTU << 8 | 1);
        BigEndian.putI32(bytes, at + 4, settings.mtu());
        at += 8;
        BigEndian.putU16(bytes, at, OPTION_PREFIX << 8 | 4);
        BigEndian.putU16(bytes, at + 2, 64 << 8 | ON_LINK_AND_AUTONOMOUS);
        BigEndian.putI32(bytes, at + 4, FOREVER);
        BigEndian.putI32(bytes, at + 8, FOREVER);
        BigEndian.putI64(bytes, at + 16, settings.ipv6().prefix());
        at += 32;
        BigEndian.putU16(bytes, at, OPTION_RDNSS << 8 | 3);
        BigEndian.putI32(bytes, at + 4, FOREVER);
        BigEndian.putI64(bytes, at + 8, settings.ipv6().gateway().high());
        BigEndian.putI64(bytes, at + 16, settings.ipv6().gateway().low());
        at += 24;
        if (searchOption > 0) {
            BigEndian.putU16(bytes, at, OPTION_DNSSL << 8 | searchOption / 8);
            BigEndian.putI32(bytes, at + 4, FOREVER);
            System.arraycopy(search, 0, message, at + 8, search.length);
        }
        return message;
    }

    /** Domain or search domains as they are encoded in DNS; as many as fit the smallest MTU. */
    static byte[] searchList(StackSettings settings) {
        List<String> domains = new ArrayList<>(settings.searchDomains());
        if (domains.isEmpty() && !settings.domain().isEmpty()) {
            domains.add(settings.domain());
        }
        ByteArrayOutputStream encoded = new ByteArrayOutputStream();
        for (String domain : domains) {
            byte[] name = DnsMessage.encodeName(domain);
            if (encoded.size() + name.length <= 1_000) {
                encoded.writeBytes(name);
            }
        }
        return encoded.toByteArray();
    }
}
