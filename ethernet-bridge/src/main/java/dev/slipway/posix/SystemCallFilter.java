package dev.slipway.posix;

import dev.slipway.posix.SystemCall.Number;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;

/**
 * A seccomp filter (seccomp(2)) that takes from this process, for good and on all its threads, what a network stack never
 * asks the kernel for: other programs and processes, namespaces, mounts, modules, tracing, keys, other users' rights, and
 * kinds of sockets that it does not use. What is refused fails with EPERM, or as if the kernel did not have it.
 *
 * <p>It lists what is refused, and not what is allowed: a JVM's own calls differ from version to version and from one libc
 * to another, and one that is missing in a list of allowed ones ends in a process that stops at night. The kernel finds
 * out once which calls are allowed whatever their arguments are, and runs no filter for those later.
 *
 * <p>Not refused, because a JVM needs it: memory that is made executable (it compiles), threads, futex(2), signals to
 * itself, membarrier(2).
 */
public final class SystemCallFilter {

    private static final int PR_SET_NO_NEW_PRIVS = 38;
    private static final int SECCOMP_SET_MODE_FILTER = 1;
    /** On all threads, or on none. */
    private static final int TSYNC = 1;
    /** Without the slower processor modes that some kernels choose for those who filter: no foreign code runs here. */
    private static final int SPEC_ALLOW = 4;

    private static final int KILL_PROCESS = 0x80000000;
    private static final int ERRNO = 0x00050000;
    private static final int ALLOW = 0x7fff0000;
    private static final int ENOSYS = 38;

    /** Instructions of classic BPF (linux/bpf_common.h). */
    private static final int LOAD = 0x20;

    private static final int JUMP_IF_EQUAL = 0x15;
    private static final int JUMP_IF_AT_LEAST = 0x35;
    private static final int JUMP_IF_ANY = 0x45;
    private static final int AND = 0x54;
    private static final int RETURN = 0x06;
    /** Bytes of one instruction: struct sock_filter. */
    private static final int INSTRUCTION = 8;

    /** Where things lie in struct seccomp_data; of an argument the lower half. */
    private static final int NUMBER = 0;

    private static final int ARCHITECTURE = 4;
    private static final int FIRST = 16;
    private static final int SECOND = 24;
    private static final int THIRD = 32;
    private static final int FOURTH = 40;

    private static final int AUDIT_ARCH_X86_64 = 0xC000003E;
    private static final int AUDIT_ARCH_AARCH64 = 0xC00000B7;
    /** Numbers from here on are those of the x32 ABI. */
    private static final int X32 = 0x40000000;

    private static final int CLONE_THREAD = 0x10000;
    private static final int AF_NETLINK = 16;
    private static final int NETLINK_ROUTE = 0;
    private static final int SOCK_TYPE_MASK = 0xf;
    private static final int SOCK_RAW = 3;
    private static final int SOCK_PACKET = 10;
    private static final int TIOCSTI = 0x5412;
    private static final int TIOCLINUX = 0x541C;
    /** Who gets the signals of a file, and which (fcntl(2), ioctl(2) of sockets): any process of the user, any signal. */
    private static final int F_SETOWN = 8;

    private static final int F_SETSIG = 10;
    private static final int F_SETOWN_EX = 15;
    private static final int FIOSETOWN = 0x8901;
    private static final int SIOCSPGRP = 0x8902;

