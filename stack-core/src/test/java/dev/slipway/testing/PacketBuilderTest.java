package dev.slipway.testing;

import static dev.slipway.testing.PacketMatchers.assertThatFrame;
import static dev.slipway.wire.TcpSegment.ACK;
import static dev.slipway.wire.TcpSegment.FIN;
import static dev.slipway.wire.TcpSegment.SYN;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.pcap4j.packet.EthernetPacket;
import org.pcap4j.packet.IcmpV4CommonPacket;
import org.pcap4j.packet.IpV4Packet;
import org.pcap4j.packet.TcpPacket;
import org.pcap4j.packet.UdpPacket;

/** The builders and the assertions agree with pcap4j and with each other, and the assertions can fail. */
final class PacketBuilderTest {

    private final PacketBuilder guest = PacketBuilder.guest();

    private static EthernetPacket oracle(MemorySegment frame) throws Exception {
        byte[] bytes = PacketBuilder.bytes(frame);
        return EthernetPacket.newPacket(bytes, 0, bytes.length);
    }

    @Test
    void tcpSegmentIsRightInPcap4jsEyes() throws Exception {
        MemorySegment frame = guest.tcp("192.168.65.254", 80)
                .port(40_001)
                .flags(SYN)
                .ack(0xFFFF_FFF0L)
                .seq(7)
                .mss(1460)
                .windowScale(7)
                .sackPermitted()
                .payload("odd")
                .build();
        IpV4Packet ip = oracle(frame).get(IpV4Packet.class);
        TcpPacket tcp = ip.get(TcpPacket.class);
        assertThat(ip.getHeader().hasValidChecksum(false)).isTrue();
        assertThat(tcp.hasValidChecksum(
                        ip.getHeader().getSrcAddr(), ip.getHeader().getDstAddr(), false))
                .isTrue();
        assertThat(tcp.getHeader().getOptions()).hasSizeGreaterThanOrEqualTo(3);
        assertThatFrame(frame)
                .isTcp()
                .from("192.168.65.3", 40_001)
                .to("192.168.65.254", 80)
                .has(SYN, ACK)
                .hasOnly(SYN, ACK)
                .hasNot(FIN)
                .seq(7)
                .ack(-16)
                .hasMss(1460)
                .hasWindowScale(7)
                .hasSackPermitted()
                .hasNoOption(5)
                .hasPayload("odd");
    }

    @Test
    void udpAndIcmpAreRightInPcap4jsEyes() throws Exception {
        MemorySegment datagram = guest.udp("10.0.0.1", 53).payload("hello").build();
        IpV4Packet ip = oracle(datagram).get(IpV4Packet.class);
        assertThat(ip.get(UdpPacket.class)
                        .hasValidChecksum(
                                ip.getHeader().getSrcAddr(), ip.getHeader().getDstAddr(), false))
                .isTrue();
        assertThatFrame(datagram)
                .isUdp()
                .from("192.168.65.3", 40_000)
                .to("10.0.0.1", 53)
                .hasPayload("hello");

        MemorySegment echo =
                guest.icmp("192.168.65.1").echo(5, 6).payload("ping!").build();
        assertThat(oracle(echo).get(IcmpV4CommonPacket.class).hasValidChecksum(false))
                .isTrue();
        assertThatFrame(echo).isIcmp().hasType(8, 0).hasPayload("ping!");
        assertThatFrame(guest.arpRequest("192.168.65.1")).isArp().isRequestFor("192.168.65.1");
    }

    @Test
    void fragmentsCoverTheDatagramOnce() {
        byte[] payload = new byte[3_000];
        for (int i = 0; i < payload.length; i++) {
            payload[i] = (byte) i;
        }
        MemorySegment whole = guest.udp("10.0.0.1", 9).payload(payload).build();
        List<MemorySegment> fragments = PacketBuilder.fragments(whole, 1_480);
        assertThat(fragments).hasSize(3);
        assertThatFrame(fragments.get(0)).isFragment(0, true).hasLength(14 + 20 + 1_480);
        assertThatFrame(fragments.get(1)).isFragment(1_480, true);
        assertThatFrame(fragments.get(2)).isFragment(2_960, false).hasLength(14 + 20 + 48);
        ByteBuffer joined = ByteBuffer.allocate(3_008);
        fragments.forEach(fragment -> joined.put(PacketBuilder.bytes(fragment.asSlice(34))));
        assertThat(joined.array()).isEqualTo(PacketBuilder.bytes(whole.asSlice(34)));
    }

    @Test
    void wrongChecksumsAndLengthsAreNoticed() {
        TcpBuilder segment = guest.tcp("10.0.0.1", 80).flags(SYN).payload("x");
        assertFails(segment.badChecksum().build());
        assertFails(guest.tcp("10.0.0.1", 80).badIpChecksum().build());
        assertFails(guest.tcp("10.0.0.1", 80).totalLength(44).build());
        assertFails(guest.tcp("10.0.0.1", 80).dataOffset(4).build());
        assertFails(guest.udp("10.0.0.1", 80).build());
        assertFails(PacketBuilder.pad(guest.tcp("10.0.0.1", 80).build(), 1, 0));
        assertThatThrownBy(() -> assertThatFrame(
                                guest.tcp("10.0.0.1", 80).flags(SYN).build())
                        .isTcp()
                        .has(ACK))
                .isInstanceOf(AssertionError.class)
                .hasMessageContaining("flags")
                .hasMessageContaining("192.168.65.3 > 10.0.0.1 TCP 40000>80 [S]");
    }

    private static void assertFails(MemorySegment frame) {
        assertThatThrownBy(() -> assertThatFrame(frame).isTcp()).isInstanceOf(AssertionError.class);
    }
}
