package dev.slipway.probe;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.PriorityQueue;
import java.util.SplittableRandom;

/** A wire between two guests in virtual time, which loses, doubles and delays frames as a seed decides. */
final class SimulatedWire {

    private static final long LATENCY = 1_000_000;
    private static final int MEMORY = 1 << 19;

    /** What goes wrong, as shares of all frames. */
    record Misery(double loss, double duplication, double reordering) {}

    /** Who looks at the frames: at all that an end sends, and at those that get to an end. */
    interface Tap {
        void sent(int end, byte[] frame);

        void received(int end, byte[] frame);
    }

    private record Flying(long arrival, long order, byte[] bytes) implements Comparable<Flying> {
        @Override
        public int compareTo(Flying other) {
            return arrival != other.arrival ? Long.compare(arrival, other.arrival) : Long.compare(order, other.order);
        }
    }

    private final SplittableRandom random;
    private final Misery misery;
    private final List<End> ends = new ArrayList<>();
    private long now = 1;
    private long order;
    private long lost;
    private Tap tap;

    SimulatedWire(SplittableRandom random, Misery misery) {
        this.random = random;
        this.misery = misery;
        ends.add(new End(0));
        ends.add(new End(1));
    }

    FrameLink end(int index) {
        return ends.get(index);
    }

    void tap(Tap by) {
        tap = by;
    }

    long now() {
        return now;
    }

    long lost() {
        return lost;
    }

    /** Moves the time on to when something happens: a frame arrives, or one of the deadlines given. */
    void advance(long deadline) {
        long next = deadline;
        for (End end : ends) {
            if (!end.arriving.isEmpty()) {
                next = Math.min(next, end.arriving.peek().arrival());
            }
        }
        now = Math.max(now + 1, next);
    }

    /** One guest's end. */
    private final class End implements FrameLink {
        private final int index;
        private final MemorySegment memory = Arena.ofAuto().allocate(MEMORY);
        private final PriorityQueue<Flying> arriving = new PriorityQueue<>();
        private int used;

        End(int index) {
            this.index = index;
        }

        @Override
        public MemorySegment memory() {
            return memory;
        }

        @Override
        public int room() {
            return MEMORY - used - 100_000;
        }

        @Override
        public long begin(int length) {
            return used + length <= MEMORY ? used : -1;
        }

        @Override
        public void send(int length) {
            byte[] bytes = memory.asSlice(used, length).toArray(ValueLayout.JAVA_BYTE);
            used += length;
            if (tap != null) {
                tap.sent(index, bytes);
            }
            End other = ends.get(1 - index);
            if (random.nextDouble() < misery.loss()) {
                lost++;
                return;
            }
            int copies = random.nextDouble() < misery.duplication() ? 2 : 1;
            for (int i = 0; i < copies; i++) {
                long late = random.nextDouble() < misery.reordering() ? random.nextLong(3 * LATENCY) : 0;
                other.arriving.add(new Flying(now + LATENCY + late, order++, bytes));
            }
        }

        @Override
        public void flush() {
            used = 0;
        }

        @Override
        public boolean receive(Receiver receiver, long waitNanos) {
            boolean any = false;
            while (!arriving.isEmpty() && arriving.peek().arrival() <= now) {
                byte[] bytes = arriving.poll().bytes();
                if (tap != null) {
                    tap.received(index, bytes);
                }
                receiver.frame(Arena.ofAuto().allocateFrom(ValueLayout.JAVA_BYTE, bytes), 0, bytes.length);
                any = true;
            }
            return any;
        }

        @Override
        public long now() {
            return now;
        }

        @Override
        public void close() {
            arriving.clear();
        }
    }
}