    /** Calls that are refused whatever their arguments are, with their numbers on x86-64 and aarch64; -1: none there. */
    enum Refused {
        EXECVE(59, 221),
        EXECVEAT(322, 281),
        FORK(57, -1),
        VFORK(58, -1),
        PTRACE(101, 117),
        PROCESS_VM_READV(310, 270),
        PROCESS_VM_WRITEV(311, 271),
        PROCESS_MADVISE(440, 440),
        PROCESS_MRELEASE(448, 448),
        KCMP(312, 272),
        PIDFD_OPEN(434, 434),
        PIDFD_GETFD(438, 438),
        PIDFD_SEND_SIGNAL(424, 424),
        TKILL(200, 130),
        RT_SIGQUEUEINFO(129, 138),
        RT_TGSIGQUEUEINFO(297, 240),
        UNSHARE(272, 97),
        SETNS(308, 268),
        CHROOT(161, 51),
        PIVOT_ROOT(155, 41),
        MOUNT(165, 40),
        UMOUNT2(166, 39),
        OPEN_TREE(428, 428),
        MOVE_MOUNT(429, 429),
        FSOPEN(430, 430),
        FSCONFIG(431, 431),
        FSMOUNT(432, 432),
        FSPICK(433, 433),
        MOUNT_SETATTR(442, 442),
        OPEN_TREE_ATTR(467, 467),
        INIT_MODULE(175, 105),
        FINIT_MODULE(313, 273),
        DELETE_MODULE(176, 106),
        KEXEC_LOAD(246, 104),
        KEXEC_FILE_LOAD(320, 294),
        REBOOT(169, 142),
        SWAPON(167, 224),
        SWAPOFF(168, 225),
        ACCT(163, 89),
        SYSLOG(103, 116),
        QUOTACTL(179, 60),
        QUOTACTL_FD(443, 443),
        BPF(321, 280),
        PERF_EVENT_OPEN(298, 241),
        USERFAULTFD(323, 282),
        IO_URING_SETUP(425, 425),
        IO_URING_ENTER(426, 426),
        IO_URING_REGISTER(427, 427),
        ADD_KEY(248, 217),
        REQUEST_KEY(249, 218),
        KEYCTL(250, 219),
        FANOTIFY_INIT(300, 262),
        NAME_TO_HANDLE_AT(303, 264),
        OPEN_BY_HANDLE_AT(304, 265),
        MIGRATE_PAGES(256, 238),
        MOVE_PAGES(279, 239),
        PERSONALITY(135, 92),
        IOPL(172, -1),
        IOPERM(173, -1),
        MODIFY_LDT(154, -1),
        VHANGUP(153, 58),
        SETTIMEOFDAY(164, 170),
        CLOCK_SETTIME(227, 112),
        CLOCK_ADJTIME(305, 266),
        ADJTIMEX(159, 171),
        SETHOSTNAME(170, 161),
        SETDOMAINNAME(171, 162),
        CAPSET(126, 91),
        SETUID(105, 146),
        SETGID(106, 144),
        SETREUID(113, 145),
        SETREGID(114, 143),
        SETRESUID(117, 147),
        SETRESGID(119, 149),
        SETGROUPS(116, 159),
        SETFSUID(122, 151),
        SETFSGID(123, 152),
        MKNOD(133, -1),
        MKNODAT(259, 33),
        LINK(86, -1),
        LINKAT(265, 37),
        SYMLINK(88, -1),
        SYMLINKAT(266, 36),
        FCHOWN(93, 55),
        LCHOWN(94, -1);

        private final int number;

        Refused(int x86, int arm) {
            number = Number.isArm() ? arm : x86;
        }

        int number() {
            return number;
        }
    }

    /** Calls whose arguments decide. */
    private enum Judged {
        CLONE(56, 220),
        CLONE3(435, 435),
        SOCKET(41, 198),
        KILL(62, 129),
        TGKILL(234, 131),
        PRLIMIT64(302, 261),
        IOCTL(16, 29),
        FCNTL(72, 25),
        CHOWN(92, -1),
        FCHOWNAT(260, 54);

        private final int number;

        Judged(int x86, int arm) {
            number = Number.isArm() ? arm : x86;
        }
    }

    private final List<long[]> program = new ArrayList<>();

    private SystemCallFilter() {}

