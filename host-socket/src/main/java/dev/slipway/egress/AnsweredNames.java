package dev.slipway.egress;

import dev.slipway.wire.IpAddress;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Which addresses name servers have answered to a VM, and for which names. An answer holds for its time to live, and
 * some more: programs keep addresses longer than they should, and a connection that goes on shows that one is in use.
 */
final class AnsweredNames {

    /** The most addresses that are remembered; with one more, the one answered longest ago is forgotten. */
    static final int LIMIT = 4_096;

    /** The most names of one address that are remembered; then the oldest is forgotten. */
    static final int NAMES = 16;

    /** How much longer than its time to live an answer holds, in seconds. */
    static final long GRACE_SECONDS = 600;

    private static final long MAX_SECONDS = 86_400;
    private static final long SECOND = 1_000_000_000L;

    private record Named(String name, long until) {}

    private final Map<IpAddress, List<Named>> byAddress = new LinkedHashMap<>();
    private long changes;

    /** A ring of answers that were only noted. */
    private Named[] noted = {};

    private IpAddress[] notedAddresses = {};
    private long[] notedAt = {};
    private int nextNote;
    private int notes;

    /**
     * The same as {@link #answered} at a part of its cost, while nobody asks what an address is called: of the answers
     * since somebody asked, the last {@value #LIMIT} are remembered.
     */
    void note(String name, IpAddress address, long seconds, long now) {
        if (noted.length == 0) {
            noted = new Named[LIMIT];
            notedAddresses = new IpAddress[LIMIT];
            notedAt = new long[LIMIT];
        }
        noted[nextNote] = new Named(name, until(seconds, now));
        notedAddresses[nextNote] = address;
        notedAt[nextNote] = now;
        nextNote = (nextNote + 1) % LIMIT;
        notes = Math.min(notes + 1, LIMIT);
    }

    private void readNotes() {
        for (int at = nextNote - notes; notes > 0; at++, notes--) {
            int slot = Math.floorMod(at, LIMIT);
            remember(notedAddresses[slot], noted[slot], notedAt[slot]);
        }
        if (noted.length > 0) {
            noted = new Named[] {};
            notedAddresses = new IpAddress[] {};
            notedAt = new long[] {};
            nextNote = 0;
        }
    }

    private static long until(long seconds, long now) {
        return now + (Math.clamp(seconds, 0, MAX_SECONDS) + GRACE_SECONDS) * SECOND;
    }

    /** A name server has said that a name has an address. */
    void answered(String name, IpAddress address, long seconds, long now) {
        readNotes();
        remember(address, new Named(name, until(seconds, now)), now);
    }

    private void remember(IpAddress address, Named named, long now) {
        List<Named> known = byAddress.remove(address);
        List<Named> names = known == null ? new ArrayList<>(1) : known;
        for (int i = names.size() - 1; i >= 0; i--) {
            Named before = names.get(i);
            if (now - before.until() > 0 || before.name().equals(named.name())) {
                names.remove(i);
            }
        }
        if (names.size() >= NAMES) {
            names.removeFirst();
        }
        names.add(named);
        if (byAddress.size() >= LIMIT) {
            byAddress.remove(byAddress.keySet().iterator().next());
        }
        byAddress.put(address, names);
        changes++;
    }

    /** The names of an address whose answers hold. */
    List<String> of(IpAddress address, long now) {
        readNotes();
        List<Named> names = byAddress.get(address);
        if (names == null) {
            return List.of();
        }
        List<String> holding = new ArrayList<>(names.size());
        for (Named named : names) {
            if (now - named.until() <= 0) {
                holding.add(named.name());
            }
        }
        return holding;
    }

    /** Addresses that are remembered. */
    int size() {
        readNotes();
        return byAddress.size();
    }

    /** Grows with every answer. */
    long changes() {
        return changes;
    }

    /** The guest is another one. */
    void clear() {
        notes = 0;
        byAddress.clear();
        changes++;
    }
}
