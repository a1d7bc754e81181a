package dev.slipway.host;

import dev.slipway.ethernet.GuestLink;
import dev.slipway.stack.Stack;
import io.netty.channel.EventLoop;
import io.netty.util.concurrent.ScheduledFuture;
import java.util.concurrent.TimeUnit;
import java.util.function.LongSupplier;

/**
 * The turns of a VM's event loop, and its one timer.
 *
 * <p>Whatever happens on the loop (a batch of frames, an event of a host socket, a timer) {@linkplain #touch touches} the
 * session, and the first touch of a turn queues one task behind everything else that is ready. That task ends the stack's
 * turn, flushes the link, and looks at the stack's next deadline. One timer is armed at a time, and moved only when the
 * deadline comes closer.
 */
final class SessionTurns {

    /** Bytes on the link, both ways, after which a turn lets other threads run first; see decision 029. */
    private static final int LARGE_TURN = 16 << 10;

    /**
     * The timer fires when the clock's bits below are all set: no more than every 2.1 ms, and no later than that after a
     * deadline. Thousands of short connections leave as many deadlines behind, of which each would wake the thread; the
     * shortest that the stack has is 10 ms.
     */
    private static final long TIMER_SLACK = (1L << 21) - 1;

    private final EventLoop loop;
    private final GuestLink link;
    private final Defects defects;
    private final LongSupplier clock;
    private final Runnable endOfTurn = this::endTurn;
    private final Runnable stackTurn = this::endStackTurn;
    private final Runnable timerTask = this::timerFired;

    private Stack stack;
    private boolean queued;
    /** Bytes on the link, both ways, at the end of the last turn. */
    private long carriedBefore;

    private ScheduledFuture<?> timer;
    private long timerAt = Long.MAX_VALUE;
    private boolean closed;

    /**
     * @param clock nanoseconds, from anywhere
     */
    SessionTurns(EventLoop loop, GuestLink link, Defects defects, LongSupplier clock) {
        this.loop = loop;
        this.link = link;
        this.defects = defects;
        this.clock = clock;
    }

    /** Whose turns they are. To be said before anything touches. */
    void of(Stack itsStack) {
        stack = itsStack;
    }

    /** Something happens, so that this turn has to be ended. */
    void touch() {
        if (!queued) {
            // In this order, as it may fail for want of memory.
            loop.execute(endOfTurn);
            queued = true;
        }
    }

    /** Touches, and lets something happen whose failure costs no more than it. */
    void guarded(Runnable event) {
        touch();
        try {
            event.run();
        } catch (RuntimeException | OutOfMemoryError | LinkageError e) {
            defects.failed(e);
        }
    }

    /**
     * Ends the stack's turn at once, because the bytes of a batch of frames are void after it; the link is flushed and the
     * timer set when the loop's turn ends.
     */
    void endBatch() {
        guarded(stackTurn);
    }

    private void endStackTurn() {
        stack.endTurn(clock.getAsLong());
    }

    private void endTurn() {
        queued = false;
        if (closed) {
            return;
        }
        try {
            stack.endTurn(clock.getAsLong());
            link.flush();
        } catch (RuntimeException | OutOfMemoryError | LinkageError e) {
            defects.failed(e);
        }
        armTimer();
        letOthersRun();
    }

    /**
     * After a turn that carried much: whoever shares the core (the VM, the peer) makes the next turn's work, and what is
     * ready before this thread sleeps costs nobody a wake-up. With a core to itself the call returns at once.
     */
    private void letOthersRun() {
        long carried = link.counters().bytesFromGuest() + link.counters().bytesToGuest();
        long inThisTurn = carried - carriedBefore;
        if (inThisTurn >= LARGE_TURN) {
            Thread.yield();
        }
        if (loop instanceof LastingEventLoop lasting) {
            lasting.carried(inThisTurn);
        }
        carriedBefore = carried;
    }

    private void armTimer() {
        long deadline = stack.nextDeadline() | TIMER_SLACK;
        if (deadline >= timerAt) {
            return;
        }
        if (timer != null) {
            timer.cancel(false);
        }
        timerAt = Long.MAX_VALUE;
        // A deadline may lie before all time; the difference would come out as one that never ends.
        long now = clock.getAsLong();
        timer = loop.schedule(timerTask, deadline <= now ? 0 : deadline - now, TimeUnit.NANOSECONDS);
        timerAt = deadline;
    }

    private void timerFired() {
        timer = null;
        timerAt = Long.MAX_VALUE;
        if (closed) {
            return;
        }
        long now = clock.getAsLong();
        if (stack.nextDeadline() > now) {
            // It has moved away since; that costs one early wake-up per timer, not one per packet.
            armTimer();
        } else {
            guarded(() -> stack.poll(now));
        }
    }

    /** Closes the stack and sends what it has to say of that; no turn and no timer follows. */
    void close() {
        try {
            stack.close();
            stack.endTurn(clock.getAsLong());
            link.flush();
        } catch (RuntimeException | OutOfMemoryError | LinkageError e) {
            defects.failed(e);
        }
        closed = true;
        if (timer != null) {
            timer.cancel(false);
        }
    }
}
