package dev.slipway.lan;

import java.util.concurrent.atomic.AtomicLongArray;

/**
 * The IPv4 addresses that a VM was found to own, so that the table of leases is not asked for every packet. What has no
 * room is asked for again. Looked at by the VM's thread; who takes an address away tells it on its own, before anybody
 * else can have it.
 */
final class OwnedAddresses {

    private static final int SLOTS = 4096;

    /** In each slot an address and who has it, a station's number; 0 for none. */
    private final AtomicLongArray slots = new AtomicLongArray(SLOTS);

    /** Whether a station was found to own an address. */
    boolean has(int address, int station) {
        return slots.get(address & SLOTS - 1) == pair(address, station);
    }

    /** Notes that it does; to be called while nobody can take the address away. */
    void add(int address, int station) {
        slots.set(address & SLOTS - 1, pair(address, station));
    }

    /** Forgets an address. */
    void lost(int address) {
        int slot = address & SLOTS - 1;
        long pair = slots.get(slot);
        if (pair >>> 32 == Integer.toUnsignedLong(address)) {
            slots.compareAndSet(slot, pair, 0);
        }
    }

    void clear() {
        for (int i = 0; i < SLOTS; i++) {
            slots.lazySet(i, 0);
        }
    }

    private static long pair(int address, int station) {
        return (long) address << 32 | Integer.toUnsignedLong(station);
    }
}
