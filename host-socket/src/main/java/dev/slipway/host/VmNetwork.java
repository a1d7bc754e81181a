package dev.slipway.host;

import dev.slipway.dhcp.LeaseTable;
import dev.slipway.dns.LocalNames;
import dev.slipway.egress.EgressPolicy;
import dev.slipway.ethernet.CaptureFile;
import dev.slipway.ethernet.CaptureLink;
import dev.slipway.ethernet.FaultyLink;
import dev.slipway.ethernet.GuestLink;
import dev.slipway.ethernet.InheritedSocket;
import dev.slipway.ethernet.Offload;
import dev.slipway.ethernet.PacketLink;
import dev.slipway.ethernet.PacketLink.Kind;
import dev.slipway.ethernet.SocketPathException;
import dev.slipway.ethernet.SocketPathException.Reason;
import dev.slipway.ethernet.StdioPump;
import dev.slipway.ethernet.StreamFraming;
import dev.slipway.ethernet.StreamLink;
import dev.slipway.ethernet.TcpAddress;
import dev.slipway.ethernet.Transport;
import dev.slipway.ethernet.VmChannel;
import dev.slipway.event.Events;
import dev.slipway.lan.SwitchCounters;
import dev.slipway.lan.SwitchPort;
import dev.slipway.lan.VmSwitch;
import dev.slipway.posix.Errno;
import dev.slipway.posix.Sockets;
import dev.slipway.proxy.ProxySettings;
import dev.slipway.tap.TapLink;
import dev.slipway.vhost.VhostLink;
import io.netty.channel.EventLoop;
import io.netty.channel.MultiThreadIoEventLoopGroup;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The VMs of one network: each on an event loop and with a stack of its own, all with one table of addresses, so that
 * no address belongs to two of them.
 */
public final class VmNetwork implements AutoCloseable {

    /** How long the event loops get to end, in milliseconds. */
    private static final int SHUTDOWN_MILLIS = 1_000;

    /** Bytes of a capture file at which a new one begins. */
    private static final long CAPTURE_BYTES = 64L << 20;

    private static final Logger LOG = LoggerFactory.getLogger(VmNetwork.class);

    private final Transport transport;
    private final LeaseTable leases;
    private final Optional<LeaseFile> leaseFile;
    private final VpnkitGuests vpnkitGuests;
    private final LocalNames names;
    /** Between the VMs, if there are several and they are to see each other. */
    private final Optional<VmSwitch> vmSwitch;

    private final List<SwitchPort> ports = new ArrayList<>();
    private final List<MultiThreadIoEventLoopGroup> loops = new ArrayList<>();
    private MultiThreadIoEventLoopGroup control;
    private final List<VmSession> sessions = new ArrayList<>();
    /** Links whose guests come by the control API, in the order of the settings. */
    private final List<StreamLink> handed = new ArrayList<>();

    private final AtomicInteger serving;
    private final CompletableFuture<Void> over = new CompletableFuture<>();

    private volatile List<String> limitations = List.of();
    private final AtomicReference<ProxySettings> proxies;
    private final AtomicReference<EgressPolicy> policy;
    private final Events events = new Events();

    private VmNetwork(NetworkSettings settings, EgressPolicy policy) {
        this.policy = new AtomicReference<>(policy);
        proxies = new AtomicReference<>(settings.proxies());
        transport = settings.transport();
        serving = new AtomicInteger(settings.channels().size());
        leases = new LeaseTable(settings.stack(), settings.dhcp());
        int vms = settings.channels().size();
        vmSwitch = settings.isolated() || vms < 2
                ? Optional.empty()
                : Optional.of(new VmSwitch(settings.stack(), leases, vms));
        leaseFile = settings.leaseFile().map(path -> LeaseFile.start(path, leases));
        vpnkitGuests = new VpnkitGuests(settings.stack(), leases);
        names = new LocalNames(settings.stack(), leases);
        settings.resolver().zones().forEach(names::add);
    }

    /**
     * Begins to serve: when this returns, VMs can attach.
     *
     * @throws SocketPathException if a VM's socket cannot be made; nothing is left behind then
     * @throws IOException if the capture's file cannot be made
     */
    public static VmNetwork start(NetworkSettings settings) throws IOException {
        return start(settings, EgressPolicy.OPEN);
    }

