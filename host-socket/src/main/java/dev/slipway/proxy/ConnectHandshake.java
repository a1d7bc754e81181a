package dev.slipway.proxy;

import dev.slipway.proxy.DialFailure.Reason;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import java.nio.charset.StandardCharsets;
import java.util.function.Consumer;

/**
 * Asks an HTTP proxy for a tunnel (RFC 9110, section 9.3.6), and leaves the pipeline when it is there. Only a status of
 * 2xx opens one; whatever a proxy says otherwise reaches nobody.
 */
final class ConnectHandshake extends ChannelInboundHandlerAdapter {

    private final ProxyAddress proxy;
    private final Target target;
    private final Runnable succeeded;
    private final Consumer<DialFailure> failed;
    private final HeadReader reader = new HeadReader();
    private ChannelHandlerContext handler;
    private boolean done;

    ConnectHandshake(ProxyAddress proxy, Target target, Runnable succeeded, Consumer<DialFailure> failed) {
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
        String request = "CONNECT " + target.authority() + " HTTP/1.1\r\nHost: " + target.authority() + "\r\n"
                + (proxy.hasCredentials() ? "Proxy-Authorization: " + proxy.authorization() + "\r\n" : "") + "\r\n";
        handler.writeAndFlush(Unpooled.copiedBuffer(request, StandardCharsets.ISO_8859_1));
        handler.read();
    }

    @Override
    public void channelRead(ChannelHandlerContext context, Object message) {
        ByteBuf bytes = (ByteBuf) message;
        try {
            while (!done && bytes.isReadable() && reader.read(bytes)) {
                HttpHead head = HttpHead.response(reader.bytes(), reader.length());
                reader.clear();
                answered(context, head, bytes);
            }
        } catch (MalformedException e) {
            done = true;
            failed.accept(new DialFailure(
                    Reason.PROXY_BROKEN, 502, "what the proxy " + proxy + " answers is not HTTP: " + e.getMessage()));
        } finally {
            bytes.release();
        }
    }

    private void answered(ChannelHandlerContext context, HttpHead head, ByteBuf rest) {
        if (head.status() < 200) {
            return;
        }
        done = true;
        if (head.status() >= 300) {
            // That it wants other credentials is nothing that the guest could do something about.
            int status = head.status() == 407 || head.status() < 400 ? 502 : head.status();
            String text = "the proxy " + proxy + " refuses a tunnel to " + target + ": " + head.status() + " "
                    + head.reason();
            failed.accept(new DialFailure(Reason.PROXY_SAYS_NO, status, text.strip()));
            return;
        }
        succeeded.run();
        if (rest.isReadable()) {
            context.fireChannelRead(rest.readRetainedSlice(rest.readableBytes()));
        }
        context.pipeline().remove(this);
    }

    @Override
    public void channelReadComplete(ChannelHandlerContext context) {
        if (!done) {
            context.read();
        }
        context.fireChannelReadComplete();
    }
}
