package dev.slipway.ethernet;

import dev.slipway.posix.Sockets;
import io.netty.channel.Channel;
import io.netty.channel.IoHandlerFactory;
import io.netty.channel.ServerChannel;
import io.netty.channel.epoll.Epoll;
import io.netty.channel.epoll.EpollDatagramChannel;
import io.netty.channel.epoll.EpollDomainSocketChannel;
import io.netty.channel.epoll.EpollIoHandler;
import io.netty.channel.epoll.EpollServerDomainSocketChannel;
import io.netty.channel.epoll.EpollServerSocketChannel;
import io.netty.channel.epoll.EpollSocketChannel;
import io.netty.channel.kqueue.KQueue;
import io.netty.channel.kqueue.KQueueDatagramChannel;
import io.netty.channel.kqueue.KQueueDomainSocketChannel;
import io.netty.channel.kqueue.KQueueIoHandler;
import io.netty.channel.kqueue.KQueueServerDomainSocketChannel;
import io.netty.channel.kqueue.KQueueServerSocketChannel;
import io.netty.channel.kqueue.KQueueSocketChannel;
import io.netty.channel.nio.NioIoHandler;
import io.netty.channel.socket.DatagramChannel;
import io.netty.channel.socket.ServerSocketChannel;
import io.netty.channel.socket.SocketChannel;
import io.netty.channel.socket.nio.NioDatagramChannel;
import io.netty.channel.socket.nio.NioDomainSocketChannel;
import io.netty.channel.socket.nio.NioServerDomainSocketChannel;
import io.netty.channel.socket.nio.NioServerSocketChannel;
import io.netty.channel.socket.nio.NioSocketChannel;
import io.netty.channel.unix.DomainSocketAddress;
import java.net.SocketAddress;
import java.net.UnixDomainSocketAddress;
import java.nio.file.Path;
import java.util.Locale;

/**
 * Which of Netty's transports the program runs on: the event loops, and the channels that fit them.
 *
 * <p>The classes of a transport are touched only by the methods of its own constant, so that one which is not used is
 * neither loaded nor initialised.
 */
public enum Transport {
    /** The JDK's selectors: every platform. */
    NIO,
    /** Linux: epoll's loops, and system calls of our own for what is fastest that way. */
    NATIVE,
    /** Linux. */
    EPOLL,
    /** macOS and the BSDs. */
    KQUEUE;

    /** The system property that chooses the transport: {@code nio}, {@code epoll}, {@code kqueue} or {@code native}. */
    public static final String PROPERTY = "slipway.transport";

    /**
     * The transport to use: the one named by {@link #PROPERTY}, else the platform's own, else {@link #NIO}.
     *
     * @throws IllegalArgumentException if the property names none, or one that this platform does not have
     */
    public static Transport best() {
        String wanted = System.getProperty(PROPERTY, "");
        if (!wanted.isEmpty()) {
            return named(wanted);
        }
        String system = System.getProperty("os.name", "").toLowerCase(Locale.ROOT);
        if (system.contains("linux")) {
            return NATIVE.isAvailable() ? NATIVE : EPOLL.isAvailable() ? EPOLL : NIO;
        }
        if (system.contains("mac") || system.contains("bsd")) {
            return KQUEUE.isAvailable() ? KQUEUE : NIO;
        }
        return NIO;
    }

    private static Transport named(String name) {
        for (Transport transport : values()) {
            if (transport.name().equalsIgnoreCase(name)) {
                if (!transport.isAvailable()) {
                    throw new IllegalArgumentException(PROPERTY + "=" + name + ": not available on this platform");
                }
                return transport;
            }
        }
        throw new IllegalArgumentException(PROPERTY + "=" + name + ": must be nio, epoll, kqueue or native");
    }

    /** Whether this platform has it. */
    public boolean isAvailable() {
        return switch (this) {
            case NIO -> true;
            case NATIVE -> Epoll.isAvailable() && Sockets.isSupported();
            case EPOLL -> Epoll.isAvailable();
            case KQUEUE -> KQueue.isAvailable();
        };
    }

    /** What makes the event loops of a {@link io.netty.channel.MultiThreadIoEventLoopGroup}. */
    public IoHandlerFactory ioHandlerFactory() {
        return switch (this) {
            case NIO -> NioIoHandler.newFactory();
            case EPOLL, NATIVE -> EpollIoHandler.newFactory();
            case KQUEUE -> KQueueIoHandler.newFactory();
        };
    }

    /** Listens on a Unix stream socket; see {@link #unixAddress}. */
    public Class<? extends ServerChannel> unixServerChannel() {
        return switch (this) {
            case NIO -> NioServerDomainSocketChannel.class;
            case EPOLL, NATIVE -> EpollServerDomainSocketChannel.class;
            case KQUEUE -> KQueueServerDomainSocketChannel.class;
        };
    }

    /** A Unix stream socket; see {@link #unixAddress}. */
    public Class<? extends Channel> unixChannel() {
        return switch (this) {
            case NIO -> NioDomainSocketChannel.class;
            case EPOLL, NATIVE -> EpollDomainSocketChannel.class;
            case KQUEUE -> KQueueDomainSocketChannel.class;
        };
    }

    /**
     * A channel for a socket that came from elsewhere, of a transport on epoll.
     *
     * @param unix whether it is a Unix stream socket rather than TCP's
     * @param listening whether it listens
     */
    Channel adopt(int descriptor, boolean unix, boolean listening) {
        if (unix) {
            return listening
                    ? new EpollServerDomainSocketChannel(descriptor, true)
                    : new EpollDomainSocketChannel(descriptor);
        }
        return listening ? new EpollServerSocketChannel(descriptor) : new EpollSocketChannel(descriptor);
    }

    /** Listens on TCP. */
    public Class<? extends ServerSocketChannel> tcpServerChannel() {
        return switch (this) {
            case NIO -> NioServerSocketChannel.class;
            case EPOLL, NATIVE -> EpollServerSocketChannel.class;
            case KQUEUE -> KQueueServerSocketChannel.class;
        };
    }

    /** A TCP connection. */
    public Class<? extends SocketChannel> tcpChannel() {
        return switch (this) {
            case NIO -> NioSocketChannel.class;
            case EPOLL, NATIVE -> EpollSocketChannel.class;
            case KQUEUE -> KQueueSocketChannel.class;
        };
    }

    /** A UDP socket. */
    public Class<? extends DatagramChannel> datagramChannel() {
        return switch (this) {
            case NIO -> NioDatagramChannel.class;
            case EPOLL, NATIVE -> EpollDatagramChannel.class;
            case KQUEUE -> KQueueDatagramChannel.class;
        };
    }

    /** The address of a Unix socket in the type that this transport's channels take. */
    public SocketAddress unixAddress(Path path) {
        return switch (this) {
            case NIO -> UnixDomainSocketAddress.of(path);
            case EPOLL, NATIVE, KQUEUE -> new DomainSocketAddress(path.toString());
        };
    }
}
