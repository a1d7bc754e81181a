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
import dev.slipway.wire.Icmpv4Packet;
import dev.slipway.wire.IpAddress;
import dev.slipway.wire.Ipv4Packet;
import dev.slipway.wire.MacAddress;
import dev.slipway.wire.UdpDatagram;
import java.lang.foreign.MemorySegment;

/**
 * IPv4 packets to the guest: what every protocol of the stack sends with. {@link #begin} gives room for the payload of
 * an IP packet in the channel's own memory; {@link #send} puts the headers before it.
 */
public final class Ipv4Output implements IpOutput {

    /** Bytes before the payload of an IP packet. */
    public static final int HEADERS = EthernetFrame.HEADER_LENGTH + Ipv4Packet.HEADER_LENGTH;

    private static final int TTL = 64;
    /** The identification of a packet that nobody may fragment: it needs none, and tells nothing (RFC 6864, section 4.1). */
    private static final int ATOMIC = 0;

    /** What an ICMP error quotes of the packet at fault: its IP header and 8 bytes (RFC 792). */
    private static final int QUOTED = 8;
    /** The most that is quoted of a payload: an error has 576 bytes at most (RFC 1812, section 4.3.2.3). */
    private static final int QUOTED_MAX = 520;

    private final FrameSink toGuest;
    private final Neighbours neighbours;
    private final long gatewayMac;
    private final int mtu;
    private final DropCounters drops;
    private final FragmentIds ids;
    private final MessageRate errors = new MessageRate();
    private long now;

    /** @param secret 16 bytes kept from everyone, from which identifications are made */
    public Ipv4Output(
            StackSettings settings, FrameSink toGuest, Neighbours neighbours, DropCounters drops, byte[] secret) {
        this.ids = new FragmentIds(secret, 16);
        this.drops = drops;
        this.toGuest = toGuest;
        this.neighbours = neighbours;
        this.gatewayMac = settings.gatewayMac();
        this.mtu = settings.mtu();
    }

    /** Says what time it is, for the rate of errors. */
    public void at(long time) {
        now = time;
    }

    private boolean mayReportError() {
        if (errors.allows(now)) {
            return true;
        }
        drops.count(DropReason.ICMP_RATE);
        return false;
    }

    @Override
    public int headers() {
        return HEADERS;
    }

    @Override
    public int payloadMax() {
        return mtu - Ipv4Packet.HEADER_LENGTH;
    }

    @Override
    public void send(Frame frame, int payloadLength, IpAddress source, IpAddress destination, int protocol) {
        send(frame, payloadLength, source.v4(), destination.v4(), protocol);
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
        sendErrorAbout(error, from.v4(), guest.v4(), remote.v4(), protocol, payloadLength, payload, offset, length);
    }

    /** How many bytes of frames that can wait the channel takes now; see {@link FrameSink#room}. */
    @Override
    public int room() {
        return toGuest.room();
    }

    /** The largest IP packet of the guest's link, in bytes. */
    public int mtu() {
        return mtu;
    }

    /**
     * Begins a packet.
     *
     * @param payloadCapacity bytes that will be written from {@code frame.offset() + HEADERS} on
     */
    @Override
    public Frame begin(int payloadCapacity) {
        return toGuest.begin(HEADERS + payloadCapacity);
    }

    /**
     * Sends the packet begun last, whole: for TCP, which may exceed the MTU as a large unit, and for payloads that fit.
     *
     * @param payloadLength bytes of the IP payload, already in place
     */
    public void send(Frame frame, int payloadLength, int source, int destination, int protocol) {
        long mac = neighbours.macOf(destination);
        send(frame, payloadLength, source, destination, protocol, mac == 0 ? MacAddress.BROADCAST : mac);
    }

    /** Sends the packet begun last to a given station. */
    public void send(Frame frame, int payloadLength, int source, int destination, int protocol, long mac) {
        MemorySegment bytes = frame.bytes();
        long at = frame.offset();
        EthernetFrame.write(bytes, at, mac, gatewayMac, EthernetFrame.TYPE_IPV4);
        Ipv4Packet.write(
                bytes,
                at + EthernetFrame.HEADER_LENGTH,
                Ipv4Packet.HEADER_LENGTH + payloadLength,
                ATOMIC,
                Ipv4Packet.dontFragment(),
                TTL,
                protocol,
                source,
                destination);
        toGuest.send(frame.length(HEADERS + payloadLength));
    }

    /** Sends a UDP datagram that does not wait for room, in fragments if it exceeds the MTU. */
    public void sendDatagram(int source, int port, int destination, int destinationPort, byte[] payload) {
        int total = UdpDatagram.HEADER_LENGTH + payload.length;
        if (total <= payloadMax()) {
            Frame frame = begin(total);
            long at = frame.offset() + HEADERS;
            fill(frame.bytes(), at, source, port, destination, destinationPort, payload);
            send(frame, total, source, destination, Ipv4Packet.PROTOCOL_UDP);
        } else {
            MemorySegment aside = MemorySegment.ofArray(new byte[total]);
            fill(aside, 0, source, port, destination, destinationPort, payload);
            sendCopy(aside, 0, total, source, destination, Ipv4Packet.PROTOCOL_UDP, TTL);
        }
    }

