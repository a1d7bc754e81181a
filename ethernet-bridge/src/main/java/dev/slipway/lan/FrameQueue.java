package dev.slipway.lan;

import dev.slipway.wire.Frame;
import dev.slipway.wire.Frame.ChecksumState;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.util.concurrent.atomic.AtomicLong;

/**
 * Frames on their way to one VM: a bounded ring that any VM's thread writes into, and the receiver's reads.
 *
 * <pre>
 *   slots  [ … free … | frame ─ ─ ─ | frame | frame ─ ─ | … free … ]
 *                       ^ head                            ^ tail
 * </pre>
 *
 * <p>A frame takes as many slots of {@value #SLOT} bytes as it needs, one behind the other; where the ring ends before it
 * does, it lies at the ring's beginning. A writer reserves slots by moving the tail on, copies, and then publishes the
 * first of them; the reader stops at a slot that is not published. Nothing is allocated, nobody waits for anybody.
 *
 * <p>Limits: {@value #SLOTS} slots, and for one sender its share of them.
 */
final class FrameQueue {

    static final int SLOT = 512;
    static final int SLOTS = 2048;
    /** Slots that a sender may have at least: enough for any frame. */
    static final int LEAST_SHARE = 256;

    /** Distance of counters of different threads, so that they lie in cache lines of their own. */
    private static final int STRIDE = 16;

    private static final VarHandle LONGS = MethodHandles.arrayElementVarHandle(long[].class);
    private static final ChecksumState[] STATES = ChecksumState.values();

    private final int share;
    private final MemorySegment bytes;
    /** Of each slot with which a frame begins: one more than its position since ever, when the frame is there. */
    private final long[] published = new long[SLOTS];

    private final int[] starts = new int[SLOTS];
    private final int[] lengths = new int[SLOTS];
    private final int[] taken = new int[SLOTS];
    private final int[] senders = new int[SLOTS];
    private final int[] connections = new int[SLOTS];
    private final int[] states = new int[SLOTS];
    private final int[] sumStarts = new int[SLOTS];
    private final int[] sumFields = new int[SLOTS];
    private final int[] segmentSizes = new int[SLOTS];

    private final AtomicLong tail = new AtomicLong();
    private final AtomicLong head = new AtomicLong();
    /** Slots that each sender has used since ever, each written by that sender. */
    private final long[] used;
    /** Those of them that are free again, all written by the reader. */
    private final long[] freed;

    /** @param senders how many VMs may write into it */
    FrameQueue(int senders) {
        share = Math.max(LEAST_SHARE, SLOTS / Math.max(1, senders - 1));
        used = new long[senders * STRIDE];
        freed = new long[senders * STRIDE];
        bytes = Arena.ofAuto().allocate((long) SLOTS * SLOT, 64);
    }

    /**
     * Copies a frame behind the others. By the sender's thread.
     *
     * @param sender its number, below the number of senders
     * @param connection of the receiver's guest that it is for
     * @return false if there is no room, or the sender has its share
     */
    boolean offer(Frame frame, int sender, int connection) {
        int length = frame.length();
        int slots = Math.max(1, (length + SLOT - 1) / SLOT);
        long mine = used[sender * STRIDE];
        if (length > Frame.MAX_LENGTH || mine + slots - (long) LONGS.getAcquire(freed, sender * STRIDE) > share) {
            return false;
        }
        long at = tail.get();
        int first;
        int total;
        do {
            first = (int) at & SLOTS - 1;
            total = first + slots <= SLOTS ? slots : SLOTS - first + slots;
            if (at + total - head.getAcquire() > SLOTS) {
                return false;
            }
            long seen = tail.compareAndExchange(at, at + total);
            if (seen == at) {
                break;
            }
            at = seen;
        } while (true);
        used[sender * STRIDE] = mine + slots;
        int start = total == slots ? first * SLOT : 0;
        starts[first] = start;
        lengths[first] = length;
        taken[first] = total;
        senders[first] = sender;
        connections[first] = connection;
        states[first] = frame.checksum().ordinal();
        sumStarts[first] = frame.checksumStart();
        sumFields[first] = frame.checksumOffset();
        segmentSizes[first] = frame.segmentSize();
        MemorySegment.copy(frame.bytes(), frame.offset(), bytes, start, length);
        LONGS.setRelease(published, first, at + 1);
        return true;
    }

    /** Whether there is nothing to take. By the reader's thread. */
    boolean isEmpty() {
        long at = head.getPlain();
        return (long) LONGS.getAcquire(published, (int) at & SLOTS - 1) != at + 1;
    }

    /**
     * Looks at the frame that came first; {@link #remove} is due when it is done with. By the reader's thread, when it is
     * not {@link #isEmpty}.
     *
     * @param frame set to bytes of this queue, which may be changed
     */
    void peek(Frame frame) {
        int first = (int) head.getPlain() & SLOTS - 1;
        frame.set(bytes, starts[first], lengths[first]).largeUnit(segmentSizes[first]);
        switch (STATES[states[first]]) {
            case PARTIAL -> frame.checksumPartial(sumStarts[first], sumFields[first]);
            case VERIFIED -> frame.checksumVerified();
            case COMPLETE -> {
                // As it was set.
            }
        }
    }

    /** Which connection of the receiver's guest the first frame is for. */
    int connection() {
        return connections[(int) head.getPlain() & SLOTS - 1];
    }

    /** Lets go of the frame that came first. */
    void remove() {
        long at = head.getPlain();
        int first = (int) at & SLOTS - 1;
        int sender = senders[first] * STRIDE;
        int slots = Math.max(1, (lengths[first] + SLOT - 1) / SLOT);
        LONGS.setRelease(freed, sender, freed[sender] + slots);
        head.setRelease(at + taken[first]);
    }

    /** Slots that are reserved, by all senders; a moment old. */
    int inUse() {
        return (int) (tail.get() - head.get());
    }
}
