package dev.slipway.host;

import dev.slipway.egress.EgressPolicy.Protocol;
import dev.slipway.posix.Errno;
import dev.slipway.posix.ReceivedMessage;
import dev.slipway.posix.SocketAddress;
import dev.slipway.posix.Sockets;
import dev.slipway.seam.HostDatagrams.Verdict;
import dev.slipway.seam.HostEcho;
import dev.slipway.wire.IpAddress;
import io.netty.channel.IoEvent;
import io.netty.channel.IoRegistration;
import io.netty.channel.epoll.EpollIoEvent;
import io.netty.channel.epoll.EpollIoHandle;
import io.netty.channel.epoll.EpollIoOps;
import io.netty.channel.unix.FileDescriptor;
import io.netty.util.concurrent.Future;
import java.lang.foreign.MemorySegment;

/**
 * A ping socket of Linux (icmp(7)): a datagram socket of the protocol ICMP, which needs no privileges. The kernel puts
 * in the identifier, which the socket is bound to as if it were a port, and the checksum; it hands over the answers to
 * that identifier, and keeps the errors about its requests in the error queue.
 */
final class NativeHostEcho implements HostEcho, EpollIoHandle {

    /** What one message may have: the most that fits an IPv6 packet; the kernel knows what fits one of IPv4. */
    static final int MAX_MESSAGE = 65_535;

    private static final int EVENT_MESSAGES = 64;
    private static final int READABLE = EpollIoOps.EPOLLIN.value();
    private static final int ERROR = EpollIoOps.EPOLLERR.value();

    private final NativeHostSockets owner;
    private final Sockets sockets;
    private final Destinations destinations;
    private final Listener listener;
    private final boolean ipv6;
    private final int fd;
    private final OwnedDescriptor descriptor;
    private IoRegistration registration;
    private boolean closed;
    private int hopLimit;
    private boolean dontFragment;
    private int pathMtu;

    private NativeHostEcho(
            NativeHostSockets owner, Destinations destinations, Listener listener, boolean ipv6, int fd) {
        this.owner = owner;
        this.sockets = owner.sockets();
        this.destinations = destinations;
        this.listener = listener;
        this.ipv6 = ipv6;
        this.fd = fd;
        this.descriptor = new OwnedDescriptor(fd);
    }

    /** A new ping socket's descriptor, or minus an error number: {@link #isForbidden} tells what it means. */
    static int openSocket(Sockets sockets, boolean ipv6) {
        return ipv6
                ? sockets.open(Sockets.AF_INET6, Sockets.SOCK_DGRAM, Sockets.IPPROTO_ICMPV6)
                : sockets.open(Sockets.AF_INET, Sockets.SOCK_DGRAM, Sockets.IPPROTO_ICMP);
    }

    /** Whether an error says that this system has no ping sockets for this process. */
    static boolean isForbidden(int result) {
        return result == -Errno.EACCES
                || result == -Errno.EPERM
                || result == -Errno.EPROTONOSUPPORT
                || result == -Errno.EAFNOSUPPORT;
    }

    /** Sets a new socket up; {@code null}, and the socket closed, if the host has no identifier or no memory left. */
    static NativeHostEcho open(
            NativeHostSockets owner,
            Destinations destinations,
            Listener listener,
            boolean ipv6,
            int fd,
            int preferredIdentifier) {
        NativeHostEcho echo = new NativeHostEcho(owner, destinations, listener, ipv6, fd);
        return echo.bind(preferredIdentifier) && echo.register() ? echo : null;
    }

    private boolean bind(int identifier) {
        sockets.keepErrors(fd, ipv6, true);
        sockets.tellHopLimit(fd, ipv6);
        sockets.setDontFragment(fd, ipv6, false);
        IpAddress any = ipv6 ? new IpAddress(0, 0) : IpAddress.ofV4(0);
        boolean bound = sockets.bind(fd, owner.address(any, identifier)) == 0
                || identifier != 0 && sockets.bind(fd, owner.address(any, 0)) == 0;
        if (!bound) {
            sockets.close(fd);
        }
        return bound;
    }

