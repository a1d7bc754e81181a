package dev.slipway.ethernet;

import io.netty.buffer.ByteBufAllocator;
import io.netty.util.ResourceLeakDetector;
import io.netty.util.ResourceLeakDetectorFactory;
import java.lang.ref.ReferenceQueue;
import java.lang.ref.WeakReference;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import org.junit.jupiter.api.extension.AfterAllCallback;
import org.junit.jupiter.api.extension.ExtensionContext;

/**
 * Fails a test class in which a Netty buffer leaked. Found by JUnit itself (META-INF/services), so that it is there
 * before the first buffer is.
 */
public final class LeakGuard implements AfterAllCallback {

    private static final int ROUNDS = 2;
    private static final int MAX_COLLECTIONS = 10;
    private static final int WAIT_MILLIS = 1000;

    private static final Queue<String> LEAKS = new ConcurrentLinkedQueue<>();

    static {
        ResourceLeakDetector.setLevel(ResourceLeakDetector.Level.PARANOID);
        ResourceLeakDetectorFactory.setResourceLeakDetectorFactory(new ResourceLeakDetectorFactory() {
            @Override
            @SuppressWarnings("deprecation") // the method to be overridden is deprecated, and abstract
            public <T> ResourceLeakDetector<T> newResourceLeakDetector(Class<T> type, int interval, long maxActive) {
                return new Recording<>(type, interval);
            }
        });
    }

    @Override
    public void afterAll(ExtensionContext context) {
        for (int round = 0; round < ROUNDS; round++) {
            collect();
            // Leaks are noticed when the next buffer is made.
            ByteBufAllocator.DEFAULT.directBuffer(16).release();
        }
        String leaks = String.join("\n", LEAKS);
        LEAKS.clear();
        if (!leaks.isEmpty()) {
            throw new AssertionError("leaked buffers:\n" + leaks);
        }
    }

    /** Returns when references that a collection has cleared are being queued: that is another thread's work. */
    private static void collect() {
        ReferenceQueue<Object> cleared = new ReferenceQueue<>();
        WeakReference<Object> sentinel = new WeakReference<>(new Object(), cleared);
        try {
            for (int i = 0; i < MAX_COLLECTIONS; i++) {
                System.gc();
                if (cleared.remove(WAIT_MILLIS) == sentinel) {
                    return;
                }
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        throw new AssertionError("no collection was done: leaks cannot be told");
    }

    static Queue<String> leaks() {
        return LEAKS;
    }

    private static final class Recording<T> extends ResourceLeakDetector<T> {

        Recording(Class<T> type, int interval) {
            super(type, interval);
        }

        @Override
        protected boolean needReport() {
            return true;
        }

        @Override
        protected void reportTracedLeak(String resource, String records) {
            LEAKS.add(resource + records);
        }

        @Override
        protected void reportUntracedLeak(String resource) {
            LEAKS.add(resource);
        }
    }
}
