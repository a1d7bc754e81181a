package dev.slipway.tcp;

import dev.slipway.ip.IpOutput;
import dev.slipway.ip.MessageRate;
import dev.slipway.seam.DropCounters;
import dev.slipway.seam.Flow;
import dev.slipway.seam.HostSockets;
import dev.slipway.seam.HostStream;
import dev.slipway.seam.IcmpError;
import dev.slipway.seam.StackSettings;
import dev.slipway.time.DeadlineQueue;
import dev.slipway.wire.DropReason;
import dev.slipway.wire.Frame;
import dev.slipway.wire.Icmpv6Packet;
import dev.slipway.wire.IpAddress;
import dev.slipway.wire.Ipv4Packet;
import dev.slipway.wire.TcpSegment;
import java.util.ArrayDeque;
import java.util.List;
import java.util.function.Consumer;
import java.util.function.Function;

/**
 * All TCP connections of one guest: finds the one a segment belongs to, makes new ones, answers what belongs to none,
 * gives each its turn, and keeps the limits.
 */
public final class TcpTable {

    /** Challenge acknowledgements per second, over all connections (RFC 5961, section 7). */
    private static final int CHALLENGES_PER_SECOND = 100;

    private static final long SECOND = 1_000_000_000L;

    /** What is left of the usual times to live: a SYN with less looks for routers, with more it says nothing. */
    private static final int USUAL_HOPS = 63;

    private final StackSettings settings;
    private final IpOutput output;
    private final IpOutput output6;
    private final HostSockets host;
    private final DropCounters drops;
    private final DeadlineQueue deadlines;
    private final InitialSequence initialSequence;
    private final MessageRate connects;
    private final TcpCounters counters = new TcpCounters();

    private TcpConnection[] slots = new TcpConnection[256];
    private int size;

    private TcpConnection oldestHalfOpen;
    private TcpConnection newestHalfOpen;
    private int halfOpen;

    private ArrayDeque<TcpConnection> turns = new ArrayDeque<>();
    private ArrayDeque<TcpConnection> running = new ArrayDeque<>();
    /** Those that found the channel full: such as sent nothing in their turn, and such as sent something. */
    private final ArrayDeque<TcpConnection> starved = new ArrayDeque<>();

    private final ArrayDeque<TcpConnection> blocked = new ArrayDeque<>();
    private Runnable turnWanted = () -> {};
    private Consumer<Throwable> failureListener = failure -> {};

    private boolean congested;
    private long time;
    private int outOfOrderBytes;
    private long challengeSecond;
    private int challenges;

    /** Without IPv6. */
    public TcpTable(
            StackSettings settings,
            IpOutput output,
            HostSockets host,
            DropCounters drops,
            DeadlineQueue deadlines,
            byte[] secret) {
        this(settings, output, null, host, drops, deadlines, secret);
    }

    /**
     * @param output6 where segments over IPv6 go, or {@code null} if none ever come
     * @param secret 16 random bytes, kept from everyone
     */
    public TcpTable(
            StackSettings settings,
            IpOutput output,
            IpOutput output6,
            HostSockets host,
            DropCounters drops,
            DeadlineQueue deadlines,
            byte[] secret) {
        this.settings = settings;
        this.output = output;
        this.output6 = output6;
        this.host = host;
        this.drops = drops;
        this.deadlines = deadlines;
        this.initialSequence = new InitialSequence(secret);
        this.connects = new MessageRate(settings.limits().connectsPerSecond());
    }

    /** Who is told, at most once per turn, that {@link #endTurn} is wanted because something happened on the host. */
    public void whenTurnWanted(Runnable listener) {
        turnWanted = listener;
    }

    /** Who is told of a defect that cost a connection. */
    public void whenFailed(Consumer<Throwable> listener) {
        failureListener = listener;
    }

    public TcpCounters counters() {
        return counters;
    }

    /** Connections of all states. */
    public int size() {
        return size;
    }

    /** Connections whose handshake is not done. */
    public int halfOpen() {
        return halfOpen;
    }

    /** Adds what there is to a list, until it has that many. */
    public void list(List<Flow> flows, int limit) {
        for (TcpConnection connection : slots) {
            if (connection != null && flows.size() < limit) {
                flows.add(connection.asFlow());
            }
        }
    }

    /** Bytes of memory that hold what the guest sent out of order. */
    public int outOfOrderBytes() {
        return outOfOrderBytes;
    }

    /**
     * A segment of the guest's whose lengths and checksum are good.
     *
     * @param guest its source address
     * @param remote its destination address
     * @param hopLimit time to live of the packet when it goes on
     */
    public void input(TcpSegment segment, int guest, int remote, int hopLimit, long now) {
        input(segment, 0, IpAddress.mapped(guest), 0, IpAddress.mapped(remote), hopLimit, now);
    }

