package dev.slipway.tcp;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.management.ThreadMXBean;
import dev.slipway.ip.Ipv4Output;
import dev.slipway.ip.Neighbours;
import dev.slipway.seam.DropCounters;
import dev.slipway.seam.FrameSink;
import dev.slipway.seam.HostDatagrams;
import dev.slipway.seam.HostEcho;
import dev.slipway.seam.HostSockets;
import dev.slipway.seam.HostStream;
import dev.slipway.seam.StackSettings;
import dev.slipway.testing.SwallowingStream;
import dev.slipway.time.DeadlineQueue;
import dev.slipway.wire.BigEndian;
import dev.slipway.wire.Frame;
import dev.slipway.wire.IpAddress;
import dev.slipway.wire.Ipv4Packet;
import dev.slipway.wire.TcpSegment;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.management.ManagementFactory;
import org.junit.jupiter.api.Test;

/** The path of a packet makes no garbage: pauses follow allocation. */
class AllocationTest {

    private static final int GUEST = IpAddress.parseV4("192.168.65.3");
    private static final int SERVER = IpAddress.parseV4("203.0.113.7");
    private static final int WARM_UP = 20_000;
    private static final int MEASURED = 50_000;

    private final ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
    private final Sink sink = new Sink();
    private final Stream stream = new Stream();
    private final TcpTable table;
    private final MemorySegment in = Arena.ofAuto().allocate(2_000);
    private final TcpSegment segment = new TcpSegment();
    private long now = 1_000_000_000L;

    AllocationTest() {
        StackSettings settings = StackSettings.defaults();
        Neighbours neighbours = new Neighbours();
        neighbours.bind(GUEST, 2);
        DropCounters drops = new DropCounters();
        HostSockets host = new HostSockets() {
            @Override
            public HostStream connect(IpAddress destination, int port, int hopLimit, HostStream.Listener listener) {
                stream.listener = listener;
                return stream;
            }

            @Override
            public HostDatagrams openDatagrams(int preferredPort, boolean ipv6, HostDatagrams.Listener listener) {
                return null;
            }

            @Override
            public HostEcho openEcho(int preferredIdentifier, boolean ipv6, HostEcho.Listener listener) {
                return null;
            }
        };
        table = new TcpTable(
                settings,
                new Ipv4Output(settings, sink, neighbours, drops, new byte[16]),
                host,
                drops,
                new DeadlineQueue(),
                new byte[16]);
        input(TcpSegment.SYN, 0, 0, 0);
        stream.listener.connected();
        table.endTurn(now);
        input(TcpSegment.ACK, 1, sink.sequence + 1, 0);
    }

    private void input(int flags, int sequence, int acknowledgement, int payload) {
        now += 10_000;
        TcpSegment.write(in, 0, GUEST, 40_000, SERVER, 80, sequence, acknowledgement, flags, 65_535, 20, 20 + payload);
        segment.parse(in, 0, 20 + payload, GUEST, SERVER, false);
        table.input(segment, GUEST, SERVER, 63, now);
        table.endTurn(now);
    }

    @Test
    void anUploadAllocatesNothing() {
        int sequence = 1;
        int acknowledgement = sink.sequence;
        long before = 0;
        for (int i = 0; i < WARM_UP + MEASURED; i++) {
            if (i == WARM_UP) {
                before = threads.getCurrentThreadAllocatedBytes();
            }
            input(TcpSegment.ACK, sequence, acknowledgement, 1_460);
            sequence += 1_460;
        }
        long allocated = threads.getCurrentThreadAllocatedBytes() - before;
        assertThat(stream.written).isEqualTo((WARM_UP + MEASURED) * 1_460L);
        assertThat(sink.acknowledgement).isEqualTo(sequence);
        assertThat(allocated / MEASURED)
                .as("bytes of garbage per segment, of %d in all", allocated)
                .isLessThan(2);
    }

    @Test
    void aDownloadAllocatesNothing() {
        stream.available = Long.MAX_VALUE;
        stream.listener.readable();
        table.endTurn(now);
        long before = 0;
        long frames = 0;
        for (int i = 0; i < WARM_UP + MEASURED; i++) {
            if (i == WARM_UP) {
                before = threads.getCurrentThreadAllocatedBytes();
                frames = sink.frames;
            }
            input(TcpSegment.ACK, 1, sink.end, 0);
        }
        long allocated = threads.getCurrentThreadAllocatedBytes() - before;
        assertThat(sink.frames - frames).isGreaterThan(MEASURED / 2);
        assertThat(allocated / MEASURED)
                .as("bytes of garbage per acknowledgement, of %d in all", allocated)
                .isLessThan(2);
    }

    private static final class Sink implements FrameSink {
        private final MemorySegment memory = Arena.ofAuto().allocate(Frame.MAX_LENGTH);
        private final Frame frame = new Frame();
        int sequence;
        int end;
        int acknowledgement;
        long frames;

        @Override
        public int room() {
            return 1 << 20;
        }

        @Override
        public Frame begin(int capacity) {
            return frame.set(memory, 0, capacity);
        }

        @Override
        public void send(Frame sent) {
            frames++;
            sequence = BigEndian.i32(memory, 14 + Ipv4Packet.HEADER_LENGTH + 4);
            acknowledgement = BigEndian.i32(memory, 14 + Ipv4Packet.HEADER_LENGTH + 8);
            end = sequence + sent.length() - 54;
        }
    }

    /** A host that has said what a test says it has, of whatever bytes. */
    private static final class Stream extends SwallowingStream {
        Listener listener;
        long available;

        @Override
        public int peek(long position, MemorySegment target, long offset, int length) {
            return (int) Math.min(length, available - position);
        }
    }
}
