package dev.slipway.proxy;

import dev.slipway.proxy.DialFailure.Reason;
import dev.slipway.proxy.ProxyAddress.Scheme;
import dev.slipway.queue.ReadLimit;
import dev.slipway.seam.HostStream.ConnectFailure;
import dev.slipway.wire.IpAddress;
import io.netty.buffer.PooledByteBufAllocator;
import io.netty.channel.ChannelException;
import io.netty.channel.ChannelFuture;
import io.netty.channel.ChannelPipeline;
import io.netty.channel.ReflectiveChannelFactory;
import io.netty.channel.WriteBufferWaterMark;
import io.netty.channel.socket.SocketChannel;
import io.netty.handler.ssl.SslContext;
import io.netty.handler.ssl.SslHandler;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.UnknownHostException;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Optional;
import java.util.function.Consumer;
import javax.net.ssl.SSLParameters;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Makes connections of the host for proxied flows: resolves what has to be resolved here, asks the policy about every
 * address that a guest's wish leads to, dials one address after the other, and agrees with the proxy.
 */
final class Dialer {

    /** How long one address may take to answer, in milliseconds. */
    static final int CONNECT_MILLIS = 10_000;

    /** How long a proxy may take to open a tunnel, in milliseconds: it dials, too. */
    static final int HANDSHAKE_MILLIS = 60_000;

    private static final int MAX_ADDRESSES = 8;
    private static final String UPSTREAM = "upstream";
    private static final Logger LOG = LoggerFactory.getLogger(Dialer.class);
    private static final WriteBufferWaterMark WATER_MARK = new WriteBufferWaterMark(128 << 10, 256 << 10);

    private final ProxyContext context;
    private final ReflectiveChannelFactory<? extends SocketChannel> channels;
    private String lastTold = "";

    Dialer(ProxyContext context) {
        this.context = context;
        this.channels = new ReflectiveChannelFactory<>(context.transport().tcpChannel());
    }

    /** What is dialled. */
    enum Way {
        /** A connection to the target, through the proxy if there is one. */
        TUNNEL,
        /** A connection to an HTTP proxy itself, which is told the target with every request. */
        FORWARD
    }

    /**
     * Begins to dial.
     *
     * @param proxy the way to go; empty for none
     * @param target by whose name a proxy is asked; without one, the address counts if there is one
     */
    Upstream dial(Optional<ProxyAddress> proxy, Way way, Target target, Upstream.Owner owner) {
        Upstream upstream = new Upstream(context, owner);
        Attempt attempt = new Attempt(upstream, proxy, way, target);
        upstream.onCancel(attempt::cancel);
        if (proxy.isEmpty()) {
            attempt.dialTarget();
        } else {
            attempt.dialProxy(proxy.get());
        }
        return upstream;
    }

    /** Guests of TLS see a reset only, so who runs this has to learn the reason from the log, but not at each of them. */
    private void tellOnce(String problem) {
        if (!problem.equals(lastTold)) {
            lastTold = problem;
            LOG.warn("{}; nothing goes through it", problem);
        }
    }

    /** One connection on its way to be made. */
    private final class Attempt {

        private final Upstream upstream;
        private final Optional<ProxyAddress> proxy;
        private final Way way;
        private final Target target;
        private Target told;
        private Iterator<IpAddress> addresses = List.<IpAddress>of().iterator();
        private int port;
        private Runnable timer = () -> {};
        private DialFailure failure;
        private boolean done;

        Attempt(Upstream upstream, Optional<ProxyAddress> proxy, Way way, Target target) {
            this.upstream = upstream;
            this.proxy = proxy;
            this.way = way;
            this.target = target;
            this.told = target;
        }

        void cancel() {
            done = true;
            timer.run();
        }

        // ---- what to dial

        void dialTarget() {
            port = target.port();
            if (target.address().isPresent()) {
                dialAllowed(List.of(target.address().get()));
            } else {
                resolve(target.name(), this::dialAllowed);
            }
        }

