package dev.slipway.control;

import dev.slipway.ethernet.Transport;
import dev.slipway.publish.PortRequest;
import dev.slipway.publish.PortRequest.Protocol;
import dev.slipway.publish.PublishException;
import dev.slipway.publish.PublishedPorts;
import dev.slipway.wire.IpAddress;
import io.netty.bootstrap.Bootstrap;
import io.netty.buffer.Unpooled;
import io.netty.channel.Channel;
import io.netty.channel.ChannelFuture;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.channel.ChannelOption;
import io.netty.channel.socket.DuplexChannel;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicInteger;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Connections of the API that become connections to a port of a guest. Each goes by way of a Unix socket that exists, in a
 * folder of its own that only this user can enter, as long as the connection goes on.
 */
final class Tunnels {

    private static final Logger LOG = LoggerFactory.getLogger(Tunnels.class);

    /** Tunnels at a time; one more is refused. */
    static final int MAX_TUNNELS = 256;

    private final PublishedPorts ports;
    private final Transport transport;
    private final ControlCounters counters;
    private final AtomicInteger open = new AtomicInteger();

    Tunnels(PublishedPorts ports, Transport transport, ControlCounters counters) {
        this.ports = ports;
        this.transport = transport;
        this.counters = counters;
    }

    /**
     * An answer that makes the connection one to a port of a guest.
     *
     * @throws ApiException if there are too many
     */
    ApiResponse to(IpAddress guest, int port) throws ApiException {
        if (open.incrementAndGet() > MAX_TUNNELS) {
            open.decrementAndGet();
            counters.tunnelsRefused.incrementAndGet();
            throw new ApiException(503, "too-many", "there are " + MAX_TUNNELS + " tunnels already");
        }
        return ApiResponse.takeover((connection, early) -> {
            connection.closeFuture().addListener(closed -> open.decrementAndGet());
            open(connection, early, guest, port);
        });
    }

    /** Says OK in two bytes, and joins the connection with the guest's port; closes it if that cannot be. */
    private void open(Channel connection, byte[] early, IpAddress guest, int port) {
        connection.writeAndFlush(Unpooled.copiedBuffer("OK", StandardCharsets.US_ASCII));
        try {
            Path folder = Files.createTempDirectory("slipway");
            Path socket = folder.resolve(PublishedPorts.TUNNEL);
            ports.publish(
                    List.of(new PortRequest(
                            Protocol.UNIX, Optional.empty(), 0, Optional.of(socket), Optional.of(guest), "", port)),
                    "tunnel");
            new Bootstrap()
                    .group(connection.eventLoop())
                    .channel(transport.unixChannel())
                    .option(ChannelOption.AUTO_READ, false)
                    .handler(new ChannelInboundHandlerAdapter())
                    .connect(transport.unixAddress(socket))
                    .addListener(done -> {
                        // Not at once: what waits to be accepted would be reset.
                        connection.closeFuture().addListener(closed -> remove(socket));
                        Channel other = ((ChannelFuture) done).channel();
                        if (done.isSuccess()) {
                            other.writeAndFlush(Unpooled.wrappedBuffer(early));
                            Relay.join((DuplexChannel) connection, (DuplexChannel) other);
                        } else {
                            connection.close();
                        }
                    });
        } catch (IOException | PublishException e) {
            LOG.warn("tunnel to port {} of a guest: {}", port, e.getMessage());
            connection.close();
        }
    }

    private void remove(Path socket) {
        try {
            ports.unpublish(Protocol.UNIX, socket.toString());
            Files.deleteIfExists(socket.getParent());
        } catch (PublishException e) {
            LOG.debug("tunnel: {}", e.getMessage());
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
