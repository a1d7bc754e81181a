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
import static dev.slipway.stack.Ipv6Packets.echo;
import static dev.slipway.stack.Ipv6Packets.ip;
import static dev.slipway.stack.Ipv6Packets.message;
import static dev.slipway.stack.Ipv6Packets.packet;
import static org.assertj.core.api.Assertions.assertThat;

import dev.slipway.seam.Ipv6Settings;
import dev.slipway.seam.StackSettings;
import dev.slipway.testing.SentFrame;
import dev.slipway.wire.DropReason;
import dev.slipway.wire.EthernetFrame;
import dev.slipway.wire.Icmpv6Packet;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * What no guest should send by IPv6, the like of {@link BadFramesTest}: dropped by name, nothing said that must not be,
 * and the guest is served on.
 */
class BadFramesIpv6Test {

    private static final int HOP_BY_HOP = 0;
    private static final int OPTIONS = 60;

    private final StackSettings settings = StackSettings.defaults().withIpv6(Ipv6Settings.DEFAULTS);
    private final StackRig rig = new StackRig(settings);

    @BeforeEach
    void guestIsUp() {
        rig.input(frame(packet(GUEST, GATEWAY, 64, ICMP, echo(1, 2, new byte[8]))));
        rig.advance(1);
        rig.sent.take();
    }

    private MemorySegment frame(byte[] packet) {
        return rig.guest.ethernet(settings.gatewayMac(), EthernetFrame.TYPE_IPV6, packet);
    }

    private MemorySegment group(byte[] packet) {
        return rig.guest.ethernet(0x3333_0000_0001L, EthernetFrame.TYPE_IPV6, packet);
    }

    private static byte[] about(int type, String target) {
        byte[] message = message(type, 24);
        System.arraycopy(ip(target).toBytes(), 0, message, 8, 16);
        return message;
    }

    @ParameterizedTest
    @ValueSource(
            strings = {"::1", "::7f00:1", "2001:db8::1", "ff02::1", "fd65::", "fd66::5", "fec0::5", "fe80:0:0:1::5"})
    void martianSources(String source) {
        rig.isDropped(frame(packet(source, GATEWAY, 64, ICMP, echo(1, 2, new byte[8]))), DropReason.MARTIAN);
    }

    /** An IPv4 address in IPv6's form is none on a link (RFC 4291, section 2.5.5). */
    @Test
    void mappedSource() {
        byte[] packet = packet(GUEST, OUTSIDE, 64, UDP, datagram(5_000, 9, new byte[4]));
        Arrays.fill(packet, 8, 18, (byte) 0);
        packet[18] = (byte) 0xFF;
        packet[19] = (byte) 0xFF;
        rig.isDropped(frame(packet), DropReason.MARTIAN);
    }

    @ParameterizedTest
    @ValueSource(strings = {GATEWAY, HOST, "fe80::1"})
    void ourOwnAddressesAsSource(String source) {
        rig.isDropped(frame(packet(source, OUTSIDE, 64, UDP, datagram(5_000, 9, new byte[4]))), DropReason.SPOOF);
    }

    @ParameterizedTest
    @ValueSource(strings = {"::", "::1", "fe80::77", "febf::1", "ff02::1", "ff05::2", "ff0e::1234"})
    void destinationsThatLeadNowhereOpenNothing(String destination) {
        rig.isDropped(
                frame(packet(GUEST, destination, 64, UDP, datagram(5_000, 9, new byte[4]))), DropReason.DESTINATION);
    }

    /** Tunnels, routing and others that nobody here takes; what they wrap is not looked at. */
    @ParameterizedTest
    @ValueSource(ints = {4, 41, 47, 50, 51, 89, 132, 135, 253, 255})
    void otherProtocols(int protocol) {
        byte[] within = packet(GUEST, OUTSIDE, 64, UDP, datagram(5_000, 9, new byte[4]));
        List<SentFrame> said =
                rig.isAnswered(frame(packet(GUEST, OUTSIDE, 64, protocol, within)), DropReason.PROTOCOL, 1);
        byte[] error = checked(said.getFirst(), ICMP);
        assertThat(error[0]).isEqualTo((byte) Icmpv6Packet.PARAMETER_PROBLEM);
        assertThat(error[1]).isEqualTo((byte) Icmpv6Packet.CODE_NEXT_HEADER);
    }

    @Test
    void optionsOfEitherKindAreSteppedOver() {
        byte[] headers = {HOP_BY_HOP, OPTIONS, 0, 1, 4, 0, 0, 0, 0, UDP, 0, 5, 2, 0, 0, 1, 0};
        rig.input(frame(packet(GUEST, OUTSIDE, 64, UDP, datagram(5_000, 9, "hello".getBytes()), headers)));
        assertThat(rig.host.datagrams.getFirst().sent.getFirst().payload()).isEqualTo("hello".getBytes());
    }

