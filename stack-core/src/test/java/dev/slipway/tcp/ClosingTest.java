package dev.slipway.tcp;

import static dev.slipway.tcp.TcpRig.SECOND;
import static dev.slipway.testing.PacketMatchers.assertThat;
import static dev.slipway.wire.TcpSegment.ACK;
import static dev.slipway.wire.TcpSegment.FIN;
import static dev.slipway.wire.TcpSegment.SYN;
import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

/** How the two directions end, each by itself (RFC 9293, section 3.6). */
class ClosingTest {

    private final TcpRig rig = new TcpRig();

    private TcpGuest connect(long fromHost, boolean ends) {
        rig.host = () -> {
            PatternStream stream = new PatternStream(fromHost, 2, 1);
            stream.produced = 0;
            stream.ends = ends;
            return stream;
        };
        return rig.connect(40_000);
    }

    @Test
    void theGuestEndsFirstAndTheHostGoesOn() {
        TcpGuest guest = connect(5_000, true);
        guest.send(100);
        guest.next().ack(guest.mine(100));
        guest.finish();
        guest.next().hasOnly(ACK).ack(guest.mine(101));
        assertThat(rig.stream().shutdownWanted).isTrue();
        rig.stream().produce(3_000);
        rig.turn();
        guest.next().seq(guest.theirs(0)).hasPayloadLength(3_000).ack(guest.mine(101));
        rig.stream().produce(2_000);
        rig.turn();
        guest.next().seq(guest.theirs(3_000)).hasPayloadLength(2_000);
        guest.next().has(FIN).seq(guest.theirs(5_000));
        guest.acknowledge(5_001);
        assertThat(rig.stream().wasClosed).isTrue();
        assertThat(rig.stream().wasReset).isFalse();
        rig.advance(2 * SECOND);
        assertThat(rig.table.size()).isZero();
    }

    @Test
    void theHostEndsFirstAndTheGuestGoesOn() {
        TcpGuest guest = connect(1_000, true);
        rig.stream().produce(1_000);
        rig.turn();
        guest.next().hasPayloadLength(1_000);
        guest.next().has(FIN).seq(guest.theirs(1_000));
        guest.acknowledge(1_001);
        assertThat(rig.stream().shutdownWanted).isFalse();
        for (int i = 0; i < 100; i++) {
            guest.send(1_460);
            guest.next().hasOnly(ACK).ack(guest.mine(guest.sentBytes)).seq(guest.theirs(1_001));
        }
        assertThat(rig.stream().written).isEqualTo(146_000);
        guest.finish();
        guest.next().ack(guest.mine(146_001));
        assertThat(rig.stream().wasClosed).isTrue();
    }

    @Test
    void bothEndAtOnce() {
        TcpGuest guest = connect(0, false);
        rig.stream().ends = true;
        rig.stream().listener.readable();
        rig.turn();
        guest.next().has(FIN).seq(guest.theirs(0));
        guest.finish();
        guest.next().hasOnly(ACK).ack(guest.mine(1)).seq(guest.theirs(1));
        assertThat(rig.stream().wasClosed).isFalse();
        guest.acknowledge(1);
        assertThat(rig.stream().wasClosed).isTrue();
    }

    @Test
    void aFinIsAcknowledgedWhenTheHostIsHalfClosedAndNotBefore() {
        TcpGuest guest = connect(0, false);
        rig.stream().takenPerFlush = 0;
        guest.send(100);
        guest.finish();
        assertThat(rig.stream().shutdownWanted).isTrue();
        assertThat(rig.sent.take())
                .allSatisfy(frame -> assertThat(frame).isTcp().ack(guest.mine(0)));
        rig.stream().take(60);
        rig.turn();
        guest.next().ack(guest.mine(60));
        rig.stream().take(40);
        rig.turn();
        guest.next().ack(guest.mine(101));
    }

    @Test
    void anEndOutOfOrderIsPassedOnOnlyWhenTheGapIsFilled() {
        TcpGuest guest = connect(0, false);
        rig.input(guest.data(1_000, 500).flags(FIN).build());
        guest.next().ack(guest.mine(0)).hasSack(guest.mine(1_000), guest.mine(1_500));
        rig.sent.take();
        assertThat(rig.stream().shutdownWanted).isFalse();
        rig.input(guest.data(0, 400).build());
        assertThat(rig.stream().shutdownWanted).isFalse();
        rig.sent.take();
        rig.input(guest.data(400, 600).build());
        assertThat(rig.stream().written).isEqualTo(1_500);
        assertThat(rig.stream().shutdownWanted).isTrue();
        guest.next().ack(guest.mine(1_501));
    }

    @Test
    void whatCameBehindAnEndIsNotPassedOn() {
        TcpGuest guest = connect(0, true);
        rig.input(guest.data(500, 1_000).build());
        rig.input(guest.data(0, 700).flags(FIN).build());
        assertThat(rig.stream().written).isEqualTo(700);
        assertThat(rig.stream().shutdownWanted).isTrue();
        assertThat(rig.table.outOfOrderBytes()).isZero();
    }

    @Test
    void aRepeatedFinIsAcknowledgedAgain() {
        TcpGuest guest = connect(0, false);
        guest.finish();
        guest.next().ack(guest.mine(1));
        rig.input(guest.at(0).flags(FIN).build());
        guest.next().hasOnly(ACK).ack(guest.mine(1));
    }

    @Test
    void afterTheEndARepeatedFinIsStillAcknowledged() {
        TcpGuest guest = closed();
        rig.input(guest.at(0).flags(FIN).build());
        guest.next().hasOnly(ACK).ack(guest.mine(1)).seq(guest.theirs(1));
        rig.advance(2 * SECOND);
        assertThat(rig.table.size()).isZero();
        rig.input(guest.at(0).flags(FIN).build());
        guest.next().has(dev.slipway.wire.TcpSegment.RST);
    }

    @Test
    void afterTheEndANewerSynBeginsAnewAndAnOlderOneDoesNot() {
        TcpGuest guest = closed();
        rig.input(new TcpGuest(rig, 40_000, guest.isn - 100_000).syn().build());
        assertThat(rig.streams).hasSize(1);
        guest.next().hasOnly(ACK).ack(guest.mine(1));
        TcpGuest again = new TcpGuest(rig, 40_000, guest.isn + 100_000);
        rig.input(again.syn().build());
        assertThat(rig.streams).hasSize(2);
        assertThat(rig.sent.only()).isTcp().hasOnly(SYN, ACK).ack(again.mine(0));
        assertThat(rig.table.size()).isEqualTo(1);
    }

    @Test
    void aLostFinOfTheHostIsRepeated() {
        TcpGuest guest = connect(0, false);
        rig.stream().ends = true;
        rig.stream().listener.readable();
        rig.turn();
        guest.next().has(FIN);
        rig.advance(3 * SECOND);
        assertThat(rig.sent.take())
                .isNotEmpty()
                .allSatisfy(frame -> assertThat(frame).isTcp().has(FIN).seq(guest.theirs(0)));
        guest.acknowledge(1);
        rig.advance(100 * SECOND);
        assertThat(rig.sent.frames()).isEmpty();
    }

    private TcpGuest closed() {
        TcpGuest guest = connect(0, true);
        rig.stream().listener.readable();
        rig.turn();
        rig.sent.take();
        guest.gotBytes = 1;
        guest.finish();
        guest.next().ack(guest.mine(1));
        assertThat(rig.stream().wasClosed).isTrue();
        return guest;
    }
}
