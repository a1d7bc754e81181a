package dev.slipway.ethernet;

import dev.slipway.posix.Errno;
import dev.slipway.posix.Sockets;
import io.netty.channel.EventLoop;
import io.netty.util.concurrent.Future;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;

/**
 * Accepts connections for a link that serves one at a time. The next one waits {@link StreamLink#GRACE_MILLIS} for the end
 * of the one before (a VM that was started again may be back before its end was read), or until another comes, and is then
 * closed and counted.
 *
 * <p>When the process has no descriptor left, connections wait in the kernel, and accepting rests for {@value
 * #PAUSE_MILLIS} ms rather than spin.
 */
public final class Acceptor {

    private static final int PAUSE_MILLIS = 1000;
    private static final int NONE = -1;

    /** Whose connections they are. */
    public interface Link {
        /** Whether one is served, so that the next has to wait. */
        boolean isTaken();

        /** Serves a connection from now on, or closes it. */
        void connected(int fd);
    }

    private final EventLoop loop;
    private final Sockets sockets;
    private final LinkCounters counters;
    private final Link link;
    private BoundSocket socket;
    private int waiting = NONE;
    private Future<?> patience;
    private boolean closed;

    /** @param counters where refused connections are counted */
    public Acceptor(EventLoop loop, Sockets sockets, LinkCounters counters, Link link) {
        this.loop = loop;
        this.sockets = sockets;
        this.counters = counters;
        this.link = link;
    }

    /**
     * Makes a Unix socket and listens on it; on the loop's thread.
     *
     * @param type SOCK_STREAM or SOCK_SEQPACKET
     * @throws SocketPathException if no socket can be made there
     */
    public void listen(Path path, int type) throws SocketPathException {
        socket = BoundSocket.open(loop, sockets, path, type, events -> acceptable());
    }

    private void acceptable() {
        LoopDescriptor listening = socket.descriptor();
        int fd = sockets.accept(listening.number());
        while (fd >= 0) {
            arrived(fd);
            if (closed) {
                return;
            }
            fd = sockets.accept(listening.number());
        }
        if (fd == -Errno.EMFILE || fd == -Errno.ENFILE || fd == -Errno.ENOMEM || fd == -Errno.ENOBUFS) {
            counters.refusedConnection();
            listening.want(LoopDescriptor.PAUSE);
            loop.schedule(() -> listening.want(LoopDescriptor.READ), PAUSE_MILLIS, TimeUnit.MILLISECONDS);
        }
    }

    private void arrived(int fd) {
        if (!link.isTaken()) {
            link.connected(fd);
            return;
        }
        if (waiting != NONE) {
            // Whose end nobody has noticed yet, if it is the same VM that comes again and again.
            refuseWaiting();
        }
        waiting = fd;
        patience = loop.schedule(this::refuseWaiting, StreamLink.GRACE_MILLIS, TimeUnit.MILLISECONDS);
    }

    private void refuseWaiting() {
        counters.refusedConnection();
        dismissWaiting();
    }

    private void dismissWaiting() {
        if (waiting != NONE) {
            patience.cancel(false);
            sockets.close(waiting);
            waiting = NONE;
        }
    }

    /** The one that was served is gone: the one that waits, if any, is served, unless another is already. */
    public void next() {
        if (closed || socket == null || link.isTaken()) {
            return;
        }
        if (waiting != NONE) {
            int fd = waiting;
            waiting = NONE;
            patience.cancel(false);
            link.connected(fd);
        } else {
            // A descriptor is free again, too.
            socket.descriptor().want(LoopDescriptor.READ);
        }
    }

    /** Accepts no more, and lets go of who waits. */
    public void close() {
        closed = true;
        dismissWaiting();
        if (socket != null) {
            socket.close();
        }
    }
}
