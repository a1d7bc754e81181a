package dev.slipway.stack;

import static dev.slipway.stack.StackRig.GATEWAY;
import static dev.slipway.stack.StackRig.OUTSIDE;
import static dev.slipway.stack.StackRig.SECOND;
import static dev.slipway.testing.PacketBuilder.fragment;
import static dev.slipway.testing.PacketBuilder.fragments;
import static dev.slipway.testing.PacketMatchers.assertThat;
import static org.assertj.core.api.Assertions.assertThat;

import dev.slipway.testing.PacketBuilder;
import dev.slipway.testing.SentFrame;
import dev.slipway.wire.DropReason;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Datagrams in pieces, whole and broken (RFC 791, 815, 5722). */
class FragmentsTest {

    private final StackRig rig = new StackRig();
    private final PacketBuilder guest = rig.guest;

    static byte[] pattern(int length, long seed) {
        byte[] bytes = new byte[length];
        new Random(seed).nextBytes(bytes);
        return bytes;
    }

    @ParameterizedTest
    @ValueSource(longs = {1, 2, 3, 4, 5, 6, 7, 8})
    void datagramsArePutTogetherInAnyOrderAndWithRepeats(long seed) {
        Random random = new Random(seed);
        byte[] payload = pattern(3_000 + random.nextInt(62_508), seed);
        List<MemorySegment> pieces =
                new ArrayList<>(fragments(guest.udp(OUTSIDE, 9).payload(payload).build(), 1_480));
        Collections.shuffle(pieces, random);
        pieces.add(random.nextInt(pieces.size()), pieces.getFirst());
        rig.input(pieces);
        assertThat(rig.host.datagrams.getFirst().sent.getFirst().payload())
                .as("seed %d", seed)
                .isEqualTo(payload);
        assertThat(rig.host.datagrams.getFirst().sent.size()).isEqualTo(1);
    }

    @Test
    void datagramsInTheSameTurnDoNotMix() {
        byte[] first = pattern(5_000, 1);
        byte[] second = pattern(6_000, 2);
        List<MemorySegment> pieces = new ArrayList<>(
                fragments(guest.udp(OUTSIDE, 9).identification(1).payload(first).build(), 1_480));
        pieces.addAll(
                1,
                fragments(
                        guest.udp(OUTSIDE, 9).identification(2).payload(second).build(), 1_480));
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
        byte[] payload = pattern(60_000, 1);
        List<MemorySegment> pieces =
                fragments(guest.icmp(GATEWAY).echo(7, 8).payload(payload).build(), 1_480);
        rig.input(pieces);
        List<SentFrame> reply = rig.sent.take();
        assertThat(reply).hasSize(pieces.size());
        byte[] whole = new byte[60_008];
        int at = 0;
        for (SentFrame frame : reply) {
            assertThat(frame).isFragment(at, frame != reply.getLast());
            System.arraycopy(frame.bytes(), 34, whole, at, frame.length() - 34);
            at += frame.length() - 34;
        }
        assertThat(at).isEqualTo(60_008);
        assertThat(java.util.Arrays.copyOfRange(whole, 4, 8)).isEqualTo(new byte[] {0, 7, 0, 8});
        assertThat(java.util.Arrays.copyOfRange(whole, 8, at)).isEqualTo(payload);
        assertThat(whole[0]).isZero();
    }

    @Test
    void overlapsCondemnTheWholeDatagram() {
        MemorySegment whole = guest.udp(OUTSIDE, 9).payload(pattern(100, 1)).build();
        rig.input(fragment(whole, 0, 48, true));
        rig.isDropped(fragment(whole, 24, 48, true), DropReason.FRAGMENT_OVERLAP);
        assertThat(rig.stack.reassemblyBytes()).isZero();
        rig.isDropped(fragment(whole, 48, 60, false), DropReason.FRAGMENT_OVERLAP);
        assertThat(rig.host.datagrams).isEmpty();
    }

    @Test
    void endsThatContradictCondemnToo() {
        MemorySegment whole = guest.udp(OUTSIDE, 9).payload(pattern(200, 1)).build();
        rig.input(fragment(whole, 48, 16, false));
        rig.isDropped(fragment(whole, 96, 16, true), DropReason.FRAGMENT_OVERLAP);
        rig.input(fragment(
                guest.udp(OUTSIDE, 9).identification(9).payload(pattern(200, 1)).build(), 96, 16, true));
        rig.isDropped(
                fragment(
                        guest.udp(OUTSIDE, 9)
                                .identification(9)
                                .payload(pattern(200, 1))
                                .build(),
                        48,
                        16,
                        false),
                DropReason.FRAGMENT_OVERLAP);
    }

    @Test
    void fragmentsThatCannotBe() {
        rig.isDropped(
                guest.ipv4(OUTSIDE, 17)
                        .payload(new byte[32])
                        .fragmentField(0x6000)
                        .build(),
                DropReason.FRAGMENT);
        rig.isDropped(
                guest.ipv4(OUTSIDE, 17)
                        .payload(new byte[33])
                        .fragmentField(0x2000)
                        .build(),
                DropReason.FRAGMENT);
        rig.isDropped(guest.ipv4(OUTSIDE, 17).fragmentField(0x2000).build(), DropReason.FRAGMENT);
        // The ping of death: the last fragment ends behind 65,535.
        rig.isDropped(
                guest.ipv4(OUTSIDE, 1)
                        .payload(new byte[1_480])
                        .fragmentField(65_528 / 8)
                        .build(),
                DropReason.FRAGMENT);
    }

    @Test
    void aFloodOfFirstFragmentsIsBoundedAndTheOldestGoFirst() {
        MemorySegment[] last = new MemorySegment[1];
        for (int i = 0; i < 10_000; i++) {
            MemorySegment whole = guest.udp(OUTSIDE, 9)
                    .identification(i)
                    .payload(pattern(2_000, i))
                    .build();
            rig.input(fragment(whole, 0, 1_480, true));
            last[0] = fragment(whole, 1_480, 528, false);
            assertThat(rig.stack.reassemblyBytes()).isLessThanOrEqualTo(1 << 20);
        }
        assertThat(rig.drops.get(DropReason.FRAGMENT_LIMIT)).isGreaterThan(9_000);
        rig.input(last[0]);
        assertThat(rig.host.datagrams.getFirst().sent)
                .as("the newest is still whole")
                .hasSize(1);
        rig.serves();
    }

    @Test
    void incompleteDatagramsTimeOut() {
        MemorySegment whole = guest.udp(OUTSIDE, 9).payload(pattern(2_000, 1)).build();
        rig.input(fragment(whole, 0, 1_480, true));
        rig.advance(31 * SECOND);
        assertThat(rig.drops.get(DropReason.FRAGMENT_TIMEOUT)).isEqualTo(1);
        assertThat(rig.stack.reassemblyBytes()).isZero();
        assertThat(rig.stack.nextDeadline()).isEqualTo(Long.MAX_VALUE);
        rig.input(fragment(whole, 1_480, 528, false));
        assertThat(rig.host.datagrams).isEmpty();
    }

    @Test
    void errorsAreReportedAboutFirstFragmentsOnly() {
        List<MemorySegment> pieces = fragments(
                guest.udp("192.168.65.77", 9).payload(pattern(3_000, 1)).build(), 1_480);
        rig.input(pieces);
        assertThat(rig.sent.only()).isIcmp().hasType(3, 1);
        assertThat(rig.drops.get(DropReason.DESTINATION)).isEqualTo(pieces.size());
    }
}
