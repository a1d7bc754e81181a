package dev.slipway.host;

import dev.slipway.dns.LocalNames;
import dev.slipway.dns.NameServer;
import dev.slipway.egress.Egress;
import dev.slipway.ethernet.Transport;
import dev.slipway.proxy.ProxySettings;
import dev.slipway.proxy.ProxySockets;
import dev.slipway.queue.QueueBudget;
import dev.slipway.seam.DropCounters;
import dev.slipway.seam.HostSockets;
import dev.slipway.seam.NameResolver;
import dev.slipway.wire.IpAddress;
import io.netty.channel.EventLoop;
import io.netty.channel.IoEventLoop;
import io.netty.util.internal.PlatformDependent;
import java.util.Optional;
import java.util.function.BooleanSupplier;
import java.util.function.Supplier;

/**
 * All that the flows of one VM lead to on the host, put together: a connection is offered to the gateway's name server,
 * then to proxies, then to the transport's sockets; a question to the built-in names, then to the policy, then to the
 * host's servers. On the VM's event loop, as all of it is.
 *
 * <p>Limit: {@link #QUEUES_MAX}, or the VM's share of half of the direct memory, for what waits in memory either way.
 */
final class HostSide implements AutoCloseable {

    private static final long QUEUES_MAX = 64L << 20;

    private final HostResolver resolver;
    private final Destinations destinations;
    private final NettyHostSockets channels;
    private final NativeHostSockets descriptors;
    private final ProxySockets proxySockets;
    private final NameServer names;
    private final NameServerStreams nameStreams;

    /**
     * @param localNames what is answered without asking anyone
     * @param proxies which flows go through a proxy, at any moment
     * @param egress what the guest may reach, at any moment
     * @param wayOutByIpv6 whether addresses by IPv6 are of use to the guest now
     * @param touched called before each event that is delivered
     */
    HostSide(
            NetworkSettings settings,
            EventLoop loop,
            LocalNames localNames,
            Supplier<ProxySettings> proxies,
            Egress egress,
            BooleanSupplier wayOutByIpv6,
            HostCounters counters,
            DropCounters drops,
            Runnable touched,
            Defects defects) {
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
        channels = new NettyHostSockets(loop, transport, destinations, budget, counters, touched, defects::failed);
        descriptors = transport == Transport.NATIVE
                ? new NativeHostSockets(
                        (IoEventLoop) loop,
                        settings.stack().mtu(),
                        destinations,
                        budget,
                        counters,
                        touched,
                        defects::failed)
                : null;
        NameResolver withheld = new AaaaFilter(
                resolver, withholds(settings.resolver().aaaa(), wayOutByIpv6), loop, resolver.counters());
        names = new NameServer(settings.stack(), localNames, egress.before(withheld, loop), drops);
        proxySockets = new ProxySockets(
                descriptors != null ? descriptors : channels,
                IpAddress.ofV4(settings.stack().gateway()),
                loop,
                transport,
                proxies,
                destinations,
                names,
                budget,
                touched,
                defects::failed);
        nameStreams = new NameServerStreams(settings.stack(), names, proxySockets, loop, touched, defects::failed);
    }

    private static BooleanSupplier withholds(AaaaAnswers answers, BooleanSupplier wayOutByIpv6) {
        return switch (answers) {
            case PASS -> () -> false;
            case WITHHOLD -> () -> true;
            case AUTO -> () -> !wayOutByIpv6.getAsBoolean();
        };
    }

    /** The VMs' share of half of what Netty may take outside the heap: links and frames need some, too. */
    private static long queueLimit(int vms) {
        return Math.min(QUEUES_MAX, PlatformDependent.maxDirectMemory() / 2 / Math.max(1, vms));
    }

    /** What the stack is to open its flows by. */
    HostSockets sockets() {
        return nameStreams;
    }

    /** What the stack is to ask for names. */
    NameServer names() {
        return names;
    }

    Destinations destinations() {
        return destinations;
    }

    /** What takes accepted connections that are channels of Netty's. */
    NettyHostSockets channels() {
        return channels;
    }

    /** What takes accepted connections that are descriptors; null but on the native transport. */
    NativeHostSockets descriptors() {
        return descriptors;
    }

    ProxySockets proxySockets() {
        return proxySockets;
    }

    ResolverCounters resolverCounters() {
        return resolver.counters();
    }

    /** Closes every socket. */
    @Override
    public void close() {
        nameStreams.close();
        proxySockets.close();
        if (descriptors != null) {
            descriptors.close();
        }
        channels.close();
        resolver.close();
    }
}
