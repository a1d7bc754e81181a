package dev.slipway.tcp;

import static dev.slipway.tcp.TcpRig.SECOND;
import static dev.slipway.testing.PacketMatchers.assertThat;
import static dev.slipway.wire.TcpSegment.ACK;
import static dev.slipway.wire.TcpSegment.RST;
import static dev.slipway.wire.TcpSegment.SYN;
import static org.assertj.core.api.Assertions.assertThat;

import dev.slipway.testing.SentFrame;
import dev.slipway.wire.DropReason;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

/** Many connections: limits, churn, fairness, and defects that cost one of them only. */
class TcpTableTest {

    @Test
    void theOldestHalfOpenMakesRoomForANewOne() {
        TcpRig rig = new TcpRig(TcpRig.limited(1_000, 10));
        rig.hostIsSilent = true;
        for (int port = 1; port <= 25; port++) {
            rig.input(new TcpGuest(rig, port, 1).syn().build());
        }
        assertThat(rig.table.halfOpen()).isEqualTo(10);
        assertThat(rig.table.size()).isEqualTo(10);
        assertThat(rig.drops.get(DropReason.TCP_HALF_OPEN_LIMIT)).isEqualTo(15);
        for (int i = 0; i < 25; i++) {
            assertThat(rig.streams.get(i).wasReset).as("connect %d", i).isEqualTo(i < 15);
        }
        rig.stream().listener.connected();
        rig.turn();
        assertThat(rig.sent.only()).isTcp().hasOnly(SYN, ACK).to("192.168.65.3", 25);
    }

    @Test
    void connectionsBeyondTheLimitAreRefusedAndOthersGoOn() {
        TcpRig rig = new TcpRig(TcpRig.limited(5, 100));
        List<TcpGuest> guests = new ArrayList<>();
        for (int port = 1; port <= 5; port++) {
            guests.add(rig.connect(port));
        }
        TcpGuest late = new TcpGuest(rig, 6, 1);
        rig.input(late.syn().build());
        assertThat(rig.sent.only()).isTcp().has(RST).to("192.168.65.3", 6);
        assertThat(rig.streams).hasSize(5);
        assertThat(rig.drops.get(DropReason.TCP_FLOW_LIMIT)).isEqualTo(1);
        guests.getFirst().send(100);
        assertThat(rig.streams.getFirst().written).isEqualTo(100);
        guests.getFirst().reset(guests.getFirst().mine(100));
        rig.sent.take();
        rig.connect(6);
    }

    @Test
    void connectsBeyondTheRateAreDroppedAndComeAgainWhenThereIsRoom() {
        TcpRig rig = new TcpRig(TcpRig.limitedConnects(50));
        rig.hostIsSilent = true;
        for (int port = 1; port <= 1_000; port++) {
            rig.input(new TcpGuest(rig, port, 1).syn().build());
        }
        assertThat(rig.streams).as("connects of the host").hasSize(50);
        assertThat(rig.sent.take()).as("nothing is refused").isEmpty();
        assertThat(rig.drops.get(DropReason.TCP_CONNECT_RATE)).isEqualTo(950);
        rig.now += TcpRig.SECOND / 10;
        for (int port = 901; port <= 1_000; port++) {
            rig.input(new TcpGuest(rig, port, 1).syn().build());
        }
        assertThat(rig.streams).as("a tenth of a second later").hasSize(55);
    }

    /** RFC 6864, section 4.1: who counts there tells everyone how much else he has sent. */
    @Test
    void packetThatNobodyMayFragmentHasNoIdentification() {
        TcpRig rig = new TcpRig();
        for (int port = 1; port <= 20; port++) {
            rig.input(new TcpGuest(rig, port, 1).syn().build());
            byte[] synAck = rig.sent.only().bytes();
            assertThat(synAck[20] & 0x40).as("do not fragment").isNotZero();
            assertThat(synAck[18] << 8 | synAck[19]).as("identification").isZero();
        }
    }

