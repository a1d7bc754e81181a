package dev.slipway.stack;

import static dev.slipway.stack.Ipv6Packets.GATEWAY;
import static dev.slipway.stack.Ipv6Packets.GUEST;
import static dev.slipway.stack.Ipv6Packets.HOST;
import static dev.slipway.stack.Ipv6Packets.ICMP;
import static dev.slipway.stack.Ipv6Packets.LINK_LOCAL;
import static dev.slipway.stack.Ipv6Packets.OUTSIDE;
import static dev.slipway.stack.Ipv6Packets.UDP;
import static dev.slipway.stack.Ipv6Packets.checked;
import static dev.slipway.stack.Ipv6Packets.datagram;
import static dev.slipway.stack.Ipv6Packets.ip;
import static dev.slipway.stack.Ipv6Packets.packet;
import static dev.slipway.stack.Ipv6Packets.read;
import static org.assertj.core.api.Assertions.assertThat;

import dev.slipway.seam.HostDatagrams.Verdict;
import dev.slipway.seam.IcmpError;
import dev.slipway.seam.Ipv6Settings;
import dev.slipway.seam.ServiceRelay;
import dev.slipway.seam.StackSettings;
import dev.slipway.seam.UdpNat;
import dev.slipway.stack.StackRig.FakeHost.Datagrams;
import dev.slipway.testing.SentFrame;
import dev.slipway.udp.UdpTable;
import dev.slipway.wire.DropReason;
import dev.slipway.wire.EthernetFrame;
import dev.slipway.wire.Icmpv6Packet;
import dev.slipway.wire.IpAddress;
import dev.slipway.wire.TcpSegment;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.pcap4j.packet.IpV6Packet;
import org.pcap4j.packet.UdpPacket;

/** UDP flows of a guest over IPv6: the rules of those over IPv4, by sockets of their own. */
class StackUdpIpv6Test {

    private static final String ROUTER = "2001:db8:9::1";

    private final StackSettings settings = StackSettings.defaults().withIpv6(Ipv6Settings.DEFAULTS);
    private StackRig rig = new StackRig(settings);

    private MemorySegment sent(String to, int from, int port, String payload) {
        return frame(packet(GUEST, to, 64, UDP, datagram(from, port, payload.getBytes())));
    }

    private MemorySegment frame(byte[] packet) {
        return rig.guest.ethernet(settings.gatewayMac(), EthernetFrame.TYPE_IPV6, packet);
    }

    private Datagrams flow() {
        return rig.host.datagrams.getFirst();
    }

    @Test
    void oneSocketPerPortOfTheGuestWhomeverItSendsTo() {
        rig.input(sent(OUTSIDE, 5_000, 9, "a"), sent("2001:db8::8", 5_000, 10, "b"), sent(HOST, 5_000, 11, "c"));
        assertThat(rig.host.datagrams).hasSize(1);
        assertThat(flow().preferredPort).isEqualTo(5_000);
        assertThat(flow().ipv6).isTrue();
        assertThat(flow().sent)
                .extracting(sent -> sent.destination() + "." + sent.port() + new String(sent.payload()) + " "
                        + sent.hopLimit() + sent.dontFragment())
                .as("own addresses are no hop away; what came whole may not be cut")
                .containsExactly(OUTSIDE + ".9a 63true", "2001:db8::8.10b 63true", HOST + ".11c 64true");
        assertThat(flow().flushes).as("once per turn").isEqualTo(1);
        rig.input(sent(OUTSIDE, 5_001, 9, "d"));
        assertThat(rig.host.datagrams).hasSize(2);
    }

