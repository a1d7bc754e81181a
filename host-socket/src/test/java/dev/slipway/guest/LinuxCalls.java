package dev.slipway.guest;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.VarHandle;
import java.nio.charset.StandardCharsets;

/** The system calls of Linux that the JDK has no words for: entering a network namespace, and a TAP device. */
final class LinuxCalls {

    static final int EAGAIN = 11;

    private static final int O_RDWR = 2;
    private static final int O_NONBLOCK = 0x800;
    private static final int O_CLOEXEC = 0x80000;
    private static final int CLONE_NEWNET = 0x4000_0000;
    private static final long TUNSETIFF = 0x4004_54CAL;
    private static final long TUNSETOFFLOAD = 0x4004_54D0L;
    private static final long TUNSETVNETHDRSZ = 0x4004_54D8L;
    private static final short IFF_TAP_NO_PI = 0x1002;
    private static final short IFF_VNET_HDR = 0x4000;
    private static final long CSUM_AND_TSO = 0x7;
    private static final short POLLIN = 1;
    private static final short POLLOUT = 4;
    private static final int IFREQ_BYTES = 40;
    private static final int IFNAMSIZ = 16;

    private static final Linker LINKER = Linker.nativeLinker();
    private static final MemoryLayout ERRNO_LAYOUT = Linker.Option.captureStateLayout();
    private static final VarHandle ERRNO = ERRNO_LAYOUT.varHandle(MemoryLayout.PathElement.groupElement("errno"));
    private static final ThreadLocal<MemorySegment> ERRNO_OF_THREAD =
            ThreadLocal.withInitial(() -> Arena.ofAuto().allocate(ERRNO_LAYOUT));

    private static final MethodHandle OPEN =
            handle("open", FunctionDescriptor.of(ValueLayout.JAVA_INT, ValueLayout.ADDRESS, ValueLayout.JAVA_INT), 2);
    private static final MethodHandle CLOSE =
            handle("close", FunctionDescriptor.of(ValueLayout.JAVA_INT, ValueLayout.JAVA_INT), -1);
    private static final FunctionDescriptor READ_SHAPE = FunctionDescriptor.of(
            ValueLayout.JAVA_LONG, ValueLayout.JAVA_INT, ValueLayout.ADDRESS, ValueLayout.JAVA_LONG);
    private static final MethodHandle READ = handle("read", READ_SHAPE, -1);
    private static final MethodHandle WRITE = handle("write", READ_SHAPE, -1);
    private static final MethodHandle IOCTL = handle(
            "ioctl",
            FunctionDescriptor.of(
                    ValueLayout.JAVA_INT, ValueLayout.JAVA_INT, ValueLayout.JAVA_LONG, ValueLayout.ADDRESS),
            2);
    private static final MethodHandle SETNS = handle(
            "setns", FunctionDescriptor.of(ValueLayout.JAVA_INT, ValueLayout.JAVA_INT, ValueLayout.JAVA_INT), -1);
    private static final MethodHandle POLL = handle(
            "poll",
            FunctionDescriptor.of(
                    ValueLayout.JAVA_INT, ValueLayout.ADDRESS, ValueLayout.JAVA_LONG, ValueLayout.JAVA_INT),
            -1);

    private LinuxCalls() {}

    /** Moves the calling thread, for the rest of its life, into the network namespace of a file. */
    static void enterNetworkNamespace(String file) throws IOException {
        int fd = open(file, O_CLOEXEC);
        try {
            check("setns " + file, (int) SETNS.invokeExact(errno(), fd, CLONE_NEWNET));
        } catch (Throwable e) {
            throw rethrown(e);
        } finally {
            close(fd);
        }
    }

    /** Makes a TAP device in the calling thread's network namespace; it lives as long as the descriptor. */
    static int openTap(String name) throws IOException {
        return openTap(name, IFF_TAP_NO_PI);
    }

