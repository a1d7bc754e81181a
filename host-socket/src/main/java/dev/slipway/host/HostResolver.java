package dev.slipway.host;

import dev.slipway.ethernet.Transport;
import dev.slipway.seam.NameResolver;
import dev.slipway.wire.DnsMessage;
import dev.slipway.wire.IpAddress;
import io.netty.channel.ChannelException;
import io.netty.channel.EventLoop;
import io.netty.channel.IoEventLoop;
import io.netty.channel.ReflectiveChannelFactory;
import io.netty.channel.socket.SocketChannel;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.TimeUnit;

/**
 * Asks the host's resolvers on the guest's behalf, as the host's settings name them at the moment of the query, after the
 * host's own hosts file. Queries and answers pass byte for byte but for the id, with two exceptions: names with few dots
 * are looked up in the host's search domains, and a name of the hosts file is never said not to exist.
 *
 * <p>Over UDP a server is asked from up to {@value #SOCKETS} connected sockets, chosen at random and replaced every few
 * seconds; over TCP, for a guest that asked over TCP, by a connection per query. A server that has timed out
 * {@value #DEAD_AFTER} times in a row is asked last, and tried every ten seconds beside the others until it answers again.
 * All servers together get {@value #TOTAL_MILLIS} ms.
 *
 * <p>Answers are kept for a short time ({@link AnswerCache}), unless they came from a server on this machine, which keeps
 * them itself and knows better when they are void. All are dropped when other servers are to be asked and when the host
 * gets or loses an address: then the same name may mean something else.
 *
 * <p>Belongs to the VM's event loop. Limits: as many queries at a time as the constructor is told.
 */
final class HostResolver implements NameResolver, AutoCloseable {

    /** After this the guest is told SERVFAIL, in milliseconds; its own resolver waits five seconds. */
    static final int TOTAL_MILLIS = 4_500;

    /** What is asked to see whether a server is there: which servers the root has. */
    private static final byte[] ROOT_QUERY = {0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1};

    private static final int SOCKETS = 4;
    private static final int DEAD_AFTER = 3;
    private static final long SWEEP_NANOS = 5_000_000_000L;

    private final EventLoop loop;
    private final Transport transport;
    private final Runnable endOfTurn = this::endTurn;
    private final ResolverPlans plans;
    private final FollowedFile<HostsFile> hosts;
    private final Optional<AnswerCache> cache;
    private final HostInterfaces interfaces;
    private final int maxOutstanding;
    private final long totalNanos;
    private final ReflectiveChannelFactory<? extends SocketChannel> streamChannels;
    private final ResolverCounters counters = new ResolverCounters();
    private final RandomIds random = new RandomIds();
    private final LookupTimers timers;
    private final Map<QueryKey, Inquiry> joinable = new HashMap<>();
    private final Map<InetSocketAddress, List<UpstreamSocket>> sockets = new HashMap<>();
    private final Map<InetSocketAddress, Health> health = new HashMap<>();
    private ResolverPlan known;
    private Set<IpAddress> knownAddresses;
    private boolean keepsLocal;
    private long deadNanos = 10_000_000_000L;
    private int rotation;
    private boolean sweeping;
    private NativeUpstreamSocket.Memory memory;
    private InetSocketAddress turnServer;
    private UpstreamSocket turnSocket;
    private boolean turnEnds;
    private boolean closed;

    private static final class Health {
        int timeouts;
        long tryAt;
    }

    /**
     * @param cache where answers are kept, if they are
     * @param interfaces of the host, whose change makes answers void
     * @param maxOutstanding queries at a time; more are refused and counted
     */
    HostResolver(
            EventLoop loop,
            Transport transport,
            ResolverPlans plans,
            FollowedFile<HostsFile> hosts,
            Optional<AnswerCache> cache,
            HostInterfaces interfaces,
            int maxOutstanding,
            int totalMillis) {
        this.loop = loop;
        this.transport = transport;
        this.plans = plans;
        this.hosts = hosts;
        this.cache = cache;
        this.interfaces = interfaces;
        this.maxOutstanding = maxOutstanding;
        this.totalNanos = totalMillis * 1_000_000L;
        this.timers = new LookupTimers(loop, System::nanoTime);
        this.streamChannels = new ReflectiveChannelFactory<>(transport.tcpChannel());
    }

