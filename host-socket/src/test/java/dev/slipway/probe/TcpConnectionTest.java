package dev.slipway.probe;

import static org.assertj.core.api.Assertions.assertThat;

import dev.slipway.probe.SimulatedWire.Misery;
import dev.slipway.wire.DropReason;
import dev.slipway.wire.EthernetFrame;
import dev.slipway.wire.IpAddress;
import dev.slipway.wire.Ipv4Packet;
import dev.slipway.wire.TcpSegment;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.SplittableRandom;
import java.util.function.BooleanSupplier;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Two guests open a connection to each other at the same moment (RFC 9293, figure 8) and use it. */
class TcpConnectionTest {

    private static final int LEFT = IpAddress.parseV4("10.0.0.1");
    private static final int RIGHT = IpAddress.parseV4("10.0.0.2");
    private static final long SECOND = 1_000_000_000L;

    private final long seed = Long.getLong("seed", System.nanoTime());
    private final SplittableRandom random = new SplittableRandom(seed);
    private final Pattern pattern = new Pattern(7);

    private SimulatedWire wire;
    private Guest left;
    private Guest right;
    private TcpConnection leftEnd;
    private TcpConnection rightEnd;

    private void connect(Misery misery, int leftSequence, int rightSequence) throws IOException {
        wire = new SimulatedWire(random, misery);
        left = guest(0, LEFT);
        right = guest(1, RIGHT);
        learn(left, RIGHT);
        learn(right, LEFT);
        leftEnd = left.connect(RIGHT, 2000, 1000, leftSequence);
        rightEnd = right.connect(LEFT, 1000, 2000, rightSequence);
        run(() -> leftEnd.isOpen() && rightEnd.isOpen(), 600 * SECOND);
    }

    private Guest guest(int end, int address) {
        Guest guest = new Guest(wire.end(end), 0x0200_0000_0001L + end, random.split());
        guest.configure(new Lease(address, -1 << 8, 0, List.of(), 1500, -1, 0), 1500);
        return guest;
    }

    /** ARP across a wire that loses frames is not what is tested here. */
    private static void learn(Guest guest, int neighbour) {
        guest.neighbour(neighbour, 0x0200_0000_0001L + (neighbour == RIGHT ? 1 : 0));
    }

    private void run(BooleanSupplier done, long limit) throws IOException {
        long deadline = wire.now() + limit;
        while (!done.getAsBoolean()) {
            assertThat(wire.now())
                    .as("virtual time, seed %d, %d bytes readable", seed, rightEnd == null ? 0 : rightEnd.readable())
                    .isLessThan(deadline);
            left.turn(0);
            right.turn(0);
            wire.advance(Math.min(wire.now() + SECOND, Math.min(left.nextDeadline(), right.nextDeadline())));
        }
    }

    @AfterEach
    void close() throws IOException {
        left.close();
        right.close();
    }

    /** Sends from left to right, compares every byte, and ends the connection in order from both sides. */
    private void transfer(long length, long limit) throws IOException {
        long[] sent = {0};
        long[] got = {0};
        long[] wrong = {-1};
        run(
                () -> {
                    int piece = (int) Math.min(Math.min(pattern.run(sent[0]), 1 << 16), length - sent[0]);
                    sent[0] += leftEnd.write(pattern.bytes(), pattern.offset(sent[0]), piece);
                    if (sent[0] == length) {
                        leftEnd.finish();
                    }
                    rightEnd.drain((position, bytes, offset, count) -> {
                        wrong[0] = Math.max(wrong[0], pattern.firstDifference(position, bytes, offset, count));
                        got[0] = position + count;
                    });
                    if (rightEnd.isAtEnd()) {
                        rightEnd.finish();
                    }
                    return leftEnd.end() != TcpConnection.End.NONE && rightEnd.end() != TcpConnection.End.NONE;
                },
                limit);
        assertThat(got[0]).as("bytes received, seed %d", seed).isEqualTo(length);
        assertThat(wrong[0]).as("first wrong byte, seed %d", seed).isEqualTo(-1);
        assertThat(leftEnd.end()).as("seed %d", seed).isEqualTo(TcpConnection.End.FINISHED);
        assertThat(rightEnd.end()).as("seed %d", seed).isEqualTo(TcpConnection.End.FINISHED);
    }

    @ParameterizedTest(name = "loss {0}, duplication {1}, reordering {2}")
    @CsvSource({"0,0,0", "0.001,0,0", "0.01,0.01,0", "0,0,0.2", "0.05,0.05,0.1", "0.2,0,0"})
    void everyByteArrivesOnceWhateverTheWireDoes(double loss, double duplication, double reordering)
            throws IOException {
        connect(new Misery(loss, duplication, reordering), random.nextInt(), random.nextInt());
        transfer(2 << 20, 100_000 * SECOND);
        if (loss == 0 && reordering == 0) {
            assertThat(leftEnd.retransmissions()).as("seed %d", seed).isZero();
        } else if (loss > 0.01) {
            assertThat(leftEnd.retransmissions()).as("seed %d", seed).isPositive();
        }
    }

