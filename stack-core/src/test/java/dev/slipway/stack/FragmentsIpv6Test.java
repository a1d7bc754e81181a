package dev.slipway.stack;

import static dev.slipway.stack.Ipv6Packets.GATEWAY;
import static dev.slipway.stack.Ipv6Packets.GUEST;
import static dev.slipway.stack.Ipv6Packets.ICMP;
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
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Packets of IPv6 in pieces, whole and broken (RFC 8200, section 4.5; RFC 5722, 6946, 6980). */
class FragmentsIpv6Test {

    private static final int FRAGMENT = 44;
    private static final int DESTINATION_OPTIONS = 60;
    private static final int PIECE = 1_448;

    private final StackSettings settings = StackSettings.defaults().withIpv6(Ipv6Settings.DEFAULTS);
    private final StackRig rig = new StackRig(settings);

    private MemorySegment frame(byte[] packet) {
        return rig.guest.ethernet(settings.gatewayMac(), EthernetFrame.TYPE_IPV6, packet);
    }

    /** What a packet has behind its header, checksum included. */
    private static byte[] body(String to, int protocol, byte[] payload) {
        byte[] packet = packet(GUEST, to, 64, protocol, payload);
        return Arrays.copyOfRange(packet, 40, packet.length);
    }

    private MemorySegment fragment(String to, int id, int next, int offset, boolean more, byte[] piece) {
        byte[] payload = new byte[8 + piece.length];
        ByteBuffer.wrap(payload)
                .put((byte) next)
                .put((byte) 0)
                .putShort((short) (offset | (more ? 1 : 0)))
                .putInt(id)
                .put(piece);
        ByteBuffer packet = ByteBuffer.allocate(40 + payload.length);
        packet.putInt(6 << 28)
                .putShort((short) payload.length)
                .put((byte) FRAGMENT)
                .put((byte) 64);
        packet.put(ip(GUEST).toBytes()).put(ip(to).toBytes()).put(payload);
        return frame(packet.array());
    }

    private List<MemorySegment> fragments(String to, int id, int next, byte[] body) {
        List<MemorySegment> pieces = new ArrayList<>();
        for (int at = 0; at < body.length; at += PIECE) {
            int end = Math.min(body.length, at + PIECE);
            pieces.add(fragment(to, id, next, at, end < body.length, Arrays.copyOfRange(body, at, end)));
        }
        return pieces;
    }

    @ParameterizedTest
    @ValueSource(longs = {1, 2, 3, 4, 5, 6, 7, 8})
    void datagramsArePutTogetherInAnyOrderAndWithRepeats(long seed) {
        Random random = new Random(seed);
        byte[] payload = FragmentsTest.pattern(3_000 + random.nextInt(62_528), seed);
        List<MemorySegment> pieces = fragments(OUTSIDE, 7, UDP, body(OUTSIDE, UDP, datagram(5_000, 9, payload)));
        Collections.shuffle(pieces, random);
        pieces.add(random.nextInt(pieces.size()), pieces.getFirst());
        rig.input(pieces);
        StackRig.FakeHost.Sent sent = rig.host.datagrams.getFirst().sent.getFirst();
        assertThat(sent.payload()).as("seed %d", seed).isEqualTo(payload);
        assertThat(sent.dontFragment())
                .as("what came in pieces may be cut again")
                .isFalse();
        assertThat(rig.host.datagrams.getFirst().sent).hasSize(1);
    }

    @Test
    void datagramsInTheSameTurnDoNotMix() {
        byte[] first = FragmentsTest.pattern(5_000, 1);
        byte[] second = FragmentsTest.pattern(6_000, 2);
        List<MemorySegment> pieces = fragments(OUTSIDE, 1, UDP, body(OUTSIDE, UDP, datagram(5_000, 9, first)));
        pieces.addAll(1, fragments(OUTSIDE, 2, UDP, body(OUTSIDE, UDP, datagram(5_000, 9, second))));
        rig.input(pieces);
        List<StackRig.FakeHost.Sent> sent = rig.host.datagrams.getFirst().sent;
        assertThat(sent.get(0).payload()).isEqualTo(second);
        assertThat(sent.get(1).payload()).isEqualTo(first);
        assertThat(rig.host.datagrams.getFirst().flushes)
                .as("handed on before the memory is used again")
                .isEqualTo(2);
        assertThat(rig.stack.reassemblyBytes()).isZero();
    }

    @Test
    void pingsOfSixtyThousandBytesComeBackWhole() {
        byte[] payload = FragmentsTest.pattern(60_000, 1);
        rig.input(fragments(GATEWAY, 9, ICMP, body(GATEWAY, ICMP, echo(7, 8, payload))));
        byte[] whole = new byte[60_008];
        int at = 0;
        for (SentFrame frame : rig.sent.take()) {
            byte[] bytes = frame.bytes();
            System.arraycopy(bytes, 62, whole, at, bytes.length - 62);
            at += bytes.length - 62;
        }
        assertThat(at).isEqualTo(60_008);
        byte[] reply = echo(7, 8, payload);
        reply[0] = (byte) Icmpv6Packet.ECHO_REPLY;
        byte[] packet = packet(GATEWAY, GUEST, 64, ICMP, reply);
        assertThat(whole).isEqualTo(Arrays.copyOfRange(packet, 40, packet.length));
    }

