package dev.slipway.stack;

import static dev.slipway.stack.StackRig.GATEWAY;
import static dev.slipway.stack.StackRig.HOST;
import static dev.slipway.stack.StackRig.OUTSIDE;
import static dev.slipway.stack.StackRig.SECOND;
import static dev.slipway.testing.PacketMatchers.assertThat;
import static dev.slipway.wire.TcpSegment.SYN;
import static org.assertj.core.api.Assertions.assertThat;

import dev.slipway.testing.DnsBuilder;
import dev.slipway.testing.PacketBuilder;
import dev.slipway.testing.SentFrame;
import dev.slipway.wire.DropReason;
import dev.slipway.wire.MacAddress;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What the gateway itself does for a guest: ICMP, DHCP, DNS; and what holds for every frame it sends. */
class StackServicesTest {

    private final StackRig rig = new StackRig();
    private final PacketBuilder guest = rig.guest;

    @ParameterizedTest
    @ValueSource(strings = {GATEWAY, HOST})
    void ourAddressesAnswerPings(String address) {
        rig.input(guest.icmp(address).echo(5, 6).payload("0123456789").build());
        assertThat(rig.sent.only())
                .toMac(guest.mac())
                .isIcmp()
                .from(address)
                .to(PacketBuilder.GUEST_IP)
                .isEchoReply(5, 6)
                .hasPayload("0123456789");
    }

    /** The guest's frame may be memory that only the guest may write. */
    @Test
    void aPingLeavesTheGuestsFrameAsItWas() {
        MemorySegment frame = guest.icmp(GATEWAY).payload("0123456789").build();
        rig.input(frame.asReadOnly());
        assertThat(rig.sent.only()).isIcmp().hasType(0, 0);
        assertThat(rig.failures).isEmpty();
    }

    @Test
    void pingsThatMustNotBeAnswered() {
        rig.isDropped(guest.to(MacAddress.BROADCAST).icmp("255.255.255.255").build(), DropReason.DESTINATION);
        rig.isDropped(guest.to(MacAddress.BROADCAST).icmp("192.168.65.255").build(), DropReason.DESTINATION);
        rig.isDropped(guest.to(0x0100_5E00_0001L).icmp("224.0.0.1").build(), DropReason.DESTINATION);
        rig.isDropped(guest.icmp(GATEWAY).type(0, 0).build(), DropReason.ICMP);
    }

    @ParameterizedTest
    @ValueSource(ints = {3, 4, 5, 11, 12, 9, 13, 17, 255})
    void otherIcmpChangesNothing(int type) {
        rig.isDropped(guest.icmp(GATEWAY).type(type, 0).payload(new byte[28]).build(), DropReason.ICMP);
        rig.isDropped(guest.icmp(OUTSIDE).type(type, 1).payload(new byte[28]).build(), DropReason.ICMP);
    }

    @Test
    void aTimeToLiveOfOneEndsHere() {
        MemorySegment frame = guest.udp(OUTSIDE, 33_434).ttl(1).payload("probe").build();
        List<SentFrame> said = rig.isAnswered(frame, DropReason.TTL, 1);
        assertThat(said.getFirst()).isIcmp().from(GATEWAY).hasType(11, 0).isAbout(frame);
        rig.isAnswered(guest.tcp(OUTSIDE, 80).ttl(1).flags(SYN).build(), DropReason.TTL, 1);
        rig.isDropped(
                guest.icmp(OUTSIDE).ttl(1).type(3, 3).payload(new byte[28]).build(), DropReason.TTL);
        rig.input(guest.icmp(GATEWAY).ttl(1).build());
        assertThat(rig.sent.only()).isIcmp().hasType(0, 0);
    }

    @Test
    void errorsAreRateLimited() {
        for (int i = 0; i < 1_000; i++) {
            rig.input(guest.udp(OUTSIDE, 33_434).ttl(1).build());
        }
        assertThat(rig.sent.take()).hasSize(100);
        assertThat(rig.drops.get(DropReason.ICMP_RATE)).isEqualTo(900);
        rig.advance(SECOND / 10);
        for (int i = 0; i < 1_000; i++) {
            rig.input(guest.udp(OUTSIDE, 33_434).ttl(1).build());
        }
        assertThat(rig.sent.take()).hasSize(10);
        rig.serves();
    }

