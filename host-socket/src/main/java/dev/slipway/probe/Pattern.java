package dev.slipway.probe;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.SplittableRandom;

/**
 * The bytes that test transfers carry: a random sequence whose period is a prime number, so that a byte that is lost,
 * doubled, moved or changed shows at its position. Any thread may use it.
 */
public final class Pattern {

    private static final int PERIOD = 1_048_573;

    private final MemorySegment bytes = Arena.ofAuto().allocate(PERIOD);

    /** The same seed gives the same bytes. */
    public Pattern(long seed) {
        SplittableRandom random = new SplittableRandom(seed);
        byte[] values = new byte[PERIOD];
        random.nextBytes(values);
        MemorySegment.copy(MemorySegment.ofArray(values), 0, bytes, 0, PERIOD);
    }

    /** The longest piece from a position on that lies in one row in {@link #bytes}, at {@link #offset}. */
    public int run(long position) {
        return PERIOD - offset(position);
    }

    /** Where the byte of a position lies. */
    public int offset(long position) {
        return (int) (position % PERIOD);
    }

    /** One period. */
    public MemorySegment bytes() {
        return bytes;
    }

    /**
     * Compares bytes with what belongs at a position.
     *
     * @return the position of the first that differs, or -1
     */
    public long firstDifference(long position, MemorySegment other, long offset, int length) {
        int done = 0;
        while (done < length) {
            int at = offset(position + done);
            int piece = Math.min(length - done, PERIOD - at);
            long different = MemorySegment.mismatch(other, offset + done, offset + done + piece, bytes, at, at + piece);
            if (different >= 0) {
                return position + done + different;
            }
            done += piece;
        }
        return -1;
    }
}
