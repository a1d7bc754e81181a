package dev.slipway.ethernet;

import dev.slipway.seam.FrameSink;
import dev.slipway.wire.Frame;

/**
 * The link to one guest: where its frames come from and go to. It outlives its connection: a VM that goes and comes
 * back finds the same link, and while nobody is attached {@link #room} is 0 and what is sent is dropped and counted.
 *
 * <p>Everything, the receiver's methods included, runs on the event loop that owns the link.
 */
public interface GuestLink extends FrameSink, AutoCloseable {

    /** Ends the turn: what was sent goes to the guest in as few system calls as the kernel takes it in. */
    void flush();

    /** Whether a guest is connected. */
    boolean isAttached();

    /** What the link has counted. */
    LinkCounters counters();

    /** Ends the connection, if any, and stops listening. */
    @Override
    void close();

    /** Who gets what the guest sends. */
    interface Receiver {

        /** A guest connected. */
        void attached();

        /** One frame; its bytes stay valid until {@link #endOfBatch} returns. */
        void frame(Frame frame);

        /** Every frame of one read has been handed over. */
        void endOfBatch();

        /** {@link FrameSink#room} was used up and there is room again. */
        void ready();

        /**
         * The guest is gone.
         *
         * @param reason what ended the connection, for people: end of stream, an error, a frame that lied about its
         *     length
         */
        void detached(String reason);
    }
}
