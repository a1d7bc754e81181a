package dev.slipway.host;

import dev.slipway.egress.EgressPolicy.Protocol;
import dev.slipway.posix.Errno;
import dev.slipway.posix.ReceiveBatch;
import dev.slipway.posix.SendBatch;
import dev.slipway.posix.Sockets;
import dev.slipway.seam.HostDatagrams;
import dev.slipway.seam.IcmpError;
import dev.slipway.wire.IpAddress;
import dev.slipway.wire.UdpDatagram;
import io.netty.channel.IoEvent;
import io.netty.channel.IoRegistration;
import io.netty.channel.epoll.EpollIoEvent;
import io.netty.channel.epoll.EpollIoHandle;
import io.netty.channel.epoll.EpollIoOps;
import io.netty.channel.unix.FileDescriptor;
import io.netty.util.concurrent.Future;
import java.lang.foreign.MemorySegment;

/**
 * A UDP socket of the host by system calls, for one family of addresses.
 *
 * <p><b>Guest to host.</b> The first datagram of a turn to a destination is sent at once, so that {@link #send} can say
 * what the kernel said. Those that follow it to the same destination stay where they came in and are sent by one call
 * for many, in order, and those of one size as one message that the kernel cuts ({@link SendBatch}). If the kernel does not take one of them it is counted as lost, and the next datagram is sent at
 * once again, so the guest hears the reason then.
 *
 * <p><b>Host to guest.</b> One call receives many datagrams, into slots that all sockets of the VM share: what is
 * received is handed on before the next call. Registered level-triggered and once; after {@link #EVENT_DATAGRAMS} or
 * {@link #EVENT_BYTES} the others have their turn, and the link to the guest is emptied.
 *
 * <p>The socket is not connected, as one guest port speaks with many peers. What the network says about a datagram (port
 * unreachable, no way, too big, time exceeded) the kernel keeps in the socket's error queue, and it lets the next call
 * fail: so a call that fails reads the queue, tells the guest of what was about others, and is done once more.
 */
final class NativeHostDatagrams implements HostDatagrams, EpollIoHandle {

    /** The most that fits a packet of either family. */
    static final int MAX_PAYLOAD = UdpDatagram.MAX_PAYLOAD_V6;

    /** What the kernel may be asked to hold for the guest; it gives what its own limit allows. */
    static final int RECEIVE_BUFFER = 1 << 20;

    /** What the kernel may be asked to hold for the host. */
    static final int SEND_BUFFER = 512 << 10;

    /** Datagrams after which one event ends. */
    private static final int EVENT_DATAGRAMS = 256;

    /** Bytes after which one event ends: less than the queue to the guest holds. */
    private static final int EVENT_BYTES = 256 << 10;

    private static final int EVENT_ERRORS = 64;
    private static final byte[] NOTHING = new byte[0];
    private static final int READABLE = EpollIoOps.EPOLLIN.value();
    private static final int ERROR = EpollIoOps.EPOLLERR.value();

    private final NativeHostSockets owner;
    private final Sockets sockets;
    private final Destinations destinations;
    private final Listener listener;
    private final boolean ipv6;
    private final int maxPayload;
    private final int fd;
    private final OwnedDescriptor descriptor;
    private IoRegistration registration;
    private boolean closed;

    /** Where a datagram of this turn went without an error, or null. */
    private IpAddress proven;

    private int provenPort;

    /** The address that stands for it on the host. */
    private IpAddress provenDialled;

    private SendBatch gathered;

    /** Bytes of datagrams at most that the kernel cuts from one message. */
    private int segmentMax;

    /** Where what was gathered goes, as the guest names it. */
    private IpAddress gatheredFor;

    /** What packets leave with. */
    private int hopLimit;

    private boolean dontFragment;

    /** Whether something was sent to a group. */
    private boolean asksGroups;

    /** Of the call that failed last with EMSGSIZE, or 0. */
    private int pathMtu;

    /** Where the last datagram came from, by IPv4; no datagram comes from 0.0.0.0. */
    private int lastSource;

    /** The same by IPv6; none comes from :: either. */
    private long lastSourceHigh;

    private long lastSourceLow;

    private IpAddress lastSeen;

    NativeHostDatagrams(NativeHostSockets owner, Destinations destinations, Listener listener, boolean ipv6, int fd) {
        this.owner = owner;
        this.sockets = owner.sockets();
        this.destinations = destinations;
        this.listener = listener;
        this.ipv6 = ipv6;
        this.maxPayload = ipv6 ? UdpDatagram.MAX_PAYLOAD_V6 : UdpDatagram.MAX_PAYLOAD;
        this.segmentMax = maxPayload;
        this.fd = fd;
        this.descriptor = new OwnedDescriptor(fd);
        sockets.keepErrors(fd, ipv6, true);
        sockets.setDontFragment(fd, ipv6, false);
    }

