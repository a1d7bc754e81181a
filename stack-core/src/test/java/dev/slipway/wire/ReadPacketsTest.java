package dev.slipway.wire;

import static org.assertj.core.api.Assertions.assertThat;

import dev.slipway.testing.PacketBuilder;
import java.lang.foreign.MemorySegment;
import java.net.Inet4Address;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.util.List;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.constraints.Size;
import org.junit.jupiter.api.Test;
import org.pcap4j.packet.DnsDomainName;
import org.pcap4j.packet.DnsPacket;
import org.pcap4j.packet.DnsQuestion;
import org.pcap4j.packet.DnsRDataA;
import org.pcap4j.packet.DnsResourceRecord;
import org.pcap4j.packet.EthernetPacket;
import org.pcap4j.packet.IcmpV4CommonPacket;
import org.pcap4j.packet.IcmpV4EchoPacket;
import org.pcap4j.packet.IpV4Packet;
import org.pcap4j.packet.IpV4Rfc791Tos;
import org.pcap4j.packet.TcpMaximumSegmentSizeOption;
import org.pcap4j.packet.TcpNoOperationOption;
import org.pcap4j.packet.TcpPacket;
import org.pcap4j.packet.TcpSackOption;
import org.pcap4j.packet.TcpSackPermittedOption;
import org.pcap4j.packet.TcpWindowScaleOption;
import org.pcap4j.packet.UdpPacket;
import org.pcap4j.packet.UnknownPacket;
import org.pcap4j.packet.namednumber.ArpHardwareType;
import org.pcap4j.packet.namednumber.ArpOperation;
import org.pcap4j.packet.namednumber.DnsClass;
import org.pcap4j.packet.namednumber.DnsOpCode;
import org.pcap4j.packet.namednumber.DnsRCode;
import org.pcap4j.packet.namednumber.DnsResourceRecordType;
import org.pcap4j.packet.namednumber.EtherType;
import org.pcap4j.packet.namednumber.IcmpV4Code;
import org.pcap4j.packet.namednumber.IcmpV4Type;
import org.pcap4j.packet.namednumber.IpNumber;
import org.pcap4j.packet.namednumber.IpVersion;
import org.pcap4j.packet.namednumber.TcpPort;
import org.pcap4j.packet.namednumber.UdpPort;
import org.pcap4j.util.MacAddress;

/** What pcap4j builds, our parsers read: the same fields. */
final class ReadPacketsTest {

    private static final int SOURCE = IpAddress.parseV4("192.168.65.3");
    private static final int DESTINATION = IpAddress.parseV4("203.0.113.200");
    private static final MacAddress GUEST = MacAddress.getByName("52:54:00:12:34:56");
    private static final MacAddress GATEWAY = MacAddress.getByName("5a:94:ef:e4:0c:dd");

    private static Inet4Address address(int v4) {
        try {
            return (Inet4Address) InetAddress.getByAddress(IpAddress.ofV4(v4).toBytes());
        } catch (UnknownHostException e) {
            throw new AssertionError(e);
        }
    }

    private static IpV4Packet.Builder ip(IpNumber protocol) {
        return new IpV4Packet.Builder()
                .version(IpVersion.IPV4)
                .tos(IpV4Rfc791Tos.newInstance((byte) 0))
                .ttl((byte) 64)
                .protocol(protocol)
                .srcAddr(address(SOURCE))
                .dstAddr(address(DESTINATION))
                .correctChecksumAtBuild(true)
                .correctLengthAtBuild(true);
    }