    /**
     * Begins to serve guests that may not reach everything.
     *
     * @param policy what they may reach at first; {@link #changePolicy} changes it
     */
    public static VmNetwork start(NetworkSettings settings, EgressPolicy policy) throws IOException {
        VmNetwork network = new VmNetwork(settings, policy);
        try {
            for (VmChannel channel : settings.channels()) {
                network.serve(settings, channel);
            }
            if (network.transport == Transport.NATIVE) {
                // On a thread of its own: the first guest's lease does not wait for it, and its first connection
                // hardly.
                Thread.ofPlatform().daemon().name("prepare-sockets").start(network::prepare);
            } else {
                network.cannot("ping of addresses beyond the gateway: transport "
                        + network.transport.name().toLowerCase(Locale.ROOT)
                        + " has no ping sockets");
            }
        } catch (IOException | RuntimeException e) {
            network.close();
            throw e;
        }
        return network;
    }

    /** Makes the first calls to the system, and finds out what it does not let this process do. */
    private void prepare() {
        Sockets.prepare();
        Sockets sockets = new Sockets();
        int fd = NativeHostEcho.openSocket(sockets, false);
        if (fd >= 0) {
            sockets.close(fd);
        } else if (NativeHostEcho.isForbidden(fd)) {
            cannot("ping of addresses beyond the gateway: no ping sockets for this process (" + Errno.name(-fd)
                    + "; see sysctl net.ipv4.ping_group_range)");
        }
    }

    private void cannot(String what) {
        LOG.warn("not on this host: {}; all else works", what);
        limitations = List.of(what);
    }

    /** Where what happens is told. */
    public Events events() {
        return events;
    }

    /** What this host cannot do for its guests, in words; known soon after the start. */
    public List<String> limitations() {
        return limitations;
    }

    private void oneIsOver() {
        if (serving.decrementAndGet() == 0) {
            over.complete(null);
        }
    }

    /** Completed when every channel has ended for good; never while there is one that waits for its next guest. */
    public CompletableFuture<Void> over() {
        return over;
    }

    private void serve(NetworkSettings settings, VmChannel channel) throws IOException {
        MultiThreadIoEventLoopGroup group = EventLoops.single(transport, "vm-" + (loops.size() + 1));
        loops.add(group);
        EventLoop loop = group.next();
        Channel made = make(channel, loop, settings.stack().mtu());
        GuestLink link = made.link();
        FaultyLink faulty = settings.faults()
                .map(faults -> new FaultyLink(link, loop, faults))
                .orElse(null);
        CaptureLink capture = sessions.isEmpty() && settings.capture().isPresent()
                ? new CaptureLink(faulty == null ? link : faulty)
                : null;
        GuestLink outermost = capture != null ? capture : faulty != null ? faulty : link;
        SwitchPort port = vmSwitch.map(lan -> lan.port(channel.toString(), loop, outermost))
                .orElse(null);
        VmSession session = new VmSession(
                channel.toString(),
                settings,
                loop,
                port == null ? outermost : port,
                leases,
                names,
                proxies::get,
                policy::get,
                events);
        sessions.add(session);
        if (port != null) {
            ports.add(port);
        }
        GuestLink.Receiver receiver = port == null ? session.receiver() : session.receiverBehind(port);
        if (capture != null) {
            CaptureFile file = new CaptureFile(settings.capture().get(), CaptureFile.HEADERS_ONLY, CAPTURE_BYTES);
            loop.submit(() -> capture.start(file)).awaitUninterruptibly();
            receiver = capture.receiver(receiver);
        }
        GuestLink.Receiver first = faulty == null ? receiver : faulty.receiver(receiver);
        made.opening().open(channel.once() || made.once() ? new FirstGuest(first, link, this::oneIsOver) : first);
    }

    /** A link, how it begins to serve, and whether it can serve one guest only. */
    private record Channel(GuestLink link, Opening opening, boolean once) {

        Channel(GuestLink link, Opening opening) {
            this(link, opening, false);
        }
    }

    private interface Opening {
        void open(GuestLink.Receiver receiver) throws IOException;
    }

