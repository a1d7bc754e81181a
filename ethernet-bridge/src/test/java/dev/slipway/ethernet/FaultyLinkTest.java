package dev.slipway.ethernet;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.slipway.wire.Frame;
import dev.slipway.wire.TcpSegment;
import io.netty.channel.embedded.EmbeddedChannel;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class FaultyLinkTest {

    private static final int FRAMES = 2000;

    private final EmbeddedChannel clock = new EmbeddedChannel();
    private final StubLink below = new StubLink();
    private final RecordingReceiver above = new RecordingReceiver();

    @BeforeEach
    void freeze() {
        clock.freezeTime();
    }

    @AfterEach
    void close() {
        clock.finishAndReleaseAll();
    }

    @Test
    void withoutFaultsEverythingPassesInOrder() {
        FaultyLink link = new FaultyLink(below, clock.eventLoop(), Faults.parse("seed=1"));
        run(link);

        assertThat(numbers(below.sent)).isEqualTo(sequence());
        assertThat(numbers(above.frames)).isEqualTo(sequence());
    }

    @Test
    void losesDoublesAndDamagesTheShareThatWasAskedFor() {
        FaultyLink link =
                new FaultyLink(below, clock.eventLoop(), Faults.parse("loss=0.05,duplicate=0.02,corrupt=0.01,seed=3"));
        run(link);

        assertThat(link.lost()).isBetween(150L, 250L);
        assertThat(link.duplicated()).isBetween(40L, 120L);
        assertThat(link.corrupted()).isBetween(15L, 65L);
        assertThat(below.sent.size() + above.frames.size())
                .isEqualTo((int) (2 * FRAMES - link.lost() + link.duplicated()));
        long damaged = below.sent.stream().filter(FaultyLinkTest::isDamaged).count()
                + above.frames.stream().filter(FaultyLinkTest::isDamaged).count();
        assertThat(damaged).isBetween(link.corrupted(), link.corrupted() + 10);
    }

    @Test
    void theSameSeedGivesTheSameFates() {
        StubLink other = new StubLink();
        Faults faults = Faults.parse("loss=0.1,duplicate=0.1,corrupt=0.1,seed=42");
        run(new FaultyLink(below, clock.eventLoop(), faults));
        run(new FaultyLink(other, clock.eventLoop(), faults));

        assertThat(below.sent.size()).isNotEqualTo(FRAMES);
        assertThat(other.sent.toArray(byte[][]::new)).isDeepEqualTo(below.sent.toArray(byte[][]::new));
    }

    @Test
    void reorderedFramesComeLateAndAllCome() {
        FaultyLink link = new FaultyLink(below, clock.eventLoop(), Faults.parse("reorder=0.2,seed=5"));
        run(link);
        assertThat(below.sent.size()).isLessThan(FRAMES);
        clock.advanceTimeBy(Faults.REORDER_MILLIS, TimeUnit.MILLISECONDS);
        clock.runScheduledPendingTasks();

        assertThat(numbers(below.sent)).isNotEqualTo(sequence());
        assertThat(numbers(below.sent)).containsExactlyInAnyOrderElementsOf(sequence());
        assertThat(numbers(above.frames)).containsExactlyInAnyOrderElementsOf(sequence());
        assertThat(link.delayed()).isBetween(600L, 1000L);
        assertThat(below.flushes).isPositive();
    }

    @Test
    void aDelayHoldsFramesForItsTimeAndNoLongerThanTheirConnection() {
        FaultyLink link = new FaultyLink(below, clock.eventLoop(), Faults.parse("delay=20"));
        GuestLink.Receiver receiver = link.receiver(above);
        send(link, numbered(1));
        clock.advanceTimeBy(19, TimeUnit.MILLISECONDS);
        clock.runScheduledPendingTasks();
        assertThat(below.sent).isEmpty();
        clock.advanceTimeBy(1, TimeUnit.MILLISECONDS);
        clock.runScheduledPendingTasks();
        assertThat(numbers(below.sent)).containsExactly(1);

        send(link, numbered(2));
        receiver.frame(frame(numbered(3)));
        receiver.detached("gone");
        clock.advanceTimeBy(20, TimeUnit.MILLISECONDS);
        clock.runScheduledPendingTasks();
        assertThat(below.sent).hasSize(1);
        assertThat(above.frames).isEmpty();
    }

    @Test
    void whatIsHeldIsBounded() {
        FaultyLink link = new FaultyLink(below, clock.eventLoop(), Faults.parse("delay=1000"));
        for (int i = 0; i < FaultyLink.MAX_HELD + 10; i++) {
            send(link, numbered(i));
        }
        assertThat(link.lost()).isEqualTo(10);
    }

    @Test
    void eachSegmentOfALargeUnitMeetsItsOwnFate() {
        FaultyLink link = new FaultyLink(below, clock.eventLoop(), Faults.parse("loss=0.3,seed=9"));
        Frame unit = SegmenterTest.unit(new byte[60_000], 0, 0, 1, 1, TcpSegment.ACK, 1);
        Frame built = link.begin(unit.length());
        MemorySegment.copy(unit.bytes(), unit.offset(), built.bytes(), built.offset(), unit.length());
        link.send(built.checksumPartial(34, TcpSegment.CHECKSUM).largeUnit(1000));

        assertThat(link.lost()).isBetween(5L, 30L);
        assertThat(below.sent).hasSize((int) (60 - link.lost()));
        assertThat(below.sent).allSatisfy(segment -> assertThat(segment).hasSize(1054));
    }

    @Test
    void settingsThatCannotBeAreRefusedByName() {
        assertThatThrownBy(() -> Faults.parse("loss=1.5")).hasMessage("loss=1.5: must be 0 to 1");
        assertThatThrownBy(() -> Faults.parse("loss=NaN")).hasMessage("loss=NaN: must be 0 to 1");
        assertThatThrownBy(() -> Faults.parse("delay=-1")).hasMessage("delay=-1: must be 0 to 10000");
        assertThatThrownBy(() -> Faults.parse("reorder=much")).hasMessage("reorder=much: not a number");
        assertThatThrownBy(() -> Faults.parse("lose=1")).hasMessageStartingWith("'lose': must be loss,");
        assertThatThrownBy(() -> Faults.parse("")).hasMessageStartingWith("'': must be");
    }

    private void run(FaultyLink link) {
        GuestLink.Receiver receiver = link.receiver(above);
        for (int i = 0; i < FRAMES; i++) {
            send(link, numbered(i));
            receiver.frame(frame(numbered(i)));
        }
        link.flush();
        receiver.endOfBatch();
    }

    private static void send(GuestLink link, byte[] bytes) {
        Frame built = link.begin(bytes.length);
        MemorySegment.copy(bytes, 0, built.bytes(), ValueLayout.JAVA_BYTE, built.offset(), bytes.length);
        link.send(built);
    }

    private static Frame frame(byte[] bytes) {
        MemorySegment memory = Arena.ofAuto().allocate(bytes.length);
        MemorySegment.copy(bytes, 0, memory, ValueLayout.JAVA_BYTE, 0, bytes.length);
        return new Frame().set(memory, 0, bytes.length);
    }

    /** A frame that shows its number twice. */
    private static byte[] numbered(int number) {
        return ByteBuffer.allocate(8).putInt(number).putInt(number).array();
    }

    private static boolean isDamaged(byte[] frame) {
        return ByteBuffer.wrap(frame).getInt(0) != ByteBuffer.wrap(frame).getInt(4);
    }

    private static List<Integer> numbers(Iterable<byte[]> frames) {
        List<Integer> numbers = new ArrayList<>();
        frames.forEach(frame -> numbers.add(ByteBuffer.wrap(frame).getInt()));
        return numbers;
    }

    private static List<Integer> sequence() {
        List<Integer> numbers = new ArrayList<>();
        for (int i = 0; i < FRAMES; i++) {
            numbers.add(i);
        }
        assertThat(new HashSet<>(numbers)).hasSize(FRAMES);
        return numbers;
    }
}
