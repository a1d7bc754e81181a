package dev.slipway.host;

import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A little memory that is set aside for the whole process, so that what has to be done when memory runs out can be done.
 *
 * <p>An {@link OutOfMemoryError} costs what was being done: a frame, a flow. At the first one the reserve is let go of,
 * and as long as it is gone no flow begins. It is taken back when memory has sufficed for {@value #QUIET_MILLIS} ms. If
 * that does not happen for {@value #LIMIT_MILLIS} ms, flows are no longer what takes the memory: the process ends with a
 * message, rather than live on without serving anybody.
 */
public final class MemoryReserve {

    /** How long memory must have sufficed, in milliseconds. */
    static final long QUIET_MILLIS = 500;

    /** How long memory may go on to run out, in milliseconds. */
    static final long LIMIT_MILLIS = 10_000;

    /** Exit code of a process that ends for want of memory. */
    public static final int EXIT_CODE = 1;

    private static final long QUIET_NANOS = TimeUnit.MILLISECONDS.toNanos(QUIET_MILLIS);
    /** Failures further apart than this are not of one run; collecting a full heap takes a while. */
    private static final long GAP_NANOS = TimeUnit.SECONDS.toNanos(3);

    private static final long LIMIT_NANOS = TimeUnit.MILLISECONDS.toNanos(LIMIT_MILLIS);
    private static final int SIZE = 256 << 10;

    private static final MemoryReserve OF_THIS_PROCESS = new MemoryReserve(MemoryReserve::endProcess);
    private static final Logger LOG = LoggerFactory.getLogger(MemoryReserve.class);

    /** Written without a logger, which would need memory. */
    private static final byte[] LAST_WORDS = ("slipway: out of memory, and giving up flows did not help for "
                    + LIMIT_MILLIS / 1_000 + " s; ending, so that it can be started again."
                    + " More heap: SLIPWAY_JAVA_OPTS=-Xmx512m\n")
            .getBytes(StandardCharsets.UTF_8);

    private static final FileOutputStream STDERR = new FileOutputStream(FileDescriptor.err);

    private final Runnable lastResort;
    private volatile byte[] reserve = new byte[SIZE];
    private long firstFailure;
    private long lastFailure;
    private long failures;

    MemoryReserve(Runnable lastResort) {
        this.lastResort = lastResort;
    }

    /** The one of this process: the heap is everybody's. */
    public static MemoryReserve ofThisProcess() {
        return OF_THIS_PROCESS;
    }

    /** How often memory has run out. */
    public synchronized long failures() {
        return failures;
    }

    /** Notes that memory has run out; whoever met it has given up what it was for. */
    public void exhausted() {
        exhausted(System.nanoTime());
    }

    synchronized void exhausted(long now) {
        if (reserve != null || now - lastFailure > GAP_NANOS) {
            firstFailure = now;
        }
        reserve = null;
        lastFailure = now;
        failures++;
        if (now - firstFailure > LIMIT_NANOS) {
            lastResort.run();
        }
    }

    /** Whether memory is such that a new flow may begin. */
    public boolean admitsFlows() {
        return reserve != null || admitsFlows(System.nanoTime());
    }

    synchronized boolean admitsFlows(long now) {
        if (reserve != null) {
            return true;
        }
        if (now - lastFailure < QUIET_NANOS) {
            return false;
        }
        try {
            reserve = new byte[SIZE];
        } catch (OutOfMemoryError e) {
            exhausted(now);
            return false;
        }
        LOG.warn("memory ran out, {} times so far, and suffices again; flows may have been lost", failures);
        return true;
    }

    private static void endProcess() {
        try {
            STDERR.write(LAST_WORDS);
        } catch (IOException e) {
            // Nobody can be told.
        }
        Runtime.getRuntime().halt(EXIT_CODE);
    }
}