    @ParameterizedTest(name = "loss {0}, reordering {1}")
    @CsvSource({"0.01,0", "0.05,0.1", "0.2,0"})
    void thePeerIsToldOfWhatCameBehindGaps(double loss, double reordering) throws IOException {
        int leftSequence = random.nextInt();
        connect(new Misery(loss, 0.01, reordering), leftSequence, random.nextInt());
        SackJudge judge = new SackJudge(leftSequence);
        wire.tap(judge);
        transfer(1 << 20, 100_000 * SECOND);
        assertThat(judge.wrong).as("seed %d", seed).isEmpty();
        assertThat(judge.blocks).as("blocks seen, seed %d", seed).isPositive();
        assertThat(judge.most).as("blocks in one segment, seed %d", seed).isBetween(1, TcpSegment.MAX_SACK_BLOCKS);
    }

    @Test
    void sequenceNumbersMayWrapInTheMiddle() throws IOException {
        connect(new Misery(0.01, 0, 0), 0xFFFF_FFF0, 0xFFF0_0000);
        transfer(3 << 20, 10_000 * SECOND);
    }

    @Test
    void oneHalfMayEndAndTheOtherGoOn() throws IOException {
        connect(new Misery(0, 0, 0), 1, 2);
        rightEnd.finish();
        run(leftEnd::isAtEnd, 10 * SECOND);
        assertThat(leftEnd.isOpen()).isTrue();
        transfer(1 << 20, 100 * SECOND);
    }

    @Test
    void aResetEndsBothSides() throws IOException {
        connect(new Misery(0, 0, 0), 1, 2);
        leftEnd.abort();
        run(() -> rightEnd.end() != TcpConnection.End.NONE, 10 * SECOND);
        assertThat(rightEnd.end()).isEqualTo(TcpConnection.End.RESET);
        assertThat(leftEnd.end()).isEqualTo(TcpConnection.End.ABORTED);
    }

    @Test
    void aPortWhereNobodyListensRefuses() throws IOException {
        wire = new SimulatedWire(random, new Misery(0, 0, 0));
        left = guest(0, LEFT);
        right = guest(1, RIGHT);
        learn(left, RIGHT);
        leftEnd = left.connect(RIGHT, 2000);
        run(() -> leftEnd.end() != TcpConnection.End.NONE, 10 * SECOND);
        assertThat(leftEnd.end()).isEqualTo(TcpConnection.End.REFUSED);
    }

    @Test
    void aPeerThatIsSilentIsGivenUp() throws IOException {
        wire = new SimulatedWire(random, new Misery(1, 0, 0));
        left = guest(0, LEFT);
        right = guest(1, RIGHT);
        learn(left, RIGHT);
        leftEnd = left.connect(RIGHT, 2000);
        run(() -> leftEnd.end() != TcpConnection.End.NONE, 1_000 * SECOND);
        assertThat(leftEnd.end()).isEqualTo(TcpConnection.End.TIMED_OUT);
    }

    /** Compares what the right end says has come (RFC 2018) with what has come. */
    private static final class SackJudge implements SimulatedWire.Tap {
        private final int origin;
        private final BitSet came = new BitSet();
        private final EthernetFrame ethernet = new EthernetFrame();
        private final Ipv4Packet ip = new Ipv4Packet();
        private final TcpSegment tcp = new TcpSegment();
        private int last;
        private final List<String> wrong = new ArrayList<>();
        private long blocks;
        private int most;

        SackJudge(int leftSequence) {
            origin = leftSequence + 1;
        }

        @Override
        public void received(int end, byte[] frame) {
            if (end == 1 && parse(frame) && tcp.payloadLength() > 0) {
                last = tcp.sequence() - origin;
                came.set(last, last + tcp.payloadLength());
            }
        }

        @Override
        public void sent(int end, byte[] frame) {
            if (end != 1 || !parse(frame)) {
                return;
            }
            most = Math.max(most, tcp.sackBlocks());
            blocks += tcp.sackBlocks();
            for (int i = 0; i < tcp.sackBlocks(); i++) {
                int from = tcp.sackLeft(i) - origin;
                int to = tcp.sackRight(i) - origin;
                boolean isTrue = from > tcp.acknowledgement() - origin
                        && from < to
                        && came.nextClearBit(from) == to
                        && !came.get(from - 1);
                boolean isDue = i > 0 || from <= last && last < to || last < tcp.acknowledgement() - origin;
                if (!isTrue || !isDue) {
                    wrong.add("block " + i + " of " + tcp.sackBlocks() + ": " + from + " to " + to + " behind "
                            + (tcp.acknowledgement() - origin) + ", last came " + last);
                }
            }
        }

        private boolean parse(byte[] frame) {
            MemorySegment bytes = MemorySegment.ofArray(frame);
            return ethernet.parse(bytes, 0, frame.length) == DropReason.NONE
                    && ip.parse(bytes, EthernetFrame.HEADER_LENGTH, frame.length - EthernetFrame.HEADER_LENGTH)
                            == DropReason.NONE
                    && tcp.parse(bytes, ip.payloadOffset(), ip.payloadLength(), ip.source(), ip.destination(), true)
                            == DropReason.NONE;
        }
    }
}
