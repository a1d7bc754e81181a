package dev.slipway.icmp;

import dev.slipway.ip.IpOutput;
import dev.slipway.ip.Ipv4Output;
import dev.slipway.ip.Ipv6Output;
import dev.slipway.seam.DropCounters;
import dev.slipway.seam.HostDatagrams.Verdict;
import dev.slipway.seam.HostEcho;
import dev.slipway.seam.HostSockets;
import dev.slipway.seam.IcmpError;
import dev.slipway.seam.StackSettings;
import dev.slipway.time.DeadlineQueue;
import dev.slipway.time.Timed;
import dev.slipway.wire.BigEndian;
import dev.slipway.wire.Checksum;
import dev.slipway.wire.DropReason;
import dev.slipway.wire.Icmpv4Packet;
import dev.slipway.wire.Icmpv6Packet;
import dev.slipway.wire.IpAddress;
import dev.slipway.wire.Ipv4Packet;
import dev.slipway.wire.Ipv6Packet;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.Consumer;

/**
 * All echo requests of one guest to the outside: one host socket for each identifier, whomever it pings. A socket is let
 * go after {@link #TIMEOUT} without a request or an answer. At the limit the one idle longest makes room.
 */
public final class EchoTable extends Timed {

    /** Identifiers that one guest may use at a time. */
    public static final int MAX_FLOWS = 1_024;

    /** 60 seconds, in nanoseconds (RFC 5508, REQ-2). */
    public static final long TIMEOUT = 60_000_000_000L;

    private static final int CHECKSUM = 2;
    private static final int IDENTIFIER = 4;
    private static final int SEQUENCE = 6;
    private static final int MAX_MESSAGE = 65_535;
    private static final int TTL = 64;

    private record Key(IpAddress guest, int identifier) {}

    private final StackSettings settings;
    private final Ipv4Output output;
    private final Ipv6Output output6;
    private final HostSockets host;
    private final DropCounters drops;
    private final DeadlineQueue deadlines;
    private final Runnable turnWanted;
    private Consumer<Throwable> failureListener = failure -> {};
    private long failures;
    private long time;

    /** In the order of last use. */
    private final LinkedHashMap<Key, EchoFlow> flows = new LinkedHashMap<>(16, 0.75f, true);

    private final MemorySegment scratch = Arena.ofAuto().allocate(MAX_MESSAGE);

    /**
     * @param turnWanted told when something was sent to the guest outside of a turn
     */
    public EchoTable(
            StackSettings settings,
            Ipv4Output output,
            Ipv6Output output6,
            HostSockets host,
            DropCounters drops,
            DeadlineQueue deadlines,
            Runnable turnWanted) {
        this.settings = settings;
        this.output = output;
        this.output6 = output6;
        this.host = host;
        this.drops = drops;
        this.deadlines = deadlines;
        this.turnWanted = turnWanted;
    }

    /** Who is told of a defect that cost a flow. */
    public void whenFailed(Consumer<Throwable> listener) {
        failureListener = listener;
    }

    /** Flows that were closed because of a defect of ours. */
    public long failures() {
        return failures;
    }

    /** Identifiers that have a host socket. */
    public int size() {
        return flows.size();
    }

    /**
     * An echo request of the guest's for the outside.
     *
     * @param hopLimit time to live of the packet when it goes on
     * @param message memory that holds the request from its type on
     * @return {@link DropReason#ICMP_FLOW_LIMIT}, {@link DropReason#ICMP_HOST} or {@link DropReason#NONE}
     */
    public DropReason input(
            IpAddress guest,
            IpAddress destination,
            int hopLimit,
            boolean dontFragment,
            MemorySegment message,
            long offset,
            int length,
            long now) {
        time = now;
        EchoFlow flow = flow(guest, BigEndian.u16(message, offset + IDENTIFIER), now);
        if (flow == null) {
            return DropReason.ICMP_FLOW_LIMIT;
        }
        flow.lastLength = length;
        flow.lastSequence = BigEndian.u16(message, offset + SEQUENCE);
        flow.lastChecksum = BigEndian.u16(message, offset + CHECKSUM);
        Verdict verdict;
        try {
            verdict = flow.socket().send(destination, hopLimit, dontFragment, message, offset, length);
        } catch (RuntimeException | OutOfMemoryError failure) {
            failed(flow, failure);
            return DropReason.ICMP_HOST;
        }
        if (verdict == Verdict.SENT) {
            return DropReason.NONE;
        }
        refused(flow, verdict, destination, message, offset, length);
        return DropReason.ICMP_HOST;
    }

