package dev.slipway.host;

import dev.slipway.dhcp.LeaseTable;
import dev.slipway.dns.LocalNames;
import dev.slipway.dns.NameServer;
import dev.slipway.ethernet.GuestLink;
import dev.slipway.ethernet.LinkCounters;
import dev.slipway.ethernet.Transport;
import dev.slipway.proxy.ProxyCounters;
import dev.slipway.proxy.ProxySettings;
import dev.slipway.proxy.ProxySockets;
import dev.slipway.queue.QueueBudget;
import dev.slipway.seam.DropCounters;
import dev.slipway.seam.HostSockets;
import dev.slipway.stack.Stack;
import dev.slipway.wire.Frame;
import dev.slipway.wire.IpAddress;
import io.netty.channel.EventLoop;
import io.netty.channel.IoEventLoop;
import io.netty.util.concurrent.ScheduledFuture;
import io.netty.util.internal.PlatformDependent;
import java.security.SecureRandom;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.Supplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * One VM: its link, its stack, its timers and its host sockets, all on one event loop.
 *
 * <p>A turn: whatever happens on the loop (a batch of frames, an event of a host socket, a timer) touches the session,
 * and the first touch of a turn queues one task behind everything else that is ready. That task ends the stack's turn,
 * flushes the link, and looks at the stack's next deadline. One timer is armed at a time, and moved only when the
 * deadline comes closer.
 *
 * <p>A guest that goes is waited for, {@value #GRACE_MILLIS} ms: its flows live on when it comes back in time (what was
 * on the way is sent again), else they are reset.
 *
 * <p>An exception out of the stack costs what it was about, is counted, and is logged at most once a second; the loop
 * goes on.
 */
public final class VmSession implements AutoCloseable {

    /** How long the flows of a guest whose connection has ended are kept, in milliseconds. */
    public static final int GRACE_MILLIS = 4_000;

    /** How long {@link #close} waits for the event loop, in milliseconds. */
    private static final int CLOSE_MILLIS = 3_000;

    private static final long QUEUES_MAX = 64L << 20;
    private static final long LOG_INTERVAL_NANOS = 1_000_000_000L;
    private static final Logger LOG = LoggerFactory.getLogger(VmSession.class);

    private final String name;
    private final EventLoop loop;
    private final GuestLink link;
    private final HostCounters counters = new HostCounters();
    private final DropCounters drops = new DropCounters();
    private final HostResolver resolver;
    private final NettyHostSockets sockets;
    private final NativeHostSockets nativeSockets;
    private final ProxySockets proxySockets;
    private final NameServerStreams nameStreams;
    private final Stack stack;
    private final Runnable endOfTurn = this::endTurn;
    private final Runnable endBatch = this::endStackTurn;
    private final Runnable timerTask = this::timerFired;

    private boolean turnQueued;
    private ScheduledFuture<?> timer;
    private long timerAt = Long.MAX_VALUE;
    private ScheduledFuture<?> grace;
    private long loggedAt;
    private boolean logged;
    private boolean closed;

    /**
     * Makes a session; it serves when the link is told to hand its frames to {@link #receiver}.
     *
     * @param name for the log
     * @param loop that owns everything, of the settings' transport
     * @param link on that loop
     * @param leases shared by all VMs of a network
     * @param localNames shared as well
     * @param proxies which flows go through a proxy, at any moment
     */
    VmSession(
            String name,
            NetworkSettings settings,
            EventLoop loop,
            GuestLink link,
            LeaseTable leases,
            LocalNames localNames,
            Supplier<ProxySettings> proxies) {
        this.name = name;
        this.loop = loop;
        this.link = link;
        Transport transport = settings.transport();
        HostInterfaces interfaces = HostInterfaces.ofThisHost();
        resolver = new HostResolver(
                loop,
                transport,
                settings.resolver().plans(),
                settings.resolver().hostsFile(settings.stack(), settings.policy()),
                settings.resolver().cache() ? Optional.of(new AnswerCache()) : Optional.empty(),
                interfaces,
                settings.stack().limits().dnsQueries(),
                HostResolver.TOTAL_MILLIS);
        Destinations destinations = new Destinations(settings.stack(), settings.policy(), interfaces);
        QueueBudget budget = new QueueBudget(queueLimit());
        sockets = new NettyHostSockets(loop, transport, destinations, budget, counters, this::touch, this::failed);
        nativeSockets = transport == Transport.NATIVE
                ? new NativeHostSockets(
                        (IoEventLoop) loop,
                        settings.stack().mtu(),
                        destinations,
                        budget,
                        counters,
                        this::touch,
                        this::failed)
                : null;
        HostSockets toHost = nativeSockets != null ? nativeSockets : sockets;
        NameServer names = new NameServer(settings.stack(), localNames, resolver, drops);
        proxySockets = new ProxySockets(
                toHost,
                IpAddress.ofV4(settings.stack().gateway()),
                loop,
                transport,
                proxies,
                destinations,
                names,
                budget,
                this::touch,
                this::failed);
        nameStreams = new NameServerStreams(settings.stack(), names, proxySockets, loop, this::touch, this::failed);
        byte[] secret = new byte[16];
        new SecureRandom().nextBytes(secret);
        stack = new Stack(settings.stack(), link, nameStreams, names, leases, drops, secret);
        stack.whenTurnWanted(this::touch);
        stack.whenFailed(this::failed);
    }

    /** Half of what Netty may take outside the heap: the link and its frames need some, too. */
    private static long queueLimit() {
        return Math.min(QUEUES_MAX, PlatformDependent.maxDirectMemory() / 2);
    }

