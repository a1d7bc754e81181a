package dev.slipway.host;

import dev.slipway.ethernet.Transport;
import io.netty.channel.IoEventLoop;
import io.netty.channel.IoHandlerFactory;
import io.netty.channel.MultiThreadIoEventLoopGroup;
import io.netty.util.concurrent.DefaultThreadFactory;
import java.util.concurrent.Executor;

/** The event loops of VMs: one thread each. */
final class EventLoops {

    private EventLoops() {}

    /**
     * One event loop on a thread of its own, which keeps the process alive until it is shut down.
     *
     * @param name of the thread
     */
    static MultiThreadIoEventLoopGroup single(Transport transport, String name) {
        boolean epoll = transport == Transport.EPOLL || transport == Transport.NATIVE;
        IoHandlerFactory handlers =
                epoll ? EpollRegistration.wrap(transport.ioHandlerFactory()) : transport.ioHandlerFactory();
        return new MultiThreadIoEventLoopGroup(1, new DefaultThreadFactory(name), handlers) {
            @Override
            protected IoEventLoop newChild(Executor executor, IoHandlerFactory factory, Object... arguments) {
                return epoll
                        ? LastingEventLoop.polling(this, executor, factory)
                        : new LastingEventLoop(this, executor, factory);
            }
        };
    }
}