    @Test
    void tenThousandAbortedConnectsLeaveNothing() {
        TcpRig rig = new TcpRig();
        for (int i = 0; i < 10_000; i++) {
            TcpGuest guest = new TcpGuest(rig, 1_024 + i, i * 1_000L);
            rig.input(guest.syn().build());
            assertThat(rig.sent.only()).isTcp().hasOnly(SYN, ACK);
            guest.reset(guest.mine(0));
            assertThat(rig.stream().wasReset).isTrue();
            rig.streams.clear();
        }
        assertThat(rig.table.size()).isZero();
        assertThat(rig.table.halfOpen()).isZero();
        assertThat(rig.deadlines.size()).isZero();
        rig.connect(80).send(10);
        assertThat(rig.stream().written).isEqualTo(10);
    }

    @Test
    void connectionsAreFoundThroughChurn() {
        TcpRig rig = new TcpRig();
        Random random = new Random(5);
        List<TcpGuest> open = new ArrayList<>();
        List<PatternStream> streams = new ArrayList<>();
        for (int i = 0; i < 6_000; i++) {
            int port = 1 + random.nextInt(3_000);
            int known = -1;
            for (int k = 0; k < open.size(); k++) {
                known = open.get(k).port == port ? k : known;
            }
            if (known < 0) {
                open.add(rig.connect(port));
                streams.add(rig.stream());
            } else if (random.nextBoolean()) {
                TcpGuest guest = open.remove(known);
                PatternStream stream = streams.remove(known);
                guest.reset(guest.mine(guest.sentBytes));
                assertThat(stream.wasReset).isTrue();
            } else {
                open.get(known).send(10);
                assertThat(streams.get(known).written).isEqualTo(open.get(known).sentBytes);
            }
            rig.sent.take();
            assertThat(rig.table.size()).isEqualTo(open.size());
        }
    }

    @Test
    void aDefectCostsItsOwnConnectionOnly() {
        TcpRig rig = new TcpRig();
        TcpGuest first = rig.connect(1);
        PatternStream bad = rig.stream();
        TcpGuest second = rig.connect(2);
        bad.failPeeks = 1;
        rig.inputOnly(first.data(0, 100).build());
        rig.inputOnly(second.data(0, 100).build());
        bad.produced = 100;
        bad.listener.readable();
        rig.stream().produce(100);
        rig.turn();
        assertThat(rig.table.counters().failures()).isEqualTo(1);
        assertThat(rig.failures).hasSize(1);
        assertThat(bad.wasReset).isTrue();
        assertThat(rig.table.size()).isEqualTo(1);
        first.next().has(RST);
        second.next().hasPayloadLength(100).ack(second.mine(100));
    }

    @Test
    void aDefectInAnyCallIsContained() {
        TcpRig rig = new TcpRig();
        rig.failConnects = new IllegalStateException("no connect");
        TcpGuest refused = new TcpGuest(rig, 1, 500);
        rig.input(refused.syn().build());
        assertThat(rig.sent.only()).isTcp().hasOnly(RST, ACK).ack(501);
        rig.failConnects = null;

        TcpGuest writing = rig.connect(2);
        rig.stream().failWrites = new IllegalStateException("no write");
        writing.send(10);
        writing.next().has(RST);

        TcpGuest timed = rig.connect(3);
        rig.stream().produce(100);
        rig.turn();
        timed.next().hasPayloadLength(100);
        rig.stream().failPeeks = 1;
        rig.advance(5 * SECOND);
        timed.next().has(RST);
        assertThat(rig.table.counters().failures()).isEqualTo(3);
        assertThat(rig.table.size()).isZero();
        assertThat(rig.deadlines.size()).isZero();
        rig.connect(4);
    }

