package dev.slipway.benchmarks;

import dev.slipway.wire.Checksum;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.Warmup;

/** The Internet checksum over native memory: a header's worth, a segment, a large unit. */
@State(Scope.Thread)
@Fork(1)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 3, time = 1)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
public class ChecksumBenchmark {

    private static final long SEED = 1;
    private static final int CALLS_THAT_MAKE_A_PROFILE = 50_000;
    private static final int ARRAY_BYTES = 300;

    @Param({"64", "1460", "65536"})
    private int bytes;

    /** Whether the sum has seen arrays before it is compiled, as one does that also sums answers made on the heap. */
    @Param({"false", "true"})
    private boolean arraysBefore;

    private MemorySegment memory;

    @Setup
    public void fill() {
        byte[] content = new byte[bytes];
        new Random(SEED).nextBytes(content);
        memory = Arena.ofAuto().allocate(bytes, 64);
        memory.copyFrom(MemorySegment.ofArray(content));
        if (arraysBefore) {
            MemorySegment array = MemorySegment.ofArray(new byte[ARRAY_BYTES]);
            int sum = 0;
            for (int i = 0; i < CALLS_THAT_MAKE_A_PROFILE; i++) {
                sum += Checksum.sum(array, 0, ARRAY_BYTES);
            }
            if (sum != 0) {
                throw new IllegalStateException("the sum of zeros is " + sum);
            }
        }
    }

    @Benchmark
    public int sum() {
        return Checksum.sum(memory, 0, bytes);
    }
}