    private EchoFlow flow(IpAddress guest, int identifier, long now) {
        Key key = new Key(guest, identifier);
        EchoFlow flow = flows.get(key);
        if (flow == null) {
            flow = open(key);
            if (flow == null) {
                return null;
            }
        }
        flow.lastUsed = now;
        deadlines.watch(this);
        return flow;
    }

    private EchoFlow open(Key key) {
        if (flows.size() >= MAX_FLOWS) {
            drops.count(DropReason.ICMP_FLOW_LIMIT);
            close(flows.firstEntry().getValue());
        }
        EchoFlow flow = new EchoFlow(this, key.guest, key.identifier);
        HostEcho socket;
        try {
            socket = host.openEcho(key.identifier, !key.guest.isV4(), flow);
        } catch (RuntimeException | OutOfMemoryError failure) {
            failures++;
            failureListener.accept(failure);
            return null;
        }
        if (socket == null) {
            return null;
        }
        flow.bind(socket);
        flows.put(key, flow);
        return flow;
    }

    /** A defect of ours ends the one flow that met it; the guest's next request begins it anew. */
    private void failed(EchoFlow flow, Throwable failure) {
        failures++;
        failureListener.accept(failure);
        close(flow);
    }

    private void refused(
            EchoFlow flow, Verdict verdict, IpAddress destination, MemorySegment message, long offset, int length) {
        Verdict said = verdict == Verdict.PORT_UNREACHABLE ? Verdict.HOST_UNREACHABLE : verdict;
        IcmpError error =
                said.asError(settings.gatewayFor(destination), flow.socket().pathMtu());
        if (error != null) {
            report(flow, destination, error, message, offset, length);
        }
    }

    void replied(EchoFlow flow, IpAddress source, int hopLimit, MemorySegment message, long offset, int length) {
        used(flow);
        boolean isV4 = flow.guest.isV4();
        if (source.isV4() != isV4 || length < Icmpv4Packet.HEADER_LENGTH || length > MAX_MESSAGE) {
            drops.count(DropReason.ICMP_HOST);
            return;
        }
        if (output.room() <= length) {
            drops.count(DropReason.GUEST_QUEUE_FULL);
            return;
        }
        MemorySegment.copy(message, offset, scratch, 0, length);
        BigEndian.putU16(scratch, IDENTIFIER, flow.identifier);
        int hops = hopLimit > 0 ? hopLimit : TTL;
        if (isV4) {
            Icmpv4Packet.write(scratch, 0, length, Icmpv4Packet.ECHO_REPLY, 0);
            output.sendCopy(scratch, 0, length, source.v4(), flow.guest.v4(), Ipv4Packet.PROTOCOL_ICMP, hops);
        } else {
            Icmpv6Packet.write(scratch, 0, length, Icmpv6Packet.ECHO_REPLY, 0, source, flow.guest);
            output6.sendCopy(scratch, 0, length, source, flow.guest, Ipv6Packet.PROTOCOL_ICMP, hops);
        }
    }

    void failed(EchoFlow flow, IpAddress destination, IcmpError error, MemorySegment quoted, long offset, int length) {
        used(flow);
        boolean isV4 = flow.guest.isV4();
        if (destination.isV4() == isV4 && (!isV4 || error.reporter().isV4())) {
            report(flow, destination, error, quoted, offset, length);
        }
    }

