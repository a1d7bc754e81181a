package dev.slipway.ethernet;

import dev.slipway.ethernet.SocketPathException.Reason;
import io.netty.channel.EventLoop;
import java.util.concurrent.ExecutionException;

/** Work of a link's event loop that another thread waits for. */
public final class OnLoop {

    private OnLoop() {}

    /** What is to be done. */
    public interface Step {
        void run() throws SocketPathException;
    }

    /**
     * Does it on the loop's thread, and waits until it is done. From any thread, the loop's too.
     *
     * @param place where a link serves, for messages
     * @throws SocketPathException that it throws, or if this thread is interrupted
     */
    public static void run(EventLoop loop, String place, Step step) throws SocketPathException {
        if (loop.inEventLoop()) {
            step.run();
            return;
        }
        try {
            loop.submit(() -> {
                        step.run();
                        return null;
                    })
                    .get();
        } catch (ExecutionException e) {
            if (e.getCause() instanceof SocketPathException refused) {
                throw refused;
            }
            throw new IllegalStateException("cannot serve " + place, e.getCause());
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new SocketPathException(place, Reason.REFUSED, "interrupted", e);
        }
    }
}
