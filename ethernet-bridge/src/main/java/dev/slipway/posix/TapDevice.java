package dev.slipway.posix;

import dev.slipway.posix.SystemCall.Number;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Objects;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;

/**
 * A TAP device of Linux: a network interface whose frames one process reads and writes (tun(4), linux/if_tun.h), each
 * behind a virtio-net header of twelve bytes, with partial checksums and large TCP units of both IP families.
 *
 * <p>A descriptor belongs for life to the namespace it was opened in, so opening it needs a thread that lives there; it
 * ends when the device is open. Closing the descriptor removes the interface if this process made it.
 */
public final class TapDevice implements AutoCloseable {

    /** Bytes of the longest name of an interface. */
    public static final int MAX_NAME = 15;

    private static final int AT_FDCWD = -100;
    private static final int O_RDONLY = 0;
    private static final int O_RDWR = 2;
    private static final int O_NONBLOCK = 0x800;
    private static final int O_CLOEXEC = 0x80000;
    private static final int CLONE_NEWNET = 0x40000000;

    private static final long TUNSETIFF = 0x400454caL;
    private static final long TUNSETOFFLOAD = 0x400454d0L;
    private static final long TUNSETVNETHDRSZ = 0x400454d8L;
    private static final int IFF_TAP = 0x2;
    private static final int IFF_NO_PI = 0x1000;
    private static final int IFF_VNET_HDR = 0x4000;
    private static final int TUN_F_CSUM = 1;
    private static final int TUN_F_TSO4 = 2;
    private static final int TUN_F_TSO6 = 4;

    private static final long SIOCGIFFLAGS = 0x8913;
    private static final long SIOCSIFFLAGS = 0x8914;
    private static final long SIOCSIFMTU = 0x8922;
    private static final long SIOCSIFTXQLEN = 0x8943;
    private static final int IFF_UP = 1;

    /** struct ifreq: a name, and behind it what is asked or told. */
    private static final int IFREQ_LENGTH = 40;

    private static final int IFREQ_VALUE = 16;

    private final SystemCall kernel = new SystemCall();
    private final int fd;
    private boolean closed;

    private TapDevice(int fd) {
        this.fd = fd;
    }

    /**
     * Makes a device in a network namespace, or opens one that was made to stay, and brings it up.
     *
     * @param namespace a file that names it, such as /run/netns/NAME or /proc/PID/ns/net
     * @param name of the interface, at most {@value #MAX_NAME} bytes
     * @param mtu bytes of the largest IP packet
     * @param queueLength frames that the kernel is asked to keep for this process before it drops; only the machine's
     *     root may change the usual 1000
     * @throws IOException that says which step failed and what is needed for it
     */
    public static TapDevice open(Path namespace, String name, int mtu, int queueLength) throws IOException {
        FutureTask<TapDevice> opening = new FutureTask<>(() -> openHere(namespace, name, mtu, queueLength));
        Thread thread = Thread.ofPlatform().daemon().name("open-tap").start(opening);
        try {
            return opening.get();
        } catch (ExecutionException e) {
            if (e.getCause() instanceof IOException io) {
                throw io;
            }
            throw new IllegalStateException("cannot open a TAP device", e.getCause());
        } catch (InterruptedException e) {
            thread.interrupt();
            Thread.currentThread().interrupt();
            throw new IOException("interrupted", e);
        }
    }

    private static TapDevice openHere(Path namespace, String name, int mtu, int queueLength) throws IOException {
        SystemCall kernel = new SystemCall();
        try (Arena arena = Arena.ofConfined()) {
            int netns = (int) kernel.call(
                    Number.OPENAT,
                    AT_FDCWD,
                    arena.allocateFrom(namespace.toString()).address(),
                    O_RDONLY | O_CLOEXEC,
                    0,
                    0,
                    0);
            check(netns, "no network namespace " + namespace);
            try {
                check(
                        kernel.call(Number.SETNS, netns, CLONE_NEWNET, 0),
                        "cannot enter the network namespace " + namespace
                                + " (needs root, or to own the user namespace it belongs to)");
            } finally {
                kernel.call(Number.CLOSE, netns, 0, 0);
            }
            int fd = (int) kernel.call(
                    Number.OPENAT,
                    AT_FDCWD,
                    arena.allocateFrom("/dev/net/tun").address(),
                    O_RDWR | O_NONBLOCK | O_CLOEXEC,
                    0,
                    0,
                    0);
            check(fd, "cannot open /dev/net/tun (it must be there, and open to this user)");
            try {
                setUp(kernel, fd, arena.allocate(IFREQ_LENGTH, 8), name, mtu, queueLength);
            } catch (IOException e) {
                kernel.call(Number.CLOSE, fd, 0, 0);
                throw e;
            }
            return new TapDevice(fd);
        }
    }

