package dev.slipway.time;

import java.util.Arrays;

/**
 * The deadlines of a stack: a binary heap that is lazy about deadlines which move away. A connection whose
 * retransmission timer is restarted by each acknowledgement touches the heap once per timer interval, not once per
 * acknowledgement.
 */
public final class DeadlineQueue {

    private Timed[] heap = new Timed[64];
    private int size;

    /** Makes sure that {@code timed} is looked at when its deadline has come. Call it when the deadline was set. */
    public void watch(Timed timed) {
        long deadline = timed.deadline();
        if (deadline == Timed.NEVER) {
            return;
        }
        if (timed.queueIndex < 0) {
            insert(timed, deadline);
        } else if (deadline < timed.wakeAt) {
            timed.wakeAt = deadline;
            siftUp(timed.queueIndex);
        }
    }

    /** Forgets {@code timed}, whatever its deadline. */
    public void remove(Timed timed) {
        int index = timed.queueIndex;
        if (index < 0) {
            return;
        }
        timed.queueIndex = -1;
        Timed last = heap[--size];
        heap[size] = null;
        if (last != timed) {
            place(last, index);
            siftUp(index);
            siftDown(last.queueIndex);
        }
    }

    /** When {@link #poll} is wanted next, or {@link Timed#NEVER}. It may be earlier than any deadline, never later. */
    public long next() {
        return size == 0 ? Timed.NEVER : heap[0].wakeAt;
    }

    /**
     * Fires what is due, each thing once: time that has jumped over many intervals makes no storm.
     *
     * @param now the stack's time in nanoseconds
     */
    public void poll(long now) {
        while (size > 0 && heap[0].wakeAt <= now) {
            Timed timed = heap[0];
            remove(timed);
            if (timed.deadline() <= now) {
                timed.expired(now);
            }
            if (timed.queueIndex < 0 && timed.deadline() != Timed.NEVER) {
                insert(timed, Math.max(timed.deadline(), now + 1));
            }
        }
    }

    /** How many things are watched. */
    public int size() {
        return size;
    }

    private void insert(Timed timed, long wakeAt) {
        if (size == heap.length) {
            heap = Arrays.copyOf(heap, size * 2);
        }
        timed.wakeAt = wakeAt;
        place(timed, size++);
        siftUp(timed.queueIndex);
    }

    private void place(Timed timed, int index) {
        heap[index] = timed;
        timed.queueIndex = index;
    }

    private void siftUp(int start) {
        int index = start;
        Timed timed = heap[index];
        while (index > 0) {
            int parent = (index - 1) >>> 1;
            if (heap[parent].wakeAt <= timed.wakeAt) {
                break;
            }
            place(heap[parent], index);
            index = parent;
        }
        place(timed, index);
    }

    private void siftDown(int start) {
        int index = start;
        Timed timed = heap[index];
        while (true) {
            int child = 2 * index + 1;
            if (child >= size) {
                break;
            }
            if (child + 1 < size && heap[child + 1].wakeAt < heap[child].wakeAt) {
                child++;
            }
            if (timed.wakeAt <= heap[child].wakeAt) {
                break;
            }
            place(heap[child], index);
            index = child;
        }
        place(timed, index);
    }
}
