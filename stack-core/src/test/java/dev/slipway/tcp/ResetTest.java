package dev.slipway.tcp;

import static dev.slipway.testing.PacketMatchers.assertThat;
import static dev.slipway.wire.TcpSegment.ACK;
import static dev.slipway.wire.TcpSegment.RST;
import static dev.slipway.wire.TcpSegment.SYN;
import static org.assertj.core.api.Assertions.assertThat;

import dev.slipway.wire.DropReason;
import org.junit.jupiter.api.Test;

/** Resets, and segments that are none of the connection's: RFC 9293, section 3.10.7.4, and RFC 5961. */
class ResetTest {

    private final TcpRig rig = new TcpRig();

    private TcpGuest connect() {
        rig.host = () -> {
            PatternStream stream = new PatternStream(100_000, 2, 1);
            stream.produced = 0;
            return stream;
        };
        return rig.connect(40_000);
    }

    @Test
    void anExactResetEndsTheConnection() {
        TcpGuest guest = connect();
        guest.send(10);
        rig.sent.take();
        guest.reset(guest.mine(10));
        assertThat(rig.stream().wasReset).isTrue();
        assertThat(rig.table.size()).isZero();
        assertThat(rig.sent.frames()).isEmpty();
        assertThat(rig.table.counters().resetByGuest()).isEqualTo(1);
    }

    @Test
    void aResetInTheWindowIsChallengedAndTheAnswerEndsIt() {
        TcpGuest guest = connect();
        guest.reset(guest.mine(1));
        guest.next().hasOnly(ACK).ack(guest.mine(0));
        assertThat(rig.stream().wasReset).isFalse();
        assertThat(rig.table.counters().challengeAcks()).isEqualTo(1);
        guest.reset(guest.mine(0));
        assertThat(rig.stream().wasReset).isTrue();
    }

    @Test
    void aResetOutOfTheWindowIsIgnored() {
        TcpGuest guest = connect();
        guest.reset(guest.mine(-1));
        guest.reset(guest.mine(100_000_000));
        assertThat(rig.sent.frames()).isEmpty();
        assertThat(rig.drops.get(DropReason.TCP_RST_OUT_OF_WINDOW)).isEqualTo(2);
        guest.send(10);
        assertThat(rig.stream().written).isEqualTo(10);
    }

    /** What the guest holds for expected is what was acknowledged; the host may have got more by then. */
    @Test
    void aResetAtWhatWasAcknowledgedLastCounts() {
        TcpGuest guest = connect();
        rig.stream().takenPerFlush = 0;
        guest.send(1_000);
        rig.sent.take();
        guest.reset(guest.mine(500));
        guest.next().hasOnly(ACK).ack(guest.mine(0));
        guest.reset(guest.mine(0));
        assertThat(rig.stream().wasReset).isTrue();
    }

    @Test
    void challengesAreRateLimited() {
        TcpGuest guest = connect();
        for (int i = 0; i < 1_000; i++) {
            guest.reset(guest.mine(1 + i));
        }
        assertThat(rig.sent.take()).hasSize(100);
        rig.advance(TcpRig.SECOND);
        guest.reset(guest.mine(1));
        assertThat(rig.sent.take()).hasSize(1);
        assertThat(rig.stream().wasReset).isFalse();
    }

    @Test
    void aSynIntoAConnectionIsChallenged() {
        TcpGuest guest = connect();
        rig.input(guest.syn().build());
        guest.next().hasOnly(ACK).ack(guest.mine(0));
        rig.input(new TcpGuest(rig, 40_000, 1_000_000).syn().build());
        guest.next().hasOnly(ACK).ack(guest.mine(0));
        assertThat(rig.streams).hasSize(1);
        guest.send(10);
        assertThat(rig.stream().written).isEqualTo(10);
    }

    /** A guest that has restarted finds its old connection in the way, and gets past it as RFC 9293, 3.5.1 says. */
    @Test
    void aRestartedGuestGetsPastItsOldConnection() {
        connect();
        TcpGuest again = new TcpGuest(rig, 40_000, 99);
        rig.input(again.syn().build());
        long expected = assertThat(rig.sent.only()).isTcp().hasOnly(ACK).ack();
        again.reset(expected);
        assertThat(rig.streams.getFirst().wasReset).isTrue();
        rig.input(again.syn().build());
        assertThat(rig.sent.only()).isTcp().hasOnly(SYN, ACK).ack(100);
    }

