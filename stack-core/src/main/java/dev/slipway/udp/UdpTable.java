package dev.slipway.udp;

import dev.slipway.ip.IpOutput;
import dev.slipway.ip.Ipv4Output;
import dev.slipway.ip.Ipv6Output;
import dev.slipway.seam.DropCounters;
import dev.slipway.seam.Flow;
import dev.slipway.seam.HostDatagrams;
import dev.slipway.seam.HostSockets;
import dev.slipway.seam.IcmpError;
import dev.slipway.seam.StackSettings;
import dev.slipway.seam.UdpNat;
import dev.slipway.time.DeadlineQueue;
import dev.slipway.time.Timed;
import dev.slipway.wire.BigEndian;
import dev.slipway.wire.DropReason;
import dev.slipway.wire.IpAddress;
import dev.slipway.wire.Ipv4Packet;
import dev.slipway.wire.UdpDatagram;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;

/**
 * All UDP flows of one guest: one host socket for each port the guest sends from, whomever it sends to.
 *
 * <p>Flows that nobody answered are let go after {@link #ONE_WAY_TIMEOUT}, those that asked a name or time server and got
 * their answer after {@link #ONE_SHOT_TIMEOUT}, others after {@link #TIMEOUT} without a datagram in either direction. At
 * the limit the flow that was idle longest makes room. With {@link UdpNat#SYMMETRIC} there is one for each destination.
 */
public final class UdpTable extends Timed {

    /** A question without an answer: 30 seconds, in nanoseconds. */
    public static final long ONE_WAY_TIMEOUT = 30_000_000_000L;
    /** A question with its answer: 10 seconds, in nanoseconds. RFC 4787, REQ-5 a, allows it for well-known ports. */
    public static final long ONE_SHOT_TIMEOUT = 10_000_000_000L;
    /** 3 minutes, in nanoseconds. */
    public static final long TIMEOUT = 180_000_000_000L;

    /** Answered flows stay at the head of the list for a while; so often they are looked at. */
    private static final long LOOK_INTERVAL = 5_000_000_000L;

    private static final int DNS = 53;
    private static final int NTP = 123;

    /** The most that is quoted of a datagram in an error about it. */
    private static final int QUOTED_MAX = 512;

    private final StackSettings settings;
    private final Ipv4Output output;
    private final Ipv6Output output6;
    private final HostSockets host;
    private final DropCounters drops;
    private final DeadlineQueue deadlines;
    private final Runnable turnWanted;
    private Consumer<Throwable> failureListener = failure -> {};
    private long failures;

    private final Map<FlowKey, UdpFlow> flows = new HashMap<>();
    private final FlowKey wanted = new FlowKey();
    private final boolean symmetric;
    private final List<UdpFlow> touched = new ArrayList<>();
    private final DatagramsToGuest toGuest;
    /** What an error quotes is put together here. */
    private final MemorySegment datagram;

    private UdpFlow oldest;
    private UdpFlow newest;
    private UdpFlow last;
    /** The same of IPv6. */
    private UdpFlow last6;

    private long nextLook;

    /**
     * @param turnWanted told when something was sent to the guest outside of a turn
     */
    public UdpTable(
            StackSettings settings,
            Ipv4Output output,
            Ipv6Output output6,
            HostSockets host,
            DropCounters drops,
            DeadlineQueue deadlines,
            Runnable turnWanted) {
        this.settings = settings;
        symmetric = settings.udpNat() == UdpNat.SYMMETRIC;
        this.output = output;
        this.output6 = output6;
        this.host = host;
        this.drops = drops;
        this.deadlines = deadlines;
        this.turnWanted = turnWanted;
        this.toGuest = new DatagramsToGuest(output, output6, drops);
        this.datagram = toGuest.memory();
    }

    /** Who is told of a defect that cost a flow. */
    public void whenFailed(Consumer<Throwable> listener) {
        failureListener = listener;
    }

    /** Flows that were closed because of a defect of ours. */
    public long failures() {
        return failures;
    }

    /** Adds what there is to a list, until it has that many. */
    public void list(List<Flow> list, int limit) {
        for (UdpFlow flow : flows.values()) {
            if (list.size() < limit) {
                IpAddress address = flow.key.guest();
                String guest = (address.isV4() ? address.toString() : "[" + address + "]") + ":" + flow.guestPort;
                list.add(new Flow("udp", guest, "", flow.answered ? "answered" : "unanswered"));
            }
        }
    }

    /** Guest ports that have a host socket. */
    public int size() {
        return flows.size();
    }

    /**
     * A datagram of the guest's for the outside.
     *
     * @param bytes memory that holds the payload
     * @param hopLimit time to live of the packet when it goes on
     */
    public void input(
            UdpDatagram udp,
            MemorySegment bytes,
            int guest,
            int destination,
            int hopLimit,
            boolean dontFragment,
            long now) {
        if (udp.destinationPort() == 0) {
            drops.count(DropReason.UDP);
            return;
        }
        IpAddress remote = IpAddress.ofV4(destination);
        UdpFlow flow = flow(guest, udp.sourcePort(), remote, udp.destinationPort(), now);
        if (flow != null) {
            send(flow, udp, bytes, remote, hopLimit, dontFragment);
        }
    }

