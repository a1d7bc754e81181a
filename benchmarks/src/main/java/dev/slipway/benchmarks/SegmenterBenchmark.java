package dev.slipway.benchmarks;

import dev.slipway.ethernet.Segmenter;
import dev.slipway.seam.StackSettings;
import dev.slipway.wire.Frame;
import dev.slipway.wire.TcpSegment;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
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

/**
 * A large unit, 44 segments' payload or 62.7 KiB, is cut for a link of MTU 1500: 44 headers are written and 44 checksums
 * made. The payload stays where it is.
 */
@State(Scope.Thread)
@Fork(1)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 3, time = 1)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
public class SegmenterBenchmark {

    private static final int SEGMENT = 1_460;
    private static final int SEGMENTS = 44;

    private final MemorySegment bytes = Arena.ofAuto().allocate(Frame.MAX_LENGTH, 64);
    private final MemorySegment headers = Arena.ofAuto().allocate(Segmenter.MAX_HEADER_LENGTH, 64);
    private final Segmenter segmenter = new Segmenter();
    private final Frame unit = new Frame();

    @Setup
    public void write() {
        bytes.fill((byte) 0x5A);
        int length = Segments.write(bytes, StackSettings.defaults().gatewayMac(), SEGMENT * SEGMENTS);
        unit.set(bytes, 0, length)
                .checksumPartial(Segments.TCP, TcpSegment.CHECKSUM)
                .largeUnit(SEGMENT);
        if (segmenter.begin(unit) != SEGMENTS) {
            throw new IllegalStateException("the unit makes other segments than " + SEGMENTS);
        }
    }

    @Benchmark
    public int cutUnit() {
        int segments = segmenter.begin(unit);
        for (int i = 0; i < segments; i++) {
            segmenter.next(headers, 0);
        }
        return segmenter.payloadLength();
    }
}