    private Channel make(VmChannel channel, EventLoop loop, int mtu) throws SocketPathException {
        return switch (channel.scheme()) {
            case QEMU -> listening(channel, StreamLink.qemu(loop, transport, channel.offload(), mtu));
            case HYPERKIT -> listening(channel, StreamLink.hyperkit(loop, transport, vpnkitGuests, mtu));
            case VPNKIT -> listening(channel, StreamLink.vpnkit(loop, transport, vpnkitGuests, mtu));
            case QEMU_TCP -> {
                StreamLink link = StreamLink.qemu(loop, transport, channel.offload(), mtu);
                InetSocketAddress at = TcpAddress.parse(channel.place());
                if (!at.getAddress().isLoopbackAddress()) {
                    LOG.warn("{}: whoever reaches this port over the network can be the VM", channel);
                }
                yield new Channel(link, receiver -> link.listen(at, receiver));
            }
            case DGRAM -> packets(channel, loop, Kind.DATAGRAMS, mtu);
            case VFKIT -> packets(channel, loop, Kind.GREETED_DATAGRAMS, mtu);
            case BESS -> packets(channel, loop, Kind.CONNECTIONS, mtu);
            case CONNECT -> {
                String[] words = channel.place().split("/", 2);
                StreamLink link = stream(words.length < 2 ? "gvproxy" : words[1], channel.offload(), loop, mtu);
                handed.add(link);
                yield new Channel(link, receiver -> link.serve(channel.toString(), receiver));
            }
            case VHOST_USER -> {
                mustBeNative(channel, "recvmsg with descriptors, mmap");
                VhostLink link = new VhostLink(loop, mtu);
                yield new Channel(link, receiver -> link.listen(channel.path(), receiver));
            }
            case FD -> inherited(channel, loop, mtu);
            case STDIO -> stdio(channel, stream(channel.place(), channel.offload(), loop, mtu));
            case TAP -> {
                if (transport != Transport.NATIVE) {
                    throw new SocketPathException(
                            channel.place(), Reason.NO_DEVICE, "TAP devices need Linux and --transport native");
                }
                TapLink link = new TapLink(loop, mtu);
                yield new Channel(link, receiver -> link.open(channel.place(), receiver));
            }
        };
    }

    private StreamLink stream(String protocol, Offload offload, EventLoop loop, int mtu) {
        return switch (protocol) {
            case "vpnkit" -> StreamLink.vpnkit(loop, transport, vpnkitGuests, mtu);
            case "hyperkit" -> StreamLink.hyperkit(loop, transport, vpnkitGuests, mtu);
            case "gvproxy" -> new StreamLink(loop, transport, StreamFraming.HYPERKIT, mtu);
            default -> StreamLink.qemu(loop, transport, offload, mtu);
        };
    }

    private Channel inherited(VmChannel channel, EventLoop loop, int mtu) throws SocketPathException {
        String[] words = channel.place().split("/", 2);
        InheritedSocket socket = InheritedSocket.look(InheritedSocket.parse(words[0]), channel.toString(), transport);
        if (socket.kind() == InheritedSocket.Kind.STREAM) {
            StreamLink link = stream(words.length < 2 ? "" : words[1], channel.offload(), loop, mtu);
            return new Channel(link, receiver -> link.adopt(socket, channel.toString(), receiver), !socket.listening());
        }
        Kind kind = socket.kind() == InheritedSocket.Kind.DATAGRAMS ? Kind.DATAGRAMS : Kind.CONNECTIONS;
        PacketLink link = new PacketLink(loop, kind, channel.offload(), mtu);
        return new Channel(link, receiver -> link.adopt(socket.descriptor(), channel.toString(), receiver), true);
    }

    /** By way of a socket in a folder that only this user can enter, and that is gone once it has served. */
    private static Channel stdio(VmChannel channel, StreamLink link) {
        return new Channel(
                link,
                receiver -> {
                    Path folder = Files.createTempDirectory("slipway");
                    Path socket = folder.resolve("s");
                    try {
                        link.listen(socket, receiver);
                        StdioPump.start(socket);
                    } finally {
                        Files.deleteIfExists(socket);
                        Files.delete(folder);
                    }
                },
                true);
    }

