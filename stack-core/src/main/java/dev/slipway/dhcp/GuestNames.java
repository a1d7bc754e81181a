package dev.slipway.dhcp;

import java.util.HashMap;
import java.util.Locale;
import java.util.Map;
import java.util.regex.Pattern;

/**
 * What the owners of addresses are called: one label each, in small letters (RFC 1123, section 2.1), and no two the same.
 * Who has a name first keeps it. Guarded by the table's lock.
 */
final class GuestNames {

    private static final Pattern LABEL = Pattern.compile("[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?");

    private final Map<String, LeaseEntry> named = new HashMap<>();

    /** What has come of a name. */
    enum Outcome {
        /** It is the owner's now. */
        GIVEN,
        /** It was the owner's before. */
        SAME,
        /** It is another's. */
        TAKEN
    }

    /**
     * Calls the owner of an address by a name, and by none if that is empty.
     *
     * @throws IllegalArgumentException if it is not one label of letters, digits and hyphens
     */
    Outcome give(LeaseEntry entry, String name) {
        String label = name.toLowerCase(Locale.ROOT);
        if (!label.isEmpty() && !LABEL.matcher(label).matches()) {
            throw new IllegalArgumentException("not a host's name: '" + name + "'");
        }
        LeaseEntry other = named.get(label);
        if (other != null && other != entry) {
            return Outcome.TAKEN;
        }
        if (entry.name.equals(label)) {
            return Outcome.SAME;
        }
        take(entry);
        if (!label.isEmpty()) {
            put(entry, label);
        }
        return Outcome.GIVEN;
    }

    /** Gives back what was a name in an earlier run, unless it is none, or another's by now. */
    void restore(LeaseEntry entry, String label) {
        if (LABEL.matcher(label).matches() && !named.containsKey(label)) {
            put(entry, label);
        }
    }

    private void put(LeaseEntry entry, String label) {
        entry.name = label;
        named.put(label, entry);
    }

    /** An address has lost its owner: the name, if it had one, is free. */
    void take(LeaseEntry entry) {
        if (!entry.name.isEmpty()) {
            named.remove(entry.name, entry);
            entry.name = "";
        }
    }

    /** Who is called by a name, or null. */
    LeaseEntry of(String label) {
        return named.get(label);
    }
}
