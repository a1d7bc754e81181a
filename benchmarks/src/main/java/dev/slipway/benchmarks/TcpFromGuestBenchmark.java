package dev.slipway.benchmarks;

import dev.slipway.wire.TcpSegment;
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
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/**
 * A segment of 1460 bytes in order: its header is written and read (some 10 ns), the connection takes it, hands it to
 * the host and acknowledges it. One segment per turn is the dearest case.
 */
@State(Scope.Thread)
@Fork(1)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 3, time = 1)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
public class TcpFromGuestBenchmark {

    private static final int PAYLOAD = 1_460;

    private final TcpUnderTest tcp = new TcpUnderTest();
    private int sequence = 1;
    private int acknowledgement;

    @Setup
    public void connect() {
        acknowledgement = tcp.connect(TcpUnderTest.FIRST_PORT);
    }

    @Benchmark
    public int segmentInOrder() {
        tcp.input(TcpUnderTest.FIRST_PORT, TcpSegment.ACK, sequence, acknowledgement, PAYLOAD);
        sequence += PAYLOAD;
        return tcp.guest.acknowledged();
    }

    @TearDown
    public void allWasAcknowledged() {
        if (tcp.guest.acknowledged() != sequence) {
            throw new IllegalStateException("the host has not taken every segment");
        }
    }
}
