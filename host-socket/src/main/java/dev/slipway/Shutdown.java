package dev.slipway;

import java.util.ArrayDeque;
import java.util.Deque;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * What happens when the program is told to stop (SIGTERM, SIGINT, SIGHUP): what was opened is closed in reverse order,
 * and the program exits with code 0, because being stopped is how {@code run} ends. It takes no longer than {@link
 * #LIMIT_MILLIS}.
 */
final class Shutdown extends Thread {

    /** The longest that closing may take, in milliseconds. */
    static final long LIMIT_MILLIS = 4_000;

    private static final Logger LOG = LoggerFactory.getLogger(Shutdown.class);

    private final Deque<AutoCloseable> open = new ArrayDeque<>();
    private boolean begun;

    private Shutdown() {
        super("shutdown");
    }

    /** Makes it so from now on. */
    static Shutdown install() {
        Shutdown shutdown = new Shutdown();
        Runtime.getRuntime().addShutdownHook(shutdown);
        return shutdown;
    }

    /** Closes something at the end, before what was added earlier; at once if the end has begun. */
    void add(AutoCloseable opened) {
        synchronized (open) {
            if (!begun) {
                open.push(opened);
                return;
            }
        }
        close(opened);
    }

    /** The program fails instead of being stopped: closes everything now and leaves the exit code alone. */
    void cancel() {
        try {
            Runtime.getRuntime().removeShutdownHook(this);
            closeAll();
        } catch (IllegalStateException e) {
            // Told to stop in the same moment: the hook closes everything.
            return;
        }
    }

    @Override
    public void run() {
        Thread watchdog = new Thread(() -> {
            try {
                Thread.sleep(LIMIT_MILLIS);
            } catch (InterruptedException e) {
                return;
            }
            Runtime.getRuntime().halt(Command.DONE);
        });
        watchdog.setDaemon(true);
        watchdog.start();
        closeAll();
        // A hook cannot change the exit code of a signal (128 and its number) but by ending the process itself.
        Runtime.getRuntime().halt(Command.DONE);
    }

    private void closeAll() {
        while (true) {
            AutoCloseable next;
            synchronized (open) {
                begun = true;
                next = open.poll();
            }
            if (next == null) {
                return;
            }
            close(next);
        }
    }

    private static void close(AutoCloseable opened) {
        try {
            opened.close();
        } catch (Exception e) {
            LOG.warn("while stopping: {}", e.toString());
        }
    }
}