    /**
     * The same over IPv6.
     *
     * @param dontFragment whether the guest sent it whole: then nobody else may cut it (RFC 8200, section 5)
     */
    public void input(
            UdpDatagram udp,
            MemorySegment bytes,
            long guestHigh,
            long guestLow,
            long destinationHigh,
            long destinationLow,
            int hopLimit,
            boolean dontFragment,
            long now) {
        if (udp.destinationPort() == 0) {
            drops.count(DropReason.UDP);
            return;
        }
        UdpFlow flow = last6;
        IpAddress remote = flow == null ? null : flow.remote;
        if (remote == null || remote.high() != destinationHigh || remote.low() != destinationLow) {
            remote = new IpAddress(destinationHigh, destinationLow);
        }
        if (flow == null
                || flow.guestPort != udp.sourcePort()
                || flow.key.guest().low() != guestLow
                || flow.key.guest().high() != guestHigh
                || !flow.key.admits(remote, udp.destinationPort())) {
            flow = find(new IpAddress(guestHigh, guestLow), udp.sourcePort(), remote, udp.destinationPort(), now);
            if (flow == null) {
                return;
            }
            last6 = flow;
        }
        flow.remote = remote;
        send(flow, udp, bytes, remote, hopLimit, dontFragment);
    }

    private void send(
            UdpFlow flow, UdpDatagram udp, MemorySegment bytes, IpAddress remote, int hopLimit, boolean dontFragment) {
        flow.oneShot &= udp.destinationPort() == DNS || udp.destinationPort() == NTP;
        HostDatagrams.Verdict verdict;
        try {
            verdict = flow.socket()
                    .send(
                            remote,
                            udp.destinationPort(),
                            hopLimit,
                            dontFragment,
                            bytes,
                            udp.payloadOffset(),
                            udp.payloadLength());
        } catch (RuntimeException | OutOfMemoryError failure) {
            failed(flow, failure);
            return;
        }
        touch(flow);
        flow.lastLength = udp.payloadLength();
        if (verdict != HostDatagrams.Verdict.SENT) {
            refused(flow, verdict, udp, bytes, remote);
        }
    }

    /** A defect of ours ends the one flow that met it; the guest's next datagram begins it anew. */
    private void failed(UdpFlow flow, Throwable failure) {
        failures++;
        failureListener.accept(failure);
        close(flow);
    }

    private void refused(
            UdpFlow flow, HostDatagrams.Verdict verdict, UdpDatagram udp, MemorySegment bytes, IpAddress destination) {
        drops.count(DropReason.UDP_HOST);
        IcmpError error =
                verdict.asError(settings.gatewayFor(destination), flow.socket().pathMtu());
        // Nobody is told of what was sent to a group (RFC 1122, section 3.2.2).
        if (error != null && !destination.isGroup()) {
            report(flow, destination, udp.destinationPort(), error, bytes, udp.payloadOffset(), udp.payloadLength());
        }
    }

    /** Tells the guest what became of a datagram, of which this much of the payload is left. */
    private void report(
            UdpFlow flow,
            IpAddress destination,
            int port,
            IcmpError error,
            MemorySegment quoted,
            long offset,
            int length) {
        IpAddress guest = flow.key.guest();
        int kept = Math.min(length, QUOTED_MAX);
        // Where no payload is left to be told by, it was most likely the last one; its checksum is not known then.
        int whole = Math.max(length, flow.lastLength);
        MemorySegment.copy(quoted, offset, datagram, UdpDatagram.HEADER_LENGTH, kept);
        if (kept == whole) {
            UdpDatagram.write(datagram, 0, guest, flow.guestPort, destination, port, whole);
        } else {
            BigEndian.putI32(datagram, 0, flow.guestPort << 16 | port);
            BigEndian.putI32(datagram, 4, UdpDatagram.HEADER_LENGTH + whole << 16);
        }
        IpOutput family = guest.isV4() ? output : output6;
        family.sendErrorAbout(
                error,
                error.reporter(),
                guest,
                destination,
                Ipv4Packet.PROTOCOL_UDP,
                UdpDatagram.HEADER_LENGTH + whole,
                datagram,
                0,
                UdpDatagram.HEADER_LENGTH + kept);
    }

    private UdpFlow flow(int guest, int guestPort, IpAddress remote, int remotePort, long now) {
        if (last != null && last.guest == guest && last.guestPort == guestPort && last.key.admits(remote, remotePort)) {
            return last;
        }
        UdpFlow flow = find(IpAddress.ofV4(guest), guestPort, remote, remotePort, now);
        if (flow != null) {
            last = flow;
        }
        return flow;
    }

