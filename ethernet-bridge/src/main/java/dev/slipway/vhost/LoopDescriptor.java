package dev.slipway.vhost;

import dev.slipway.posix.Sockets;
import io.netty.channel.EventLoop;
import io.netty.channel.IoEvent;
import io.netty.channel.IoEventLoop;
import io.netty.channel.IoRegistration;
import io.netty.channel.epoll.EpollIoHandle;
import io.netty.channel.epoll.EpollIoOps;
import io.netty.channel.unix.FileDescriptor;
import io.netty.util.concurrent.Future;

/** A descriptor on the event loop, which closes it. */
final class LoopDescriptor implements EpollIoHandle {

    /** While there is something to read. */
    static final EpollIoOps READ = EpollIoOps.EPOLLIN;

    /**
     * Whenever there is something new to read: of an eventfd each write, without its being read. So a kick costs no
     * system call, and its descriptor need not be one that does not block.
     */
    static final EpollIoOps EACH_WRITE = EpollIoOps.valueOf(EpollIoOps.EPOLLIN.value() | EpollIoOps.EPOLLET.value());

    /** Nothing but errors; wanting nothing at all would end the registration. */
    static final EpollIoOps PAUSE = EpollIoOps.EPOLLERR;

    private final FileDescriptor descriptor;
    private final Sockets sockets;
    private final Runnable readable;
    private final IoRegistration registration;
    private boolean closed;

    /**
     * Registers it; on the loop's thread. Not closed if this fails.
     *
     * @param readable what to do when there is something to read
     * @throws IllegalStateException if the loop does not take it
     */
    LoopDescriptor(EventLoop loop, Sockets sockets, int fd, EpollIoOps wanted, Runnable readable) {
        this.descriptor = new FileDescriptor(fd);
        this.sockets = sockets;
        this.readable = readable;
        Future<IoRegistration> registered = ((IoEventLoop) loop).register(this);
        if (!registered.isSuccess()) {
            throw new IllegalStateException("not registered with the event loop", registered.cause());
        }
        registration = registered.getNow();
        registration.submit(wanted);
    }

    void want(EpollIoOps wanted) {
        if (!closed) {
            registration.submit(wanted);
        }
    }

    int number() {
        return descriptor.intValue();
    }

    @Override
    public FileDescriptor fd() {
        return descriptor;
    }

    @Override
    public void handle(IoRegistration ignored, IoEvent event) {
        if (!closed) {
            readable.run();
        }
    }

    /** Called by the loop too, when it ends. */
    @Override
    public void close() {
        if (!closed) {
            closed = true;
            registration.cancel();
            sockets.close(descriptor.intValue());
        }
    }
}