    private static void fill(
            MemorySegment bytes, long at, int source, int port, int destination, int destinationPort, byte[] payload) {
        MemorySegment.copy(payload, 0, bytes, JAVA_BYTE, at + UdpDatagram.HEADER_LENGTH, payload.length);
        UdpDatagram.write(bytes, at, source, port, destination, destinationPort, payload.length);
    }

    /**
     * Sends a payload from elsewhere, in fragments if it exceeds the MTU (RFC 791, section 3.2).
     *
     * @param ttl the time to live the guest is to see
     */
    public void sendCopy(
            MemorySegment payload, long offset, int length, int source, int destination, int protocol, int ttl) {
        long mac = neighbours.macOf(destination);
        int id = ids.next();
        int perFragment = (mtu - Ipv4Packet.HEADER_LENGTH) & ~7;
        boolean whole = length + Ipv4Packet.HEADER_LENGTH <= mtu;
        int sent = 0;
        do {
            int part = whole ? length : Math.min(perFragment, length - sent);
            boolean more = sent + part < length;
            Frame frame = toGuest.begin(HEADERS + part);
            MemorySegment bytes = frame.bytes();
            long at = frame.offset();
            MemorySegment.copy(payload, offset + sent, bytes, at + HEADERS, part);
            EthernetFrame.write(bytes, at, mac == 0 ? MacAddress.BROADCAST : mac, gatewayMac, EthernetFrame.TYPE_IPV4);
            Ipv4Packet.write(
                    bytes,
                    at + EthernetFrame.HEADER_LENGTH,
                    Ipv4Packet.HEADER_LENGTH + part,
                    id,
                    Ipv4Packet.fragmentField(sent, more),
                    ttl,
                    protocol,
                    source,
                    destination);
            toGuest.send(frame.length(HEADERS + part));
            sent += part;
        } while (sent < length);
    }

    /**
     * Sends an ICMP error about a packet of the guest's whose bytes are at hand.
     *
     * @param packet where the IP header of the packet at fault begins
     * @param headerLength of that IP header
     * @param available bytes there are from {@code packet} on
     */
    public void sendError(
            int type,
            int code,
            int rest,
            MemorySegment bytes,
            long packet,
            int headerLength,
            int available,
            int from,
            int to) {
        if (!mayReportError()) {
            return;
        }
        int quoted = Math.min(headerLength + QUOTED, available);
        Frame frame = begin(Icmpv4Packet.HEADER_LENGTH + quoted);
        long icmp = frame.offset() + HEADERS;
        BigEndian.putI32(frame.bytes(), icmp + 4, rest);
        MemorySegment.copy(bytes, packet, frame.bytes(), icmp + Icmpv4Packet.HEADER_LENGTH, quoted);
        Icmpv4Packet.write(frame.bytes(), icmp, Icmpv4Packet.HEADER_LENGTH + quoted, type, code);
        send(frame, Icmpv4Packet.HEADER_LENGTH + quoted, from, to, Ipv4Packet.PROTOCOL_ICMP);
    }

    /**
     * Sends an ICMP error about a packet of the guest's that is gone, its IP header made anew.
     *
     * @param from who says it, as the guest is to see it
     * @param guest the packet's source
     * @param remote its destination
     * @param payloadLength bytes of the payload that the packet had
     * @param payload what is left of it, the transport header at least
     */
    public void sendErrorAbout(
            IcmpError error,
            int from,
            int guest,
            int remote,
            int protocol,
            int payloadLength,
            MemorySegment payload,
            long offset,
            int length) {
        if (!mayReportError()) {
            return;
        }
        int quoted = Math.min(length, QUOTED_MAX);
        int total = Icmpv4Packet.HEADER_LENGTH + Ipv4Packet.HEADER_LENGTH + quoted;
        Frame frame = begin(total);
        MemorySegment bytes = frame.bytes();
        long icmp = frame.offset() + HEADERS;
        BigEndian.putI32(bytes, icmp + 4, Math.min(error.mtu(), 0xFFFF));
        long packet = icmp + Icmpv4Packet.HEADER_LENGTH;
        Ipv4Packet.write(
                bytes,
                packet,
                Ipv4Packet.HEADER_LENGTH + Math.max(payloadLength, length),
                0,
                Ipv4Packet.dontFragment(),
                error.type() == Icmpv4Packet.TIME_EXCEEDED ? 1 : TTL,
                protocol,
                guest,
                remote);
        MemorySegment.copy(payload, offset, bytes, packet + Ipv4Packet.HEADER_LENGTH, quoted);
        Icmpv4Packet.write(bytes, icmp, total, error.type(), error.code());
        send(frame, total, from, guest, Ipv4Packet.PROTOCOL_ICMP);
    }
}
