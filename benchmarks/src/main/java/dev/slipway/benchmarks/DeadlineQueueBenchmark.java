package dev.slipway.benchmarks;

import dev.slipway.time.DeadlineQueue;
import dev.slipway.time.Timed;
import java.util.SplittableRandom;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.Warmup;

/** The deadlines of 10,000 connections. */
@State(Scope.Thread)
@Fork(1)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 3, time = 1)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
public class DeadlineQueueBenchmark {

    private static final int WATCHED = 10_000;
    private static final int STRIDE = 7_919;
    private static final long INTERVAL = 200_000_000L;
    private static final long SEED = 1;

    private final DeadlineQueue queue = new DeadlineQueue();
    private final Timer[] timers = new Timer[WATCHED];
    private final SplittableRandom random = new SplittableRandom(SEED);
    private long now;
    private int at;

    @Setup
    public void watchAll() {
        for (int i = 0; i < WATCHED; i++) {
            timers[i] = new Timer();
            timers[i].deadline = now + random.nextLong(INTERVAL);
            queue.watch(timers[i]);
        }
    }

    /** What an acknowledgement does to the timer of its connection: its deadline moves away. */
    @Benchmark
    public int moveAway() {
        at = (at + STRIDE) % WATCHED;
        timers[at].deadline = now + INTERVAL + at;
        queue.watch(timers[at]);
        return queue.size();
    }

    /** A deadline comes closer than the time its timer waits for, and is then taken out. */
    @Benchmark
    public int comeCloserAndCancel() {
        at = (at + STRIDE) % WATCHED;
        Timer timer = timers[at];
        timer.deadline = now + random.nextLong(INTERVAL);
        queue.watch(timer);
        queue.remove(timer);
        timer.deadline = now + random.nextLong(INTERVAL);
        queue.watch(timer);
        return queue.size();
    }

    /** Time passes to the next deadline; what it belongs to is armed again, at random within 200 ms. */
    @Benchmark
    public long fire() {
        now = queue.next();
        queue.poll(now);
        return now;
    }

    private final class Timer extends Timed {
        private long deadline;

        @Override
        protected long deadline() {
            return deadline;
        }

        @Override
        protected void expired(long time) {
            deadline = time + 1 + random.nextLong(INTERVAL);
        }
    }
}
