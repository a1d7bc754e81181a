package dev.slipway.host;

import static dev.slipway.testing.PacketBuilder.fragments;
import static org.assertj.core.api.Assertions.assertThat;

import dev.slipway.dhcp.LeaseTable;
import dev.slipway.dns.NameServer;
import dev.slipway.ethernet.GuestLink;
import dev.slipway.ethernet.LinkCounters;
import dev.slipway.seam.DropCounters;
import dev.slipway.seam.StackSettings;
import dev.slipway.stack.Stack;
import dev.slipway.testing.PacketBuilder;
import dev.slipway.wire.Frame;
import io.netty.channel.embedded.EmbeddedChannel;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The one timer of a VM's event loop, in virtual time: the deadlines are those of datagrams that stay in pieces. */
final class SessionTurnsTest {

    private static final long MILLISECOND = 1_000_000;
    /** What a deadline may be late by. */
    private static final long SLACK = 2_100_000;

    private final PacketBuilder guest = PacketBuilder.guest();
    private final EmbeddedChannel channel = new EmbeddedChannel();
    private final QuietLink link = new QuietLink();
    private final Defects defects = new Defects("test", new HostCounters());
    private final Stack stack = stack();
    private long now = 1_234_567_891L;
    private final SessionTurns turns = new SessionTurns(channel.eventLoop(), link, defects, () -> now);

    private Stack stack() {
        StackSettings settings = StackSettings.defaults();
        DropCounters drops = new DropCounters();
        return new Stack(
                settings,
                link,
                null,
                new NameServer(settings, (query, stream, answer) -> {}, drops),
                new LeaseTable(settings),
                drops,
                new byte[16]);
    }

    @BeforeEach
    void start() {
        channel.freezeTime();
        turns.of(stack);
    }

    @AfterEach
    void end() {
        channel.close();
    }

    /** The first piece of a datagram whose others never come. */
    private void piece(int identification) {
        MemorySegment first = fragments(
                        guest.udp("203.0.113.7", 9)
                                .identification(identification)
                                .payload(new byte[2_000])
                                .build(),
                        1_480)
                .getFirst();
        turns.guarded(() -> stack.input(new Frame().set(first, 0, (int) first.byteSize()), now));
        channel.runPendingTasks();
    }

    private void advance(long nanos) {
        now += nanos;
        channel.advanceTimeBy(nanos, TimeUnit.NANOSECONDS);
    }

    /** Lets the loop sleep until its timer fires: for how many nanoseconds, or -1 if there is no timer. */
    private long sleep() {
        long delay = channel.runScheduledPendingTasks();
        if (delay >= 0) {
            advance(delay);
            channel.runScheduledPendingTasks();
            channel.runPendingTasks();
        }
        return delay;
    }

    @Test
    void deadlinesThatAreCloseTogetherWakeTheThreadOnce() {
        int count = 200;
        for (int i = 0; i < count; i++) {
            piece(i);
            advance(10_000);
        }
        int wakeUps = 0;
        while (stack.nextDeadline() != Long.MAX_VALUE) {
            assertThat(sleep()).isNotNegative();
            wakeUps++;
        }
        assertThat(wakeUps).isLessThanOrEqualTo(2);
        assertThat(sleep()).isEqualTo(-1);
    }

    @ParameterizedTest
    @ValueSource(longs = {1, 2_097_151, 2_097_152, 1_234_567_891L, -1, -31_000_000_000L, -4_000_000_000_000L})
    void aDeadlineIsNeitherMissedByMoreThanTheSlackNorMetTooEarly(long start) {
        now = start;
        piece(1);
        long deadline = stack.nextDeadline();
        long began = now;
        sleep();
        assertThat(now).isBetween(deadline, deadline + SLACK);
        assertThat(now).isGreaterThan(began + 29_000 * MILLISECOND);
        assertThat(stack.nextDeadline()).isEqualTo(Long.MAX_VALUE);
    }

    @Test
    void aDeadlineThatHasPassedWhileTheThreadWasAwayIsMetInTheNextTurn() {
        piece(1);
        advance(3_600_000 * MILLISECOND);
        channel.runScheduledPendingTasks();
        channel.runPendingTasks();
        assertThat(stack.nextDeadline()).isEqualTo(Long.MAX_VALUE);
    }

    @Test
    void noTurnAndNoTimerFollowsTheClose() {
        piece(1);
        turns.close();
        int flushed = link.flushes;
        turns.touch();
        channel.runPendingTasks();
        assertThat(sleep()).isEqualTo(-1);
        assertThat(link.flushes).isEqualTo(flushed);
    }

    /** Takes everything. */
    private static final class QuietLink implements GuestLink {

        private final LinkCounters counters = new LinkCounters();
        private final MemorySegment memory = Arena.ofAuto().allocate(Frame.MAX_LENGTH);
        private final Frame frame = new Frame();
        private int flushes;

        @Override
        public int room() {
            return 1 << 20;
        }

        @Override
        public Frame begin(int capacity) {
            return frame.set(memory, 0, capacity);
        }

        @Override
        public void send(Frame given) {}

        @Override
        public void flush() {
            flushes++;
        }

        @Override
        public boolean isAttached() {
            return true;
        }

        @Override
        public LinkCounters counters() {
            return counters;
        }

        @Override
        public void close() {}
    }
}