    /** A segment over either family: IPv4 addresses are given in their IPv4-mapped form ({@link IpAddress}). */
    public void input(
            TcpSegment segment,
            long guestHigh,
            long guestLow,
            long remoteHigh,
            long remoteLow,
            int hopLimit,
            long now) {
        time = now;
        int ports = segment.sourcePort() << 16 | segment.destinationPort();
        TcpConnection connection = slots[slotOf(guestHigh, guestLow, remoteHigh, remoteLow, ports)];
        if (connection != null) {
            try {
                boolean begins = connection.segmentArrived(segment, now);
                if (!begins) {
                    if (connection.state() != TcpState.CLOSED) {
                        wantsTurn(connection);
                    }
                    return;
                }
            } catch (RuntimeException | OutOfMemoryError failure) {
                failed(connection, failure);
                return;
            }
        }
        begin(segment, new IpAddress(guestHigh, guestLow), new IpAddress(remoteHigh, remoteLow), hopLimit, now);
    }

    private void begin(TcpSegment segment, IpAddress guest, IpAddress remote, int hopLimit, long now) {
        int flags = segment.flags() & (TcpSegment.SYN | TcpSegment.ACK | TcpSegment.RST | TcpSegment.FIN);
        if (flags != TcpSegment.SYN) {
            drops.count(
                    (flags & TcpSegment.SYN) != 0 || flags == 0 ? DropReason.TCP_FLAGS : DropReason.TCP_NO_CONNECTION);
            refuse(segment, guest, remote);
            return;
        }
        if (segment.sourcePort() == 0 || segment.destinationPort() == 0) {
            drops.count(DropReason.TCP_HEADER);
            return;
        }
        if (!connects.allows(now)) {
            // Not refused: the guest sends it again, when there may be room.
            drops.count(DropReason.TCP_CONNECT_RATE);
            return;
        }
        if (size >= settings.limits().tcpFlows()) {
            drops.count(DropReason.TCP_FLOW_LIMIT);
            refuse(segment, guest, remote);
            return;
        }
        if (halfOpen >= settings.limits().tcpHalfOpen()) {
            drops.count(DropReason.TCP_HALF_OPEN_LIMIT);
            abort(oldestHalfOpen);
        }
        int iss = initialSequence.next(guest, segment.sourcePort(), remote, segment.destinationPort(), now);
        TcpConnection connection = new TcpConnection(
                this, outputTo(guest), guest, segment.sourcePort(), remote, segment.destinationPort(), iss);
        connection.begin(segment);
        add(connection);
        try {
            int limit = hopLimit < USUAL_HOPS ? hopLimit : 0;
            connection.bind(host.connect(remote, segment.destinationPort(), limit, connection));
        } catch (RuntimeException | OutOfMemoryError failure) {
            failed(connection, failure);
        }
    }

    /** Whether a connection between those ends exists, one that ended a moment ago included. */
    public boolean isTaken(IpAddress guest, int guestPort, IpAddress remote, int remotePort) {
        return find(guest, remote, guestPort << 16 | remotePort) != null;
    }

    /**
     * Opens a connection to the guest for one that the host has accepted.
     *
     * @param remote the address the guest is to see as the caller's
     * @param factory makes the host's side, told whom to tell
     * @return false if those ports are in use or there are too many connections
     */
    public boolean open(
            int guest,
            int guestPort,
            int remote,
            int remotePort,
            Function<HostStream.Listener, HostStream> factory,
            long now) {
        return open(IpAddress.ofV4(guest), guestPort, IpAddress.ofV4(remote), remotePort, factory, now);
    }

    /** As above, of either family; both addresses are of the same. */
    public boolean open(
            IpAddress guest,
            int guestPort,
            IpAddress remote,
            int remotePort,
            Function<HostStream.Listener, HostStream> factory,
            long now) {
        int ports = guestPort << 16 | remotePort;
        if (find(guest, remote, ports) != null) {
            return false;
        }
        if (size >= settings.limits().tcpFlows()
                || halfOpen >= settings.limits().tcpHalfOpen()) {
            drops.count(DropReason.TCP_FLOW_LIMIT);
            return false;
        }
        int iss = initialSequence.next(guest, guestPort, remote, remotePort, now);
        TcpConnection connection = new TcpConnection(this, outputTo(guest), guest, guestPort, remote, remotePort, iss);
        HostStream stream = factory.apply(connection);
        add(connection);
        connection.open(stream, now);
        return true;
    }

