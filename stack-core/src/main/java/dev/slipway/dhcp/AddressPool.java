package dev.slipway.dhcp;

import dev.slipway.dhcp.LeaseEntry.Loss;
import dev.slipway.seam.StackSettings;
import java.util.Collection;
import java.util.HashMap;
import java.util.Map;
import java.util.function.Consumer;

/**
 * The addresses of a subnet that guests can have, and which of them a new client gets.
 *
 * <p>The pool is the subnet from {@link StackSettings#firstGuest} on, without the broadcast address and the stack's own
 * addresses. Next is the lowest address never used, then what was offered in vain, then the one that was given up longest
 * ago, then the oldest offer, then the oldest quarantine; but when most addresses are on offer, as in a flood of invented
 * clients, offers give way before an address is lost that somebody had. What is bound, claimed or reserved is never taken
 * from its owner.
 *
 * <p>Limit: {@link LeaseTable#MAX_LEASES} entries, however large the subnet is. Guarded by the table's lock.
 */
final class AddressPool {

    private final StackSettings settings;
    private final Consumer<LeaseEntry> forgotten;
    private final Map<Integer, LeaseEntry> entries = new HashMap<>();
    private int neverUsed;

    /** @param forgotten told of an entry that goes so that another can come, before it does */
    AddressPool(StackSettings settings, Consumer<LeaseEntry> forgotten) {
        this.settings = settings;
        this.forgotten = forgotten;
        this.neverUsed = settings.firstGuest();
    }

    /** Whether a guest may have an address at all. */
    boolean isUsable(int address) {
        return settings.contains(address)
                && address != settings.network()
                && address != settings.broadcast()
                && !settings.isOwn(address);
    }

    /** Whether DHCP hands out an address. */
    boolean isPooled(int address) {
        return isUsable(address) && Integer.compareUnsigned(address, settings.firstGuest()) >= 0;
    }

    /** How many addresses guests can have by DHCP at one time. */
    int capacity() {
        long size = Integer.toUnsignedLong(settings.broadcast()) - Integer.toUnsignedLong(settings.firstGuest());
        for (int own : new int[] {settings.gateway(), settings.host()}) {
            size -= settings.contains(own) && Integer.compareUnsigned(own, settings.firstGuest()) >= 0 ? 1 : 0;
        }
        return (int) Math.min(size, LeaseTable.MAX_LEASES);
    }

    /** Every address that was ever used and is not forgotten, in no order. */
    Collection<LeaseEntry> entries() {
        return entries.values();
    }

    boolean isFull() {
        return entries.size() >= LeaseTable.MAX_LEASES;
    }

    /** The entry of an address, or null if it was never used. */
    LeaseEntry known(int address) {
        return entries.get(address);
    }

    /** The entry of an address, made if there is none, even beyond the limit. */
    LeaseEntry entry(int address) {
        return entries.computeIfAbsent(address, LeaseEntry::new);
    }

    /** The entry of an address; if there are too many already, another is forgotten, or null if none can be. */
    LeaseEntry entryWithin(int address, long now) {
        if (!entries.containsKey(address) && isFull()) {
            LeaseEntry least = leastWanted(now);
            if (least == null) {
                return null;
            }
            forgotten.accept(least);
            entries.remove(least.address);
            if (isPooled(least.address) && Integer.compareUnsigned(least.address, neverUsed) < 0) {
                neverUsed = least.address;
            }
        }
        return entry(address);
    }

    /** An address for a new client, which may be another's up to now; null if all have owners. */
    LeaseEntry anyFree(long now) {
        if (!isFull()) {
            while (isPooled(neverUsed) && entries.containsKey(neverUsed) || settings.isOwn(neverUsed)) {
                neverUsed++;
            }
            if (isPooled(neverUsed)) {
                return entry(neverUsed++);
            }
        }
        return leastWanted(now);
    }

    void remove(LeaseEntry entry) {
        entries.remove(entry.address);
    }

    /** The address whose loss hurts least, or null if all have owners. */
    private LeaseEntry leastWanted(long now) {
        int offers = 0;
        for (LeaseEntry entry : entries.values()) {
            offers += entry.state == Lease.State.OFFERED && entry.expires - now > 0 ? 1 : 0;
        }
        boolean flood = offers > entries.size() / 2;
        LeaseEntry least = null;
        Loss leastLoss = Loss.OWNED;
        for (LeaseEntry entry : entries.values()) {
            Loss loss = isPooled(entry.address) ? entry.loss(now, flood) : Loss.OWNED;
            int order = loss.compareTo(leastLoss);
            if (order < 0 || order == 0 && loss != Loss.OWNED && entry.expires - least.expires < 0) {
                least = entry;
                leastLoss = loss;
            }
        }
        return least;
    }
}