    @Test
    void aStreamThatFailsEvenWhenResetTakesNobodyAlong() {
        TcpRig rig = new TcpRig(TcpRig.limited(100, 1));
        TcpGuest broken = rig.connect(1);
        rig.stream().failResets = new IllegalStateException("no reset");
        rig.stream().failWrites = new IllegalStateException("no write");
        TcpGuest other = rig.connect(2);
        rig.inputOnly(broken.data(0, 10).build());
        rig.inputOnly(other.data(0, 10).build());
        rig.turn();
        broken.next().has(RST);
        other.next().ack(other.mine(10));
        assertThat(rig.failures).hasSize(2);
        assertThat(rig.table.size()).isEqualTo(1);

        rig.input(new TcpGuest(rig, 3, 1).syn().build());
        rig.stream().failResets = new IllegalStateException("no reset");
        rig.input(new TcpGuest(rig, 4, 1).syn().build());
        assertThat(rig.table.halfOpen())
                .as("the half-open one made room all the same")
                .isEqualTo(1);
        rig.stream().failResets = new IllegalStateException("no reset");
        rig.table.reset();
        assertThat(rig.table.size()).isZero();
    }

    @Test
    void resetLeavesNothingAndTheNextConnectWorks() {
        TcpRig rig = new TcpRig();
        for (int port = 1; port <= 50; port++) {
            TcpGuest guest = rig.connect(port);
            rig.input(guest.data(1_000, 100).build());
            rig.stream().produce(1_000);
            rig.turn();
            rig.sent.take();
        }
        rig.table.reset();
        rig.turn();
        assertThat(rig.sent.frames()).isEmpty();
        assertThat(rig.streams).allSatisfy(stream -> assertThat(stream.wasReset).isTrue());
        assertThat(rig.table.size() + rig.table.halfOpen() + rig.table.outOfOrderBytes() + rig.deadlines.size())
                .isZero();
        rig.input(rig.guest
                .tcp(TcpRig.SERVER, 80)
                .port(7)
                .seq(9)
                .ack(1_234)
                .payload("late")
                .build());
        assertThat(rig.sent.only()).isTcp().hasOnly(RST).seq(1_234);
        rig.connect(7);
    }

    /** The channel takes little at a time: all flows get on, whatever wakes them. */
    @Test
    void flowsShareANarrowChannel() {
        TcpRig rig = new TcpRig();
        List<TcpGuest> guests = new ArrayList<>();
        for (int port = 1; port <= 20; port++) {
            guests.add(rig.connect(port));
        }
        rig.sent.room(0);
        for (PatternStream stream : rig.streams) {
            stream.produce(10 << 20);
        }
        rig.turn();
        assertThat(rig.sent.frames()).isEmpty();
        long[] got = new long[21];
        for (int round = 0; round < 2_000; round++) {
            rig.sent.room(10_000);
            rig.table.guestReady();
            rig.turn();
            int used = 0;
            List<SentFrame> frames = rig.sent.take();
            // By now the channel has drained a little, but has not said so yet.
            rig.sent.room(5_000);
            for (SentFrame frame : frames) {
                used += frame.length();
                int port = (frame.bytes()[36] & 0xFF) << 8 | frame.bytes()[37] & 0xFF;
                got[port] += frame.length() - 54;
                TcpGuest guest = guests.get(port - 1);
                guest.gotBytes = got[port];
                // The acknowledgement wakes its flow at once, while the others still wait.
                rig.input(guest.segment().build());
                assertThat(rig.sent.frames()).as("nobody jumps the queue").isEmpty();
            }
            assertThat(used).isLessThan(10_000 + 2 * 1_514);
        }
        long least = Long.MAX_VALUE;
        long most = 0;
        for (int port = 1; port <= 20; port++) {
            least = Math.min(least, got[port]);
            most = Math.max(most, got[port]);
        }
        assertThat(least).as("of at most %d", most).isGreaterThan(most * 8 / 10);
    }

    @Test
    void aFlowBlockedWithNothingInFlightGoesOnWhenThereIsRoom() {
        TcpRig rig = new TcpRig();
        TcpGuest guest = rig.connect(1);
        rig.sent.room(1);
        rig.stream().produce(5_000);
        rig.turn();
        guest.next().hasPayloadLength(1_460);
        assertThat(rig.sent.frames()).isEmpty();
        rig.sent.room(1 << 20);
        rig.table.guestReady();
        rig.turn();
        guest.next().seq(guest.theirs(1_460)).hasPayloadLength(3_540);
    }
}
