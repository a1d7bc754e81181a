package dev.slipway.proxy;

import dev.slipway.seam.HostStream.ConnectFailure;
import io.netty.buffer.ByteBuf;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Bytes both ways between a guest's connection and one of the host, as they are; each end ends by itself. */
final class Tunnel implements GuestStream.Service, Upstream.Owner {

    private static final Logger LOG = LoggerFactory.getLogger(Tunnel.class);
    private static final int PIECE = 64 << 10;

    private final ProxyContext context;
    private final GuestStream stream;
    private final boolean accepted;
    private Upstream upstream;
    private boolean open;
    private boolean endPassedOn;

    private Tunnel(ProxyContext context, GuestStream stream, boolean accepted) {
        this.context = context;
        this.stream = stream;
        this.accepted = accepted;
    }

    /**
     * Begins to dial; if that fails the guest's connection is reset, or refused if it is not accepted yet.
     *
     * @param accepted whether the guest is connected already
     */
    static void dial(
            ProxyContext context,
            GuestStream stream,
            boolean accepted,
            Dialer dialer,
            ProxyRoute route,
            Target target) {
        Tunnel tunnel = new Tunnel(context, stream, accepted);
        stream.service(tunnel);
        tunnel.upstream = dialer.dial(route.proxy(), Dialer.Way.TUNNEL, target, tunnel);
    }

    /** Joins a guest to a connection that is there. */
    static void join(ProxyContext context, GuestStream stream, Upstream upstream) {
        Tunnel tunnel = new Tunnel(context, stream, true);
        tunnel.upstream = upstream;
        stream.service(tunnel);
        upstream.owner(tunnel);
        tunnel.begin();
    }

    private void begin() {
        open = true;
        context.counters().tunnels++;
        fromGuest();
        upstream.resume();
    }

    @Override
    public void connected() {
        if (!accepted) {
            stream.accept();
        }
        begin();
    }

    @Override
    public void failed(DialFailure failure) {
        LOG.debug("a tunnel failed: {}", failure.text());
        if (accepted) {
            stream.abort();
            return;
        }
        stream.refuse(
                switch (failure.reason()) {
                    case REFUSED, NAME, CERTIFICATE, PROXY_BROKEN, EXHAUSTED, PROXY_SAYS_NO -> ConnectFailure.REFUSED;
                    case UNREACHABLE -> ConnectFailure.HOST_UNREACHABLE;
                    case TIMED_OUT -> ConnectFailure.TIMED_OUT;
                    case PROHIBITED -> ConnectFailure.PROHIBITED;
                });
    }

    @Override
    public void fromGuest() {
        if (!open) {
            return;
        }
        boolean wrote = false;
        while (upstream.isWritable()) {
            ByteBuf bytes = stream.take(PIECE);
            if (bytes == null) {
                break;
            }
            upstream.write(bytes);
            wrote = true;
        }
        if (wrote) {
            upstream.flush();
        }
        if (!endPassedOn && stream.hasInputEnded() && stream.input() == null) {
            endPassedOn = true;
            upstream.end();
        }
    }

    @Override
    public void writable() {
        fromGuest();
    }

    @Override
    public void received(ByteBuf bytes) {
        stream.send(bytes);
    }

    @Override
    public boolean hasRoom() {
        return stream.canSend();
    }

    @Override
    public void roomToGuest() {
        upstream.resume();
    }

    @Override
    public void ended() {
        stream.sendEnd();
    }

    @Override
    public void broken() {
        stream.abort();
    }

    @Override
    public void gone(boolean inOrder) {
        if (inOrder) {
            upstream.close();
        } else {
            upstream.abort();
        }
    }
}
