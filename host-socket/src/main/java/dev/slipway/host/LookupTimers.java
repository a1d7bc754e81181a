package dev.slipway.host;

import io.netty.channel.EventLoop;
import io.netty.util.concurrent.ScheduledFuture;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.function.LongSupplier;

/**
 * When the lookups of a resolver are to go on without an answer. Nearly all are answered long before, so one timer of the
 * event loop stands for all of them: it is not touched when a lookup begins or ends, and looks at those that are left
 * when it comes. Belongs to the event loop.
 */
final class LookupTimers {

    /** How late a time may be noticed, in nanoseconds. */
    static final long SLACK_NANOS = 5_000_000L;

    private final EventLoop loop;
    private final LongSupplier clock;
    private Entry first;
    private ScheduledFuture<?> timer;
    private long timerAt;

    /** What waits for a time. */
    abstract static class Entry {
        private Entry before;
        private Entry after;
        private long at;
        private boolean waiting;

        /** The time has come; it waits no more, unless it is added again. */
        abstract void due();

        /** The time will not come. */
        abstract void abandon();
    }

    /** @param clock in nanoseconds, going as the loop's own does */
    LookupTimers(EventLoop loop, LongSupplier clock) {
        this.loop = loop;
        this.clock = clock;
    }

    /**
     * Waits for a time, instead of one before.
     *
     * @param at nanoseconds of the clock
     */
    void add(Entry entry, long at) {
        entry.at = at;
        if (!entry.waiting) {
            entry.waiting = true;
            entry.after = first;
            if (first != null) {
                first.before = entry;
            }
            first = entry;
        }
        if (timer == null || timerAt - at > SLACK_NANOS) {
            schedule(at, clock.getAsLong());
        }
    }

    /** Waits no more. */
    void remove(Entry entry) {
        if (!entry.waiting) {
            return;
        }
        entry.waiting = false;
        if (entry.before == null) {
            first = entry.after;
        } else {
            entry.before.after = entry.after;
        }
        if (entry.after != null) {
            entry.after.before = entry.before;
        }
        entry.before = null;
        entry.after = null;
    }

    private void schedule(long at, long now) {
        if (timer != null) {
            timer.cancel(false);
        }
        timerAt = at;
        timer = loop.schedule(this::look, Math.max(0, at - now), TimeUnit.NANOSECONDS);
    }

    private void look() {
        timer = null;
        long now = clock.getAsLong();
        List<Entry> due = new ArrayList<>();
        long next = Long.MAX_VALUE;
        for (Entry entry = first; entry != null; entry = entry.after) {
            long left = entry.at - now;
            if (left <= 0) {
                due.add(entry);
            } else {
                next = Math.min(next, left);
            }
        }
        due.forEach(this::remove);
        if (first != null) {
            schedule(now + Math.max(next, SLACK_NANOS), now);
        }
        due.forEach(Entry::due);
    }

    /** Gives all of them up. */
    void close() {
        if (timer != null) {
            timer.cancel(false);
            timer = null;
        }
        for (Entry entry = first; entry != null; entry = first) {
            remove(entry);
            entry.abandon();
        }
    }
}
