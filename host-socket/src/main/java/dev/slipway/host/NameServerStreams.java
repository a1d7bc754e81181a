package dev.slipway.host;

import dev.slipway.dns.DnsStream;
import dev.slipway.dns.NameServer;
import dev.slipway.seam.HostDatagrams;
import dev.slipway.seam.HostEcho;
import dev.slipway.seam.HostSockets;
import dev.slipway.seam.HostStream;
import dev.slipway.seam.Ipv6Settings;
import dev.slipway.seam.StackSettings;
import dev.slipway.wire.DnsMessage;
import dev.slipway.wire.IpAddress;
import io.netty.channel.EventLoop;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;

/**
 * The host's sockets, and in front of them the name server that listens on TCP at the gateway: a connection there ends
 * in this process.
 */
final class NameServerStreams implements HostSockets, AutoCloseable {

    /** Connections at a time; more are refused. */
    static final int MAX_STREAMS = 256;

    private final IpAddress gateway;
    private final Ipv6Settings ipv6;
    private final NameServer names;
    private final HostSockets sockets;
    private final EventLoop loop;
    private final Runnable touched;
    private final Consumer<Throwable> failed;
    private final List<DnsStream> streams = new ArrayList<>();
    private boolean expiring;
    private boolean closed;

    /**
     * @param sockets for all other destinations
     * @param touched called before each event that is delivered
     * @param failed called with what a listener threw
     */
    NameServerStreams(
            StackSettings settings,
            NameServer names,
            HostSockets sockets,
            EventLoop loop,
            Runnable touched,
            Consumer<Throwable> failed) {
        this.ipv6 = settings.ipv6();
        this.gateway = IpAddress.ofV4(settings.gateway());
        this.names = names;
        this.sockets = sockets;
        this.loop = loop;
        this.touched = touched;
        this.failed = failed;
    }

    @Override
    public HostStream connect(IpAddress destination, int port, int hopLimit, HostStream.Listener listener) {
        if (port != DnsMessage.PORT || !destination.equals(gateway) && !isIpv6Gateway(destination)) {
            return sockets.connect(destination, port, hopLimit, listener);
        }
        streams.removeIf(DnsStream::isClosed);
        if (streams.size() >= MAX_STREAMS) {
            // Nobody listens at the gateway behind this: a refusal.
            return sockets.connect(destination, port, hopLimit, listener);
        }
        DnsStream stream = new DnsStream(names, listener, this::later);
        streams.add(stream);
        expireLater();
        return stream;
    }

    private boolean isIpv6Gateway(IpAddress destination) {
        return ipv6.enabled() && (destination.equals(ipv6.gateway()) || destination.equals(Ipv6Settings.ROUTER));
    }

    private void later(Runnable event) {
        loop.execute(() -> {
            if (closed) {
                return;
            }
            touched.run();
            try {
                event.run();
            } catch (RuntimeException | OutOfMemoryError e) {
                failed.accept(e);
            }
        });
    }

    private void expireLater() {
        if (!expiring) {
            expiring = true;
            loop.schedule(this::expire, 1, TimeUnit.SECONDS);
        }
    }

    private void expire() {
        expiring = false;
        if (closed) {
            return;
        }
        long now = System.nanoTime();
        streams.forEach(stream -> stream.expire(now));
        streams.removeIf(DnsStream::isClosed);
        if (!streams.isEmpty()) {
            expireLater();
        }
    }

    @Override
    public HostDatagrams openDatagrams(int preferredPort, boolean ipv6, HostDatagrams.Listener listener) {
        return sockets.openDatagrams(preferredPort, ipv6, listener);
    }

    @Override
    public HostEcho openEcho(int preferredIdentifier, boolean ipv6, HostEcho.Listener listener) {
        return sockets.openEcho(preferredIdentifier, ipv6, listener);
    }

    /** Resets the connections to the name server. */
    @Override
    public void close() {
        closed = true;
        streams.forEach(DnsStream::reset);
        streams.clear();
    }
}