    /** Eight headers are taken; a ninth, hop-by-hop options elsewhere than in front, and "nothing follows" are not. */
    @Test
    void chainsOfHeaders() {
        byte[] eight = chain(8, OPTIONS);
        rig.input(frame(packet(GUEST, OUTSIDE, 64, UDP, datagram(5_000, 9, new byte[4]), eight)));
        assertThat(rig.host.datagrams).hasSize(1);
        byte[] datagram = datagram(5_000, 9, new byte[4]);
        rig.isDropped(frame(packet(GUEST, OUTSIDE, 64, UDP, datagram, chain(9, OPTIONS))), DropReason.IP_EXTENSIONS);
        byte[] late = {OPTIONS, HOP_BY_HOP, 0, 1, 4, 0, 0, 0, 0, UDP, 0, 1, 4, 0, 0, 0, 0};
        rig.isDropped(frame(packet(GUEST, OUTSIDE, 64, UDP, datagram, late)), DropReason.IP_EXTENSIONS);
        byte[] nothing = {OPTIONS, 59, 0, 1, 4, 0, 0, 0, 0};
        rig.isDropped(frame(packet(GUEST, OUTSIDE, 64, UDP, datagram, nothing)), DropReason.IP_EXTENSIONS);
        rig.isDropped(frame(packet(GUEST, OUTSIDE, 64, 59, datagram)), DropReason.IP_EXTENSIONS);
        byte[] long1 = new byte[1 + 8 * 65];
        long1[0] = OPTIONS;
        long1[1] = UDP;
        long1[2] = 64;
        rig.isDropped(frame(packet(GUEST, OUTSIDE, 64, UDP, datagram, long1)), DropReason.IP_EXTENSIONS);
    }

    private static byte[] chain(int count, int kind) {
        byte[] chain = new byte[1 + 8 * count];
        chain[0] = (byte) kind;
        for (int i = 0; i < count; i++) {
            chain[1 + 8 * i] = (byte) (i == count - 1 ? UDP : kind);
            chain[1 + 8 * i + 2] = 1;
            chain[1 + 8 * i + 3] = 4;
        }
        return chain;
    }

    /** However it is wrapped: in options, to all or to us alone, with any lifetime. */
    @Test
    void advertisementsOfRoutersAndRedirectsChangeNothing() {
        byte[] advertisement = message(Icmpv6Packet.ROUTER_ADVERTISEMENT, 16);
        advertisement[6] = 9;
        byte[] options = {OPTIONS, ICMP, 0, 1, 4, 0, 0, 0, 0};
        rig.isDropped(group(packet(LINK_LOCAL, "ff02::1", 255, ICMP, advertisement)), DropReason.ROGUE_RA);
        rig.isDropped(group(packet(LINK_LOCAL, "ff02::1", 255, ICMP, advertisement, options)), DropReason.ROGUE_RA);
        rig.isDropped(frame(packet(LINK_LOCAL, "fe80::1", 255, ICMP, advertisement)), DropReason.ROGUE_RA);
        byte[] redirect = message(Icmpv6Packet.REDIRECT, 40);
        rig.isDropped(frame(packet(LINK_LOCAL, GATEWAY, 255, ICMP, redirect)), DropReason.ROGUE_RA);
    }

    /** Who has no address has none of the link to tell (RFC 4861, sections 6.1.1 and 7.1.1); from afar nothing is said. */
    @Test
    void neighbourDiscoveryThatCannotBe() {
        byte[] nameless = Arrays.copyOf(about(Icmpv6Packet.NEIGHBOUR_SOLICITATION, GATEWAY), 32);
        nameless[24] = 1;
        nameless[25] = 1;
        rig.isDropped(group(packet("::", "ff02::1:ff00:1", 255, ICMP, nameless)), DropReason.NEIGHBOUR);
        byte[] router = Arrays.copyOf(message(Icmpv6Packet.ROUTER_SOLICITATION, 8), 16);
        router[8] = 1;
        router[9] = 1;
        rig.isDropped(group(packet("::", "ff02::2", 255, ICMP, router)), DropReason.NEIGHBOUR);
        rig.isDropped(
                group(packet(LINK_LOCAL, "ff02::2", 254, ICMP, message(Icmpv6Packet.ROUTER_SOLICITATION, 8))),
                DropReason.NEIGHBOUR);
        rig.isDropped(
                group(packet("::", "ff02::1:ff00:1", 255, ICMP, message(Icmpv6Packet.NEIGHBOUR_SOLICITATION, 23))),
                DropReason.NEIGHBOUR);
        byte[] code = about(Icmpv6Packet.NEIGHBOUR_SOLICITATION, GATEWAY);
        code[1] = 1;
        rig.isDropped(frame(packet(LINK_LOCAL, GATEWAY, 255, ICMP, code)), DropReason.NEIGHBOUR);
    }

