package dev.slipway.host;

import dev.slipway.egress.EgressPolicy.Protocol;
import dev.slipway.posix.Errno;
import dev.slipway.posix.IoVectors;
import dev.slipway.posix.ReceiveBatch;
import dev.slipway.posix.ReceivedMessage;
import dev.slipway.posix.SendBatch;
import dev.slipway.posix.SocketAddress;
import dev.slipway.posix.Sockets;
import dev.slipway.queue.QueueBudget;
import dev.slipway.seam.HostDatagrams;
import dev.slipway.seam.HostEcho;
import dev.slipway.seam.HostSockets;
import dev.slipway.seam.HostStream;
import dev.slipway.seam.HostStream.ConnectFailure;
import dev.slipway.wire.IpAddress;
import io.netty.channel.IoEventLoop;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.Set;
import java.util.function.Consumer;

/**
 * The host's sockets for one VM by system calls of Linux, registered with the VM's event loop. Everything here belongs
 * to that loop.
 */
final class NativeHostSockets implements HostSockets, AutoCloseable {

    /** As many payloads of one flow as a turn may bring: a channel reads 256 KiB at a time. */
    private static final int VECTORS = 256;

    /** Datagrams of one flow that one call sends. */
    private static final int BATCH = 256;

    /** Batches kept for the next turn: one for each flow that sends in bulk. */
    private static final int BATCHES_KEPT = 16;

    /** What is kept for the next turn; a turn of thousands of flows makes more, and lets go of them. */
    private static final int POOLED_VECTORS = 32;

    private static final int POOLED_SMALLS = 256;
    /** Bytes of the arrays for a keystroke or a short answer. */
    private static final int TINY = 128;

    private static final IpAddress ANY = IpAddress.ofV4(0);
    private static final IpAddress ANY_V6 = new IpAddress(0, 0);

    private final IoEventLoop loop;
    private final int mtu;
    private final Destinations destinations;
    private final QueueBudget budget;
    private final HostCounters counters;
    private final Runnable touched;
    private final Consumer<Throwable> failed;
    private final Sockets sockets = new Sockets();
    private final SocketAddress address = new SocketAddress();
    private final MemorySegment scratch = Arena.ofAuto().allocate(16);
    private final Set<NativeHostStream> streams = new HashSet<>();
    /** Streams of which the guest has acknowledged something in this turn. */
    private final ArrayDeque<NativeHostStream> acknowledged = new ArrayDeque<>();

    private final Runnable dropAcknowledged = this::dropAcknowledged;
    private final ArrayDeque<IoVectors> vectors = new ArrayDeque<>();
    private final ArrayDeque<byte[]> smalls = new ArrayDeque<>();
    private final Set<NativeHostDatagrams> datagrams = new HashSet<>();
    private final ArrayDeque<SendBatch> batches = new ArrayDeque<>();
    private final Set<NativeHostEcho> echoes = new HashSet<>();
    private ErrorQueue errors;
    private ReceivedMessage echoMessage;
    private ReceiveBatch receiveBatch;
    private ReceiveBatch receiveBatch6;
    private MemorySegment sendMemory;
    private final ArrayDeque<byte[]> tinies = new ArrayDeque<>();

    /**
     * @param touched called before each event that is delivered: the stack has something to end its turn for
     * @param failed called with what the stack threw when it was told of an event
     */
    NativeHostSockets(
            IoEventLoop loop,
            int mtu,
            Destinations destinations,
            QueueBudget budget,
            HostCounters counters,
            Runnable touched,
            Consumer<Throwable> failed) {
        this.loop = loop;
        this.mtu = mtu;
        this.destinations = destinations;
        this.budget = budget;
        this.counters = counters;
        this.touched = touched;
        this.failed = failed;
    }

