package dev.slipway.proxy;

import dev.slipway.proxy.DialFailure.Reason;
import io.netty.channel.ChannelHandler;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.channel.ChannelPipeline;
import io.netty.handler.codec.DecoderResult;
import io.netty.handler.codec.socksx.SocksMessage;
import io.netty.handler.codec.socksx.v5.DefaultSocks5CommandRequest;
import io.netty.handler.codec.socksx.v5.DefaultSocks5InitialRequest;
import io.netty.handler.codec.socksx.v5.DefaultSocks5PasswordAuthRequest;
import io.netty.handler.codec.socksx.v5.Socks5AddressType;
import io.netty.handler.codec.socksx.v5.Socks5AuthMethod;
import io.netty.handler.codec.socksx.v5.Socks5ClientEncoder;
import io.netty.handler.codec.socksx.v5.Socks5CommandResponse;
import io.netty.handler.codec.socksx.v5.Socks5CommandResponseDecoder;
import io.netty.handler.codec.socksx.v5.Socks5CommandStatus;
import io.netty.handler.codec.socksx.v5.Socks5CommandType;
import io.netty.handler.codec.socksx.v5.Socks5InitialResponse;
import io.netty.handler.codec.socksx.v5.Socks5InitialResponseDecoder;
import io.netty.handler.codec.socksx.v5.Socks5PasswordAuthResponse;
import io.netty.handler.codec.socksx.v5.Socks5PasswordAuthResponseDecoder;
import java.util.List;
import java.util.function.Consumer;

/** Asks a SOCKS 5 proxy for a connection (RFC 1928, 1929), and leaves the pipeline when it is there. */
final class SocksHandshake extends ChannelInboundHandlerAdapter {

    private final ProxyAddress proxy;
    private final Target target;
    private final Runnable succeeded;
    private final Consumer<DialFailure> failed;
    private final ChannelHandler encoder = Socks5ClientEncoder.DEFAULT;
    private ChannelHandler decoder = new Socks5InitialResponseDecoder();
    private ChannelHandlerContext handler;
    private boolean done;

    SocksHandshake(ProxyAddress proxy, Target target, Runnable succeeded, Consumer<DialFailure> failed) {
        this.proxy = proxy;
        this.target = target;
        this.succeeded = succeeded;
        this.failed = failed;
    }

    @Override
    public void handlerAdded(ChannelHandlerContext context) {
        handler = context;
    }

    /** Asks; the channel is connected. */
    void begin() {
        handler.pipeline().addBefore(handler.name(), "socks-encoder", encoder);
        handler.pipeline().addBefore(handler.name(), "socks-decoder", decoder);
        List<Socks5AuthMethod> methods = proxy.hasCredentials()
                ? List.of(Socks5AuthMethod.NO_AUTH, Socks5AuthMethod.PASSWORD)
                : List.of(Socks5AuthMethod.NO_AUTH);
        send(new DefaultSocks5InitialRequest(methods));
    }

    private void send(SocksMessage message) {
        handler.writeAndFlush(message);
        handler.read();
    }

    @Override
    public void channelRead(ChannelHandlerContext context, Object message) {
        DecoderResult result = message instanceof SocksMessage socks ? socks.decoderResult() : DecoderResult.SUCCESS;
        if (result.isFailure()) {
            fail(Reason.PROXY_BROKEN, "what it answers is not SOCKS 5");
            return;
        }
        switch (message) {
            case Socks5InitialResponse response -> methodChosen(response.authMethod());
            case Socks5PasswordAuthResponse response -> {
                if (response.status().isSuccess()) {
                    command();
                } else {
                    fail(Reason.PROXY_SAYS_NO, "it takes neither user nor password");
                }
            }
            case Socks5CommandResponse response -> answered(context, response.status());
            default -> context.fireChannelRead(message);
        }
    }

    private void methodChosen(Socks5AuthMethod method) {
        if (method.equals(Socks5AuthMethod.NO_AUTH)) {
            command();
        } else if (method.equals(Socks5AuthMethod.PASSWORD) && proxy.hasCredentials()) {
            replaceDecoder(new Socks5PasswordAuthResponseDecoder());
            send(new DefaultSocks5PasswordAuthRequest(proxy.user(), proxy.password()));
        } else {
            fail(Reason.PROXY_SAYS_NO, "it wants a user and a password");
        }
    }

    private void command() {
        replaceDecoder(new Socks5CommandResponseDecoder());
        Socks5AddressType type = target.hasName()
                ? Socks5AddressType.DOMAIN
                : target.address().orElseThrow().isV4() ? Socks5AddressType.IPv4 : Socks5AddressType.IPv6;
        send(new DefaultSocks5CommandRequest(Socks5CommandType.CONNECT, type, target.host(), target.port()));
    }

    private void replaceDecoder(ChannelHandler next) {
        handler.pipeline().replace(decoder, "socks-decoder", next);
        decoder = next;
    }

    private void answered(ChannelHandlerContext context, Socks5CommandStatus status) {
        if (!status.isSuccess()) {
            fail(Reason.PROXY_SAYS_NO, "it refuses: " + status);
            return;
        }
        done = true;
        succeeded.run();
        // The decoder hands on what followed the answer.
        ChannelPipeline pipeline = context.pipeline();
        pipeline.remove(decoder);
        pipeline.remove(encoder);
        pipeline.remove(this);
    }

    private void fail(Reason reason, String why) {
        if (!done) {
            done = true;
            failed.accept(
                    new DialFailure(reason, 502, "the proxy " + proxy + " does not lead to " + target + ": " + why));
        }
    }

    @Override
    public void channelReadComplete(ChannelHandlerContext context) {
        if (!done) {
            context.read();
        }
        context.fireChannelReadComplete();
    }
}