    /** Answers a segment that belongs to no connection (RFC 9293, section 3.10.7.1). */
    void refuse(TcpSegment segment, IpAddress guest, IpAddress remote) {
        if (segment.has(TcpSegment.RST)) {
            return;
        }
        IpOutput to = outputTo(guest);
        Frame frame = to.begin(TcpSegment.HEADER_LENGTH);
        boolean answersAck = segment.has(TcpSegment.ACK);
        int sequence = answersAck ? segment.acknowledgement() : 0;
        int acknowledgement = answersAck ? 0 : segment.sequence() + segment.sequenceLength();
        TcpSegment.write(
                frame.bytes(),
                frame.offset() + to.headers(),
                remote,
                segment.destinationPort(),
                guest,
                segment.sourcePort(),
                sequence,
                acknowledgement,
                answersAck ? TcpSegment.RST : TcpSegment.RST | TcpSegment.ACK,
                0,
                TcpSegment.HEADER_LENGTH,
                TcpSegment.HEADER_LENGTH);
        frame.checksumPartial(to.headers(), TcpSegment.CHECKSUM);
        to.send(frame, TcpSegment.HEADER_LENGTH, remote, guest, Ipv4Packet.PROTOCOL_TCP);
    }

    /** Ends the turn of every connection to which something happened. */
    public void endTurn(long now) {
        time = now;
        congested = !starved.isEmpty() || !blocked.isEmpty();
        // Those that ask again during their turn get the next one, so that a turn ends.
        ArrayDeque<TcpConnection> due = turns;
        turns = running;
        running = due;
        while (!due.isEmpty()) {
            TcpConnection connection = due.poll();
            connection.dirty = false;
            if (connection.state() == TcpState.CLOSED) {
                continue;
            }
            try {
                connection.turn(now, output.room() / (due.size() + 1));
            } catch (RuntimeException | OutOfMemoryError failure) {
                failed(connection, failure);
            }
        }
    }

    /** A defect of ours ends the one connection that met it. */
    void failed(TcpConnection connection, Throwable failure) {
        counters.failure();
        failureListener.accept(failure);
        try {
            connection.abortBoth();
        } catch (RuntimeException | OutOfMemoryError again) {
            failureListener.accept(again);
        }
    }

    private void abort(TcpConnection connection) {
        try {
            connection.abort();
        } catch (RuntimeException | OutOfMemoryError failure) {
            counters.failure();
            failureListener.accept(failure);
        }
    }

    /**
     * The channel to the guest has room again: those that waited for it go on, in the order in which they stopped, but
     * first those that were given none the last time.
     */
    public void guestReady() {
        release(starved);
        release(blocked);
    }

    private static void release(ArrayDeque<TcpConnection> waiting) {
        TcpConnection connection = waiting.poll();
        while (connection != null) {
            connection.waitsForRoom = false;
            connection.wantsTurn();
            connection = waiting.poll();
        }
    }

    /** This stack ends: every connection is reset on both sides. */
    public void shutDown() {
        for (TcpConnection connection : slots.clone()) {
            if (connection != null && connection.state() != TcpState.CLOSED) {
                try {
                    connection.abortBoth();
                } catch (RuntimeException | OutOfMemoryError failure) {
                    counters.failure();
                    failureListener.accept(failure);
                }
            }
        }
        reset();
    }

    /** The guest is gone: every host connection is reset. */
    public void reset() {
        for (TcpConnection connection : slots.clone()) {
            if (connection != null && connection.state() != TcpState.CLOSED) {
                abort(connection);
            }
        }
        turns.clear();
        starved.clear();
        blocked.clear();
    }

    // --- for connections ----------------------------------------------------------------------------------------

    DropCounters drops() {
        return drops;
    }

    DeadlineQueue deadlines() {
        return deadlines;
    }

    private IpOutput outputTo(IpAddress guest) {
        return guest.isV4() ? output : output6;
    }

    /**
     * An error of the gateway's for a guest's address of either family.
     *
     * @param code as {@link dev.slipway.wire.Icmpv4Packet} has it
     */
    IcmpError unreachable(IpAddress guest, int code) {
        return guest.isV4()
                ? IcmpError.unreachable(IpAddress.ofV4(settings.gateway()), code)
                : new IcmpError(settings.ipv6().gateway(), Icmpv6Packet.UNREACHABLE, Icmpv6Packet.codeFor(code), 0);
    }

    void wantsTurn(TcpConnection connection) {
        if (!connection.dirty) {
            boolean first = turns.isEmpty();
            turns.add(connection);
            connection.dirty = true;
            if (first) {
                turnWanted.run();
            }
        }
    }

