package dev.slipway.ethernet;

import static org.assertj.core.api.Assertions.assertThat;

import dev.slipway.posix.Errno;
import dev.slipway.posix.SocketAddress;
import dev.slipway.posix.Sockets;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;

/** The guest's end of a packet link: a Unix socket of datagrams, or a connection of packets. It waits by asking again. */
final class FakePacketGuest implements AutoCloseable {

    private static final long PATIENCE = TimeUnit.SECONDS.toNanos(20);
    private static final int LONGEST = 200_000;

    final int fd;
    private final Sockets sockets = new Sockets();
    private final MemorySegment memory = Arena.ofAuto().allocate(LONGEST);
    private final SocketAddress address = new SocketAddress();
    private final SocketAddress backend = new SocketAddress();
    private boolean closed;

    private FakePacketGuest(int type) {
        fd = sockets.open(Sockets.AF_UNIX, type);
        assertThat(fd).isNotNegative();
    }

    /** As vfkit does it: bound to a name of its own, and connected to the backend's. */
    static FakePacketGuest datagrams(Path own, Path backend) {
        FakePacketGuest guest = bound(own, backend);
        guest.sockets.connect(guest.fd, guest.backend);
        return guest;
    }

    /** As QEMU does it: bound to a name of its own, not connected. */
    static FakePacketGuest bound(Path own, Path backend) {
        FakePacketGuest guest = new FakePacketGuest(Sockets.SOCK_DGRAM);
        assertThat(guest.sockets.bind(guest.fd, guest.address.set(own))).isZero();
        guest.backend.set(backend);
        return guest;
    }

    static FakePacketGuest withoutAName(Path backend) {
        FakePacketGuest guest = new FakePacketGuest(Sockets.SOCK_DGRAM);
        guest.backend.set(backend);
        return guest;
    }

    static FakePacketGuest connection(Path backend) {
        FakePacketGuest guest = new FakePacketGuest(Sockets.SOCK_SEQPACKET);
        assertThat(guest.sockets.connect(guest.fd, guest.backend.set(backend))).isZero();
        guest.backend.clear();
        return guest;
    }

    void send(byte[]... packets) {
        for (byte[] packet : packets) {
            int result = trySend(packet);
            long end = System.nanoTime() + PATIENCE;
            while (result == -Errno.EAGAIN && System.nanoTime() < end) {
                Thread.onSpinWait();
                result = trySend(packet);
            }
            assertThat(result).isEqualTo(packet.length);
        }
    }

    /** What the kernel says. */
    int trySend(byte[] packet) {
        MemorySegment.copy(packet, 0, memory, ValueLayout.JAVA_BYTE, 0, packet.length);
        return sockets.send(fd, memory, 0, packet.length, backend);
    }

    /** The next packet. */
    byte[] receive() {
        long end = System.nanoTime() + PATIENCE;
        int length = sockets.read(fd, memory, 0, LONGEST);
        while (length == -Errno.EAGAIN && System.nanoTime() < end) {
            Thread.onSpinWait();
            length = sockets.read(fd, memory, 0, LONGEST);
        }
        assertThat(length).as("a packet within 20 s, or an error").isNotNegative();
        return memory.asSlice(0, length).toArray(ValueLayout.JAVA_BYTE);
    }

    /** Whether the backend has hung up; waits for it. */
    boolean isAtEnd() {
        long end = System.nanoTime() + PATIENCE;
        int length = sockets.read(fd, memory, 0, LONGEST);
        while (length == -Errno.EAGAIN && System.nanoTime() < end) {
            Thread.onSpinWait();
            length = sockets.read(fd, memory, 0, LONGEST);
        }
        return length == 0 || length == -Errno.ECONNRESET;
    }

    @Override
    public void close() throws Exception {
        if (!closed) {
            closed = true;
            sockets.close(fd);
            if (address.isNamed()) {
                Files.deleteIfExists(Path.of(address.path()));
            }
        }
    }
}
