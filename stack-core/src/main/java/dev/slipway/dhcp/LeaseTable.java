package dev.slipway.dhcp;

import dev.slipway.dhcp.LeaseEntry.Loss;
import dev.slipway.seam.StackSettings;
import dev.slipway.wire.IpAddress;
import dev.slipway.wire.MacAddress;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.function.IntConsumer;

/**
 * Which address of a subnet belongs to which MAC address. Shared by the stacks of a process and its control API, hence
 * locked; no packet but the first of a guest and those of DHCP come here.
 *
 * <p>{@link AddressPool} knows which addresses there are and which is next, {@link AddressOwners} whose they are, {@link
 * GuestNames} what their owners are called, {@link GuestShares} how many a guest may have. Here is what a client may ask
 * for, and what is counted.
 *
 * <p>Times are nanoseconds on any clock that only goes forward, the same for all callers.
 */
public final class LeaseTable {

    /**
     * How long a lease lasts: 30 days. A guest's clock jumps when its host sleeps, and each renewal is a chance to lose
     * the network for nothing, so renewals should be rare; yet a client that never says goodbye should not keep its
     * address for the life of the process.
     */
    public static final int LEASE_SECONDS = 30 * 24 * 60 * 60;

    /** How long an offer is kept for its client: longer than clients wait before they ask for it. */
    public static final int OFFER_SECONDS = 30;

    /** How long an address rests that a client found in use. */
    public static final int QUARANTINE_SECONDS = 600;

    /** How many addresses one MAC address may use without having asked for them. */
    public static final int MAX_CLAIMS = 64;

    /** How many addresses are in use or remembered at most, however large the subnet is. */
    public static final int MAX_LEASES = 4_096;

    private final DhcpSettings dhcp;
    private final Ipv6Addresses ipv6;
    private final AddressOwners owners = new AddressOwners();
    private final GuestNames names = owners.names();
    private final AddressPool pool;
    private final GuestShares shares;
    private long version;

    private long offered;
    private long committed;
    private long refused;
    private long released;
    private long declined;
    private long exhausted;
    private long claimed;
    private long claimsRefused;
    private long nameConflicts;
    private long evicted;

    public LeaseTable(StackSettings settings) {
        this(settings, DhcpSettings.NONE);
    }

    /**
     * A table with reserved addresses.
     *
     * @throws IllegalArgumentException if one is not for guests, or a MAC address has two
     */
    public LeaseTable(StackSettings settings, DhcpSettings dhcp) {
        this.dhcp = dhcp;
        this.ipv6 = new Ipv6Addresses(settings.ipv6());
        this.pool = new AddressPool(settings, owners::disown);
        this.shares = new GuestShares(pool, this::evict);
        dhcp.reserved().forEach(this::reserve);
    }

    /**
     * Who is told of each address that may have lost its owner, before anybody else can get it. To be said before the table
     * is used; the listener is called with the table locked, from any thread, and must not call back.
     */
    public void whenLost(IntConsumer listener) {
        owners.whenLost(listener);
    }

    /** The same of IPv6. */
    public Ipv6Addresses ipv6() {
        return ipv6;
    }

    /** What the servers of this network announce beside addresses. */
    public DhcpSettings dhcp() {
        return dhcp;
    }

    /**
     * A guest is there to ask for addresses; from now on it has an equal share of the pool.
     *
     * @return what to call it in {@link #offer}, {@link #commit}, {@link #claim} and {@link #leave}
     */
    public synchronized int join() {
        return shares.join();
    }

    /** A guest is gone: addresses that it used without asking are free again. It may come back. */
    public synchronized void leave(int holder, long nowNanos) {
        ipv6.leave(holder);
        List<LeaseEntry> claims = pool.entries().stream()
                .filter(entry -> entry.state == Lease.State.CLAIMED && entry.holder == holder)
                .toList();
        claims.forEach(entry -> {
            owners.forget(entry);
            free(entry, nowNanos);
        });
        released += claims.size();
    }

    /** A guest will not come back: the others' shares grow. */
    public synchronized void forget(int holder, long nowNanos) {
        leave(holder, nowNanos);
        shares.forget(holder);
    }

