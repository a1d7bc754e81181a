package dev.slipway.host;

import dev.slipway.dhcp.LeaseTable;
import dev.slipway.dns.LocalNames;
import dev.slipway.egress.Egress;
import dev.slipway.egress.EgressPolicy;
import dev.slipway.ethernet.GuestLink;
import dev.slipway.ethernet.LinkCounters;
import dev.slipway.event.Event;
import dev.slipway.event.Events;
import dev.slipway.lan.SwitchPort;
import dev.slipway.proxy.GuestApi;
import dev.slipway.proxy.ProxyCounters;
import dev.slipway.proxy.ProxySettings;
import dev.slipway.seam.DropCounters;
import dev.slipway.stack.Stack;
import dev.slipway.tcp.TcpCounters;
import dev.slipway.wire.BigEndian;
import dev.slipway.wire.EthernetFrame;
import dev.slipway.wire.Frame;
import dev.slipway.wire.IpAddress;
import dev.slipway.wire.MacAddress;
import io.netty.channel.EventLoop;
import io.netty.util.concurrent.ScheduledFuture;
import java.security.SecureRandom;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.Supplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * One VM: its link, its stack, its timers and its host sockets, all on one event loop.
 *
 * <p>{@link HostSide} is what its flows lead to on the host, {@link SessionTurns} when what happens is answered, {@link
 * PortClients} who reaches the guest from the host. Here is how the guest comes and goes.
 *
 * <p>A guest that goes is waited for, {@value #GRACE_MILLIS} ms: its flows live on when it comes back in time (what was
 * on the way is sent again), else they are reset.
 */
public final class VmSession implements AutoCloseable {

    /** How long the flows of a guest whose connection has ended are kept, in milliseconds. */
    public static final int GRACE_MILLIS = 4_000;

    /** How long {@link #close} waits for the event loop, in milliseconds. */
    private static final int CLOSE_MILLIS = 3_000;

    private static final long NOT_SEEN = -1;

    /** Where a frame says which MAC address sent it. */
    private static final int SOURCE = 6;

    private static final Logger LOG = LoggerFactory.getLogger(VmSession.class);

    private final String name;
    private final Events events;
    private final Egress egress;
    private final EventLoop loop;
    private final GuestLink link;
    private final HostCounters counters = new HostCounters();
    private final DropCounters drops = new DropCounters();
    private final Defects defects;
    private final SessionTurns turns;
    private final Ipv6Watch ipv6;
    private final HostSide host;
    private final Stack stack;
    private final PortClients clients;

    private final Set<IpAddress> guestAddresses = ConcurrentHashMap.newKeySet();
    private ScheduledFuture<?> grace;
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
     * @param policy what guests may reach, at any moment
     * @param events where it is told that guests come and go
     */
    VmSession(
            String name,
            NetworkSettings settings,
            EventLoop loop,
            GuestLink link,
            LeaseTable leases,
            LocalNames localNames,
            Supplier<ProxySettings> proxies,
            Supplier<EgressPolicy> policy,
            Events events) {
        this.name = name;
        this.events = events;
        egress = new Egress(name, policy, System::nanoTime);
        this.loop = loop;
        this.link = link;
        defects = new Defects(name, counters);
        turns = new SessionTurns(loop, link, defects, System::nanoTime);
        ipv6 = new Ipv6Watch(settings.stack().ipv6(), Ipv6Way.ofThisHost(), this::tellOfIpv6);
        host = new HostSide(
                settings, loop, localNames, proxies, egress, ipv6::hasWayOut, counters, drops, turns::touch, defects);
        byte[] secret = new byte[16];
        new SecureRandom().nextBytes(secret);
        stack = new Stack(settings.stack(), link, host.sockets(), host.names(), leases, drops, secret);
        stack.whenTurnWanted(turns::touch);
        stack.whenFailed(defects::failed);
        stack.ports().whenGuestAddress(guestAddresses::add);
        turns.of(stack);
        clients = new PortClients(stack, link, host, ipv6, turns, counters);
        ipv6.start(loop, defects::failed);
    }

