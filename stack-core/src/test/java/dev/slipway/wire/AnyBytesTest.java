package dev.slipway.wire;

import static org.assertj.core.api.Assertions.assertThat;

import dev.slipway.testing.DnsBuilder;
import dev.slipway.testing.PacketBuilder;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;

/**
 * No bytes make a parser throw, and behind {@link DropReason#NONE} no accessor does. Each packet stands in a segment
 * that ends where it ends, so that a byte read too many throws.
 */
final class AnyBytesTest {

    private static final PacketBuilder GUEST = PacketBuilder.guest();

    private static final List<byte[]> SAMPLES = List.of(
            PacketBuilder.bytes(GUEST.tcp("10.0.0.1", 80)
                    .ipOptions(7, 7, 4, 0, 0, 0, 0, 0)
                    .mss(1460)
                    .windowScale(7)
                    .sack(1, 2, 3, 4)
                    .timestamps(1, 2)
                    .payload("some bytes")
                    .build()),
            PacketBuilder.bytes(GUEST.udp("10.0.0.1", 53)
                    .payload(DnsBuilder.query("a.host.docker.internal", 1)
                            .answerA(5)
                            .edns(1232)
                            .message())
                    .build()),
            PacketBuilder.bytes(GUEST.icmp("10.0.0.1").payload("ping").build()),
            PacketBuilder.bytes(GUEST.arpRequest("10.0.0.1")),
            PacketBuilder.bytes(GUEST.dhcp(1)
                    .option(61, 1, 2, 3)
                    .option(55, 1, 3, 6)
                    .option(52, 3)
                    .build()));

    @Property(tries = 3_000)
    void randomBytesNeverThrow(
            @ForAll @IntRange(max = 700) int length, @ForAll @IntRange(max = 20) int before, @ForAll long seed) {
        byte[] bytes = new byte[before + length];
        new Random(seed).nextBytes(bytes);
        parseAsEverything(bytes, before);
    }

    @Property(tries = 20_000)
    void damagedPacketsNeverThrow(@ForAll @IntRange(max = 4) int sample, @ForAll long seed) {
        Random random = new Random(seed);
        byte[] bytes = SAMPLES.get(sample).clone();
        if (random.nextInt(3) == 0) {
            bytes = Arrays.copyOf(bytes, random.nextInt(bytes.length + 1));
        }
        for (int i = random.nextInt(5); i > 0 && bytes.length > 0; i--) {
            bytes[random.nextInt(bytes.length)] = (byte) random.nextInt();
        }
        parseAsEverything(bytes, Math.min(bytes.length, new int[] {0, 14, 34, 42, 50}[random.nextInt(5)]));
    }

    private static void parseAsEverything(byte[] bytes, int from) {
        MemorySegment segment = PacketBuilder.segment(bytes);
        int length = bytes.length - from;
        EthernetFrame ethernet = new EthernetFrame();
        if (ethernet.parse(segment, from, length) == DropReason.NONE) {
            assertThat(MacAddress.toString(ethernet.source()) + ethernet.destination() + ethernet.type())
                    .isNotEmpty();
        }
        ArpPacket arp = new ArpPacket();
        if (arp.parse(segment, from, length) == DropReason.NONE) {
            assertThat(arp.operation()).isBetween(1, 2);
            assertThat(arp.senderMac()).isLessThanOrEqualTo(MacAddress.BROADCAST);
        }
        Ipv4Packet ip = new Ipv4Packet();
        if (ip.parse(segment, from, length) == DropReason.NONE) {
            assertThat(ip.headerLength()).isBetween(20, 60);
            assertThat(ip.payloadOffset() + ip.payloadLength()).isBetween((long) from, (long) bytes.length);
            assertThat(ip.ttl() | ip.protocol()).isBetween(0, 255);
            assertThat(ip.identification()).isBetween(0, 65_535);
            assertThat(ip.fragmentOffset() % 8).isZero();
            assertThat(IpAddress.toString(ip.source()) + IpAddress.toString(ip.destination()))
                    .isNotEmpty();
            transport(segment, ip.payloadOffset(), ip.payloadLength());
        }
        transport(segment, from, length);
    }

    private static void transport(MemorySegment segment, long from, int length) {
        tcp(segment, from, length);
        UdpDatagram udp = new UdpDatagram();
        udp.parse(segment, from, length, 1, 2, true);
        if (udp.parse(segment, from, length, 1, 2, false) == DropReason.NONE) {
            assertThat(udp.payloadLength()).isBetween(0, length - 8);
            assertThat(udp.payloadOffset()).isEqualTo(from + 8);
            messages(segment, udp.payloadOffset(), udp.payloadLength());
        }
        Icmpv4Packet icmp = new Icmpv4Packet();
        if (icmp.parse(segment, from, length) == DropReason.NONE) {
            assertThat(icmp.type() | icmp.code()).isBetween(0, 255);
        }
        messages(segment, from, length);
    }

    private static void tcp(MemorySegment segment, long from, int length) {
        TcpSegment tcp = new TcpSegment();
        tcp.parse(segment, from, length, 1, 2, true);
        if (tcp.parse(segment, from, length, 1, 2, false) == DropReason.NONE) {
            assertThat(tcp.payloadLength()).isBetween(0, length - 20);
            assertThat(tcp.payloadOffset() + tcp.payloadLength()).isEqualTo(from + length);
            assertThat(tcp.sequenceLength()).isBetween(tcp.payloadLength(), tcp.payloadLength() + 2);
            assertThat(tcp.windowScale()).isBetween(-1, 14);
            assertThat(tcp.sackBlocks()).isBetween(0, 4);
            for (int i = 0; i < tcp.sackBlocks(); i++) {
                SequenceNumber.before(tcp.sackLeft(i), tcp.sackRight(i));
            }
        }
    }

    private static void messages(MemorySegment segment, long from, int length) {
        DhcpMessage dhcp = new DhcpMessage();
        if (dhcp.parse(segment, from, length) == DropReason.NONE) {
            assertThat(dhcp.type()).isBetween(1, 8);
            assertThat(dhcp.operation()
                            + dhcp.transaction()
                            + dhcp.flags()
                            + dhcp.clientAddress()
                            + dhcp.yourAddress()
                            + dhcp.relayAddress()
                            + dhcp.hardwareAddress())
                    .isNotNull();
            for (int code = 1; code < 255; code++) {
                if (dhcp.has(code)) {
                    assertThat(dhcp.optionOffset(code) + dhcp.optionLength(code))
                            .isLessThanOrEqualTo(from + length);
                }
                dhcp.i32(code);
                dhcp.u16(code);
                dhcp.u8(code);
            }
        }
        DnsMessage dns = new DnsMessage();
        if (dns.parse(segment, from, length) == DropReason.NONE) {
            assertThat(dns.length()).isBetween(17, length);
            assertThat(dns.own()).hasSize(dns.length());
            assertThat(dns.name()).isNotNull();
            assertThat(dns.maxUdpLength()).isBetween(512, UdpDatagram.MAX_PAYLOAD);
            assertThat(dns.respond(DnsMessage.REFUSED)).hasSizeGreaterThanOrEqualTo(17);
            assertThat(dns.respond(DnsMessage.TYPE_A, new byte[4], 1)).hasSizeGreaterThanOrEqualTo(33);
            assertThat(dns.truncate(new byte[12])).hasSizeGreaterThanOrEqualTo(17);
        }
    }
}