    private void evict(LeaseEntry entry, long now) {
        evicted++;
        owners.disown(entry);
        entry.state = Lease.State.FREE;
        entry.everBound = false;
        entry.expires = now;
    }

    /**
     * Keeps an address for a MAC address.
     *
     * @throws IllegalArgumentException if it is not one that a guest of this subnet can have, or is somebody else's
     */
    public synchronized void reserve(int address, long mac) {
        String pair = IpAddress.toString(address) + " for " + MacAddress.toString(mac);
        if (!pool.isUsable(address)) {
            throw new IllegalArgumentException("cannot reserve " + pair + ": it is not an address for guests");
        }
        LeaseEntry entry = pool.known(address);
        LeaseEntry other = owners.of(mac);
        if (entry != null && entry.isOwned() && entry.mac != mac) {
            throw new IllegalArgumentException(
                    "cannot reserve " + pair + ": it belongs to " + MacAddress.toString(entry.mac));
        }
        if (other != null && other.reserved && other.address != address) {
            throw new IllegalArgumentException(
                    "cannot reserve " + pair + ": it has " + IpAddress.toString(other.address) + " already");
        }
        entry = pool.entry(address);
        owners.lease(entry, mac);
        entry.reserved = true;
        entry.state = Lease.State.RESERVED;
    }

    /** The address that is leased to or reserved for a MAC address, or 0. */
    public synchronized int leaseOf(long mac) {
        LeaseEntry entry = owners.of(mac);
        return entry != null && entry.isOwned() && entry.state != Lease.State.CLAIMED ? entry.address : 0;
    }

    /**
     * Finds an address for a client and keeps it for a moment: the one it has or had, or the one it would like if that
     * is free, or any.
     *
     * @param requested the address the client would like, or 0
     * @return the address, or 0 if there is none left
     */
    public int offer(long mac, int requested, long nowNanos) {
        return offer(LeaseEntry.NOBODY, mac, requested, nowNanos);
    }

    /** The same for a guest that {@link #join joined}: only as long as it has less than its share. */
    public synchronized int offer(int holder, long mac, int requested, long nowNanos) {
        LeaseEntry entry = owners.of(mac);
        if (!shares.makeRoom(holder, entry, nowNanos)) {
            exhausted++;
            return 0;
        }
        if (entry == null && pool.isPooled(requested) && isFree(requested, mac, nowNanos)) {
            entry = pool.entryWithin(requested, nowNanos);
        }
        if (entry == null) {
            entry = pool.anyFree(nowNanos);
        }
        if (entry == null) {
            exhausted++;
            return 0;
        }
        boolean owned = entry.isOwned() && entry.mac == mac && entry.loss(nowNanos, false) == Loss.OWNED;
        if (!owned) {
            owners.lease(entry, mac);
            entry.holder = holder;
            entry.used = false;
            entry.state = Lease.State.OFFERED;
            entry.expires = nowNanos + TimeUnit.SECONDS.toNanos(OFFER_SECONDS);
        }
        offered++;
        return entry.address;
    }

    /**
     * Leases an address to a client for {@link #LEASE_SECONDS}: the one it was offered or has, or any that is free or
     * that it uses already.
     *
     * @return false if the client may not have it
     */
    public boolean commit(long mac, int address, long nowNanos) {
        return commit(LeaseEntry.NOBODY, mac, address, nowNanos);
    }

    /** The same for a guest that {@link #join joined}: only as long as it has less than its share. */
    public synchronized boolean commit(int holder, long mac, int address, long nowNanos) {
        LeaseEntry current = owners.of(mac);
        if (current != null && current.reserved && current.address != address
                || !pool.isPooled(address) && (current == null || current.address != address)
                || !isFree(address, mac, nowNanos)) {
            refused++;
            return false;
        }
        boolean replaces = current != null && current.holder == holder && current.state != Lease.State.FREE;
        if (!replaces && !shares.makeRoom(holder, pool.known(address), nowNanos)) {
            exhausted++;
            return false;
        }
        LeaseEntry entry = pool.entryWithin(address, nowNanos);
        if (entry == null) {
            exhausted++;
            return false;
        }
        entry.used &= entry.mac == mac;
        owners.lease(entry, mac);
        entry.holder = holder;
        version++;
        entry.state = entry.reserved ? Lease.State.RESERVED : Lease.State.BOUND;
        entry.everBound = true;
        entry.expires = nowNanos + TimeUnit.SECONDS.toNanos(LEASE_SECONDS);
        committed++;
        return true;
    }

