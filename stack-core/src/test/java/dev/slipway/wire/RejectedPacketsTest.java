package dev.slipway.wire;

import static org.assertj.core.api.Assertions.assertThat;

import dev.slipway.testing.Ipv4Builder;
import dev.slipway.testing.PacketBuilder;
import java.lang.foreign.MemorySegment;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Each kind of bad packet is refused for its own reason, and what only looks odd is not. */
final class RejectedPacketsTest {

    private static final String OUTSIDE = "203.0.113.9";

    private final PacketBuilder guest = PacketBuilder.guest();
    private final Ipv4Packet ip = new Ipv4Packet();

    private static DropReason ethernet(MemorySegment frame) {
        return new EthernetFrame().parse(frame, 0, (int) frame.byteSize());
    }

    private DropReason ipv4(MemorySegment frame) {
        return ip.parse(frame, 14, (int) frame.byteSize() - 14);
    }

    private DropReason ipv4(Ipv4Builder<?> packet) {
        return ipv4(packet.build());
    }

    private DropReason tcp(Ipv4Builder<?> packet) {
        return tcp(packet.build(), new TcpSegment());
    }

    private DropReason tcp(MemorySegment frame, TcpSegment segment) {
        assertThat(ipv4(frame)).isEqualTo(DropReason.NONE);
        return segment.parse(frame, ip.payloadOffset(), ip.payloadLength(), ip.source(), ip.destination(), true);
    }

