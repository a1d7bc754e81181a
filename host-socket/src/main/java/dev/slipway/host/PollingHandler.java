package dev.slipway.host;

import io.netty.channel.IoHandler;
import io.netty.channel.IoHandlerContext;
import java.util.function.LongSupplier;

/**
 * Looks for events for a short while before it lets the thread sleep, where events have lately followed each other
 * closely: to be put to sleep and be woken costs more than that, here and in the process whose event it is, and most on a
 * virtual machine. It is what KVM does before it halts a virtual processor (halt polling).
 *
 * <p>How long is learnt: a wait that was over within {@link #MAX_NANOS} doubles the time, a longer one halves it, down to
 * none. So a process with nothing to do, or with a frame from time to time, never polls. Nor does one that moves much
 * ({@link #carried}): there a later look finds more. Whoever else wants the core has it between two looks.
 */
final class PollingHandler extends IoHandlerDecorator implements IoHandlerContext {

    /** Longer waits are slept through. */
    static final long MAX_NANOS = 100_000;

    private static final long MIN_NANOS = MAX_NANOS / 8;
    /** Bytes per turn, on average over {@link #AVERAGED}, of a process that moves much. */
    static final long MUCH_BYTES = 8 << 10;

    private static final int AVERAGED = 8;

    private final LongSupplier clock;
    private IoHandlerContext context;
    private boolean polling;
    private long windowNanos;
    private long handling;
    private long carriedPerTurn;

    /**
     * @param clock nanoseconds, from anywhere
     */
    PollingHandler(IoHandler handler, LongSupplier clock) {
        super(handler);
        this.clock = clock;
    }

    /** A turn is over in which so many bytes were moved. On the thread of the loop. */
    void carried(long bytes) {
        carriedPerTurn += (bytes - carriedPerTurn) / AVERAGED;
    }

    @Override
    public int run(IoHandlerContext given) {
        if (!given.canBlock()) {
            return handler.run(given);
        }
        context = given;
        long start = clock.getAsLong();
        if (windowNanos > 0 && carriedPerTurn < MUCH_BYTES) {
            int handled = poll(start);
            if (handled > 0) {
                return handled;
            }
        }
        handling = 0;
        int handled = handler.run(this);
        learn(clock.getAsLong() - start - handling);
        return handled;
    }

    /** Looks for as long as the window says and nothing else wants to be done. */
    private int poll(long start) {
        long end = Math.min(windowNanos, context.delayNanos(start));
        polling = true;
        try {
            while (context.canBlock() && clock.getAsLong() - start < end) {
                int handled = handler.run(this);
                if (handled > 0) {
                    return handled;
                }
                Thread.yield();
            }
        } finally {
            polling = false;
        }
        return 0;
    }

    private void learn(long waited) {
        if (waited < MAX_NANOS) {
            windowNanos = Math.min(Math.max(2 * windowNanos, MIN_NANOS), MAX_NANOS);
        } else {
            windowNanos = windowNanos <= MIN_NANOS ? 0 : windowNanos / 2;
        }
    }

    @Override
    public boolean canBlock() {
        return !polling && context.canBlock();
    }

    @Override
    public long delayNanos(long now) {
        return context.delayNanos(now);
    }

    @Override
    public long deadlineNanos() {
        return context.deadlineNanos();
    }

    /** The time that the handling of events takes is none that was waited. */
    @Override
    public boolean shouldReportActiveIoTime() {
        return !polling;
    }

    @Override
    public void reportActiveIoTime(long nanos) {
        handling += nanos;
        if (context.shouldReportActiveIoTime()) {
            context.reportActiveIoTime(nanos);
        }
    }
}
