package dev.slipway.stack;

import static dev.slipway.stack.StackRig.GATEWAY;
import static dev.slipway.stack.StackRig.HOST;
import static dev.slipway.stack.StackRig.OUTSIDE;
import static dev.slipway.stack.StackRig.SECOND;
import static dev.slipway.testing.PacketMatchers.assertThat;
import static dev.slipway.wire.TcpSegment.ACK;
import static org.assertj.core.api.Assertions.assertThat;

import dev.slipway.seam.HostDatagrams.Verdict;
import dev.slipway.seam.IcmpError;
import dev.slipway.seam.ServiceRelay;
import dev.slipway.seam.StackSettings;
import dev.slipway.seam.UdpNat;
import dev.slipway.stack.StackRig.FakeHost.Datagrams;
import dev.slipway.testing.PacketBuilder;
import dev.slipway.testing.SentFrame;
import dev.slipway.udp.UdpTable;
import dev.slipway.wire.DropReason;
import dev.slipway.wire.IpAddress;
import java.lang.foreign.MemorySegment;
import java.util.EnumSet;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** UDP flows of a guest and the host sockets behind them (RFC 4787). */
class StackUdpTest {

    private final StackRig rig = new StackRig();
    private final PacketBuilder guest = rig.guest;

    private MemorySegment datagram(int port, String payload) {
        return guest.udp(OUTSIDE, 9).port(port).payload(payload).build();
    }

    private Datagrams flow() {
        return rig.host.datagrams.getFirst();
    }

    @Test
    void oneSocketPerPortOfTheGuestWhomeverItSendsTo() {
        rig.input(
                datagram(5_000, "a"),
                guest.udp("198.51.100.1", 10).port(5_000).payload("b").build(),
                guest.udp(HOST, 11).port(5_000).payload("c").build());
        assertThat(rig.host.datagrams).hasSize(1);
        assertThat(flow().preferredPort).isEqualTo(5_000);
        assertThat(flow().sent)
                .extracting(sent -> sent.destination() + ":" + sent.port() + new String(sent.payload()))
                .containsExactly(OUTSIDE + ":9a", "198.51.100.1:10b", HOST + ":11c");
        assertThat(flow().flushes).as("once per turn").isEqualTo(1);
        rig.input(datagram(5_001, "d"));
        assertThat(rig.host.datagrams).hasSize(2);
    }

    private MemorySegment toGroup(String group, int port, int ttl) {
        return guest.to(0x0100_5E00_00FBL)
                .udp(group, port)
                .port(5_353)
                .ttl(ttl)
                .payload("who?")
                .build();
    }

    @Test
    void groupsAreTheGuestsOwnMatterUnlessTheirServicesMayBeLookedFor() {
        rig.input(toGroup("224.0.0.251", 5_353, 255), toGroup("239.255.255.250", 1_900, 4));
        assertThat(rig.host.datagrams).isEmpty();
        assertThat(rig.drops.get(DropReason.DESTINATION)).isEqualTo(2);

        StackRig relaying = new StackRig(StackSettings.defaults().withRelays(EnumSet.of(ServiceRelay.MDNS)));
        relaying.input(
                toGroup("224.0.0.251", 5_353, 1),
                toGroup("224.0.0.251", 5_354, 255),
                toGroup("239.255.255.250", 1_900, 4),
                guest.to(0x0100_5E00_00FBL)
                        .tcp("224.0.0.251", 5_353)
                        .seq(1)
                        .flags(2)
                        .build());
        assertThat(relaying.drops.get(DropReason.DESTINATION)).isEqualTo(3);
        assertThat(relaying.host.datagrams).hasSize(1);
        Datagrams asked = relaying.host.datagrams.getFirst();
        assertThat(asked.preferredPort)
                .as("not the port of the host's own responder")
                .isZero();
        assertThat(asked.sent).hasSize(1);
        assertThat(asked.sent.getFirst().destination()).isEqualTo("224.0.0.251");
        asked.receive("198.51.100.99", 5_353, "me".getBytes());
        assertThat(relaying.sent.only())
                .isUdp()
                .from("198.51.100.99", 5_353)
                .to(PacketBuilder.GUEST_IP, 5_353)
                .hasPayload("me");
    }

    @Test
    void nothingIsSaidAboutWhatWasSentToAGroup() {
        StackRig relaying = new StackRig(StackSettings.defaults().withRelays(EnumSet.of(ServiceRelay.MDNS)));
        relaying.input(toGroup("224.0.0.251", 5_353, 255));
        relaying.host.verdict = Verdict.NETWORK_UNREACHABLE;
        relaying.input(toGroup("224.0.0.251", 5_353, 255));
        assertThat(relaying.drops.get(DropReason.UDP_HOST)).isEqualTo(1);
        assertThat(relaying.sent.frames()).isEmpty();
    }

