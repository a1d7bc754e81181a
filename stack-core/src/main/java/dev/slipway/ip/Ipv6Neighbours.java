package dev.slipway.ip;

import java.util.Arrays;

/**
 * Which MAC address a guest's IPv6 address is at. An address belongs to the first that uses it; nobody else can take it
 * while the guest is there. Open addressing over plain arrays, as in {@link Neighbours}.
 */
public final class Ipv6Neighbours {

    /** How many addresses one guest may use: temporary ones (RFC 8981) of years. */
    public static final int LIMIT = 1024;

    private static final int SLOTS = 4096;

    private final long[] high = new long[SLOTS];
    private final long[] low = new long[SLOTS];
    private final long[] macs = new long[SLOTS];
    private int size;

    /** The MAC address of an IPv6 address, or 0 if none is known. */
    public long macOf(long addressHigh, long addressLow) {
        return macs[slotOf(addressHigh, addressLow)];
    }

    /**
     * Binds an address to a MAC address, in place of whatever it was bound to.
     *
     * @return false if there are too many addresses already
     */
    public boolean bind(long addressHigh, long addressLow, long mac) {
        int slot = slotOf(addressHigh, addressLow);
        if (macs[slot] == 0) {
            if (size == LIMIT) {
                return false;
            }
            size++;
            high[slot] = addressHigh;
            low[slot] = addressLow;
        }
        macs[slot] = mac;
        return true;
    }

    /** Forgets everything: the guest is gone. */
    public void clear() {
        Arrays.fill(macs, 0);
        size = 0;
    }

    public int size() {
        return size;
    }

    private int slotOf(long addressHigh, long addressLow) {
        long mixed = (addressLow ^ Long.rotateLeft(addressHigh, 17)) * 0x9E37_79B9_7F4A_7C15L;
        int slot = (int) (mixed >>> 52);
        while (macs[slot] != 0 && (low[slot] != addressLow || high[slot] != addressHigh)) {
            slot = (slot + 1) & (SLOTS - 1);
        }
        return slot;
    }
}
