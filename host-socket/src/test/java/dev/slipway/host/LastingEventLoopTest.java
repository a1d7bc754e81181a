package dev.slipway.host;

import static org.assertj.core.api.Assertions.assertThat;

import io.netty.channel.IoHandler;
import io.netty.channel.IoHandlerContext;
import io.netty.channel.IoHandlerFactory;
import io.netty.channel.nio.NioIoHandler;
import io.netty.util.concurrent.DefaultThreadFactory;
import io.netty.util.concurrent.ThreadAwareExecutor;
import io.netty.util.concurrent.ThreadPerTaskExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
class LastingEventLoopTest {

    @Test
    void whatIsThrownOutOfATurnCostsTheTurnOnly() throws Exception {
        AtomicReference<Throwable> next = new AtomicReference<>();
        LastingEventLoop loop = new LastingEventLoop(
                null,
                new ThreadPerTaskExecutor(new DefaultThreadFactory("lasting")),
                new Throwing(NioIoHandler.newFactory(), next));
        try {
            assertThat(loop.submit(() -> 1).get(30, TimeUnit.SECONDS)).isEqualTo(1);
            for (Throwable thrown : new Throwable[] {
                new OutOfMemoryError("for a test"), new IllegalStateException("for a test"), new StackOverflowError()
            }) {
                next.set(thrown);
                assertThat(loop.submit(() -> 2).get(30, TimeUnit.SECONDS)).isEqualTo(2);
                // It is thrown by one of the next turns, each of which takes a task or more.
                while (next.get() != null) {
                    assertThat(loop.submit(() -> 3).get(30, TimeUnit.SECONDS)).isEqualTo(3);
                }
                assertThat(loop.submit(() -> 3).get(30, TimeUnit.SECONDS)).isEqualTo(3);
            }
            assertThat(loop.schedule(() -> 4, 1, TimeUnit.MILLISECONDS).get(30, TimeUnit.SECONDS))
                    .isEqualTo(4);
        } finally {
            loop.shutdownGracefully(0, 1, TimeUnit.SECONDS);
        }
        assertThat(loop.awaitTermination(30, TimeUnit.SECONDS)).isTrue();
        // The heap is everybody's: until it has sufficed for a while, no other test's flow would begin.
        while (!MemoryReserve.ofThisProcess().admitsFlows()) {
            Thread.onSpinWait();
        }
    }

    private record Throwing(IoHandlerFactory handlers, AtomicReference<Throwable> next) implements IoHandlerFactory {
        @Override
        public IoHandler newHandler(ThreadAwareExecutor executor) {
            return new ThrowingHandler(handlers.newHandler(executor), next);
        }
    }

    private static final class ThrowingHandler extends IoHandlerDecorator {

        private final AtomicReference<Throwable> next;

        ThrowingHandler(IoHandler handler, AtomicReference<Throwable> next) {
            super(handler);
            this.next = next;
        }

        @Override
        public int run(IoHandlerContext context) {
            Throwable thrown = next.getAndSet(null);
            if (thrown instanceof Error error) {
                throw error;
            }
            if (thrown instanceof RuntimeException exception) {
                throw exception;
            }
            return super.run(context);
        }
    }
}