    @Test
    void aGuestGetsAnAddressAndUsesIt() {
        PacketBuilder fresh = guest.mac(0x5254_0000_0001L).address("0.0.0.0");
        rig.input(fresh.dhcp(1).build());
        assertThat(rig.sent.only())
                .isUdp()
                .from(GATEWAY, 67)
                .isDhcp()
                .hasType(2)
                .hasYiaddr(PacketBuilder.GUEST_IP);
        rig.input(
                fresh.dhcp(3).requested(PacketBuilder.GUEST_IP).server(GATEWAY).build());
        assertThat(rig.sent.only()).isUdp().isDhcp().hasType(5).hasYiaddr(PacketBuilder.GUEST_IP);
        PacketBuilder named = fresh.address(PacketBuilder.GUEST_IP);
        rig.input(named.icmp(GATEWAY).build());
        assertThat(rig.sent.only()).toMac(fresh.mac()).isIcmp();
        rig.input(guest.icmp(GATEWAY).build());
        assertThat(rig.sent.frames()).as("leased to another").isEmpty();
        assertThat(rig.drops.get(DropReason.SPOOF)).isEqualTo(1);
    }

    @Test
    void malformedDhcpIsDropped() {
        rig.isDropped(guest.dhcp(1).hardware(1, 0).build(), DropReason.DHCP);
        rig.isDropped(guest.dhcp(1).hardware(1, 17).build(), DropReason.DHCP);
        rig.isDropped(guest.dhcp(1).magic(0).build(), DropReason.DHCP);
        rig.isDropped(guest.dhcp(1).raw(12, 200, 1).withoutEnd().build(), DropReason.DHCP);
        rig.isDropped(guest.dhcp(2).operation(2).build(), DropReason.DHCP);
        rig.isDropped(guest.dhcp(2).build(), DropReason.DHCP);
    }

    @Test
    void aFloodOfDiscoversLeavesTheOwnerItsAddress() {
        rig.serves();
        for (int i = 0; i < 10_000; i++) {
            rig.input(guest.dhcp(1).chaddr(0x5254_0100_0000L + i).build());
            rig.sent.take();
        }
        rig.input(guest.dhcp(1).build());
        assertThat(rig.sent.only()).isUdp().isDhcp().hasType(2).hasYiaddr(PacketBuilder.GUEST_IP);
        rig.serves();
    }

    @Test
    void aGuestThatBootsAgainFindsItsOldFlowsGone() {
        rig.connect(1_000);
        rig.input(guest.udp(OUTSIDE, 9).build());
        rig.stack.attached();
        rig.input(guest.dhcp(1).build());
        assertThat(rig.sent.only()).isUdp().isDhcp().hasType(2);
        assertThat(rig.host.streams.getFirst().ended).isTrue();
        assertThat(rig.host.datagrams.getFirst().closed).isTrue();
        assertThat(rig.stack.tcp().size() + rig.stack.udp().size()).isZero();
        rig.connect(1_001);
        rig.input(guest.dhcp(1).build());
        rig.sent.take();
        assertThat(rig.stack.tcp().size()).as("only once").isEqualTo(1);
    }

    @Test
    void aGuestThatAsksForAnAddressLaterThanItUsesOneKeepsItsFlows() {
        rig.stack.attached();
        rig.connect(1_000);
        rig.input(guest.dhcp(1).build());
        assertThat(rig.sent.only()).isUdp().isDhcp().hasType(2);
        assertThat(rig.host.streams.getFirst().ended).isFalse();
        assertThat(rig.stack.tcp().size()).isEqualTo(1);
    }

    @Test
    void broadcastsAreForDhcpOnly() {
        rig.isDropped(
                guest.to(MacAddress.BROADCAST)
                        .udp("255.255.255.255", 137)
                        .payload("x")
                        .build(),
                DropReason.DESTINATION);
        rig.isDropped(
                guest.to(MacAddress.BROADCAST)
                        .udp("192.168.65.255", 9)
                        .payload("x")
                        .build(),
                DropReason.DESTINATION);
        rig.isDropped(
                guest.to(MacAddress.BROADCAST)
                        .tcp("192.168.65.255", 80)
                        .flags(SYN)
                        .build(),
                DropReason.DESTINATION);
        rig.isDropped(
                guest.to(MacAddress.BROADCAST)
                        .udp("255.255.255.255", 9)
                        .source("0.0.0.0")
                        .build(),
                DropReason.MARTIAN);
    }

