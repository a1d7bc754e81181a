package dev.slipway.vhost;

import dev.slipway.virtio.VirtioNetHeader;
import dev.slipway.wire.Frame;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;

/**
 * Frames to the guest: the ring of buffers that its driver receives into. Chains are read ahead of their use, so that it
 * is known how much the guest takes; a frame that finds too few waits in a reserve, in order, or is refused.
 *
 * <p>Limits: {@value #CHAINS} chains of {@value #PIECES} pieces together are read ahead; {@value #RESERVE} bytes wait.
 */
final class ToGuestQueue implements Pieces {

    private static final int CHAINS = 1024;
    private static final int PIECES = 4096;
    private static final int RESERVE = 256 << 10;
    private static final int LENGTH_PREFIX = 8;
    private static final int HEADER = VirtioNetHeader.LENGTH;
    private static final int NUM_BUFFERS = 10;
    private static final int LONGEST = HEADER + Frame.MAX_LENGTH;

    private static final ValueLayout.OfShort U16 = ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    private final int[] heads = new int[CHAINS];
    private final int[] capacities = new int[CHAINS];
    private final int[] firstPieces = new int[CHAINS];
    private final int[] pieceCounts = new int[CHAINS];
    private int first;
    private int count;

    private final MemorySegment[] memory = new MemorySegment[PIECES];
    private final long[] offsets = new long[PIECES];
    private final int[] lengths = new int[PIECES];
    private int nextPiece;
    private int usedPieces;

    private final MemorySegment reserve = Arena.ofAuto().allocate(RESERVE, 64);
    private int reserveFrom;
    private int reserveTo;
    private int reserved;

    private SplitRing ring;
    private ChainReader reader;
    private boolean mergeable;
    private int capacity;
    private long everRead;

    /**
     * Begins with a ring; nothing is read ahead yet.
     *
     * @param inSeveral whether a frame may lie in several chains (VIRTIO_NET_F_MRG_RXBUF)
     */
    void start(SplitRing newRing, ChainReader newReader, boolean inSeveral) {
        ring = newRing;
        reader = newReader;
        mergeable = inSeveral;
        forget();
    }

    /** Gives back untouched what was read ahead: the memory it lies in goes, or the ring stops. */
    void rewind() {
        if (ring != null) {
            ring.untake(count);
            forget();
        }
    }

    private void forget() {
        for (int i = 0; i < usedPieces; i++) {
            memory[nextPiece - 1 - i & PIECES - 1] = null;
        }
        first = 0;
        count = 0;
        nextPiece = 0;
        usedPieces = 0;
        capacity = 0;
    }

    /** Ends with the ring, and lets go of what waits. */
    int stop() {
        rewind();
        ring = null;
        reader = null;
        int dropped = reserved;
        reserved = 0;
        reserveFrom = 0;
        reserveTo = 0;
        return dropped;
    }

    /** Whether anything waits for buffers. */
    boolean isWaiting() {
        return reserved > 0;
    }

    /**
     * Bytes of frames that the guest's buffers take, as far as it is known, at least of one frame of the longest if there
     * is room for it; 0 or less if what waits takes it all.
     */
    int room() throws RingViolation {
        if (capacity < LONGEST + reserveTo - reserveFrom) {
            readAhead();
        }
        return capacity - (reserveTo - reserveFrom);
    }

    /** How many chains were read ahead since ever: whether there are new ones. */
    long everRead() {
        return everRead;
    }

    /** Reads what the guest has made available, as far as there is room for it. */
    private void readAhead() throws RingViolation {
        for (int pending = ring.pending(); pending > 0; pending--) {
            if (isFull()) {
                return;
            }
            int chain = first + count & CHAINS - 1;
            int before = nextPiece;
            heads[chain] = ring.take();
            int bytes = reader.read(ring.descriptors(), ring.size(), heads[chain], true, this);
            int useful = Math.min(bytes, LONGEST) - (mergeable ? 0 : HEADER);
            firstPieces[chain] = before;
            pieceCounts[chain] = nextPiece - before & PIECES - 1;
            capacities[chain] = bytes;
            capacity += Math.max(0, useful);
            count++;
            everRead++;
        }
    }

