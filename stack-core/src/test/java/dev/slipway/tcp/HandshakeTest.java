package dev.slipway.tcp;

import static dev.slipway.tcp.TcpRig.SECOND;
import static dev.slipway.testing.PacketMatchers.assertThat;
import static dev.slipway.wire.TcpSegment.ACK;
import static dev.slipway.wire.TcpSegment.FIN;
import static dev.slipway.wire.TcpSegment.PSH;
import static dev.slipway.wire.TcpSegment.RST;
import static dev.slipway.wire.TcpSegment.SYN;
import static dev.slipway.wire.TcpSegment.URG;
import static org.assertj.core.api.Assertions.assertThat;

import dev.slipway.seam.HostStream.ConnectFailure;
import dev.slipway.testing.PacketBuilder;
import dev.slipway.testing.SentFrame;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** How a connection begins, and how it does not (RFC 9293, sections 3.5 and 3.10.7). */
class HandshakeTest {

    private final TcpRig rig = new TcpRig();
    private final TcpGuest guest = new TcpGuest(rig, 40_000, 5_000);

    @Test
    void aSynIsHeldUntilTheHostHasConnected() {
        rig.hostIsSilent = true;
        rig.input(guest.syn().build());
        assertThat(rig.sent.frames()).isEmpty();
        assertThat(rig.table.halfOpen()).isEqualTo(1);
        rig.stream().listener.connected();
        rig.turn();
        assertThat(rig.sent.only())
                .isTcp()
                .hasOnly(SYN, ACK)
                .ack(5_001)
                .hasMss(1460)
                .hasWindowScale(8)
                .hasSackPermitted();
    }

    @Test
    void aRepeatedSynMakesNoSecondConnect() {
        rig.hostIsSilent = true;
        rig.input(guest.syn().build());
        rig.input(guest.syn().build(), guest.syn().build());
        assertThat(rig.streams).hasSize(1);
        assertThat(rig.sent.frames()).isEmpty();
        assertThat(rig.table.size()).isEqualTo(1);
    }

    @Test
    void anotherSynWhileTheHostConnectsBeginsAnew() {
        rig.hostIsSilent = true;
        rig.input(guest.syn().build());
        TcpGuest again = new TcpGuest(rig, 40_000, 77);
        rig.input(again.syn().build());
        assertThat(rig.streams).hasSize(2);
        assertThat(rig.streams.getFirst().wasReset).isTrue();
        rig.stream().listener.connected();
        rig.turn();
        assertThat(rig.sent.only()).isTcp().ack(78);
    }

    @ParameterizedTest
    @CsvSource({"REFUSED", "EXHAUSTED"})
    void aRefusedConnectIsAReset(ConnectFailure failure) {
        rig.failure = failure;
        rig.input(guest.syn().build());
        assertThat(rig.sent.only()).isTcp().hasOnly(RST, ACK).seq(0).ack(5_001).to(PacketBuilder.GUEST_IP, 40_000);
        assertThat(rig.table.size()).isZero();
        assertThat(rig.table.counters().refused()).isEqualTo(1);
    }

    @ParameterizedTest
    @CsvSource({"HOST_UNREACHABLE,1", "NETWORK_UNREACHABLE,0", "PROHIBITED,13"})
    void anUnreachableHostIsReportedAboutTheGuestsOwnSegment(ConnectFailure failure, int code) {
        rig.failure = failure;
        rig.input(guest.syn().build());
        byte[] quoted = assertThat(rig.sent.only())
                .isIcmp()
                .from("192.168.65.1")
                .hasType(3, code)
                .payload();
        assertThat(quoted).hasSize(28);
        byte[] syn = PacketBuilder.bytes(guest.syn().build());
        assertThat(quoted[9]).as("protocol").isEqualTo((byte) 6);
        assertThat(java.util.Arrays.copyOfRange(quoted, 12, 28))
                .as("addresses, ports, sequence number")
                .isEqualTo(java.util.Arrays.copyOfRange(syn, 14 + 12, 14 + 28));
        assertThat(rig.table.size()).isZero();
    }

    @Test
    void silenceStaysSilence() {
        rig.failure = ConnectFailure.TIMED_OUT;
        rig.input(guest.syn().build());
        assertThat(rig.sent.frames()).isEmpty();
        assertThat(rig.table.size()).isZero();
    }

