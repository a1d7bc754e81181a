package dev.slipway.ethernet;

import dev.slipway.wire.Frame;
import java.util.concurrent.Executor;
import java.util.function.BooleanSupplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * What a link tells its receiver, on its event loop. What the receiver throws goes no further: it is counted, the first is
 * logged with its stack, and the link goes on.
 */
public final class GuestEvents {

    private static final Logger LOG = LoggerFactory.getLogger(GuestEvents.class);

    private final Executor loop;
    private final LinkCounters counters;
    private final BooleanSupplier attached;
    private final Runnable ready = this::deliverReady;
    private GuestLink.Receiver receiver;
    private boolean readyPosted;

    /**
     * Events that nobody hears yet.
     *
     * @param loop the event loop that owns the link
     * @param counters where failures are counted
     * @param attached whether a guest is there, so that somebody wants to hear of room
     */
    public GuestEvents(Executor loop, LinkCounters counters, BooleanSupplier attached) {
        this.loop = loop;
        this.counters = counters;
        this.attached = attached;
    }

    /** Says who hears them from now on. */
    public void to(GuestLink.Receiver newReceiver) {
        receiver = newReceiver;
    }

    /** A guest is there. */
    public void attached() {
        try {
            receiver.attached();
        } catch (RuntimeException | OutOfMemoryError | LinkageError e) {
            failed("attached", e);
        }
    }

    /** A frame came. */
    public void frame(Frame frame) {
        try {
            receiver.frame(frame);
        } catch (RuntimeException | OutOfMemoryError | LinkageError e) {
            failed("frame", e);
        }
    }

    /** That were all frames of a batch. */
    public void endOfBatch() {
        try {
            receiver.endOfBatch();
        } catch (RuntimeException | OutOfMemoryError | LinkageError e) {
            failed("end of batch", e);
        }
    }

    /** The guest is gone. */
    public void detached(String reason) {
        try {
            receiver.detached(reason);
        } catch (RuntimeException | OutOfMemoryError | LinkageError e) {
            failed("detached", e);
        }
    }

    /** There is room again: told in a later event, once, if a guest is there then. */
    public void postReady() {
        if (!readyPosted) {
            // In this order, as it may fail for want of memory.
            loop.execute(ready);
            readyPosted = true;
        }
    }

    private void deliverReady() {
        readyPosted = false;
        if (attached.getAsBoolean()) {
            try {
                receiver.ready();
            } catch (RuntimeException | OutOfMemoryError | LinkageError e) {
                failed("ready", e);
            }
        }
    }

    /**
     * Counts a defect, and logs it if it is the first.
     *
     * @param event in which it happened
     */
    public void failed(String event, Throwable failure) {
        counters.failure();
        if (counters.failures() == 1) {
            LOG.error("a defect while handling '{}' from the guest; later ones are only counted", event, failure);
        }
    }
}
