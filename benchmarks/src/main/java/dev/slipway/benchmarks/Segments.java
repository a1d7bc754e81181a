package dev.slipway.benchmarks;

import dev.slipway.wire.BigEndian;
import dev.slipway.wire.Checksum;
import dev.slipway.wire.EthernetFrame;
import dev.slipway.wire.IpAddress;
import dev.slipway.wire.Ipv4Packet;
import dev.slipway.wire.TcpSegment;
import java.lang.foreign.MemorySegment;

/** TCP segments in Ethernet frames, as a guest sends them. */
final class Segments {

    static final long GUEST_MAC = 0x5254_0012_3456L;
    static final int GUEST = IpAddress.parseV4("192.168.65.3");
    static final int SERVER = IpAddress.parseV4("203.0.113.7");
    static final int SERVER_PORT = 80;

    static final int IP = EthernetFrame.HEADER_LENGTH;
    static final int TCP = IP + Ipv4Packet.HEADER_LENGTH;
    static final int PAYLOAD = TCP + TcpSegment.HEADER_LENGTH;

    private Segments() {}

    /** Writes a whole frame around the payload that is there, checksums complete. Returns its length. */
    static int write(MemorySegment frame, long gatewayMac, int payload) {
        EthernetFrame.write(frame, 0, gatewayMac, GUEST_MAC, EthernetFrame.TYPE_IPV4);
        int segment = TcpSegment.HEADER_LENGTH + payload;
        Ipv4Packet.write(
                frame, IP, Ipv4Packet.HEADER_LENGTH + segment, 1, 0, 64, Ipv4Packet.PROTOCOL_TCP, GUEST, SERVER);
        TcpSegment.write(
                frame,
                TCP,
                GUEST,
                40_000,
                SERVER,
                SERVER_PORT,
                1,
                1,
                TcpSegment.ACK,
                65_535,
                TcpSegment.HEADER_LENGTH,
                segment);
        BigEndian.putU16(frame, TCP + TcpSegment.CHECKSUM, Checksum.finish(Checksum.sum(frame, TCP, segment)));
        return TCP + segment;
    }
}