    @Test
    void namesAreAnsweredNowOrLater() {
        rig.input(guest.dns(GATEWAY, 5_353, DnsBuilder.query("host.docker.internal", 1)));
        byte[] known = assertThat(rig.sent.only())
                .isUdp()
                .from(GATEWAY, 53)
                .to(PacketBuilder.GUEST_IP, 5_353)
                .payload();
        assertThat(known).endsWith(192, 168, 65, 254);

        rig.input(guest.dns(GATEWAY, 5_354, DnsBuilder.query("example.org", 1).id(0x77)));
        assertThat(rig.sent.frames()).isEmpty();
        boolean[] wanted = new boolean[1];
        rig.stack.whenTurnWanted(() -> wanted[0] = true);
        rig.queries
                .getFirst()
                .answered(DnsBuilder.query("example.org", 1)
                        .id(0x99)
                        .flags(0x8180)
                        .answerA(0x01020304)
                        .message());
        assertThat(wanted[0]).isTrue();
        byte[] answer = assertThat(rig.sent.only())
                .isUdp()
                .from(GATEWAY, 53)
                .to(PacketBuilder.GUEST_IP, 5_354)
                .payload();
        assertThat(answer).startsWith(0, 0x77).endsWith(1, 2, 3, 4);
    }

    /** As many wait as the limit says, from however many ports they came; names of ours are answered all the same. */
    @Test
    void queryFromEachOfTenThousandPortsIsBounded() {
        int limit = rig.settings.limits().dnsQueries();
        int ports = 10_000;
        for (int i = 0; i < ports; i++) {
            rig.input(guest.dns(GATEWAY, 20_000 + i, DnsBuilder.query("n" + i + ".example.org", 1)));
        }
        assertThat(rig.queries).hasSize(limit);
        assertThat(rig.drops.get(DropReason.DNS_LIMIT)).isEqualTo(ports - limit);
        assertThat(rig.sent.take()).hasSize(ports - limit);

        rig.input(guest.dns(GATEWAY, 5_353, DnsBuilder.query("host.docker.internal", 1)));
        assertThat(rig.sent.only()).isUdp().to(PacketBuilder.GUEST_IP, 5_353);
        rig.queries
                .getFirst()
                .answered(DnsBuilder.query("n0.example.org", 1).flags(0x8180).message());
        rig.sent.take();
        rig.input(guest.dns(GATEWAY, 5_354, DnsBuilder.query("later.example.org", 1)));
        assertThat(rig.queries).hasSize(limit + 1);
        assertThat(rig.sent.frames()).isEmpty();
    }

    @Test
    void whatIsNoQueryIsCounted() {
        rig.isDropped(guest.dns(GATEWAY, 5_353, DnsBuilder.query("x.org", 1).flags(0x8180)), DropReason.DNS);
        rig.isDropped(guest.udp(GATEWAY, 53).payload(new byte[3]).build(), DropReason.DNS);
        rig.isAnswered(guest.dns(GATEWAY, 5_353, DnsBuilder.empty()), DropReason.DNS, 1);
        rig.isAnswered(
                guest.dns(GATEWAY, 5_353, DnsBuilder.query("x.org", 1).questionCount(65_535)), DropReason.DNS, 1);
    }

    /** Each frame begins as 0xA5: none of those bytes may be seen, and the same input makes the same bytes (T2). */
    @Test
    void everyByteSentIsWrittenByUs() {
        List<byte[]> once = conversation();
        List<byte[]> again = conversation();
        assertThat(once).hasSameSizeAs(again).hasSizeGreaterThan(20);
        for (int i = 0; i < once.size(); i++) {
            assertThat(again.get(i)).isEqualTo(once.get(i));
            assertThat(leaked(once.get(i))).as("frame %d leaks", i).isFalse();
        }
    }

    private static boolean leaked(byte[] frame) {
        for (int i = 0; i + 1 < frame.length; i++) {
            if (frame[i] == (byte) 0xA5 && frame[i + 1] == (byte) 0xA5) {
                return true;
            }
        }
        return false;
    }

