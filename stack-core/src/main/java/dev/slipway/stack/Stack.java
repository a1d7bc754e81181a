package dev.slipway.stack;

import dev.slipway.wire.Frame;

/** Placeholder of signatures while the stack is being written. */
public abstract class Stack {
    /** A frame from the guest; its bytes stay valid until {@link #endTurn}. */
    public abstract void input(Frame frame, long now);
    /** All frames of a batch, or all events of a loop turn, have been handed over. */
    public abstract void endTurn(long now);
    /** The channel has room for frames again. */
    public abstract void guestReady(long now);
    /** Fires the timers that are due. */
    public abstract void poll(long now);
    /** When {@link #poll} is wanted next, or {@code Long.MAX_VALUE}. */
    public abstract long nextDeadline();
    /** The guest is gone: every flow is reset. */
    public abstract void reset(long now);
    public abstract DropCounters drops();
}