    @Test
    void anyoneMayAnswer() {
        rig.input(datagram(5_000, "a"));
        flow().receive("198.51.100.99", 1_234, "hello".getBytes());
        assertThat(rig.sent.only())
                .toMac(PacketBuilder.GUEST_MAC)
                .isUdp()
                .from("198.51.100.99", 1_234)
                .to(PacketBuilder.GUEST_IP, 5_000)
                .hasPayload("hello");
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 1, 1_471, 1_472, 1_473, 9_000, 65_507})
    void datagramsOfAnySizeGoBothWays(int size) {
        byte[] payload = FragmentsTest.pattern(size, size);
        MemorySegment whole = guest.udp(OUTSIDE, 9).port(5_000).payload(payload).build();
        rig.input(size <= 1_472 ? List.of(whole) : PacketBuilder.fragments(whole, 1_480));
        assertThat(flow().sent).hasSize(1);
        assertThat(flow().sent.getFirst().payload()).isEqualTo(payload);
        flow().receive(OUTSIDE, 9, payload);
        byte[] got = new byte[size + 8];
        List<SentFrame> frames = rig.sent.take();
        int at = 0;
        for (SentFrame frame : frames) {
            assertThat(frame.length()).isLessThanOrEqualTo(1_514);
            if (frames.size() > 1) {
                assertThat(frame).isFragment(at, frame != frames.getLast());
            }
            System.arraycopy(frame.bytes(), 34, got, at, frame.length() - 34);
            at += frame.length() - 34;
        }
        assertThat(at).isEqualTo(size + 8);
        assertThat(java.util.Arrays.copyOfRange(got, 8, at)).isEqualTo(payload);
        if (frames.size() == 1) {
            assertThat(frames.getFirst()).isUdp().hasPayload(payload);
        }
    }

    /** What names other ports in its payload (FTP, SIP, DCC) is nothing but payload here. */
    @Test
    void payloadThatNamesAddressesAndPortsPassesAsItIsAndOpensNothing() {
        List<String> payloads = List.of(
                "PORT 192,168,65,3,31,144\r\n",
                "EPRT |1|192.168.65.3|8080|\r\n",
                "227 Entering Passive Mode (192,168,65,3,31,144)\r\n",
                "INVITE sip:a@203.0.113.7 SIP/2.0\r\nContact: <sip:b@192.168.65.3:8080>\r\n\r\n",
                "c=IN IP4 192.168.65.3\r\nm=audio 8080 RTP/AVP 0\r\n",
                "PRIVMSG a :\u0001DCC SEND f 3232252163 8080 1\u0001\r\n");
        int[] ports = {21, 5_060, 1_720, 6_667};
        for (int port : ports) {
            for (String payload : payloads) {
                rig.input(guest.udp(OUTSIDE, port).port(5_000).payload(payload).build());
            }
        }
        assertThat(rig.host.opened()).as("sockets of the host").isEqualTo(1);
        assertThat(flow().sent).hasSize(ports.length * payloads.size());
        for (int i = 0; i < flow().sent.size(); i++) {
            assertThat(new String(flow().sent.get(i).payload())).isEqualTo(payloads.get(i % payloads.size()));
        }
        long acknowledged = rig.connect(40_000) + 1;
        long sequence = 101;
        for (String payload : payloads) {
            rig.input(guest.tcp(OUTSIDE, 80)
                    .port(40_000)
                    .seq(sequence)
                    .ack(acknowledged)
                    .flags(ACK)
                    .payload(payload)
                    .build());
            sequence += payload.length();
        }
        assertThat(rig.host.opened()).as("the two that the guest opened").isEqualTo(2);
        assertThat(rig.drops.total()).isZero();
    }

    @Test
    void aDatagramWithoutChecksumIsTaken() {
        rig.input(guest.udp(OUTSIDE, 9).noChecksum().payload("x").build());
        assertThat(flow().sent).hasSize(1);
    }

    @Test
    void aPortOfTheGatewaysThatNobodyListensOn() {
        MemorySegment frame = guest.udp(GATEWAY, 1_000).payload("hello there").build();
        List<SentFrame> said = rig.isAnswered(frame, DropReason.DESTINATION, 1);
        assertThat(said.getFirst()).isIcmp().from(GATEWAY).hasType(3, 3).isAbout(frame);
    }

    @ParameterizedTest
    @CsvSource({"HOST_UNREACHABLE,1", "NETWORK_UNREACHABLE,0", "PROHIBITED,13"})
    void whereTheHostCannotSendIsUnreachable(Verdict verdict, int code) {
        rig.host.verdict = verdict;
        rig.input(datagram(5_000, "abcd"));
        byte[] quoted = assertThat(rig.sent.only())
                .isIcmp()
                .from(GATEWAY)
                .hasType(3, code)
                .payload();
        byte[] packet = PacketBuilder.bytes(datagram(5_000, "abcd"));
        assertThat(java.util.Arrays.copyOfRange(quoted, 12, 26))
                .isEqualTo(java.util.Arrays.copyOfRange(packet, 26, 40));
        assertThat(quoted[3]).as("total length").isEqualTo((byte) 32);
        assertThat(rig.drops.get(DropReason.UDP_HOST)).isEqualTo(1);
    }

    @ParameterizedTest
    @EnumSource(names = {"LOST", "TOO_BIG"})
    void whatTheHostLosesIsCounted(Verdict verdict) {
        rig.host.verdict = verdict;
        rig.input(datagram(5_000, "a"));
        assertThat(rig.sent.frames()).isEmpty();
        assertThat(rig.drops.get(DropReason.UDP_HOST)).isEqualTo(1);
        rig.serves();
    }

    /** What the network says reaches the guest as it was, about its own datagram. */
    @ParameterizedTest
    @CsvSource({
        "203.0.113.7,3,3,0",
        "198.51.100.9,3,1,0",
        "198.51.100.9,3,13,0",
        "198.51.100.9,11,0,0",
        "198.51.100.9,3,4,1280"
    })
    void whatTheNetworkSaysIsPassedOn(String reporter, int type, int code, int mtu) {
        MemorySegment frame = datagram(5_000, "a probe");
        rig.input(frame);
        byte[] payload = "a probe".getBytes(java.nio.charset.StandardCharsets.US_ASCII);
        flow().listener
                .failed(
                        IpAddress.ofV4(IpAddress.parseV4(OUTSIDE)),
                        9,
                        new IcmpError(IpAddress.ofV4(IpAddress.parseV4(reporter)), type, code, mtu),
                        MemorySegment.ofArray(payload),
                        0,
                        payload.length);
        SentFrame said = rig.sent.only();
        byte[] quoted =
                assertThat(said).isIcmp().from(reporter).hasType(type, code).payload();
        byte[] packet = PacketBuilder.bytes(frame);
        assertThat(java.util.Arrays.copyOfRange(quoted, 12, quoted.length))
                .as("addresses, UDP header with its checksum, and payload")
                .isEqualTo(java.util.Arrays.copyOfRange(packet, 26, packet.length));
        assertThat((said.bytes()[40] & 0xFF) << 8 | said.bytes()[41] & 0xFF)
                .as("next-hop MTU (RFC 1191, section 4)")
                .isEqualTo(mtu);
    }

    @Test
    void anErrorThatQuotesNothingIsAboutTheLastDatagram() {
        rig.input(datagram(5_000, "a probe"));
        IpAddress outside = IpAddress.ofV4(IpAddress.parseV4(OUTSIDE));
        flow().listener.failed(outside, 9, new IcmpError(outside, 3, 3, 0), MemorySegment.ofArray(new byte[0]), 0, 0);
        byte[] quoted = assertThat(rig.sent.only()).isIcmp().hasType(3, 3).payload();
        assertThat(quoted).hasSize(28);
        assertThat((quoted[20] & 0xFF) << 8 | quoted[21] & 0xFF).isEqualTo(5_000);
        assertThat(quoted[23]).isEqualTo((byte) 9);
        assertThat(quoted[25]).as("UDP length").isEqualTo((byte) 15);
    }

    @Test
    void aDatagramThatIsTooBigForTheWayIsToldTheMtu() {
        rig.host.verdict = Verdict.TOO_BIG;
        rig.host.pathMtu = 1_280;
        byte[] payload = FragmentsTest.pattern(1_400, 1_400);
        rig.input(guest.udp(OUTSIDE, 9).port(5_000).payload(payload).build());
        SentFrame said = rig.sent.only();
        assertThat(said).isIcmp().from(GATEWAY).hasType(3, 4);
        assertThat((said.bytes()[40] & 0xFF) << 8 | said.bytes()[41] & 0xFF).isEqualTo(1_280);
        assertThat(said.length()).as("RFC 1812: 576 bytes at most").isLessThanOrEqualTo(14 + 576);
    }

    @Test
    void timeToLiveAndFragmentationAreCarried() {
        rig.input(guest.udp(OUTSIDE, 9).ttl(7).payload("x").build());
        assertThat(flow().sent.getLast().hopLimit()).isEqualTo(6);
        assertThat(flow().sent.getLast().dontFragment()).isFalse();
        MemorySegment unfragmented =
                guest.udp(OUTSIDE, 9).fragmentField(0x4000).payload("x").build();
        rig.input(unfragmented);
        assertThat(flow().sent.getLast().dontFragment()).isTrue();
        MemorySegment whole =
                guest.udp(OUTSIDE, 9).ttl(255).payload(new byte[3_000]).build();
        rig.input(PacketBuilder.fragments(whole, 1_480));
        assertThat(flow().sent.getLast().hopLimit()).isEqualTo(254);
        assertThat(flow().sent.getLast().dontFragment()).isFalse();
    }

    @Test
    void theFlowIdleLongestMakesRoom() {
        StackRig small = new StackRig(StackRig.limited(3, 1 << 20));
        for (int port : new int[] {1, 2, 3, 1, 4, 5}) {
            small.input(datagram(port, "a"));
            small.advance(SECOND / 10);
        }
        assertThat(small.stack.udp().size()).isEqualTo(3);
        assertThat(small.drops.get(DropReason.UDP_FLOW_LIMIT)).isEqualTo(2);
        assertThat(small.host.datagrams)
                .extracting(flow -> flow.preferredPort + (flow.closed ? " closed" : ""))
                .containsExactly("1", "2 closed", "3 closed", "4", "5");
    }

    @Test
    void aFloodOfPortsInOneTurnIsSurvived() {
        StackRig small = new StackRig(StackRig.limited(10, 1 << 20));
        MemorySegment[] flood = new MemorySegment[1_000];
        for (int i = 0; i < flood.length; i++) {
            flood[i] = datagram(1 + i, "a");
        }
        small.input(flood);
        assertThat(small.stack.udp().size()).isEqualTo(10);
        assertThat(small.host.datagrams.stream().filter(flow -> !flow.closed)).hasSize(10);
        small.serves();
    }

    @Test
    void aHostWithoutSocketsIsCounted() {
        rig.host.exhausted = true;
        rig.isDropped(datagram(1, "a"), DropReason.UDP_FLOW_LIMIT);
        rig.host.exhausted = false;
        rig.input(datagram(1, "a"));
        assertThat(flow().sent).hasSize(1);
    }

    @Test
    void questionsWithoutAnswerGoAfterHalfAMinuteOthersAfterThree() {
        rig.input(datagram(1, "a"), datagram(2, "b"));
        rig.host.datagrams.get(1).receive(OUTSIDE, 9, new byte[1]);
        rig.stack.endTurn(rig.now);
        rig.advance(UdpTable.ONE_WAY_TIMEOUT - SECOND);
        assertThat(rig.stack.udp().size()).isEqualTo(2);
        rig.advance(12 * SECOND);
        assertThat(rig.stack.udp().size()).isEqualTo(1);
        assertThat(flow().closed).isTrue();
        rig.advance(UdpTable.TIMEOUT - UdpTable.ONE_WAY_TIMEOUT - 12 * SECOND);
        assertThat(rig.stack.udp().size()).isEqualTo(1);
        rig.advance(12 * SECOND);
        assertThat(rig.stack.udp().size()).isZero();
        assertThat(rig.stack.nextDeadline()).isEqualTo(Long.MAX_VALUE);
        rig.input(datagram(1, "again"));
        assertThat(rig.host.datagrams).hasSize(3);
    }

    /** A name or time server is asked once from a port; the port need not outlive the answer by much. */
    @ParameterizedTest
    @ValueSource(ints = {53, 123})
    void questionsOfOneDatagramGoSoonAfterTheirAnswer(int port) {
        rig.input(guest.udp(OUTSIDE, port).port(5_000).payload("?").build());
        rig.advance(UdpTable.ONE_SHOT_TIMEOUT + 6 * SECOND);
        assertThat(flow().closed).as("a slow answer may still come").isFalse();
        flow().receive(OUTSIDE, port, new byte[1]);
        rig.stack.endTurn(rig.now);
        rig.advance(UdpTable.ONE_SHOT_TIMEOUT - SECOND);
        assertThat(flow().closed).isFalse();
        rig.advance(6 * SECOND);
        assertThat(flow().closed).isTrue();
        assertThat(rig.stack.nextDeadline()).isEqualTo(Long.MAX_VALUE);
    }

    @Test
    void aPortThatAlsoTalksToOthersIsKept() {
        rig.input(
                guest.udp(OUTSIDE, 53).port(5_000).payload("?").build(),
                guest.udp(OUTSIDE, 4_500).port(5_000).payload("hello").build());
        flow().receive(OUTSIDE, 53, new byte[1]);
        rig.stack.endTurn(rig.now);
        rig.advance(UdpTable.TIMEOUT - SECOND);
        assertThat(flow().closed).isFalse();
    }

    @Test
    void fullConeIsOneSocketForAllAndAnyoneMayAnswer() {
        rig.input(guest.udp(OUTSIDE, 9).port(5_000).payload("a").build());
        rig.input(guest.udp("198.51.100.9", 10).port(5_000).payload("b").build());
        assertThat(rig.host.datagrams).hasSize(1);
        flow().receive("192.0.2.99", 4_242, new byte[3]);
        assertThat(rig.sent.only()).isUdp().from("192.0.2.99", 4_242).to(PacketBuilder.GUEST_IP, 5_000);
    }

    @Test
    void symmetricIsASocketForEachDestinationWhichAloneMayAnswer() {
        StackRig symmetric = new StackRig(StackSettings.defaults().withUdpNat(UdpNat.SYMMETRIC));
        symmetric.input(
                guest.udp(OUTSIDE, 9).port(5_000).payload("a").build(),
                guest.udp(OUTSIDE, 10).port(5_000).payload("b").build(),
                guest.udp("198.51.100.9", 9).port(5_000).payload("c").build(),
                guest.udp(OUTSIDE, 9).port(5_000).payload("d").build());
        assertThat(symmetric.host.datagrams)
                .extracting(flow -> flow.sent.size())
                .containsExactly(2, 1, 1);
        StackRig.FakeHost.Datagrams first = symmetric.host.datagrams.getFirst();
        first.receive(OUTSIDE, 10, new byte[1]);
        first.receive("198.51.100.9", 9, new byte[1]);
        assertThat(symmetric.sent.frames()).isEmpty();
        assertThat(symmetric.drops.get(DropReason.UDP_STRANGER)).isEqualTo(2);
        first.receive(OUTSIDE, 9, new byte[1]);
        assertThat(symmetric.sent.only()).isUdp().from(OUTSIDE, 9).to(PacketBuilder.GUEST_IP, 5_000);
    }

    @Test
    void eitherDirectionKeepsAFlow() {
        rig.input(datagram(1, "a"), datagram(2, "a"));
        for (int i = 0; i < 60; i++) {
            rig.advance(10 * SECOND);
            rig.host.datagrams.get(0).receive(OUTSIDE, 9, new byte[1]);
            rig.stack.endTurn(rig.now);
            rig.input(datagram(2, "a"));
        }
        assertThat(rig.stack.udp().size()).isEqualTo(2);
        assertThat(rig.host.datagrams).hasSize(2);
    }

    @Test
    void aFullChannelDropsAndCounts() {
        rig.input(datagram(1, "a"));
        rig.sent.room(100);
        flow().receive(OUTSIDE, 9, new byte[1_000]);
        assertThat(rig.sent.frames()).isEmpty();
        assertThat(rig.drops.get(DropReason.GUEST_QUEUE_FULL)).isEqualTo(1);
        flow().receive(OUTSIDE, 9, new byte[10]);
        assertThat(rig.sent.only()).isUdp().hasPayloadLength(10);
    }

    @Test
    void aDefectCostsOneFlowOnly() {
        rig.input(datagram(1, "a"));
        rig.host.failSends = new IllegalStateException("on purpose");
        rig.input(datagram(2, "b"));
        assertThat(rig.stack.failures()).isEqualTo(1);
        assertThat(rig.failures).containsExactly(rig.host.failSends);
        rig.host.failSends = null;
        rig.input(datagram(1, "c"), datagram(2, "d"));
        assertThat(flow().sent).hasSize(2);
        assertThat(rig.host.datagrams).hasSize(3);
    }

    @Test
    void resetClosesEverySocket() {
        rig.input(datagram(1, "a"), datagram(2, "b"));
        rig.stack.reset();
        assertThat(rig.host.datagrams)
                .allSatisfy(flow -> assertThat(flow.closed).isTrue());
        rig.stack.endTurn(rig.now);
        rig.advance(400 * SECOND);
        rig.serves();
    }
}