    private UdpFlow find(IpAddress guest, int guestPort, IpAddress remote, int remotePort, long now) {
        wanted.set(guest, guestPort, symmetric ? remote : null, symmetric ? remotePort : 0);
        UdpFlow flow = flows.get(wanted);
        // Whoever asks a group asks from any port: its own may be one that a service of the host has, or would like.
        return flow != null ? flow : open(wanted.copy(), remote.isGroup() ? 0 : guestPort, now);
    }

    private UdpFlow open(FlowKey key, int preferredPort, long now) {
        if (flows.size() >= settings.limits().udpFlows()) {
            drops.count(DropReason.UDP_FLOW_LIMIT);
            close(oldest);
        }
        UdpFlow flow = new UdpFlow(this, key);
        HostDatagrams socket;
        try {
            socket = host.openDatagrams(preferredPort, !key.guest().isV4(), flow);
        } catch (RuntimeException | OutOfMemoryError failure) {
            failures++;
            failureListener.accept(failure);
            return null;
        }
        if (socket == null) {
            drops.count(DropReason.UDP_FLOW_LIMIT);
            return null;
        }
        flow.bind(socket);
        flows.put(key, flow);
        link(flow, now);
        deadlines.watch(this);
        return flow;
    }

    void received(UdpFlow flow, IpAddress source, int port, MemorySegment payload, long offset, int length) {
        if (!flow.key.admits(source, port)) {
            drops.count(DropReason.UDP_STRANGER);
            return;
        }
        flow.answered = true;
        touch(flow);
        turnWanted.run();
        if (flow.guest != 0) {
            toGuest.send(source.v4(), port, flow.guest, flow.guestPort, payload, offset, length);
        } else {
            toGuest.send(source, port, flow.key.guest(), flow.guestPort, payload, offset, length);
        }
    }

    void failed(
            UdpFlow flow,
            IpAddress destination,
            int port,
            IcmpError error,
            MemorySegment quoted,
            long offset,
            int length) {
        boolean isV4 = flow.key.guest().isV4();
        if (destination.isV4() == isV4 && (!isV4 || error.reporter().isV4())) {
            turnWanted.run();
            report(flow, destination, port, error, quoted, offset, length);
        }
    }

    /** Notes that a flow was used in this turn; endTurn knows the time. */
    private void touch(UdpFlow flow) {
        if (!flow.touched) {
            flow.touched = true;
            touched.add(flow);
        }
    }

    /** Ends the turn: what the guest sent goes out. */
    public void endTurn(long now) {
        for (int i = 0; i < touched.size(); i++) {
            UdpFlow flow = touched.get(i);
            flow.touched = false;
            if (flow.socket() != null) {
                use(flow, now);
                try {
                    flow.socket().flush();
                } catch (RuntimeException | OutOfMemoryError failure) {
                    failed(flow, failure);
                }
            }
        }
        touched.clear();
    }

    /** The guest is gone. */
    public void reset() {
        while (oldest != null) {
            close(oldest);
        }
    }

    @Override
    protected long deadline() {
        return oldest == null ? NEVER : Math.max(oldest.lastUsed + ONE_SHOT_TIMEOUT, nextLook);
    }

    @Override
    protected void expired(long now) {
        UdpFlow flow = oldest;
        while (flow != null && flow.lastUsed + ONE_SHOT_TIMEOUT <= now) {
            UdpFlow newer = flow.newerUse;
            if (flow.lastUsed + timeoutOf(flow) <= now) {
                close(flow);
            }
            flow = newer;
        }
        nextLook = now + LOOK_INTERVAL;
    }

    private static long timeoutOf(UdpFlow flow) {
        if (!flow.answered) {
            return ONE_WAY_TIMEOUT;
        }
        return flow.oneShot ? ONE_SHOT_TIMEOUT : TIMEOUT;
    }

    private void use(UdpFlow flow, long now) {
        flow.lastUsed = now;
        if (flow != newest) {
            unlink(flow);
            link(flow, now);
        }
    }

    private void link(UdpFlow flow, long now) {
        flow.lastUsed = now;
        flow.olderUse = newest;
        flow.newerUse = null;
        if (newest == null) {
            oldest = flow;
        } else {
            newest.newerUse = flow;
        }
        newest = flow;
    }

    private void unlink(UdpFlow flow) {
        if (flow.olderUse == null) {
            oldest = flow.newerUse;
        } else {
            flow.olderUse.newerUse = flow.newerUse;
        }
        if (flow.newerUse == null) {
            newest = flow.olderUse;
        } else {
            flow.newerUse.olderUse = flow.olderUse;
        }
    }

    private void close(UdpFlow flow) {
        unlink(flow);
        flows.remove(flow.key);
        if (last == flow) {
            last = null;
        }
        if (last6 == flow) {
            last6 = null;
        }
        HostDatagrams socket = flow.socket();
        flow.bind(null);
        try {
            socket.close();
        } catch (RuntimeException | OutOfMemoryError failure) {
            failures++;
            failureListener.accept(failure);
        }
    }
}
