package dev.slipway.tcp;

import static org.assertj.core.api.Assertions.assertThat;

import dev.slipway.ip.Ipv4Output;
import dev.slipway.ip.Neighbours;
import dev.slipway.seam.DropCounters;
import dev.slipway.seam.HostDatagrams;
import dev.slipway.seam.HostEcho;
import dev.slipway.seam.HostSockets;
import dev.slipway.seam.HostStream;
import dev.slipway.seam.StackSettings;
import dev.slipway.testing.FrameRecorder;
import dev.slipway.testing.PacketBuilder;
import dev.slipway.time.DeadlineQueue;
import dev.slipway.wire.DropReason;
import dev.slipway.wire.IpAddress;
import dev.slipway.wire.Ipv4Packet;
import dev.slipway.wire.TcpSegment;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Supplier;

/** A TCP table alone, in virtual time: frames of a guest in by hand, frames to it recorded. */
final class TcpRig {

    static final String SERVER = "203.0.113.7";
    static final int PORT = 80;
    static final long MILLISECOND = 1_000_000L;
    static final long SECOND = 1_000_000_000L;

    final PacketBuilder guest = PacketBuilder.guest();
    final FrameRecorder sent = new FrameRecorder();
    final DropCounters drops = new DropCounters();
    final DeadlineQueue deadlines = new DeadlineQueue();
    final TcpTable table;
    final List<PatternStream> streams = new ArrayList<>();
    final List<Throwable> failures = new ArrayList<>();
    long now = 1000 * SECOND;
    boolean turnWanted;

    /** What the host's side of the next connections is, and how its connect ends: null is success. */
    Supplier<PatternStream> host = TcpRig::quiet;

    HostStream.ConnectFailure failure;
    boolean hostIsSilent;
    RuntimeException failConnects;

    private final Ipv4Packet ip = new Ipv4Packet();
    private final TcpSegment segment = new TcpSegment();

    TcpRig() {
        this(StackSettings.defaults());
    }

    TcpRig(StackSettings settings) {
        Neighbours neighbours = new Neighbours();
        neighbours.bind(guest.address(), guest.mac());
        table = new TcpTable(
                settings,
                new Ipv4Output(settings, sent, neighbours, drops, new byte[16]),
                new Hosts(),
                drops,
                deadlines,
                new byte[16]);
        table.whenTurnWanted(() -> turnWanted = true);
        table.whenFailed(failures::add);
    }

    /** A host's peer that says nothing for now, and may send a lot. */
    static PatternStream quiet() {
        PatternStream stream = new PatternStream(Long.MAX_VALUE / 2, 2, 1);
        stream.produced = 0;
        return stream;
    }

    static StackSettings limited(int flows, int halfOpen) {
        StackSettings.Limits limits = StackSettings.Limits.defaults();
        return StackSettings.defaults()
                .withLimits(new StackSettings.Limits(
                        flows,
                        halfOpen,
                        limits.udpFlows(),
                        limits.reassemblyBytes(),
                        limits.outOfOrderBytes(),
                        limits.outOfOrderTotalBytes(),
                        limits.dnsQueries(),
                        limits.connectsPerSecond()));
    }

    static StackSettings limitedConnects(int perSecond) {
        StackSettings.Limits limits = StackSettings.Limits.defaults();
        return StackSettings.defaults()
                .withLimits(new StackSettings.Limits(
                        limits.tcpFlows(),
                        limits.tcpHalfOpen(),
                        limits.udpFlows(),
                        limits.reassemblyBytes(),
                        limits.outOfOrderBytes(),
                        limits.outOfOrderTotalBytes(),
                        limits.dnsQueries(),
                        perSecond));
    }

    /** Hands over a frame without ending the turn. */
    void inputOnly(MemorySegment frame) {
        assertThat(ip.parse(frame, 14, (int) frame.byteSize() - 14)).isEqualTo(DropReason.NONE);
        DropReason reason =
                segment.parse(frame, ip.payloadOffset(), ip.payloadLength(), ip.source(), ip.destination(), true);
        assertThat(reason).isEqualTo(DropReason.NONE);
        table.input(segment, ip.source(), ip.destination(), 63, now);
    }

    /** One turn with these frames. */
    void input(MemorySegment... frames) {
        for (MemorySegment frame : frames) {
            inputOnly(frame);
        }
        turn();
    }

    /** Ends turns as long as one is wanted. */
    void turn() {
        do {
            turnWanted = false;
            table.endTurn(now);
        } while (turnWanted);
    }

    /** Lets time pass; every timer fires in its time. */
    void advance(long nanos) {
        long end = now + nanos;
        while (deadlines.next() <= end) {
            now = Math.max(now, deadlines.next());
            deadlines.poll(now);
            turn();
        }
        now = end;
    }

    PatternStream stream() {
        return streams.getLast();
    }

    /** A program in the guest connects from a port, and is connected. */
    TcpGuest connect(int port) {
        return connect(port, 5_000);
    }

    TcpGuest connect(int port, long initialSequence) {
        TcpGuest end = new TcpGuest(this, port, initialSequence);
        input(end.syn().build());
        end.established(sent.only());
        return end;
    }

    private final class Hosts implements HostSockets {

        @Override
        public HostStream connect(IpAddress destination, int port, int hopLimit, HostStream.Listener listener) {
            assertThat(IpAddress.toString(destination.v4())).isEqualTo(SERVER);
            if (failConnects != null) {
                throw failConnects;
            }
            PatternStream stream = host.get();
            stream.listener = listener;
            streams.add(stream);
            if (failure != null) {
                listener.failed(failure);
            } else if (!hostIsSilent) {
                listener.connected();
            }
            return stream;
        }

        @Override
        public HostDatagrams openDatagrams(int preferredPort, boolean ipv6, HostDatagrams.Listener listener) {
            throw new UnsupportedOperationException("no UDP here");
        }

        @Override
        public HostEcho openEcho(int preferredIdentifier, boolean ipv6, HostEcho.Listener listener) {
            return null;
        }
    }
}
