package dev.slipway.host;

import dev.slipway.wire.DnsMessage;
import java.net.InetSocketAddress;
import java.util.List;

/**
 * One query on its way: server after server, until one answers or time is up. A server that is late may still answer
 * after another was asked; one that says that it cannot answer is not asked again.
 */
final class Lookup extends LookupTimers.Entry {

    private final HostResolver resolver;
    private final byte[] query;
    private final boolean stream;
    private final Outcome outcome;
    private final List<InetSocketAddress> servers;
    private final int tries;
    private final long unitNanos;
    private final long maxWaitNanos;
    /** Bit by bit the servers that are not asked again. */
    private long failed;
    /** The last one that was asked. */
    private Asked asked;

    private int begun;
    private byte[] refusal;
    private InetSocketAddress refusedBy;
    private boolean done;

    /**
     * @param servers in the order to ask them, each at most {@code attempts} times
     * @param totalNanos how long all may take
     * @param maxWaitNanos how long one may take
     */
    Lookup(
            HostResolver resolver,
            byte[] query,
            boolean stream,
            Outcome outcome,
            List<InetSocketAddress> servers,
            int attempts,
            long totalNanos,
            long maxWaitNanos) {
        this.resolver = resolver;
        this.query = query;
        this.stream = stream;
        this.outcome = outcome;
        this.servers = servers;
        this.tries = servers.size() * attempts;
        // The first server gets two parts of the time: it is the one that knows the names of the VPN.
        this.unitNanos = totalNanos / (tries + 1);
        this.maxWaitNanos = maxWaitNanos;
    }

    /** Who is told how it ended, on the event loop, once. */
    interface Outcome {

        /**
         * @param response with the id of the query; its own from now on
         * @param server that said so, or {@code null} if none said anything
         */
        void ended(byte[] response, InetSocketAddress server);
    }

    /** A server that was asked, and by what. */
    private record Asked(int server, Object by, int id, Asked before) {}

    byte[] query() {
        return query;
    }

    /** Asks the first server; the outcome comes later, never from within this call. */
    void begin(long now) {
        if (servers.isEmpty()) {
            resolver.soon(this::goOn);
        } else {
            next(now);
        }
    }

    private void goOn() {
        next(System.nanoTime());
    }

    /** Asks the next server, or gives up. */
    private void next(long now) {
        if (done || resolver.isClosed()) {
            return;
        }
        while (begun < tries && hasFailed(begun % servers.size())) {
            begun++;
        }
        if (begun >= tries) {
            finish(refusal, refusedBy);
            return;
        }
        int server = begun % servers.size();
        long wait = Math.min(maxWaitNanos, begun == 0 ? 2 * unitNanos : unitNanos);
        begun++;
        resolver.timers().add(this, now + wait);
        if (stream) {
            askByStream(server);
        } else {
            askByDatagram(server, now);
        }
    }

    private boolean hasFailed(int server) {
        return (failed & 1L << server) != 0;
    }

    private void askByDatagram(int server, long now) {
        UpstreamSocket socket = resolver.socketTo(servers.get(server), now);
        if (socket == null) {
            fail(server);
            return;
        }
        int id = socket.send(this, query);
        resolver.flushLater();
        if (done) {
            socket.forget(id);
        } else {
            asked = new Asked(server, socket, id, asked);
        }
    }

    private void askByStream(int server) {
        UpstreamStream connection = resolver.streamFor(this);
        if (connection == null) {
            fail(server);
            return;
        }
        asked = new Asked(server, connection, 0, asked);
        connection.send(resolver.loop(), servers.get(server), query);
    }

    /** The server that was asked last is late. */
    @Override
    void due() {
        int server = (begun - 1) % servers.size();
        resolver.timedOut(servers.get(server));
        for (Asked entry = asked; entry != null; entry = entry.before) {
            if (entry.server == server && entry.by instanceof UpstreamSocket socket) {
                socket.retire();
            }
        }
        goOn();
    }

    /** Whether a message is an answer to this query, as far as its question tells. */
    boolean accepts(byte[] response) {
        return !done && DnsExchange.isAnswer(query, response);
    }

    void answered(Object by, byte[] response) {
        if (done) {
            return;
        }
        int server = serverOf(by);
        if (server >= 0) {
            resolver.alive(servers.get(server));
        }
        if (!DnsExchange.isFailure(response)) {
            finish(response, server >= 0 ? servers.get(server) : null);
            return;
        }
        refusal = response;
        refusedBy = server >= 0 ? servers.get(server) : null;
        fail(server);
    }

    /** There is no way to the server, or nobody there. */
    void unreachable(Object by) {
        if (!done) {
            resolver.counters().unreachable++;
            fail(serverOf(by));
        }
    }

    private int serverOf(Object by) {
        for (Asked entry = asked; entry != null; entry = entry.before) {
            if (entry.by == by) {
                return entry.server;
            }
        }
        // It failed while it was being asked, before it was noted.
        return begun == 0 ? -1 : (begun - 1) % servers.size();
    }

    private void fail(int server) {
        boolean isCurrent = server < 0 || server == (begun - 1) % servers.size();
        if (server >= 0) {
            failed |= 1L << server;
        }
        if (isCurrent) {
            // Not from within the call that asks.
            resolver.soon(this::goOn);
        }
    }

    private void finish(byte[] response, InetSocketAddress server) {
        done = true;
        resolver.timers().remove(this);
        for (Asked entry = asked; entry != null; entry = entry.before) {
            if (entry.by instanceof UpstreamSocket socket) {
                socket.forget(entry.id);
            } else if (entry.by instanceof UpstreamStream connection) {
                connection.close();
            }
        }
        byte[] result = response != null && response.length >= DnsMessage.HEADER_LENGTH
                ? response
                : DnsExchange.failure(query, DnsMessage.SERVFAIL);
        DnsExchange.setId(result, DnsExchange.id(query));
        outcome.ended(result, server);
    }

    /** Gives up without an answer: the VM is gone. */
    @Override
    void abandon() {
        if (!done) {
            done = true;
            for (Asked entry = asked; entry != null; entry = entry.before) {
                if (entry.by instanceof UpstreamStream connection) {
                    connection.close();
                }
            }
        }
    }
}