    /** Lengths below the header's and above the packet's; sums that are wrong or left out; port 0. */
    @Test
    void datagramsThatCannotBe() {
        for (int length : new int[] {0, 7, 13, 0xFFFF}) {
            byte[] datagram = datagram(5_000, 9, new byte[4]);
            datagram[4] = (byte) (length >>> 8);
            datagram[5] = (byte) length;
            rig.isDropped(frame(packet(GUEST, OUTSIDE, 64, UDP, datagram)), DropReason.UDP);
        }
        rig.isDropped(frame(packet(GUEST, OUTSIDE, 64, UDP, new byte[7])), DropReason.UDP);
        byte[] sum = packet(GUEST, OUTSIDE, 64, UDP, datagram(5_000, 9, new byte[4]));
        sum[46] ^= 1;
        rig.isDropped(frame(sum), DropReason.CHECKSUM);
        rig.isDropped(frame(packet(GUEST, OUTSIDE, 64, UDP, datagram(5_000, 0, new byte[4]))), DropReason.UDP);
    }

    @ParameterizedTest
    @CsvSource({"ff02::1", "ff02::2", "ff05::2"})
    void pingsOfGroupsAreNotAnswered(String group) {
        long before = rig.drops.total();
        rig.input(group(packet(GUEST, group, 64, ICMP, echo(1, 2, new byte[8]))));
        assertThat(rig.sent.take()).isEmpty();
        assertThat(rig.host.opened()).isZero();
        assertThat(rig.drops.total()).isEqualTo(before);
        rig.serves();
    }

    /** Unreachable, too big, time exceeded, parameter problem: about what we sent, or so the guest says. */
    @ParameterizedTest
    @ValueSource(ints = {1, 2, 3, 4, 100, 127})
    void errorsOfTheGuestsChangeNothing(int type) {
        byte[] quoted = packet(OUTSIDE, GUEST, 64, UDP, datagram(9, 5_000, new byte[4]));
        byte[] error = Arrays.copyOf(message(type, 8), 8 + quoted.length);
        System.arraycopy(quoted, 0, error, 8, quoted.length);
        rig.isDropped(frame(packet(GUEST, GATEWAY, 64, ICMP, error)), DropReason.ICMP);
    }

    /** No error is told about an error or a redirect (RFC 4443, section 2.4 e): two of them would never end. */
    @ParameterizedTest
    @ValueSource(ints = {1, 2, 3, 4, 127, 137})
    void nothingIsSaidAboutErrors(int type) {
        rig.isDropped(frame(packet(GUEST, OUTSIDE, 1, ICMP, message(type, 48))), DropReason.TTL);
        rig.isDropped(frame(packet(GUEST, "fd65::77", 64, ICMP, message(type, 48))), DropReason.DESTINATION);
    }

    @Test
    void errorsAreRateLimited() {
        for (int i = 0; i < 10_000; i++) {
            rig.input(frame(packet(GUEST, OUTSIDE, 1, UDP, datagram(5_000, 9, new byte[4]))));
        }
        assertThat(rig.sent.take()).hasSizeLessThanOrEqualTo(101);
        assertThat(rig.drops.get(DropReason.ICMP_RATE)).isGreaterThanOrEqualTo(9_899);
        rig.serves();
        rig.advance(StackRig.SECOND);
        rig.sent.take();
        rig.input(frame(packet(GUEST, OUTSIDE, 1, UDP, datagram(5_000, 9, new byte[4]))));
        assertThat(rig.sent.take()).hasSize(1);
    }

    /** The first eight bytes say too little, so nothing is judged by them. */
    @Test
    void tinyFragmentsAreJudgedAsAWhole() {
        byte[] whole = packet(GUEST, OUTSIDE, 64, UDP, datagram(5_000, 9, "0123456789".getBytes()));
        byte[] body = Arrays.copyOfRange(whole, 40, whole.length);
        for (int at = 0; at < body.length; at += 8) {
            int end = Math.min(body.length, at + 8);
            byte[] piece = new byte[8 + end - at];
            piece[0] = UDP;
            piece[3] = (byte) (at | (end < body.length ? 1 : 0));
            piece[7] = 5;
            System.arraycopy(body, at, piece, 8, end - at);
            rig.input(frame(packet(GUEST, OUTSIDE, 64, 44, piece)));
        }
        assertThat(rig.host.datagrams.getFirst().sent.getFirst().payload()).isEqualTo("0123456789".getBytes());
    }
}