    @Test
    void portOfBothFamiliesIsTwoFlows() {
        rig.input(
                rig.guest.udp(StackRig.OUTSIDE, 9).port(5_000).payload("four").build(),
                sent(OUTSIDE, 5_000, 9, "six"),
                rig.guest.udp(StackRig.OUTSIDE, 9).port(5_000).payload("four").build(),
                sent(OUTSIDE, 5_000, 9, "six"));
        assertThat(rig.host.datagrams).extracting(flow -> flow.ipv6).containsExactly(false, true);
        assertThat(rig.host.datagrams).allSatisfy(flow -> assertThat(flow.sent).hasSize(2));
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 1, 1_452})
    void anyoneMayAnswer(int size) {
        rig.input(sent(OUTSIDE, 5_000, 9, "a"));
        flow().receive("2001:db8::99", 1_234, FragmentsTest.pattern(size, size));
        SentFrame answer = rig.sent.next();
        byte[] payload = checked(answer, UDP);
        assertThat(Arrays.copyOfRange(payload, 8, payload.length)).isEqualTo(FragmentsTest.pattern(size, size));
        UdpPacket.UdpHeader header = read(answer).get(UdpPacket.class).getHeader();
        assertThat(header.getSrcPort().valueAsInt()).isEqualTo(1_234);
        assertThat(header.getDstPort().valueAsInt()).isEqualTo(5_000);
        IpV6Packet.IpV6Header ip = read(answer).get(IpV6Packet.class).getHeader();
        assertThat(IpAddress.ofBytes(ip.getSrcAddr().getAddress())).isEqualTo(ip("2001:db8::99"));
        assertThat(IpAddress.ofBytes(ip.getDstAddr().getAddress())).isEqualTo(ip(GUEST));
    }

    @ParameterizedTest
    @ValueSource(ints = {1_453, 9_000, 65_507, 65_527})
    void largeDatagramsOfTheHostsComeInFragments(int size) {
        rig.input(sent(OUTSIDE, 5_000, 9, "a"));
        byte[] payload = FragmentsTest.pattern(size, size);
        flow().receive(OUTSIDE, 9, payload);
        byte[] whole = new byte[8 + size];
        int at = 0;
        List<SentFrame> frames = rig.sent.take();
        for (SentFrame frame : frames) {
            byte[] bytes = frame.bytes();
            assertThat(bytes.length).isLessThanOrEqualTo(1_514);
            assertThat(bytes[20]).as("next header").isEqualTo((byte) 44);
            assertThat(bytes[54]).as("what is in pieces").isEqualTo((byte) UDP);
            int field = (bytes[56] & 0xFF) << 8 | bytes[57] & 0xFF;
            assertThat(field).isEqualTo(at | (frame == frames.getLast() ? 0 : 1));
            System.arraycopy(bytes, 62, whole, at, bytes.length - 62);
            at += bytes.length - 62;
        }
        assertThat(at).isEqualTo(8 + size);
        assertThat(Arrays.copyOfRange(whole, 8, at)).isEqualTo(payload);
        byte[] packet = packet(OUTSIDE, GUEST, 64, UDP, datagram(9, 5_000, payload));
        assertThat(Arrays.copyOf(whole, 8))
                .as("header, with the checksum")
                .isEqualTo(Arrays.copyOfRange(packet, 40, 48));
    }

    @Test
    void strangerMayNotAnswerASymmetricFlow() {
        rig = new StackRig(settings.withUdpNat(UdpNat.SYMMETRIC));
        rig.input(sent(OUTSIDE, 5_000, 9, "a"), sent(OUTSIDE, 5_000, 10, "b"));
        assertThat(rig.host.datagrams).hasSize(2);
        flow().receive("2001:db8::99", 9, new byte[1]);
        flow().receive(OUTSIDE, 10, new byte[1]);
        assertThat(rig.sent.take()).isEmpty();
        assertThat(rig.drops.get(DropReason.UDP_STRANGER)).isEqualTo(2);
        flow().receive(OUTSIDE, 9, new byte[1]);
        assertThat(rig.sent.take()).hasSize(1);
    }

    @ParameterizedTest
    @CsvSource({"HOST_UNREACHABLE,3", "NETWORK_UNREACHABLE,0", "PROHIBITED,1", "PORT_UNREACHABLE,4"})
    void whereTheHostCannotSendIsUnreachable(Verdict verdict, int code) {
        rig.host.verdict = verdict;
        rig.input(sent(OUTSIDE, 5_000, 9, "abcd"));
        isError(Icmpv6Packet.UNREACHABLE, code, 0, GATEWAY, "abcd");
        assertThat(rig.drops.get(DropReason.UDP_HOST)).isEqualTo(1);
    }

    @Test
    void whatExceedsTheWayIsSaidToBeTooBig() {
        rig.host.verdict = Verdict.TOO_BIG;
        rig.host.pathMtu = 1_280;
        rig.input(sent(OUTSIDE, 5_000, 9, "abcd"));
        isError(Icmpv6Packet.PACKET_TOO_BIG, 0, 1_280, GATEWAY, "abcd");
    }

    @Test
    void whatTheNetworkSaysReachesTheGuestAboutItsOwnDatagram() {
        rig.input(sent(OUTSIDE, 5_000, 9, "abcd"));
        MemorySegment quoted = MemorySegment.ofArray("abcd".getBytes());
        IcmpError error = new IcmpError(ip(ROUTER), Icmpv6Packet.TIME_EXCEEDED, 0, 0);
        flow().listener.failed(ip(OUTSIDE), 9, error, quoted, 0, 4);
        isError(Icmpv6Packet.TIME_EXCEEDED, 0, 0, ROUTER, "abcd");
    }

    /** The one packet sent is an error about the datagram from port 5,000 to OUTSIDE, port 9, whole. */
    private void isError(int type, int code, int rest, String from, String payload) {
        SentFrame sent = rig.sent.only();
        byte[] error = checked(sent, ICMP);
        assertThat(error[0]).isEqualTo((byte) type);
        assertThat(error[1]).isEqualTo((byte) code);
        assertThat(error[6] << 8 | error[7] & 0xFF).isEqualTo(rest);
        IpV6Packet.IpV6Header ip = read(sent).get(IpV6Packet.class).getHeader();
        assertThat(IpAddress.ofBytes(ip.getSrcAddr().getAddress())).isEqualTo(ip(from));
        int hops = error[15] & 0xFF;
        byte[] packet = packet(GUEST, OUTSIDE, hops, UDP, datagram(5_000, 9, payload.getBytes()));
        assertThat(Arrays.copyOfRange(error, 8, error.length)).isEqualTo(packet);
    }

    private MemorySegment toGroup(String from, String group, int port, int hops) {
        byte[] packet = packet(from, group, hops, UDP, datagram(5_353, port, "who?".getBytes()));
        return rig.guest.ethernet(0x3333_0000_00FBL, EthernetFrame.TYPE_IPV6, packet);
    }

    @ParameterizedTest
    @CsvSource({
        "MDNS, ff02::fb, 5353",
        "SSDP, ff02::c, 1900",
        "SSDP, ff05::c, 1900",
    })
    void groupsAreTheGuestsOwnMatterUnlessTheirServicesMayBeLookedFor(ServiceRelay relay, String group, int port) {
        rig.input(toGroup(GUEST, group, port, 255));
        assertThat(rig.host.opened()).isZero();
        assertThat(rig.drops.get(DropReason.DESTINATION)).isEqualTo(1);

        rig = new StackRig(settings.withRelays(EnumSet.of(relay)));
        byte[] syn = new byte[20];
        TcpSegment.write(MemorySegment.ofArray(syn), 0, 0, 40_000, 0, port, 1, 0, TcpSegment.SYN, 65_535, 20, 20);
        syn[16] = 0;
        syn[17] = 0;
        rig.input(
                toGroup(LINK_LOCAL, group, port, 1),
                toGroup(GUEST, group, port + 1, 255),
                toGroup(GUEST, relay == ServiceRelay.MDNS ? "ff02::c" : "ff02::fb", port, 255),
                toGroup(GUEST, "ff08::c", port, 255),
                frame(packet(GUEST, group, 64, Ipv6Packets.TCP, syn)),
                frame(packet(GUEST, group, 64, 132, new byte[20])));
        assertThat(rig.drops.get(DropReason.DESTINATION)).isEqualTo(5);
        assertThat(rig.sent.take()).as("nobody is told of what was for a group").isEmpty();
        assertThat(rig.host.opened()).isEqualTo(1);
        assertThat(flow().preferredPort)
                .as("not the port of the host's own responder")
                .isZero();
        assertThat(flow().ipv6).isTrue();
        assertThat(flow().sent)
                .extracting(sent -> sent.destination() + " " + sent.port() + " " + sent.hopLimit())
                .containsExactly(ip(group) + " " + port + " 1");
        flow().receive("fe80::99", port, "me".getBytes());
        SentFrame answer = rig.sent.only();
        assertThat(new String(checked(answer, UDP), 8, 2)).isEqualTo("me");
        IpV6Packet.IpV6Header header = read(answer).get(IpV6Packet.class).getHeader();
        assertThat(IpAddress.ofBytes(header.getSrcAddr().getAddress())).isEqualTo(ip("fe80::99"));
        assertThat(IpAddress.ofBytes(header.getDstAddr().getAddress())).isEqualTo(ip(LINK_LOCAL));
    }

    @Test
    void nothingIsSaidAboutWhatWasSentToAGroup() {
        rig = new StackRig(settings.withRelays(EnumSet.of(ServiceRelay.MDNS)));
        rig.host.verdict = Verdict.NETWORK_UNREACHABLE;
        rig.input(toGroup(GUEST, "ff02::fb", 5_353, 255));
        assertThat(rig.drops.get(DropReason.UDP_HOST)).isEqualTo(1);
        byte[] odd = packet(
                GUEST,
                "ff02::fb",
                255,
                UDP,
                new byte[9],
                (byte) 44,
                (byte) UDP,
                (byte) 0,
                (byte) 0,
                (byte) 1,
                (byte) 0,
                (byte) 0,
                (byte) 0,
                (byte) 9);
        rig.input(frame(odd));
        assertThat(rig.drops.get(DropReason.FRAGMENT)).isEqualTo(1);
        assertThat(rig.sent.frames()).isEmpty();
    }

    /** A question in pieces is one, and nothing else is hidden in them. */
    @Test
    void questionToAGroupMayComeInFragments() {
        rig = new StackRig(settings.withRelays(EnumSet.of(ServiceRelay.MDNS)));
        byte[] whole = packet(GUEST, "ff02::fb", 255, UDP, datagram(5_353, 5_353, "0123456789abcdef".getBytes()));
        byte[] body = Arrays.copyOfRange(whole, 40, whole.length);
        rig.input(
                frame(packet(GUEST, "ff02::fb", 255, UDP, piece(UDP, 0, true, Arrays.copyOf(body, 16)), (byte) 44)),
                frame(packet(
                        GUEST,
                        "ff02::fb",
                        255,
                        UDP,
                        piece(UDP, 16, false, Arrays.copyOfRange(body, 16, body.length)),
                        (byte) 44)));
        assertThat(new String(flow().sent.getFirst().payload())).isEqualTo("0123456789abcdef");
    }

    private static byte[] piece(int next, int offset, boolean more, byte[] bytes) {
        byte[] piece = new byte[8 + bytes.length];
        piece[0] = (byte) next;
        piece[2] = (byte) (offset >>> 8);
        piece[3] = (byte) (offset | (more ? 1 : 0));
        piece[7] = 1;
        System.arraycopy(bytes, 0, piece, 8, bytes.length);
        return piece;
    }

    @Test
    void portOfTheGatewaysThatNobodyListensOn() {
        rig.input(sent(GATEWAY, 5_000, 1_000, "hello"));
        byte[] error = checked(rig.sent.only(), ICMP);
        assertThat(error[0]).isEqualTo((byte) Icmpv6Packet.UNREACHABLE);
        assertThat(error[1]).isEqualTo((byte) Icmpv6Packet.CODE_PORT_UNREACHABLE);
        assertThat(rig.host.opened()).isZero();
    }

    @Test
    void flowsEndWhenIdleAndTheOldestMakesRoom() {
        rig = new StackRig(StackRig.limited(2, 1 << 20).withIpv6(Ipv6Settings.DEFAULTS));
        rig.input(sent(OUTSIDE, 5_000, 9, "a"));
        rig.input(sent(OUTSIDE, 5_001, 9, "a"));
        rig.input(sent(OUTSIDE, 5_000, 9, "a"));
        rig.input(sent(OUTSIDE, 5_002, 9, "a"));
        assertThat(rig.host.datagrams).extracting(flow -> flow.closed).containsExactly(false, true, false);
        assertThat(rig.drops.get(DropReason.UDP_FLOW_LIMIT)).isEqualTo(1);
        flow().receive(OUTSIDE, 9, new byte[1]);
        rig.stack.endTurn(rig.now);
        rig.advance(UdpTable.ONE_WAY_TIMEOUT + UdpTable.ONE_SHOT_TIMEOUT);
        assertThat(rig.host.datagrams).extracting(flow -> flow.closed).containsExactly(false, true, true);
        rig.advance(UdpTable.TIMEOUT);
        assertThat(rig.host.datagrams).allMatch(flow -> flow.closed);
        assertThat(rig.stack.udp().size()).isZero();
        rig.input(sent(OUTSIDE, 5_000, 9, "again"));
        assertThat(rig.host.datagrams.getLast().sent).hasSize(1);
    }
}