    /**
     * The same with segmentation and checksum offload: each frame stands behind a virtio-net header of {@link
     * TapRelay#HEADER} bytes.
     */
    static int openTapWithOffload(String name) throws IOException {
        int fd = openTap(name, (short) (IFF_TAP_NO_PI | IFF_VNET_HDR));
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment size = arena.allocateFrom(ValueLayout.JAVA_INT, TapRelay.HEADER);
            check("TUNSETVNETHDRSZ", (int) IOCTL.invokeExact(errno(), fd, TUNSETVNETHDRSZ, size));
            MemorySegment features = MemorySegment.ofAddress(CSUM_AND_TSO);
            check("TUNSETOFFLOAD", (int) IOCTL.invokeExact(errno(), fd, TUNSETOFFLOAD, features));
            return fd;
        } catch (Throwable e) {
            close(fd);
            throw rethrown(e);
        }
    }

    private static int openTap(String name, short flags) throws IOException {
        byte[] bytes = name.getBytes(StandardCharsets.US_ASCII);
        if (bytes.length >= IFNAMSIZ) {
            throw new IOException("interface name longer than 15 bytes: " + name);
        }
        int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment request = arena.allocate(IFREQ_BYTES, 8);
            MemorySegment.copy(bytes, 0, request, ValueLayout.JAVA_BYTE, 0, bytes.length);
            request.set(ValueLayout.JAVA_SHORT, IFNAMSIZ, flags);
            check("TUNSETIFF " + name, (int) IOCTL.invokeExact(errno(), fd, TUNSETIFF, request));
            return fd;
        } catch (Throwable e) {
            close(fd);
            throw rethrown(e);
        }
    }

    /** Bytes read, or the error's number negated. */
    static int read(int fd, MemorySegment target, long offset, int length) {
        return transfer(READ, fd, target.asSlice(offset, length));
    }

    /** Bytes written, or the error's number negated. */
    static int write(int fd, MemorySegment source, long offset, int length) {
        return transfer(WRITE, fd, source.asSlice(offset, length));
    }

    /** Waits until a descriptor has something to read; false when the time passed first. */
    static boolean awaitReadable(int fd, MemorySegment pollfd, int milliseconds) {
        return await(fd, POLLIN, pollfd, milliseconds);
    }

    /** The same for room to write. */
    static boolean awaitWritable(int fd, MemorySegment pollfd, int milliseconds) {
        return await(fd, POLLOUT, pollfd, milliseconds);
    }

    private static boolean await(int fd, short events, MemorySegment pollfd, int milliseconds) {
        pollfd.set(ValueLayout.JAVA_INT, 0, fd);
        pollfd.set(ValueLayout.JAVA_SHORT, 4, events);
        pollfd.set(ValueLayout.JAVA_SHORT, 6, (short) 0);
        try {
            return (int) POLL.invokeExact(errno(), pollfd, 1L, milliseconds) > 0;
        } catch (Throwable e) {
            throw new IllegalStateException(e);
        }
    }

    static void close(int fd) {
        try {
            int ignored = (int) CLOSE.invokeExact(errno(), fd);
        } catch (Throwable e) {
            throw new IllegalStateException(e);
        }
    }

    private static int open(String path, int flags) throws IOException {
        try (Arena arena = Arena.ofConfined()) {
            int fd = (int) OPEN.invokeExact(errno(), arena.allocateFrom(path), flags);
            check("open " + path, fd);
            return fd;
        } catch (Throwable e) {
            throw rethrown(e);
        }
    }

    private static int transfer(MethodHandle call, int fd, MemorySegment bytes) {
        MemorySegment state = errno();
        try {
            long done = (long) call.invokeExact(state, fd, bytes, bytes.byteSize());
            return done >= 0 ? (int) done : -(int) ERRNO.get(state, 0L);
        } catch (Throwable e) {
            throw new IllegalStateException(e);
        }
    }

    private static MemorySegment errno() {
        return ERRNO_OF_THREAD.get();
    }

    private static void check(String what, int result) throws IOException {
        if (result < 0) {
            throw new IOException(what + ": error number " + (int) ERRNO.get(errno(), 0L));
        }
    }

    private static IOException rethrown(Throwable e) {
        return e instanceof IOException io ? io : new IOException(e);
    }

    private static MethodHandle handle(String name, FunctionDescriptor shape, int firstVariadic) {
        MemorySegment symbol = LINKER.defaultLookup().findOrThrow(name);
        Linker.Option capture = Linker.Option.captureCallState("errno");
        return firstVariadic < 0
                ? LINKER.downcallHandle(symbol, shape, capture)
                : LINKER.downcallHandle(symbol, shape, capture, Linker.Option.firstVariadicArg(firstVariadic));
    }
}
