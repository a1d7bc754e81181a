package dev.slipway.stack;

import static dev.slipway.stack.StackRig.GATEWAY;
import static dev.slipway.stack.StackRig.HOST;
import static dev.slipway.stack.StackRig.OUTSIDE;
import static dev.slipway.testing.PacketMatchers.assertThat;
import static dev.slipway.wire.TcpSegment.SYN;
import static org.assertj.core.api.Assertions.assertThat;

import dev.slipway.seam.StackSettings;
import dev.slipway.testing.PacketBuilder;
import dev.slipway.testing.SentFrame;
import dev.slipway.wire.DropReason;
import dev.slipway.wire.EthernetFrame;
import dev.slipway.wire.IpAddress;
import dev.slipway.wire.MacAddress;
import java.lang.foreign.MemorySegment;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Frames and packets that must not be: each is dropped with its own counter, and the next good one is served. */
class BadFramesTest {

    private static final long GATEWAY_MAC = StackSettings.defaults().gatewayMac();

    private final StackRig rig = new StackRig();
    private final PacketBuilder guest = rig.guest;

    private MemorySegment good() {
        return guest.udp(OUTSIDE, 9).payload("x").build();
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 1, 13})
    void framesWithoutAWholeHeader(int length) {
        rig.isDropped(PacketBuilder.truncate(good(), length), DropReason.RUNT);
    }

    @Test
    void anEmptyPacket() {
        rig.isDropped(PacketBuilder.truncate(good(), 14), DropReason.IP_TRUNCATED);
    }

    @Test
    void framesLongerThanTheLink() {
        MemorySegment longest = guest.icmp(GATEWAY).payload(new byte[1500 - 28]).build();
        rig.input(longest);
        assertThat(rig.sent.only()).isIcmp().hasPayloadLength(1500 - 28);
        rig.isDropped(PacketBuilder.pad(longest, 1, 0), DropReason.OVERSIZE);
    }

    /** Tagged (802.1Q), LLC (802.3), LLDP, and what is reserved. */
    @ParameterizedTest
    @ValueSource(ints = {0x8100, 0x88A8, 38, 1500, 0x05FF, 0x88CC, 0x9000, 0xFFFF, 0})
    void otherEtherTypes(int type) {
        rig.isDropped(guest.ethernet(GATEWAY_MAC, type, new byte[46]), DropReason.ETHERTYPE);
        rig.isDropped(guest.ethernet(MacAddress.BROADCAST, type, new byte[46]), DropReason.ETHERTYPE);
    }

    @Test
    void ipv6WhileItIsOff() {
        byte[] advertisement = new byte[56];
        advertisement[0] = 0x60;
        advertisement[5] = 16;
        advertisement[6] = 58;
        advertisement[40] = (byte) 134;
        rig.isDropped(guest.ethernet(0x3333_0000_0001L, EthernetFrame.TYPE_IPV6, advertisement), DropReason.IPV6_OFF);
        rig.isDropped(guest.ethernet(GATEWAY_MAC, EthernetFrame.TYPE_IPV6, new byte[0]), DropReason.IPV6_OFF);
    }

    @Test
    void sourceAddressesThatNobodyHas() {
        rig.isDropped(guest.mac(0x0100_5E00_0001L).udp(OUTSIDE, 9).build(), DropReason.SOURCE_MAC);
        rig.isDropped(guest.mac(MacAddress.BROADCAST).udp(OUTSIDE, 9).build(), DropReason.SOURCE_MAC);
        rig.isDropped(guest.mac(0).udp(OUTSIDE, 9).build(), DropReason.SOURCE_MAC);
        rig.isDropped(guest.mac(GATEWAY_MAC).udp(OUTSIDE, 9).build(), DropReason.SPOOF);
    }

    @Test
    void anAddressBelongsToWhoUsedItFirst() {
        rig.serves();
        PacketBuilder thief = guest.mac(0x5254_0099_9999L);
        rig.isDropped(thief.udp(OUTSIDE, 9).build(), DropReason.SPOOF);
        rig.isDropped(thief.arpRequest(GATEWAY), DropReason.SPOOF);
        rig.isDropped(thief.arpReply(PacketBuilder.GUEST_IP, GATEWAY), DropReason.SPOOF);
        rig.input(thief.address("192.168.65.9").icmp(GATEWAY).build());
        assertThat(rig.sent.only()).toMac(0x5254_0099_9999L).isIcmp().to("192.168.65.9");
    }

    @Test
    void anAddressOfAnotherStacksGuest() {
        StackRig other = new StackRig(rig.settings, rig.leases);
        rig.serves();
        other.input(guest.mac(0x5254_0099_9999L).icmp(GATEWAY).build());
        assertThat(other.sent.frames()).isEmpty();
        assertThat(other.drops.get(DropReason.SPOOF)).isEqualTo(1);
    }

    @Test
    void framesForOthersAreNeverEchoed() {
        rig.isDropped(guest.to(0x5254_0077_7777L).udp(OUTSIDE, 9).build(), DropReason.NOT_FOR_US);
        rig.isDropped(guest.to(MacAddress.BROADCAST).udp(OUTSIDE, 9).build(), DropReason.DESTINATION);
        rig.isDropped(guest.to(0x0100_5E00_0001L).tcp(OUTSIDE, 9).flags(SYN).build(), DropReason.DESTINATION);
    }

    @Test
    void malformedArp() {
        MemorySegment request = guest.arpRequest(GATEWAY);
        rig.isDropped(PacketBuilder.patch(request, 18, 8), DropReason.ARP);
        rig.isDropped(PacketBuilder.patch(request, 19, 16), DropReason.ARP);
        rig.isDropped(PacketBuilder.truncate(request, 14 + 8), DropReason.ARP);
        rig.isDropped(PacketBuilder.truncate(request, 14), DropReason.ARP);
        rig.isDropped(PacketBuilder.patch(request, 14, 0, 6), DropReason.ARP);
        rig.isDropped(PacketBuilder.patch(request, 16, 0x86, 0xDD), DropReason.ARP);
    }

    @Test
    void arpThatClaimsWhatIsOurs() {
        rig.isDropped(guest.arpReply(GATEWAY, PacketBuilder.GUEST_IP), DropReason.SPOOF);
        rig.isDropped(guest.arpReply(HOST, PacketBuilder.GUEST_IP), DropReason.SPOOF);
        rig.isDropped(
                guest.arp(MacAddress.BROADCAST, 1, GATEWAY_MAC, IpAddress.parseV4("192.168.65.3"), 0, 0),
                DropReason.SPOOF);
        rig.isDropped(guest.address("10.0.0.1").arpRequest(GATEWAY), DropReason.MARTIAN);
    }

    @Test
    void arpProbesAreAnsweredForOursOnly() {
        rig.input(guest.address("0.0.0.0").arpRequest(HOST));
        assertThat(rig.sent.only()).toMac(guest.mac()).isArp().isReply(HOST, GATEWAY_MAC);
        rig.input(guest.arpRequest("192.168.65.77"));
        rig.input(guest.arpRequest(PacketBuilder.GUEST_IP));
        assertThat(rig.sent.frames()).isEmpty();
    }

    @Test
    void headersThatCannotBe() {
        rig.isDropped(guest.udp(OUTSIDE, 9).versionAndLength(0x55).build(), DropReason.IP_VERSION);
        rig.isDropped(guest.udp(OUTSIDE, 9).versionAndLength(0x44).build(), DropReason.IP_HEADER);
        rig.isDropped(
                guest.udp(OUTSIDE, 9)
                        .versionAndLength(0x4F)
                        .totalLength(40)
                        .payload(new byte[60])
                        .build(),
                DropReason.IP_HEADER);
        rig.isDropped(guest.udp(OUTSIDE, 9).totalLength(1_000).build(), DropReason.IP_TRUNCATED);
        rig.isDropped(guest.udp(OUTSIDE, 9).totalLength(0).build(), DropReason.IP_HEADER);
        rig.isDropped(guest.udp(OUTSIDE, 9).badIpChecksum().build(), DropReason.CHECKSUM);
        rig.isDropped(guest.udp(OUTSIDE, 9).ttl(0).build(), DropReason.TTL);
        rig.isDropped(guest.udp(OUTSIDE, 9).ipOptions(7, 0, 4, 0).build(), DropReason.IP_HEADER);
        rig.isDropped(guest.udp(OUTSIDE, 9).ipOptions(7, 40, 4, 0).build(), DropReason.IP_HEADER);
        rig.isDropped(guest.udp(OUTSIDE, 9).ipOptions(131, 7, 4, 1, 2, 3, 4).build(), DropReason.SOURCE_ROUTE);
        rig.isDropped(guest.udp(OUTSIDE, 9).ipOptions(1, 137, 7, 4, 1, 2, 3, 4).build(), DropReason.SOURCE_ROUTE);
    }

    @Test
    void paddingIsIgnoredAndNeverForwarded() {
        rig.input(PacketBuilder.pad(guest.udp(OUTSIDE, 9).payload("abc").build(), 15, 0x5A));
        assertThat(rig.host.datagrams.getFirst().sent.getFirst().payload()).isEqualTo("abc".getBytes());
        rig.input(PacketBuilder.pad(guest.icmp(GATEWAY).payload("abc").build(), 15, 0x5A));
        assertThat(rig.sent.only()).isIcmp().hasPayload("abc");
    }

    @Test
    void recordRouteAndTimestampOptionsAreSteppedOver() {
        rig.input(guest.icmp(GATEWAY)
                .ipOptions(7, 11, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0)
                .payload("abc")
                .build());
        assertThat(rig.sent.only()).isIcmp().hasPayload("abc");
        rig.input(guest.udp(OUTSIDE, 9)
                .ipOptions(68, 12, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0)
                .payload("abc")
                .build());
        assertThat(rig.host.datagrams.getFirst().sent).hasSize(1);
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "0.0.0.0",
                "127.0.0.1",
                "255.255.255.255",
                "224.0.0.1",
                "240.0.0.1",
                "8.8.8.8",
                "192.168.65.0",
                "192.168.65.255",
                "169.254.1.1"
            })
    void martianSources(String source) {
        rig.isDropped(guest.udp(OUTSIDE, 9).source(source).build(), DropReason.MARTIAN);
        rig.isDropped(guest.tcp(OUTSIDE, 9).source(source).flags(SYN).build(), DropReason.MARTIAN);
        rig.isDropped(guest.icmp(GATEWAY).source(source).build(), DropReason.MARTIAN);
    }

    @ParameterizedTest
    @ValueSource(strings = {GATEWAY, HOST})
    void ourOwnAddressesAsSource(String source) {
        rig.isDropped(guest.udp(OUTSIDE, 9).source(source).build(), DropReason.SPOOF);
    }

    @ParameterizedTest
    @CsvSource({"240.0.0.1", "255.255.255.254", "224.0.0.251", "239.255.255.250", "127.0.0.1", "0.0.0.1", "192.168.65.0"
    })
    void destinationsThatNobodyHas(String destination) {
        rig.isDropped(guest.udp(destination, 9).build(), DropReason.DESTINATION);
        rig.isDropped(guest.tcp(destination, 9).flags(SYN).build(), DropReason.DESTINATION);
        rig.isDropped(guest.icmp(destination).build(), DropReason.DESTINATION);
    }

    @Test
    void neighboursThatAreNotThereAreUnreachable() {
        MemorySegment frame = guest.udp("192.168.65.77", 9).payload("x").build();
        List<SentFrame> said = rig.isAnswered(frame, DropReason.DESTINATION, 1);
        assertThat(said.getFirst()).isIcmp().from(GATEWAY).hasType(3, 1).isAbout(frame);
        rig.isDropped(
                guest.icmp("192.168.65.77").type(3, 1).payload(new byte[28]).build(), DropReason.DESTINATION);
    }

    @ParameterizedTest
    @ValueSource(ints = {4, 41, 47, 50, 2, 132, 255, 0})
    void otherProtocols(int protocol) {
        MemorySegment frame =
                guest.ipv4(OUTSIDE, protocol).payload(new byte[40]).build();
        List<SentFrame> said = rig.isAnswered(frame, DropReason.PROTOCOL, 1);
        assertThat(said.getFirst()).isIcmp().hasType(3, 2).isAbout(frame);
        for (int i = 0; i < 100; i++) {
            rig.input(frame);
        }
        assertThat(rig.sent.take()).as("at most once a second").isEmpty();
    }

    @Test
    void transportHeadersThatCannotBe() {
        rig.isDropped(guest.tcp(OUTSIDE, 80).flags(SYN).dataOffset(4).build(), DropReason.TCP_HEADER);
        rig.isDropped(guest.tcp(OUTSIDE, 80).flags(SYN).dataOffset(15).build(), DropReason.TCP_HEADER);
        rig.isDropped(guest.tcp(OUTSIDE, 80).flags(SYN).rawOptions(3, 0, 0, 0).build(), DropReason.TCP_OPTIONS);
        rig.isDropped(guest.tcp(OUTSIDE, 80).flags(SYN).badChecksum().build(), DropReason.CHECKSUM);
        rig.isDropped(guest.ipv4(OUTSIDE, 6).payload(new byte[19]).build(), DropReason.TCP_HEADER);
        rig.isDropped(guest.udp(OUTSIDE, 9).length(7).build(), DropReason.UDP);
        rig.isDropped(guest.udp(OUTSIDE, 9).length(9).build(), DropReason.UDP);
        rig.isDropped(guest.udp(OUTSIDE, 9).badChecksum().payload("x").build(), DropReason.CHECKSUM);
        rig.isDropped(guest.udp(OUTSIDE, 0).payload("x").build(), DropReason.UDP);
        rig.isDropped(guest.ipv4(OUTSIDE, 17).payload(new byte[7]).build(), DropReason.UDP);
        rig.isDropped(guest.ipv4(GATEWAY, 1).payload(new byte[7]).build(), DropReason.ICMP);
        rig.isDropped(guest.icmp(GATEWAY).badChecksum().build(), DropReason.CHECKSUM);
    }

    @Test
    void verifiedChecksumsAreNotLookedAt() {
        MemorySegment frame = guest.udp(OUTSIDE, 9).badChecksum().payload("x").build();
        rig.stack.input(PacketBuilder.frame(frame).checksumVerified(), rig.now);
        rig.stack.input(PacketBuilder.frame(frame).checksumPartial(34, 6), rig.now);
        assertThat(rig.host.datagrams.getFirst().sent).hasSize(2);
    }
}