    /** What the link is to hand its frames to. */
    GuestLink.Receiver receiver() {
        return new FromGuest();
    }

    /** What frames are given to the stack by; all of it runs on the event loop. */
    private final class FromGuest implements GuestLink.Receiver {

        /** The time of the batch that goes on; one reading of the clock for all its frames. */
        private long batchTime;

        private boolean inBatch;

        @Override
        public void attached() {
            cancelGrace();
            LOG.info("{}: guest attached", name);
            guarded(stack::attached);
        }

        @Override
        public void frame(Frame frame) {
            if (!inBatch) {
                inBatch = true;
                batchTime = System.nanoTime();
            }
            try {
                stack.input(frame, batchTime);
            } catch (RuntimeException e) {
                failed(e);
            }
        }

        @Override
        public void endOfBatch() {
            // The frames' bytes are void when this returns, so the stack's turn ends here; the link is flushed and the
            // timer set when the loop's turn ends.
            inBatch = false;
            guarded(endBatch);
        }

        @Override
        public void ready() {
            guarded(stack::guestReady);
        }

        @Override
        public void detached(String reason) {
            LOG.info("{}: guest detached: {}", name, reason);
            cancelGrace();
            if (!closed) {
                grace = loop.schedule(VmSession.this::guestGone, GRACE_MILLIS, TimeUnit.MILLISECONDS);
            }
        }
    }

    private void cancelGrace() {
        if (grace != null) {
            grace.cancel(false);
            grace = null;
        }
    }

    private void guestGone() {
        grace = null;
        guarded(stack::reset);
    }

    private void guarded(Runnable event) {
        touch();
        try {
            event.run();
        } catch (RuntimeException e) {
            failed(e);
        }
    }

    // ---- the turn

    private void touch() {
        if (!turnQueued) {
            turnQueued = true;
            loop.execute(endOfTurn);
        }
    }

    private void endStackTurn() {
        stack.endTurn(System.nanoTime());
    }

    private void endTurn() {
        turnQueued = false;
        if (closed) {
            return;
        }
        try {
            stack.endTurn(System.nanoTime());
            link.flush();
        } catch (RuntimeException e) {
            failed(e);
        }
        armTimer();
    }

    private void armTimer() {
        long deadline = stack.nextDeadline();
        if (deadline >= timerAt) {
            return;
        }
        if (timer != null) {
            timer.cancel(false);
        }
        timerAt = deadline;
        timer = loop.schedule(timerTask, Math.max(0, deadline - System.nanoTime()), TimeUnit.NANOSECONDS);
    }

    private void timerFired() {
        timer = null;
        timerAt = Long.MAX_VALUE;
        if (closed) {
            return;
        }
        long now = System.nanoTime();
        if (stack.nextDeadline() > now) {
            // It has moved away since; that costs one early wake-up per timer, not one per packet.
            armTimer();
        } else {
            guarded(() -> stack.poll(now));
        }
    }

    private void failed(Throwable cause) {
        counters.stackFailures++;
        long now = System.nanoTime();
        if (!logged || now - loggedAt >= LOG_INTERVAL_NANOS) {
            logged = true;
            loggedAt = now;
            LOG.error("{}: defect number {}; the flow it is about is lost", name, counters.stackFailures, cause);
        }
    }

    // ---- for others

    public String name() {
        return name;
    }

    /** The event loop that owns everything of this VM. */
    public EventLoop loop() {
        return loop;
    }

    public HostCounters hostCounters() {
        return counters;
    }

    public ProxyCounters proxyCounters() {
        return proxySockets.counters();
    }

    public ResolverCounters resolverCounters() {
        return resolver.counters();
    }

    /** Whether a guest is connected; a moment old when asked from another thread. */
    public boolean isAttached() {
        return link.isAttached();
    }

    public LinkCounters linkCounters() {
        return link.counters();
    }

    public DropCounters drops() {
        return drops;
    }

    /**
     * Asks something of the stack and the link on their own thread.
     *
     * @throws TimeoutException if the event loop has no time for it within a second
     */
    public <T> T ask(Question<T> question) throws TimeoutException, InterruptedException {
        Callable<T> task = () -> question.ask(stack, link);
        try {
            return loop.submit(task).get(1, TimeUnit.SECONDS);
        } catch (ExecutionException e) {
            throw new IllegalStateException("cannot ask " + name, e.getCause());
        }
    }

    /** Something to look at, on the event loop. */
    public interface Question<T> {
        T ask(Stack stack, GuestLink link);
    }

    /**
     * Resets all flows and closes everything of this VM; the event loop goes on. Waits for it, at most three seconds.
     */
    @Override
    public void close() {
        if (loop.inEventLoop()) {
            closeOnLoop();
            return;
        }
        try {
            loop.submit(this::closeOnLoop).get(CLOSE_MILLIS, TimeUnit.MILLISECONDS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        } catch (ExecutionException | TimeoutException e) {
            LOG.warn("{}: not closed in order: {}", name, e.toString());
        }
    }

    private void closeOnLoop() {
        if (closed) {
            return;
        }
        try {
            stack.close();
            stack.endTurn(System.nanoTime());
            link.flush();
        } catch (RuntimeException e) {
            failed(e);
        }
        closed = true;
        cancelGrace();
        if (timer != null) {
            timer.cancel(false);
        }
        nameStreams.close();
        proxySockets.close();
        if (nativeSockets != null) {
            nativeSockets.close();
        }
        sockets.close();
        resolver.close();
        link.close();
    }
}