    private void tellOfIpv6(boolean isThere) {
        LOG.info("{}: {} way out by IPv6", name, isThere ? "a" : "no more");
        turns.guarded(() -> stack.ipv6Router(isThere));
    }

    /** What the link is to hand its frames to. */
    GuestLink.Receiver receiver() {
        return new FromGuest();
    }

    /** The same behind a port of the switch between VMs, which is the session's link. */
    GuestLink.Receiver receiverBehind(SwitchPort port) {
        stack.serveDhcpOnly(port::maySpeakFor);
        return port.receiver(receiver(), stack.holder(), drops);
    }

    /** What frames are given to the stack by; all of it runs on the event loop. */
    private final class FromGuest implements GuestLink.Receiver {

        /** The time of the batch that goes on; one reading of the clock for all its frames. */
        private long batchTime;

        private boolean inBatch;

        /** The address that the first frame of the guest came from. */
        private long seen = NOT_SEEN;

        @Override
        public void attached() {
            cancelGrace();
            LOG.info("{}: guest attached", name);
            seen = NOT_SEEN;
            events.tell(Event.Kind.VM_ATTACHED, Map.of("vm", name));
            turns.guarded(stack::attached);
        }

        @Override
        public void frame(Frame frame) {
            if (!inBatch) {
                inBatch = true;
                batchTime = System.nanoTime();
                if (seen == NOT_SEEN) {
                    see(frame);
                }
            }
            try {
                stack.input(frame, batchTime);
            } catch (RuntimeException | OutOfMemoryError | LinkageError e) {
                defects.failed(e);
            }
        }

        private void see(Frame frame) {
            if (frame.length() >= EthernetFrame.HEADER_LENGTH) {
                seen = BigEndian.u48(frame.bytes(), frame.offset() + SOURCE);
                events.tell(Event.Kind.VM_SEEN, Map.of("vm", name, "mac", MacAddress.toString(seen)));
            }
        }

        @Override
        public void endOfBatch() {
            inBatch = false;
            turns.endBatch();
        }

        @Override
        public void ready() {
            turns.guarded(stack::guestReady);
        }

        @Override
        public void detached(String reason) {
            LOG.info("{}: guest detached: {}", name, reason);
            Map<String, Object> facts = new LinkedHashMap<>(Map.of("vm", name, "reason", reason));
            if (seen != NOT_SEEN) {
                facts.put("mac", MacAddress.toString(seen));
            }
            events.tell(Event.Kind.VM_DETACHED, facts);
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
        guestAddresses.clear();
        egress.forget();
        turns.guarded(stack::reset);
    }

    // ---- for others

    /** An address of the guest's, an IPv4 address if it has one; one of several if it has several. A moment old. */
    public Optional<IpAddress> firstGuestAddress() {
        return guestAddresses.stream().max(Comparator.comparing(IpAddress::isV4));
    }

    /** Serves the guest an API at the gateway from now on; without this there is none. From any thread. */
    public void serveGuest(GuestApi api) {
        host.proxySockets().serve(api);
    }

    /** Whether the guest uses an address of its network; a moment old when asked from another thread. */
    public boolean hasGuestAt(IpAddress address) {
        return guestAddresses.contains(address);
    }

    /** Who reaches the guest by ports of the host. */
    public PortClients clients() {
        return clients;
    }

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

    /** The policy as it holds for this VM, and what was decided. */
    public Egress egress() {
        return egress;
    }

    public ProxyCounters proxyCounters() {
        return host.proxySockets().counters();
    }

    public TcpCounters tcpCounters() {
        return stack.tcp().counters();
    }

    public ResolverCounters resolverCounters() {
        return host.resolverCounters();
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
        turns.close();
        clients.close();
        closed = true;
        cancelGrace();
        ipv6.close();
        host.close();
        link.close();
    }
}