    private static List<byte[]> conversation() {
        StackRig rig = new StackRig();
        PacketBuilder guest = rig.guest;
        rig.input(
                guest.dhcp(1).hostName("vm").parameters(1, 3, 6, 119).build(),
                guest.dhcp(3).requested(PacketBuilder.GUEST_IP).server(GATEWAY).build());
        rig.input(guest.arpRequest(GATEWAY), guest.arpRequest(HOST));
        rig.input(guest.icmp(GATEWAY).payload(new byte[33]).build());
        rig.input(PacketBuilder.fragments(
                guest.icmp(HOST).payload(new byte[5_001]).build(), 1_480));
        rig.input(
                guest.udp(OUTSIDE, 9).ttl(1).build(),
                guest.udp(GATEWAY, 9).build(),
                guest.ipv4(OUTSIDE, 41).payload(new byte[21]).build());
        rig.input(
                guest.dns(GATEWAY, 53, DnsBuilder.query("gateway.internal", 1)),
                guest.dns(GATEWAY, 53, DnsBuilder.query("gateway.internal", 28)));
        rig.input(guest.udp(OUTSIDE, 9).build());
        rig.host.datagrams.getFirst().receive(OUTSIDE, 9, new byte[1]);
        rig.host.datagrams.getFirst().receive(OUTSIDE, 9, new byte[3_333]);
        List<byte[]> frames =
                new ArrayList<>(rig.sent.take().stream().map(SentFrame::bytes).toList());
        for (int variant = 0; variant < 4; variant++) {
            var syn =
                    guest.tcp(OUTSIDE, 80).port(100 + variant).seq(1).flags(SYN).mss(1_000);
            rig.input((variant == 0
                            ? syn
                            : variant == 1
                                    ? syn.windowScale(7)
                                    : variant == 2
                                            ? syn.sackPermitted()
                                            : syn.windowScale(2).sackPermitted())
                    .build());
            rig.host.streams.getLast().listener.connected();
            rig.stack.endTurn(rig.now);
            SentFrame synAck = rig.sent.only();
            frames.add(synAck.bytes());
            long iss = assertThat(synAck).isTcp().seq();
            rig.input(guest.tcp(OUTSIDE, 80)
                    .port(100 + variant)
                    .seq(2)
                    .ack(iss + 1)
                    .build());
            rig.input(guest.tcp(OUTSIDE, 80)
                    .port(100 + variant)
                    .seq(12)
                    .ack(iss + 1)
                    .payload("late")
                    .build());
            rig.input(guest.tcp(OUTSIDE, 80)
                    .port(100 + variant)
                    .seq(2)
                    .ack(iss + 9)
                    .payload("x")
                    .build());
            rig.host.streams.getLast().listener.reset();
            rig.stack.endTurn(rig.now);
            rig.sent.take().forEach(frame -> frames.add(frame.bytes()));
        }
        return frames;
    }

    /** Frames damaged at random: nothing is thrown, and the next good one is served. */
    @ParameterizedTest
    @ValueSource(longs = {1, 2, 3, 4})
    void damagedFramesHarmNobody(long seed) {
        Random random = new Random(seed);
        List<MemorySegment> good = List.of(
                guest.dhcp(1).build(),
                guest.arpRequest(GATEWAY),
                guest.icmp(GATEWAY).payload(new byte[50]).build(),
                guest.tcp(OUTSIDE, 80)
                        .flags(SYN)
                        .mss(1460)
                        .sackPermitted()
                        .windowScale(3)
                        .build(),
                guest.udp(OUTSIDE, 9).payload(new byte[20]).build(),
                guest.dns(GATEWAY, 99, DnsBuilder.query("a.example", 1)));
        for (int i = 0; i < 20_000; i++) {
            byte[] bytes = PacketBuilder.bytes(good.get(random.nextInt(good.size())));
            for (int flips = random.nextInt(4); flips >= 0; flips--) {
                bytes[random.nextInt(12, bytes.length)] = (byte) random.nextInt();
            }
            MemorySegment frame = PacketBuilder.segment(java.util.Arrays.copyOf(
                    bytes, random.nextInt(5) == 0 ? random.nextInt(bytes.length) : bytes.length));
            // Half of them as if the checksums had been checked, so that damage gets further in.
            if (random.nextBoolean()) {
                rig.stack.input(PacketBuilder.frame(frame).checksumVerified(), rig.now);
            } else {
                rig.stack.input(PacketBuilder.frame(frame), rig.now);
            }
            rig.stack.endTurn(rig.now);
            rig.sent.take();
            assertThat(rig.failures).as("seed %d, frame %d", seed, i).isEmpty();
        }
        rig.stack.reset();
        rig.advance(60 * SECOND);
        rig.serves();
    }
}
