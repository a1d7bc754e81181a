package dev.slipway.benchmarks;

import dev.slipway.ip.Ipv4Output;
import dev.slipway.ip.Neighbours;
import dev.slipway.seam.DropCounters;
import dev.slipway.seam.FrameSink;
import dev.slipway.seam.HostDatagrams;
import dev.slipway.seam.HostEcho;
import dev.slipway.seam.HostSockets;
import dev.slipway.seam.HostStream;
import dev.slipway.seam.StackSettings;
import dev.slipway.tcp.TcpTable;
import dev.slipway.time.DeadlineQueue;
import dev.slipway.wire.BigEndian;
import dev.slipway.wire.DropReason;
import dev.slipway.wire.Frame;
import dev.slipway.wire.IpAddress;
import dev.slipway.wire.TcpSegment;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/**
 * A TCP table with a guest, whose segments are made here, and a host that swallows all it gets and, if it is told so,
 * has bytes without end. No byte of payload is copied: what is measured is what the stack adds to that.
 */
final class TcpUnderTest {

    static final int FIRST_PORT = 10_000;
    private static final int WINDOW = 65_535;
    private static final int ROOM = 1 << 20;
    private static final long STEP_NANOS = 10_000;

    final Guest guest = new Guest();
    private final MemorySegment fromGuest = Arena.ofAuto().allocate(2_048, 64);
    private final TcpSegment segment = new TcpSegment();
    private final TcpTable table;
    private final DeadlineQueue deadlines = new DeadlineQueue();
    private Swallowing last;
    private long now = 1_000_000_000L;

    TcpUnderTest() {
        StackSettings settings = StackSettings.defaults();
        Neighbours neighbours = new Neighbours();
        neighbours.bind(Segments.GUEST, Segments.GUEST_MAC);
        DropCounters drops = new DropCounters();
        Ipv4Output output = new Ipv4Output(settings, guest, neighbours, drops, new byte[16]);
        table = new TcpTable(settings, output, new Host(), drops, deadlines, new byte[16]);
        table.whenFailed(failure -> {
            throw new IllegalStateException(failure);
        });
    }

    /**
     * Establishes a connection from a port; the guest's next sequence number is 1.
     *
     * @return what the guest has to acknowledge: the number after the SYN of the other side
     */
    int connect(int port) {
        input(port, TcpSegment.SYN, 0, 0, 0);
        last.listener.connected();
        table.endTurn(now);
        int acknowledgement = guest.sequence + 1;
        input(port, TcpSegment.ACK, 1, acknowledgement, 0);
        if (table.halfOpen() != 0) {
            throw new IllegalStateException("port " + port + " is not connected");
        }
        return acknowledgement;
    }

    /** The connection that was made last has bytes for the guest from now on, and no end. */
    void hostSends() {
        last.available = Long.MAX_VALUE;
        last.listener.readable();
        table.endTurn(now);
    }

    /** One segment of the guest's, and the end of the turn; 10 µs later than the one before. */
    void input(int port, int flags, int sequence, int acknowledgement, int payload) {
        now += STEP_NANOS;
        int length = TcpSegment.HEADER_LENGTH + payload;
        TcpSegment.write(
                fromGuest,
                0,
                Segments.GUEST,
                port,
                Segments.SERVER,
                Segments.SERVER_PORT,
                sequence,
                acknowledgement,
                flags,
                WINDOW,
                TcpSegment.HEADER_LENGTH,
                length);
        if (segment.parse(fromGuest, 0, length, Segments.GUEST, Segments.SERVER, false) != DropReason.NONE) {
            throw new IllegalStateException("a good segment was rejected");
        }
        table.input(segment, Segments.GUEST, Segments.SERVER, 63, now);
        table.endTurn(now);
        if (deadlines.next() <= now) {
            deadlines.poll(now);
        }
    }

    int connections() {
        return table.size();
    }

    /** The guest's end of the link: remembers the numbers of the last segment. */
    static final class Guest implements FrameSink {
        private final MemorySegment memory = Arena.ofAuto().allocate(Frame.MAX_LENGTH, 64);
        private final Frame frame = new Frame();
        private int sequence;
        private int end;
        private int acknowledgement;
        private long frames;

        @Override
        public int room() {
            return ROOM;
        }

        @Override
        public Frame begin(int capacity) {
            return frame.set(memory, 0, capacity);
        }

        @Override
        public void send(Frame sent) {
            frames++;
            sequence = BigEndian.i32(memory, Segments.TCP + 4);
            acknowledgement = BigEndian.i32(memory, Segments.TCP + 8);
            end = sequence + sent.length() - Segments.PAYLOAD;
        }

        /** The number after the last byte that came. */
        int end() {
            return end;
        }

        /** What the other side acknowledged last. */
        int acknowledged() {
            return acknowledgement;
        }

        long frames() {
            return frames;
        }
    }

    private final class Host implements HostSockets {

        @Override
        public HostStream connect(IpAddress destination, int port, int hopLimit, HostStream.Listener listener) {
            last = new Swallowing(listener);
            return last;
        }

        @Override
        public HostDatagrams openDatagrams(int preferredPort, boolean ipv6, HostDatagrams.Listener listener) {
            return null;
        }

        @Override
        public HostEcho openEcho(int preferredIdentifier, boolean ipv6, HostEcho.Listener listener) {
            return null;
        }
    }

    private static final class Swallowing implements HostStream {
        private final Listener listener;
        private long available;
        private long written;

        Swallowing(Listener listener) {
            this.listener = listener;
        }

        @Override
        public int room() {
            return ROOM;
        }

        @Override
        public void write(MemorySegment source, long offset, int length) {
            written += length;
        }

        @Override
        public void flush() {}

        @Override
        public long taken() {
            return written;
        }

        @Override
        public void shutdownOutput() {}

        @Override
        public boolean isOutputShutdown() {
            return false;
        }

        @Override
        public int peek(long position, MemorySegment target, long offset, int length) {
            return (int) Math.min(length, available - position);
        }

        @Override
        public void discard(long position) {}

        @Override
        public void reset() {}

        @Override
        public void close() {}
    }
}
