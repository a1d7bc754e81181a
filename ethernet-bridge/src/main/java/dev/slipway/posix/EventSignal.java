package dev.slipway.posix;

import dev.slipway.posix.SystemCall.Number;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.regex.Pattern;

/** Tells another process something by an eventfd(2), pipe or socket that it has passed. One instance per thread. */
public final class EventSignal {

    private static final String EVENT = "anon_inode:[eventfd]";
    private static final Pattern STREAM = Pattern.compile("(pipe|socket):.*");

    private final SystemCall kernel = new SystemCall();
    private final MemorySegment one = Arena.ofAuto().allocate(8, 8);

    public EventSignal() {
        one.set(ValueLayout.JAVA_LONG, 0, 1);
    }

    /** Whether a descriptor is an eventfd; also true where /proc does not tell. */
    public static boolean isEvent(int fd) {
        String kind = kind(fd);
        return kind.isEmpty() || kind.equals(EVENT);
    }

    /** Whether a descriptor is an eventfd, a pipe or a socket: it can be made one that does not block. */
    public static boolean takesSignals(int fd) {
        return isEvent(fd) || STREAM.matcher(kind(fd)).matches();
    }

    private static String kind(int fd) {
        try {
            return Files.readSymbolicLink(Path.of("/proc/self/fd", Integer.toString(fd)))
                    .toString();
        } catch (IOException e) {
            return Files.isDirectory(Path.of("/proc/self/fd")) ? "unknown" : "";
        }
    }

    /** Adds one to an eventfd that does not block, or eight bytes to the others; 8, or the negative of an error number. */
    public int signal(int fd) {
        return (int) kernel.call(Number.WRITE, fd, one.address(), 8);
    }
}
