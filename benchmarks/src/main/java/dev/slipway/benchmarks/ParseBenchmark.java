package dev.slipway.benchmarks;

import dev.slipway.seam.StackSettings;
import dev.slipway.wire.DropReason;
import dev.slipway.wire.EthernetFrame;
import dev.slipway.wire.Ipv4Packet;
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
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.Warmup;

/** The three headers of a segment of 1460 bytes, read and checked one after the other. */
@State(Scope.Thread)
@Fork(1)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 3, time = 1)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
public class ParseBenchmark {

    private static final int PAYLOAD = 1_460;

    /** Whether TCP's checksum over the payload is verified, too. */
    @Param({"true", "false"})
    private boolean verify;

    private final MemorySegment bytes = Arena.ofAuto().allocate(Segments.PAYLOAD + PAYLOAD, 64);
    private final EthernetFrame ethernet = new EthernetFrame();
    private final Ipv4Packet ip = new Ipv4Packet();
    private final TcpSegment tcp = new TcpSegment();
    private int length;

    @Setup
    public void write() {
        bytes.asSlice(Segments.PAYLOAD).fill((byte) 0x5A);
        length = Segments.write(bytes, StackSettings.defaults().gatewayMac(), PAYLOAD);
        if (segment() != PAYLOAD) {
            throw new IllegalStateException("the segment is not read as it was written");
        }
    }

    @Benchmark
    public int segment() {
        if (ethernet.parse(bytes, 0, length) != DropReason.NONE
                || ip.parse(bytes, Segments.IP, length - Segments.IP) != DropReason.NONE
                || tcp.parse(bytes, ip.payloadOffset(), ip.payloadLength(), ip.source(), ip.destination(), verify)
                        != DropReason.NONE) {
            throw new IllegalStateException("a good segment was rejected");
        }
        return tcp.payloadLength();
    }
}
