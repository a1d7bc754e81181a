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
 * A large unit to the guest, as much of 64 KiB as whole segments of 1460 bytes make, and the acknowledgement that makes
 * way for the next one. Its bytes are not copied, nor is it cut: those have benchmarks of their own, or are the
 * kernel's.
 */
@State(Scope.Thread)
@Fork(1)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 3, time = 1)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
public class TcpToGuestBenchmark {

    private final TcpUnderTest tcp = new TcpUnderTest();
    private long framesBefore;
    private long units;

    @Setup
    public void connect() {
        tcp.connect(TcpUnderTest.FIRST_PORT);
        tcp.hostSends();
        framesBefore = tcp.guest.frames();
    }

    @Benchmark
    public int unitAndAcknowledgement() {
        units++;
        tcp.input(TcpUnderTest.FIRST_PORT, TcpSegment.ACK, 1, tcp.guest.end(), 0);
        return tcp.guest.end();
    }

    @TearDown
    public void eachAcknowledgementMadeWayForAUnit() {
        long frames = tcp.guest.frames() - framesBefore;
        if (frames < units) {
            throw new IllegalStateException(units + " acknowledgements, but only " + frames + " units");
        }
    }
}
