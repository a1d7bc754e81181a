package dev.slipway.ethernet;

import dev.slipway.ethernet.SocketPathException.Reason;
import dev.slipway.posix.Errno;
import dev.slipway.posix.SocketAddress;
import dev.slipway.posix.Sockets;
import io.netty.channel.EventLoop;
import java.nio.file.Path;

/**
 * A Unix socket of mode 0600 with a name in the file system, made by system calls, on the event loop. A name that belongs
 * to a socket which nobody has open is taken over.
 */
public final class BoundSocket implements AutoCloseable {

    private static final int MODE = 0600;
    private static final int BACKLOG = 16;

    private final LoopDescriptor descriptor;
    private final UnixSocketPath file;

    private BoundSocket(LoopDescriptor descriptor, UnixSocketPath file) {
        this.descriptor = descriptor;
        this.file = file;
    }

    /**
     * Makes one; on the loop's thread. One for connections listens.
     *
     * @param type SOCK_STREAM or its like
     * @param readable what to do when there is something to read, or somebody connects
     * @throws SocketPathException if no socket can be made there
     */
    public static BoundSocket open(
            EventLoop loop, Sockets sockets, Path path, int type, LoopDescriptor.Happening readable)
            throws SocketPathException {
        UnixSocketPath prepared = UnixSocketPath.prepareInPlace(path);
        int fd = sockets.open(Sockets.AF_UNIX, type);
        check(path, fd);
        try {
            sockets.setMode(fd, MODE);
            check(path, sockets.bind(fd, new SocketAddress().set(path)));
            prepared.publish();
            if (type != Sockets.SOCK_DGRAM) {
                check(path, sockets.listen(fd, BACKLOG));
            }
            return new BoundSocket(new LoopDescriptor(loop, sockets, fd, LoopDescriptor.READ, readable), prepared);
        } catch (SocketPathException | RuntimeException e) {
            sockets.close(fd);
            prepared.remove();
            throw e;
        }
    }

    private static void check(Path path, int result) throws SocketPathException {
        if (result < 0) {
            throw new SocketPathException(path, Reason.REFUSED, "cannot listen on it: " + Errno.name(-result));
        }
    }

    public LoopDescriptor descriptor() {
        return descriptor;
    }

    /** Closes it and removes its name. */
    @Override
    public void close() {
        descriptor.close();
        file.remove();
    }
}
