package dev.slipway.stack;

import static dev.slipway.testing.PacketMatchers.assertThat;
import static dev.slipway.wire.TcpSegment.ACK;
import static dev.slipway.wire.TcpSegment.SYN;
import static org.assertj.core.api.Assertions.assertThat;

import dev.slipway.dhcp.LeaseTable;
import dev.slipway.dns.NameServer;
import dev.slipway.seam.DropCounters;
import dev.slipway.seam.HostDatagrams;
import dev.slipway.seam.HostEcho;
import dev.slipway.seam.HostStream;
import dev.slipway.seam.NameResolver;
import dev.slipway.seam.StackSettings;
import dev.slipway.testing.FrameRecorder;
import dev.slipway.testing.PacketBuilder;
import dev.slipway.testing.SentFrame;
import dev.slipway.testing.SwallowingStream;
import dev.slipway.testing.TestHost;
import dev.slipway.wire.BigEndian;
import dev.slipway.wire.DropReason;
import dev.slipway.wire.Icmpv4Packet;
import dev.slipway.wire.Icmpv6Packet;
import dev.slipway.wire.IpAddress;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;

/** A whole stack in virtual time, with a host that notes what it is asked for. */
final class StackRig {

    static final String GATEWAY = "192.168.65.1";
    static final String HOST = "192.168.65.254";
    static final String OUTSIDE = "203.0.113.7";
    static final long SECOND = 1_000_000_000L;

    final PacketBuilder guest = PacketBuilder.guest();
    final FrameRecorder sent = new FrameRecorder();
    final DropCounters drops = new DropCounters();
    final FakeHost host = new FakeHost();
    final List<NameResolver.Answer> queries = new ArrayList<>();
    final List<Throwable> failures = new ArrayList<>();
    final StackSettings settings;
    final LeaseTable leases;
    final Stack stack;
    long now = 1_000 * SECOND;
    private int port = 20_000;

    StackRig() {
        this(StackSettings.defaults());
    }

    StackRig(StackSettings settings) {
        this(settings, new LeaseTable(settings));
    }

    StackRig(StackSettings settings, LeaseTable leases) {
        this.settings = settings;
        this.leases = leases;
        NameServer names = new NameServer(settings, (query, stream, answer) -> queries.add(answer), drops);
        stack = new Stack(settings, sent, host, names, leases, drops, new byte[16]);
        stack.whenFailed(failures::add);
    }

    static StackSettings limited(int udpFlows, int reassemblyBytes) {
        StackSettings.Limits limits = StackSettings.Limits.defaults();
        return StackSettings.defaults()
                .withLimits(new StackSettings.Limits(
                        limits.tcpFlows(),
                        limits.tcpHalfOpen(),
                        udpFlows,
                        reassemblyBytes,
                        limits.outOfOrderBytes(),
                        limits.outOfOrderTotalBytes(),
                        limits.dnsQueries(),
                        limits.connectsPerSecond()));
    }

    /** One turn with these frames. */
    void input(MemorySegment... frames) {
        for (MemorySegment frame : frames) {
            stack.input(PacketBuilder.frame(frame), now);
        }
        stack.endTurn(now);
    }

    void input(List<MemorySegment> frames) {
        input(frames.toArray(MemorySegment[]::new));
    }

    void advance(long nanos) {
        long end = now + nanos;
        while (stack.nextDeadline() <= end) {
            now = Math.max(now, stack.nextDeadline());
            stack.poll(now);
            stack.endTurn(now);
        }
        now = end;
    }

    /** A frame that must be dropped for a reason, and nothing be said about it. */
    void isDropped(MemorySegment frame, DropReason reason) {
        isAnswered(frame, reason, 0);
    }

    /** A frame that must be dropped for a reason; returns what was said about it. */
    List<SentFrame> isAnswered(MemorySegment frame, DropReason reason, int answers) {
        long before = drops.get(reason);
        long all = drops.total();
        int sockets = host.opened();
        input(frame);
        List<SentFrame> said = sent.take();
        assertThat(drops.get(reason) - before)
                .as("%s counted, of %s", reason.label(), drops)
                .isEqualTo(1);
        assertThat(drops.total() - all).as("only that is counted: %s", drops).isEqualTo(1);
        assertThat(said).as("answers").hasSize(answers);
        assertThat(host.opened()).as("host sockets").isEqualTo(sockets);
        serves();
        return said;
    }

    /** Whatever came before: ARP, ping, a UDP flow and a connection work. */
    void serves() {
        input(guest.arpRequest(GATEWAY));
        assertThat(sent.only()).isArp().isReply(GATEWAY, settings.gatewayMac());
        input(guest.icmp(GATEWAY).echo(1, 2).payload("ping").build());
        assertThat(sent.only()).isIcmp().from(GATEWAY).isEchoReply(1, 2).hasPayload("ping");
        connect(port++);
        assertThat(failures).isEmpty();
    }

    /** A TCP connection to the outside; returns the stack's initial sequence number. */
    long connect(int guestPort) {
        input(guest.tcp(OUTSIDE, 80)
                .port(guestPort)
                .seq(100)
                .mss(1460)
                .flags(SYN)
                .build());
        host.streams.getLast().listener.connected();
        stack.endTurn(now);
        return assertThat(sent.only())
                .isTcp()
                .from(OUTSIDE, 80)
                .to(PacketBuilder.GUEST_IP, guestPort)
                .hasOnly(SYN, ACK)
                .ack(101)
                .seq();
    }

