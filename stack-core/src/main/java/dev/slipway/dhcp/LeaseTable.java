package dev.slipway.dhcp;

import dev.slipway.seam.StackSettings;
import dev.slipway.wire.IpAddress;
import dev.slipway.wire.MacAddress;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.function.IntConsumer;
import java.util.regex.Pattern;

/**
 * Which address of a subnet belongs to which MAC address. Shared by the stacks of a process and its control API, hence
 * locked; no packet but the first of a guest and those of DHCP come here.
 *
 * <p>The pool is the subnet from {@link StackSettings#firstGuest} on, without the broadcast address and the stack's own
 * addresses. New clients get the lowest address never used, then what was offered in vain, then the one that was given up
 * longest ago, then the oldest offer, then the oldest quarantine; but when most addresses are on offer, as in a flood of
 * invented clients, offers give way before an address is lost that somebody had. What is bound, claimed or reserved is
 * never taken from its owner.
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

    private static final Pattern LABEL = Pattern.compile("[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?");

    /** The holder of what was given to no guest in particular. */
    private static final int NOBODY = 0;

    private final StackSettings settings;
    private final DhcpSettings dhcp;
    private final Ipv6Addresses ipv6;
    private final Set<Integer> holders = new HashSet<>();
    private final Map<Integer, Entry> entries = new HashMap<>();
    private final Map<Long, Entry> leased = new HashMap<>();
    private final Map<Long, Integer> claimsOf = new HashMap<>();
    private final Map<String, Entry> named = new HashMap<>();
    private int neverUsed;
    private int lastHolder = NOBODY;
    private long version;
    private IntConsumer lost = address -> {};

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

    /** How willingly an address is given to a new client, best first; from {@link #OWNED} on it is not. */
    private static final int SPENT = 0;

    private static final int OFFERED_IN_FLOOD = 1;
    private static final int REMEMBERED = 2;
    private static final int OFFERED = 3;
    private static final int RESTING = 4;
    private static final int OWNED = 5;

    /** One address that was ever used. */
    private static final class Entry {
        final int address;
        long mac;
        Lease.State state = Lease.State.FREE;
        long expires;
        boolean reserved;
        boolean everBound;
        /** Whether its owner was seen to use it. */
        boolean used;
        /** The guest that got it, or {@link #NOBODY}. */
        int holder = NOBODY;

        String name = "";

        Entry(int address) {
            this.address = address;
        }
    }

    public LeaseTable(StackSettings settings) {
        this(settings, DhcpSettings.NONE);
    }

    /**
     * A table with reserved addresses.
     *
     * @throws IllegalArgumentException if one is not for guests, or a MAC address has two
     */
    public LeaseTable(StackSettings settings, DhcpSettings dhcp) {
        this.settings = settings;
        this.dhcp = dhcp;
        this.ipv6 = new Ipv6Addresses(settings.ipv6());
        this.neverUsed = settings.firstGuest();
        dhcp.reserved().forEach(this::reserve);
    }

    /**
     * Who is told of each address that may have lost its owner, before anybody else can get it. To be said before the table
     * is used; the listener is called with the table locked, from any thread, and must not call back.
     */
    public void whenLost(IntConsumer listener) {
        lost = listener;
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
     * A guest is there to ask for addresses. All guests have equal shares of the pool: one that has its share gets another
     * address only in place of one that it has but never used. So no guest can take the network from the others, whatever
     * MAC addresses it makes up.
     *
     * @return what to call it in {@link #offer}, {@link #commit}, {@link #claim} and {@link #leave}
     */
    public synchronized int join() {
        holders.add(++lastHolder);
        return lastHolder;
    }

    /** A guest is gone: addresses that it used without asking are free again. It may come back. */
    public synchronized void leave(int holder, long nowNanos) {
        ipv6.leave(holder);
        List<Entry> claims = entries.values().stream()
                .filter(entry -> entry.state == Lease.State.CLAIMED && entry.holder == holder)
                .toList();
        claims.forEach(entry -> {
            unclaim(entry);
            free(entry, nowNanos);
        });
        released += claims.size();
    }

    /** A guest will not come back: the others' shares grow. */
    public synchronized void forget(int holder, long nowNanos) {
        leave(holder, nowNanos);
        holders.remove(holder);
    }

    private void unclaim(Entry entry) {
        claimsOf.computeIfPresent(entry.mac, (owner, claims) -> claims > 1 ? claims - 1 : null);
        leased.remove(entry.mac, entry);
    }

    /** How many addresses a guest may have. */
    private int share() {
        long pool = Integer.toUnsignedLong(settings.broadcast()) - Integer.toUnsignedLong(settings.firstGuest());
        for (int own : new int[] {settings.gateway(), settings.host()}) {
            pool -= settings.contains(own) && Integer.compareUnsigned(own, settings.firstGuest()) >= 0 ? 1 : 0;
        }
        return (int) Math.max(1, Math.min(pool, MAX_LEASES) / Math.max(1, holders.size()));
    }

    /**
     * Sees to it that a guest may have one more address: if it has its share, the one that it got longest ago of those it
     * never used goes.
     *
     * @return false if it uses all of them
     */
    private boolean makeRoom(int holder, Entry wanted, long now) {
        if (holder == NOBODY || wanted != null && wanted.holder == holder && wanted.state != Lease.State.FREE) {
            return true;
        }
        int held = 0;
        Entry oldest = null;
        for (Entry entry : entries.values()) {
            if (entry.holder == holder && !entry.reserved && rank(entry, now, false) >= OFFERED) {
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
        evicted++;
        leased.remove(oldest.mac, oldest);
        unname(oldest);
        oldest.state = Lease.State.FREE;
        oldest.everBound = false;
        oldest.expires = now;
        lost.accept(oldest.address);
        return true;
    }

    /**
     * Keeps an address for a MAC address.
     *
     * @throws IllegalArgumentException if it is not one that a guest of this subnet can have, or is somebody else's
     */
    public synchronized void reserve(int address, long mac) {
        String pair = IpAddress.toString(address) + " for " + MacAddress.toString(mac);
        if (!isUsable(address)) {
            throw new IllegalArgumentException("cannot reserve " + pair + ": it is not an address for guests");
        }
        Entry entry = entries.get(address);
        Entry other = leased.get(mac);
        if (entry != null && isOwned(entry) && entry.mac != mac) {
            throw new IllegalArgumentException(
                    "cannot reserve " + pair + ": it belongs to " + MacAddress.toString(entry.mac));
        }
        if (other != null && other.reserved && other.address != address) {
            throw new IllegalArgumentException(
                    "cannot reserve " + pair + ": it has " + IpAddress.toString(other.address) + " already");
        }
        entry = entryOf(address);
        take(entry, mac);
        entry.reserved = true;
        entry.state = Lease.State.RESERVED;
    }

    /** The address that is leased to or reserved for a MAC address, or 0. */
    public synchronized int leaseOf(long mac) {
        Entry entry = leased.get(mac);
        return entry != null && isOwned(entry) && entry.state != Lease.State.CLAIMED ? entry.address : 0;
    }

    /**
     * Finds an address for a client and keeps it for a moment: the one it has or had, or the one it would like if that
     * is free, or any.
     *
     * @param requested the address the client would like, or 0
     * @return the address, or 0 if there is none left
     */
    public int offer(long mac, int requested, long nowNanos) {
        return offer(NOBODY, mac, requested, nowNanos);
    }

    /** The same for a guest that {@link #join joined}: only as long as it has less than its share. */
    public synchronized int offer(int holder, long mac, int requested, long nowNanos) {
        Entry entry = leased.get(mac);
        if (!makeRoom(holder, entry, nowNanos)) {
            exhausted++;
            return 0;
        }
        if (entry == null && isPooled(requested) && isFreeFor(entries.get(requested), mac, nowNanos)) {
            entry = entryWithin(requested, nowNanos);
        }
        if (entry == null) {
            entry = anyFree(nowNanos);
        }
        if (entry == null) {
            exhausted++;
            return 0;
        }
        boolean owned = isOwned(entry) && entry.mac == mac && rank(entry, nowNanos, false) == OWNED;
        if (!owned) {
            take(entry, mac);
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
        return commit(NOBODY, mac, address, nowNanos);
    }

    /** The same for a guest that {@link #join joined}: only as long as it has less than its share. */
    public synchronized boolean commit(int holder, long mac, int address, long nowNanos) {
        Entry current = leased.get(mac);
        if (current != null && current.reserved && current.address != address
                || !isPooled(address) && (current == null || current.address != address)
                || !isFreeFor(entries.get(address), mac, nowNanos)) {
            refused++;
            return false;
        }
        boolean replaces = current != null && current.holder == holder && current.state != Lease.State.FREE;
        if (!replaces && !makeRoom(holder, entries.get(address), nowNanos)) {
            exhausted++;
            return false;
        }
        Entry entry = entryWithin(address, nowNanos);
        if (entry == null) {
            exhausted++;
            return false;
        }
        entry.used &= entry.mac == mac;
        take(entry, mac);
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
        Entry entry = leased.get(mac);
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
        Entry lease = leased.get(mac);
        if (lease != null && (lease.state == Lease.State.BOUND || lease.state == Lease.State.OFFERED)) {
            free(lease, nowNanos);
            released++;
        }
        if (claimsOf.remove(mac) != null) {
            List<Entry> claims = entries.values().stream()
                    .filter(entry -> entry.state == Lease.State.CLAIMED && entry.mac == mac)
                    .toList();
            claims.forEach(entry -> free(entry, nowNanos));
            released += claims.size();
        }
    }

    private void free(Entry entry, long now) {
        lost.accept(entry.address);
        entry.state = Lease.State.FREE;
        entry.expires = now;
        unname(entry);
        if (!isPooled(entry.address)) {
            leased.remove(entry.mac, entry);
            entries.remove(entry.address);
        }
    }

    /** Lets an address rest that its client found in use by someone else. Ignored if it is not that client's. */
    public synchronized void decline(long mac, int address, long nowNanos) {
        Entry entry = leased.get(mac);
        if (entry == null
                || entry.address != address
                || entry.state != Lease.State.BOUND && entry.state != Lease.State.OFFERED) {
            return;
        }
        leased.remove(mac);
        unname(entry);
        version++;
        entry.holder = NOBODY;
        entry.everBound = false;
        lost.accept(address);
        entry.state = Lease.State.QUARANTINED;
        entry.expires = nowNanos + TimeUnit.SECONDS.toNanos(QUARANTINE_SECONDS);
        declined++;
    }

    /** The MAC address that an address belongs to, or 0 if it is nobody's. An offer alone gives nobody an address. */
    public synchronized long ownerOf(int address) {
        Entry entry = entries.get(address);
        return entry != null && isOwned(entry) ? entry.mac : 0;
    }

    /**
     * Says that a guest uses an address. If nobody has it, it is the guest's from now on, until {@link #release}.
     *
     * @return false if it may not use it: it belongs to someone else, is not one for guests, or is one too many
     */
    public boolean claim(int address, long mac, long nowNanos) {
        return claim(NOBODY, address, mac, nowNanos);
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
        Entry known = entries.get(address);
        if (known != null && isOwned(known) && known.mac == mac) {
            known.used = true;
            if (known.holder == NOBODY) {
                // From an earlier run, or reserved: now it is known whose it is.
                known.holder = holder;
            }
            return true;
        }
        boolean resting = known != null && known.state == Lease.State.QUARANTINED;
        int claims = claimsOf.getOrDefault(mac, 0);
        Entry entry = null;
        if (isUsable(address)
                && claims < MAX_CLAIMS
                && (resting || isFreeFor(known, mac, nowNanos))
                && makeRoom(holder, known, nowNanos)) {
            entry = entryWithin(address, nowNanos);
        }
        if (entry == null) {
            claimsRefused++;
            return false;
        }
        if (entry.mac != mac) {
            lost.accept(address);
            leased.remove(entry.mac, entry);
            unname(entry);
        }
        entry.mac = mac;
        entry.holder = holder;
        entry.used = true;
        entry.state = Lease.State.CLAIMED;
        leased.putIfAbsent(mac, entry); // so that DHCP, if it comes to that, confirms what is in use
        claimsOf.put(mac, claims + 1);
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
        Entry entry = leased.get(mac);
        if (entry == null || !isOwned(entry)) {
            return;
        }
        String label = name.toLowerCase(Locale.ROOT);
        if (!label.isEmpty() && !LABEL.matcher(label).matches()) {
            throw new IllegalArgumentException("not a host's name: '" + name + "'");
        }
        Entry other = named.get(label);
        if (other != null && other != entry) {
            nameConflicts++;
            return;
        }
        if (entry.name.equals(label)) {
            return;
        }
        version++;
        unname(entry);
        if (!label.isEmpty()) {
            entry.name = label;
            named.put(label, entry);
        }
    }

    private void unname(Entry entry) {
        if (!entry.name.isEmpty()) {
            named.remove(entry.name, entry);
            entry.name = "";
        }
    }

    /** What the owner of an address is called; empty if it has no name, or there is no owner. */
    public synchronized String nameOf(int address) {
        Entry entry = entries.get(address);
        return entry != null && isOwned(entry) ? entry.name : "";
    }

    /** The address of the guest of that name, or 0. */
    public synchronized int addressOf(String name) {
        Entry entry = named.get(name);
        return entry != null && isOwned(entry) ? entry.address : 0;
    }

    /** The IPv6 address of the guest of that name, if there is such a guest and it was seen to use one. */
    public synchronized Optional<IpAddress> ipv6Of(String name) {
        Entry entry = named.get(name);
        return entry != null && isOwned(entry) ? ipv6.of(entry.holder, entry.mac) : Optional.empty();
    }

    /** What the owner of an IPv6 address is called; empty if it has no name, or there is no owner. */
    public synchronized String nameOf(IpAddress address) {
        int holder = ipv6.holderOf(address);
        Entry entry = holder == NOBODY ? null : leased.get(ipv6.macOf(holder, address));
        return entry != null && isOwned(entry) && entry.holder == holder ? entry.name : "";
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
        for (Entry entry : entries.values()) {
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
        if (!isPooled(lease.address())
                || entries.containsKey(lease.address())
                || leased.containsKey(lease.mac())
                || entries.size() >= MAX_LEASES
                || lease.mac() == 0
                || MacAddress.isGroup(lease.mac())) {
            return false;
        }
        Entry entry = entryOf(lease.address());
        take(entry, lease.mac());
        entry.everBound = true;
        entry.expires = lease.expires();
        if (lease.expires() - nowNanos > 0) {
            entry.state = Lease.State.BOUND;
            if (LABEL.matcher(lease.name()).matches() && !named.containsKey(lease.name())) {
                entry.name = lease.name();
                named.put(lease.name(), entry);
            }
        }
        return true;
    }

    /** Every address that is in use, reserved, offered or resting, in order. */
    public synchronized List<Lease> leases() {
        List<Lease> leases = new ArrayList<>();
        for (Entry entry : entries.values()) {
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

    private static boolean isOwned(Entry entry) {
        return entry.state == Lease.State.BOUND
                || entry.state == Lease.State.CLAIMED
                || entry.state == Lease.State.RESERVED;
    }

    /** Whether a guest may have an address at all. */
    private boolean isUsable(int address) {
        return settings.contains(address)
                && address != settings.network()
                && address != settings.broadcast()
                && !settings.isOwn(address);
    }

    /** Whether DHCP hands out an address. */
    private boolean isPooled(int address) {
        return isUsable(address) && Integer.compareUnsigned(address, settings.firstGuest()) >= 0;
    }

    /** Whether an address is a client's already, or nobody's. */
    private static boolean isFreeFor(Entry entry, long mac, long now) {
        if (entry == null || entry.state == Lease.State.FREE) {
            return true;
        }
        if (entry.state == Lease.State.QUARANTINED) {
            return entry.expires - now <= 0;
        }
        if (entry.mac == mac) {
            return true;
        }
        return (entry.state == Lease.State.OFFERED || entry.state == Lease.State.BOUND) && entry.expires - now <= 0;
    }

    /** Makes an entry a client's: what it was leased before is free again, what it claimed stays claimed. */
    private void take(Entry entry, long mac) {
        if (entry.state == Lease.State.CLAIMED) {
            claimsOf.computeIfPresent(entry.mac, (owner, claims) -> claims > 1 ? claims - 1 : null);
        }
        entry.state = Lease.State.FREE;
        Entry before = leased.put(mac, entry);
        if (before != null
                && before != entry
                && (before.state == Lease.State.BOUND || before.state == Lease.State.OFFERED)) {
            before.state = Lease.State.FREE;
            lost.accept(before.address);
            unname(before);
        }
        if (entry.mac != mac) {
            lost.accept(entry.address);
            leased.remove(entry.mac, entry);
            unname(entry);
            entry.mac = mac;
        }
    }

    private Entry entryOf(int address) {
        return entries.computeIfAbsent(address, Entry::new);
    }

    /** The entry of an address; if there are too many already, another is forgotten, or null if none can be. */
    private Entry entryWithin(int address, long now) {
        if (!entries.containsKey(address) && entries.size() >= MAX_LEASES) {
            Entry least = leastWanted(now);
            if (least == null) {
                return null;
            }
            lost.accept(least.address);
            leased.remove(least.mac, least);
            unname(least);
            entries.remove(least.address);
            if (isPooled(least.address) && Integer.compareUnsigned(least.address, neverUsed) < 0) {
                neverUsed = least.address;
            }
        }
        return entryOf(address);
    }

    private Entry anyFree(long now) {
        if (entries.size() < MAX_LEASES) {
            while (isPooled(neverUsed) && entries.containsKey(neverUsed) || settings.isOwn(neverUsed)) {
                neverUsed++;
            }
            if (isPooled(neverUsed)) {
                return entryOf(neverUsed++);
            }
        }
        return leastWanted(now);
    }

    /** The address whose loss hurts least, or null if all have owners. */
    private Entry leastWanted(long now) {
        int offers = 0;
        for (Entry entry : entries.values()) {
            offers += entry.state == Lease.State.OFFERED && entry.expires - now > 0 ? 1 : 0;
        }
        boolean flood = offers > entries.size() / 2;
        Entry least = null;
        int leastRank = OWNED;
        for (Entry entry : entries.values()) {
            int rank = isPooled(entry.address) ? rank(entry, now, flood) : OWNED;
            if (rank < leastRank || rank == leastRank && rank < OWNED && entry.expires - least.expires < 0) {
                least = entry;
                leastRank = rank;
            }
        }
        return least;
    }

    private static int rank(Entry entry, long now, boolean flood) {
        boolean over = entry.expires - now <= 0;
        return switch (entry.state) {
            case FREE -> entry.everBound ? REMEMBERED : SPENT;
            case OFFERED -> over ? (entry.everBound ? REMEMBERED : SPENT) : flood ? OFFERED_IN_FLOOD : OFFERED;
            case BOUND -> over ? REMEMBERED : OWNED;
            case QUARANTINED -> over ? SPENT : RESTING;
            case CLAIMED, RESERVED -> OWNED;
        };
    }
}