    /** Begins to receive; false if the event loop does not take the socket. */
    boolean register() {
        Future<IoRegistration> registered = owner.loop().register(this);
        if (!registered.isSuccess()) {
            return false;
        }
        registration = registered.getNow();
        registration.submit(EpollIoOps.EPOLLIN);
        return true;
    }

    /** The port on the host. */
    int localPort() {
        return sockets.localPort(fd);
    }

    // --- guest to host ------------------------------------------------------------------------------------------

    @Override
    public Verdict send(
            IpAddress destination, int port, int hops, boolean whole, MemorySegment source, long offset, int length) {
        if (closed) {
            return Verdict.LOST;
        }
        boolean sameTerms = hops == hopLimit && whole == dontFragment;
        if (proven != null
                && sameTerms
                && port == provenPort
                && source.isNative()
                && length <= maxPayload
                && destination.equals(proven)
                && destinations.stillAdmits(destination, Protocol.UDP, port)) {
            gather(source, offset, length);
            return Verdict.SENT;
        }
        Destinations.Way way = destinations.judge(destination, Protocol.UDP, port);
        Verdict refusal = Destinations.refusalOfDatagram(way);
        if (refusal != null) {
            owner.counters().datagramsRefusedByPolicy++;
            return refusal;
        }
        if (length > maxPayload) {
            return Verdict.TOO_BIG;
        }
        // What was gathered goes before it: the order stays.
        sendGathered();
        if (!sameTerms) {
            setTerms(hops, whole);
        }
        if (destination.isGroup()) {
            prepareForGroup(hops);
        }
        return sendNow(destination, way, port, source, offset, length);
    }

    private void prepareForGroup(int hops) {
        sockets.setGroupHopLimit(fd, ipv6, hops);
        if (ipv6) {
            sockets.setGroupInterface(fd, destinations.groupInterfaceIndex());
        }
        if (!asksGroups) {
            asksGroups = true;
            lastSourceHigh = 0;
            lastSourceLow = 0;
        }
    }

    private void setTerms(int hops, boolean whole) {
        if (hops != hopLimit) {
            sockets.setHopLimit(fd, ipv6, hops);
            hopLimit = hops;
        }
        if (whole != dontFragment) {
            sockets.setDontFragment(fd, ipv6, whole);
            dontFragment = whole;
        }
    }

    private Verdict sendNow(
            IpAddress destination, Destinations.Way way, int port, MemorySegment source, long offset, int length) {
        boolean isNative = source.isNative();
        MemorySegment bytes = isNative ? source : owner.sendMemory(source, offset, length);
        long from = isNative ? offset : 0;
        IpAddress dialled = destinations.onHost(destination, way);
        pathMtu = 0;
        int result = sockets.send(fd, bytes, from, length, owner.address(dialled, port));
        if (result < 0 && tellErrorsLater()) {
            result = sockets.send(fd, bytes, from, length, owner.address(dialled, port));
        }
        if (result < 0) {
            proven = null;
            owner.counters().datagramsLost++;
            return verdictOf(-result);
        }
        owner.counters().datagramsToHost++;
        proven = destination;
        provenPort = port;
        provenDialled = dialled;
        return Verdict.SENT;
    }

    @Override
    public int pathMtu() {
        return pathMtu;
    }

    /** Takes all errors there are; returns whether one of them is about something sent before. */
    private boolean tellErrorsLater() {
        return owner.errors().takeAll(fd, mtu -> pathMtu = mtu, this::tellLater);
    }

    private void tellLater(KeptError kept) {
        owner.loop().execute(() -> {
            if (!closed) {
                owner.touched();
                owner.guarded(
                        () -> listener.failed(kept.destination(), kept.port(), kept.error(), kept.quoted(), 0, (int)
                                kept.quoted().byteSize()));
            }
        });
    }

    /** What an error of sendto(2) means for the guest. */
    static Verdict verdictOf(int errno) {
        return switch (errno) {
            case Errno.ENETUNREACH, Errno.ENETDOWN -> Verdict.NETWORK_UNREACHABLE;
            case Errno.EHOSTUNREACH, Errno.EHOSTDOWN -> Verdict.HOST_UNREACHABLE;
            case Errno.EACCES, Errno.EPERM -> Verdict.PROHIBITED;
            case Errno.EMSGSIZE -> Verdict.TOO_BIG;
            default -> Verdict.LOST;
        };
    }

    private void gather(MemorySegment source, long offset, int length) {
        if (gathered == null) {
            gatheredFor = proven;
            gathered = owner.takeBatch().to(provenDialled, provenPort, segmentMax);
        }
        gathered.add(source, offset, length);
        if (gathered.isFull()) {
            sendGathered();
        }
    }