    /** How many calls are refused whatever their arguments are. */
    public static int refusedCalls() {
        int count = 0;
        for (Refused each : Refused.values()) {
            count += each.number() < 0 ? 0 : 1;
        }
        return count;
    }

    /**
     * Gives up new privileges, and filters the calls of all threads from now on. It cannot be undone.
     *
     * @return 0, or the negative of an error number; a kernel that has no such filters says -EINVAL or -ENOSYS
     */
    public static int install() {
        if (!SystemCall.isSupported()) {
            return -ENOSYS;
        }
        SystemCall kernel = new SystemCall();
        long result = kernel.call(Number.PRCTL, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0);
        if (result < 0) {
            return (int) result;
        }
        SystemCallFilter filter = new SystemCallFilter();
        filter.build((int) kernel.call(Number.GETPID, 0, 0, 0), (int) kernel.call(Number.GETEUID, 0, 0, 0), (int)
                kernel.call(Number.GETEGID, 0, 0, 0));
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment instructions = arena.allocate((long) filter.program.size() * INSTRUCTION, 8);
            for (int i = 0; i < filter.program.size(); i++) {
                long[] each = filter.program.get(i);
                long at = (long) i * INSTRUCTION;
                instructions.set(ValueLayout.JAVA_SHORT, at, (short) each[0]);
                instructions.set(ValueLayout.JAVA_BYTE, at + 2, (byte) each[1]);
                instructions.set(ValueLayout.JAVA_BYTE, at + 3, (byte) each[2]);
                instructions.set(ValueLayout.JAVA_INT, at + 4, (int) each[3]);
            }
            MemorySegment whole = arena.allocate(16, 8);
            whole.set(ValueLayout.JAVA_SHORT, 0, (short) filter.program.size());
            whole.set(ValueLayout.ADDRESS, 8, instructions);
            result = kernel.call(Number.SECCOMP, SECCOMP_SET_MODE_FILTER, TSYNC | SPEC_ALLOW, whole.address());
            if (result == -Errno.EINVAL) {
                // A kernel before 4.17 does not know the second flag.
                result = kernel.call(Number.SECCOMP, SECCOMP_SET_MODE_FILTER, TSYNC, whole.address());
            }
        }
        // A positive result is a thread that has a filter of its own and cannot take this one.
        return result > 0 ? -Errno.EBUSY : (int) result;
    }

    /** What the kernel runs for each call, the most frequent of those that it cannot know once and for all first. */
    private void build(int process, int user, int group) {
        add(LOAD, 0, 0, ARCHITECTURE);
        boolean arm = Number.isArm();
        add(JUMP_IF_EQUAL, 1, 0, arm ? AUDIT_ARCH_AARCH64 : AUDIT_ARCH_X86_64);
        add(RETURN, 0, 0, KILL_PROCESS);
        add(LOAD, 0, 0, NUMBER);
        if (!arm) {
            add(JUMP_IF_AT_LEAST, 0, 1, X32);
            refuse(ENOSYS);
        }
        judgeSockets();
        // A new process is refused, a new thread is not. What clone3 is asked for lies where no filter can look, so it
        // is as if it were not there, and libc asks by clone.
        judge(Judged.CLONE, 4);
        add(LOAD, 0, 0, FIRST);
        add(JUMP_IF_ANY, 0, 1, CLONE_THREAD);
        add(RETURN, 0, 0, ALLOW);
        refuse(Errno.EPERM);
        judge(Judged.CLONE3, 1);
        refuse(ENOSYS);
        // Signals and limits of its own only.
        for (Judged each : List.of(Judged.TGKILL, Judged.KILL)) {
            judge(each, 4);
            add(LOAD, 0, 0, FIRST);
            add(JUMP_IF_EQUAL, 0, 1, process);
            add(RETURN, 0, 0, ALLOW);
            refuse(Errno.EPERM);
        }
        judge(Judged.PRLIMIT64, 5);
        add(LOAD, 0, 0, FIRST);
        add(JUMP_IF_EQUAL, 1, 0, 0);
        add(JUMP_IF_EQUAL, 0, 1, process);
        add(RETURN, 0, 0, ALLOW);
        refuse(Errno.EPERM);
        // Typing at the terminal it was started from; signals to others by way of a file.
        judge(Judged.IOCTL, 7);
        add(LOAD, 0, 0, SECOND);
        add(JUMP_IF_EQUAL, 4, 0, TIOCSTI);
        add(JUMP_IF_EQUAL, 3, 0, TIOCLINUX);
        add(JUMP_IF_EQUAL, 2, 0, FIOSETOWN);
        add(JUMP_IF_EQUAL, 1, 0, SIOCSPGRP);
        add(RETURN, 0, 0, ALLOW);
        refuse(Errno.EPERM);
        judge(Judged.FCNTL, 6);
        add(LOAD, 0, 0, SECOND);
        add(JUMP_IF_EQUAL, 3, 0, F_SETOWN);
        add(JUMP_IF_EQUAL, 2, 0, F_SETSIG);
        add(JUMP_IF_EQUAL, 1, 0, F_SETOWN_EX);
        add(RETURN, 0, 0, ALLOW);
        refuse(Errno.EPERM);
        // The JVM gives the socket that jcmd and its like connect to to the user whose it is already; to nobody else.
        if (!arm) {
            judgeOwner(Judged.CHOWN, SECOND, user, THIRD, group);
        }
        judgeOwner(Judged.FCHOWNAT, THIRD, user, FOURTH, group);
        for (Refused each : Refused.values()) {
            if (each.number() >= 0) {
                add(JUMP_IF_EQUAL, 0, 1, each.number());
                refuse(Errno.EPERM);
            }
        }
        add(RETURN, 0, 0, ALLOW);
    }

    /** Unix, IPv4 and IPv6, of these no raw ones; and what asks the kernel for interfaces and routes. */
    private void judgeSockets() {
        judge(Judged.SOCKET, 14);
        add(LOAD, 0, 0, FIRST);
        add(JUMP_IF_EQUAL, 11, 0, Sockets.AF_UNIX);
        add(JUMP_IF_EQUAL, 3, 0, Sockets.AF_INET);
        add(JUMP_IF_EQUAL, 2, 0, Sockets.AF_INET6);
        add(JUMP_IF_EQUAL, 5, 0, AF_NETLINK);
        refuse(Errno.EAFNOSUPPORT);
        // IPv4 and IPv6.
        add(LOAD, 0, 0, SECOND);
        add(AND, 0, 0, SOCK_TYPE_MASK);
        add(JUMP_IF_EQUAL, 3, 0, SOCK_RAW);
        add(JUMP_IF_EQUAL, 2, 3, SOCK_PACKET);
        // Netlink.
        add(LOAD, 0, 0, THIRD);
        add(JUMP_IF_EQUAL, 1, 0, NETLINK_ROUTE);
        refuse(Errno.EPERM);
        add(RETURN, 0, 0, ALLOW);
    }

    private void judgeOwner(Judged call, int userAt, int user, int groupAt, int group) {
        judge(call, 6);
        add(LOAD, 0, 0, userAt);
        add(JUMP_IF_EQUAL, 0, 3, user);
        add(LOAD, 0, 0, groupAt);
        add(JUMP_IF_EQUAL, 0, 1, group);
        add(RETURN, 0, 0, ALLOW);
        refuse(Errno.EPERM);
    }

    /** Steps over so many instructions unless it is this call. */
    private void judge(Judged call, int instructions) {
        add(JUMP_IF_EQUAL, 0, instructions, call.number);
    }

    private void refuse(int error) {
        add(RETURN, 0, 0, ERRNO | error);
    }

    private void add(int code, int ifTrue, int ifFalse, int operand) {
        program.add(new long[] {code, ifTrue, ifFalse, operand});
    }
}
