package dev.slipway.guest;

import java.io.IOException;
import java.time.Duration;
import java.util.concurrent.Callable;
import java.util.concurrent.locks.LockSupport;

/** Waits for what another process does: asks again and again, up to a deadline. */
final class Await {

    private static final long PAUSE_NANOS = 5_000_000;

    private Await() {}

    /** Returns as soon as the condition holds; fails with what was waited for. */
    static void until(String what, Duration timeout, Callable<Boolean> condition) throws IOException {
        long deadline = System.nanoTime() + timeout.toNanos();
        while (!holds(condition)) {
            if (System.nanoTime() - deadline > 0) {
                throw new IOException("not within " + timeout + ": " + what);
            }
            LockSupport.parkNanos(PAUSE_NANOS);
            if (Thread.interrupted()) {
                throw new IOException("interrupted while waiting for: " + what);
            }
        }
    }

    private static boolean holds(Callable<Boolean> condition) throws IOException {
        try {
            return condition.call();
        } catch (IOException | RuntimeException e) {
            throw e;
        } catch (Exception e) {
            throw new IOException(e);
        }
    }
}
