package dev.slipway.dns;

import dev.slipway.seam.NameResolver;
import dev.slipway.wire.DnsMessage;
import java.util.ArrayList;
import java.util.List;

/** A resolver that answers when and what a test says. */
final class RecordingResolver implements NameResolver {

    /** A query that waits. */
    record Asked(byte[] query, boolean stream, Answer answer) {

        int id() {
            return (query[0] & 0xFF) << 8 | query[1] & 0xFF;
        }
    }

    final List<Asked> asked = new ArrayList<>();

    @Override
    public void resolve(DnsMessage query, boolean stream, Answer answer) {
        asked.add(new Asked(query.own(), stream, answer));
    }

    /** Takes the oldest query. */
    Asked next() {
        return asked.removeFirst();
    }
}