    private static void setUp(SystemCall kernel, int fd, MemorySegment ifreq, String name, int mtu, int queueLength)
            throws IOException {
        byte[] letters = name.getBytes(StandardCharsets.UTF_8);
        if (letters.length == 0 || letters.length > MAX_NAME) {
            throw new IOException("'" + name + "' is no name of an interface: 1 to " + MAX_NAME + " bytes");
        }
        MemorySegment.copy(letters, 0, ifreq, ValueLayout.JAVA_BYTE, 0, letters.length);
        ifreq.set(ValueLayout.JAVA_SHORT, IFREQ_VALUE, (short) (IFF_TAP | IFF_NO_PI | IFF_VNET_HDR));
        check(
                kernel.call(Number.IOCTL, fd, TUNSETIFF, ifreq.address()),
                "cannot make the TAP device " + name
                        + " (EBUSY: another process has it; EINVAL: an interface of that name is no TAP)");
        MemorySegment size = ifreq.asSlice(32, 4);
        size.set(ValueLayout.JAVA_INT, 0, 12);
        check(kernel.call(Number.IOCTL, fd, TUNSETVNETHDRSZ, size.address()), "no virtio-net header on " + name);
        check(
                kernel.call(Number.IOCTL, fd, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6),
                "no offload on " + name);
        size.set(ValueLayout.JAVA_INT, 0, 0);
        int socket = (int) kernel.call(Number.SOCKET, Sockets.AF_INET, Sockets.SOCK_DGRAM, 0);
        check(socket, "cannot make a socket in the namespace of " + name);
        try {
            ifreq.set(ValueLayout.JAVA_INT, IFREQ_VALUE, mtu);
            check(kernel.call(Number.IOCTL, socket, SIOCSIFMTU, ifreq.address()), "cannot set the MTU of " + name);
            ifreq.set(ValueLayout.JAVA_INT, IFREQ_VALUE, queueLength);
            // A privilege of the machine's root, and the usual length serves as well: the result does not matter.
            kernel.call(Number.IOCTL, socket, SIOCSIFTXQLEN, ifreq.address());
            check(kernel.call(Number.IOCTL, socket, SIOCGIFFLAGS, ifreq.address()), "cannot ask for flags of " + name);
            short flags = ifreq.get(ValueLayout.JAVA_SHORT, IFREQ_VALUE);
            ifreq.set(ValueLayout.JAVA_SHORT, IFREQ_VALUE, (short) (flags | IFF_UP));
            check(kernel.call(Number.IOCTL, socket, SIOCSIFFLAGS, ifreq.address()), "cannot bring up " + name);
        } finally {
            kernel.call(Number.CLOSE, socket, 0, 0);
        }
    }

    private static void check(long result, String failure) throws IOException {
        if (result < 0) {
            throw new IOException(failure + ": " + Errno.name(-result));
        }
    }

    /** The descriptor, which does not block. */
    public int fd() {
        return fd;
    }

    /** Reads one header and frame into native memory: their bytes, or the negative of an error number. */
    public int read(MemorySegment target, long offset, long length) {
        Objects.checkFromIndexSize(offset, length, target.byteSize());
        return (int) kernel.call(Number.READ, fd, target.address() + offset, length);
    }

    /** Writes one header and frame from native memory: their bytes, or the negative of an error number. */
    public int write(MemorySegment source, long offset, long length) {
        Objects.checkFromIndexSize(offset, length, source.byteSize());
        return (int) kernel.call(Number.WRITE, fd, source.address() + offset, length);
    }

    @Override
    public void close() {
        if (!closed) {
            closed = true;
            kernel.call(Number.CLOSE, fd, 0, 0);
        }
    }
}
