package dev.slipway.benchmarks;

import dev.slipway.wire.TcpSegment;
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

/**
 * A bare acknowledgement, which changes nothing, for one of many connections, another each time in an order without
 * pattern. What 10,000 cost more than 1 is the search and what no longer fits the caches.
 */
@State(Scope.Thread)
@Fork(1)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 3, time = 1)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
public class FlowLookupBenchmark {

    /** Coprime to the number of connections, so that the walk meets all of them. */
    private static final int STRIDE = 7_919;

    @Param({"1", "10000"})
    private int connections;

    private final TcpUnderTest tcp = new TcpUnderTest();
    private int[] acknowledgements;
    private int at;

    @Setup
    public void connect() {
        acknowledgements = new int[connections];
        for (int i = 0; i < connections; i++) {
            acknowledgements[i] = tcp.connect(TcpUnderTest.FIRST_PORT + i);
        }
        if (tcp.connections() != connections) {
            throw new IllegalStateException(tcp.connections() + " connections instead of " + connections);
        }
    }

    @Benchmark
    public int bareAcknowledgement() {
        at = (at + STRIDE) % connections;
        tcp.input(TcpUnderTest.FIRST_PORT + at, TcpSegment.ACK, 1, acknowledgements[at], 0);
        return at;
    }
}
