package dev.slipway.vhost;

import static org.assertj.core.api.Assertions.assertThat;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.VarHandle;
import java.util.ArrayDeque;
import java.util.HashMap;
import java.util.Map;
import java.util.Random;

/**
 * The driver's side of one ring, as virtio 1.3, section 2.7 has it and no more generous: it tells of new chains only if it
 * was asked to, and believes that it would have been told of used ones, so that a lost kick or interrupt shows.
 */
final class ModelDriver {

    static final int NEXT = 1;
    static final int WRITE = 2;
    static final int INDIRECT = 4;

    private static final VarHandle SHARED = ValueLayout.JAVA_SHORT.varHandle();

    final int size;
    final long descriptors;
    final long available;
    final long used;
    private final MemorySegment memory;
    private final long guestBase;
    private final boolean eventIndexes;
    private final long tables;
    private final ArrayDeque<Integer> free = new ArrayDeque<>();
    private final Map<Integer, int[]> chains = new HashMap<>();
    int availableIndex;
    int seen;
    private int told;

    /**
     * @param memory all of the guest's, from the guest's address {@code guestBase} on
     * @param at where its parts lie in it: 512 KiB
     */
    ModelDriver(MemorySegment memory, long guestBase, long at, int size, boolean eventIndexes) {
        this.memory = memory;
        this.guestBase = guestBase;
        this.size = size;
        this.eventIndexes = eventIndexes;
        descriptors = at;
        available = at + 0x4000;
        used = at + 0x8000;
        tables = at + 0x10000;
        for (int i = 0; i < size; i++) {
            free.add(i);
        }
    }

    /** A piece of memory, from the start of all memory. */
    record Piece(long at, int length) {}

    int freeDescriptors() {
        return free.size();
    }

    void describe(long at, long address, int length, int flags, int next) {
        memory.set(ValueLayout.JAVA_LONG, at, address);
        memory.set(ValueLayout.JAVA_INT, at + 8, length);
        memory.set(ValueLayout.JAVA_SHORT, at + 12, (short) flags);
        memory.set(ValueLayout.JAVA_SHORT, at + 14, (short) next);
    }

    /** Offers a chain: its head. {@link #tell} makes it seen. */
    int offer(Piece[] pieces, boolean writable, boolean indirect) {
        int[] taken = new int[indirect ? 1 : pieces.length];
        for (int i = 0; i < taken.length; i++) {
            taken[i] = free.remove();
        }
        int flags = writable ? WRITE : 0;
        if (indirect) {
            long table = tables + taken[0] * 256L;
            for (int i = 0; i < pieces.length; i++) {
                boolean last = i == pieces.length - 1;
                describe(
                        table + i * 16L,
                        guestBase + pieces[i].at(),
                        pieces[i].length(),
                        flags | (last ? 0 : NEXT),
                        i + 1);
            }
            describe(descriptors + taken[0] * 16L, guestBase + table, pieces.length * 16, INDIRECT, 0);
        } else {
            for (int i = 0; i < pieces.length; i++) {
                boolean last = i == pieces.length - 1;
                describe(
                        descriptors + taken[i] * 16L,
                        guestBase + pieces[i].at(),
                        pieces[i].length(),
                        flags | (last ? 0 : NEXT),
                        last ? 0 : taken[i + 1]);
            }
        }
        chains.put(taken[0], taken);
        makeAvailable(taken[0]);
        return taken[0];
    }

    void makeAvailable(int head) {
        memory.set(ValueLayout.JAVA_SHORT, available + 4 + 2L * (availableIndex % size), (short) head);
        availableIndex = availableIndex + 1 & 0xFFFF;
    }

    /** Shows the device what was offered; whether it wants a kick for that. */
    boolean tell() {
        return tell(availableIndex);
    }

    boolean tell(int index) {
        SHARED.setRelease(memory, available + 2, (short) index);
        VarHandle.fullFence();
        int before = told;
        told = index;
        if (eventIndexes) {
            int event = memory.get(ValueLayout.JAVA_SHORT, used + 4 + 8L * size) & 0xFFFF;
            return (index - event - 1 & 0xFFFF) < (index - before & 0xFFFF);
        }
        return (memory.get(ValueLayout.JAVA_SHORT, used) & 1) == 0;
    }

    /** Asks to be told of the next used chain; whether there is one already. */
    boolean listen() {
        if (eventIndexes) {
            memory.set(ValueLayout.JAVA_SHORT, available + 4 + 2L * size, (short) seen);
        } else {
            memory.set(ValueLayout.JAVA_SHORT, available, (short) 0);
        }
        VarHandle.fullFence();
        return hasUsed();
    }

    boolean hasUsed() {
        return usedIndex() != seen;
    }

    int usedIndex() {
        return (short) SHARED.getAcquire(memory, used + 2) & 0xFFFF;
    }

    /** The next used chain: its head and the bytes written to it. The device must have been given it. */
    int[] takeUsed() {
        long at = used + 4 + 8L * (seen % size);
        int head = memory.get(ValueLayout.JAVA_INT, at);
        int length = memory.get(ValueLayout.JAVA_INT, at + 4);
        seen = seen + 1 & 0xFFFF;
        int[] taken = chains.remove(head);
        assertThat(taken).as("used chain %d was offered", head).isNotNull();
        for (int descriptor : taken) {
            free.add(descriptor);
        }
        return new int[] {head, length};
    }

    /** Cuts a number of bytes at random into pieces, which lie where {@code place} says. */
    static Piece[] cut(Random random, long place, int length, int most) {
        int pieces = 1 + random.nextInt(Math.min(most, length));
        Piece[] cut = new Piece[pieces];
        long at = place;
        int left = length;
        for (int i = 0; i < pieces; i++) {
            int part = i == pieces - 1 ? left : 1 + random.nextInt(left - (pieces - i - 1));
            cut[i] = new Piece(at, part);
            at += part;
            left -= part;
        }
        return cut;
    }
}
