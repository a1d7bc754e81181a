package dev.slipway.posix;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.StructLayout;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.VarHandle;
import java.util.Locale;

/**
 * System calls of Linux by {@code syscall(2)}: one downcall of one shape for all of them, because each new shape costs
 * the start of the program some 7 ms, and the numbers of the calls are part of the kernel's stable interface.
 *
 * <p>One instance per thread: it owns the memory in which {@code errno} arrives. Memory is passed by address, so the
 * caller keeps it alive; every pointer given is to a bounded segment of the caller's whose length it has checked.
 */
final class SystemCall {

    /** Made at the first call and not before: it takes some 70 ms, which nobody has to wait for who only asks whether. */
    private static final class Downcall {

        private static final StructLayout CAPTURE = Linker.Option.captureStateLayout();
        private static final VarHandle ERRNO = CAPTURE.varHandle(MemoryLayout.PathElement.groupElement("errno"));

        private static final MethodHandle SYSCALL = Linker.nativeLinker()
                .downcallHandle(
                        Linker.nativeLinker().defaultLookup().findOrThrow("syscall"),
                        FunctionDescriptor.of(
                                ValueLayout.JAVA_LONG,
                                ValueLayout.JAVA_LONG,
                                ValueLayout.JAVA_LONG,
                                ValueLayout.JAVA_LONG,
                                ValueLayout.JAVA_LONG,
                                ValueLayout.JAVA_LONG,
                                ValueLayout.JAVA_LONG,
                                ValueLayout.JAVA_LONG),
                        Linker.Option.captureCallState("errno"));
    }

    private MemorySegment capture;

    /** Whether this platform is one whose call numbers are known. */
    static boolean isSupported() {
        String system = System.getProperty("os.name", "").toLowerCase(Locale.ROOT);
        return system.contains("linux") && Number.isKnown();
    }

    /** Calls, and returns what the kernel returns: a result, or the negative of an error number. */
    long call(Number number, long a, long b, long c, long d, long e, long f) {
        if (capture == null) {
            capture = Arena.ofAuto().allocate(Downcall.CAPTURE);
        }
        long result;
        try {
            result = (long) Downcall.SYSCALL.invokeExact(capture, number.value, a, b, c, d, e, f);
        } catch (Throwable impossible) {
            throw new AssertionError("a system call threw", impossible);
        }
        return result == -1 ? -(int) Downcall.ERRNO.get(capture, 0L) : result;
    }

    long call(Number number, long a, long b, long c) {
        return call(number, a, b, c, 0, 0, 0);
    }

    /** The calls that are used, with their numbers on x86-64 and on aarch64. */
    enum Number {
        READ(0, 63),
        WRITE(1, 64),
        CLOSE(3, 57),
        MMAP(9, 222),
        MUNMAP(11, 215),
        IOCTL(16, 29),
        WRITEV(20, 66),
        MADVISE(28, 233),
        GETPID(39, 172),
        GETEUID(107, 175),
        GETEGID(108, 177),
        SOCKET(41, 198),
        CONNECT(42, 203),
        SENDTO(44, 206),
        RECVFROM(45, 207),
        RECVMSG(47, 212),
        SENDMSG(46, 211),
        SHUTDOWN(48, 210),
        BIND(49, 200),
        LISTEN(50, 201),
        GETSOCKNAME(51, 204),
        SOCKETPAIR(53, 199),
        SETSOCKOPT(54, 208),
        GETSOCKOPT(55, 209),
        FCNTL(72, 25),
        FCHMOD(91, 52),
        PRCTL(157, 167),
        OPENAT(257, 56),
        PPOLL(271, 73),
        ACCEPT4(288, 242),
        RECVMMSG(299, 243),
        SENDMMSG(307, 269),
        SETNS(308, 268),
        SECCOMP(317, 277),
        STATX(332, 291),
        LANDLOCK_CREATE_RULESET(444, 444),
        LANDLOCK_ADD_RULE(445, 445),
        LANDLOCK_RESTRICT_SELF(446, 446);

        private static final String ARCHITECTURE = System.getProperty("os.arch", "");

        private final long value;

        Number(int x86, int arm) {
            value = isArm() ? arm : x86;
        }

        static boolean isArm() {
            return System.getProperty("os.arch", "").equals("aarch64");
        }

        private static boolean isKnown() {
            return ARCHITECTURE.equals("amd64") || ARCHITECTURE.equals("x86_64") || ARCHITECTURE.equals("aarch64");
        }
    }
}
