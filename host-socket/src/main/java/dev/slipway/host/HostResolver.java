package dev.slipway.host;

import dev.slipway.ethernet.Transport;
import dev.slipway.seam.NameResolver;
import dev.slipway.wire.DnsMessage;
import io.netty.channel.ChannelException;
import io.netty.channel.EventLoop;
import io.netty.channel.ReflectiveChannelFactory;
import io.netty.channel.socket.SocketChannel;
import io.netty.util.concurrent.ScheduledFuture;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.TimeUnit;

/**
 * Asks the host's resolvers on the guest's behalf, as {@code resolv.conf} names them at the moment of the query.
 * Nothing is cached; queries and answers pass byte for byte but for the id.
 *
 * <p>Over UDP a server is asked from up to {@value #SOCKETS} connected sockets, chosen at random and replaced every few
 * seconds; over TCP, for a guest that asked over TCP, by a connection per query. A server that has timed out
 * {@value #DEAD_AFTER} times in a row is asked last for a while. All servers together get {@value #TOTAL_MILLIS} ms.
 *
 * <p>Belongs to the VM's event loop. Limits: as many queries at a time as the constructor is told.
 */
final class HostResolver implements NameResolver, AutoCloseable {

    /** After this the guest is told SERVFAIL, in milliseconds; its own resolver waits five seconds. */
    static final int TOTAL_MILLIS = 4_500;

    private static final int SOCKETS = 4;
    private static final int DEAD_AFTER = 3;
    private static final long DEAD_NANOS = 10_000_000_000L;
    private static final long SWEEP_NANOS = 5_000_000_000L;

    private final EventLoop loop;
    private final Transport transport;
    private final ResolvConfFile file;
    private final int maxOutstanding;
    private final long totalNanos;
    private final ReflectiveChannelFactory<? extends SocketChannel> streamChannels;
    private final ResolverCounters counters = new ResolverCounters();
    private final SecureRandom random = new SecureRandom();
    private final Set<Lookup> lookups = new HashSet<>();
    private final Map<InetSocketAddress, List<UpstreamSocket>> sockets = new HashMap<>();
    private final Map<InetSocketAddress, Health> health = new HashMap<>();
    private ResolvConf known = ResolvConf.EMPTY;
    private int rotation;
    private boolean sweeping;
    private boolean closed;

    private static final class Health {
        int timeouts;
        long deadUntil;
    }

    /** @param maxOutstanding queries at a time; more are refused and counted */
    HostResolver(EventLoop loop, Transport transport, Path resolvConf, int maxOutstanding) {
        this(loop, transport, new ResolvConfFile(resolvConf, DnsMessage.PORT), maxOutstanding, TOTAL_MILLIS);
    }

    HostResolver(EventLoop loop, Transport transport, ResolvConfFile file, int maxOutstanding, int totalMillis) {
        this.loop = loop;
        this.transport = transport;
        this.file = file;
        this.maxOutstanding = maxOutstanding;
        this.totalNanos = totalMillis * 1_000_000L;
        this.streamChannels = new ReflectiveChannelFactory<>(transport.tcpChannel());
    }

    ResolverCounters counters() {
        return counters;
    }

    @Override
    public void resolve(byte[] query, boolean stream, Answer answer) {
        counters.queries++;
        if (lookups.size() >= maxOutstanding || closed) {
            counters.refused++;
            soon(() -> answer.answered(DnsExchange.failure(query, DnsMessage.REFUSED)));
            return;
        }
        ResolvConf conf = follow();
        Lookup lookup = new Lookup(
                this,
                query,
                stream,
                answer,
                inOrder(conf),
                conf.attempts(),
                totalNanos,
                conf.timeoutSeconds() * 1_000_000_000L);
        lookups.add(lookup);
        counters.outstanding = lookups.size();
        soon(lookup::next);
    }

    private ResolvConf follow() {
        ResolvConf conf = file.current(System.nanoTime());
        if (conf != known) {
            known = conf;
            health.keySet().retainAll(conf.servers());
            sockets.forEach((server, pool) -> {
                if (!conf.servers().contains(server)) {
                    pool.forEach(UpstreamSocket::retire);
                }
            });
        }
        return conf;
    }

