package dev.slipway.host;

import dev.slipway.posix.Errno;
import dev.slipway.posix.IoVectors;
import dev.slipway.posix.SocketAddress;
import dev.slipway.posix.Sockets;
import dev.slipway.seam.HostDatagrams;
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

    private final IoEventLoop loop;
    private final Destinations destinations;
    private final QueueBudget budget;
    private final HostCounters counters;
    private final Runnable touched;
    private final Consumer<Throwable> failed;
    private final HostSockets datagrams;
    private final Sockets sockets = new Sockets();
    private final SocketAddress address = new SocketAddress();
    private final MemorySegment scratch = Arena.ofAuto().allocate(16);
    private final Set<NativeHostStream> streams = new HashSet<>();
    private final ArrayDeque<IoVectors> vectors = new ArrayDeque<>();
    private final ArrayDeque<byte[]> smalls = new ArrayDeque<>();

    /**
     * @param touched called before each event that is delivered: the stack has something to end its turn for
     * @param failed called with what the stack threw when it was told of an event
     * @param datagrams opens UDP sockets
     */
    NativeHostSockets(
            IoEventLoop loop,
            Destinations destinations,
            QueueBudget budget,
            HostCounters counters,
            Runnable touched,
            Consumer<Throwable> failed,
            HostSockets datagrams) {
        this.loop = loop;
        this.destinations = destinations;
        this.budget = budget;
        this.counters = counters;
        this.touched = touched;
        this.failed = failed;
        this.datagrams = datagrams;
    }

    @Override
    public HostStream connect(IpAddress destination, int port, HostStream.Listener listener) {
        Destinations.Way way = destinations.judge(destination);
        ConnectFailure refusal = Destinations.refusal(way);
        if (refusal != null) {
            counters.connectsRefusedByPolicy++;
            return failedStream(listener, refusal);
        }
        IpAddress dialled = destinations.onHost(destination, way);
        int fd = sockets.open(dialled.isV4() ? Sockets.AF_INET : Sockets.AF_INET6, Sockets.SOCK_STREAM);
        if (fd < 0) {
            counters.socketsExhausted++;
            return failedStream(listener, ConnectFailure.EXHAUSTED);
        }
        sockets.setOption(fd, Sockets.IPPROTO_TCP, Sockets.TCP_NODELAY, 1);
        int result = sockets.connect(fd, address.set(dialled, port));
        if (result < 0 && result != -Errno.EINPROGRESS) {
            sockets.close(fd);
            counters.connectsFailed++;
            return failedStream(listener, failureOf(-result));
        }
        NativeHostStream stream = new NativeHostStream(this, listener, fd);
        counters.connects++;
        streams.add(stream);
        counters.openStreams = streams.size();
        stream.connecting(result);
        return stream;
    }

    private HostStream failedStream(HostStream.Listener listener, ConnectFailure failure) {
        NativeHostStream stream = new NativeHostStream(this, listener, -1);
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
    public HostDatagrams openDatagrams(int preferredPort, HostDatagrams.Listener listener) {
        return datagrams.openDatagrams(preferredPort, listener);
    }

    // --- for streams --------------------------------------------------------------------------------------------

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

    IoVectors takeVectors() {
        IoVectors taken = vectors.poll();
        return taken == null ? new IoVectors(VECTORS) : taken;
    }

    void giveBack(IoVectors used) {
        used.clear();
        vectors.push(used);
    }

    byte[] takeSmall() {
        byte[] taken = smalls.poll();
        return taken == null ? new byte[NativeHostStream.SMALL] : taken;
    }

    void giveBack(byte[] used) {
        if (smalls.size() < 256) {
            smalls.push(used);
        }
    }

    /**
     * What flows may come to hold is set aside before it is promised; but a kernel short of memory takes back room that
     * it had. Then, as the last resort, the flow that holds most is given up.
     */
    void shedIfNeeded() {
        if (!budget.isExceeded()) {
            return;
        }
        NativeHostStream victim = null;
        int most = 0;
        for (NativeHostStream stream : streams) {
            if (stream.heldFromGuest() > most) {
                most = stream.heldFromGuest();
                victim = stream;
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

    /** Resets all connections. No event follows. */
    @Override
    public void close() {
        new ArrayList<>(streams).forEach(NativeHostStream::reset);
    }
}
