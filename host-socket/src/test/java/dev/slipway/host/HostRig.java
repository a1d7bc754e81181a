package dev.slipway.host;

import dev.slipway.ethernet.Transport;
import dev.slipway.queue.QueueBudget;
import dev.slipway.seam.HostSockets;
import dev.slipway.seam.HostStream;
import dev.slipway.seam.Ipv6Settings;
import dev.slipway.seam.StackSettings;
import dev.slipway.wire.IpAddress;
import io.netty.channel.EventLoop;
import io.netty.channel.IoEventLoop;
import io.netty.channel.MultiThreadIoEventLoopGroup;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.util.Queue;
import java.util.concurrent.Callable;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;

/** The host side of a VM on the transport under test, without a stack: tests are the stack. */
final class HostRig {

    static final IpAddress HOST = IpAddress.ofV4(StackSettings.defaults().host());
    static final IpAddress HOST_V6 = Ipv6Settings.DEFAULTS.host();

    final HostCounters counters = new HostCounters();
    final QueueBudget budget;
    final Queue<Throwable> failures = new ConcurrentLinkedQueue<>();
    final AtomicInteger touched = new AtomicInteger();
    final Transport transport = Transport.best();
    final HostSockets sockets;
    private final MultiThreadIoEventLoopGroup group = EventLoops.single(transport, "vm-under-test");
    final EventLoop loop = group.next();
    private final Runnable close;

    /** Of a guest with IPv6. */
    static HostRig withIpv6() {
        return new HostRig(
                64 << 20, HostPolicy.defaults(), StackSettings.defaults().withIpv6(Ipv6Settings.DEFAULTS));
    }

    HostRig() {
        this(64 << 20, HostPolicy.defaults(), 1500);
    }

    HostRig(long budgetBytes, HostPolicy policy) {
        this(budgetBytes, policy, 1500);
    }

    /** @param mtu bytes of the guest's largest packet */
    HostRig(long budgetBytes, HostPolicy policy, int mtu) {
        this(budgetBytes, policy, StackSettings.defaults().withMtu(mtu));
    }

    /** @param settings whose addresses and MTU the guest has */
    HostRig(long budgetBytes, HostPolicy policy, StackSettings settings) {
        int mtu = settings.mtu();
        budget = new QueueBudget(budgetBytes);
        Destinations destinations = new Destinations(settings, policy, HostInterfaces.ofThisHost());
        NettyHostSockets portable = new NettyHostSockets(
                loop, transport, destinations, budget, counters, touched::incrementAndGet, failures::add);
        NativeHostSockets fast = transport == Transport.NATIVE
                ? new NativeHostSockets(
                        (IoEventLoop) loop,
                        mtu,
                        destinations,
                        budget,
                        counters,
                        touched::incrementAndGet,
                        failures::add)
                : null;
        sockets = fast != null ? fast : portable;
        close = () -> {
            if (fast != null) {
                fast.close();
            }
            portable.close();
        };
    }

    static ServerSocket listen() throws IOException {
        ServerSocket server = new ServerSocket(0, 50, InetAddress.getLoopbackAddress());
        server.setSoTimeout(10_000);
        return server;
    }

    static Socket accept(ServerSocket server) throws IOException {
        Socket peer = server.accept();
        peer.setSoTimeout(20_000);
        return peer;
    }

    /** Runs something on the VM's event loop and waits for its result. */
    <T> T call(Callable<T> task) throws Exception {
        return loop.submit(task).get(20, TimeUnit.SECONDS);
    }

    void run(Runnable task) throws Exception {
        loop.submit(task).get(20, TimeUnit.SECONDS);
    }

    FakeGuest connect(int port) throws Exception {
        return connect(HOST, port);
    }

    FakeGuest connect(IpAddress address, int port) throws Exception {
        FakeGuest guest = new FakeGuest(this);
        run(() -> {
            guest.inSeam = true;
            HostStream stream = sockets.connect(address, port, 0, guest);
            guest.inSeam = false;
            guest.stream = stream;
        });
        return guest;
    }

    /** Gives a connection up as when all flows together hold too much; on the event loop. */
    void giveUp(HostStream stream) {
        switch (stream) {
            case NativeHostStream fast -> fast.shed();
            case NettyHostStream portable -> portable.abort();
            default -> throw new IllegalArgumentException("of neither kind: " + stream);
        }
    }

    /** Closes all; fails if a queue still holds memory or a listener threw. */
    void close() throws Exception {
        run(close);
        try {
            run(() -> {
                if (budget.held() != 0) {
                    throw new AssertionError("queues still hold " + budget.held() + " bytes");
                }
            });
        } finally {
            group.shutdownGracefully(0, 5, TimeUnit.SECONDS).await(10, TimeUnit.SECONDS);
        }
        if (!failures.isEmpty()) {
            throw new AssertionError("listener or channel failed", failures.peek());
        }
    }
}
