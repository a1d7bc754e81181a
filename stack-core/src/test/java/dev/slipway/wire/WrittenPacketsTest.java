package dev.slipway.wire;

import static org.assertj.core.api.Assertions.assertThat;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.net.Inet4Address;
import java.net.InetAddress;
import java.util.Set;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.constraints.LongRange;
import net.jqwik.api.constraints.Size;
import org.pcap4j.packet.ArpPacket.ArpHeader;
import org.pcap4j.packet.EthernetPacket;
import org.pcap4j.packet.IcmpV4CommonPacket;
import org.pcap4j.packet.IpV4Packet;
import org.pcap4j.packet.IpV4Packet.IpV4Header;
import org.pcap4j.packet.Packet;
import org.pcap4j.packet.TcpPacket;
import org.pcap4j.packet.TcpPacket.TcpHeader;
import org.pcap4j.packet.UdpPacket;

/** What our writers write, pcap4j reads: the same fields, and checksums that it finds right. */
final class WrittenPacketsTest {

    /** Writers get a segment that is dirty, and longer than they need. */
    private final MemorySegment out = MemorySegment.ofArray(new byte[2_000]).fill((byte) 0xA5);

    /**
     * The ports whose payload pcap4j reads as a message of DNS or GTP. Its reader of GTP leaves its
     * array when the bytes are no such message (2123, with 8 bytes of payload), and the payload is
     * not what is asked here.
     */
    private static final Set<Integer> PORTS_OF_PROTOCOLS = Set.of(53, 2_123, 2_152, 3_386);

    @Provide
    static Arbitrary<Integer> ports() {
        return Arbitraries.integers().between(0, 65_535).filter(port -> !PORTS_OF_PROTOCOLS.contains(port));
    }

    private static Inet4Address address(int v4) throws Exception {
        return (Inet4Address) InetAddress.getByAddress(IpAddress.ofV4(v4).toBytes());
    }

    private byte[] written(int from, int length) {
        return out.asSlice(from, length).toArray(ValueLayout.JAVA_BYTE);
    }

    private void writePayload(int at, byte[] payload) {
        MemorySegment.copy(payload, 0, out, ValueLayout.JAVA_BYTE, at, payload.length);
    }

    private static byte[] payloadOf(Packet packet) {
        return packet.getPayload() == null ? new byte[0] : packet.getPayload().getRawData();
    }

    @Property(tries = 200)
    void ethernetHeader(
            @ForAll @LongRange(max = 0xFFFF_FFFF_FFFFL) long destination,
            @ForAll @LongRange(max = 0xFFFF_FFFF_FFFFL) long source)
            throws Exception {
        EthernetFrame.write(out, 3, destination, source, 0x88B5);
        EthernetPacket packet = EthernetPacket.newPacket(written(3, 60), 0, 60);
        assertThat(packet.getHeader().getDstAddr()).hasToString(MacAddress.toString(destination));
        assertThat(packet.getHeader().getSrcAddr()).hasToString(MacAddress.toString(source));
        assertThat(packet.getHeader().getType().value()).isEqualTo((short) 0x88B5);
    }

    @Property(tries = 200)
    void arpPacket(
            @ForAll @LongRange(max = 0xFFFF_FFFF_FFFFL) long sender,
            @ForAll @LongRange(max = 0xFFFF_FFFF_FFFFL) long target,
            @ForAll int senderIp,
            @ForAll int targetIp,
            @ForAll @IntRange(min = 1, max = 2) int operation)
            throws Exception {
        ArpPacket.write(out, 5, operation, sender, senderIp, target, targetIp);
        ArpHeader arp =
                org.pcap4j.packet.ArpPacket.newPacket(written(5, 28), 0, 28).getHeader();
        assertThat(arp.getOperation().value()).isEqualTo((short) operation);
        assertThat(arp.getHardwareType().value()).isEqualTo((short) 1);
        assertThat(arp.getProtocolType().value()).isEqualTo((short) 0x0800);
        assertThat(arp.getHardwareAddrLengthAsInt()).isEqualTo(6);
        assertThat(arp.getProtocolAddrLengthAsInt()).isEqualTo(4);
        assertThat(arp.getSrcHardwareAddr()).hasToString(MacAddress.toString(sender));
        assertThat(arp.getDstHardwareAddr()).hasToString(MacAddress.toString(target));
        assertThat(arp.getSrcProtocolAddr()).isEqualTo(address(senderIp));
        assertThat(arp.getDstProtocolAddr()).isEqualTo(address(targetIp));
    }

