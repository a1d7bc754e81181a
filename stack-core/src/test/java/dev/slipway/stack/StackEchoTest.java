package dev.slipway.stack;

import static dev.slipway.stack.StackRig.GATEWAY;
import static dev.slipway.stack.StackRig.OUTSIDE;
import static dev.slipway.stack.StackRig.SECOND;
import static dev.slipway.testing.PacketMatchers.assertThat;
import static org.assertj.core.api.Assertions.assertThat;

import dev.slipway.icmp.EchoTable;
import dev.slipway.seam.HostDatagrams.Verdict;
import dev.slipway.seam.IcmpError;
import dev.slipway.testing.PacketBuilder;
import dev.slipway.testing.SentFrame;
import dev.slipway.wire.DropReason;
import dev.slipway.wire.IpAddress;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Echo requests to the outside: what leaves the host, and what comes back. */
class StackEchoTest {

    private static final String ROUTER = "198.51.100.9";

    private final StackRig rig = new StackRig();
    private final PacketBuilder guest = rig.guest;

    private StackRig.FakeHost.Echo flow() {
        return rig.host.echoes.getFirst();
    }

    private MemorySegment ping(int identifier, int sequence) {
        return guest.icmp(OUTSIDE)
                .echo(identifier, sequence)
                .payload("0123456789")
                .build();
    }

    @Test
    void aPingIsAnsweredByWhoWasPingedAndWithItsTimeToLive() {
        rig.input(guest.icmp(OUTSIDE).ttl(9).echo(77, 5).payload("0123456789").build());
        assertThat(rig.sent.frames()).as("no answer before there is one").isEmpty();
        assertThat(flow().preferredIdentifier).isEqualTo(77);
        assertThat(flow().sent.getLast().hopLimit()).isEqualTo(8);
        flow().answer(OUTSIDE, 61);
        SentFrame reply = rig.sent.only();
        assertThat(reply).isIcmp().from(OUTSIDE).isEchoReply(77, 5).hasPayload("0123456789");
        assertThat(reply.bytes()[22]).as("time to live").isEqualTo((byte) 61);
    }

    @Test
    void manyProgramsPingAtATime() {
        for (int identifier = 1; identifier <= 10; identifier++) {
            rig.input(ping(identifier, identifier));
        }
        assertThat(rig.host.echoes).hasSize(10);
        for (int identifier = 10; identifier >= 1; identifier--) {
            rig.host.echoes.get(identifier - 1).answer(OUTSIDE, 64);
            assertThat(rig.sent.only()).isIcmp().isEchoReply(identifier, identifier);
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 1_472, 1_473, 60_000, 65_507})
    void everySizeGoesBothWays(int size) {
        byte[] payload = FragmentsTest.pattern(size, size);
        MemorySegment whole = guest.icmp(OUTSIDE).echo(3, 4).payload(payload).build();
        rig.input(size <= 1_472 ? List.of(whole) : PacketBuilder.fragments(whole, 1_480));
        byte[] sent = flow().sent.getLast().payload();
        assertThat(Arrays.copyOfRange(sent, 8, sent.length)).isEqualTo(payload);
        flow().answer(OUTSIDE, 64);
        byte[] got = new byte[size + 8];
        int at = 0;
        for (SentFrame frame : rig.sent.take()) {
            System.arraycopy(frame.bytes(), 34, got, at, frame.length() - 34);
            at += frame.length() - 34;
        }
        assertThat(at).isEqualTo(size + 8);
        assertThat(Arrays.copyOfRange(got, 8, at)).isEqualTo(payload);
    }

    @ParameterizedTest
    @CsvSource({"198.51.100.9,11,0,0", "198.51.100.9,3,1,0", "198.51.100.9,3,13,0", "198.51.100.9,3,4,1280"})
    void whatARouterSaysQuotesTheGuestsOwnRequest(String reporter, int type, int code, int mtu) {
        MemorySegment frame = ping(77, 5);
        rig.input(frame);
        byte[] wire = flow().lastOnTheWire();
        IcmpError error = new IcmpError(IpAddress.ofV4(IpAddress.parseV4(reporter)), type, code, mtu);
        flow().listener
                .failed(IpAddress.ofV4(IpAddress.parseV4(OUTSIDE)), error, MemorySegment.ofArray(wire), 0, wire.length);
        SentFrame said = rig.sent.only();
        byte[] quoted =
                assertThat(said).isIcmp().from(reporter).hasType(type, code).payload();
        byte[] packet = PacketBuilder.bytes(frame);
        assertThat(Arrays.copyOfRange(quoted, 12, quoted.length))
                .as("addresses, identifier, sequence, checksum and payload of the guest's")
                .isEqualTo(Arrays.copyOfRange(packet, 26, packet.length));
        assertThat((said.bytes()[40] & 0xFF) << 8 | said.bytes()[41] & 0xFF).isEqualTo(mtu);
    }

