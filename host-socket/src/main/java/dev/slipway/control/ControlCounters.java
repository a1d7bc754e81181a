package dev.slipway.control;

import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;

/** What the control API's socket has counted. Thread-safe. */
public final class ControlCounters {

    final AtomicLong refused = new AtomicLong();
    final AtomicLong requestsTimedOut = new AtomicLong();
    final AtomicLong tunnelsRefused = new AtomicLong();
    final AtomicInteger eventStreams = new AtomicInteger();
    final AtomicLong eventStreamsRefused = new AtomicLong();
    final AtomicLong eventStreamsCut = new AtomicLong();

    /** All of them by name. */
    Map<String, Long> all() {
        Map<String, Long> all = new TreeMap<>();
        all.put("connectionsRefused", refused.get());
        all.put("eventStreams", (long) eventStreams.get());
        all.put("eventStreamsRefused", eventStreamsRefused.get());
        all.put("eventStreamsCut", eventStreamsCut.get());
        all.put("requestsTimedOut", requestsTimedOut.get());
        all.put("tunnelsRefused", tunnelsRefused.get());
        return all;
    }
}