    /** Keeps answers of servers on this machine as well; for tests, whose servers are there. */
    void keepLocalAnswers() {
        keepsLocal = true;
    }

    /** After how long a dead server is tried again, in nanoseconds; for tests, which do not wait that long. */
    void tryDeadAfter(long nanos) {
        deadNanos = nanos;
    }

    ResolverCounters counters() {
        return counters;
    }

    @Override
    public void resolve(DnsMessage question, boolean stream, Answer answer) {
        counters.queries++;
        byte[] query = question.own();
        if (counters.outstanding >= maxOutstanding || closed) {
            counters.refused++;
            soon(() -> answer.answered(DnsExchange.failure(query, DnsMessage.REFUSED)));
            return;
        }
        long now = System.nanoTime();
        follow(now);
        HostsFile file = hosts.current(now);
        byte[] fromFile = HostsAnswer.to(question, file);
        if (fromFile != null) {
            counters.hostsFile++;
            soon(() -> answer.answered(fromFile));
            return;
        }
        QueryKey key = new QueryKey(query, stream);
        byte[] kept = cache.map(answers -> answers.get(key, now)).orElse(null);
        if (kept != null) {
            counters.cached++;
            DnsExchange.setId(kept, DnsExchange.id(query));
            soon(() -> answer.answered(kept));
            return;
        }
        counters.outstanding++;
        Inquiry same = joinable.get(key);
        if (same != null) {
            counters.joined++;
            same.join(DnsExchange.id(query), answer);
            return;
        }
        boolean inHostsFile = file.addressesOf(question.hostName()) != null;
        Inquiry inquiry = new Inquiry(this, known, key, query, question, stream, inHostsFile, now + totalNanos, answer);
        joinable.put(key, inquiry);
        inquiry.next(now);
    }

    private void follow(long now) {
        ResolverPlan plan = plans.current(now);
        Set<IpAddress> addresses = interfaces.addresses();
        if (plan == known && addresses == knownAddresses) {
            return;
        }
        boolean moved = !addresses.equals(knownAddresses);
        if (known != null && (plan != known || moved)) {
            counters.changes++;
            cache.ifPresent(AnswerCache::clear);
            joinable.clear();
            Set<InetSocketAddress> servers = plan.allServers();
            health.keySet().retainAll(servers);
            sockets.forEach((server, pool) -> {
                if (moved || !servers.contains(server)) {
                    pool.forEach(UpstreamSocket::retire);
                }
            });
        }
        known = plan;
        knownAddresses = addresses;
    }

    /** The servers in the order to ask them. */
    List<InetSocketAddress> inOrder(ResolvConf conf, long now) {
        List<InetSocketAddress> all = conf.servers();
        if (all.size() < 2) {
            return all;
        }
        int first = conf.rotate() ? Math.floorMod(rotation++, all.size()) : 0;
        List<InetSocketAddress> ordered = new ArrayList<>(all.size());
        List<InetSocketAddress> dead = new ArrayList<>();
        for (int i = 0; i < all.size(); i++) {
            InetSocketAddress server = all.get((first + i) % all.size());
            Health state = health.get(server);
            if (state == null || state.timeouts < DEAD_AFTER) {
                ordered.add(server);
            } else {
                dead.add(server);
                if (state.tryAt - now <= 0) {
                    state.tryAt = now + deadNanos;
                    tryAgain(server, now);
                }
            }
        }
        ordered.addAll(dead);
        return ordered;
    }

    /** Asks a server whether it is back, so that no query of the guest has to wait for it to find out. */
    private void tryAgain(InetSocketAddress server, long now) {
        Lookup attempt =
                new Lookup(this, ROOT_QUERY, false, (response, by) -> {}, List.of(server), 1, totalNanos, totalNanos);
        attempt.begin(now);
    }