    private DropReason udp(Ipv4Builder<?> packet) {
        MemorySegment frame = packet.build();
        assertThat(ipv4(frame)).isEqualTo(DropReason.NONE);
        return new UdpDatagram()
                .parse(frame, ip.payloadOffset(), ip.payloadLength(), ip.source(), ip.destination(), true);
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 1, 6, 13})
    void frameWithoutAWholeHeaderIsARunt(int length) {
        assertThat(ethernet(PacketBuilder.segment(new byte[length]))).isEqualTo(DropReason.RUNT);
    }

    @Test
    void frameFromAGroupOrNobodyIsRefused() {
        for (long mac : new long[] {0, MacAddress.BROADCAST, 0x0100_5E00_0001L}) {
            assertThat(ethernet(guest.mac(mac).tcp(OUTSIDE, 80).build())).isEqualTo(DropReason.SOURCE_MAC);
        }
        assertThat(ethernet(guest.tcp(OUTSIDE, 80).build())).isEqualTo(DropReason.NONE);
    }

    @Test
    void arpOfOtherSizesOrCutShortIsRefused() {
        MemorySegment request = guest.arpRequest("192.168.65.1");
        assertThat(arp(request)).isEqualTo(DropReason.NONE);
        assertThat(arp(PacketBuilder.pad(request, 18, 0))).as("padded to 60").isEqualTo(DropReason.NONE);
        assertThat(arp(PacketBuilder.patch(request, 18, 8))).as("hlen").isEqualTo(DropReason.ARP);
        assertThat(arp(PacketBuilder.patch(request, 19, 16))).as("plen").isEqualTo(DropReason.ARP);
        assertThat(arp(PacketBuilder.patch(request, 15, 6))).as("htype").isEqualTo(DropReason.ARP);
        assertThat(arp(PacketBuilder.patch(request, 16, 0x86, 0xDD)))
                .as("ptype")
                .isEqualTo(DropReason.ARP);
        assertThat(arp(PacketBuilder.patch(request, 20, 0, 3))).as("RARP").isEqualTo(DropReason.ARP);
        assertThat(arp(PacketBuilder.truncate(request, 14 + 8))).isEqualTo(DropReason.ARP);
        assertThat(arp(PacketBuilder.truncate(request, 14 + 27))).isEqualTo(DropReason.ARP);
    }

    private static DropReason arp(MemorySegment frame) {
        return new ArpPacket().parse(frame, 14, (int) frame.byteSize() - 14);
    }

    @Test
    void ipHeaderThatCannotBeIsRefused() {
        MemorySegment good = guest.tcp(OUTSIDE, 80).payload("hello").build();
        assertThat(ipv4(PacketBuilder.truncate(good, 14))).isEqualTo(DropReason.IP_TRUNCATED);
        assertThat(ipv4(PacketBuilder.truncate(good, 33))).isEqualTo(DropReason.IP_TRUNCATED);
        assertThat(ipv4(guest.tcp(OUTSIDE, 80).versionAndLength(0x55))).isEqualTo(DropReason.IP_VERSION);
        assertThat(ipv4(guest.tcp(OUTSIDE, 80).versionAndLength(0x44))).isEqualTo(DropReason.IP_HEADER);
        assertThat(ipv4(guest.tcp(OUTSIDE, 80).versionAndLength(0x4F).totalLength(40)))
                .isEqualTo(DropReason.IP_HEADER);
        assertThat(ipv4(guest.tcp(OUTSIDE, 80).totalLength(0))).isEqualTo(DropReason.IP_HEADER);
        assertThat(ipv4(guest.tcp(OUTSIDE, 80).totalLength(41))).isEqualTo(DropReason.IP_TRUNCATED);
        assertThat(ipv4(guest.tcp(OUTSIDE, 80).totalLength(65_535))).isEqualTo(DropReason.IP_TRUNCATED);
        assertThat(ipv4(guest.tcp(OUTSIDE, 80).badIpChecksum())).isEqualTo(DropReason.CHECKSUM);
        assertThat(ipv4(good)).isEqualTo(DropReason.NONE);
    }

    @Test
    void paddingBehindAPacketIsLeftOut() {
        MemorySegment padded = PacketBuilder.pad(guest.tcp(OUTSIDE, 80).build(), 6, 0xEE);
        TcpSegment segment = new TcpSegment();
        assertThat(tcp(padded, segment)).isEqualTo(DropReason.NONE);
        assertThat(ip.payloadLength()).isEqualTo(20);
        assertThat(segment.payloadLength()).isZero();
    }

    @ParameterizedTest
    @ValueSource(ints = {131, 137})
    void sourceRoutesAreRefused(int kind) {
        assertThat(ipv4(guest.tcp(OUTSIDE, 80).ipOptions(1, kind, 7, 4, 10, 0, 0, 1)))
                .isEqualTo(DropReason.SOURCE_ROUTE);
    }

    @Test
    void otherIpOptionsAreSteppedOver() {
        TcpSegment segment = new TcpSegment();
        MemorySegment recordRoute = guest.tcp(OUTSIDE, 80)
                .ipOptions(7, 7, 4, 0, 0, 0, 0, 0)
                .payload("abc")
                .build();
        assertThat(tcp(recordRoute, segment)).isEqualTo(DropReason.NONE);
        assertThat(segment.payloadLength()).isEqualTo(3);
        assertThat(ipv4(guest.tcp(OUTSIDE, 80).ipOptions(68, 12, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0)))
                .as("timestamps")
                .isEqualTo(DropReason.NONE);
        assertThat(ipv4(guest.tcp(OUTSIDE, 80).ipOptions(0, 131, 7, 4)))
                .as("behind the end")
                .isEqualTo(DropReason.NONE);
    }

    @ParameterizedTest
    @CsvSource({"7,0", "7,1", "7,9", "7,255"})
    void ipOptionWithALengthItCannotHaveIsRefused(int kind, int length) {
        assertThat(ipv4(guest.tcp(OUTSIDE, 80).ipOptions(kind, length, 4, 0, 0, 0, 0, 0)))
                .isEqualTo(DropReason.IP_HEADER);
        assertThat(ipv4(guest.tcp(OUTSIDE, 80).ipOptions(1, 1, 1, kind)))
                .as("no length")
                .isEqualTo(DropReason.IP_HEADER);
    }

    @Test
    void fragmentThatMayNotBeFragmentedIsRefused() {
        assertThat(ipv4(guest.udp(OUTSIDE, 9).fragmentField(0x6000))).isEqualTo(DropReason.FRAGMENT);
        assertThat(ipv4(guest.udp(OUTSIDE, 9).fragmentField(0x4000))).isEqualTo(DropReason.NONE);
        assertThat(ip.mayNotBeFragmented()).isTrue();
        assertThat(ipv4(guest.udp(OUTSIDE, 9).fragmentField(0x2005))).isEqualTo(DropReason.NONE);
        assertThat(ip.isFragment()).isTrue();
        assertThat(ip.hasMoreFragments()).isTrue();
        assertThat(ip.fragmentOffset()).isEqualTo(40);
        assertThat(ipv4(guest.udp(OUTSIDE, 9).fragmentField(0x1FFF))).isEqualTo(DropReason.NONE);
        assertThat(ip.hasMoreFragments()).isFalse();
        assertThat(ip.fragmentOffset()).isEqualTo(65_528);
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 4, 6, 15})
    void tcpDataOffsetThatCannotBeIsRefused(int words) {
        assertThat(tcp(guest.tcp(OUTSIDE, 80).dataOffset(words))).isEqualTo(DropReason.TCP_HEADER);
    }

    @Test
    void tcpCutShortIsRefused() {
        for (int length = 0; length < 20; length++) {
            assertThat(tcp(guest.ipv4(OUTSIDE, 6).payload(new byte[length]))).isEqualTo(DropReason.TCP_HEADER);
        }
    }

    @Test
    void tcpOptionWithALengthItCannotHaveIsRefused() {
        assertThat(tcp(guest.tcp(OUTSIDE, 80).rawOptions(3, 0, 0, 0))).isEqualTo(DropReason.TCP_OPTIONS);
        assertThat(tcp(guest.tcp(OUTSIDE, 80).rawOptions(3, 1, 0, 0))).isEqualTo(DropReason.TCP_OPTIONS);
        assertThat(tcp(guest.tcp(OUTSIDE, 80).rawOptions(5, 10, 0, 0))).isEqualTo(DropReason.TCP_OPTIONS);
        assertThat(tcp(guest.tcp(OUTSIDE, 80).rawOptions(1, 1, 1, 2))).isEqualTo(DropReason.TCP_OPTIONS);
        assertThat(tcp(guest.tcp(OUTSIDE, 80).rawOptions(2, 255, 5, 180))).isEqualTo(DropReason.TCP_OPTIONS);
    }

    @Test
    void knownTcpOptionsOfOtherSizesAreIgnored() {
        TcpSegment segment = new TcpSegment();
        MemorySegment odd = guest.tcp(OUTSIDE, 80)
                .rawOptions(2, 3, 1, 3, 2, 4, 3, 0, 5, 5, 1, 1, 1)
                .build();
        assertThat(tcp(odd, segment)).isEqualTo(DropReason.NONE);
        assertThat(segment.maximumSegmentSize()).isZero();
        assertThat(segment.windowScale()).isEqualTo(TcpSegment.NO_WINDOW_SCALE);
        assertThat(segment.sackPermitted()).isFalse();
        assertThat(segment.sackBlocks()).isZero();
    }

    @Test
    void optionsOfOneSegmentAreNotSeenInTheNext() {
        TcpSegment segment = new TcpSegment();
        tcp(
                guest.tcp(OUTSIDE, 80)
                        .mss(1460)
                        .windowScale(7)
                        .sackPermitted()
                        .sack(1, 2)
                        .build(),
                segment);
        assertThat(segment.sackBlocks()).isEqualTo(1);
        tcp(guest.tcp(OUTSIDE, 80).build(), segment);
        assertThat(segment.maximumSegmentSize()).isZero();
        assertThat(segment.windowScale()).isEqualTo(TcpSegment.NO_WINDOW_SCALE);
        assertThat(segment.sackPermitted()).isFalse();
        assertThat(segment.sackBlocks()).isZero();
    }

    @Test
    void wrongChecksumsAreRefusedUnlessSomebodyVouches() {
        assertThat(tcp(guest.tcp(OUTSIDE, 80).badChecksum())).isEqualTo(DropReason.CHECKSUM);
        assertThat(udp(guest.udp(OUTSIDE, 9).badChecksum())).isEqualTo(DropReason.CHECKSUM);
        MemorySegment echo = guest.icmp(OUTSIDE).badChecksum().build();
        assertThat(new Icmpv4Packet().parse(echo, 34, 8)).isEqualTo(DropReason.CHECKSUM);
        MemorySegment bad = guest.tcp(OUTSIDE, 80).badChecksum().build();
        ipv4(bad);
        assertThat(new TcpSegment().parse(bad, ip.payloadOffset(), ip.payloadLength(), 0, 0, false))
                .isEqualTo(DropReason.NONE);
        assertThat(udp(guest.udp(OUTSIDE, 9).noChecksum().payload("x")))
                .as("RFC 768")
                .isEqualTo(DropReason.NONE);
    }

    @Test
    void udpLengthThatCannotBeIsRefused() {
        for (int length : new int[] {0, 7, 14, 65_535}) {
            assertThat(udp(guest.udp(OUTSIDE, 9).payload("hello").length(length)))
                    .isEqualTo(DropReason.UDP);
        }
        for (int length = 0; length < 8; length++) {
            assertThat(udp(guest.ipv4(OUTSIDE, 17).payload(new byte[length]))).isEqualTo(DropReason.UDP);
        }
    }

    @Test
    void icmpCutShortIsRefused() {
        assertThat(new Icmpv4Packet().parse(PacketBuilder.segment(new byte[7]), 0, 7))
                .isEqualTo(DropReason.ICMP);
    }
}