    /** Whether others have waited for room since before this turn, so that who comes now has to queue behind them. */
    boolean isCongested() {
        return congested;
    }

    /**
     * Makes a connection wait for room in the channel.
     *
     * @param hungry whether it has sent nothing in this turn
     */
    void blocked(TcpConnection connection, boolean hungry) {
        if (!connection.waitsForRoom) {
            (hungry ? starved : blocked).add(connection);
            connection.waitsForRoom = true;
        }
    }

    /** How many more bytes a connection may keep out of order, given what it keeps already. */
    int outOfOrderRoom(int own) {
        StackSettings.Limits limits = settings.limits();
        return Math.max(0, Math.min(limits.outOfOrderBytes() - own, limits.outOfOrderTotalBytes() - outOfOrderBytes));
    }

    void outOfOrderChanged(int difference) {
        outOfOrderBytes += difference;
    }

    /** Answers a suspicious segment with the state of things (RFC 5961), but not more often than the link is worth. */
    void challenge(TcpConnection connection) {
        long second = Math.floorDiv(time, SECOND);
        if (second != challengeSecond) {
            challengeSecond = second;
            challenges = 0;
        }
        if (challenges < CHALLENGES_PER_SECOND) {
            challenges++;
            counters.challenge();
            connection.sendAcknowledgement();
        }
    }

    void noLongerHalfOpen(TcpConnection connection) {
        if (!connection.halfOpen) {
            return;
        }
        connection.halfOpen = false;
        halfOpen--;
        if (connection.olderHalfOpen == null) {
            oldestHalfOpen = connection.newerHalfOpen;
        } else {
            connection.olderHalfOpen.newerHalfOpen = connection.newerHalfOpen;
        }
        if (connection.newerHalfOpen == null) {
            newestHalfOpen = connection.olderHalfOpen;
        } else {
            connection.newerHalfOpen.olderHalfOpen = connection.olderHalfOpen;
        }
        connection.olderHalfOpen = null;
        connection.newerHalfOpen = null;
    }

    void remove(TcpConnection connection) {
        noLongerHalfOpen(connection);
        deadlines.remove(connection);
        int mask = slots.length - 1;
        int hole = slotOf(connection.guest, connection.remote, connection.ports);
        if (slots[hole] != connection) {
            return;
        }
        size--;
        // Backward shift: open addressing without tombstones.
        int at = hole;
        slots[hole] = null;
        while (true) {
            at = (at + 1) & mask;
            TcpConnection moved = slots[at];
            if (moved == null) {
                return;
            }
            int home = hash(moved) & mask;
            if (((at - home) & mask) >= ((at - hole) & mask)) {
                slots[hole] = moved;
                slots[at] = null;
                hole = at;
            }
        }
    }

    // --- the table ----------------------------------------------------------------------------------------------

    private void add(TcpConnection connection) {
        if (size >= slots.length / 2) {
            grow();
        }
        connection.halfOpen = true;
        connection.olderHalfOpen = newestHalfOpen;
        if (newestHalfOpen == null) {
            oldestHalfOpen = connection;
        } else {
            newestHalfOpen.newerHalfOpen = connection;
        }
        newestHalfOpen = connection;
        halfOpen++;
        size++;
        slots[slotOf(connection.guest, connection.remote, connection.ports)] = connection;
    }

    private void grow() {
        TcpConnection[] old = slots;
        slots = new TcpConnection[old.length * 2];
        for (TcpConnection other : old) {
            if (other != null) {
                slots[slotOf(other.guest, other.remote, other.ports)] = other;
            }
        }
    }

    private int hash(TcpConnection connection) {
        IpAddress guest = connection.guest;
        IpAddress remote = connection.remote;
        return initialSequence.tableHash(guest.high(), guest.low(), remote.high(), remote.low(), connection.ports);
    }

    private TcpConnection find(IpAddress guest, IpAddress remote, int ports) {
        return slots[slotOf(guest, remote, ports)];
    }

    private int slotOf(IpAddress guest, IpAddress remote, int ports) {
        return slotOf(guest.high(), guest.low(), remote.high(), remote.low(), ports);
    }

    private int slotOf(long guestHigh, long guestLow, long remoteHigh, long remoteLow, int ports) {
        int mask = slots.length - 1;
        int slot = initialSequence.tableHash(guestHigh, guestLow, remoteHigh, remoteLow, ports) & mask;
        TcpConnection at = slots[slot];
        while (at != null && (at.ports != ports || !at.isBetween(guestHigh, guestLow, remoteHigh, remoteLow))) {
            slot = (slot + 1) & mask;
            at = slots[slot];
        }
        return slot;
    }
}