    @Override
    public void add(MemorySegment segment, long offset, int length) {
        memory[nextPiece] = segment;
        offsets[nextPiece] = offset;
        lengths[nextPiece] = length;
        nextPiece = nextPiece + 1 & PIECES - 1;
        usedPieces++;
    }

    /**
     * Sends a frame behind everything that waits.
     *
     * @param source private memory
     * @param at where the frame's header begins; the count of buffers in it is written
     * @param length of header and frame
     * @return false if it was refused: no buffers and no reserve, or longer than a buffer that the guest offers
     */
    boolean send(MemorySegment source, int at, int length) throws RingViolation {
        if (reserved > 0) {
            drain();
        }
        if (reserved == 0) {
            int chains = chainsFor(length);
            if (chains > 0) {
                write(source, at, length, chains);
                return true;
            }
            if (chains < 0) {
                return false;
            }
        }
        return keep(source, at, length);
    }

    /** Writes what waits, as far as there are buffers now. */
    void drain() throws RingViolation {
        while (reserved > 0) {
            int length = reserve.get(ValueLayout.JAVA_INT, reserveFrom);
            int chains = chainsFor(length);
            if (chains == 0) {
                return;
            }
            if (chains > 0) {
                write(reserve, reserveFrom + LENGTH_PREFIX, length, chains);
            }
            reserved--;
            reserveFrom = reserveFrom + LENGTH_PREFIX + length + 7 & ~7;
        }
        reserveFrom = 0;
        reserveTo = 0;
    }

    private boolean keep(MemorySegment source, int at, int length) {
        int needed = LENGTH_PREFIX + length + 7 & ~7;
        if (RESERVE - reserveTo < needed && reserveFrom > 0) {
            MemorySegment.copy(reserve, reserveFrom, reserve, 0, reserveTo - reserveFrom);
            reserveTo -= reserveFrom;
            reserveFrom = 0;
        }
        if (RESERVE - reserveTo < needed) {
            return false;
        }
        reserve.set(ValueLayout.JAVA_INT, reserveTo, length);
        MemorySegment.copy(source, at, reserve, reserveTo + LENGTH_PREFIX, length);
        reserveTo += needed;
        reserved++;
        return true;
    }

    /** How many chains a frame takes; 0 if there are too few by now, less if there can never be enough. */
    private int chainsFor(int length) throws RingViolation {
        int chains = enough(length);
        if (chains == 0) {
            readAhead();
            chains = enough(length);
        }
        return chains;
    }

    private int enough(int length) {
        if (!mergeable) {
            return count == 0 ? 0 : capacities[first] >= length ? 1 : -1;
        }
        int sum = 0;
        for (int i = 0; i < count; i++) {
            sum += capacities[first + i & CHAINS - 1];
            if (sum >= length) {
                return i + 1;
            }
        }
        // Who has read ahead all that can be, and has not enough of it, never will have.
        return isFull() ? -1 : 0;
    }

    private boolean isFull() {
        return count == Math.min(CHAINS, ring.size()) || usedPieces + ChainReader.MAX_PIECES > PIECES;
    }

    private void write(MemorySegment source, int at, int length, int chains) {
        source.set(U16, at + NUM_BUFFERS, (short) chains);
        int position = at;
        int left = length;
        for (int i = 0; i < chains; i++) {
            int chain = first;
            int written = Math.min(left, capacities[chain]);
            int piece = firstPieces[chain];
            int inChain = written;
            while (inChain > 0) {
                int part = Math.min(inChain, lengths[piece]);
                MemorySegment.copy(source, position, memory[piece], offsets[piece], part);
                position += part;
                inChain -= part;
                piece = piece + 1 & PIECES - 1;
            }
            left -= written;
            ring.putUsed(heads[chain], written);
            capacity -= Math.max(0, Math.min(capacities[chain], LONGEST) - (mergeable ? 0 : HEADER));
            usedPieces -= pieceCounts[chain];
            first = first + 1 & CHAINS - 1;
            count--;
        }
    }
}