        /** Dials those addresses that a guest may reach. */
        private void dialAllowed(List<IpAddress> found) {
            List<IpAddress> allowed = new ArrayList<>();
            ConnectFailure refusal = null;
            for (IpAddress address : found) {
                Optional<ConnectFailure> each = context.policy().refusal(address, port);
                if (each.isEmpty()) {
                    allowed.add(context.policy().onHost(address));
                } else if (refusal == null) {
                    refusal = each.get();
                }
            }
            if (allowed.isEmpty() && refusal != null) {
                ConnectFailure why = refusal;
                later(() -> fail(DialFailure.of(why, target.host())));
            } else {
                dialAll(allowed);
            }
        }

        void dialProxy(ProxyAddress address) {
            if (!mayAskFor(target)) {
                later(() -> fail(DialFailure.of(ConnectFailure.PROHIBITED, target.host())));
                return;
            }
            port = address.port();
            boolean resolvesHere =
                    address.scheme() == Scheme.SOCKS5 && target.address().isEmpty();
            if (resolvesHere) {
                resolve(target.name(), found -> {
                    told = new Target("", Optional.of(found.getFirst()), target.port());
                    dialProxyHost(address);
                });
                return;
            }
            if (address.scheme() == Scheme.SOCKS5) {
                told = new Target("", target.address(), target.port());
            }
            dialProxyHost(address);
        }

        /** What a proxy is asked for is what the guest reaches, whatever address it has given before. */
        private boolean mayAskFor(Target wanted) {
            return wanted.hasName()
                    ? context.policy().admitsName(wanted.name(), wanted.port())
                    : context.policy()
                            .refusal(wanted.address().orElseThrow(), wanted.port())
                            .isEmpty();
        }

        private void dialProxyHost(ProxyAddress address) {
            Optional<IpAddress> literal = Target.literal(address.host());
            if (literal.isPresent()) {
                dialAll(List.of(context.policy().onHost(literal.get())));
            } else if (address.host().equals("localhost")) {
                dialAll(List.of(Target.literal("127.0.0.1").orElseThrow()));
            } else {
                resolve(
                        address.host(),
                        found -> dialAll(
                                found.stream().map(context.policy()::onHost).toList()));
            }
        }

        private void resolve(String name, Consumer<List<IpAddress>> found) {
            context.names()
                    .resolve(
                            name,
                            addresses -> later(() -> {
                                if (addresses.isEmpty()) {
                                    fail(DialFailure.name(name));
                                } else {
                                    found.accept(addresses);
                                }
                            }));
        }

        private void dialAll(List<IpAddress> list) {
            addresses = list.stream().limit(MAX_ADDRESSES).iterator();
            later(this::dialNext);
        }

        private void later(Runnable next) {
            context.loop().execute(() -> {
                if (!done) {
                    next.run();
                }
            });
        }

        // ---- the connection

        private String dialled() {
            return proxy.map(address -> "the proxy " + address).orElse(target.toString());
        }

        private void dialNext() {
            if (!addresses.hasNext()) {
                fail(failure != null ? failure : DialFailure.name(target.host()));
                return;
            }
            IpAddress address = addresses.next();
            SocketChannel channel = null;
            try {
                channel = channels.newChannel();
                prepare(channel);
                upstream.channel(channel);
                ChannelFuture registered = context.loop().register(channel);
                if (registered.cause() != null) {
                    connectFailed(channel, registered.cause());
                    return;
                }
                SocketChannel made = channel;
                channel.connect(socketAddress(address, port))
                        .addListener(connected -> connectEnded(made, (ChannelFuture) connected));
            } catch (ChannelException e) {
                connectFailed(channel, e);
            }
        }

