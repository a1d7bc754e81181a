package dev.slipway.ip;

/**
 * Which MAC address a guest's IPv4 address is at. An address belongs to whom it was leased, or else to the first that
 * uses it; nobody else can take it while the guest is there.
 *
 * <p>Open addressing over plain arrays: it is asked for every packet in both directions.
 */
public final class Neighbours {

    /** How many addresses one guest may use: more than a /24 has. */
    static final int LIMIT = 1024;

    private static final int SLOTS = 4096;

    private final int[] addresses = new int[SLOTS];
    private final long[] macs = new long[SLOTS];
    private int size;

    /** The MAC address of an IPv4 address, or 0 if none is known. */
    public long macOf(int address) {
        int slot = slotOf(address);
        return addresses[slot] == address ? macs[slot] : 0;
    }

    /**
     * Binds an address to a MAC address, in place of whatever it was bound to.
     *
     * @return false if there are too many addresses already
     */
    public boolean bind(int address, long mac) {
        int slot = slotOf(address);
        if (addresses[slot] != address) {
            if (size == LIMIT) {
                return false;
            }
            size++;
            addresses[slot] = address;
        }
        macs[slot] = mac;
        return true;
    }

    /** Forgets everything: the guest is gone. */
    public void clear() {
        java.util.Arrays.fill(addresses, 0);
        java.util.Arrays.fill(macs, 0);
        size = 0;
    }

    public int size() {
        return size;
    }

    private int slotOf(int address) {
        int slot = (address * 0x9E37_79B1) >>> 20;
        while (addresses[slot] != address && addresses[slot] != 0) {
            slot = (slot + 1) & (SLOTS - 1);
        }
        return slot;
    }
}
