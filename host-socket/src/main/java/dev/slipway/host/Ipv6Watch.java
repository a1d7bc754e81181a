package dev.slipway.host;

import dev.slipway.seam.Ipv6Settings;
import io.netty.channel.EventLoop;
import io.netty.util.concurrent.ScheduledFuture;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;

/**
 * Whether a guest has a way out by IPv6: as settings say, or as long as the host has one. Who has to tell the guest hears of
 * each change. Belongs to the VM's event loop; {@link Ipv6Way} is how the host is looked at.
 */
final class Ipv6Watch implements AutoCloseable {

    /** How often a session looks whether the host has a way out by IPv6, in milliseconds. */
    private static final int LOOK_MILLIS = 5_000;

    /** Hears of changes. */
    interface Listener {
        /** @param isThere whether there is a way out from now on */
        void changed(boolean isThere);
    }

    private final Ipv6Settings settings;
    private final Ipv6Way way;
    private final Listener listener;
    private boolean there;
    private ScheduledFuture<?> looking;
    private boolean closed;

    Ipv6Watch(Ipv6Settings settings, Ipv6Way way, Listener listener) {
        this.settings = settings;
        this.way = way;
        this.listener = listener;
    }

    /**
     * Looks from time to time, if there is anything to be found out.
     *
     * @param failed told if looking failed, which does not end it
     */
    void start(EventLoop loop, Consumer<Throwable> failed) {
        if (settings.enabled() && settings.followsHost()) {
            Runnable look = () -> look(failed);
            looking = loop.scheduleWithFixedDelay(look, 0, LOOK_MILLIS, TimeUnit.MILLISECONDS);
        }
    }

    private void look(Consumer<Throwable> failed) {
        try {
            hasWayOut();
        } catch (RuntimeException | OutOfMemoryError | LinkageError e) {
            failed.accept(e);
        }
    }

    /** Whether the guest has a way out by IPv6 now; if that has changed, the listener hears it first. */
    boolean hasWayOut() {
        if (!settings.enabled() || !settings.followsHost()) {
            return settings.enabled();
        }
        boolean now = way.isThere();
        if (now != there && !closed) {
            there = now;
            listener.changed(now);
        }
        return now;
    }

    /** Whether the guest was told of a router, so that it can answer addresses of other networks. */
    boolean guestHasRouter() {
        return there || !settings.followsHost();
    }

    @Override
    public void close() {
        closed = true;
        if (looking != null) {
            looking.cancel(false);
        }
    }
}