        private void prepare(SocketChannel channel) {
            channel.config().setAllocator(PooledByteBufAllocator.DEFAULT);
            channel.config()
                    .setAutoRead(false)
                    .setAllowHalfClosure(true)
                    .setTcpNoDelay(true)
                    .setConnectTimeoutMillis(CONNECT_MILLIS)
                    .setWriteBufferWaterMark(WATER_MARK)
                    .setRecvByteBufAllocator(new ReadLimit(upstream));
        }

        private void connectEnded(SocketChannel channel, ChannelFuture connected) {
            if (done) {
                channel.close();
            } else if (!connected.isSuccess()) {
                connectFailed(channel, connected.cause());
            } else {
                agree(channel);
            }
        }

        private void connectFailed(SocketChannel channel, Throwable cause) {
            failure = DialFailure.of(context.policy().failureOf(cause), dialled());
            if (channel == null) {
                later(() -> fail(failure));
            } else {
                channel.close();
                later(this::dialNext);
            }
        }

        // ---- the proxy

        private void agree(SocketChannel channel) {
            channel.pipeline().addLast(UPSTREAM, upstream);
            if (proxy.isEmpty()) {
                succeed();
                return;
            }
            ProxyAddress address = proxy.get();
            timer = context.after(
                    HANDSHAKE_MILLIS,
                    () -> giveUp(channel, new DialFailure(Reason.TIMED_OUT, 504, dialled() + " does not answer")));
            if (address.scheme() == Scheme.HTTPS) {
                context.settings()
                        .get()
                        .trust()
                        .context()
                        .whenComplete((tls, problem) -> later(() -> {
                            if (problem == null) {
                                secure(channel, address, tls);
                            } else {
                                giveUp(channel, DialFailure.tls(dialled(), problem));
                            }
                        }));
            } else {
                ask(channel, address);
            }
        }

        /** Nothing is said to the proxy before its certificate was checked. */
        private void secure(SocketChannel channel, ProxyAddress address, SslContext tls) {
            SslHandler handler = tls.newHandler(channel.alloc(), address.host(), address.port());
            handler.setHandshakeTimeoutMillis(CONNECT_MILLIS);
            SSLParameters parameters = handler.engine().getSSLParameters();
            parameters.setEndpointIdentificationAlgorithm("HTTPS");
            handler.engine().setSSLParameters(parameters);
            channel.pipeline().addFirst(handler);
            handler.handshakeFuture().addListener(shaken -> {
                if (done) {
                    return;
                }
                if (shaken.isSuccess()) {
                    ask(channel, address);
                } else {
                    DialFailure why = DialFailure.tls(dialled(), shaken.cause());
                    tellOnce(why.text());
                    giveUp(channel, why);
                }
            });
            channel.read();
        }

        private void ask(SocketChannel channel, ProxyAddress address) {
            ChannelPipeline pipeline = channel.pipeline();
            if (address.scheme().isHttp() && way == Way.FORWARD) {
                succeed();
            } else if (address.scheme().isHttp()) {
                ConnectHandshake handshake =
                        new ConnectHandshake(address, told, this::succeed, why -> giveUp(channel, why));
                pipeline.addBefore(UPSTREAM, null, handshake);
                handshake.begin();
            } else {
                SocksHandshake handshake =
                        new SocksHandshake(address, told, this::succeed, why -> giveUp(channel, why));
                pipeline.addBefore(UPSTREAM, null, handshake);
                handshake.begin();
            }
        }

        private void giveUp(SocketChannel channel, DialFailure why) {
            fail(why);
            channel.close();
        }

        private void succeed() {
            if (!done) {
                done = true;
                timer.run();
                upstream.opened();
            }
        }

        private void fail(DialFailure why) {
            if (!done) {
                done = true;
                timer.run();
                upstream.failed(why);
            }
        }
    }

    static InetSocketAddress socketAddress(IpAddress address, int port) {
        try {
            return new InetSocketAddress(InetAddress.getByAddress(address.toBytes()), port);
        } catch (UnknownHostException e) {
            throw new IllegalArgumentException("an IP address has 4 or 16 bytes: " + address, e);
        }
    }
}
