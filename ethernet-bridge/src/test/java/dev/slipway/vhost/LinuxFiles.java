package dev.slipway.vhost;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;

/** What a VM manager makes for its guest: memory in files that have no name, and eventfds. */
final class LinuxFiles {

    static final int SEALABLE = 2;

    private static final int NON_BLOCKING = 0x800;
    private static final Linker LINKER = Linker.nativeLinker();
    private static final MethodHandle MEMFD = handle("memfd_create", ValueLayout.ADDRESS, ValueLayout.JAVA_INT);
    private static final MethodHandle TRUNCATE = handle("ftruncate", ValueLayout.JAVA_INT, ValueLayout.JAVA_LONG);
    private static final MethodHandle EVENT = handle("eventfd", ValueLayout.JAVA_INT, ValueLayout.JAVA_INT);
    private static final MethodHandle DUPLICATE = handle("dup", ValueLayout.JAVA_INT);
    private static final MethodHandle CLOSE = handle("close", ValueLayout.JAVA_INT);

    private LinuxFiles() {}

    private static MethodHandle handle(String name, java.lang.foreign.MemoryLayout... arguments) {
        return LINKER.downcallHandle(
                LINKER.defaultLookup().findOrThrow(name), FunctionDescriptor.of(ValueLayout.JAVA_INT, arguments));
    }

    private interface Call {
        int run() throws Throwable;
    }

    private static int call(Call call) {
        try {
            return call.run();
        } catch (Throwable e) {
            throw new AssertionError(e);
        }
    }

    /** A file of memory; sealable or not. */
    static int memory(long size, boolean sealable) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment name = arena.allocateFrom("guest");
            int fd = call(() -> (int) MEMFD.invokeExact(name, sealable ? SEALABLE : 0));
            if (fd < 0 || truncate(fd, size) != 0) {
                throw new AssertionError("no memory of " + size + " bytes");
            }
            return fd;
        }
    }

    /** 0, or -1 if the file cannot get that size. */
    static int truncate(int fd, long size) {
        return call(() -> (int) TRUNCATE.invokeExact(fd, size));
    }

    static int event() {
        int fd = call(() -> (int) EVENT.invokeExact(0, NON_BLOCKING));
        if (fd < 0) {
            throw new AssertionError("no eventfd");
        }
        return fd;
    }

    static int duplicate(int fd) {
        return call(() -> (int) DUPLICATE.invokeExact(fd));
    }

    static void close(int fd) {
        call(() -> (int) CLOSE.invokeExact(fd));
    }
}
