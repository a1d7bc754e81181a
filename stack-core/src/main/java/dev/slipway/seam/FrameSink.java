package dev.slipway.seam;

import dev.slipway.wire.Frame;

/**
 * The way of frames to the guest: what a channel is to the stack.
 *
 * <p>Frames are built in the channel's own memory, so that a byte of the host is written once. They may be large units
 * with partial checksums, whatever the channel can carry: one without offload cuts and sums them on the way out.
 * Called only on the thread that owns the stack.
 */
public interface FrameSink {

    /**
     * How many bytes of frames the channel takes before it is full, as far as data that can wait is concerned. 0 or
     * less: full; the owner of the channel calls {@code Stack.guestReady} when there is room again. Frames that cannot
     * wait (acknowledgements, ARP, DHCP …) may be sent beyond it, into a reserve.
     */
    int room();

    /**
     * Begins a frame.
     *
     * @param capacity bytes that will be written from {@link Frame#offset} on, at most {@link Frame#MAX_LENGTH}
     * @return a frame of that length, to be filled and given to {@link #send}, or not; it is void at the next call of
     *     this method. Its bytes are not zeroed. Where it is the first of a {@linkplain Frame#row row}, the bytes of the row
     *     may be written before its frames are begun: so who stands before a channel and sends frames of its own while one is
     *     sent tells of no row.
     */
    Frame begin(int capacity);

    /**
     * Sends the frame begun last. If even the reserve is used up it is dropped and counted. What is sent reaches the
     * channel at the latest when the turn ends.
     */
    void send(Frame frame);
}