    private void sendGathered() {
        if (gathered == null) {
            return;
        }
        SendBatch batch = gathered;
        gathered = null;
        int first = 0;
        boolean again = true;
        while (first < batch.messages()) {
            int sent = sockets.send(fd, batch, first);
            if (sent > 0) {
                owner.counters().datagramsToHost += datagrams(batch, first, first + sent);
                first += sent;
                again = true;
                continue;
            }
            proven = null;
            pathMtu = 0;
            if (again && tellErrorsLater()) {
                again = false;
                continue;
            }
            if (batch.datagrams(first) > 1 && mayBeOfSegments(-sent)) {
                // The kernel, or the way, does not cut datagrams of this size: each goes by itself.
                segmentMax = batch.segment(first) - 1;
                batch.split(first);
                continue;
            }
            if (pathMtu > 0) {
                tellLater(tooBig(pathMtu));
            }
            int end = Errno.isAgain(sent) ? batch.messages() : first + 1;
            owner.counters().datagramsLost += datagrams(batch, first, end);
            first = end;
        }
        owner.giveBack(batch);
    }

    private static int datagrams(SendBatch batch, int from, int to) {
        int sum = 0;
        for (int message = from; message < to; message++) {
            sum += batch.datagrams(message);
        }
        return sum;
    }

    /** Whether an error may say that a message of several datagrams could not be cut into them (UDP_SEGMENT, udp(7)). */
    private static boolean mayBeOfSegments(int errno) {
        return errno == Errno.EINVAL || errno == Errno.EIO || errno == Errno.EMSGSIZE;
    }

    private KeptError tooBig(int mtu) {
        IcmpError error = Verdict.TOO_BIG.asError(destinations.gatewayFor(gatheredFor), mtu);
        return new KeptError(gatheredFor, provenPort, error, MemorySegment.ofArray(NOTHING));
    }

    @Override
    public void flush() {
        sendGathered();
        proven = null;
    }

    // --- host to guest ------------------------------------------------------------------------------------------

    @Override
    public FileDescriptor fd() {
        return descriptor;
    }

    @Override
    public void handle(IoRegistration from, IoEvent event) {
        if (closed) {
            return;
        }
        int ops = ((EpollIoEvent) event).ops().value();
        if ((ops & ERROR) != 0) {
            tellErrors();
        }
        if ((ops & READABLE) != 0 && !closed) {
            receive();
        }
    }

    private void tellErrors() {
        ErrorQueue errors = owner.errors();
        for (int i = 0; i < EVENT_ERRORS && !closed; i++) {
            if (!errors.next(fd)) {
                // Nothing is kept of it, so there is nothing to tell; but the kernel would report it for ever.
                sockets.pendingError(fd);
                return;
            }
            IpAddress destination = errors.destination();
            if (errors.error() != null && destination != null) {
                owner.touched();
                owner.guarded(() -> listener.failed(
                        destination, errors.port(), errors.error(), errors.quoted(), 0, errors.quotedLength()));
            }
        }
    }

    private void receive() {
        ReceiveBatch batch = owner.receiveBatch(ipv6);
        int datagrams = 0;
        long bytes = 0;
        int count;
        do {
            count = sockets.receive(fd, batch);
            if (count < 0) {
                // Nothing is there; or an error is, and with it the next event.
                return;
            }
            owner.touched();
            for (int i = 0; i < count && !closed; i++) {
                bytes += batch.length(i);
                received(batch, i);
            }
            datagrams += count;
        } while (count == ReceiveBatch.SLOTS && !closed && datagrams < EVENT_DATAGRAMS && bytes < EVENT_BYTES);
    }

    private void received(ReceiveBatch batch, int index) {
        if (ipv6) {
            lookAtSource(batch.sourceHigh(index), batch.sourceLow(index));
        } else {
            lookAtSource(batch.source(index));
        }
        if (lastSeen == null) {
            owner.counters().datagramsFromStrangers++;
            return;
        }
        owner.counters().datagramsFromHost++;
        try {
            listener.received(
                    lastSeen, batch.sourcePort(index), batch.memory(), batch.offset(index), batch.length(index));
        } catch (RuntimeException | OutOfMemoryError e) {
            // A listener that throws loses this datagram, nothing else.
            owner.failed(e);
        }
    }

    private void lookAtSource(int source) {
        if (source != lastSource) {
            lastSource = source;
            lastSeen = destinations.seenByGuest(IpAddress.ofV4(source));
        }
    }

    private void lookAtSource(long high, long low) {
        if (high != lastSourceHigh || low != lastSourceLow) {
            lastSourceHigh = high;
            lastSourceLow = low;
            IpAddress source = new IpAddress(high, low);
            lastSeen = asksGroups ? destinations.answererSeenByGuest(source) : destinations.seenByGuest(source);
        }
    }

    /** What was gathered goes out first: it was sent before. */
    @Override
    public void close() {
        if (closed) {
            return;
        }
        sendGathered();
        closed = true;
        descriptor.closing();
        registration.cancel();
        sockets.close(fd);
        owner.closed(this);
    }
}