    @Property(tries = 300)
    void tcpInIpInEthernet(
            @ForAll @IntRange(max = 65_535) int port,
            @ForAll int sequence,
            @ForAll int acknowledgement,
            @ForAll @IntRange(max = 63) int flags,
            @ForAll @IntRange(max = 65_535) int window,
            @ForAll @IntRange(max = 20) int scale,
            @ForAll @Size(max = 70) byte[] payload) {
        TcpPacket.Builder tcp = new TcpPacket.Builder()
                .srcPort(TcpPort.getInstance((short) port))
                .dstPort(TcpPort.HTTP)
                .srcAddr(address(SOURCE))
                .dstAddr(address(DESTINATION))
                .sequenceNumber(sequence)
                .acknowledgmentNumber(acknowledgement)
                .window((short) window)
                .urgentPointer((short) 77)
                .fin((flags & 1) != 0)
                .syn((flags & 2) != 0)
                .rst((flags & 4) != 0)
                .psh((flags & 8) != 0)
                .ack((flags & 16) != 0)
                .urg((flags & 32) != 0)
                .options(List.of(
                        new TcpMaximumSegmentSizeOption.Builder()
                                .maxSegSize((short) 1_460)
                                .correctLengthAtBuild(true)
                                .build(),
                        TcpNoOperationOption.getInstance(),
                        new TcpWindowScaleOption.Builder()
                                .shiftCount((byte) scale)
                                .correctLengthAtBuild(true)
                                .build(),
                        TcpSackPermittedOption.getInstance(),
                        new TcpSackOption.Builder()
                                .sacks(List.of(
                                        new TcpSackOption.Sack(sequence, sequence + 10),
                                        new TcpSackOption.Sack(0xFFFF_FFF0, 5)))
                                .correctLengthAtBuild(true)
                                .build()))
                .paddingAtBuild(true)
                .correctChecksumAtBuild(true)
                .correctLengthAtBuild(true)
                .payloadBuilder(new UnknownPacket.Builder().rawData(payload));
        byte[] bytes = new EthernetPacket.Builder()
                .srcAddr(GUEST)
                .dstAddr(GATEWAY)
                .type(EtherType.IPV4)
                .paddingAtBuild(true)
                .payloadBuilder(ip(IpNumber.TCP).payloadBuilder(tcp))
                .build()
                .getRawData();
        MemorySegment frame = PacketBuilder.segment(bytes);

        EthernetFrame ethernet = new EthernetFrame();
        assertThat(ethernet.parse(frame, 0, bytes.length)).isEqualTo(DropReason.NONE);
        assertThat(ethernet.source()).isEqualTo(0x5254_0012_3456L);
        assertThat(ethernet.destination()).isEqualTo(0x5A94_EFE4_0CDDL);
        assertThat(ethernet.type()).isEqualTo(EthernetFrame.TYPE_IPV4);
        Ipv4Packet ip = new Ipv4Packet();
        assertThat(ip.parse(frame, 14, bytes.length - 14)).isEqualTo(DropReason.NONE);
        assertThat(ip.source()).isEqualTo(SOURCE);
        assertThat(ip.destination()).isEqualTo(DESTINATION);
        assertThat(ip.protocol()).isEqualTo(Ipv4Packet.PROTOCOL_TCP);
        assertThat(ip.ttl()).isEqualTo(64);
        assertThat(ip.isFragment()).isFalse();
        TcpSegment segment = new TcpSegment();
        assertThat(segment.parse(frame, ip.payloadOffset(), ip.payloadLength(), SOURCE, DESTINATION, true))
                .isEqualTo(DropReason.NONE);
        assertThat(segment.sourcePort()).isEqualTo(port);
        assertThat(segment.destinationPort()).isEqualTo(80);
        assertThat(segment.sequence()).isEqualTo(sequence);
        assertThat(segment.acknowledgement()).isEqualTo(acknowledgement);
        assertThat(segment.flags()).isEqualTo(flags);
        assertThat(segment.window()).isEqualTo(window);
        assertThat(segment.maximumSegmentSize()).isEqualTo(1_460);
        assertThat(segment.windowScale()).isEqualTo(Math.min(scale, 14));
        assertThat(segment.sackPermitted()).isTrue();
        assertThat(segment.sackBlocks()).isEqualTo(2);
        assertThat(segment.sackLeft(0)).isEqualTo(sequence);
        assertThat(segment.sackRight(0)).isEqualTo(sequence + 10);
        assertThat(segment.sackLeft(1)).isEqualTo(0xFFFF_FFF0);
        assertThat(segment.sackRight(1)).isEqualTo(5);
        assertThat(segment.sequenceLength()).isEqualTo(payload.length + Integer.bitCount(flags & 3));
        assertThat(PacketBuilder.bytes(frame.asSlice(segment.payloadOffset(), segment.payloadLength())))
                .isEqualTo(payload);
    }

    @Property(tries = 200)
    void udp(@ForAll @IntRange(max = 65_535) int port, @ForAll @Size(max = 70) byte[] payload) {
        byte[] bytes = ip(IpNumber.UDP)
                .payloadBuilder(new UdpPacket.Builder()
                        .srcPort(UdpPort.getInstance((short) port))
                        .dstPort(UdpPort.DOMAIN)
                        .srcAddr(address(SOURCE))
                        .dstAddr(address(DESTINATION))
                        .correctChecksumAtBuild(true)
                        .correctLengthAtBuild(true)
                        .payloadBuilder(new UnknownPacket.Builder().rawData(payload)))
                .build()
                .getRawData();
        MemorySegment packet = PacketBuilder.segment(bytes);
        UdpDatagram udp = new UdpDatagram();
        assertThat(udp.parse(packet, 20, bytes.length - 20, SOURCE, DESTINATION, true))
                .isEqualTo(DropReason.NONE);
        assertThat(udp.sourcePort()).isEqualTo(port);
        assertThat(udp.destinationPort()).isEqualTo(53);
        assertThat(PacketBuilder.bytes(packet.asSlice(udp.payloadOffset(), udp.payloadLength())))
                .isEqualTo(payload);
        // The oracle leaves a sum of 0 as it is, which stands for no checksum.
        boolean none = BigEndian.u16(packet, 26) == 0;
        assertThat(udp.parse(packet, 20, bytes.length - 20, SOURCE, DESTINATION + 1, true))
                .isEqualTo(none ? DropReason.NONE : DropReason.CHECKSUM);
    }

