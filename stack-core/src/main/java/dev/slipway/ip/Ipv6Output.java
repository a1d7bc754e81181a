package dev.slipway.ip;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;

import dev.slipway.seam.DropCounters;
import dev.slipway.seam.FrameSink;
import dev.slipway.seam.IcmpError;
import dev.slipway.seam.StackSettings;
import dev.slipway.wire.BigEndian;
import dev.slipway.wire.DropReason;
import dev.slipway.wire.EthernetFrame;
import dev.slipway.wire.Frame;
import dev.slipway.wire.Icmpv6Packet;
import dev.slipway.wire.IpAddress;
import dev.slipway.wire.Ipv4Packet;
import dev.slipway.wire.Ipv6Packet;
import dev.slipway.wire.UdpDatagram;
import java.lang.foreign.MemorySegment;

/** IPv6 packets to the guest, as {@link Ipv4Output} is for IPv4. */
public final class Ipv6Output implements IpOutput {

    /** Bytes before the payload of an IP packet. */
    public static final int HEADERS = EthernetFrame.HEADER_LENGTH + Ipv6Packet.HEADER_LENGTH;

    /** All nodes of the link: its address (RFC 4291, section 2.7.1) and where that is (RFC 2464, section 7). */
    public static final IpAddress ALL_NODES = new IpAddress(0xFF02L << 48, 1);

    private static final long ALL_NODES_MAC = 0x3333_0000_0001L;

    private static final int HOP_LIMIT = 64;
    /** An error quotes as much as fits the smallest MTU (RFC 4443, section 2.4 c). */
    private static final int QUOTED_MAX = Ipv6Packet.MIN_MTU - Ipv6Packet.HEADER_LENGTH - Icmpv6Packet.HEADER_LENGTH;

    private final FrameSink toGuest;
    private final Ipv6Neighbours neighbours;
    private final long gatewayMac;
    private final int mtu;
    private final IpAddress gateway;
    private final DropCounters drops;
    private final MessageRate errors = new MessageRate();
    private final FragmentIds ids;
    private long now;

    /** @param secret 16 bytes kept from everyone, from which identifications are made */
    public Ipv6Output(
            StackSettings settings, FrameSink toGuest, Ipv6Neighbours neighbours, DropCounters drops, byte[] secret) {
        this.ids = new FragmentIds(secret, 32);
        this.toGuest = toGuest;
        this.neighbours = neighbours;
        this.gatewayMac = settings.gatewayMac();
        this.mtu = settings.mtu();
        this.gateway = settings.ipv6().gateway();
        this.drops = drops;
    }

    /** Says what time it is, for the rate of errors. */
    public void at(long time) {
        now = time;
    }

    @Override
    public int headers() {
        return HEADERS;
    }

    @Override
    public int payloadMax() {
        return mtu - Ipv6Packet.HEADER_LENGTH;
    }

    @Override
    public int room() {
        return toGuest.room();
    }

    @Override
    public Frame begin(int payloadCapacity) {
        return toGuest.begin(HEADERS + payloadCapacity);
    }

    @Override
    public void send(Frame frame, int payloadLength, IpAddress source, IpAddress destination, int protocol) {
        send(frame, payloadLength, source, destination, protocol, HOP_LIMIT);
    }

    /** Sends the packet begun last with a hop limit of its own. */
    public void send(
            Frame frame, int payloadLength, IpAddress source, IpAddress destination, int protocol, int hopLimit) {
        writeHeaders(frame, payloadLength, source, destination, protocol, hopLimit);
        toGuest.send(frame.length(HEADERS + payloadLength));
    }

    private void writeHeaders(
            Frame frame, int payloadLength, IpAddress source, IpAddress destination, int protocol, int hopLimit) {
        long mac = neighbours.macOf(destination.high(), destination.low());
        EthernetFrame.write(
                frame.bytes(), frame.offset(), mac == 0 ? ALL_NODES_MAC : mac, gatewayMac, EthernetFrame.TYPE_IPV6);
        Ipv6Packet.write(
                frame.bytes(),
                frame.offset() + EthernetFrame.HEADER_LENGTH,
                payloadLength,
                hopLimit,
                protocol,
                source.high(),
                source.low(),
                destination.high(),
                destination.low());
    }

    /** Sends a UDP datagram that does not wait for room, in fragments if it exceeds the MTU. */
    public void sendDatagram(IpAddress source, int port, IpAddress destination, int destinationPort, byte[] payload) {
        int total = UdpDatagram.HEADER_LENGTH + payload.length;
        if (total <= payloadMax()) {
            Frame frame = begin(total);
            fill(frame.bytes(), frame.offset() + HEADERS, source, port, destination, destinationPort, payload);
            send(frame, total, source, destination, Ipv4Packet.PROTOCOL_UDP);
        } else {
            MemorySegment aside = MemorySegment.ofArray(new byte[total]);
            fill(aside, 0, source, port, destination, destinationPort, payload);
            sendCopy(aside, 0, total, source, destination, Ipv4Packet.PROTOCOL_UDP);
        }
    }

