package dev.slipway.event;

import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.function.Consumer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Passes events on to whoever listens. Thread-safe; all listeners hear all events in the same order. */
public final class Events {

    private static final Logger LOG = LoggerFactory.getLogger(Events.class);

    private final List<Consumer<Event>> listeners = new CopyOnWriteArrayList<>();
    private long told;

    /** Tells an event to all who listen now. */
    public synchronized void tell(Event.Kind kind, Map<String, Object> facts) {
        Event event = new Event(++told, Instant.now(), kind, facts);
        for (Consumer<Event> listener : listeners) {
            try {
                listener.accept(event);
            } catch (RuntimeException e) {
                LOG.warn("a listener failed at {}", event, e);
            }
        }
    }

    /**
     * Listens from now on.
     *
     * @param listener called by whoever causes an event, which may be a VM's event loop: it must not wait for anything
     * @return ends it
     */
    public Runnable listen(Consumer<Event> listener) {
        listeners.add(listener);
        return () -> listeners.remove(listener);
    }
}