    @Property(tries = 200)
    void icmp(@ForAll short id, @ForAll short sequence, @ForAll @Size(max = 70) byte[] payload) {
        byte[] bytes = new IcmpV4CommonPacket.Builder()
                .type(IcmpV4Type.ECHO)
                .code(IcmpV4Code.NO_CODE)
                .correctChecksumAtBuild(true)
                .payloadBuilder(new IcmpV4EchoPacket.Builder()
                        .identifier(id)
                        .sequenceNumber(sequence)
                        .payloadBuilder(new UnknownPacket.Builder().rawData(payload)))
                .build()
                .getRawData();
        Icmpv4Packet icmp = new Icmpv4Packet();
        assertThat(icmp.parse(PacketBuilder.segment(bytes), 0, bytes.length)).isEqualTo(DropReason.NONE);
        assertThat(icmp.type()).isEqualTo(Icmpv4Packet.ECHO_REQUEST);
        assertThat(icmp.code()).isZero();
    }

    @Test
    void arp() {
        byte[] bytes = new org.pcap4j.packet.ArpPacket.Builder()
                .hardwareType(ArpHardwareType.ETHERNET)
                .protocolType(EtherType.IPV4)
                .hardwareAddrLength((byte) 6)
                .protocolAddrLength((byte) 4)
                .operation(ArpOperation.REPLY)
                .srcHardwareAddr(GUEST)
                .dstHardwareAddr(GATEWAY)
                .srcProtocolAddr(address(SOURCE))
                .dstProtocolAddr(address(DESTINATION))
                .build()
                .getRawData();
        ArpPacket arp = new ArpPacket();
        assertThat(arp.parse(PacketBuilder.segment(bytes), 0, bytes.length)).isEqualTo(DropReason.NONE);
        assertThat(arp.operation()).isEqualTo(ArpPacket.REPLY);
        assertThat(arp.senderMac()).isEqualTo(0x5254_0012_3456L);
        assertThat(arp.senderIp()).isEqualTo(SOURCE);
        assertThat(arp.targetIp()).isEqualTo(DESTINATION);
    }

    @Test
    void dnsBothWays() throws Exception {
        DnsDomainName name = new DnsDomainName.Builder()
                .labels(List.of("Host", "docker", "internal"))
                .build();
        byte[] bytes = new DnsPacket.Builder()
                .id((short) 0xBEEF)
                .opCode(DnsOpCode.QUERY)
                .rCode(DnsRCode.NO_ERROR)
                .recursionDesired(true)
                .qdCount((short) 1)
                .questions(List.of(new DnsQuestion.Builder()
                        .qName(name)
                        .qType(DnsResourceRecordType.A)
                        .qClass(DnsClass.IN)
                        .build()))
                .build()
                .getRawData();
        DnsMessage query = new DnsMessage();
        assertThat(query.parse(PacketBuilder.segment(bytes), 0, bytes.length)).isEqualTo(DropReason.NONE);
        assertThat(query.id()).isEqualTo(0xBEEF);
        assertThat(query.name()).isEqualTo("host.docker.internal.");
        assertThat(query.type()).isEqualTo(DnsMessage.TYPE_A);
        assertThat(query.recordClass()).isEqualTo(DnsMessage.CLASS_IN);
        assertThat(query.isResponse()).isFalse();
        assertThat(query.own()).isEqualTo(bytes);

        byte[] response =
                query.respond(DnsMessage.TYPE_A, IpAddress.ofV4(SOURCE).toBytes(), 60);
        DnsPacket.DnsHeader header =
                DnsPacket.newPacket(response, 0, response.length).getHeader();
        assertThat(header.getId()).isEqualTo((short) 0xBEEF);
        assertThat(header.isResponse()).isTrue();
        assertThat(header.isAuthoritativeAnswer()).isTrue();
        assertThat(header.isRecursionAvailable()).isTrue();
        assertThat(header.getrCode()).isEqualTo(DnsRCode.NO_ERROR);
        assertThat(header.getQuestions().getFirst().getQName().getName()).isEqualTo("Host.docker.internal");
        DnsResourceRecord answer = header.getAnswers().getFirst();
        assertThat(answer.getTtlAsLong()).isEqualTo(60);
        assertThat(((DnsRDataA) answer.getRData()).getAddress()).isEqualTo(address(SOURCE));
    }
}
