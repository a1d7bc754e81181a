package dev.slipway.tcp;

import static dev.slipway.tcp.TcpRig.MILLISECOND;
import static dev.slipway.tcp.TcpRig.SECOND;
import static dev.slipway.testing.PacketMatchers.assertThat;
import static dev.slipway.wire.TcpSegment.FIN;
import static dev.slipway.wire.TcpSegment.RST;
import static org.assertj.core.api.Assertions.assertThat;

import dev.slipway.testing.SentFrame;
import dev.slipway.testing.TcpAssert;
import java.util.List;
import org.junit.jupiter.api.Test;

/** Payload of the host: windows, probes, losses, and a guest that is no longer there. */
class ToGuestTest {

    private final TcpRig rig = new TcpRig();

    /** How far beyond the connection's first byte the frames reach; takes them. */
    private long highest(TcpGuest guest) {
        long highest = 0;
        for (SentFrame frame : rig.sent.take()) {
            TcpAssert segment = assertThat(frame).isTcp();
            highest = Math.max(highest, (int) (segment.seq() - guest.theirs(0)) + segment.payload().length);
        }
        return highest;
    }

    @Test
    void theGuestsWindowIsKept() {
        TcpGuest guest = rig.connect(40_000);
        guest.window = 100;
        guest.acknowledge(0);
        rig.stream().produce(1 << 20);
        rig.turn();
        assertThat(highest(guest)).isLessThanOrEqualTo(100 << 7);
        guest.window = 200;
        guest.acknowledge(5_000);
        assertThat(highest(guest)).isLessThanOrEqualTo(5_000 + (200 << 7)).isGreaterThan(5_000 + (200 << 7) - 1_460);
    }

    @Test
    void aShutWindowIsProbedForAsLongAsTheGuestAnswers() {
        TcpGuest guest = shut();
        long probes = 0;
        for (int i = 0; i < 600; i++) {
            rig.advance(SECOND);
            for (SentFrame frame : rig.sent.take()) {
                assertThat(frame).isTcp().seq(guest.theirs(0)).hasPayloadLength(1);
                probes++;
                guest.acknowledge(0);
            }
        }
        assertThat(probes).isBetween(10L, 40L);
        assertThat(rig.stream().wasReset).isFalse();
        assertThat(rig.table.counters().fastRetransmits())
                .as("answers to probes are no sign of loss")
                .isZero();
        guest.window = 500;
        guest.acknowledge(0);
        assertThat(highest(guest)).as("goes on at full speed").isGreaterThan(60_000);
    }

    /** F11: the update that opened the window is lost; the next probe finds out. */
    @Test
    void aLostWindowUpdateCostsOneProbe() {
        TcpGuest guest = shut();
        guest.window = 500;
        rig.advance(2 * RoundTripTime.INITIAL_TIMEOUT);
        assertThat(rig.sent.take())
                .isNotEmpty()
                .allSatisfy(frame -> assertThat(frame).isTcp().hasPayloadLength(1));
        guest.acknowledge(1);
        assertThat(highest(guest)).isGreaterThan(60_000);
    }

    @Test
    void aProbeThatWasThrownAwayGoesWithWhatFollows() {
        TcpGuest guest = shut();
        rig.advance(2 * SECOND);
        rig.sent.take();
        guest.window = 500;
        guest.acknowledge(0);
        guest.next().seq(guest.theirs(0));
        assertThat(rig.table.counters().fastRetransmits()).isZero();
    }

    @Test
    void aGuestThatVanishesBehindAShutWindowIsGivenUp() {
        TcpGuest guest = shut();
        rig.advance(3600 * SECOND);
        assertThat(rig.stream().wasReset).isTrue();
        assertThat(rig.table.size()).isZero();
        assertThat(rig.sent.take().getLast()).isTcp().has(RST).to("192.168.65.3", guest.port);
    }

    /** The guest takes back a window that was filled, and its update is lost: someone has to ask. */
    @Test
    void aWindowThatShrankUnderDataInFlightIsProbed() {
        rig.host = () -> {
            PatternStream stream = new PatternStream(3_000, 2, 1);
            stream.produced = 0;
            return stream;
        };
        TcpGuest guest = rig.connect(40_000);
        rig.stream().produce(3_000);
        rig.turn();
        rig.sent.take();
        guest.window = 0;
        guest.acknowledge(1_000);
        rig.sent.take();
        rig.advance(5 * SECOND);
        assertThat(rig.sent.take())
                .isNotEmpty()
                .allSatisfy(frame ->
                        assertThat(frame).isTcp().seq(guest.theirs(1_000)).hasPayloadLength(1));
        guest.acknowledge(3_000);
        rig.advance(120 * SECOND);
        assertThat(rig.sent.take())
                .as("only the FIN is left")
                .isNotEmpty()
                .allSatisfy(frame -> assertThat(frame).isTcp().has(FIN).seq(guest.theirs(3_000)));
        guest.acknowledge(3_001);
        rig.advance(120 * SECOND);
        assertThat(rig.sent.frames()).isEmpty();
    }

    @Test
    void anEndGoesThroughAShutWindow() {
        rig.host = () -> {
            PatternStream stream = new PatternStream(0, 2, 1);
            stream.ends = false;
            return stream;
        };
        TcpGuest guest = rig.connect(40_000);
        guest.window = 0;
        guest.acknowledge(0);
        rig.stream().ends = true;
        rig.stream().listener.readable();
        rig.turn();
        guest.next().has(FIN).seq(guest.theirs(0));
    }

