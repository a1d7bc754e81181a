package dev.slipway.ethernet;

import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Exceptions of a link's receiver: each is counted, the first is logged with its stack, the others are silent. */
public final class FailureLog {

    private static final Logger LOG = LoggerFactory.getLogger(StreamLink.class);

    private final LinkCounters counters;

    /** @param counters where they are counted */
    public FailureLog(LinkCounters counters) {
        this.counters = counters;
    }

    /**
     * Counts one, and logs it if it is the first.
     *
     * @param event of the receiver in which it happened
     */
    public void log(String event, Throwable failure) {
        counters.failure();
        if (counters.failures() == 1) {
            LOG.error("a defect while handling '{}' from the guest; later ones are only counted", event, failure);
        }
    }
}
