package dev.slipway.dhcp;

import dev.slipway.dhcp.LeaseEntry.Loss;
import java.util.HashSet;
import java.util.Set;
import java.util.function.ObjLongConsumer;

/**
 * Equal shares of the pool for all guests: one that has its share gets another address only in place of one that it has but
 * never used. So no guest can take the network from the others, whatever MAC addresses it makes up. Guarded by the
 * table's lock.
 */
final class GuestShares {

    private final AddressPool pool;
    private final ObjLongConsumer<LeaseEntry> evict;
    private final Set<Integer> holders = new HashSet<>();
    private int last = LeaseEntry.NOBODY;

    /** @param evict takes an address from its owner, at a time */
    GuestShares(AddressPool pool, ObjLongConsumer<LeaseEntry> evict) {
        this.pool = pool;
        this.evict = evict;
    }

    /** A guest more; what it is called from here on. */
    int join() {
        holders.add(++last);
        return last;
    }

    /** A guest less: the others' shares grow. */
    void forget(int holder) {
        holders.remove(holder);
    }

    /** How many addresses a guest may have; 1 at least. */
    private int share() {
        return Math.max(1, pool.capacity() / Math.max(1, holders.size()));
    }

    /**
     * Sees to it that a guest may have one more address: if it has its share, the one that it got longest ago of those it
     * never used goes.
     *
     * @param wanted the address, or null if it is any; one that the guest has counts for nothing
     * @return false if it uses all of them
     */
    boolean makeRoom(int holder, LeaseEntry wanted, long now) {
        if (holder == LeaseEntry.NOBODY
                || wanted != null && wanted.holder == holder && wanted.state != Lease.State.FREE) {
            return true;
        }
        int held = 0;
        LeaseEntry oldest = null;
        for (LeaseEntry entry : pool.entries()) {
            if (entry.holder == holder
                    && !entry.reserved
                    && entry.loss(now, false).compareTo(Loss.OFFERED) >= 0) {
                held++;
                boolean unused = !entry.used && entry.state != Lease.State.CLAIMED;
                if (unused && entry != wanted && (oldest == null || entry.expires - oldest.expires < 0)) {
                    oldest = entry;
                }
            }
        }
        if (held < share()) {
            return true;
        }
        if (oldest == null) {
            return false;
        }
        evict.accept(oldest, now);
        return true;
    }
}
