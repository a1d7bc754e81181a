package dev.slipway.host;

import static org.assertj.core.api.Assertions.assertThat;

import io.netty.channel.IoHandle;
import io.netty.channel.IoHandler;
import io.netty.channel.IoHandlerContext;
import io.netty.channel.IoRegistration;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

/** When a loop polls, and when it sleeps, in virtual time. */
final class PollingHandlerTest {

    /** What one look costs, in nanoseconds. */
    private static final long LOOK = 1_000;
    /** What the handling of one event costs. */
    private static final long HANDLING = 500_000;

    private final Kernel kernel = new Kernel();
    private final Loop loop = new Loop();
    private final PollingHandler handler = new PollingHandler(kernel, () -> kernel.now);

    /** Lets the loop wait for an event that comes so many nanoseconds from now. */
    private void turn(long nanos) {
        kernel.eventAt = kernel.now + nanos;
        kernel.looks = 0;
        kernel.sleeps.clear();
        while (handler.run(loop) == 0) {
            assertThat(kernel.looks).isLessThan(1_000);
        }
    }

    private void turns(int count, long nanos) {
        for (int i = 0; i < count; i++) {
            turn(nanos);
        }
    }

    @Test
    void eventsThatFollowEachOtherCloselyAreFoundWithoutSleep() {
        turns(6, 30_000);
        turn(30_000);
        assertThat(kernel.sleeps).isEmpty();
        assertThat(kernel.looks).isBetween(2, 31);
    }

    @Test
    void aLoopWithLittleToDoNeverPolls() {
        turns(20, PollingHandler.MAX_NANOS + LOOK);
        assertThat(kernel.looks).isZero();
        assertThat(kernel.sleeps).hasSize(1);
    }

    @Test
    void aLoopThatFallsQuietStopsPollingAfterAFewTurns() {
        turns(10, 30_000);
        turns(5, 10_000_000);
        turn(10_000_000);
        assertThat(kernel.looks).isZero();
    }

    /** A wait just beyond what polling would shorten is not polled for again and again in vain. */
    @Test
    void timePolledInVainCountsAsWaited() {
        turns(10, PollingHandler.MAX_NANOS + 2 * LOOK);
        turn(PollingHandler.MAX_NANOS + 2 * LOOK);
        assertThat(kernel.looks).isZero();
    }

    @Test
    void whatTheHandlingOfEventsTakesIsNoWait() {
        assertThat(HANDLING).isGreaterThan(PollingHandler.MAX_NANOS);
        turns(6, 0);
        turn(10_000);
        assertThat(kernel.sleeps).isEmpty();
    }

    @Test
    void whoMovesMuchSleepsAndWhoMovesLittleAfterThatPollsAgain() {
        turns(6, 30_000);
        for (int i = 0; i < 30; i++) {
            handler.carried(2 * PollingHandler.MUCH_BYTES);
        }
        turn(30_000);
        assertThat(kernel.looks).isZero();
        for (int i = 0; i < 30; i++) {
            handler.carried(100);
        }
        turn(30_000);
        assertThat(kernel.sleeps).isEmpty();
    }

    @Test
    void aTaskOfAnotherThreadEndsThePolling() {
        turns(6, 30_000);
        kernel.eventAt = Long.MAX_VALUE;
        kernel.looks = 0;
        kernel.sleeps.clear();
        loop.taskAt = kernel.now + 5 * LOOK;
        assertThat(handler.run(loop)).isZero();
        assertThat(kernel.looks).isBetween(5, 7);
        assertThat(kernel.sleeps).isEmpty();
    }

    @Test
    void aTimerThatIsDueEndsThePolling() {
        turns(6, 30_000);
        kernel.eventAt = Long.MAX_VALUE;
        kernel.looks = 0;
        kernel.sleeps.clear();
        loop.timerAt = kernel.now + 5 * LOOK;
        handler.run(loop);
        assertThat(kernel.looks).isBetween(4, 6);
        assertThat(kernel.now).isEqualTo(loop.timerAt);
    }

    @Test
    void aLoopWithTasksLooksOnce() {
        turns(6, 30_000);
        kernel.eventAt = Long.MAX_VALUE;
        kernel.looks = 0;
        kernel.sleeps.clear();
        loop.taskAt = 0;
        assertThat(handler.run(loop)).isZero();
        assertThat(kernel.looks).isEqualTo(1);
        assertThat(kernel.sleeps).isEmpty();
    }

    /** What the event loop tells its handler. */
    private final class Loop implements IoHandlerContext {

        private long taskAt = Long.MAX_VALUE;
        private long timerAt = Long.MAX_VALUE;

        @Override
        public boolean canBlock() {
            return kernel.now < taskAt;
        }

        @Override
        public long delayNanos(long now) {
            return Math.max(0, timerAt - now);
        }

        @Override
        public long deadlineNanos() {
            return timerAt;
        }
    }

    /** Waits as epoll does. */
    private static final class Kernel implements IoHandler {

        private final List<Long> sleeps = new ArrayList<>();
        private long now = 1;
        private long eventAt;
        private int looks;

        @Override
        public int run(IoHandlerContext context) {
            if (context.canBlock()) {
                long until = Math.min(eventAt, context.deadlineNanos());
                if (until > now) {
                    sleeps.add(until - now);
                    now = until;
                }
            } else {
                looks++;
                now += LOOK;
            }
            if (now < eventAt) {
                return 0;
            }
            now += HANDLING;
            context.reportActiveIoTime(HANDLING);
            return 1;
        }

        @Override
        public IoRegistration register(IoHandle handle) {
            throw new UnsupportedOperationException();
        }

        @Override
        public void wakeup() {}

        @Override
        public boolean isCompatible(Class<? extends IoHandle> type) {
            return true;
        }
    }
}