    /** The host that the stack opens sockets at. */
    static final class FakeHost extends TestHost<FakeHost.Stream, FakeHost.Datagrams, FakeHost.Echo> {

        int pathMtu;
        RuntimeException failSends;

        @Override
        protected Stream stream(IpAddress destination, int port, int hopLimit, HostStream.Listener listener) {
            return new Stream(destination, port, hopLimit, listener);
        }

        @Override
        protected Datagrams datagrams(int preferredPort, boolean ipv6, HostDatagrams.Listener listener) {
            return new Datagrams(preferredPort, ipv6, listener);
        }

        @Override
        protected Echo echo(int preferredIdentifier, boolean ipv6, HostEcho.Listener listener) {
            return new Echo(preferredIdentifier, ipv6, listener);
        }

        record Sent(String destination, int port, int hopLimit, boolean dontFragment, byte[] payload) {}

        /** A ping socket whose identifier is another than the guest's. */
        final class Echo implements HostEcho {
            static final int IDENTIFIER = 0xBEEF;

            final int preferredIdentifier;
            final boolean ipv6;
            final Listener listener;
            final List<Sent> sent = new ArrayList<>();
            boolean closed;

            Echo(int preferredIdentifier, boolean ipv6, Listener listener) {
                this.preferredIdentifier = preferredIdentifier;
                this.ipv6 = ipv6;
                this.listener = listener;
            }

            @Override
            public HostDatagrams.Verdict send(
                    IpAddress destination,
                    int hopLimit,
                    boolean dontFragment,
                    MemorySegment message,
                    long offset,
                    int length) {
                assertThat(closed).isFalse();
                if (failSends != null) {
                    throw failSends;
                }
                if (verdict == HostDatagrams.Verdict.SENT) {
                    byte[] bytes = message.asSlice(offset, length).toArray(ValueLayout.JAVA_BYTE);
                    sent.add(new Sent(destination.toString(), 0, hopLimit, dontFragment, bytes));
                }
                return verdict;
            }

            @Override
            public int pathMtu() {
                return pathMtu;
            }

            @Override
            public void close() {
                assertThat(closed).isFalse();
                closed = true;
            }

            /** The last request as it left the host: with the host's identifier, and a checksum over it. */
            byte[] lastOnTheWire() {
                byte[] message = sent.getLast().payload().clone();
                MemorySegment segment = MemorySegment.ofArray(message);
                BigEndian.putU16(segment, 4, IDENTIFIER);
                if (ipv6) {
                    IpAddress to = Ipv6Packets.ip(sent.getLast().destination());
                    Icmpv6Packet.write(
                            segment,
                            0,
                            message.length,
                            Icmpv6Packet.ECHO_REQUEST,
                            0,
                            Ipv6Packets.ip("2001:db8:1::1"),
                            to);
                } else {
                    Icmpv4Packet.write(segment, 0, message.length, Icmpv4Packet.ECHO_REQUEST, 0);
                }
                return message;
            }

            /** Whoever was pinged answers the last request. */
            void answer(String source, int hopLimit) {
                byte[] reply = lastOnTheWire();
                MemorySegment segment = MemorySegment.ofArray(reply);
                int type = ipv6 ? Icmpv6Packet.ECHO_REPLY : Icmpv4Packet.ECHO_REPLY;
                Icmpv4Packet.write(segment, 0, reply.length, type, 0);
                listener.replied(Ipv6Packets.ip(source), hopLimit, segment, 0, reply.length);
            }
        }

        final class Datagrams implements HostDatagrams {
            final int preferredPort;
            final boolean ipv6;
            final Listener listener;
            final List<Sent> sent = new ArrayList<>();
            int flushes;
            boolean closed;

            Datagrams(int preferredPort, boolean ipv6, Listener listener) {
                this.preferredPort = preferredPort;
                this.ipv6 = ipv6;
                this.listener = listener;
            }

            @Override
            public Verdict send(
                    IpAddress destination,
                    int port,
                    int hopLimit,
                    boolean dontFragment,
                    MemorySegment source,
                    long offset,
                    int length) {
                assertThat(closed).isFalse();
                if (failSends != null) {
                    throw failSends;
                }
                if (verdict == Verdict.SENT) {
                    sent.add(new Sent(
                            destination.toString(),
                            port,
                            hopLimit,
                            dontFragment,
                            source.asSlice(offset, length).toArray(ValueLayout.JAVA_BYTE)));
                }
                return verdict;
            }

            @Override
            public int pathMtu() {
                return pathMtu;
            }

            @Override
            public void flush() {
                assertThat(closed).isFalse();
                flushes++;
            }

            @Override
            public void close() {
                assertThat(closed).isFalse();
                closed = true;
            }

            void receive(String source, int port, byte[] payload) {
                listener.received(Ipv6Packets.ip(source), port, MemorySegment.ofArray(payload), 0, payload.length);
            }
        }

        /** A connection, and where it was to lead. */
        static final class Stream extends SwallowingStream {
            final IpAddress destination;
            final int port;
            final int hopLimit;
            final Listener listener;

            Stream(IpAddress destination, int port, int hopLimit, Listener listener) {
                this.destination = destination;
                this.port = port;
                this.hopLimit = hopLimit;
                this.listener = listener;
            }
        }
    }
}
