package dev.slipway.ethernet;

import dev.slipway.posix.Sockets;
import io.netty.channel.EventLoop;
import io.netty.channel.IoEvent;
import io.netty.channel.IoEventLoop;
import io.netty.channel.IoRegistration;
import io.netty.channel.epoll.EpollIoEvent;
import io.netty.channel.epoll.EpollIoHandle;
import io.netty.channel.epoll.EpollIoOps;
import io.netty.channel.unix.FileDescriptor;
import io.netty.util.concurrent.Future;

/** A descriptor on the event loop, which closes it. */
public final class LoopDescriptor implements EpollIoHandle {

    /** While there is something to read. */
    public static final EpollIoOps READ = EpollIoOps.EPOLLIN;

    /**
     * Whenever there is something new to read: of an eventfd each write, without its being read. So a kick costs no
     * system call, and its descriptor need not be one that does not block.
     */
    public static final EpollIoOps EACH_WRITE =
            EpollIoOps.valueOf(EpollIoOps.EPOLLIN.value() | EpollIoOps.EPOLLET.value());

    /** Nothing but errors; wanting nothing at all would end the registration. */
    public static final EpollIoOps PAUSE = EpollIoOps.EPOLLERR;

    /** What happens to a descriptor. */
    public interface Happening {
        /** @param events what it is, in the bits of epoll */
        void happened(int events);
    }

    private final FileDescriptor descriptor;
    private final Sockets sockets;
    private final Happening happening;
    private final IoRegistration registration;
    private int wanted;
    private boolean closed;

    /**
     * Registers it; on the loop's thread. Not closed if this fails.
     *
     * @param happening what to do when there is what is wanted
     * @throws IllegalStateException if the loop does not take it
     */
    public LoopDescriptor(EventLoop loop, Sockets sockets, int fd, EpollIoOps wanted, Happening happening) {
        this.descriptor = new FileDescriptor(fd);
        this.sockets = sockets;
        this.happening = happening;
        Future<IoRegistration> registered = ((IoEventLoop) loop).register(this);
        if (!registered.isSuccess()) {
            throw new IllegalStateException("not registered with the event loop", registered.cause());
        }
        registration = registered.getNow();
        want(wanted);
    }

    /** Waits for something else from now on. */
    public void want(EpollIoOps ops) {
        if (!closed && wanted != ops.value()) {
            wanted = ops.value();
            registration.submit(ops);
        }
    }

    public int number() {
        return descriptor.intValue();
    }

    @Override
    public FileDescriptor fd() {
        return descriptor;
    }

    @Override
    public void handle(IoRegistration ignored, IoEvent event) {
        if (!closed) {
            happening.happened(((EpollIoEvent) event).ops().value());
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