    @Test
    void aHostThatResetsRightAfterItsConnectIsAReset() {
        rig.hostIsSilent = true;
        rig.input(guest.syn().build());
        rig.stream().listener.connected();
        rig.stream().listener.reset();
        rig.turn();
        assertThat(rig.sent.only()).isTcp().hasOnly(RST, ACK).ack(5_001);
        assertThat(rig.table.size()).isZero();
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 1, 87})
    void aTinyMssIsRaised(int mss) {
        rig.host = () -> new PatternStream(1000, 2, 1);
        rig.input(
                rig.guest.tcp(TcpRig.SERVER, 80).flags(SYN).seq(5_000).mss(mss).build());
        guest.established(rig.sent.only());
        List<SentFrame> frames = rig.sent.take();
        assertThat(frames.getFirst()).hasSegmentSize(Handshake.MIN_MSS);
    }

    @Test
    void withoutOptionsAreDefaultMssAndPlainWindows() {
        rig.host = () -> new PatternStream(100_000, 2, 1);
        rig.input(rig.guest.tcp(TcpRig.SERVER, 80).flags(SYN).seq(5_000).build());
        SentFrame synAck = rig.sent.only();
        assertThat(synAck).isTcp().hasNoOption(3).hasNoOption(4).hasMss(1460).hasWindow(65_535);
        guest.window = 2_000;
        guest.established(synAck);
        int bytes = 0;
        for (SentFrame frame : rig.sent.take()) {
            assertThat(frame).isTcp().hasWindow(65_535);
            bytes += frame.length() - 54;
        }
        assertThat(bytes)
                .as("an unscaled window of 2000, cut between segments of 536")
                .isEqualTo(3 * 536);
    }

    @Test
    void dataOnASynIsNotTakenBeforeTheConnectionIsThere() {
        rig.input(guest.syn().payload("hello").build());
        guest.established(rig.sent.only());
        assertThat(rig.stream().written).isZero();
        guest.send(100);
        assertThat(rig.stream().written).isEqualTo(100);
    }

    @Test
    void anUnansweredSynAckIsRepeatedAndGivenUp() {
        rig.input(guest.syn().build());
        rig.sent.take();
        rig.advance(31 * SECOND);
        List<SentFrame> again = rig.sent.take();
        assertThat(again).hasSize(5);
        for (SentFrame frame : again) {
            assertThat(frame).isTcp().hasOnly(SYN, ACK).ack(5_001).hasMss(1460);
        }
        rig.advance(40 * SECOND);
        assertThat(rig.table.size()).isZero();
        assertThat(rig.stream().wasReset).isTrue();
        assertThat(rig.table.counters().abandoned()).isEqualTo(1);
        assertThat(rig.deadlines.next()).isEqualTo(Long.MAX_VALUE);
    }

    @Test
    void aRepeatedSynIsAnsweredAgainButKeepsNothingAlive() {
        rig.input(guest.syn().build());
        rig.sent.take();
        for (int i = 0; i < 200; i++) {
            rig.input(guest.syn().build());
            rig.advance(SECOND / 2);
        }
        assertThat(rig.streams.getFirst().wasReset)
                .as("given up although the guest repeats its SYN")
                .isTrue();
    }

    @Test
    void aWrongAcknowledgementOfASynAckIsAReset() {
        rig.input(guest.syn().build());
        long iss = assertThat(rig.sent.only()).isTcp().seq();
        rig.input(rig.guest.tcp(TcpRig.SERVER, 80).seq(5_001).ack(iss + 2).build());
        assertThat(rig.sent.only()).isTcp().hasOnly(RST).seq(iss + 2);
        assertThat(rig.table.halfOpen()).isEqualTo(1);
        rig.input(rig.guest.tcp(TcpRig.SERVER, 80).seq(5_001).ack(iss + 1).build());
        assertThat(rig.table.halfOpen()).isZero();
    }

    /** Combinations that are no SYN: none opens a host socket (robustness, row 38). */
    @ParameterizedTest
    @ValueSource(ints = {SYN | FIN, 0, FIN | PSH | URG, 0x3F, SYN | RST, SYN | ACK, FIN, ACK, PSH, SYN | FIN | ACK})
    void strangeFlagsOpenNothing(int flags) {
        rig.input(rig.guest.tcp(TcpRig.SERVER, 80).seq(9).flags(flags).build());
        assertThat(rig.streams).isEmpty();
        assertThat(rig.drops.total()).isEqualTo(1);
        boolean reset = (flags & RST) != 0;
        assertThat(rig.sent.take())
                .hasSize(reset ? 0 : 1)
                .allSatisfy(frame -> assertThat(frame).isTcp().has(RST));
        rig.connect(40_001);
    }

    @Test
    void portsOfZeroAreDropped() {
        rig.input(rig.guest.tcp(TcpRig.SERVER, 0).seq(9).flags(SYN).build());
        rig.input(rig.guest.tcp(TcpRig.SERVER, 80).port(0).seq(9).flags(SYN).build());
        assertThat(rig.streams).isEmpty();
        assertThat(rig.sent.frames()).isEmpty();
    }

    @Test
    void aResetWhileTheHostConnectsEndsTheConnect() {
        rig.hostIsSilent = true;
        rig.input(guest.syn().build());
        guest.reset(5_001);
        assertThat(rig.stream().wasReset).isTrue();
        assertThat(rig.table.size()).isZero();
        assertThat(rig.sent.frames()).isEmpty();
    }

    @Test
    void theHostsOwnConnectionsBeginWithOurSyn() {
        PatternStream stream = new PatternStream(500, 2, 1);
        assertThat(open(stream)).isTrue();
        assertThat(open(stream)).as("the same ports again").isFalse();
        SentFrame syn = rig.sent.only();
        long iss = assertThat(syn)
                .isTcp()
                .hasOnly(SYN)
                .from("192.168.65.1", 50_000)
                .hasMss(1460)
                .hasWindowScale(8)
                .seq();
        rig.input(rig.guest
                .tcp("192.168.65.1", 50_000)
                .port(8080)
                .seq(700)
                .ack(iss + 1)
                .flags(SYN)
                .mss(1000)
                .sackPermitted()
                .windowScale(7)
                .build());
        assertThat(rig.sent.next()).isTcp().seq(iss + 1).ack(701).hasPayloadLength(500);
        assertThat(rig.table.halfOpen()).isZero();
    }

    @Test
    void aGuestThatRefusesResetsTheHostsConnection() {
        PatternStream stream = new PatternStream(500, 2, 1);
        open(stream);
        long iss = assertThat(rig.sent.only()).isTcp().seq();
        rig.input(rig.guest
                .tcp("192.168.65.1", 50_000)
                .port(8080)
                .seq(0)
                .ack(iss + 2)
                .flags(RST)
                .build());
        assertThat(stream.wasReset)
                .as("a reset that acknowledges something else")
                .isFalse();
        rig.input(rig.guest
                .tcp("192.168.65.1", 50_000)
                .port(8080)
                .seq(0)
                .ack(iss + 1)
                .flags(RST)
                .build());
        assertThat(stream.wasReset).isTrue();
    }

    @Test
    void aHostThatResetsWhileTheGuestIsAskedEndsItAndNothingElse() {
        PatternStream stream = new PatternStream(500, 2, 1);
        open(stream);
        long iss = assertThat(rig.sent.only()).isTcp().seq();
        stream.listener.reset();
        rig.turn();
        assertThat(rig.sent.only()).isTcp().hasOnly(RST).seq(iss + 1);
        assertThat(rig.table.size()).isZero();
        assertThat(rig.failures).isEmpty();
    }

    @Test
    void aGuestThatNeverAnswersIsGivenUp() {
        PatternStream stream = new PatternStream(500, 2, 1);
        open(stream);
        rig.advance(100 * SECOND);
        assertThat(rig.sent.take()).hasSize(6);
        assertThat(stream.wasReset).isTrue();
        assertThat(rig.table.size()).isZero();
    }

    private boolean open(PatternStream stream) {
        int gateway = dev.slipway.wire.IpAddress.parseV4("192.168.65.1");
        return rig.table.open(
                rig.guest.address(),
                8080,
                gateway,
                50_000,
                listener -> {
                    stream.listener = listener;
                    return stream;
                },
                rig.now);
    }
}