    private boolean register() {
        Future<IoRegistration> registered = owner.loop().register(this);
        if (!registered.isSuccess()) {
            sockets.close(fd);
            return false;
        }
        registration = registered.getNow();
        registration.submit(EpollIoOps.EPOLLIN);
        return true;
    }

    // --- guest to host ------------------------------------------------------------------------------------------

    @Override
    public Verdict send(
            IpAddress destination, int hops, boolean whole, MemorySegment message, long offset, int length) {
        pathMtu = 0;
        if (closed || length > MAX_MESSAGE) {
            return Verdict.LOST;
        }
        Destinations.Way way = destinations.judge(destination, Protocol.ICMP, 0);
        switch (way) {
            case DIRECT, LOCALHOST -> {}
            case NOBODY_LISTENS, HOST_UNREACHABLE -> {
                return Verdict.HOST_UNREACHABLE;
            }
            case NETWORK_UNREACHABLE -> {
                return Verdict.NETWORK_UNREACHABLE;
            }
            case PROHIBITED -> {
                return Verdict.PROHIBITED;
            }
        }
        if (hops != hopLimit) {
            sockets.setHopLimit(fd, ipv6, hops);
            hopLimit = hops;
        }
        if (whole != dontFragment) {
            sockets.setDontFragment(fd, ipv6, whole);
            dontFragment = whole;
        }
        boolean isNative = message.isNative();
        MemorySegment bytes = isNative ? message : owner.sendMemory(message, offset, length);
        long from = isNative ? offset : 0;
        SocketAddress to = owner.address(destinations.onHost(destination, way), 0);
        int result = sockets.send(fd, bytes, from, length, to);
        if (result < 0 && tellErrorsLater()) {
            // What failed was an earlier request, of which the kernel tells at the next call.
            result = sockets.send(fd, bytes, from, length, to);
        }
        if (result < 0) {
            owner.counters().echoesLost++;
            return NativeHostDatagrams.verdictOf(-result);
        }
        owner.counters().echoesToHost++;
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
        owner.loop().execute(() -> tell(kept));
    }

    private void tell(KeptError kept) {
        if (!closed) {
            owner.touched();
            owner.guarded(() -> listener.failed(kept.destination(), kept.error(), kept.quoted(), 0, (int)
                    kept.quoted().byteSize()));
        }
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
        if ((ops & READABLE) != 0) {
            receive();
        }
    }

    private void tellErrors() {
        ErrorQueue errors = owner.errors();
        for (int i = 0; i < EVENT_MESSAGES && !closed; i++) {
            if (!errors.next(fd)) {
                sockets.pendingError(fd);
                return;
            }
            IpAddress destination = errors.destination();
            if (errors.error() != null && destination != null) {
                owner.touched();
                owner.guarded(
                        () -> listener.failed(destination, errors.error(), errors.quoted(), 0, errors.quotedLength()));
            }
        }
    }

    private void receive() {
        ReceivedMessage message = owner.echoMessage();
        for (int i = 0; i < EVENT_MESSAGES && !closed; i++) {
            if (sockets.receive(fd, message) < 0) {
                return;
            }
            IpAddress source = message.address();
            IpAddress seen = source == null ? null : destinations.seenByGuest(source);
            if (seen == null) {
                owner.counters().datagramsFromStrangers++;
                continue;
            }
            owner.touched();
            owner.counters().echoesFromHost++;
            owner.guarded(() ->
                    listener.replied(seen, Math.max(0, message.hopLimit()), message.payload(), 0, message.length()));
        }
    }

    @Override
    public void close() {
        if (!closed) {
            closed = true;
            descriptor.closing();
            registration.cancel();
            sockets.close(fd);
            owner.closed(this);
        }
    }
}