    @Test
    void overlapsCondemnTheWholePacketSilently() {
        byte[] body = body(OUTSIDE, UDP, datagram(5_000, 9, new byte[100]));
        rig.input(fragment(OUTSIDE, 7, UDP, 0, true, Arrays.copyOf(body, 48)));
        isDropped(fragment(OUTSIDE, 7, UDP, 24, true, new byte[48]), DropReason.FRAGMENT_OVERLAP, 0);
        assertThat(rig.stack.reassemblyBytes()).isZero();
        isDropped(
                fragment(OUTSIDE, 7, UDP, 48, false, Arrays.copyOfRange(body, 48, 108)),
                DropReason.FRAGMENT_OVERLAP,
                0);
        assertThat(rig.host.datagrams).isEmpty();
    }

    private void isDropped(MemorySegment frame, DropReason reason, int answers) {
        long before = rig.drops.get(reason);
        long all = rig.drops.total();
        rig.input(frame);
        assertThat(rig.drops.get(reason) - before)
                .as("%s counted, of %s", reason, rig.drops)
                .isEqualTo(1);
        assertThat(rig.drops.total() - all).isEqualTo(1);
        assertThat(rig.sent.frames()).hasSize(answers);
        assertThat(rig.failures).isEmpty();
        rig.sent.take();
        rig.serves();
    }

    @Test
    void fragmentsThatCannotBeAreToldWhereTheyAreWrong() {
        rig.input(fragment(OUTSIDE, 7, UDP, 0, true, new byte[33]));
        byte[] error = checked(rig.sent.only(), ICMP);
        assertThat(error[0]).isEqualTo((byte) Icmpv6Packet.PARAMETER_PROBLEM);
        assertThat(error[7]).as("pointer to the length").isEqualTo((byte) 4);
        // The ping of death: the last fragment ends behind 65,535. It is no first fragment, so nothing is said.
        isDropped(fragment(OUTSIDE, 8, ICMP, 65_528, false, new byte[100]), DropReason.FRAGMENT, 0);
        isDropped(fragment(OUTSIDE, 9, UDP, 8, true, new byte[0]), DropReason.FRAGMENT, 0);
    }

    @Test
    void whatTheFirstFragmentSaysThePacketIsHolds() {
        byte[] body = body(OUTSIDE, UDP, datagram(5_000, 9, new byte[100]));
        rig.input(
                fragment(OUTSIDE, 7, ICMP, 48, false, Arrays.copyOfRange(body, 48, body.length)),
                fragment(OUTSIDE, 7, UDP, 0, true, Arrays.copyOf(body, 48)));
        assertThat(rig.host.datagrams.getFirst().sent).hasSize(1);
        assertThat(rig.host.echoes).isEmpty();
    }

    @Test
    void headersBehindTheFragmentHeaderAreSteppedOverToo() {
        byte[] body = body(OUTSIDE, UDP, datagram(5_000, 9, "hello".getBytes()));
        byte[] options = {UDP, 0, 1, 4, 0, 0, 0, 0};
        byte[] whole = new byte[8 + body.length];
        System.arraycopy(options, 0, whole, 0, 8);
        System.arraycopy(body, 0, whole, 8, body.length);
        rig.input(
                fragment(OUTSIDE, 7, DESTINATION_OPTIONS, 0, true, Arrays.copyOf(whole, 16)),
                fragment(OUTSIDE, 7, DESTINATION_OPTIONS, 16, false, Arrays.copyOfRange(whole, 16, whole.length)));
        assertThat(rig.host.datagrams.getFirst().sent.getFirst().payload()).isEqualTo("hello".getBytes());
    }

    @Test
    void fragmentsWithinFragmentsAndEndlessHeadersInThemAreDropped() {
        byte[] nested = {UDP, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0};
        rig.input(fragment(OUTSIDE, 7, FRAGMENT, 0, true, Arrays.copyOf(nested, 8)));
        isDropped(
                fragment(OUTSIDE, 7, FRAGMENT, 8, false, Arrays.copyOfRange(nested, 8, 16)),
                DropReason.IP_EXTENSIONS,
                0);
        byte[] chain = new byte[8 * 9];
        for (int i = 0; i < 9; i++) {
            chain[8 * i] = DESTINATION_OPTIONS;
        }
        rig.input(fragment(OUTSIDE, 8, DESTINATION_OPTIONS, 0, true, Arrays.copyOf(chain, 64)));
        isDropped(
                fragment(OUTSIDE, 8, DESTINATION_OPTIONS, 64, false, Arrays.copyOfRange(chain, 64, 72)),
                DropReason.IP_EXTENSIONS,
                0);
    }