    @Override
    public HostStream connect(IpAddress destination, int port, int hopLimit, HostStream.Listener listener) {
        Destinations.Way way = destinations.judge(destination, Protocol.TCP, port);
        ConnectFailure refusal = Destinations.refusal(way);
        if (refusal != null) {
            counters.connectsRefusedByPolicy++;
            return failedStream(listener, refusal);
        }
        IpAddress dialled = destinations.onHost(destination, way);
        int fd = openSocket(dialled.isV4() ? Sockets.AF_INET : Sockets.AF_INET6, Sockets.SOCK_STREAM);
        if (fd < 0) {
            counters.socketsExhausted++;
            return failedStream(listener, ConnectFailure.EXHAUSTED);
        }
        sockets.setOption(fd, Sockets.IPPROTO_TCP, Sockets.TCP_NODELAY, 1);
        sockets.keepErrors(fd, !dialled.isV4(), true);
        if (hopLimit != 0 && way == Destinations.Way.DIRECT) {
            sockets.setHopLimit(fd, !dialled.isV4(), hopLimit);
        }
        int result = sockets.connect(fd, address.set(dialled, port));
        if (result < 0 && result != -Errno.EINPROGRESS) {
            sockets.close(fd);
            counters.connectsFailed++;
            return failedStream(listener, failureOf(-result));
        }
        NativeHostStream stream = null;
        try {
            stream = new NativeHostStream(this, listener, fd, !dialled.isV4());
            streams.add(stream);
            counters.connects++;
            counters.openStreams = streams.size();
            stream.connecting(result);
            return stream;
        } catch (OutOfMemoryError e) {
            if (stream == null) {
                sockets.close(fd);
            } else {
                stream.reset();
            }
            throw e;
        }
    }

    /** Whether there is room for a connection that the host has accepted. */
    boolean admits(int fd) {
        return MemoryReserve.ofThisProcess().admitsFlows()
                && Descriptors.ofThisProcess().admits(fd);
    }

    /**
     * A connection that the host has accepted, for a guest that was not asked yet.
     *
     * @param fd a TCP socket with TCP_NODELAY whose close sends a reset; it belongs to this from here on, even if this
     *     throws
     */
    HostStream accepted(int fd, HostStream.Listener listener) {
        NativeHostStream stream = null;
        try {
            stream = new NativeHostStream(this, listener, fd, false);
            streams.add(stream);
            counters.accepts++;
            counters.openStreams = streams.size();
            stream.accepted();
            return stream;
        } catch (OutOfMemoryError e) {
            if (stream == null) {
                sockets.close(fd);
            } else {
                stream.reset();
            }
            throw e;
        }
    }

    /** Ends a connection that nobody has taken: its client sees a reset. */
    void refuse(int fd) {
        sockets.resetOnClose(fd);
        sockets.close(fd);
    }

    /** A socket of a guest's, or the error number negated: EMFILE too if it would be one of those that are kept back. */
    private int openSocket(int family, int type) {
        if (!MemoryReserve.ofThisProcess().admitsFlows()) {
            return -Errno.ENOMEM;
        }
        int fd = sockets.open(family, type);
        if (fd >= 0 && !Descriptors.ofThisProcess().admits(fd)) {
            sockets.close(fd);
            return -Errno.EMFILE;
        }
        return fd;
    }

    private HostStream failedStream(HostStream.Listener listener, ConnectFailure failure) {
        NativeHostStream stream = new NativeHostStream(this, listener, -1, false);
        stream.fail(failure);
        return stream;
    }

    /** What an error of connect(2) means for the guest. */
    static ConnectFailure failureOf(int errno) {
        return switch (errno) {
            case Errno.ETIMEDOUT -> ConnectFailure.TIMED_OUT;
            case Errno.ENETUNREACH, Errno.ENETDOWN -> ConnectFailure.NETWORK_UNREACHABLE;
            case Errno.EHOSTUNREACH, Errno.EHOSTDOWN -> ConnectFailure.HOST_UNREACHABLE;
            case Errno.EACCES, Errno.EPERM -> ConnectFailure.PROHIBITED;
            case Errno.EMFILE, Errno.ENFILE, Errno.ENOBUFS, Errno.ENOMEM, Errno.EADDRNOTAVAIL ->
                ConnectFailure.EXHAUSTED;
            default -> ConnectFailure.REFUSED;
        };
    }