    @Test
    void aResetOfTheHostsIsAResetInEveryState() {
        TcpGuest open = connect();
        rig.stream().listener.reset();
        rig.turn();
        open.next().hasOnly(RST, ACK).seq(open.theirs(0)).ack(open.mine(0));

        TcpGuest halfOpen = new TcpGuest(rig, 40_001, 1);
        rig.input(halfOpen.syn().build());
        halfOpen.iss = assertThat(rig.sent.only()).isTcp().seq();
        rig.stream().listener.reset();
        rig.turn();
        halfOpen.next().hasOnly(RST, ACK).seq(halfOpen.theirs(0)).ack(2);

        TcpGuest ended = rig.connect(40_002);
        ended.finish();
        rig.sent.take();
        rig.stream().listener.reset();
        rig.turn();
        ended.next().hasOnly(RST, ACK).ack(ended.mine(1));
        assertThat(rig.table.size()).isZero();
        assertThat(rig.deadlines.size()).isZero();
        assertThat(rig.failures).isEmpty();
    }

    @Test
    void aResetOfTheGuestsCountsInEveryState() {
        TcpGuest halfOpen = new TcpGuest(rig, 40_001, 1);
        rig.input(halfOpen.syn().build());
        rig.sent.take();
        halfOpen.reset(2);
        assertThat(rig.stream().wasReset).isTrue();

        TcpGuest guestEnded = connect();
        guestEnded.finish();
        guestEnded.reset(guestEnded.mine(1));
        assertThat(rig.stream().wasReset).isTrue();
        rig.sent.take();

        rig.host = () -> new PatternStream(0, 2, 1);
        TcpGuest hostEnded = rig.connect(40_003);
        hostEnded.acknowledge(1);
        hostEnded.reset(hostEnded.mine(0));
        assertThat(rig.stream().wasReset).isTrue();
        assertThat(rig.table.size()).isZero();
    }

    /** The events of a turn come in any order; a stream that is gone is not touched any more. */
    @Test
    void segmentsThatComeWithAResetOfTheHostsTouchNothing() {
        TcpGuest guest = connect();
        PatternStream stream = rig.stream();
        stream.listener.reset();
        stream.wasReset = true;
        rig.inputOnly(guest.data(0, 100).build());
        rig.inputOnly(
                rig.guest.tcp(TcpRig.SERVER, 80).seq(guest.mine(0)).flags(RST).build());
        rig.advance(0);
        rig.turn();
        guest.next().hasOnly(RST, ACK);
        assertThat(rig.table.size()).isZero();
    }

    @Test
    void anAcknowledgementOfWhatWasNotSentIsAnsweredAndIgnored() {
        TcpGuest guest = connect();
        rig.input(guest.at(0).ack(guest.theirs(1)).build());
        guest.next().hasOnly(ACK).seq(guest.theirs(0)).ack(guest.mine(0));
        assertThat(rig.drops.get(DropReason.TCP_ACK_UNSENT)).isEqualTo(1);
        rig.input(guest.data(0, 100).ack(guest.theirs(1_000_000)).build());
        assertThat(rig.stream().written)
                .as("its payload counts no more than it does")
                .isZero();
        guest.send(100);
        assertThat(rig.stream().written).isEqualTo(100);
    }

    @Test
    void oldAcknowledgementsChangeNothing() {
        TcpGuest guest = connect();
        rig.stream().produce(50_000);
        rig.turn();
        guest.acknowledge(40_000);
        rig.sent.take();
        rig.input(guest.at(0).ack(guest.theirs(10_000)).window(1).build());
        assertThat(rig.sent.frames()).isEmpty();
        assertThat(rig.stream().discarded).isEqualTo(40_000);
        rig.input(guest.at(0).ack(guest.theirs(-100_000_000)).build());
        guest.next().hasOnly(ACK);
        guest.acknowledge(50_000);
        assertThat(rig.stream().discarded).isEqualTo(50_000);
    }

    @Test
    void aSegmentWithoutAcknowledgementIsDropped() {
        TcpGuest guest = connect();
        rig.input(
                rig.guest.tcp(TcpRig.SERVER, 80).seq(guest.mine(0)).payload("x").build());
        assertThat(rig.drops.get(DropReason.TCP_FLAGS)).isEqualTo(1);
        assertThat(rig.stream().written).isZero();
    }

    @Test
    void aResetIsNeverAnsweredByOne() {
        rig.input(rig.guest.tcp(TcpRig.SERVER, 80).seq(1).flags(RST).build());
        rig.input(rig.guest.tcp(TcpRig.SERVER, 80).seq(1).ack(7).flags(RST).build());
        assertThat(rig.sent.frames()).isEmpty();
    }
}
