package dev.slipway.proxy;

import dev.slipway.dns.NameServer;
import dev.slipway.ethernet.Transport;
import dev.slipway.proxy.ProxySettings.Kind;
import dev.slipway.queue.QueueBudget;
import dev.slipway.seam.HostDatagrams;
import dev.slipway.seam.HostEcho;
import dev.slipway.seam.HostSockets;
import dev.slipway.seam.HostStream;
import dev.slipway.wire.IpAddress;
import io.netty.channel.EventLoop;
import java.util.List;
import java.util.Optional;
import java.util.function.Consumer;
import java.util.function.Supplier;

/**
 * The host's sockets, and in front of them the proxies: connections of the guest that the settings concern end in this
 * process; all others go to the host's sockets as if this were not here. UDP goes there always.
 */
public final class ProxySockets implements HostSockets, AutoCloseable {

    private final HostSockets sockets;
    private final IpAddress gateway;
    private final ProxyContext context;
    private final Dialer dialer;
    private volatile GuestApi guestApi;

    /**
     * Puts the proxies of one VM in front of its sockets.
     *
     * @param sockets for all that no proxy is concerned with
     * @param gateway the address at which the guest finds proxies of its own
     * @param settings as they are at any moment; a flow keeps to those of its beginning, a request to those of its own
     * @param names answers for the names that are to be resolved here
     * @param touched called before each event that is delivered
     * @param failed called with what a listener threw
     */
    public ProxySockets(
            HostSockets sockets,
            IpAddress gateway,
            EventLoop loop,
            Transport transport,
            Supplier<ProxySettings> settings,
            DialPolicy policy,
            NameServer names,
            QueueBudget budget,
            Runnable touched,
            Consumer<Throwable> failed) {
        this.sockets = sockets;
        this.gateway = gateway;
        this.context = new ProxyContext(
                loop, transport, settings, policy, new HostNames(names), budget, new ProxyCounters(), touched, failed);
        this.dialer = new Dialer(context);
    }

    @Override
    public HostStream connect(IpAddress destination, int port, int hopLimit, HostStream.Listener listener) {
        ProxySettings settings = context.settings().get();
        if (destination.equals(gateway)) {
            return connectToGateway(settings, destination, port, hopLimit, listener);
        }
        if (!isLookedInto(settings, destination, port)
                && (!settings.concerns(port) || goesDirect(settings, destination, port))) {
            return sockets.connect(destination, port, hopLimit, listener);
        }
        GuestStream stream = new GuestStream(context, listener);
        Target target = Target.of(destination, port);
        if (settings.isWebPort(port)) {
            new Sniffer(context, stream, dialer, target);
        } else {
            ProxyRoute route = new ProxyRoute(settings.proxyFor(Kind.OTHER, target), target);
            Tunnel.dial(context, stream, false, dialer, route, target);
        }
        return stream;
    }

    /** Whether the policy wants to know for which host a connection is that may go to that address. */
    private boolean isLookedInto(ProxySettings settings, IpAddress destination, int port) {
        return settings.isWebPort(port)
                && context.policy().asksForName(destination, port)
                && context.policy().refusal(destination, port).isEmpty();
    }

    /** Whether the address alone decides that no proxy is concerned. */
    private boolean goesDirect(ProxySettings settings, IpAddress destination, int port) {
        return context.policy().isNear(destination)
                || context.policy().refusal(destination, port).isPresent()
                || (settings.allow().isEmpty() || !settings.isWebPort(port))
                        && settings.exclude().matchesAddress(destination, port);
    }

    private HostStream connectToGateway(
            ProxySettings settings, IpAddress destination, int port, int hopLimit, HostStream.Listener listener) {
        if (settings.gatewayHttpPorts().contains(port)) {
            GuestStream stream = new GuestStream(context, listener);
            stream.service(new HttpFlow(context, stream, dialer, Optional.empty()));
            stream.accept();
            return stream;
        }
        if (settings.gatewaySocksPorts().contains(port)) {
            GuestStream stream = new GuestStream(context, listener);
            new SocksFlow(context, stream, dialer);
            return stream;
        }
        if (port == GuestApi.PORT && guestApi != null) {
            GuestStream stream = new GuestStream(context, listener);
            new GuestApiFlow(context, stream, guestApi);
            return stream;
        }
        return sockets.connect(destination, port, hopLimit, listener);
    }

    /** Serves the guest an API at the gateway from now on; from any thread. */
    public void serve(GuestApi api) {
        guestApi = api;
    }

    @Override
    public HostDatagrams openDatagrams(int preferredPort, boolean ipv6, HostDatagrams.Listener listener) {
        return sockets.openDatagrams(preferredPort, ipv6, listener);
    }

    @Override
    public HostEcho openEcho(int preferredIdentifier, boolean ipv6, HostEcho.Listener listener) {
        return sockets.openEcho(preferredIdentifier, ipv6, listener);
    }

    /** What was counted. */
    public ProxyCounters counters() {
        return context.counters();
    }

    /** Resets all proxied flows. No event follows. */
    @Override
    public void close() {
        List.copyOf(context.streams()).forEach(GuestStream::reset);
        context.kept().close();
    }
}
