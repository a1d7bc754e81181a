package dev.slipway.tcp;

import dev.slipway.ip.Ipv4Output;
import dev.slipway.ip.Neighbours;
import dev.slipway.seam.DropCounters;
import dev.slipway.seam.HostDatagrams;
import dev.slipway.seam.HostEcho;
import dev.slipway.seam.HostSockets;
import dev.slipway.seam.HostStream;
import dev.slipway.seam.StackSettings;
import dev.slipway.time.DeadlineQueue;
import dev.slipway.wire.DropReason;
import dev.slipway.wire.EthernetFrame;
import dev.slipway.wire.IpAddress;
import dev.slipway.wire.Ipv4Packet;
import dev.slipway.wire.TcpSegment;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Function;

/** Two TCP tables at the ends of a {@link SimulatedLink}: the stack under test, and a guest that dials through it. */
final class SimulatedNetwork {

    static final int GUEST = IpAddress.parseV4("192.168.65.3");
    static final int SERVER = IpAddress.parseV4("203.0.113.7");

    final SimulatedLink link;
    final End stack;
    final End guest;
    /** What the host's side of the next connections is. */
    Function<HostStream.Listener, PatternStream> hostFactory = listener -> new PatternStream(0, 0, 0);

    HostStream.ConnectFailure failure;
    boolean hostStaysSilent;
    final List<PatternStream> hostStreams = new ArrayList<>();
    final List<HostStream.Listener> hostListeners = new ArrayList<>();

    SimulatedNetwork(long seed, SimulatedLink.Conditions conditions) {
        this(seed, conditions, StackSettings.defaults());
    }

    SimulatedNetwork(long seed, SimulatedLink.Conditions conditions, StackSettings settings) {
        link = new SimulatedLink(seed, conditions);
        stack = new End(settings, link.toGuest, GUEST, 0x5A94_EFE4_0CEEL, new Hosts());
        guest = new End(settings, link.fromGuest, SERVER, settings.gatewayMac(), null);
        link.toGuest.receiver = guest::receive;
        link.fromGuest.receiver = stack::receive;
    }

    /** A program in the guest connects to the server's port 80. */
    PatternStream dial(PatternStream stream, int port) {
        boolean opened = guest.table.open(
                SERVER,
                80,
                GUEST,
                port,
                listener -> {
                    stream.listener = listener;
                    return stream;
                },
                link.now());
        if (!opened) {
            throw new IllegalStateException("not opened");
        }
        return stream;
    }

    /** Runs until nothing moves any more or virtual time is up. */
    void run(long nanos) {
        long end = link.now() + nanos;
        while (link.now() < end && step(end)) {}
    }

    /** Runs until a condition holds; false if virtual time was up before. */
    boolean runUntil(java.util.function.BooleanSupplier condition, long nanos) {
        long end = link.now() + nanos;
        while (!condition.getAsBoolean()) {
            if (link.now() >= end || !step(end)) {
                return condition.getAsBoolean();
            }
        }
        return true;
    }

    private boolean step(long end) {
        link.deliver();
        boolean worked = stack.turn(link.now()) | guest.turn(link.now());
        if (worked) {
            return true;
        }
        long next = Math.min(link.nextDelivery(), Math.min(stack.deadlines.next(), guest.deadlines.next()));
        if (next == Long.MAX_VALUE) {
            return false;
        }
        link.advanceTo(Math.min(next, end));
        stack.deadlines.poll(link.now());
        guest.deadlines.poll(link.now());
        return true;
    }

    private final class Hosts implements HostSockets {
        @Override
        public HostStream connect(IpAddress destination, int port, int hopLimit, HostStream.Listener listener) {
            PatternStream stream = hostFactory.apply(listener);
            stream.listener = listener;
            hostStreams.add(stream);
            hostListeners.add(listener);
            if (failure != null) {
                listener.failed(failure);
            } else if (!hostStaysSilent) {
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

    /** One end of the link. */
    static final class End {

        final DropCounters drops = new DropCounters();
        final DeadlineQueue deadlines = new DeadlineQueue();
        final TcpTable table;
        private boolean turnWanted;
        private final EthernetFrame ethernet = new EthernetFrame();
        private final Ipv4Packet ip = new Ipv4Packet();
        private final TcpSegment segment = new TcpSegment();
        private final List<byte[]> arrived = new ArrayList<>();

        End(StackSettings settings, SimulatedLink.Direction out, int peer, long peerMac, HostSockets host) {
            Neighbours neighbours = new Neighbours();
            neighbours.bind(peer, peerMac);
            byte[] secret = new byte[16];
            new java.util.Random(peer).nextBytes(secret);
            table = new TcpTable(
                    settings, new Ipv4Output(settings, out, neighbours, drops, secret), host, drops, deadlines, secret);
            table.whenTurnWanted(() -> turnWanted = true);
        }

        void receive(byte[] frame) {
            arrived.add(frame);
        }

        boolean turn(long now) {
            boolean worked = turnWanted || !arrived.isEmpty();
            turnWanted = false;
            for (byte[] frame : arrived) {
                MemorySegment bytes = MemorySegment.ofArray(frame);
                DropReason reason = ethernet.parse(bytes, 0, frame.length);
                if (reason == DropReason.NONE) {
                    reason = ip.parse(bytes, 14, frame.length - 14);
                }
                if (reason == DropReason.NONE) {
                    reason = segment.parse(
                            bytes, ip.payloadOffset(), ip.payloadLength(), ip.source(), ip.destination(), true);
                }
                if (reason == DropReason.NONE) {
                    table.input(segment, ip.source(), ip.destination(), 63, now);
                } else {
                    drops.count(reason);
                }
            }
            arrived.clear();
            if (worked) {
                table.endTurn(now);
            }
            return worked;
        }
    }
}