    private List<InetSocketAddress> inOrder(ResolvConf conf) {
        List<InetSocketAddress> all = conf.servers();
        if (all.size() < 2) {
            return all;
        }
        int first = conf.rotate() ? Math.floorMod(rotation++, all.size()) : 0;
        long now = System.nanoTime();
        List<InetSocketAddress> ordered = new ArrayList<>(all.size());
        List<InetSocketAddress> dead = new ArrayList<>();
        for (int i = 0; i < all.size(); i++) {
            InetSocketAddress server = all.get((first + i) % all.size());
            Health state = health.get(server);
            (state != null && state.timeouts >= DEAD_AFTER && state.deadUntil - now > 0 ? dead : ordered).add(server);
        }
        ordered.addAll(dead);
        return ordered;
    }

    // ---- what lookups need

    EventLoop loop() {
        return loop;
    }

    ScheduledFuture<?> later(Runnable task, long nanos) {
        return loop.schedule(task, nanos, TimeUnit.NANOSECONDS);
    }

    void soon(Runnable task) {
        loop.execute(task);
    }

    /** A socket to ask a server from, or {@code null} if there is none. */
    UpstreamSocket socketTo(InetSocketAddress server) {
        List<UpstreamSocket> pool = sockets.computeIfAbsent(server, key -> new ArrayList<>());
        long now = System.nanoTime();
        closeSpent(pool, now);
        List<UpstreamSocket> fresh =
                pool.stream().filter(socket -> socket.isFresh(now)).toList();
        if (fresh.size() < SOCKETS) {
            try {
                UpstreamSocket socket =
                        new UpstreamSocket(loop, transport, server, counters, () -> random.nextInt(1 << 16), now);
                pool.add(socket);
                sweepLater();
                return socket;
            } catch (IOException e) {
                counters.unreachable++;
                return fresh.isEmpty() ? null : fresh.getFirst();
            }
        }
        return fresh.get(random.nextInt(fresh.size()));
    }

    /** A connection to ask a server by, or {@code null} if the host has no socket left. */
    UpstreamStream streamFor(Lookup lookup) {
        try {
            return new UpstreamStream(lookup, counters, streamChannels.newChannel());
        } catch (ChannelException e) {
            counters.unreachable++;
            return null;
        }
    }

    void timedOut(InetSocketAddress server) {
        counters.timeouts++;
        Health state = health.computeIfAbsent(server, key -> new Health());
        state.timeouts++;
        state.deadUntil = System.nanoTime() + DEAD_NANOS;
    }

    void alive(InetSocketAddress server) {
        health.remove(server);
    }

    void finished(Lookup lookup, boolean answered) {
        lookups.remove(lookup);
        counters.outstanding = lookups.size();
        if (answered) {
            counters.answers++;
        } else {
            counters.failures++;
        }
    }

    // ---- sockets that are no longer needed

    private static void closeSpent(List<UpstreamSocket> pool, long now) {
        pool.removeIf(socket -> {
            boolean spent = socket.isIdle() && !socket.isFresh(now);
            if (spent) {
                socket.close();
            }
            return spent;
        });
    }

    private void sweepLater() {
        if (!sweeping && !closed) {
            sweeping = true;
            later(this::sweep, SWEEP_NANOS);
        }
    }

    private void sweep() {
        sweeping = false;
        long now = System.nanoTime();
        sockets.values().removeIf(pool -> {
            closeSpent(pool, now);
            return pool.isEmpty();
        });
        if (!sockets.isEmpty()) {
            sweepLater();
        }
    }

    /** Sockets that are open. */
    int openSockets() {
        return sockets.values().stream().mapToInt(List::size).sum();
    }

    /** Closes all sockets; queries that wait get no answer. */
    @Override
    public void close() {
        closed = true;
        lookups.forEach(Lookup::abandon);
        lookups.clear();
        sockets.values().forEach(pool -> pool.forEach(UpstreamSocket::close));
        sockets.clear();
    }
}
