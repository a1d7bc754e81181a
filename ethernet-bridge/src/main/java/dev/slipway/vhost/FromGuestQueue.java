package dev.slipway.vhost;

import dev.slipway.ethernet.GuestEvents;
import dev.slipway.ethernet.LinkCounters;
import dev.slipway.virtio.VirtioNetHeader;
import dev.slipway.wire.BigEndian;
import dev.slipway.wire.EthernetFrame;
import dev.slipway.wire.Frame;
import dev.slipway.wire.Frame.ChecksumState;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/**
 * Frames from the guest: the ring that its driver sends by. Each chain is copied to private memory once, header and frame
 * one behind the other, and given back at once; nothing is read from guest memory again.
 *
 * <p>Limits: a batch of {@value #BATCH_FRAMES} frames or {@value #BATCH_BYTES} bytes. A chain too short for a header and a
 * frame, or too long for any, is given back and counted.
 */
final class FromGuestQueue {

    private static final int BATCH_FRAMES = 256;
    private static final int BATCH_BYTES = 512 << 10;
    private static final int HEADER = VirtioNetHeader.LENGTH;
    private static final int SLOT = HEADER + Frame.MAX_LENGTH;

    private final LinkCounters counters;
    private final MemorySegment input = Arena.ofAuto().allocate(BATCH_BYTES + SLOT, 64);
    private final Frame frame = new Frame();
    private final Chain chain = new Chain();
    private SplitRing ring;
    private ChainReader reader;
    private long features;

    FromGuestQueue(LinkCounters counters) {
        this.counters = counters;
    }

    /**
     * Begins with a ring.
     *
     * @param agreed features
     */
    void start(SplitRing newRing, ChainReader newReader, long agreed) {
        ring = newRing;
        reader = newReader;
        features = agreed;
    }

    /** Ends with the ring, also in the middle of a batch. */
    void stop() {
        ring = null;
    }

    /** The pieces of one chain. */
    private static final class Chain implements Pieces {

        private final MemorySegment[] memory = new MemorySegment[ChainReader.MAX_PIECES];
        private final long[] offsets = new long[ChainReader.MAX_PIECES];
        private final int[] lengths = new int[ChainReader.MAX_PIECES];
        private int count;

        @Override
        public void add(MemorySegment segment, long offset, int length) {
            memory[count] = segment;
            offsets[count] = offset;
            lengths[count++] = length;
        }

        void copyTo(MemorySegment target, int position) {
            int at = position;
            for (int i = 0; i < count; i++) {
                MemorySegment.copy(memory[i], offsets[i], target, at, lengths[i]);
                at += lengths[i];
            }
        }
    }

    /**
     * Takes a batch from the ring and hands it on; {@code endOfBatch} is left to the caller. What was taken is given back
     * but not published.
     *
     * @return how many chains were taken
     * @throws RingViolation if the ring is broken; what came before that was handed on
     */
    int deliver(GuestEvents events) throws RingViolation {
        SplitRing from = ring;
        int position = 0;
        int taken = 0;
        int pending = from.pending();
        while (taken < BATCH_FRAMES && position <= BATCH_BYTES) {
            if (pending == 0) {
                pending = from.pending();
                if (pending == 0) {
                    return taken;
                }
            }
            pending--;
            int head = from.take();
            chain.count = 0;
            int total = reader.read(from.descriptors(), from.size(), head, false, chain);
            taken++;
            if (total > SLOT) {
                counters.skippedOversize();
                from.putUsed(head, 0);
                continue;
            }
            if (total < HEADER + EthernetFrame.HEADER_LENGTH) {
                counters.lostFraming();
                from.putUsed(head, 0);
                continue;
            }
            chain.copyTo(input, position);
            from.putUsed(head, 0);
            hand(position, total - HEADER, events);
            if (ring != from) {
                // The receiver has closed the link.
                return taken;
            }
            position = position + total + 15 & ~15;
        }
        return taken;
    }

    /** Takes chains from the ring and throws them away. */
    int discard() throws RingViolation {
        int taken = 0;
        for (int pending = ring.pending(); pending > 0 && taken < BATCH_FRAMES; pending--) {
            int head = ring.take();
            chain.count = 0;
            reader.read(ring.descriptors(), ring.size(), head, false, chain);
            ring.putUsed(head, 0);
            taken++;
        }
        return taken;
    }

    private void hand(int position, int length, GuestEvents events) {
        counters.fromGuest(length);
        frame.set(input, position + HEADER, length);
        if (!VirtioNetHeader.read(input, position, frame) || !isAgreed()) {
            counters.badOffload();
            return;
        }
        events.frame(frame);
    }

    /** Whether the guest may leave to this side what it leaves. */
    private boolean isAgreed() {
        if (frame.segmentSize() > 0) {
            int type = BigEndian.u16(input, frame.offset() + EthernetFrame.HEADER_LENGTH - 2);
            long needed = type == EthernetFrame.TYPE_IPV6 ? Features.HOST_TSO6 : Features.HOST_TSO4;
            return (features & needed) != 0;
        }
        return frame.checksum() != ChecksumState.PARTIAL || (features & Features.CSUM) != 0;
    }
}