    @Property(tries = 500)
    void ipv4Header(
            @ForAll int source,
            @ForAll int destination,
            @ForAll @IntRange(max = 0x1FFF) int fragmentWords,
            @ForAll boolean more,
            @ForAll int identification,
            @ForAll @IntRange(max = 255) int ttl,
            @ForAll @Size(max = 60) byte[] payload)
            throws Exception {
        int length = 20 + payload.length;
        Ipv4Packet.write(
                out,
                1,
                length,
                identification,
                Ipv4Packet.fragmentField(fragmentWords * 8, more),
                ttl,
                253,
                source,
                destination);
        writePayload(21, payload);
        IpV4Packet packet = IpV4Packet.newPacket(written(1, length), 0, length);
        IpV4Header header = packet.getHeader();
        assertThat(header.hasValidChecksum(false)).isTrue();
        assertThat(header.getTotalLengthAsInt()).isEqualTo(length);
        assertThat(header.getIdentification()).isEqualTo((short) identification);
        assertThat((int) header.getFragmentOffset()).isEqualTo(fragmentWords);
        assertThat(header.getMoreFragmentFlag()).isEqualTo(more);
        assertThat(header.getDontFragmentFlag()).isFalse();
        assertThat(header.getTtlAsInt()).isEqualTo(ttl);
        assertThat(header.getProtocol().value()).isEqualTo((byte) 253);
        assertThat(header.getSrcAddr()).isEqualTo(address(source));
        assertThat(header.getDstAddr()).isEqualTo(address(destination));
        assertThat(payloadOf(packet)).isEqualTo(payload);
    }

    @Property(tries = 500)
    void udpDatagram(
            @ForAll int source,
            @ForAll int destination,
            @ForAll("ports") int sourcePort,
            @ForAll("ports") int destinationPort,
            @ForAll @Size(max = 80) byte[] payload)
            throws Exception {
        writePayload(15, payload);
        UdpDatagram.write(out, 7, source, sourcePort, destination, destinationPort, payload.length);
        UdpPacket udp = UdpPacket.newPacket(written(7, 8 + payload.length), 0, 8 + payload.length);
        assertThat(udp.getHeader().getSrcPort().valueAsInt()).isEqualTo(sourcePort);
        assertThat(udp.getHeader().getDstPort().valueAsInt()).isEqualTo(destinationPort);
        assertThat(udp.getHeader().getLengthAsInt()).isEqualTo(8 + payload.length);
        assertThat(udp.getHeader().getChecksum()).isNotZero();
        assertThat(udp.hasValidChecksum(address(source), address(destination), false))
                .isTrue();
    }

    @Property(tries = 300)
    void icmpMessage(@ForAll @Size(max = 80) byte[] payload, @ForAll int rest) throws Exception {
        int length = 8 + payload.length;
        BigEndian.putI32(out, 4 + 4, rest);
        writePayload(4 + 8, payload);
        Icmpv4Packet.write(out, 4, length, Icmpv4Packet.ECHO_REPLY, 0);
        IcmpV4CommonPacket icmp = IcmpV4CommonPacket.newPacket(written(4, length), 0, length);
        assertThat(icmp.getHeader().getType().value()).isZero();
        assertThat(icmp.hasValidChecksum(false)).isTrue();
        assertThat(new Icmpv4Packet().parse(out, 4, length)).isEqualTo(DropReason.NONE);
    }

    @Property(tries = 500)
    void tcpSegmentWhoseChecksumTheChannelCompletes(
            @ForAll int source,
            @ForAll int destination,
            @ForAll("ports") int sourcePort,
            @ForAll int sequence,
            @ForAll int acknowledgement,
            @ForAll @IntRange(max = 63) int flags,
            @ForAll @IntRange(max = 65_535) int window,
            @ForAll @Size(max = 80) byte[] payload)
            throws Exception {
        int length = 24 + payload.length;
        TcpSegment.write(
                out, 9, source, sourcePort, destination, 80, sequence, acknowledgement, flags, window, 24, length);
        BigEndian.putI32(out, 9 + 20, TcpSegment.OPTION_MSS << 24 | 4 << 16 | 1460);
        writePayload(9 + 24, payload);
        BigEndian.putU16(out, 9 + TcpSegment.CHECKSUM, Checksum.finish(Checksum.sum(out, 9, length)));
        TcpPacket tcp = TcpPacket.newPacket(written(9, length), 0, length);
        TcpHeader header = tcp.getHeader();
        assertThat(tcp.hasValidChecksum(address(source), address(destination), false))
                .isTrue();
        assertThat(header.getSrcPort().valueAsInt()).isEqualTo(sourcePort);
        assertThat(header.getDstPort().valueAsInt()).isEqualTo(80);
        assertThat(header.getSequenceNumber()).isEqualTo(sequence);
        assertThat(header.getAcknowledgmentNumber()).isEqualTo(acknowledgement);
        assertThat(header.getWindowAsInt()).isEqualTo(window);
        assertThat(header.getUrgentPointer()).isZero();
        assertThat(header.getFin()).isEqualTo((flags & TcpSegment.FIN) != 0);
        assertThat(header.getSyn()).isEqualTo((flags & TcpSegment.SYN) != 0);
        assertThat(header.getRst()).isEqualTo((flags & TcpSegment.RST) != 0);
        assertThat(header.getPsh()).isEqualTo((flags & TcpSegment.PSH) != 0);
        assertThat(header.getAck()).isEqualTo((flags & TcpSegment.ACK) != 0);
        assertThat(header.getUrg()).isEqualTo((flags & TcpSegment.URG) != 0);
        assertThat(payloadOf(tcp)).isEqualTo(payload);
    }
}
