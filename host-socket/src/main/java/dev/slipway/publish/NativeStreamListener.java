package dev.slipway.publish;

import dev.slipway.host.VmSession;
import dev.slipway.posix.Errno;
import dev.slipway.posix.SocketAddress;
import dev.slipway.posix.Sockets;
import dev.slipway.wire.IpAddress;
import io.netty.channel.IoEvent;
import io.netty.channel.IoEventLoop;
import io.netty.channel.IoRegistration;
import io.netty.channel.epoll.EpollIoHandle;
import io.netty.channel.epoll.EpollIoOps;
import io.netty.channel.unix.FileDescriptor;
import io.netty.util.concurrent.Future;
import java.io.IOException;
import java.net.BindException;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.TimeUnit;

/**
 * Accepts TCP connections by system calls, one call for each, and passes their descriptors on to the VM's event loop.
 *
 * <p>What every connection needs is set on the listening socket, which they have it from: TCP_NODELAY, and that a close
 * sends a reset. Registered edge-triggered: what is left for later is accepted by a task, so that neither a flood of
 * clients nor a want of descriptors keeps the event loop from the other ports.
 */
final class NativeStreamListener implements Listener, EpollIoHandle {

    private static final EpollIoOps INTEREST = EpollIoOps.EPOLLIN.with(EpollIoOps.EPOLLET);
    /** Connections accepted before others have their turn. */
    private static final int BATCH = 64;

    private final PortRequest request;
    private final boolean preserveSource;
    private final Targets targets;
    private final IoEventLoop loop;
    private final Sockets sockets;
    private final SocketAddress address;
    private final int fd;
    private final FileDescriptor descriptor;
    private final Runnable acceptMore = this::accept;
    private IoRegistration registration;
    private boolean closed;

    private NativeStreamListener(
            PortRequest request,
            boolean preserveSource,
            Targets targets,
            IoEventLoop loop,
            Sockets sockets,
            SocketAddress address,
            int fd) {
        this.request = request;
        this.preserveSource = preserveSource;
        this.targets = targets;
        this.loop = loop;
        this.sockets = sockets;
        this.address = address;
        this.fd = fd;
        this.descriptor = new FileDescriptor(fd);
    }

    /**
     * Listens; on the loop's own thread.
     *
     * @param sockets that thread's
     * @param address that thread's, for whatever is to be named
     * @throws BindException if somebody has the port
     */
    static NativeStreamListener listen(
            PortRequest request,
            IpAddress at,
            boolean preserveSource,
            Targets targets,
            IoEventLoop loop,
            Sockets sockets,
            SocketAddress address)
            throws IOException {
        int fd = sockets.open(at.isV4() ? Sockets.AF_INET : Sockets.AF_INET6, Sockets.SOCK_STREAM);
        if (fd < 0) {
            throw new IOException(meaning(fd));
        }
        NativeStreamListener listener =
                new NativeStreamListener(request, preserveSource, targets, loop, sockets, address, fd);
        try {
            listener.listen(at);
            return listener;
        } catch (IOException e) {
            sockets.close(fd);
            throw e;
        }
    }

    private void listen(IpAddress at) throws IOException {
        sockets.setOption(fd, Sockets.SOL_SOCKET, Sockets.SO_REUSEADDR, 1);
        sockets.setOption(fd, Sockets.IPPROTO_TCP, Sockets.TCP_NODELAY, 1);
        sockets.resetOnClose(fd);
        int result = sockets.bind(fd, address.set(at, request.hostPort()));
        if (result == 0) {
            result = sockets.listen(fd, StreamListener.BACKLOG);
        }
        if (result == -Errno.EADDRINUSE) {
            throw new BindException(meaning(result));
        }
        if (result < 0) {
            throw new IOException(meaning(result));
        }
        Future<IoRegistration> registered = loop.register(this);
        if (!registered.isSuccess()) {
            throw new IOException("cannot wait for clients", registered.cause());
        }
        registration = registered.getNow();
        registration.submit(INTEREST);
    }

    /** What an error number means, without its name. */
    private static String meaning(int result) {
        String name = Errno.name(-result);
        return name.substring(name.indexOf(':') + 1).strip();
    }

    @Override
    public FileDescriptor fd() {
        return descriptor;
    }

    @Override
    public int port() {
        return sockets.localPort(fd);
    }

    @Override
    public void handle(IoRegistration from, IoEvent event) {
        accept();
    }

    private void accept() {
        if (closed) {
            return;
        }
        for (int i = 0; i < BATCH; i++) {
            int accepted = sockets.accept(fd, address);
            if (accepted >= 0) {
                passOn(accepted);
                continue;
            }
            if (!Errno.isAgain(accepted)) {
                // No descriptor left, most likely. The connection waits in the kernel: ask again later rather than
                // spin.
                loop.schedule(acceptMore, StreamListener.PAUSE_MILLIS, TimeUnit.MILLISECONDS);
            }
            return;
        }
        loop.execute(acceptMore);
    }

    private void passOn(int accepted) {
        Targets.Target target = targets.find(request);
        if (target == null) {
            sockets.close(accepted);
            return;
        }
        VmSession session = target.session();
        IpAddress client = address.ip();
        int clientPort = address.port();
        try {
            session.loop()
                    .execute(() -> session.connectToGuest(
                            target.guest(), request.guestPort(), client, clientPort, preserveSource, accepted));
        } catch (RejectedExecutionException e) {
            // The VM has just ended.
            sockets.close(accepted);
        }
    }

    @Override
    public void close() {
        if (!closed) {
            closed = true;
            registration.cancel();
            sockets.close(fd);
        }
    }
}