    private Channel packets(VmChannel channel, EventLoop loop, Kind kind, int mtu) throws SocketPathException {
        mustBeNative(channel, "recvmmsg, sendmmsg");
        PacketLink link = new PacketLink(loop, kind, channel.offload(), mtu);
        return new Channel(link, receiver -> link.listen(channel.path(), receiver));
    }

    private void mustBeNative(VmChannel channel, String calls) throws SocketPathException {
        if (transport != Transport.NATIVE) {
            throw new SocketPathException(
                    channel.place(),
                    Reason.NOT_SUPPORTED,
                    channel.scheme().label()
                            + " needs system calls of Linux on x86-64 or aarch64 (" + calls + ") and"
                            + " --transport native, not " + transport.name().toLowerCase(Locale.ROOT));
        }
    }

    private static Channel listening(VmChannel channel, StreamLink link) {
        return new Channel(link, receiver -> link.listen(channel.path(), receiver));
    }

    /** Changes what guests may reach, for connections that begin from now on and for each datagram. */
    public void changePolicy(EgressPolicy changed) {
        policy.set(changed);
    }

    /** Whether guests may come by {@link #hand}. */
    public boolean takesConnections() {
        return !handed.isEmpty();
    }

    /**
     * Makes a connection the channel of a VM that has none just now, or else of the first, where it is refused unless that
     * one's ends at once. From any thread.
     *
     * @param connection registered with no event loop, its pipeline empty
     * @param early what was read from it already
     */
    public void hand(io.netty.channel.Channel connection, byte[] early) {
        handed.stream()
                .filter(link -> !link.isAttached())
                .findFirst()
                .orElse(handed.getFirst())
                .hand(connection, early);
    }

    /** In the order of the settings. */
    public List<VmSession> sessions() {
        return List.copyOf(sessions);
    }

    public LeaseTable leases() {
        return leases;
    }

    /** What passed between a VM and the others; empty if they do not see each other. */
    public Optional<SwitchCounters> switchCounters(VmSession session) {
        int index = sessions.indexOf(session);
        return index < 0 || index >= ports.size()
                ? Optional.empty()
                : Optional.of(ports.get(index).switchCounters());
    }

    /** The names that are answered here, for all VMs; zones may be added at any time. */
    public LocalNames names() {
        return names;
    }

    /** Which flows go through a proxy. */
    public ProxySettings proxies() {
        return proxies.get();
    }

    /** Changes that for flows and requests that begin from now on; none is lost. May be called from any thread. */
    public void changeProxies(ProxySettings changed) {
        proxies.set(changed);
    }

    public Transport transport() {
        return transport;
    }

    /** The event loop for all that is not a VM's own: API, published ports, engines. Made when first asked for. */
    public synchronized EventLoop controlLoop() {
        if (control == null) {
            control = EventLoops.single(transport, "control");
        }
        return control.next();
    }

    /**
     * Runs something once on the thread of each event loop there is: those of the VMs, and the one for all else. From any
     * other thread.
     *
     * @throws IllegalStateException if the network is being closed
     */
    public void onEachLoop(Runnable task) throws InterruptedException, ExecutionException {
        List<MultiThreadIoEventLoopGroup> groups = new ArrayList<>(loops);
        synchronized (this) {
            if (control != null) {
                groups.add(control);
            }
        }
        try {
            for (MultiThreadIoEventLoopGroup group : groups) {
                group.next().submit(task).get();
            }
        } catch (RejectedExecutionException e) {
            throw new IllegalStateException("the network is being closed", e);
        }
    }

    /** Resets all flows, closes all sockets and ends the threads, within five seconds. */
    @Override
    public void close() {
        sessions.parallelStream().forEach(VmSession::close);
        leaseFile.ifPresent(LeaseFile::close);
        synchronized (this) {
            if (control != null) {
                loops.add(control);
                control = null;
            }
        }
        loops.forEach(group -> group.shutdownGracefully(0, SHUTDOWN_MILLIS, TimeUnit.MILLISECONDS));
        for (MultiThreadIoEventLoopGroup group : loops) {
            group.terminationFuture().awaitUninterruptibly(SHUTDOWN_MILLIS + 500, TimeUnit.MILLISECONDS);
        }
    }
}
