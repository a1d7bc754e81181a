package dev.slipway.guest;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.netty.bootstrap.Bootstrap;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.netty.channel.Channel;
import io.netty.channel.ChannelHandler;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInitializer;
import io.netty.channel.EventLoopGroup;
import io.netty.channel.MultiThreadIoEventLoopGroup;
import io.netty.channel.nio.NioIoHandler;
import io.netty.channel.socket.nio.NioDatagramChannel;
import io.netty.handler.codec.http3.DefaultHttp3DataFrame;
import io.netty.handler.codec.http3.DefaultHttp3HeadersFrame;
import io.netty.handler.codec.http3.Http3;
import io.netty.handler.codec.http3.Http3ClientConnectionHandler;
import io.netty.handler.codec.http3.Http3DataFrame;
import io.netty.handler.codec.http3.Http3HeadersFrame;
import io.netty.handler.codec.http3.Http3RequestStreamInboundHandler;
import io.netty.handler.codec.http3.Http3ServerConnectionHandler;
import io.netty.handler.codec.quic.InsecureQuicTokenHandler;
import io.netty.handler.codec.quic.Quic;
import io.netty.handler.codec.quic.QuicChannel;
import io.netty.handler.codec.quic.QuicSslContext;
import io.netty.handler.codec.quic.QuicSslContextBuilder;
import io.netty.handler.codec.quic.QuicStreamChannel;
import io.netty.handler.ssl.util.InsecureTrustManagerFactory;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetSocketAddress;
import java.net.StandardProtocolFamily;
import java.nio.ByteBuffer;
import java.nio.channels.DatagramChannel;
import java.nio.channels.Pipe;
import java.nio.channels.WritableByteChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.security.PrivateKey;
import java.security.cert.X509Certificate;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.ExtendWith;

/** A page by HTTP/3: QUIC between a client in the guest and a server on the internet, both by a library of others. */
@Tag("guest")
@Timeout(180)
@ExtendWith(NamespaceGuestExtension.class)
class GuestHttp3Test {

    private static final long LENGTH = 100L << 20;
    private static final int WINDOW = 4 << 20;
    private static final String PASSWORD = "for this test";

    @Test
    void download100MiBByteForByte(NamespaceGuest machines) throws Exception {
        assumeTrue(Quic.isAvailable(), "there is no QUIC library for this platform");
        Payload payload = Payload.next();
        EventLoopGroup loops = new MultiThreadIoEventLoopGroup(2, NioIoHandler.newFactory());
        Pipe pipe = Pipe.open();
        try {
            Channel server = bound(machines.internet(), HostMachine.INTERNET, loops, serverCodec(machines, payload));
            Channel client = bound(machines.guest(), "0.0.0.0", loops, clientCodec());
            QuicChannel connection = QuicChannel.newBootstrap(client)
                    .handler(new Http3ClientConnectionHandler())
                    .remoteAddress(server.localAddress())
                    .connect()
                    .get(30, TimeUnit.SECONDS);
            QuicStreamChannel request = Http3.newRequestStream(connection, new Download(pipe.sink()))
                    .sync()
                    .getNow();
            Http3HeadersFrame headers = new DefaultHttp3HeadersFrame();
            headers.headers().method("GET").path("/").scheme("https").authority("www.example.test");
            request.writeAndFlush(headers)
                    .addListener(QuicStreamChannel.SHUTDOWN_OUTPUT)
                    .sync();
            payload.receiveAll(pipe.source(), LENGTH);
            connection.close().sync();
        } finally {
            pipe.sink().close();
            pipe.source().close();
            loops.shutdownGracefully(0, 5, TimeUnit.SECONDS).sync();
        }
    }

    /** A UDP socket of a machine, read and written by the QUIC library. */
    private static Channel bound(Namespace machine, String address, EventLoopGroup loops, ChannelHandler codec)
            throws IOException {
        DatagramChannel socket = machine.call(() -> DatagramChannel.open(StandardProtocolFamily.INET));
        return new Bootstrap()
                .group(loops)
                .channelFactory(() -> new NioDatagramChannel(socket))
                .handler(codec)
                .bind(new InetSocketAddress(address, 0))
                .syncUninterruptibly()
                .channel();
    }

    private static ChannelHandler clientCodec() {
        QuicSslContext ssl = QuicSslContextBuilder.forClient()
                .trustManager(InsecureTrustManagerFactory.INSTANCE)
                .applicationProtocols(Http3.supportedApplicationProtocols())
                .build();
        return Http3.newQuicClientCodecBuilder()
                .sslContext(ssl)
                .maxIdleTimeout(30, TimeUnit.SECONDS)
                .initialMaxData(WINDOW)
                .initialMaxStreamDataBidirectionalLocal(WINDOW)
                .build();
    }