    @Test
    void packetThatIsWholeInItsOneFragmentNeedsNoOthers() {
        byte[] body = body(OUTSIDE, UDP, datagram(5_000, 9, "atomic".getBytes()));
        rig.input(fragment(OUTSIDE, 7, UDP, 0, true, Arrays.copyOf(body, 8)));
        rig.input(fragment(OUTSIDE, 7, UDP, 0, false, body));
        assertThat(rig.host.datagrams.getFirst().sent.getFirst().payload()).isEqualTo("atomic".getBytes());
        assertThat(rig.stack.reassemblyBytes())
                .as("it has nothing to do with those that wait")
                .isEqualTo(8);
    }

    @Test
    void neighbourDiscoveryInFragmentsIsDropped() {
        byte[] solicitation = message(Icmpv6Packet.NEIGHBOUR_SOLICITATION, 24);
        System.arraycopy(ip(GATEWAY).toBytes(), 0, solicitation, 8, 16);
        byte[] whole = Arrays.copyOfRange(packet(GUEST, GATEWAY, 255, ICMP, solicitation), 40, 64);
        isDropped(fragment(GATEWAY, 7, ICMP, 0, false, whole), DropReason.NEIGHBOUR, 0);
        rig.input(fragment(GATEWAY, 8, ICMP, 0, true, Arrays.copyOf(whole, 16)));
        isDropped(fragment(GATEWAY, 8, ICMP, 16, false, Arrays.copyOfRange(whole, 16, 24)), DropReason.NEIGHBOUR, 0);
    }

    @Test
    void floodOfFirstFragmentsIsBoundedAndTheOldestGoFirst() {
        MemorySegment last = null;
        for (int i = 0; i < 10_000; i++) {
            byte[] body = body(OUTSIDE, UDP, datagram(5_000, 9, FragmentsTest.pattern(2_000, i)));
            List<MemorySegment> pieces = fragments(OUTSIDE, i, UDP, body);
            rig.input(pieces.getFirst());
            last = pieces.getLast();
            assertThat(rig.stack.reassemblyBytes()).isLessThanOrEqualTo(1 << 20);
        }
        assertThat(rig.drops.get(DropReason.FRAGMENT_LIMIT)).isGreaterThan(9_000);
        rig.input(last);
        assertThat(rig.host.datagrams.getFirst().sent)
                .as("the newest is still whole")
                .hasSize(1);
        rig.serves();
    }

    @Test
    void incompletePacketsTimeOut() {
        byte[] body = body(OUTSIDE, UDP, datagram(5_000, 9, new byte[2_000]));
        List<MemorySegment> pieces = fragments(OUTSIDE, 7, UDP, body);
        rig.input(pieces.getFirst());
        rig.advance(Reassembly.TIMEOUT + StackRig.SECOND);
        assertThat(rig.drops.get(DropReason.FRAGMENT_TIMEOUT)).isEqualTo(1);
        assertThat(rig.stack.reassemblyBytes()).isZero();
        rig.input(pieces.getLast());
        assertThat(rig.host.datagrams).isEmpty();
    }

    @Test
    void unknownProtocolIsSaidToBe() {
        rig.input(frame(packet(GUEST, OUTSIDE, 64, 132, new byte[20])));
        byte[] error = checked(rig.sent.only(), ICMP);
        assertThat(error[0]).isEqualTo((byte) Icmpv6Packet.PARAMETER_PROBLEM);
        assertThat(error[1]).isEqualTo((byte) Icmpv6Packet.CODE_NEXT_HEADER);
        assertThat(error[7]).as("pointer to the next header").isEqualTo((byte) 6);
        assertThat(rig.drops.get(DropReason.PROTOCOL)).isEqualTo(1);
    }

    /** As many answers as a second may have, whatever is asked; and the guest is served on. */
    @Test
    void floodOfSolicitationsIsAnsweredAtABoundedRate() {
        byte[] router = packet(GUEST, "ff02::2", 255, ICMP, message(Icmpv6Packet.ROUTER_SOLICITATION, 8));
        byte[] probe = message(Icmpv6Packet.NEIGHBOUR_SOLICITATION, 24);
        System.arraycopy(ip(GATEWAY).toBytes(), 0, probe, 8, 16);
        byte[] detection = packet("::", "ff02::1:ff00:1", 255, ICMP, probe);
        for (int i = 0; i < 10_000; i++) {
            rig.input(rig.guest.ethernet(0x3333_0000_0002L, EthernetFrame.TYPE_IPV6, i % 2 == 0 ? router : detection));
        }
        assertThat(rig.sent.take()).hasSizeLessThanOrEqualTo(101);
        assertThat(rig.drops.get(DropReason.NEIGHBOUR_RATE)).isGreaterThanOrEqualTo(9_899);
        rig.serves();
        rig.advance(StackRig.SECOND);
        rig.sent.take();
        rig.input(rig.guest.ethernet(0x3333_0000_0002L, EthernetFrame.TYPE_IPV6, router));
        assertThat(rig.sent.take()).hasSize(1);
    }
}