    /** Forgets what was offered to a client: it took another server's offer. */
    public synchronized void withdraw(long mac) {
        LeaseEntry entry = owners.of(mac);
        if (entry != null && entry.state == Lease.State.OFFERED) {
            entry.state = Lease.State.FREE;
        }
    }

    /**
     * Gives back everything that belongs to a MAC address: its lease and its claims. It gets the same address again if
     * it comes back before others needed it.
     */
    public synchronized void release(long mac, long nowNanos) {
        version++;
        LeaseEntry lease = owners.of(mac);
        if (lease != null && lease.isBoundOrOffered()) {
            free(lease, nowNanos);
            released++;
        }
        if (owners.hasClaims(mac)) {
            List<LeaseEntry> claims = pool.entries().stream()
                    .filter(entry -> entry.state == Lease.State.CLAIMED && entry.mac == mac)
                    .toList();
            claims.forEach(entry -> free(entry, nowNanos));
            released += claims.size();
        }
    }

    private void free(LeaseEntry entry, long now) {
        owners.free(entry, now);
        if (!pool.isPooled(entry.address)) {
            owners.forget(entry);
            pool.remove(entry);
        }
    }

    /** Lets an address rest that its client found in use by someone else. Ignored if it is not that client's. */
    public synchronized void decline(long mac, int address, long nowNanos) {
        LeaseEntry entry = owners.of(mac);
        if (entry == null || entry.address != address || !entry.isBoundOrOffered()) {
            return;
        }
        owners.disown(entry);
        version++;
        entry.holder = LeaseEntry.NOBODY;
        entry.everBound = false;
        entry.state = Lease.State.QUARANTINED;
        entry.expires = nowNanos + TimeUnit.SECONDS.toNanos(QUARANTINE_SECONDS);
        declined++;
    }

    /** The MAC address that an address belongs to, or 0 if it is nobody's. An offer alone gives nobody an address. */
    public synchronized long ownerOf(int address) {
        LeaseEntry entry = pool.known(address);
        return entry != null && entry.isOwned() ? entry.mac : 0;
    }

    /**
     * Says that a guest uses an address. If nobody has it, it is the guest's from now on, until {@link #release}.
     *
     * @return false if it may not use it: it belongs to someone else, is not one for guests, or is one too many
     */
    public boolean claim(int address, long mac, long nowNanos) {
        return claim(LeaseEntry.NOBODY, address, mac, nowNanos);
    }

    /**
     * The same for who remembers the answer.
     *
     * @param granted run if it may use it, before the address can be lost again ({@link #whenLost})
     */
    public synchronized boolean claim(int holder, int address, long mac, long nowNanos, Runnable granted) {
        boolean may = claim(holder, address, mac, nowNanos);
        if (may) {
            granted.run();
        }
        return may;
    }

    /** The same for a guest that {@link #join joined}: until it leaves, and only as long as it has less than its share. */
    public synchronized boolean claim(int holder, int address, long mac, long nowNanos) {
        LeaseEntry known = pool.known(address);
        if (known != null && known.isOwned() && known.mac == mac) {
            known.used = true;
            if (known.holder == LeaseEntry.NOBODY) {
                // From an earlier run, or reserved: now it is known whose it is.
                known.holder = holder;
            }
            return true;
        }
        boolean resting = known != null && known.state == Lease.State.QUARANTINED;
        LeaseEntry entry = null;
        if (pool.isUsable(address)
                && owners.mayClaimOneMore(mac)
                && (resting || isFree(address, mac, nowNanos))
                && shares.makeRoom(holder, known, nowNanos)) {
            entry = pool.entryWithin(address, nowNanos);
        }
        if (entry == null) {
            claimsRefused++;
            return false;
        }
        owners.claim(entry, mac);
        entry.holder = holder;
        entry.used = true;
        claimed++;
        return true;
    }

