package dev.slipway.host;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * How many descriptors of this process guests may use up. Some are kept back, so that with guests that want more than
 * there are, links, name servers, the API and settings files still have theirs.
 */
final class Descriptors {

    /** Kept back in any case, and beyond that a sixteenth of all. */
    static final int RESERVE = 24;

    private static final int RESERVE_MAX = 256;
    private static final Path LIMITS = Path.of("/proc/self/limits");
    private static final String OPEN_FILES = "Max open files";

    private static final Descriptors OF_THIS_PROCESS = new Descriptors(limitOfThisProcess());

    private final int forGuests;
    private final AtomicInteger channels = new AtomicInteger();

    /** @param limit descriptors that the process may have */
    Descriptors(long limit) {
        long reserve = RESERVE + Math.min(limit / 16, RESERVE_MAX);
        forGuests = (int) Math.max(limit / 4, Math.min(limit - reserve, Integer.MAX_VALUE));
    }

    static Descriptors ofThisProcess() {
        return OF_THIS_PROCESS;
    }

    /**
     * Whether a guest may keep a socket of that number. The kernel gives the lowest number that is free, so the number
     * tells how many are in use, whoever uses them.
     */
    boolean admits(int fd) {
        return fd < forGuests;
    }

    /** Whether there may be another channel, whose number nobody tells; if so it is counted until {@link #closed}. */
    boolean admitsChannel() {
        if (channels.incrementAndGet() <= forGuests - RESERVE) {
            return true;
        }
        channels.decrementAndGet();
        return false;
    }

    /** A channel that was admitted is gone. */
    void closed() {
        channels.decrementAndGet();
    }

    /** The limit as Linux tells it. Where it is not told, what is refused is what the kernel refuses. */
    private static long limitOfThisProcess() {
        try {
            return parse(Files.readString(LIMITS, StandardCharsets.ISO_8859_1));
        } catch (IOException e) {
            return Integer.MAX_VALUE;
        }
    }

    /** The soft limit in a text of the form of {@code /proc/PID/limits} (proc_pid_limits(5)). */
    static long parse(String limits) {
        for (String line : limits.split("\n")) {
            if (line.startsWith(OPEN_FILES)) {
                String soft = line.substring(OPEN_FILES.length()).strip().split("\\s+")[0];
                return soft.matches("\\d{1,18}") ? Long.parseLong(soft) : Integer.MAX_VALUE;
            }
        }
        return Integer.MAX_VALUE;
    }
}
