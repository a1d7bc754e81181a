package dev.slipway.proxy;

import dev.slipway.dns.NameServer;
import dev.slipway.ethernet.Transport;
import dev.slipway.host.VmLoop;
import dev.slipway.queue.QueueBudget;
import dev.slipway.seam.DropCounters;
import dev.slipway.seam.HostDatagrams;
import dev.slipway.seam.HostEcho;
import dev.slipway.seam.HostSockets;
import dev.slipway.seam.HostStream;
import dev.slipway.seam.HostStream.ConnectFailure;
import dev.slipway.seam.StackSettings;
import dev.slipway.wire.DnsMessage;
import dev.slipway.wire.IpAddress;
import io.netty.channel.EventLoop;
import io.netty.channel.MultiThreadIoEventLoopGroup;
import java.util.Map;
import java.util.Optional;
import java.util.Queue;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;

/**
 * The proxies of a VM without a stack: tests are the guest. The internet is 203.0.113.0/24, which is this machine's
 * 127.0.0.1; what goes direct by its address alone is written down and refused.
 */
final class ProxyRig implements AutoCloseable {

    static final String GATEWAY = IpAddress.toString(StackSettings.defaults().gateway());
    static final String HOST = IpAddress.toString(StackSettings.defaults().host());
    static final String ORIGIN = "203.0.113.7";
    static final long LIMIT_SECONDS = 30;

    final AtomicReference<ProxySettings> settings = new AtomicReference<>(ProxySettings.none());
    final Map<String, String> names = new ConcurrentHashMap<>();
    final Set<String> near = ConcurrentHashMap.newKeySet();
    final Map<String, ConnectFailure> refused = new ConcurrentHashMap<>();
    /** Addresses whose connections must say for which host they are; for none in particular they may not be. */
    final Set<String> askedForNames = ConcurrentHashMap.newKeySet();

    final Queue<String> direct = new ConcurrentLinkedQueue<>();
    final Queue<String> asked = new ConcurrentLinkedQueue<>();
    final QueueBudget budget = new QueueBudget(64 << 20);
    final ProxySockets sockets;
    final EventLoop loop;
    private final MultiThreadIoEventLoopGroup group;
    private final Queue<Throwable> failures = new ConcurrentLinkedQueue<>();

    ProxyRig() {
        Transport transport = Transport.best();
        group = VmLoop.start(transport);
        loop = group.next();
        NameServer server = new NameServer(
                StackSettings.defaults(),
                (query, stream, answer) -> answer(query, answer::answered),
                new DropCounters());
        sockets = new ProxySockets(
                new DirectSockets(),
                IpAddress.ofV4(StackSettings.defaults().gateway()),
                loop,
                transport,
                settings::get,
                new Policy(),
                server,
                budget,
                () -> {},
                failures::add);
    }

    private void answer(DnsMessage message, java.util.function.Consumer<byte[]> answer) {
        String name = message.hostName();
        asked.add(name);
        String address = names.get(name);
        boolean found = address != null && message.type() == DnsMessage.TYPE_A;
        byte[] response = found
                ? message.respond(
                        DnsMessage.TYPE_A,
                        IpAddress.ofV4(IpAddress.parseV4(address)).toBytes(),
                        1)
                : message.respond(address == null ? DnsMessage.NXDOMAIN : DnsMessage.NOERROR);
        loop.execute(() -> answer.accept(response));
    }

    /** The host's sockets behind the proxies. */
    private final class DirectSockets implements HostSockets {
        @Override
        public HostStream connect(IpAddress destination, int port, int hopLimit, HostStream.Listener listener) {
            direct.add(destination + ":" + port);
            loop.execute(() -> listener.failed(ConnectFailure.REFUSED));
            return null;
        }

        @Override
        public HostDatagrams openDatagrams(int preferredPort, boolean ipv6, HostDatagrams.Listener listener) {
            throw new UnsupportedOperationException("no proxy opens datagrams");
        }

        @Override
        public HostEcho openEcho(int preferredIdentifier, boolean ipv6, HostEcho.Listener listener) {
            throw new UnsupportedOperationException("no proxy pings");
        }
    }

    private final class Policy implements DialPolicy {
        @Override
        public Optional<ConnectFailure> refusal(IpAddress destination, int port) {
            return Optional.ofNullable(refused.get(destination.toString()));
        }

        @Override
        public boolean admitsName(String name, int port) {
            return !refused.containsKey(name);
        }

        @Override
        public boolean asksForName(IpAddress destination, int port) {
            return askedForNames.contains(destination.toString());
        }

        @Override
        public boolean admitsNameless() {
            return false;
        }

        @Override
        public IpAddress onHost(IpAddress destination) {
            return destination.toString().startsWith("203.0.113.")
                            || destination.toString().equals(HOST)
                    ? IpAddress.ofV4(IpAddress.parseV4("127.0.0.1"))
                    : destination;
        }

        @Override
        public boolean isNear(IpAddress destination) {
            return near.contains(destination.toString());
        }

        @Override
        public ConnectFailure failureOf(Throwable cause) {
            return String.valueOf(cause.getMessage()).contains("refused")
                    ? ConnectFailure.REFUSED
                    : ConnectFailure.TIMED_OUT;
        }
    }

    <T> T call(Callable<T> task) throws Exception {
        return loop.submit(task).get(LIMIT_SECONDS, TimeUnit.SECONDS);
    }

    /** Dials as a guest does. */
    GuestSocket dial(String address, int port) throws Exception {
        GuestSocket socket = new GuestSocket(this);
        call(() -> {
            socket.open(sockets.connect(IpAddress.ofV4(IpAddress.parseV4(address)), port, 0, socket));
            return null;
        });
        return socket;
    }

    /** Dials, and waits until it is accepted. */
    GuestSocket connect(String address, int port) throws Exception {
        GuestSocket socket = dial(address, port);
        socket.connected.get(LIMIT_SECONDS, TimeUnit.SECONDS);
        return socket;
    }

    ProxyCounters counters() {
        return sockets.counters();
    }

    /** Waits until something holds. */
    void until(String what, Callable<Boolean> condition) throws Exception {
        long start = System.nanoTime();
        while (!call(condition)) {
            if (System.nanoTime() - start > TimeUnit.SECONDS.toNanos(LIMIT_SECONDS)) {
                throw new AssertionError("waited in vain until " + what);
            }
        }
    }

    /** Closes all; fails if memory is held or something threw. */
    @Override
    public void close() throws Exception {
        try {
            call(() -> {
                sockets.close();
                return null;
            });
            until("nothing is held any more", () -> budget.held() == 0);
            if (counters().open() != 0) {
                throw new AssertionError(counters().open() + " flows are open");
            }
        } finally {
            group.shutdownGracefully(0, 5, TimeUnit.SECONDS).await(10, TimeUnit.SECONDS);
        }
        if (!failures.isEmpty()) {
            throw new AssertionError("something threw", failures.peek());
        }
    }
}