    /**
     * Says what the owner of a lease is called; an empty name takes back what was said before. A name that the owner of
     * another address has already stays with that one, and is counted.
     *
     * @param name one label of letters, digits and hyphens
     * @throws IllegalArgumentException if it is no such label
     */
    public synchronized void name(long mac, String name) {
        LeaseEntry entry = owners.of(mac);
        if (entry == null || !entry.isOwned()) {
            return;
        }
        switch (names.give(entry, name)) {
            case GIVEN -> version++;
            case TAKEN -> nameConflicts++;
            case SAME -> {}
        }
    }

    /** What the owner of an address is called; empty if it has no name, or there is no owner. */
    public synchronized String nameOf(int address) {
        LeaseEntry entry = pool.known(address);
        return entry != null && entry.isOwned() ? entry.name : "";
    }

    /** The address of the guest of that name, or 0. */
    public synchronized int addressOf(String name) {
        LeaseEntry entry = names.of(name);
        return entry != null && entry.isOwned() ? entry.address : 0;
    }

    /** The IPv6 address of the guest of that name, if there is such a guest and it was seen to use one. */
    public synchronized Optional<IpAddress> ipv6Of(String name) {
        LeaseEntry entry = names.of(name);
        return entry != null && entry.isOwned() ? ipv6.of(entry.holder, entry.mac) : Optional.empty();
    }

    /** What the owner of an IPv6 address is called; empty if it has no name, or there is no owner. */
    public synchronized String nameOf(IpAddress address) {
        int holder = ipv6.holderOf(address);
        LeaseEntry entry = holder == LeaseEntry.NOBODY ? null : owners.of(ipv6.macOf(holder, address));
        return entry != null && entry.isOwned() && entry.holder == holder ? entry.name : "";
    }

    /**
     * A lease as it outlives the process.
     *
     * @param expires on the clock of the table's callers
     * @param name what the guest is called, or empty
     */
    public record Remembered(int address, long mac, long expires, String name) {}

    /** Changes whenever {@link #remembered} does. */
    public synchronized long version() {
        return version;
    }

    /** The leases, those too that are over or given back as long as their addresses are kept for their owners. */
    public synchronized List<Remembered> remembered() {
        List<Remembered> all = new ArrayList<>();
        for (LeaseEntry entry : pool.entries()) {
            if (entry.everBound
                    && !entry.reserved
                    && (entry.state == Lease.State.BOUND || entry.state == Lease.State.FREE)) {
                all.add(new Remembered(entry.address, entry.mac, entry.expires, entry.name));
            }
        }
        all.sort(Comparator.comparingLong(lease -> Integer.toUnsignedLong(lease.address())));
        return all;
    }

    /**
     * Puts back a lease of an earlier run.
     *
     * @return false if the address is none that DHCP hands out here, is in use, or the MAC address has another
     */
    public synchronized boolean restore(Remembered lease, long nowNanos) {
        if (!pool.isPooled(lease.address())
                || pool.known(lease.address()) != null
                || owners.of(lease.mac()) != null
                || pool.isFull()
                || lease.mac() == 0
                || MacAddress.isGroup(lease.mac())) {
            return false;
        }
        LeaseEntry entry = pool.entry(lease.address());
        owners.lease(entry, lease.mac());
        entry.everBound = true;
        entry.expires = lease.expires();
        if (lease.expires() - nowNanos > 0) {
            entry.state = Lease.State.BOUND;
            names.restore(entry, lease.name());
        }
        return true;
    }

    /** Every address that is in use, reserved, offered or resting, in order. */
    public synchronized List<Lease> leases() {
        List<Lease> leases = new ArrayList<>();
        for (LeaseEntry entry : pool.entries()) {
            if (entry.state != Lease.State.FREE) {
                leases.add(new Lease(entry.address, entry.mac, entry.state, entry.expires));
            }
        }
        leases.sort(Comparator.comparingLong(lease -> Integer.toUnsignedLong(lease.address())));
        return leases;
    }

    public synchronized LeaseCounts counts() {
        return new LeaseCounts(
                offered,
                committed,
                refused,
                released,
                declined,
                exhausted,
                claimed,
                claimsRefused,
                nameConflicts,
                evicted);
    }

    /** Whether an address is a client's already, or nobody's. */
    private boolean isFree(int address, long mac, long now) {
        LeaseEntry entry = pool.known(address);
        return entry == null || entry.isFreeFor(mac, now);
    }
}
