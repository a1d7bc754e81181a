package dev.slipway.host;

import dev.slipway.dhcp.LeaseTable;
import dev.slipway.dns.LocalNames;
import dev.slipway.dns.NameServer;
import dev.slipway.egress.Egress;
import dev.slipway.egress.EgressPolicy;
import dev.slipway.ethernet.GuestLink;
import dev.slipway.ethernet.LinkCounters;
import dev.slipway.ethernet.Transport;
import dev.slipway.event.Event;
import dev.slipway.event.Events;
import dev.slipway.lan.SwitchPort;
import dev.slipway.proxy.GuestApi;
import dev.slipway.proxy.ProxyCounters;
import dev.slipway.proxy.ProxySettings;
import dev.slipway.proxy.ProxySockets;
import dev.slipway.queue.QueueBudget;
import dev.slipway.seam.DropCounters;
import dev.slipway.seam.HostSockets;
import dev.slipway.seam.HostStream;
import dev.slipway.seam.Ipv6Settings;
import dev.slipway.seam.NameResolver;
import dev.slipway.stack.Stack;
import dev.slipway.tcp.TcpCounters;
import dev.slipway.udp.UdpForwards;
import dev.slipway.wire.BigEndian;
import dev.slipway.wire.EthernetFrame;
import dev.slipway.wire.Frame;
import dev.slipway.wire.IpAddress;
import dev.slipway.wire.MacAddress;
import io.netty.channel.EventLoop;
import io.netty.channel.IoEventLoop;
import io.netty.channel.socket.DuplexChannel;
import io.netty.util.concurrent.ScheduledFuture;
import io.netty.util.internal.PlatformDependent;
import java.lang.foreign.MemorySegment;
import java.net.InetSocketAddress;
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
import java.util.function.BooleanSupplier;
import java.util.function.Function;
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
 * goes on. So it does when memory runs out ({@link MemoryReserve}), or a class cannot be loaded for want of a
 * descriptor.
 */
public final class VmSession implements AutoCloseable {

    /** How long the flows of a guest whose connection has ended are kept, in milliseconds. */
    public static final int GRACE_MILLIS = 4_000;

    /** How long {@link #close} waits for the event loop, in milliseconds. */
    private static final int CLOSE_MILLIS = 3_000;

    /** Stands for the guest's own address, whichever that is. */
    public static final IpAddress OWN = new IpAddress(0, 0);

    private static final long NOT_SEEN = -1;

    /** Where a frame says which MAC address sent it. */
    private static final int SOURCE = 6;

    /** Bytes on the link, both ways, after which a turn lets other threads run first; see decision 029. */
    private static final int LARGE_TURN = 16 << 10;

    private static final long QUEUES_MAX = 64L << 20;
    private static final long LOG_INTERVAL_NANOS = 1_000_000_000L;
    /** How often a session looks whether the host has a way out by IPv6, in milliseconds. */
    private static final int IPV6_LOOK_MILLIS = 5_000;

    private static final Logger LOG = LoggerFactory.getLogger(VmSession.class);

    private final String name;
    private final Events events;
    private final Egress egress;
    private final EventLoop loop;
    private final GuestLink link;
    private final HostCounters counters = new HostCounters();
    private final DropCounters drops = new DropCounters();
    private final HostResolver resolver;
    private final Destinations destinations;
    private final NettyHostSockets sockets;
    private final NativeHostSockets nativeSockets;
    private final ProxySockets proxySockets;
    private final NameServerStreams nameStreams;
    private final Stack stack;
    private final Runnable endOfTurn = this::endTurn;
    private final Runnable endBatch = this::endStackTurn;
    private final Runnable timerTask = this::timerFired;

    private final Set<IpAddress> guestAddresses = ConcurrentHashMap.newKeySet();
    private final Ipv6Settings ipv6;
    private final Ipv6Way ipv6Way = Ipv6Way.ofThisHost();
    private boolean ipv6Router;
    private ScheduledFuture<?> ipv6Look;
    private boolean turnQueued;
    /** Bytes on the link, both ways, at the end of the last turn. */
    private long carriedBefore;

