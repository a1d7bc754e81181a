package dev.slipway.ethernet;

import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * Inputs of streams that are opened again for each input of a campaign, as a link opens its own for each connection, so
 * that no run makes and frees the 256 KiB of native memory of one.
 */
final class ReusedInputs {

    /** An input and what it counts, since ever. */
    record Reused(StreamInput stream, LinkCounters counters) {}

    private static final Map<List<Object>, Reused> MADE = new HashMap<>();

    private ReusedInputs() {}

    static Reused of(StreamFraming framing, Offload offload, int longestPlain) {
        return MADE.computeIfAbsent(List.of(framing, offload, longestPlain), parts -> {
            LinkCounters counters = new LinkCounters();
            return new Reused(new StreamInput(framing, offload, longestPlain, counters), counters);
        });
    }
}
