package dev.slipway.dhcp;

import java.util.HashMap;
import java.util.Map;
import java.util.function.IntConsumer;

/**
 * Who has which address: all that changes when an address goes from one owner to another changes here, so that what is
 * known by MAC address and by name agrees with the entries, and whoever remembers owners hears of each that is lost.
 *
 * <p>A MAC address has one lease, or offer, or reservation, and up to {@link LeaseTable#MAX_CLAIMS} addresses that it uses
 * without having asked. Guarded by the table's lock.
 */
final class AddressOwners {

    private final GuestNames names = new GuestNames();
    /** By MAC address, what DHCP gave or would confirm. */
    private final Map<Long, LeaseEntry> leased = new HashMap<>();

    private final Map<Long, Integer> claims = new HashMap<>();
    private IntConsumer lost = address -> {};

    /** See {@link LeaseTable#whenLost}. */
    void whenLost(IntConsumer listener) {
        lost = listener;
    }

    GuestNames names() {
        return names;
    }

    /** What DHCP gave, or would confirm, to a MAC address: null if nothing. */
    LeaseEntry of(long mac) {
        return leased.get(mac);
    }

    /** Makes an address a client's: what it was leased before is free again, what it claimed stays claimed. */
    void lease(LeaseEntry entry, long mac) {
        if (entry.state == Lease.State.CLAIMED) {
            unclaim(entry);
        }
        entry.state = Lease.State.FREE;
        LeaseEntry before = leased.put(mac, entry);
        if (before != null && before != entry && before.isBoundOrOffered()) {
            before.state = Lease.State.FREE;
            lost.accept(before.address);
            names.take(before);
        }
        if (entry.mac != mac) {
            disown(entry);
            entry.mac = mac;
        }
    }

    boolean mayClaimOneMore(long mac) {
        return claims.getOrDefault(mac, 0) < LeaseTable.MAX_CLAIMS;
    }

    /** Makes an address a client's that uses it without having asked. */
    void claim(LeaseEntry entry, long mac) {
        if (entry.mac != mac) {
            disown(entry);
        }
        entry.mac = mac;
        entry.state = Lease.State.CLAIMED;
        leased.putIfAbsent(mac, entry); // so that DHCP, if it comes to that, confirms what is in use
        claims.merge(mac, 1, Integer::sum);
    }

    /** One claim less is counted; the address is whose it was. */
    private void unclaim(LeaseEntry entry) {
        claims.computeIfPresent(entry.mac, (owner, count) -> count > 1 ? count - 1 : null);
    }

    boolean hasClaims(long mac) {
        return claims.containsKey(mac);
    }

    /** An address is nobody's; who had it gets it again if it comes back before others needed it. */
    void free(LeaseEntry entry, long now) {
        lost.accept(entry.address);
        if (entry.state == Lease.State.CLAIMED) {
            unclaim(entry);
        }
        entry.state = Lease.State.FREE;
        entry.expires = now;
        names.take(entry);
    }

    /** Whoever had an address does not get it again. */
    void forget(LeaseEntry entry) {
        leased.remove(entry.mac, entry);
    }

    /** What an address was to its owner it is no longer, nor will it be again. */
    void disown(LeaseEntry entry) {
        lost.accept(entry.address);
        forget(entry);
        names.take(entry);
    }
}