    @Override
    public HostDatagrams openDatagrams(int preferredPort, boolean ipv6, HostDatagrams.Listener listener) {
        receiveBatch(ipv6);
        int fd = openSocket(ipv6 ? Sockets.AF_INET6 : Sockets.AF_INET, Sockets.SOCK_DGRAM);
        if (fd < 0) {
            counters.socketsExhausted++;
            return null;
        }
        sockets.setOption(fd, Sockets.SOL_SOCKET, Sockets.SO_RCVBUF, NativeHostDatagrams.RECEIVE_BUFFER);
        sockets.setOption(fd, Sockets.SOL_SOCKET, Sockets.SO_SNDBUF, NativeHostDatagrams.SEND_BUFFER);
        if (ipv6) {
            sockets.onlyIpv6(fd);
        }
        NativeHostDatagrams socket = new NativeHostDatagrams(this, destinations, listener, ipv6, fd);
        if (!bind(fd, ipv6 ? ANY_V6 : ANY, preferredPort) || !socket.register()) {
            sockets.close(fd);
            counters.socketsExhausted++;
            return null;
        }
        datagrams.add(socket);
        counters.openDatagrams = datagrams.size();
        return socket;
    }

    @Override
    public HostEcho openEcho(int preferredIdentifier, boolean ipv6, HostEcho.Listener listener) {
        int fd = NativeHostEcho.openSocket(sockets, ipv6);
        if (fd >= 0 && !Descriptors.ofThisProcess().admits(fd)) {
            sockets.close(fd);
            counters.socketsExhausted++;
            return null;
        }
        if (NativeHostEcho.isForbidden(fd)) {
            return NoEcho.INSTANCE;
        }
        if (echoMessage == null) {
            echoMessage = new ReceivedMessage(NativeHostEcho.MAX_MESSAGE);
        }
        NativeHostEcho socket =
                fd < 0 ? null : NativeHostEcho.open(this, destinations, listener, ipv6, fd, preferredIdentifier);
        if (socket == null) {
            counters.socketsExhausted++;
            return null;
        }
        echoes.add(socket);
        counters.openEchoes = echoes.size();
        return socket;
    }

    /** To all of the host's addresses: at that port, or any if it is taken or the process may not have it. */
    private boolean bind(int fd, IpAddress any, int preferredPort) {
        return sockets.bind(fd, address.set(any, preferredPort)) == 0
                || preferredPort != 0 && sockets.bind(fd, address.set(any, 0)) == 0;
    }

    // --- for streams --------------------------------------------------------------------------------------------

    /** Bytes of the largest packet that the guest sends. */
    int mtu() {
        return mtu;
    }

    IoEventLoop loop() {
        return loop;
    }

    Sockets sockets() {
        return sockets;
    }

    QueueBudget budget() {
        return budget;
    }

    HostCounters counters() {
        return counters;
    }

    void touched() {
        touched.run();
    }

    void failed(Throwable cause) {
        failed.accept(cause);
    }

    /** A few bytes of native memory for a look at a queue. */
    MemorySegment scratch() {
        return scratch;
    }

    /**
     * Has {@link NativeHostStream#dropNow} called when all that is ready now was handled: the acknowledgements of
     * a turn make one system call, and the kernel tells the host of one larger window.
     */
    void dropLater(NativeHostStream stream) {
        if (acknowledged.isEmpty()) {
            loop.execute(dropAcknowledged);
        }
        acknowledged.add(stream);
    }

    private void dropAcknowledged() {
        for (NativeHostStream stream = acknowledged.poll(); stream != null; stream = acknowledged.poll()) {
            stream.dropNow();
        }
    }

    IoVectors takeVectors() {
        IoVectors taken = vectors.poll();
        return taken == null ? new IoVectors(VECTORS) : taken;
    }

    void giveBack(IoVectors used) {
        if (vectors.size() < POOLED_VECTORS) {
            used.clear();
            vectors.push(used);
        }
    }

