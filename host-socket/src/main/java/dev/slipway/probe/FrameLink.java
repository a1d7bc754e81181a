package dev.slipway.probe;

import java.io.Closeable;
import java.io.IOException;
import java.lang.foreign.MemorySegment;

/** The wire of the built-in guest: frames both ways, and the time. One thread uses it. */
interface FrameLink extends Closeable {

    /** Where frames to send are built. */
    MemorySegment memory();

    /** How many bytes of frames may be sent now without using up what is kept for acknowledgements. */
    int room();

    /**
     * Begins a frame.
     *
     * @return where in {@link #memory} its bytes go, or -1 if there is no room at all
     */
    long begin(int length);

    /** Queues the frame begun last. */
    void send(int length);

    /** Writes what is queued, as far as the other side takes it just now. */
    void flush() throws IOException;

    /**
     * Hands over every frame that is there; if there is none, waits for one.
     *
     * @param waitNanos how long to wait at most
     * @return whether there was a frame
     * @throws IOException if the link is broken, closed by the other side, or says things that cannot be
     */
    boolean receive(Receiver receiver, long waitNanos) throws IOException;

    /** Nanoseconds of a clock that never goes back. */
    long now();

    /** Who gets the frames; the bytes are valid only during the call. */
    interface Receiver {
        void frame(MemorySegment bytes, long offset, int length);
    }
}