    private static void fill(
            MemorySegment bytes,
            long at,
            IpAddress source,
            int port,
            IpAddress destination,
            int destinationPort,
            byte[] payload) {
        MemorySegment.copy(payload, 0, bytes, JAVA_BYTE, at + UdpDatagram.HEADER_LENGTH, payload.length);
        UdpDatagram.write(bytes, at, source, port, destination, destinationPort, payload.length);
    }

    /** Sends a payload from elsewhere with the usual hop limit. */
    public void sendCopy(
            MemorySegment payload, long offset, int length, IpAddress source, IpAddress destination, int protocol) {
        sendCopy(payload, offset, length, source, destination, protocol, HOP_LIMIT);
    }

    /**
     * Sends a payload from elsewhere, in fragments if it exceeds the MTU (RFC 8200, section 4.5).
     *
     * @param hopLimit the hop limit the guest is to see
     */
    public void sendCopy(
            MemorySegment payload,
            long offset,
            int length,
            IpAddress source,
            IpAddress destination,
            int protocol,
            int hopLimit) {
        if (length <= payloadMax()) {
            Frame frame = begin(length);
            MemorySegment.copy(payload, offset, frame.bytes(), frame.offset() + HEADERS, length);
            send(frame, length, source, destination, protocol, hopLimit);
            return;
        }
        int perFragment = payloadMax() - Ipv6Packet.FRAGMENT_HEADER_LENGTH & ~7;
        int id = ids.next();
        for (int sent = 0; sent < length; sent += perFragment) {
            int part = Math.min(perFragment, length - sent);
            int total = Ipv6Packet.FRAGMENT_HEADER_LENGTH + part;
            Frame frame = begin(total);
            long header = frame.offset() + HEADERS;
            BigEndian.putU16(frame.bytes(), header, protocol << 8);
            BigEndian.putU16(frame.bytes(), header + 2, sent | (sent + part < length ? 1 : 0));
            BigEndian.putI32(frame.bytes(), header + 4, id);
            MemorySegment.copy(payload, offset + sent, frame.bytes(), header + Ipv6Packet.FRAGMENT_HEADER_LENGTH, part);
            send(frame, total, source, destination, Ipv6Packet.FRAGMENT, hopLimit);
        }
    }

    /**
     * Sends an ICMPv6 error about a packet of the guest's whose bytes are at hand.
     *
     * @param rest what the error has in its second word
     * @param packet where the IP header of the packet at fault begins
     * @param length of that packet
     */
    public void sendError(
            int type, int code, int rest, MemorySegment bytes, long packet, int length, IpAddress from, IpAddress to) {
        if (!errors.allows(now)) {
            drops.count(DropReason.ICMP_RATE);
            return;
        }
        int quoted = Math.min(length, QUOTED_MAX);
        int total = Icmpv6Packet.HEADER_LENGTH + quoted;
        Frame frame = begin(total);
        long icmp = frame.offset() + HEADERS;
        BigEndian.putI32(frame.bytes(), icmp + 4, rest);
        MemorySegment.copy(bytes, packet, frame.bytes(), icmp + Icmpv6Packet.HEADER_LENGTH, quoted);
        Icmpv6Packet.write(frame.bytes(), icmp, total, type, code, from, to);
        send(frame, total, from, to, Ipv6Packet.PROTOCOL_ICMP);
    }

    @Override
    public void sendErrorAbout(
            IcmpError error,
            IpAddress from,
            IpAddress guest,
            IpAddress remote,
            int protocol,
            int payloadLength,
            MemorySegment payload,
            long offset,
            int length) {
        if (!errors.allows(now)) {
            drops.count(DropReason.ICMP_RATE);
            return;
        }
        // What the host says of itself it says by the gateway's address of the other family.
        IpAddress reporter = from.isV4() ? gateway : from;
        int quoted = Math.min(length, QUOTED_MAX - Ipv6Packet.HEADER_LENGTH);
        int total = Icmpv6Packet.HEADER_LENGTH + Ipv6Packet.HEADER_LENGTH + quoted;
        Frame frame = begin(total);
        MemorySegment bytes = frame.bytes();
        long icmp = frame.offset() + HEADERS;
        BigEndian.putI32(bytes, icmp + 4, error.mtu());
        long packet = icmp + Icmpv6Packet.HEADER_LENGTH;
        Ipv6Packet.write(
                bytes,
                packet,
                Math.max(payloadLength, length),
                error.type() == Icmpv6Packet.TIME_EXCEEDED ? 1 : HOP_LIMIT,
                protocol,
                guest.high(),
                guest.low(),
                remote.high(),
                remote.low());
        MemorySegment.copy(payload, offset, bytes, packet + Ipv6Packet.HEADER_LENGTH, quoted);
        Icmpv6Packet.write(bytes, icmp, total, error.type(), error.code(), reporter, guest);
        send(frame, total, reporter, guest, Ipv6Packet.PROTOCOL_ICMP);
    }
}
