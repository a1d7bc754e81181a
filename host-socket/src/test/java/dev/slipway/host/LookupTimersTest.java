package dev.slipway.host;

import static org.assertj.core.api.Assertions.assertThat;

import io.netty.channel.embedded.EmbeddedChannel;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;

/** Times that many lookups wait for, by one timer. */
class LookupTimersTest {

    private static final long MILLI = 1_000_000L;

    private final EmbeddedChannel channel = new EmbeddedChannel();
    private final List<Waiting> waiting = new ArrayList<>();
    private long now = 1_000 * MILLI;
    private final LookupTimers timers = new LookupTimers(channel.eventLoop(), () -> now);

    private final class Waiting extends LookupTimers.Entry {
        private long at;
        private int due;
        private int abandoned;
        private Runnable then = () -> {};

        Waiting until(long time) {
            at = time;
            timers.add(this, time);
            waiting.add(this);
            return this;
        }

        @Override
        void due() {
            due++;
            assertThat(now).isBetween(at, at + LookupTimers.SLACK_NANOS);
            then.run();
        }

        @Override
        void abandon() {
            abandoned++;
        }
    }

    LookupTimersTest() {
        channel.freezeTime();
    }

    private void pass(long nanos) {
        for (long end = now + nanos; now < end; ) {
            long step = Math.min(MILLI, end - now);
            now += step;
            channel.advanceTimeBy(step, TimeUnit.NANOSECONDS);
            channel.runScheduledPendingTasks();
        }
    }

    @Test
    void eachIsDueOnceAtItsTimeWhateverTheOrder() {
        long seed = new Random().nextLong();
        Random random = new Random(seed);
        for (int i = 0; i < 500; i++) {
            Waiting each = new Waiting().until(now + random.nextInt(200) * MILLI);
            if (random.nextInt(3) == 0) {
                timers.remove(each);
                waiting.remove(each);
            }
            pass(random.nextInt(3) * MILLI);
        }
        pass(250 * MILLI);
        assertThat(waiting).as("seed %d", seed).allMatch(each -> each.due == 1 && each.abandoned == 0);
    }

    @Test
    void anEarlierTimeIsNotLateForALaterOneThatWasThereFirst() {
        new Waiting().until(now + 4_500 * MILLI);
        Waiting earlier = new Waiting().until(now + 20 * MILLI);
        pass(25 * MILLI);
        assertThat(earlier.due).isEqualTo(1);
    }

    @Test
    void oneMayWaitAgainOrEndAnotherWhenItIsDue() {
        Waiting other = new Waiting().until(now + 50 * MILLI);
        Waiting again = new Waiting().until(now + 20 * MILLI);
        again.then = () -> {
            timers.remove(other);
            again.then = () -> {};
            again.until(now + 100 * MILLI);
        };
        pass(300 * MILLI);
        assertThat(again.due).isEqualTo(2);
        assertThat(other.due).isZero();
    }

    @Test
    void afterTheEndNoneIsDueAndAllAreAbandoned() {
        Waiting one = new Waiting().until(now + 20 * MILLI);
        Waiting two = new Waiting().until(now + 30 * MILLI);
        timers.close();
        pass(100 * MILLI);
        assertThat(one.due + two.due).isZero();
        assertThat(one.abandoned + two.abandoned).isEqualTo(2);
    }
}
