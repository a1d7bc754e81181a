package dev.slipway.dhcp;

import dev.slipway.wire.IpAddress;
import dev.slipway.wire.MacAddress;

/**
 * Who has an address, at one moment.
 *
 * @param address IPv4, in network order
 * @param mac the owner's MAC address
 * @param state how it came by it
 * @param expires when it runs out, on the clock of the table's callers; meaningless if reserved or claimed
 */
public record Lease(int address, long mac, State state, long expires) {

    /** What becomes of an address. */
    public enum State {
        /** Kept for a MAC address by settings; nobody else ever gets it. */
        RESERVED,
        /** Offered, not asked for yet. */
        OFFERED,
        /** Leased. */
        BOUND,
        /** In use by a guest that never asked for it. */
        CLAIMED,
        /** Found in use by the client it was leased to, and resting; the MAC address is that client's. */
        QUARANTINED,
        /** Free; the MAC address is its last owner's. */
        FREE
    }

    @Override
    public String toString() {
        return IpAddress.toString(address) + " " + MacAddress.toString(mac) + " " + state;
    }
}
