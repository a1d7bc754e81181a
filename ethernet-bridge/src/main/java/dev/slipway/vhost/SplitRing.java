package dev.slipway.vhost;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;

/**
 * The device's side of one split ring (virtio 1.3, section 2.7), while it runs.
 *
 * <pre>
 *  available: | flags 2 | idx 2 | entries of 2 …    | used_event 2  |   the driver writes
 *  used:      | flags 2 | idx 2 | entries of 4 + 4 … | avail_event 2 |   this side writes
 * </pre>
 *
 * <p>Memory order, in this class only: what the driver made available is read behind an acquiring read of its index; the
 * own index is written releasing, behind what it tells of; and between writing what the other side waits for and reading
 * what it may have written meanwhile there is a full fence, because a processor may let the read pass the write.
 */
final class SplitRing {

    /** The most entries of a ring. */
    static final int MAX_SIZE = 32_768;

    private static final int NO_INTERRUPT = 1;
    private static final int NO_NOTIFY = 1;
    private static final int INDEX = 2;
    private static final int ENTRIES = 4;
    private static final int USED_ENTRY = 8;

    private static final ValueLayout.OfShort U16 = ValueLayout.JAVA_SHORT.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfInt U32 = ValueLayout.JAVA_INT.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final VarHandle SHARED_INDEX = U16.varHandle();

    private final int size;
    private final boolean eventIndexes;
    private MemorySegment descriptors;
    private MemorySegment available;
    private MemorySegment used;
    private int taken;
    private int put;
    private int published;
    private int told;
    private boolean mustTell = true;

    /**
     * @param size a power of two, at most {@link #MAX_SIZE}
     * @param eventIndexes whether each side says at which entry it wants to be told (VIRTIO_F_EVENT_IDX)
     * @param base the first entry of the available ring to take
     */
    SplitRing(int size, boolean eventIndexes, int base) {
        this.size = size;
        this.eventIndexes = eventIndexes;
        this.taken = base & 0xFFFF;
    }

    static long descriptorBytes(int size) {
        return (long) size * ChainReader.DESCRIPTOR;
    }

    static long availableBytes(int size) {
        return ENTRIES + 2L * size + 2;
    }

    static long usedBytes(int size) {
        return ENTRIES + (long) USED_ENTRY * size + 2;
    }

    /** Says where its three parts lie; again if the memory was mapped anew. Each part is aligned as virtio wants it. */
    void place(MemorySegment newDescriptors, MemorySegment newAvailable, MemorySegment newUsed) {
        boolean isFirst = used == null;
        descriptors = newDescriptors;
        available = newAvailable;
        used = newUsed;
        if (isFirst) {
            put = used.get(U16, INDEX) & 0xFFFF;
            published = put;
            told = put;
        }
    }

    int size() {
        return size;
    }

    MemorySegment descriptors() {
        return descriptors;
    }

    /**
     * How many chains the driver has made available that were not taken.
     *
     * @throws RingViolation if it says that they are more than the ring has entries
     */
    int pending() throws RingViolation {
        int pending = ((short) SHARED_INDEX.getAcquire(available, (long) INDEX) - taken) & 0xFFFF;
        if (pending > size) {
            throw new RingViolation("the available index is " + pending + " ahead in a ring of " + size);
        }
        return pending;
    }

    /** Takes the next of the chains that are pending: its head, which may be anything. */
    int take() {
        int head = available.get(U16, ENTRIES + 2L * (taken & size - 1)) & 0xFFFF;
        taken = taken + 1 & 0xFFFF;
        return head;
    }

    /** Gives back, untouched, the chains taken last. */
    void untake(int chains) {
        taken = taken - chains & 0xFFFF;
    }

    /** The first entry of the available ring that was not taken: what the front-end is told when the ring is stopped. */
    int base() {
        return taken;
    }

    /** Gives a chain back with {@code length} bytes written to it; the driver sees it from {@link #publish} on. */
    void putUsed(int head, int length) {
        long at = ENTRIES + (long) USED_ENTRY * (put & size - 1);
        used.set(U32, at, head);
        used.set(U32, at + 4, length);
        put = put + 1 & 0xFFFF;
    }

    /** Shows the driver what was given back, without telling it. */
    void publish() {
        if (put != published) {
            published = put;
            SHARED_INDEX.setRelease(used, (long) INDEX, (short) put);
        }
    }

    /** Publishes, and says whether the driver wants to be interrupted for what was published since the last time. */
    boolean publishAndAsk() {
        publish();
        if (told == put && !mustTell) {
            return false;
        }
        VarHandle.fullFence();
        boolean tell;
        if (mustTell) {
            tell = true;
        } else if (eventIndexes) {
            int event = available.get(U16, ENTRIES + 2L * size) & 0xFFFF;
            tell = (put - event - 1 & 0xFFFF) < (put - told & 0xFFFF);
        } else {
            tell = (available.get(U16, 0) & NO_INTERRUPT) == 0;
        }
        told = put;
        mustTell = false;
        return tell;
    }

    /** Makes the next {@link #publishAndAsk} say yes: an interrupt may have been lost. */
    void mustTell() {
        mustTell = true;
    }

    /** Asks the driver not to tell of new chains. With event indexes nothing need be said: the index stays behind. */
    void silence() {
        if (!eventIndexes) {
            used.set(U16, 0, (short) NO_NOTIFY);
        }
    }

    /**
     * Asks the driver to tell of the next chain.
     *
     * @return whether there is one already, of which it may not tell
     */
    boolean listen() throws RingViolation {
        if (eventIndexes) {
            used.set(U16, ENTRIES + (long) USED_ENTRY * size, (short) taken);
        } else {
            used.set(U16, 0, (short) 0);
        }
        VarHandle.fullFence();
        return pending() > 0;
    }
}
