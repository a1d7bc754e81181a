package dev.slipway.tcp;

import static dev.slipway.testing.PacketMatchers.assertThat;
import static dev.slipway.wire.TcpSegment.ACK;
import static org.assertj.core.api.Assertions.assertThat;

import dev.slipway.testing.SentFrame;
import dev.slipway.testing.TcpAssert;
import dev.slipway.wire.DropReason;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Payload of the guest: what is acknowledged when, what is promised, what is kept. */
class FromGuestTest {

    private static final int UNIT = 1 << FromGuest.WINDOW_SCALE;

    private final TcpRig rig = new TcpRig();

    @Test
    void nothingIsAcknowledgedBeforeTheHostsKernelHasIt() {
        TcpGuest guest = rig.connect(40_000);
        rig.stream().takenPerFlush = 300;
        guest.send(1_000);
        guest.next().ack(guest.mine(300));
        rig.advance(10 * TcpRig.SECOND);
        assertThat(rig.sent.frames()).isEmpty();
        rig.stream().take(600);
        rig.turn();
        guest.next().ack(guest.mine(900));
        rig.stream().take(100);
        rig.turn();
        guest.next().ack(guest.mine(1_000));
    }

    @Test
    void whatCameInOneTurnIsAcknowledgedOnce() {
        TcpGuest guest = rig.connect(40_000);
        for (int i = 0; i < 20; i++) {
            rig.inputOnly(guest.data(1_000L * i, 1_000).build());
        }
        rig.turn();
        assertThat(rig.sent.only()).isTcp().hasOnly(ACK).ack(guest.mine(20_000));
    }

    @Test
    void aKeepaliveIsAnswered() {
        TcpGuest guest = rig.connect(40_000);
        rig.input(guest.at(-1).build());
        guest.next().hasOnly(ACK).ack(guest.mine(0));
        rig.input(guest.data(-1, 1).build());
        guest.next().hasOnly(ACK).ack(guest.mine(0));
        assertThat(rig.stream().written).isZero();
    }

    @Test
    void aPureAcknowledgementIsNotAnswered() {
        TcpGuest guest = rig.connect(40_000);
        rig.input(guest.segment().build());
        assertThat(rig.sent.frames()).isEmpty();
    }

    @Test
    void theWindowIsTheHostsRoomAndOpensAgainInWholeSteps() {
        rig.host = () -> {
            PatternStream stream = TcpRig.quiet();
            stream.capacity = 20_000;
            stream.readerIsSlow = true;
            return stream;
        };
        TcpGuest guest = rig.connect(40_000);
        while (guest.sentBytes < 20_000) {
            guest.send((int) Math.min(1_460, 20_000 - guest.sentBytes));
        }
        TcpAssert last = assertThat(rig.sent.take().getLast())
                .isTcp()
                .ack(guest.mine(20_000))
                .hasWindow(0);
        assertThat(rig.stream().written).isEqualTo(20_000);
        assertThat(last.window()).isZero();
        for (int i = 0; i < 100; i++) {
            rig.stream().consume(29);
            rig.turn();
        }
        // 2,900 bytes of room, but the window moves on by a segment at least.
        List<SentFrame> updates = rig.sent.take();
        assertThat(updates).hasSizeBetween(1, 2);
        assertThat(updates)
                .allSatisfy(frame ->
                        assertThat(assertThat(frame).isTcp().window() * UNIT).isGreaterThanOrEqualTo(1_280));
    }

    @Test
    void dataIntoAShutWindowIsTrimmedAndAnswered() {
        rig.host = () -> {
            PatternStream stream = TcpRig.quiet();
            stream.capacity = 2_000;
            stream.readerIsSlow = true;
            return stream;
        };
        TcpGuest guest = rig.connect(40_000);
        guest.send(5_000);
        assertThat(rig.stream().written).isEqualTo(2_000);
        assertThat(rig.drops.get(DropReason.TCP_OUT_OF_WINDOW)).isEqualTo(1);
        guest.next().ack(guest.mine(2_000)).hasWindow(0);
        for (int i = 0; i < 10; i++) {
            rig.input(guest.data(2_000, 1).build());
            guest.next().ack(guest.mine(2_000)).hasWindow(0);
        }
        assertThat(rig.stream().written).isEqualTo(2_000);
        rig.stream().consume(2_000);
        rig.turn();
        assertThat(guest.next().ack(guest.mine(2_000)).window()).isPositive();
        rig.input(guest.data(2_000, 1_000).build());
        assertThat(rig.stream().written).isEqualTo(3_000);
    }

    @Test
    void dataFarBeyondTheWindowIsDroppedAndAnswered() {
        TcpGuest guest = rig.connect(40_000);
        rig.input(guest.data(50_000_000, 100).build());
        guest.next().hasOnly(ACK).ack(guest.mine(0));
        assertThat(rig.drops.get(DropReason.TCP_OUT_OF_WINDOW)).isEqualTo(1);
        assertThat(rig.table.outOfOrderBytes()).isZero();
    }

