package dev.slipway.tcp;

import static dev.slipway.testing.PacketMatchers.assertThat;
import static dev.slipway.wire.TcpSegment.PSH;
import static org.assertj.core.api.Assertions.assertThat;

import dev.slipway.testing.SentFrame;
import dev.slipway.testing.TcpAssert;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** A channel in whose memory long frames lie in rows, and payload that one look at the host's queue brings for a row. */
class RowsToGuestTest {

    private static final int SEED = Integer.getInteger("slipway.seed", new Random().nextInt());
    private static final int UNIT = 44 * 1460;

    private final TcpRig rig = new TcpRig();
    private final Random random = new Random(SEED);
    private TcpGuest guest;
    private long received;

    @BeforeEach
    void connect() {
        System.out.println("seed " + SEED);
        rig.sent.rows(4);
        guest = rig.connect(40_000);
    }

    /** Takes what was sent: each byte has to be the one of its number. Returns the frames with payload. */
    private List<SentFrame> take() {
        List<SentFrame> frames = rig.sent.take();
        for (SentFrame frame : frames) {
            TcpAssert segment = assertThat(frame).isTcp();
            byte[] payload = segment.payload();
            long position = (int) (segment.seq() - guest.theirs(0));
            for (int i = 0; i < payload.length; i++) {
                if (payload[i] != PatternStream.at(position + i, 2)) {
                    throw new AssertionError("byte " + (position + i) + " is wrong");
                }
            }
            if (position <= received) {
                received = Math.max(received, position + payload.length);
            }
        }
        return frames;
    }

    /** The guest takes all there is, until so much of it is under way at once. */
    private void widenTo(long inFlight) {
        rig.stream().produce(64 << 20);
        rig.turn();
        for (int round = 0; round < 200; round++) {
            long before = received;
            take();
            if (received - before >= inFlight) {
                guest.acknowledge(received);
                return;
            }
            guest.acknowledge(received);
        }
        throw new AssertionError("never " + inFlight + " bytes at once");
    }

    @Test
    void oneLookFillsTheUnitsOfARow() {
        widenTo(2 << 20);
        take();
        int looks = rig.stream().looksForPieces;
        guest.acknowledge(received);
        List<SentFrame> frames = take();
        assertThat(frames).hasSizeGreaterThan(12);
        assertThat(rig.stream().looksForPieces - looks).isBetween(1, (frames.size() + 3) / 4 + 1);
        assertThat(assertThat(frames.getFirst()).isTcp().payload()).hasSize(UNIT);
    }

    @Test
    void theLastFrameOfAllThereIsAsksForDeliveryAndNoOtherDoes() {
        PatternStream[] stream = new PatternStream[1];
        rig.host = () -> stream[0] = TcpRig.quiet();
        guest = rig.connect(40_001);
        received = 0;
        widenTo(1 << 20);
        while (!take().isEmpty()) {
            guest.acknowledge(received);
        }
        long before = received;
        stream[0].produce(3 * UNIT + 100);
        rig.turn();
        List<SentFrame> frames = take();
        assertThat(received - before).isEqualTo(3 * UNIT + 100);
        assertThat(frames).hasSize(4);
        assertThat(frames.getLast()).isTcp().has(PSH).hasPayloadLength(100);
        assertThat(frames.subList(0, 3))
                .allSatisfy(frame ->
                        assertThat(assertThat(frame).isTcp().flags() & PSH).isZero());
    }

    @Test
    void aFrameThatTheChannelDropsTakesNoneBehindItOutOfPlace() {
        widenTo(1 << 20);
        long until = received + (16 << 20);
        int[] dropped = new int[1];
        rig.sent.dropsIf(() -> random.nextInt(9) == 0 && ++dropped[0] > 0);
        for (int round = 0; received < until; round++) {
            assertThat(round).isLessThan(20_000);
            take();
            guest.acknowledge(received);
            rig.advance(20 * TcpRig.MILLISECOND);
        }
        assertThat(dropped[0]).isGreaterThan(5);
        assertThat(rig.stream().looksForPieces).isGreaterThan(10);
    }

    @Test
    void theRoomOfTheChannelIsKept() {
        widenTo(1 << 20);
        take();
        rig.sent.room(3 * UNIT);
        guest.acknowledge(received);
        long before = received;
        take();
        assertThat(received - before).isBetween((long) UNIT, 3L * UNIT);
    }
}
