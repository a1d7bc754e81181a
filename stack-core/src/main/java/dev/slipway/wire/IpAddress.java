package dev.slipway.wire;

/**
 * An IPv4 or IPv6 address as 128 bits; an IPv4 address is held as its IPv4-mapped form (RFC 4291, section 2.5.5.2).
 *
 * @param high the first 64 bits in network order
 * @param low the last 64 bits in network order
 */
public record IpAddress(long high, long low) {

    private static final long V4_MAPPED = 0xFFFF_0000_0000L;

    public static IpAddress ofV4(int address) {
        return new IpAddress(0, V4_MAPPED | (address & 0xFFFF_FFFFL));
    }

    /** The last 64 bits of the IPv4-mapped form of an IPv4 address; the first are 0. */
    public static long mapped(int v4) {
        return V4_MAPPED | (v4 & 0xFFFF_FFFFL);
    }

    public boolean isV4() {
        return high == 0 && (low & 0xFFFF_FFFF_0000_0000L) == V4_MAPPED;
    }

    /** The IPv4 address in network order. Meaningful only if {@link #isV4}. */
    public int v4() {
        return (int) low;
    }

    /** Whether it is the address of a group, of either family. */
    public boolean isGroup() {
        return isV4() ? isGroupV4(v4()) : isGroupV6(high);
    }

    /** Whether an IPv4 address in network order is that of a group: 224.0.0.0/4 (RFC 5771, section 3). */
    public static boolean isGroupV4(int v4) {
        return v4 >>> 28 == 0xE;
    }

    /** Whether an IPv6 address with these first 64 bits is that of a group: ff00::/8 (RFC 4291, section 2.7). */
    public static boolean isGroupV6(long high) {
        return high >>> 56 == 0xFF;
    }

    /**
     * Reads an IPv4 address in dotted-decimal form: four numbers of 0 to 255 without leading zeros.
     *
     * @return the address in network order
     * @throws IllegalArgumentException if the text is anything else
     */
    public static int parseV4(String text) {
        String[] parts = text.split("\\.", -1);
        int address = 0;
        boolean valid = parts.length == 4;
        for (int i = 0; valid && i < 4; i++) {
            valid = parts[i].matches("0|[1-9][0-9]{0,2}") && Integer.parseInt(parts[i]) <= 255;
            if (valid) {
                address = address << 8 | Integer.parseInt(parts[i]);
            }
        }
        if (!valid) {
            throw new IllegalArgumentException("not an IPv4 address: '" + text + "'");
        }
        return address;
    }

    /** The dotted-decimal form of an IPv4 address in network order. */
    public static String toString(int v4) {
        return (v4 >>> 24) + "." + (v4 >>> 16 & 0xFF) + "." + (v4 >>> 8 & 0xFF) + "." + (v4 & 0xFF);
    }

    /** The 4 or 16 bytes in network order. */
    public byte[] toBytes() {
        if (isV4()) {
            return new byte[] {(byte) (low >>> 24), (byte) (low >>> 16), (byte) (low >>> 8), (byte) low};
        }
        byte[] bytes = new byte[16];
        for (int i = 0; i < 8; i++) {
            bytes[i] = (byte) (high >>> (56 - 8 * i));
            bytes[8 + i] = (byte) (low >>> (56 - 8 * i));
        }
        return bytes;
    }

    /**
     * From 4 or 16 bytes in network order.
     *
     * @throws IllegalArgumentException if there are not 4 or 16 of them
     */
    public static IpAddress ofBytes(byte[] bytes) {
        if (bytes.length == 4) {
            return ofV4((bytes[0] & 0xFF) << 24 | (bytes[1] & 0xFF) << 16 | (bytes[2] & 0xFF) << 8 | bytes[3] & 0xFF);
        }
        if (bytes.length != 16) {
            throw new IllegalArgumentException("an IP address has 4 or 16 bytes, not " + bytes.length);
        }
        long high = 0;
        long low = 0;
        for (int i = 0; i < 8; i++) {
            high = high << 8 | bytes[i] & 0xFF;
            low = low << 8 | bytes[8 + i] & 0xFF;
        }
        return new IpAddress(high, low);
    }

    /** The dotted-decimal form of an IPv4 address, the canonical one of an IPv6 address (RFC 5952). */
    @Override
    public String toString() {
        if (isV4()) {
            return toString(v4());
        }
        int run = longestRunOfZeros();
        StringBuilder text = new StringBuilder();
        for (int i = 0; i < 8; i++) {
            if (i == run) {
                text.append("::");
                while (i < 7 && group(i + 1) == 0) {
                    i++;
                }
            } else {
                boolean first = text.isEmpty() || text.charAt(text.length() - 1) == ':';
                text.append(first ? "" : ":").append(Integer.toHexString(group(i)));
            }
        }
        return text.toString();
    }

    /** Where the first of the longest runs of two or more groups of zeros begins (RFC 5952, section 4.2), or -1. */
    private int longestRunOfZeros() {
        int best = -1;
        int bestLength = 1;
        for (int i = 0; i < 8; i++) {
            int length = 0;
            while (i + length < 8 && group(i + length) == 0) {
                length++;
            }
            if (length > bestLength) {
                best = i;
                bestLength = length;
            }
            i += length;
        }
        return best;
    }

    private int group(int index) {
        return (int) (index < 4 ? high >>> (48 - 16 * index) : low >>> (48 - 16 * (index - 4))) & 0xFFFF;
    }
}
