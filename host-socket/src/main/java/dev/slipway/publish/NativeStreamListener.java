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
 * Accepts TCP connections by system calls, one call for each, on the event loop of the VM where there is only one, else on
 * that of all ports, which passes their descriptors on.
 *
 * <p>Made and closed on the loop of all ports. A socket that another loop still waits on is first made to listen no more,
 * so its clients are refused and its port can be had anew at once; that loop closes it.
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
    private final Accepting home;
    private final Accepting accepting;
    private final int fd;
    private final FileDescriptor descriptor;
    private final Runnable acceptMore = this::accept;
    private IoRegistration registration;
    private volatile boolean closed;

    /**
     * A thread, and what it makes its system calls with.
     *
     * @param address for whatever is to be named
     */
    record Accepting(IoEventLoop loop, Sockets sockets, SocketAddress address) {

        Accepting(IoEventLoop loop) {
            this(loop, new Sockets(), new SocketAddress());
        }
    }

    private NativeStreamListener(
            PortRequest request, boolean preserveSource, Targets targets, Accepting home, Accepting accepting, int fd) {
        this.request = request;
        this.preserveSource = preserveSource;
        this.targets = targets;
        this.home = home;
        this.accepting = accepting;
        this.fd = fd;
        this.descriptor = new FileDescriptor(fd);
    }

    /**
     * Listens; on the home loop's own thread.
     *
     * @param home the loop of all ports
     * @param accepting where connections are to be taken
     * @throws BindException if somebody has the port
     */
    static NativeStreamListener listen(
            PortRequest request,
            IpAddress at,
            boolean preserveSource,
            Targets targets,
            Accepting home,
            Accepting accepting)
            throws IOException {
        int fd = home.sockets().open(at.isV4() ? Sockets.AF_INET : Sockets.AF_INET6, Sockets.SOCK_STREAM);
        if (fd < 0) {
            throw new IOException(meaning(fd));
        }
        NativeStreamListener listener = new NativeStreamListener(request, preserveSource, targets, home, accepting, fd);
        try {
            listener.listen(at);
            return listener;
        } catch (IOException e) {
            home.sockets().close(fd);
            throw e;
        }
    }

    private void listen(IpAddress at) throws IOException {
        Sockets sockets = home.sockets();
        sockets.setOption(fd, Sockets.SOL_SOCKET, Sockets.SO_REUSEADDR, 1);
        sockets.setOption(fd, Sockets.IPPROTO_TCP, Sockets.TCP_NODELAY, 1);
        sockets.resetOnClose(fd);
        int result = sockets.bind(fd, home.address().set(at, request.hostPort()));
        if (result == 0) {
            result = sockets.listen(fd, StreamListener.BACKLOG);
        }
        if (result == -Errno.EADDRINUSE) {
            throw new BindException(meaning(result));
        }
        if (result < 0) {
            throw new IOException(meaning(result));
        }
        try {
            accepting.loop().execute(this::register);
        } catch (RejectedExecutionException e) {
            throw new IOException("the VM has just ended", e);
        }
    }

    /** Clients that come before this wait in the kernel. */
    private void register() {
        if (closed) {
            return;
        }
        Future<IoRegistration> registered = accepting.loop().register(this);
        if (registered.isSuccess()) {
            registration = registered.getNow();
            registration.submit(INTEREST);
        } else {
            later(this::register);
        }
    }

    private void later(Runnable task) {
        accepting.loop().schedule(task, StreamListener.PAUSE_MILLIS, TimeUnit.MILLISECONDS);
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
        return home.sockets().localPort(fd);
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
            int accepted = accepting.sockets().accept(fd, accepting.address());
            if (accepted >= 0) {
                passOnOrLater(accepted);
                continue;
            }
            if (!Errno.isAgain(accepted)) {
                // No descriptor left, most likely. The connection waits in the kernel: ask again later rather than
                // spin.
                later(acceptMore);
            }
            return;
        }
        accepting.loop().execute(acceptMore);
    }

    private void passOnOrLater(int accepted) {
        try {
            passOn(accepted);
        } catch (RuntimeException | OutOfMemoryError e) {
            // It costs this client its connection, not those behind it.
            later(acceptMore);
            throw e;
        }
    }

    private void passOn(int accepted) {
        Targets.Target target = targets.find(request);
        if (target == null) {
            accepting.sockets().close(accepted);
            return;
        }
        VmSession session = target.session();
        IpAddress client = accepting.address().ip();
        int clientPort = accepting.address().port();
        if (session.loop() == accepting.loop()) {
            session.clients()
                    .connect(target.guest(), request.guestPort(), client, clientPort, preserveSource, accepted);
            return;
        }
        try {
            session.loop()
                    .execute(() -> session.clients()
                            .connect(
                                    target.guest(), request.guestPort(), client, clientPort, preserveSource, accepted));
        } catch (RejectedExecutionException e) {
            // The VM has just ended.
            accepting.sockets().close(accepted);
        }
    }

    @Override
    public void close() {
        if (closed) {
            return;
        }
        closed = true;
        if (accepting.loop().inEventLoop()) {
            release();
            return;
        }
        home.sockets().stopListening(fd);
        try {
            accepting.loop().execute(this::release);
        } catch (RejectedExecutionException e) {
            // That loop has ended, and waits for nothing any more.
            home.sockets().close(fd);
        }
    }

    private void release() {
        if (registration != null) {
            registration.cancel();
        }
        accepting.sockets().close(fd);
    }
}
