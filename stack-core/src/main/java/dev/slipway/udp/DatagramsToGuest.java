package dev.slipway.udp;

import dev.slipway.ip.Ipv4Output;
import dev.slipway.ip.Ipv6Output;
import dev.slipway.seam.DropCounters;
import dev.slipway.wire.DropReason;
import dev.slipway.wire.IpAddress;
import dev.slipway.wire.Ipv4Packet;
import dev.slipway.wire.UdpDatagram;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/** Datagrams on their way to the guest: built in the channel's memory if they fit one frame, in fragments otherwise. */
final class DatagramsToGuest {

    private static final int TTL = 64;

    private final Ipv4Output output;
    private final Ipv6Output output6;
    private final DropCounters drops;
    private final MemorySegment datagram =
            Arena.ofAuto().allocate(UdpDatagram.HEADER_LENGTH + UdpDatagram.MAX_PAYLOAD_V6);

    DatagramsToGuest(Ipv4Output output, Ipv6Output output6, DropCounters drops) {
        this.output = output;
        this.output6 = output6;
        this.drops = drops;
    }

    /** Memory for one datagram with its header, free between two calls of {@link #send}. */
    MemorySegment memory() {
        return datagram;
    }

    /**
     * Sends a datagram, or drops and counts it if the channel is full.
     *
     * @param source as the guest is to see it, network order
     */
    void send(int source, int port, int guest, int guestPort, MemorySegment payload, long offset, int length) {
        if (length > UdpDatagram.MAX_PAYLOAD || output.room() <= length) {
            drops.count(DropReason.GUEST_QUEUE_FULL);
            return;
        }
        int total = UdpDatagram.HEADER_LENGTH + length;
        if (total + Ipv4Packet.HEADER_LENGTH <= output.mtu()) {
            var frame = output.begin(total);
            long udp = frame.offset() + Ipv4Output.HEADERS;
            MemorySegment.copy(payload, offset, frame.bytes(), udp + UdpDatagram.HEADER_LENGTH, length);
            UdpDatagram.write(frame.bytes(), udp, source, port, guest, guestPort, length);
            output.send(frame, total, source, guest, Ipv4Packet.PROTOCOL_UDP);
            return;
        }
        MemorySegment.copy(payload, offset, datagram, UdpDatagram.HEADER_LENGTH, length);
        UdpDatagram.write(datagram, 0, source, port, guest, guestPort, length);
        output.sendCopy(datagram, 0, total, source, guest, Ipv4Packet.PROTOCOL_UDP, TTL);
    }

    /**
     * The same over IPv6.
     *
     * @param source as the guest is to see it; both are IPv6 addresses
     */
    void send(
            IpAddress source,
            int port,
            IpAddress guest,
            int guestPort,
            MemorySegment payload,
            long offset,
            int length) {
        if (length > UdpDatagram.MAX_PAYLOAD_V6 || output6.room() <= length) {
            drops.count(DropReason.GUEST_QUEUE_FULL);
            return;
        }
        int total = UdpDatagram.HEADER_LENGTH + length;
        if (total <= output6.payloadMax()) {
            var frame = output6.begin(total);
            long udp = frame.offset() + Ipv6Output.HEADERS;
            MemorySegment.copy(payload, offset, frame.bytes(), udp + UdpDatagram.HEADER_LENGTH, length);
            UdpDatagram.write(frame.bytes(), udp, source, port, guest, guestPort, length);
            output6.send(frame, total, source, guest, Ipv4Packet.PROTOCOL_UDP);
            return;
        }
        MemorySegment.copy(payload, offset, datagram, UdpDatagram.HEADER_LENGTH, length);
        UdpDatagram.write(datagram, 0, source, port, guest, guestPort, length);
        output6.sendCopy(datagram, 0, total, source, guest, Ipv4Packet.PROTOCOL_UDP);
    }
}
