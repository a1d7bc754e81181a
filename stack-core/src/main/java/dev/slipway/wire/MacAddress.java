package dev.slipway.wire;

import java.util.Locale;

/** IEEE 802 MAC addresses as the low 48 bits of a {@code long}, so that the path of a packet carries no objects. */
public final class MacAddress {

    public static final long BROADCAST = 0xFFFF_FFFF_FFFFL;

    private static final long GROUP_BIT = 0x0100_0000_0000L;

    private MacAddress() {}

    /** Whether it names a group of stations: multicast or broadcast. */
    public static boolean isGroup(long mac) {
        return (mac & GROUP_BIT) != 0;
    }

    /**
     * Reads six pairs of hexadecimal digits separated by colons or hyphens.
     *
     * @throws IllegalArgumentException if the text is anything else
     */
    public static long parse(String text) {
        if (!text.matches("(?:[0-9a-fA-F]{2}[:-]){5}[0-9a-fA-F]{2}")) {
            throw new IllegalArgumentException("not a MAC address: '" + text + "' (six pairs of hexadecimal digits)");
        }
        return Long.parseLong(text.replace(":", "").replace("-", ""), 16);
    }

    /** Lower-case pairs joined by colons. */
    public static String toString(long mac) {
        return String.format(
                Locale.ROOT,
                "%02x:%02x:%02x:%02x:%02x:%02x",
                mac >>> 40 & 0xFF,
                mac >>> 32 & 0xFF,
                mac >>> 24 & 0xFF,
                mac >>> 16 & 0xFF,
                mac >>> 8 & 0xFF,
                mac & 0xFF);
    }
}
