package dev.slipway.testing;

/** The Internet checksum (RFC 1071) in the plainest way: one byte after the other. */
public final class NaiveChecksum {

    private NaiveChecksum() {}

    /** The one's complement sum of big-endian 16-bit words, an odd last byte padded with zero; folded. */
    public static int sum(byte[] bytes, int from, int to) {
        long sum = 0;
        for (int i = from; i < to; i++) {
            int value = bytes[i] & 0xFF;
            sum += (i - from) % 2 == 0 ? value * 256 : value;
        }
        return fold(sum);
    }

    /** The folded sum of the pseudo-header of IPv4. */
    public static int pseudoHeader(byte[] source, byte[] destination, int protocol, int length) {
        return fold(sum(source, 0, 4) + sum(destination, 0, 4) + protocol + (long) length);
    }

    /** Adds end-around carries until 16 bits are left. */
    public static int fold(long sum) {
        long folded = sum;
        while (folded > 0xFFFF) {
            folded = (folded & 0xFFFF) + (folded >> 16);
        }
        return (int) folded;
    }
}
