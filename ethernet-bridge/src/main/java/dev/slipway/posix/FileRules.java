package dev.slipway.posix;

import dev.slipway.posix.SystemCall.Number;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * Which files threads may open: rules of Landlock (landlock(7)), by folders. What no rule allows fails with EACCES. Asking
 * for a file's attributes, connecting to Unix sockets, and what is open already are not governed.
 *
 * <p>Landlock holds for the thread that asks for it ({@link #confineThisThread}) and for those that it starts later; a
 * process with threads cannot put it on the others from outside. It keeps a thread that was tricked into a path from
 * going there. It is no wall against machine code of an attacker's, who has the other threads' memory; that is what
 * {@link SystemCallFilter} is for.
 *
 * <p>Folders are meant as they are when a rule is made: one that is removed and made anew later is another one.
 */
public final class FileRules implements AutoCloseable {

    /** The oldest version of Landlock that lets files move between folders, without which sockets cannot be made. */
    public static final int OLDEST = 2;

    private static final int CREATE_RULESET_VERSION = 1;
    private static final int RULE_PATH_BENEATH = 1;
    private static final int AT_FDCWD = -100;
    private static final int O_PATH = 0x200000;
    private static final int O_CLOEXEC = 0x80000;

    private static final long EXECUTE = 1;
    private static final long WRITE_FILE = 1 << 1;
    private static final long READ_FILE = 1 << 2;
    private static final long READ_DIR = 1 << 3;
    private static final long REMOVE_DIR = 1 << 4;
    private static final long REMOVE_FILE = 1 << 5;
    private static final long MAKE_CHAR = 1 << 6;
    private static final long MAKE_DIR = 1 << 7;
    private static final long MAKE_REG = 1 << 8;
    private static final long MAKE_SOCK = 1 << 9;
    private static final long MAKE_FIFO = 1 << 10;
    private static final long MAKE_BLOCK = 1 << 11;
    private static final long MAKE_SYM = 1 << 12;
    private static final long REFER = 1 << 13;
    /** From version 3 on. */
    private static final long TRUNCATE = 1 << 14;
    /** From version 5 on. */
    private static final long IOCTL_DEV = 1 << 15;

    /** What can be asked of a file that is no folder. */
    private static final long OF_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV;

    private final SystemCall kernel = new SystemCall();
    private final long governed;
    private final int fd;

    private FileRules(long governed, int fd) {
        this.governed = governed;
        this.fd = fd;
    }

    /** The version of the kernel's Landlock, or the negative of an error number if it has none or it is off. */
    public static int version() {
        return SystemCall.isSupported()
                ? (int) new SystemCall().call(Number.LANDLOCK_CREATE_RULESET, 0, 0, CREATE_RULESET_VERSION)
                : -Errno.EAFNOSUPPORT;
    }

    /**
     * Rules that allow nothing so far.
     *
     * @param version of the kernel's Landlock, {@link #OLDEST} at least
     * @throws IllegalStateException if the kernel makes none all the same
     */
    public static FileRules create(int version) {
        long governed = EXECUTE
                | WRITE_FILE
                | READ_FILE
                | READ_DIR
                | REMOVE_DIR
                | REMOVE_FILE
                | MAKE_CHAR
                | MAKE_DIR
                | MAKE_REG
                | MAKE_SOCK
                | MAKE_FIFO
                | MAKE_BLOCK
                | MAKE_SYM
                | REFER;
        if (version >= 3) {
            governed |= TRUNCATE;
        }
        if (version >= 5) {
            governed |= IOCTL_DEV;
        }
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment attributes = arena.allocate(8, 8);
            attributes.set(ValueLayout.JAVA_LONG, 0, governed);
            int fd = (int) new SystemCall()
                    .call(Number.LANDLOCK_CREATE_RULESET, attributes.address(), attributes.byteSize(), 0);
            if (fd < 0) {
                throw new IllegalStateException(Errno.name(-fd));
            }
            return new FileRules(governed, fd);
        }
    }

    /** Files may be read there. */
    public void allowReading(Path place) {
        allow(place, READ_FILE | READ_DIR);
    }

    /** Files may be read, made, written and removed in a folder; or a single file, or device, written. */
    public void allowWriting(Path place) {
        allow(place, READ_FILE | READ_DIR | WRITE_FILE | TRUNCATE | MAKE_REG | REMOVE_FILE);
    }

    /** Sockets may be made in a folder, in folders of their own at first, moved, and removed. */
    public void allowSockets(Path folder) {
        allow(folder, MAKE_SOCK | MAKE_DIR | REMOVE_FILE | REMOVE_DIR | REFER);
    }

    private void allow(Path place, long rights) {
        try (Arena arena = Arena.ofConfined()) {
            int opened = (int) kernel.call(
                    Number.OPENAT,
                    AT_FDCWD,
                    arena.allocateFrom(place.toAbsolutePath().toString()).address(),
                    O_PATH | O_CLOEXEC);
            if (opened < 0) {
                // What is not there needs no rule.
                return;
            }
            MemorySegment rule = arena.allocate(16, 8);
            rule.set(ValueLayout.JAVA_LONG, 0, rights & governed & (Files.isDirectory(place) ? ~0L : OF_FILES));
            rule.set(ValueLayout.JAVA_INT, 8, opened);
            long result = kernel.call(Number.LANDLOCK_ADD_RULE, fd, RULE_PATH_BENEATH, rule.address());
            kernel.call(Number.CLOSE, opened, 0, 0);
            if (result < 0) {
                throw new IllegalStateException(place + ": " + Errno.name(-result));
            }
        }
    }

    /**
     * Holds the calling thread, and all that it starts later, to these rules for good. {@link SystemCallFilter#install}
     * must have been called, because the kernel asks for a thread without new privileges.
     *
     * @return 0, or the negative of an error number
     */
    public int confineThisThread() {
        return (int) new SystemCall().call(Number.LANDLOCK_RESTRICT_SELF, fd, 0, 0);
    }

    @Override
    public void close() {
        kernel.call(Number.CLOSE, fd, 0, 0);
    }
}
