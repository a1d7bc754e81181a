package dev.slipway.host;

import io.netty.util.collection.IntObjectHashMap;
import io.netty.util.collection.IntObjectMap;
import java.util.ArrayList;
import java.util.List;

/**
 * A UDP socket connected to one DNS server: a source port that the kernel chose at random, and ids that we choose at
 * random. As it is connected, the kernel drops what others send, and says when nobody listens at the server.
 */
abstract class UpstreamSocket implements AutoCloseable {

    /** Queries after which another port is used. */
    private static final int MAX_USES = 128;

    /** A route to the server may have changed: a connected socket keeps the source address it began with. */
    private static final long MAX_AGE_NANOS = 5_000_000_000L;

    private final ResolverCounters counters;
    private final RandomIds ids;
    private final long openedAt;
    private final IntObjectMap<Lookup> pending = new IntObjectHashMap<>();
    private int uses;
    private boolean retired;
    private boolean open = true;

    /**
     * @param ids makes random 16-bit numbers
     * @param now when it is opened
     */
    UpstreamSocket(ResolverCounters counters, RandomIds ids, long now) {
        this.counters = counters;
        this.ids = ids;
        this.openedAt = now;
    }

    /** Whether it may be used for another query. */
    final boolean isFresh(long now) {
        return open && !retired && uses < MAX_USES && now - openedAt < MAX_AGE_NANOS;
    }

    final boolean isIdle() {
        return pending.isEmpty();
    }

    /** Uses it no more: something may be wrong with it. */
    final void retire() {
        retired = true;
    }

    /**
     * Takes a query, which leaves with the next {@link #flush}; the lookup hears of an answer, or that the server cannot
     * be reached.
     *
     * @return the id it is sent with
     */
    final int send(Lookup lookup, byte[] query) {
        uses++;
        int id = ids.next();
        while (pending.containsKey(id)) {
            id = ids.next();
        }
        pending.put(id, lookup);
        add(query, id);
        return id;
    }

    /** Queues a query to be sent with the given id instead of its own. */
    abstract void add(byte[] query, int id);

    /** Sends what was queued. */
    abstract void flush();

    final void forget(int id) {
        pending.remove(id);
    }

    /** The query of that id did not leave. */
    final void notSent(int id, Lookup lookup) {
        if (lookup != null && pending.get(id) == lookup) {
            lookup.unreachable(this);
        }
    }

    /** What waits for an answer to the given id, or {@code null}. */
    final Lookup waiting(int id) {
        return pending.get(id);
    }

    /** A datagram of the server's. */
    final void received(byte[] response) {
        Lookup lookup = response.length < 2 ? null : pending.get(DnsExchange.id(response));
        if (lookup == null || !lookup.accepts(response)) {
            counters.rejected++;
            return;
        }
        lookup.answered(this, response);
    }

    /** Nobody listens at the server, or there is no way to it: all who wait here need not wait longer. */
    final void broken() {
        retire();
        List<Lookup> waiting = new ArrayList<>(pending.values());
        for (Lookup lookup : waiting) {
            lookup.unreachable(this);
        }
    }

    @Override
    public final void close() {
        if (open) {
            open = false;
            release();
        }
    }

    final boolean isOpen() {
        return open;
    }

    /** Gives the socket back; called once. */
    abstract void release();
}