    private ScheduledFuture<?> timer;
    private long timerAt = Long.MAX_VALUE;
    private ScheduledFuture<?> grace;
    private long loggedAt;
    private boolean logged;
    private boolean closed;
    /** Whether the stack has made a host's side of the accepted connection that is being given to it. */
    private boolean claimed;

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
        destinations = new Destinations(settings.stack(), settings.policy(), interfaces, egress);
        QueueBudget budget = new QueueBudget(queueLimit(settings.channels().size()));
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
        ipv6 = settings.stack().ipv6();
        NameResolver withheld =
                new AaaaFilter(resolver, withholds(settings.resolver().aaaa()), loop, resolver.counters());
        NameServer names = new NameServer(settings.stack(), localNames, egress.before(withheld, loop), drops);
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
        stack.ports().whenGuestAddress(guestAddresses::add);
        if (ipv6.enabled() && ipv6.followsHost()) {
            ipv6Look = loop.scheduleWithFixedDelay(this::lookForIpv6, 0, IPV6_LOOK_MILLIS, TimeUnit.MILLISECONDS);
        }
    }

    private BooleanSupplier withholds(AaaaAnswers answers) {
        return switch (answers) {
            case PASS -> () -> false;
            case WITHHOLD -> () -> true;
            case AUTO -> () -> !hasWayOutByIpv6();
        };
    }

    /** A failure here must not end the looking. */
    private void lookForIpv6() {
        try {
            hasWayOutByIpv6();
        } catch (RuntimeException | OutOfMemoryError | LinkageError e) {
            failed(e);
        }
    }

    /** Whether the guest has a way out by IPv6 now; if that has changed, the guest is told. */
    private boolean hasWayOutByIpv6() {
        if (!ipv6.enabled() || !ipv6.followsHost()) {
            return ipv6.enabled();
        }
        boolean there = ipv6Way.isThere();
        if (there != ipv6Router && !closed) {
            ipv6Router = there;
            LOG.info("{}: {} way out by IPv6", name, there ? "a" : "no more");
            guarded(() -> stack.ipv6Router(there));
        }
        return there;
    }

    /** The VMs' share of half of what Netty may take outside the heap: links and frames need some, too. */
    private static long queueLimit(int vms) {
        return Math.min(QUEUES_MAX, PlatformDependent.maxDirectMemory() / 2 / Math.max(1, vms));
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
            guarded(stack::attached);
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
                failed(e);
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
        guarded(stack::reset);
    }

    private void guarded(Runnable event) {
        touch();
        try {
            event.run();
        } catch (RuntimeException | OutOfMemoryError | LinkageError e) {
            failed(e);
        }
    }

    // ---- the turn

    private void touch() {
        if (!turnQueued) {
            // In this order, as it may fail for want of memory.
            loop.execute(endOfTurn);
            turnQueued = true;
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
        } catch (RuntimeException | OutOfMemoryError | LinkageError e) {
            failed(e);
        }
        armTimer();
        letOthersRun();
    }

    /**
     * After a turn that carried much: whoever shares the core (the VM, the peer) makes the next turn's work, and what is
     * ready before this thread sleeps costs nobody a wake-up. With a core to itself the call returns at once.
     */
    private void letOthersRun() {
        long carried = link.counters().bytesFromGuest() + link.counters().bytesToGuest();
        if (carried - carriedBefore >= LARGE_TURN) {
            Thread.yield();
        }
        carriedBefore = carried;
    }

    private void armTimer() {
        long deadline = stack.nextDeadline();
        if (deadline >= timerAt) {
            return;
        }
        if (timer != null) {
            timer.cancel(false);
        }
        timerAt = Long.MAX_VALUE;
        // A deadline may lie before all time; the difference would come out as one that never ends.
        long now = System.nanoTime();
        timer = loop.schedule(timerTask, deadline <= now ? 0 : deadline - now, TimeUnit.NANOSECONDS);
        timerAt = deadline;
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
        if (cause instanceof OutOfMemoryError) {
            counters.outOfMemory++;
            MemoryReserve.ofThisProcess().exhausted();
            return;
        }
        counters.stackFailures++;
        long now = System.nanoTime();
        if (!logged || now - loggedAt >= LOG_INTERVAL_NANOS) {
            logged = true;
            loggedAt = now;
            LOG.error("{}: defect number {}; the flow it is about is lost", name, counters.stackFailures, cause);
        }
    }

    // ---- for clients of published ports

    /** An address of the guest's, an IPv4 address if it has one; one of several if it has several. A moment old. */
    public Optional<IpAddress> firstGuestAddress() {
        return guestAddresses.stream().max(Comparator.comparing(IpAddress::isV4));
    }

    /** Serves the guest an API at the gateway from now on; without this there is none. From any thread. */
    public void serveGuest(GuestApi api) {
        proxySockets.serve(api);
    }

    /** Whether the guest uses an address of its network; a moment old when asked from another thread. */
    public boolean hasGuestAt(IpAddress address) {
        return guestAddresses.contains(address);
    }

    /**
     * Opens a connection to a port of the guest for one that the host has accepted, and joins the two. To be called on
     * the event loop.
     *
     * @param guest the address, or {@link #OWN} for the guest's own
     * @param client who it is from, or null if that has no address
     * @param preserveSource whether the guest sees the client's address where it can be told apart
     * @param accepted not registered with any event loop yet
     * @return false if there is no guest, or it has too many connections, or the host too few descriptors; the accepted
     *     one is untouched then
     */
    public boolean connectToGuest(
            IpAddress guest, int port, InetSocketAddress client, boolean preserveSource, DuplexChannel accepted) {
        if (!sockets.admitsAccepted()) {
            counters.socketsExhausted++;
            return false;
        }
        IpAddress address =
                client == null ? null : IpAddress.ofBytes(client.getAddress().getAddress());
        claimed = false;
        try {
            return connect(guest, port, address, client == null ? 0 : client.getPort(), preserveSource, listener -> {
                claimed = true;
                return sockets.accepted(accepted, listener);
            });
        } finally {
            if (!claimed) {
                sockets.acceptedInVain();
            }
        }
    }

    /**
     * The same by a descriptor, on the native transport.
     *
     * @param client who it is from
     * @param accepted a TCP socket with TCP_NODELAY whose close sends a reset; it belongs to this session from here on,
     *     and its client sees a reset if there is no guest, or it has too many connections, or the host too few
     *     descriptors
     */
    public void connectToGuest(
            IpAddress guest, int port, IpAddress client, int clientPort, boolean preserveSource, int accepted) {
        claimed = false;
        try {
            if (!nativeSockets.admits(accepted)) {
                counters.socketsExhausted++;
                return;
            }
            connect(guest, port, client, clientPort, preserveSource, listener -> {
                claimed = true;
                return nativeSockets.accepted(accepted, listener);
            });
        } finally {
            if (!claimed) {
                nativeSockets.refuse(accepted);
            }
        }
    }

    private boolean connect(
            IpAddress guest,
            int port,
            IpAddress client,
            int clientPort,
            boolean preserveSource,
            Function<HostStream.Listener, HostStream> factory) {
        Optional<IpAddress> to = addressOf(guest);
        if (closed || to.isEmpty() || !link.isAttached()) {
            return false;
        }
        touch();
        IpAddress seenAs = seenAs(client, to.get(), preserveSource);
        return stack.ports().connect(to.get(), port, seenAs, clientPort, factory, System.nanoTime());
    }

    private Optional<IpAddress> addressOf(IpAddress guest) {
        if (!guest.equals(OWN)) {
            return Optional.of(guest);
        }
        Optional<IpAddress> own = stack.ports().guestAddress();
        if (own.isEmpty() && !closed && link.isAttached()) {
            touch();
            stack.ports().look(System.nanoTime());
        }
        return own;
    }

    /**
     * The two ends of a conversation of a UDP client with the guest.
     *
     * @param guest the guest's address
     * @param seenAs where the guest sees the client
     * @param seenPort at which port
     */
    public record ClientPlace(IpAddress guest, IpAddress seenAs, int seenPort) {}

    /**
     * Chooses where the guest sees a UDP client: empty if there is no guest, or it cannot see one more. To be called on the
     * event loop.
     */
    public Optional<ClientPlace> placeOfClient(
            IpAddress guest, int port, InetSocketAddress client, boolean preserveSource) {
        return addressOf(guest).flatMap(to -> {
            IpAddress address = IpAddress.ofBytes(client.getAddress().getAddress());
            IpAddress seenAs = seenAs(address, to, preserveSource);
            int seenPort = stack.ports().shownPort(to, port, seenAs, client.getPort());
            return seenPort == 0 ? Optional.empty() : Optional.of(new ClientPlace(to, seenAs, seenPort));
        });
    }

    /** Whether a place is still one in a conversation with that address, which for {@link #OWN} may have changed. */
    public boolean isAt(ClientPlace place, IpAddress guest) {
        return addressOf(guest).equals(Optional.of(place.guest));
    }

    /**
     * Hands a datagram of a client to the guest. To be called on the event loop.
     *
     * @param place from {@link #placeOfClient}
     * @return false if there is no guest
     */
    public boolean deliverToGuest(
            int port, ClientPlace place, UdpForwards.Client client, MemorySegment payload, int length) {
        if (closed || !link.isAttached()) {
            return false;
        }
        touch();
        return stack.ports()
                .deliver(
                        place.guest, port, place.seenAs, place.seenPort, client, payload, 0, length, System.nanoTime());
    }

    /** A guest without a router could not answer an IPv6 address of another network. */
    private IpAddress seenAs(IpAddress client, IpAddress guest, boolean preserveSource) {
        boolean own = client != null && preserveSource && (guest.isV4() || ipv6Router || !ipv6.followsHost());
        return own ? destinations.clientSeenByGuest(client, guest) : destinations.gatewayFor(guest);
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

    /** The policy as it holds for this VM, and what was decided. */
    public Egress egress() {
        return egress;
    }

    public ProxyCounters proxyCounters() {
        return proxySockets.counters();
    }

    public TcpCounters tcpCounters() {
        return stack.tcp().counters();
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
        } catch (RuntimeException | OutOfMemoryError | LinkageError e) {
            failed(e);
        }
        closed = true;
        cancelGrace();
        if (ipv6Look != null) {
            ipv6Look.cancel(false);
        }
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
