package dev.slipway.host;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;

import dev.slipway.posix.Errno;
import dev.slipway.posix.ReceiveBatch;
import dev.slipway.posix.SendBatch;
import dev.slipway.posix.SocketAddress;
import dev.slipway.posix.Sockets;
import dev.slipway.wire.BigEndian;
import dev.slipway.wire.IpAddress;
import io.netty.channel.IoEvent;
import io.netty.channel.IoEventLoop;
import io.netty.channel.IoRegistration;
import io.netty.channel.epoll.EpollIoEvent;
import io.netty.channel.epoll.EpollIoHandle;
import io.netty.channel.epoll.EpollIoOps;
import io.netty.channel.unix.FileDescriptor;
import io.netty.util.concurrent.Future;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.net.InetSocketAddress;

/**
 * A socket to a DNS server by system calls: one sends the queries of a turn, one receives the answers that wait. Memory
 * for both is shared by all sockets of a resolver ({@link Memory}): what was queued leaves before another socket is used,
 * and what was received is handed on before the next call.
 */
final class NativeUpstreamSocket extends UpstreamSocket implements EpollIoHandle {

    private static final int READABLE = EpollIoOps.EPOLLIN.value();
    private static final int ERROR = EpollIoOps.EPOLLERR.value();

    /** Calls after which one event ends. */
    private static final int EVENT_CALLS = 4;

    private final Memory memory;
    private final Sockets sockets;
    private final int fd;
    private final OwnedDescriptor descriptor;
    private final IoRegistration registration;

    /**
     * @throws IOException if the host has no socket left, or no way to the server
     */
    NativeUpstreamSocket(Memory memory, InetSocketAddress server, ResolverCounters counters, RandomIds ids, long now)
            throws IOException {
        super(counters, ids, now);
        this.memory = memory;
        this.sockets = memory.sockets;
        IpAddress address = IpAddress.ofBytes(server.getAddress().getAddress());
        fd = sockets.open(address.isV4() ? Sockets.AF_INET : Sockets.AF_INET6, Sockets.SOCK_DGRAM);
        if (fd < 0) {
            throw new IOException("no socket to ask " + server + ": " + Errno.name(-fd));
        }
        descriptor = new OwnedDescriptor(fd);
        int connected = sockets.connect(fd, memory.address.set(address, server.getPort()));
        Future<IoRegistration> registered = connected < 0 ? null : memory.loop.register(this);
        if (registered == null || !registered.isSuccess()) {
            sockets.close(fd);
            throw new IOException(
                    "cannot ask " + server + ": " + (registered == null ? Errno.name(-connected) : registered.cause()));
        }
        registration = registered.getNow();
        registration.submit(EpollIoOps.EPOLLIN);
    }

    // --- to the server ------------------------------------------------------------------------------------------

    @Override
    void add(byte[] query, int id) {
        if (!memory.isFor(this, query.length)) {
            memory.user.flush();
        }
        memory.add(this, query, id);
        if (memory.batch.isFull()) {
            flush();
        }
    }

    @Override
    void flush() {
        if (memory.user != this) {
            return;
        }
        SendBatch batch = memory.batch;
        boolean again = true;
        int message = 0;
        int query = 0;
        while (message < batch.messages()) {
            int sent = sockets.send(fd, batch, message);
            if (sent > 0) {
                for (int end = message + sent; message < end; message++) {
                    query += batch.datagrams(message);
                }
                again = true;
            } else if (again && !Errno.isAgain(sent)) {
                // What is said may be about a datagram before, and is said once.
                again = false;
            } else if (batch.datagrams(message) > 1) {
                // The way to this server may be one where the kernel does not cut messages into datagrams.
                memory.segmentMax = 0;
                batch.split(message);
            } else {
                int id = memory.ids[query++];
                message++;
                notSent(id, waiting(id));
            }
        }
        memory.clear();
    }

    // --- from the server ----------------------------------------------------------------------------------------

    @Override
    public FileDescriptor fd() {
        return descriptor;
    }

    @Override
    public void handle(IoRegistration from, IoEvent event) {
        int ops = ((EpollIoEvent) event).ops().value();
        if (isOpen() && (ops & ERROR) != 0) {
            sockets.pendingError(fd);
            broken();
        }
        if (isOpen() && (ops & READABLE) != 0) {
            receive();
        }
    }

    private void receive() {
        ReceiveBatch batch = memory.answers;
        int count;
        int calls = 0;
        do {
            count = sockets.receive(fd, batch);
            if (count < 0) {
                if (!Errno.isAgain(count)) {
                    broken();
                }
                return;
            }
            for (int i = 0; i < count && isOpen(); i++) {
                byte[] response = new byte[batch.length(i)];
                MemorySegment.copy(batch.memory(), JAVA_BYTE, batch.offset(i), response, 0, response.length);
                received(response);
            }
        } while (count == ReceiveBatch.SLOTS && ++calls < EVENT_CALLS && isOpen());
    }

    @Override
    void release() {
        if (memory.user == this) {
            memory.clear();
        }
        descriptor.closing();
        registration.cancel();
        sockets.close(fd);
    }

    /** What the sockets of one resolver share. Belongs to one event loop. */
    static final class Memory {

        /** Queries that one call sends: the server is to begin with the first while those behind are still read. */
        private static final int QUERIES = 16;

        /** Bytes of them: at least the longest that a guest can send. */
        private static final int BYTES = 64 << 10;

        private final IoEventLoop loop;
        private final Sockets sockets = new Sockets();
        private final SocketAddress address = new SocketAddress();
        private final ReceiveBatch answers = new ReceiveBatch();
        private final MemorySegment queries = Arena.ofAuto().allocate(BYTES);
        private final SendBatch batch = new SendBatch(QUERIES);
        private final int[] ids = new int[QUERIES];

        /** Whose queries wait to be sent, or {@code null}. */
        private NativeUpstreamSocket user;

        private int used;

        /** Queries of more bytes are messages of their own; those of one size in a row are one, which the kernel cuts. */
        private int segmentMax = 512;

        Memory(IoEventLoop loop) {
            this.loop = loop;
        }

        private boolean isFor(NativeUpstreamSocket socket, int length) {
            return user == null || user == socket && used + length <= BYTES;
        }

        private void add(NativeUpstreamSocket socket, byte[] query, int id) {
            if (user == null) {
                user = socket;
                batch.toPeer(segmentMax);
            }
            MemorySegment.copy(query, 0, queries, JAVA_BYTE, used, query.length);
            BigEndian.putU16(queries, used, id);
            ids[batch.size()] = id;
            batch.add(queries, used, query.length);
            used += query.length;
        }

        private void clear() {
            user = null;
            used = 0;
            batch.clear();
        }
    }
}
