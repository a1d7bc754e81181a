package dev.slipway.wire;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;

/**
 * The Internet checksum (RFC 1071): the 16-bit one's complement of the one's complement sum.
 *
 * <p>Sums are carried as plain {@code int}s of up to 17 bits in network order and may be added to each other; {@link
 * #fold} brings one back to 16 bits, {@link #finish} makes it a checksum.
 *
 * <p>The loop is a plain reduction over {@code int}s of a <em>bounded</em> segment because that is the form the JIT
 * compiler vectorises; loads of longs, of byte arrays or at absolute addresses stay scalar.
 */
public final class Checksum {

    private static final boolean SWAP = ByteOrder.nativeOrder() == ByteOrder.LITTLE_ENDIAN;

    /** Bytes up to which a sum is of a header. */
    private static final int FEW = 64;

    private Checksum() {}

    /**
     * The one's complement sum of {@code length} bytes, an odd last byte padded with zero on its right.
     *
     * @return the sum, folded to 16 bits, not complemented
     */
    public static int sum(MemorySegment segment, long offset, int length) {
        if (length <= FEW) {
            return sumFew(segment, offset, length);
        }
        return segment.isNative() ? sumNative(segment, offset, length) : sumArray(segment, offset, length);
    }

    /** Of a header: no slice is made, and nothing unrolled that such a length would not reach. */
    private static int sumFew(MemorySegment segment, long offset, int length) {
        int longs = length & ~7;
        long sum = 0;
        for (int i = 0; i < longs; i += 8) {
            sum += bothInts(segment.get(ValueLayout.JAVA_LONG_UNALIGNED, offset + i));
        }
        return fold(sum + lastInt(segment, offset + longs, length), segment, offset, length);
    }

    /*
     * The same loop twice, on purpose: one that sees native memory and arrays is compiled for both and vectorised for
     * neither, which makes it ten times slower (measured: 780 ns in place of 60 for 1,480 bytes). By 8 bytes, as it
     * costs less to tell two halves apart than to load them one by one (measured: 27 ns in place of 45 for 1,460 bytes).
     */

    private static int sumNative(MemorySegment segment, long offset, int length) {
        MemorySegment bytes = segment.asSlice(offset, length);
        int longs = length & ~7;
        long sum = 0;
        for (int i = 0; i < longs; i += 8) {
            sum += bothInts(bytes.get(ValueLayout.JAVA_LONG_UNALIGNED, i));
        }
        return fold(sum + lastInt(bytes, longs, length), bytes, 0, length);
    }

    private static int sumArray(MemorySegment segment, long offset, int length) {
        MemorySegment bytes = segment.asSlice(offset, length);
        int longs = length & ~7;
        long sum = 0;
        for (int i = 0; i < longs; i += 8) {
            sum += bothInts(bytes.get(ValueLayout.JAVA_LONG_UNALIGNED, i));
        }
        return fold(sum + lastInt(bytes, longs, length), bytes, 0, length);
    }

    private static long bothInts(long word) {
        return (word & 0xFFFF_FFFFL) + (word >>> 32);
    }

    /** The four bytes behind those that were summed by eight, if there are four. */
    private static long lastInt(MemorySegment bytes, long at, int length) {
        return (length & 4) == 0 ? 0 : bytes.get(ValueLayout.JAVA_INT_UNALIGNED, at) & 0xFFFF_FFFFL;
    }

    /** Adds the last 0 to 3 bytes of {@code length}, and folds a sum of words in the machine's order. */
    private static int fold(long words, MemorySegment bytes, long offset, int length) {
        long sum = words;
        if ((length & 2) != 0) {
            sum += bytes.get(ValueLayout.JAVA_SHORT_UNALIGNED, offset + (length & ~3)) & 0xFFFF;
        }
        if ((length & 1) != 0) {
            int last = bytes.get(ValueLayout.JAVA_BYTE, offset + length - 1) & 0xFF;
            sum += SWAP ? last : last << 8;
        }
        sum = (sum & 0xFFFF_FFFFL) + (sum >>> 32);
        sum = (sum & 0xFFFF_FFFFL) + (sum >>> 32);
        int folded = (int) ((sum & 0xFFFF) + (sum >>> 16));
        folded = (folded & 0xFFFF) + (folded >>> 16);
        return SWAP ? Short.toUnsignedInt(Short.reverseBytes((short) folded)) : folded;
    }

    /** The sum of the pseudo-header of IPv4 (RFC 9293, section 3.1; RFC 768). */
    public static int pseudoHeader(int source, int destination, int protocol, int length) {
        return fold((source >>> 16)
                + (source & 0xFFFF)
                + (destination >>> 16)
                + (destination & 0xFFFF)
                + protocol
                + length);
    }

    /** The sum of the pseudo-header of either family (RFC 8200, section 8.1). */
    public static int pseudoHeader(IpAddress source, IpAddress destination, int protocol, int length) {
        return pseudoHeader(source.high(), source.low(), destination.high(), destination.low(), protocol, length);
    }

    /**
     * The sum of the pseudo-header of either family. IPv4-mapped addresses give that of IPv4: the word of ones that
     * they have more is a zero in one's complement.
     */
    public static int pseudoHeader(
            long sourceHigh, long sourceLow, long destinationHigh, long destinationLow, int protocol, int length) {
        long sum = (sourceHigh >>> 32)
                + (sourceHigh & 0xFFFF_FFFFL)
                + (sourceLow >>> 32)
                + (sourceLow & 0xFFFF_FFFFL)
                + (destinationHigh >>> 32)
                + (destinationHigh & 0xFFFF_FFFFL)
                + (destinationLow >>> 32)
                + (destinationLow & 0xFFFF_FFFFL)
                + protocol
                + length;
        sum = (sum & 0xFFFF_FFFFL) + (sum >>> 32);
        sum = (sum & 0xFFFF_FFFFL) + (sum >>> 32);
        return fold((int) (sum & 0xFFFF) + (int) (sum >>> 16));
    }

    /** Brings a sum of sums back to 16 bits. */
    public static int fold(int sum) {
        int folded = (sum & 0xFFFF) + (sum >>> 16);
        return (folded & 0xFFFF) + (folded >>> 16);
    }

    /** The checksum of a sum: folded and complemented. */
    public static int finish(int sum) {
        return ~fold(sum) & 0xFFFF;
    }
}