    // ---- what lookups need

    boolean isClosed() {
        return closed;
    }

    EventLoop loop() {
        return loop;
    }

    LookupTimers timers() {
        return timers;
    }

    void soon(Runnable task) {
        loop.execute(task);
    }

    /**
     * Sends a query from one of the sockets to a server; those of one turn from the same, so that they leave by one system
     * call.
     *
     * @return the socket, or {@code null} if there is none
     */
    UpstreamSocket socketTo(InetSocketAddress server, long now) {
        if (closed) {
            return null;
        }
        if (turnSocket != null && turnSocket.isFresh(now) && isTurnServer(server)) {
            return turnSocket;
        }
        UpstreamSocket chosen = choose(server, now);
        if (chosen != turnSocket && chosen != null) {
            flush();
            turnServer = server;
            turnSocket = chosen;
        }
        return chosen;
    }

    private boolean isTurnServer(InetSocketAddress server) {
        return turnServer == server || turnServer.equals(server);
    }

    private UpstreamSocket choose(InetSocketAddress server, long now) {
        List<UpstreamSocket> pool = sockets.computeIfAbsent(server, key -> new ArrayList<>());
        int fresh = 0;
        for (int i = 0; i < pool.size(); i++) {
            fresh += pool.get(i).isFresh(now) ? 1 : 0;
        }
        if (fresh < SOCKETS) {
            closeSpent(pool, now);
            try {
                UpstreamSocket socket = open(server, now);
                pool.add(socket);
                sweepLater();
                return socket;
            } catch (IOException e) {
                counters.unreachable++;
                if (fresh == 0) {
                    return null;
                }
            }
        }
        int chosen = random.next() % fresh;
        int at = 0;
        while (!pool.get(at).isFresh(now) || chosen-- > 0) {
            at++;
        }
        return pool.get(at);
    }

    private UpstreamSocket open(InetSocketAddress server, long now) throws IOException {
        // An address that means something on one link only has a scope beside it, which Netty passes on.
        if (transport != Transport.NATIVE || server.getAddress().isLinkLocalAddress()) {
            return new NettyUpstreamSocket(loop, transport, server, counters, random, now);
        }
        if (memory == null) {
            memory = new NativeUpstreamSocket.Memory((IoEventLoop) loop);
        }
        return new NativeUpstreamSocket(memory, server, counters, random, now);
    }

    /** Sends the queries of this turn when all that is ready now was handled. */
    void flushLater() {
        if (!turnEnds) {
            turnEnds = true;
            loop.execute(endOfTurn);
        }
    }

    private void endTurn() {
        turnEnds = false;
        flush();
        turnSocket = null;
    }

    private void flush() {
        if (turnSocket != null && turnSocket.isOpen()) {
            turnSocket.flush();
        }
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
        state.tryAt = System.nanoTime() + deadNanos;
    }

    void alive(InetSocketAddress server) {
        health.remove(server);
    }

    /** @param server that gave the answer, or {@code null} if none did */
    void finished(Inquiry inquiry, byte[] response, InetSocketAddress server, boolean mayKeep) {
        joinable.remove(inquiry.key(), inquiry);
        counters.outstanding -= inquiry.waiting();
        if (server == null) {
            counters.failures += inquiry.waiting();
        } else {
            counters.answers += inquiry.waiting();
        }
        if (mayKeep && server != null && isFar(server) && inquiry.plan() == known) {
            cache.ifPresent(answers -> answers.put(inquiry.key(), response, System.nanoTime()));
        }
    }

    /** Whether a server is not on this machine. */
    private boolean isFar(InetSocketAddress server) {
        return keepsLocal || !server.getAddress().isLoopbackAddress();
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
            loop.schedule(this::sweep, SWEEP_NANOS, TimeUnit.NANOSECONDS);
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
        timers.close();
        joinable.clear();
        sockets.values().forEach(pool -> pool.forEach(UpstreamSocket::close));
        sockets.clear();
    }
}
