package dev.slipway.host;

import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * What is thrown where nothing should be, on the event loop of one VM: it costs what it was about, is counted, and is
 * logged at most once a second; the loop goes on. So it does when memory runs out ({@link MemoryReserve}), or a class
 * cannot be loaded for want of a descriptor.
 */
final class Defects {

    private static final long LOG_INTERVAL_NANOS = 1_000_000_000L;
    private static final Logger LOG = LoggerFactory.getLogger(VmSession.class);

    private final String name;
    private final HostCounters counters;
    private long loggedAt;
    private boolean logged;

    /** @param name the VM's, for the log */
    Defects(String name, HostCounters counters) {
        this.name = name;
        this.counters = counters;
    }

    void failed(Throwable cause) {
        if (cause instanceof OutOfMemoryError) {
            counters.outOfMemory++;
            MemoryReserve.ofThisProcess().exhausted();
            return;
        }
        counters.stackFailures++;
        long now = System.nanoTime();
        if (!logged || now - loggedAt >= LOG_INTERVAL_NANOS) {
            logged = true;
            loggedAt = now;
            LOG.error("{}: defect number {}; the flow it is about is lost", name, counters.stackFailures, cause);
        }
    }
}