    /** An array of at least that many bytes, at most {@link NativeFromHost#SMALL}. */
    byte[] takeSmall(int length) {
        byte[] taken = length <= TINY ? tinies.poll() : smalls.poll();
        return taken != null ? taken : new byte[length <= TINY ? TINY : NativeFromHost.SMALL];
    }

    void giveBack(byte[] used) {
        ArrayDeque<byte[]> pool = used.length <= TINY ? tinies : smalls;
        if (pool.size() < POOLED_SMALLS) {
            pool.push(used);
        }
    }

    /**
     * What flows may come to hold is set aside before it is promised; but a kernel short of memory takes back room that
     * it had. Then, as the last resort, a flow is given up: of those whose host hangs, or else of all, the one that
     * holds most.
     */
    void shedIfNeeded() {
        if (!budget.isExceeded()) {
            return;
        }
        NativeHostStream victim = null;
        long now = System.nanoTime();
        boolean stalled = false;
        for (NativeHostStream stream : streams) {
            if (stream.heldFromGuest() == 0) {
                continue;
            }
            boolean hangs = stream.isStalled(now);
            boolean worse = hangs == stalled && (victim == null || stream.heldFromGuest() > victim.heldFromGuest());
            if (worse || hangs && !stalled) {
                victim = stream;
                stalled = hangs;
            }
        }
        if (victim != null) {
            counters.flowsShed++;
            victim.shed();
        }
    }

    void closed(NativeHostStream stream) {
        streams.remove(stream);
        counters.openStreams = streams.size();
    }

    // --- for datagrams ------------------------------------------------------------------------------------------

    /** An address in native memory, valid until the next one is made. */
    SocketAddress address(IpAddress named, int port) {
        return address.set(named, port);
    }

    /** What every datagram of every socket of this VM is received into: it is handed on before the next call. */
    ReceiveBatch receiveBatch(boolean ipv6) {
        if (ipv6) {
            if (receiveBatch6 == null) {
                receiveBatch6 = new ReceiveBatch(true);
            }
            return receiveBatch6;
        }
        if (receiveBatch == null) {
            receiveBatch = new ReceiveBatch();
        }
        return receiveBatch;
    }

    /** The bytes of a datagram in memory that the kernel can send from, valid until the next call. */
    MemorySegment sendMemory(MemorySegment source, long offset, int length) {
        if (sendMemory == null) {
            sendMemory = Arena.ofAuto().allocate(NativeHostEcho.MAX_MESSAGE);
        }
        MemorySegment.copy(source, offset, sendMemory, 0, length);
        return sendMemory;
    }

    /** What the kernel kept of errors; read at once, as all sockets of this VM share it. */
    ErrorQueue errors() {
        if (errors == null) {
            errors = new ErrorQueue(sockets, destinations, counters);
        }
        return errors;
    }

    /** What every answer to a ping is received into: it is handed on before the next call. */
    ReceivedMessage echoMessage() {
        return echoMessage;
    }

    /** Tells the stack of an event. A listener that throws loses this one event. */
    void guarded(Runnable event) {
        try {
            event.run();
        } catch (RuntimeException | OutOfMemoryError e) {
            failed(e);
        }
    }

    void closed(NativeHostEcho socket) {
        echoes.remove(socket);
        counters.openEchoes = echoes.size();
    }

    SendBatch takeBatch() {
        SendBatch taken = batches.poll();
        return taken == null ? new SendBatch(BATCH) : taken;
    }

    void giveBack(SendBatch used) {
        if (batches.size() < BATCHES_KEPT) {
            used.clear();
            batches.push(used);
        }
    }

    void closed(NativeHostDatagrams socket) {
        datagrams.remove(socket);
        counters.openDatagrams = datagrams.size();
    }

    /** Resets all connections and closes all sockets. No event follows. */
    @Override
    public void close() {
        new ArrayList<>(streams).forEach(NativeHostStream::reset);
        new ArrayList<>(datagrams).forEach(NativeHostDatagrams::close);
        new ArrayList<>(echoes).forEach(NativeHostEcho::close);
    }
}