    private void used(EchoFlow flow) {
        if (flows.get(new Key(flow.guest, flow.identifier)) == flow) {
            flow.lastUsed = time;
        }
        turnWanted.run();
    }

    /** Tells the guest what became of a request, of which this much is left. */
    private void report(
            EchoFlow flow, IpAddress destination, IcmpError error, MemorySegment quoted, long offset, int length) {
        int kept = length;
        if (length >= Icmpv4Packet.HEADER_LENGTH) {
            MemorySegment.copy(quoted, offset, scratch, 0, length);
            restore(flow, destination, length);
        } else {
            // Nobody quoted it: it was most likely the last one.
            kept = Icmpv4Packet.HEADER_LENGTH;
            scratch.asSlice(0, kept).fill((byte) 0);
            BigEndian.putU16(
                    scratch, 0, (flow.guest.isV4() ? Icmpv4Packet.ECHO_REQUEST : Icmpv6Packet.ECHO_REQUEST) << 8);
            BigEndian.putU16(scratch, CHECKSUM, flow.lastChecksum);
            BigEndian.putU16(scratch, IDENTIFIER, flow.identifier);
            BigEndian.putU16(scratch, SEQUENCE, flow.lastSequence);
        }
        boolean isV4 = flow.guest.isV4();
        IpOutput family = isV4 ? output : output6;
        family.sendErrorAbout(
                error,
                error.reporter(),
                flow.guest,
                destination,
                isV4 ? Ipv4Packet.PROTOCOL_ICMP : Ipv6Packet.PROTOCOL_ICMP,
                flow.lastLength,
                scratch,
                0,
                kept);
    }

    /** Puts the guest's identifier in the host's place, and the guest's checksum as far as it can be known. */
    private void restore(EchoFlow flow, IpAddress destination, int length) {
        if (flow.guest.isV4()) {
            restoreIdentifier(flow.identifier);
            return;
        }
        // The checksum is over addresses too (RFC 4443, section 2.3), and the host's are not the guest's.
        BigEndian.putU16(scratch, IDENTIFIER, flow.identifier);
        if (length == flow.lastLength) {
            Icmpv6Packet.write(scratch, 0, length, Icmpv6Packet.ECHO_REQUEST, 0, flow.guest, destination);
        } else {
            BigEndian.putU16(scratch, CHECKSUM, flow.lastChecksum);
        }
    }

    /** Puts the guest's identifier in the host's place, and keeps the checksum right without the rest (RFC 1624). */
    private void restoreIdentifier(int identifier) {
        int sum = ~BigEndian.u16(scratch, 2) & 0xFFFF;
        int changed = sum + (~BigEndian.u16(scratch, IDENTIFIER) & 0xFFFF) + identifier;
        BigEndian.putU16(scratch, 2, Checksum.finish(changed));
        BigEndian.putU16(scratch, IDENTIFIER, identifier);
    }

    /** Says what time it is, for events of the host. */
    public void at(long now) {
        time = now;
    }

    /** The guest is gone. */
    public void reset() {
        while (!flows.isEmpty()) {
            close(flows.firstEntry().getValue());
        }
    }

    @Override
    protected long deadline() {
        return flows.isEmpty() ? NEVER : flows.firstEntry().getValue().lastUsed + TIMEOUT;
    }

    @Override
    protected void expired(long now) {
        Iterator<Map.Entry<Key, EchoFlow>> oldestFirst = flows.entrySet().iterator();
        while (oldestFirst.hasNext()) {
            EchoFlow flow = oldestFirst.next().getValue();
            if (flow.lastUsed + TIMEOUT > now) {
                return;
            }
            oldestFirst.remove();
            release(flow);
        }
    }

    private void close(EchoFlow flow) {
        flows.remove(new Key(flow.guest, flow.identifier));
        release(flow);
    }

    private void release(EchoFlow flow) {
        try {
            flow.socket().close();
        } catch (RuntimeException | OutOfMemoryError failure) {
            failures++;
            failureListener.accept(failure);
        }
    }
}