    @Test
    void aGuestThatVanishesWithDataInFlightIsGivenUp() {
        TcpGuest guest = rig.connect(40_000);
        rig.stream().produce(100_000);
        rig.turn();
        rig.advance(3600 * SECOND);
        assertThat(rig.table.counters().abandoned()).isEqualTo(1);
        assertThat(rig.table.counters().timeouts()).isEqualTo(ToGuest.MAX_TIMEOUTS);
        assertThat(rig.stream().wasReset).isTrue();
        assertThat(rig.sent.take().getLast()).isTcp().has(RST).to("192.168.65.3", guest.port);
        assertThat(rig.deadlines.size()).isZero();
    }

    @Test
    void anIdleConnectionIsNeverGivenUp() {
        TcpGuest guest = rig.connect(40_000);
        rig.advance(30L * 24 * 3600 * SECOND);
        assertThat(rig.sent.frames()).isEmpty();
        rig.stream().produce(10);
        rig.turn();
        guest.next().hasPayloadLength(10);
    }

    @Test
    void aShutWindowWithNothingToSendIsNotProbed() {
        TcpGuest guest = rig.connect(40_000);
        guest.window = 0;
        guest.acknowledge(0);
        rig.advance(3600 * SECOND);
        assertThat(rig.sent.frames()).isEmpty();
        assertThat(rig.table.counters().windowProbes()).isZero();
        assertThat(rig.stream().wasReset).isFalse();
    }

    @Test
    void timeThatJumpsIsOneTimeOut() {
        rig.connect(40_000);
        rig.stream().produce(10);
        rig.turn();
        rig.sent.take();
        rig.now += 7200 * SECOND;
        rig.deadlines.poll(rig.now);
        rig.turn();
        assertThat(rig.sent.take()).hasSize(1);
        assertThat(rig.stream().wasReset).isFalse();
    }

    /** Acknowledging what has not come yet, or in pieces of a byte, gains nothing (row 49). */
    @Test
    void optimisticAndSplitAcknowledgementsGainNothing() {
        TcpGuest guest = rig.connect(40_000);
        guest.window = 65_535;
        guest.acknowledge(0);
        rig.stream().produce(1 << 24);
        rig.turn();
        long sent = highest(guest);
        assertThat(sent).isLessThanOrEqualTo(CongestionWindow.INITIAL);
        rig.input(guest.at(0).ack(guest.theirs(sent + 1)).build());
        assertThat(highest(guest)).as("nothing for what was not sent").isLessThanOrEqualTo(sent);
        for (int i = 1; i <= 1_000; i++) {
            guest.acknowledge(i);
        }
        assertThat(highest(guest))
                .as("a byte for a byte, in slow start")
                .isLessThanOrEqualTo(CongestionWindow.INITIAL + 2_000);
    }

    @Test
    void threeDuplicatesAreALossAndAreRepairedOnce() {
        TcpGuest guest = rig.connect(40_000);
        rig.stream().produce(40_000);
        rig.turn();
        rig.sent.take();
        for (int i = 2; i < 12; i++) {
            int to = (int) guest.theirs(1_460L * i);
            rig.input(guest.at(0).sack((int) guest.theirs(1_460), to).build());
        }
        List<SentFrame> again = rig.sent.take();
        assertThat(again).hasSize(1);
        assertThat(again.getFirst()).isTcp().seq(guest.theirs(0)).hasPayloadLength(1_460);
        assertThat(rig.table.counters().fastRetransmits()).isEqualTo(1);
        guest.acknowledge(40_000);
        assertThat(rig.stream().discarded).isEqualTo(40_000);
    }

    @Test
    void aRepairWaitsForRoomInTheChannel() {
        TcpGuest guest = rig.connect(40_000);
        rig.stream().produce(40_000);
        rig.turn();
        rig.sent.take();
        rig.sent.room(0);
        for (int i = 2; i < 12; i++) {
            rig.input(guest.at(0)
                    .sack((int) guest.theirs(1_460), (int) guest.theirs(1_460L * i))
                    .build());
        }
        assertThat(rig.sent.frames()).isEmpty();
        rig.sent.room(1 << 20);
        rig.table.guestReady();
        rig.turn();
        assertThat(rig.sent.only()).isTcp().seq(guest.theirs(0)).hasPayloadLength(1_460);
    }

    @Test
    void selectiveAcknowledgementsOutOfRangeAreIgnored() {
        TcpGuest guest = rig.connect(40_000);
        rig.stream().produce(10_000);
        rig.turn();
        rig.sent.take();
        int[][] blocks = {
            {0, -5}, {5, 5}, {20_000, 30_000}, {5_000, 20_000}, {-100, 50}, {9_000, 2_000}, {Integer.MIN_VALUE, 10}
        };
        for (int[] block : blocks) {
            rig.input(guest.at(0)
                    .sack((int) guest.theirs(block[0]), (int) guest.theirs(block[1]))
                    .build());
        }
        guest.acknowledge(10_000);
        assertThat(rig.stream().discarded).isEqualTo(10_000);
        assertThat(rig.failures).isEmpty();
    }

    @Test
    void aLostTailIsProbedWithinMilliseconds() {
        TcpGuest guest = rig.connect(40_000);
        rig.stream().produce(1_000);
        rig.turn();
        rig.advance(MILLISECOND);
        guest.acknowledge(1_000);
        rig.stream().produce(5_000);
        rig.turn();
        rig.sent.take();
        rig.advance(15 * MILLISECOND);
        assertThat(rig.sent.only()).isTcp().seq(guest.theirs(4_540)).hasPayloadLength(1_460);
        assertThat(rig.table.counters().tailProbes()).isEqualTo(1);
    }

    /** A guest with data for it that has shut its window. */
    private TcpGuest shut() {
        TcpGuest guest = rig.connect(40_000);
        guest.window = 0;
        guest.acknowledge(0);
        rig.stream().produce(1 << 20);
        rig.turn();
        assertThat(rig.sent.frames()).isEmpty();
        return guest;
    }
}