    @ParameterizedTest
    @CsvSource({"HOST_UNREACHABLE,1", "NETWORK_UNREACHABLE,0", "PROHIBITED,13", "TOO_BIG,4"})
    void whereTheHostCannotSendIsUnreachable(Verdict verdict, int code) {
        rig.host.verdict = verdict;
        rig.host.pathMtu = 1_280;
        MemorySegment frame = ping(77, 5);
        rig.input(frame);
        assertThat(rig.sent.only()).isIcmp().from(GATEWAY).hasType(3, code);
        assertThat(rig.drops.get(DropReason.ICMP_HOST)).isEqualTo(1);
    }

    @Test
    void whatTheHostLosesIsSilentAndCounted() {
        rig.host.verdict = Verdict.LOST;
        rig.input(ping(1, 1));
        assertThat(rig.sent.frames()).isEmpty();
        assertThat(rig.drops.get(DropReason.ICMP_HOST)).isEqualTo(1);
    }

    @Test
    void anIdentifierIsLetGoAMinuteAfterItsLastUse() {
        rig.input(ping(1, 1), ping(2, 1));
        rig.advance(EchoTable.TIMEOUT - SECOND);
        rig.input(ping(2, 2));
        rig.advance(2 * SECOND);
        assertThat(rig.host.echoes).extracting(echo -> echo.closed).containsExactly(true, false);
        rig.host.echoes.get(1).answer(OUTSIDE, 64);
        rig.advance(EchoTable.TIMEOUT);
        assertThat(rig.stack.echo().size()).isZero();
        assertThat(rig.stack.nextDeadline()).isEqualTo(Long.MAX_VALUE);
    }

    @Test
    void theIdentifierIdleLongestMakesRoom() {
        for (int identifier = 0; identifier < EchoTable.MAX_FLOWS; identifier++) {
            rig.input(ping(identifier, 1));
        }
        rig.input(ping(0, 2));
        rig.input(ping(5_000, 1));
        assertThat(rig.stack.echo().size()).isEqualTo(EchoTable.MAX_FLOWS);
        assertThat(rig.host.echoes.get(0).closed).isFalse();
        assertThat(rig.host.echoes.get(1).closed).isTrue();
        assertThat(rig.drops.get(DropReason.ICMP_FLOW_LIMIT)).isEqualTo(1);
    }

    @Test
    void aHostWithoutSocketsIsCounted() {
        rig.host.exhausted = true;
        rig.isDropped(ping(1, 1), DropReason.ICMP_FLOW_LIMIT);
        rig.host.exhausted = false;
        rig.input(ping(1, 1));
        assertThat(flow().sent).hasSize(1);
    }

    @Test
    void aDefectCostsOneIdentifierOnly() {
        rig.input(ping(1, 1));
        rig.host.failSends = new IllegalStateException("on purpose");
        rig.input(ping(2, 1));
        assertThat(rig.failures).containsExactly(rig.host.failSends);
        rig.host.failSends = null;
        rig.input(ping(1, 2), ping(2, 2));
        assertThat(flow().sent).hasSize(2);
        assertThat(rig.host.echoes).hasSize(3);
    }

    @Test
    void aGuestThatGoesLeavesNoSocket() {
        rig.input(ping(1, 1), ping(2, 1));
        rig.stack.reset();
        assertThat(rig.host.echoes).allSatisfy(echo -> assertThat(echo.closed).isTrue());
        rig.advance(400 * SECOND);
        rig.serves();
    }

    @Test
    void errorsAreRateLimited() {
        rig.input(ping(1, 1));
        IcmpError error = new IcmpError(IpAddress.ofV4(IpAddress.parseV4(ROUTER)), 11, 0, 0);
        byte[] wire = flow().lastOnTheWire();
        for (int i = 0; i < 1_000; i++) {
            flow().listener
                    .failed(
                            IpAddress.ofV4(IpAddress.parseV4(OUTSIDE)),
                            error,
                            MemorySegment.ofArray(wire),
                            0,
                            wire.length);
        }
        assertThat(rig.sent.frames()).hasSizeLessThanOrEqualTo(101);
        assertThat(rig.drops.get(DropReason.ICMP_RATE)).isGreaterThan(890);
    }
}