    /**
     * Whatever the host's room does: what is promised is never taken back, as far as the window field can say it, and is
     * never more than there is room for (which the stream itself checks at each write).
     */
    @ParameterizedTest
    @ValueSource(longs = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20})
    void theRightEdgeNeverRetreats(long seed) {
        Random random = new Random(seed);
        rig.host = () -> {
            PatternStream stream = TcpRig.quiet();
            stream.capacity = 1_000 + random.nextInt(200_000);
            stream.readerIsSlow = true;
            stream.takenPerFlush = random.nextInt(4_000);
            return stream;
        };
        boolean scaled = random.nextBoolean();
        TcpGuest guest = new TcpGuest(rig, 40_000, random.nextInt());
        rig.input(
                scaled
                        ? guest.syn().build()
                        : rig.guest
                                .tcp(TcpRig.SERVER, 80)
                                .flags(dev.slipway.wire.TcpSegment.SYN)
                                .seq(guest.isn)
                                .mss(1460)
                                .build());
        SentFrame synAck = rig.sent.only();
        int unit = scaled ? UNIT : 1;
        long edge = assertThat(synAck).isTcp().window();
        guest.established(synAck);
        PatternStream stream = rig.stream();
        for (int i = 0; i < 3_000; i++) {
            int most = (int) Math.min(
                    edge - guest.sentBytes, random.nextInt(8) == 0 ? 60_000 : random.nextInt(4) == 0 ? 3 : 1_460);
            switch (random.nextInt(4)) {
                case 0, 1 -> {
                    if (most > 0) {
                        guest.send(1 + random.nextInt(most));
                    }
                }
                case 2 -> {
                    stream.take(random.nextInt(5_000));
                    rig.turn();
                }
                default -> {
                    stream.consume(random.nextInt(5_000));
                    rig.turn();
                }
            }
            for (SentFrame frame : rig.sent.take()) {
                TcpAssert segment = assertThat(frame).isTcp();
                long acknowledged = (int) (segment.ack() - guest.mine(0));
                long told = acknowledged + (long) segment.window() * unit;
                assertThat(acknowledged).as("seed %d, step %d", seed, i).isLessThanOrEqualTo(stream.flushed);
                assertThat(told).as("seed %d, step %d: the edge", seed, i).isGreaterThan(edge - unit);
                assertThat(told).as("seed %d, step %d: the room", seed, i).isLessThanOrEqualTo(stream.promised);
                edge = Math.max(edge, told);
            }
        }
        assertThat(stream.written)
                .as("seed %d", seed)
                .isEqualTo(guest.sentBytes)
                .isGreaterThan(stream.capacity);
    }

    @ParameterizedTest
    @ValueSource(longs = {0xFFFF_FFF0L, 0xFFFF_FFFFL, 0xFFFF_0000L, 0x7FFF_FFF0L, 0})
    void sequenceNumbersWrap(long initial) {
        TcpGuest guest = rig.connect(40_000, initial);
        for (int i = 0; i < 100; i++) {
            rig.input(guest.data(2_000L * i + 1_000, 1_000).build());
            rig.input(guest.data(2_000L * i, 1_000).build());
        }
        assertThat(rig.stream().written).isEqualTo(200_000);
        assertThat(rig.sent.take().getLast()).isTcp().ack(guest.mine(200_000));
    }

    /** Urgent pointers have no meaning here (robustness, row 43): the bytes are data in line. */
    @Test
    void urgentPointersAreIgnored() {
        TcpGuest guest = rig.connect(40_000);
        for (int i = 0; i < 10_000; i++) {
            int pointer = new int[] {0, 1, 11, 0xFFFF}[i % 4];
            rig.input(guest.data(10L * i, 10).urgent(pointer).build());
        }
        assertThat(rig.stream().written).isEqualTo(100_000);
        assertThat(rig.sent.take().getLast()).isTcp().ack(guest.mine(100_000));
    }

    /** Row 45: memory is bounded, and the connection survives when the guest sends it all again. */
    @Test
    void aFloodOfSingleBytesOutOfOrderIsBoundedAndSurvived() {
        TcpGuest guest = rig.connect(40_000);
        for (int i = 1; i < 65_536; i += 2) {
            rig.input(guest.data(i, 1).build());
            if (i % 1_001 == 0) {
                rig.sent.take();
            }
        }
        assertThat(rig.table.outOfOrderBytes()).isBetween(1_024, 1_024 * (1 + OutOfOrder.PIECE_OVERHEAD));
        assertThat(rig.drops.get(DropReason.TCP_REASSEMBLY_LIMIT)).isPositive();
        rig.sent.take();
        for (int i = 0; i < 65_536; i += 1_024) {
            rig.input(guest.data(i, 1_024).build());
        }
        assertThat(rig.stream().written).isEqualTo(65_536);
        assertThat(rig.table.outOfOrderBytes()).isZero();
    }

    @Test
    void allConnectionsTogetherKeepOnlySoMuchOutOfOrder() {
        for (int port = 1; port <= 40; port++) {
            rig.host = TcpRig::quiet;
            TcpGuest guest = rig.connect(port);
            for (int at = 1_460; at < 900_000; at += 60_000) {
                rig.input(guest.data(at, 59_000).build());
            }
            rig.sent.take();
        }
        assertThat(rig.table.outOfOrderBytes()).isLessThanOrEqualTo(16 << 20).isGreaterThan(12 << 20);
        rig.table.reset();
        assertThat(rig.table.outOfOrderBytes()).isZero();
    }

    @Test
    void whatComesOutOfOrderIsReportedNewestFirst() {
        TcpGuest guest = rig.connect(40_000);
        rig.input(guest.data(1_000, 100).build());
        rig.input(guest.data(3_000, 100).build());
        rig.input(guest.data(2_000, 100).build());
        List<SentFrame> frames = rig.sent.take();
        assertThat(frames).hasSize(3);
        assertThat(frames.getLast())
                .isTcp()
                .ack(guest.mine(0))
                .hasSack(
                        guest.mine(2_000),
                        guest.mine(2_100),
                        guest.mine(1_000),
                        guest.mine(1_100),
                        guest.mine(3_000),
                        guest.mine(3_100));
    }
}
