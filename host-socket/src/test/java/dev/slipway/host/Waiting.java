package dev.slipway.host;

import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;

/** Waits for what other threads bring about, without a sleep that is too short or too long. */
final class Waiting {

    private static final long LIMIT_NANOS = 20_000_000_000L;
    private static final long STILL_NANOS = 100_000_000L;

    private Waiting() {}

    /** Until something holds; fails after 20 s. */
    static void until(Callable<Boolean> condition) throws Exception {
        long start = System.nanoTime();
        while (!condition.call()) {
            if (System.nanoTime() - start > LIMIT_NANOS) {
                throw new AssertionError("waited for 20 s in vain");
            }
            Thread.onSpinWait();
        }
    }

    /** Until a value has not changed for a tenth of a second. */
    static void settle(Callable<Long> value) throws Exception {
        long last = value.call();
        long since = System.nanoTime();
        while (System.nanoTime() - since < STILL_NANOS) {
            long now = value.call();
            if (now != last) {
                last = now;
                since = System.nanoTime();
            }
        }
    }

    /** Runs something on a thread of its own. */
    static <T> CompletableFuture<T> async(Callable<T> task) {
        CompletableFuture<T> result = new CompletableFuture<>();
        Thread.ofPlatform().daemon().start(() -> {
            try {
                result.complete(task.call());
            } catch (Throwable t) {
                result.completeExceptionally(t);
            }
        });
        return result;
    }
}