    private static ChannelHandler serverCodec(NamespaceGuest machines, Payload payload) throws Exception {
        KeyStore keys = newKeys(machines.directory().resolve("keys.p12"));
        QuicSslContext ssl = QuicSslContextBuilder.forServer(
                        (PrivateKey) keys.getKey("server", PASSWORD.toCharArray()), null, (X509Certificate)
                                keys.getCertificate("server"))
                .applicationProtocols(Http3.supportedApplicationProtocols())
                .build();
        return Http3.newQuicServerCodecBuilder()
                .sslContext(ssl)
                .maxIdleTimeout(30, TimeUnit.SECONDS)
                .initialMaxData(WINDOW)
                .initialMaxStreamDataBidirectionalRemote(WINDOW)
                .initialMaxStreamsBidirectional(10)
                .tokenHandler(InsecureQuicTokenHandler.INSTANCE)
                .handler(new ChannelInitializer<QuicChannel>() {
                    @Override
                    protected void initChannel(QuicChannel connection) {
                        connection.pipeline().addLast(new Http3ServerConnectionHandler(new Page(payload)));
                    }
                })
                .build();
    }

    /** A key and a certificate for it, by the JDK's own tool. */
    private static KeyStore newKeys(Path file) throws Exception {
        String keytool =
                Path.of(System.getProperty("java.home"), "bin", "keytool").toString();
        Subprocess.run(
                        List.of(
                                keytool,
                                "-genkeypair",
                                "-alias",
                                "server",
                                "-keyalg",
                                "EC",
                                "-dname",
                                "CN=www.example.test",
                                "-storetype",
                                "PKCS12",
                                "-keystore",
                                file.toString(),
                                "-storepass",
                                PASSWORD),
                        Duration.ofSeconds(60))
                .orFail();
        KeyStore keys = KeyStore.getInstance("PKCS12");
        try (InputStream in = Files.newInputStream(file)) {
            keys.load(in, PASSWORD.toCharArray());
        }
        return keys;
    }

    /** Answers each request with the payload, written by a thread that waits until the library has taken each piece. */
    @ChannelHandler.Sharable
    private static final class Page extends ChannelInitializer<QuicStreamChannel> {

        private final Payload payload;

        Page(Payload payload) {
            this.payload = payload;
        }

        @Override
        protected void initChannel(QuicStreamChannel stream) {
            stream.pipeline().addLast(new Http3RequestStreamInboundHandler() {
                @Override
                protected void channelRead(ChannelHandlerContext context, Http3HeadersFrame frame) {
                    Thread.ofPlatform().daemon().name("page").start(() -> send(stream));
                }

                @Override
                protected void channelRead(ChannelHandlerContext context, Http3DataFrame frame) {
                    frame.release();
                }

                @Override
                protected void channelInputClosed(ChannelHandlerContext context) {}
            });
        }

        private void send(QuicStreamChannel stream) {
            Http3HeadersFrame headers = new DefaultHttp3HeadersFrame();
            headers.headers().status("200");
            stream.writeAndFlush(headers);
            try {
                payload.send(new Pieces(stream), LENGTH);
                stream.shutdownOutput();
            } catch (IOException e) {
                stream.close();
            }
        }
    }

    private record Pieces(QuicStreamChannel stream) implements WritableByteChannel {
        @Override
        public int write(ByteBuffer bytes) throws IOException {
            int length = bytes.remaining();
            ByteBuf copy = Unpooled.copiedBuffer(bytes);
            bytes.position(bytes.limit());
            if (!stream.writeAndFlush(new DefaultHttp3DataFrame(copy)).awaitUninterruptibly(60, TimeUnit.SECONDS)
                    || !stream.isActive()) {
                throw new IOException("the client takes no more");
            }
            return length;
        }

        @Override
        public boolean isOpen() {
            return stream.isOpen();
        }

        @Override
        public void close() {
            stream.close();
        }
    }

    /** Hands on what comes; a receiver that is slow holds up the connection, as it should. */
    private static final class Download extends Http3RequestStreamInboundHandler {

        private final Pipe.SinkChannel target;

        Download(Pipe.SinkChannel target) {
            this.target = target;
        }

        @Override
        protected void channelRead(ChannelHandlerContext context, Http3HeadersFrame frame) throws IOException {
            if (!"200".contentEquals(frame.headers().status())) {
                target.close();
            }
        }

        @Override
        protected void channelRead(ChannelHandlerContext context, Http3DataFrame frame) throws IOException {
            try {
                ByteBuffer bytes = frame.content().nioBuffer();
                while (bytes.hasRemaining()) {
                    target.write(bytes);
                }
            } finally {
                frame.release();
            }
        }

        @Override
        protected void channelInputClosed(ChannelHandlerContext context) throws IOException {
            target.close();
        }

        @Override
        public void channelInactive(ChannelHandlerContext context) throws Exception {
            target.close();
            super.channelInactive(context);
        }
    }
}
