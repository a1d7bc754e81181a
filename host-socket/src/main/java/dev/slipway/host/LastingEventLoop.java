package dev.slipway.host;

import io.netty.channel.IoEventLoopGroup;
import io.netty.channel.IoHandler;
import io.netty.channel.IoHandlerFactory;
import io.netty.channel.SingleThreadIoEventLoop;
import io.netty.util.concurrent.ThreadAwareExecutor;
import java.util.concurrent.Executor;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * An event loop that goes on when something is thrown out of it.
 *
 * <p>Netty contains most of what its handlers and tasks throw, but not an {@link OutOfMemoryError} in its own code: its
 * loop ends then, and the process lives on and serves nobody. Here the turn is lost, and the next one begins.
 */
final class LastingEventLoop extends SingleThreadIoEventLoop {

    private static final Logger LOG = LoggerFactory.getLogger(LastingEventLoop.class);

    private final Polling polling;

    LastingEventLoop(IoEventLoopGroup parent, Executor executor, IoHandlerFactory handlers) {
        this(parent, executor, new OnceInitialized(handlers), null);
    }

    private LastingEventLoop(IoEventLoopGroup parent, Executor executor, IoHandlerFactory handlers, Polling polling) {
        super(parent, executor, handlers);
        this.polling = polling;
    }

    /** One that polls for a little before it sleeps; see {@link PollingHandler}. */
    static LastingEventLoop polling(IoEventLoopGroup parent, Executor executor, IoHandlerFactory handlers) {
        Polling polling = new Polling(new OnceInitialized(handlers));
        return new LastingEventLoop(parent, executor, polling, polling);
    }

    /** A turn is over in which so many bytes were moved. On its own thread. */
    void carried(long bytes) {
        if (polling != null) {
            polling.handler.carried(bytes);
        }
    }

    @Override
    protected void run() {
        while (true) {
            try {
                super.run();
                return;
            } catch (OutOfMemoryError e) {
                MemoryReserve.ofThisProcess().exhausted();
            } catch (RuntimeException | StackOverflowError e) {
                LOG.error("a defect in the event loop, which goes on", e);
            }
        }
    }

    /** Each {@code run} initializes the handler, which can be done only once. */
    private record OnceInitialized(IoHandlerFactory handlers) implements IoHandlerFactory {
        @Override
        public IoHandler newHandler(ThreadAwareExecutor executor) {
            return new Handler(handlers.newHandler(executor));
        }

        @Override
        public boolean isChangingThreadSupported() {
            return handlers.isChangingThreadSupported();
        }
    }

    /** Knows the one handler that it has made. */
    private static final class Polling implements IoHandlerFactory {

        private final IoHandlerFactory handlers;
        private PollingHandler handler;

        Polling(IoHandlerFactory handlers) {
            this.handlers = handlers;
        }

        @Override
        public IoHandler newHandler(ThreadAwareExecutor executor) {
            handler = new PollingHandler(handlers.newHandler(executor), System::nanoTime);
            return handler;
        }

        @Override
        public boolean isChangingThreadSupported() {
            return handlers.isChangingThreadSupported();
        }
    }

    private static final class Handler extends IoHandlerDecorator {

        private boolean initialized;

        Handler(IoHandler handler) {
            super(handler);
        }

        @Override
        public void initialize() {
            if (!initialized) {
                initialized = true;
                super.initialize();
            }
        }
    }
}
