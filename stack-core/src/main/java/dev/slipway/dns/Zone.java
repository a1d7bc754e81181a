package dev.slipway.dns;

import dev.slipway.wire.DnsMessage;
import dev.slipway.wire.IpAddress;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.Optional;

/**
 * Names that are answered here. The first record that matches a name and has an address of the type asked for decides.
 *
 * @param name lower case with a dot behind; a dot alone for all names
 * @param records in order
 * @param defaultAddress of names below the zone's that no record matches
 * @param closed whether names below the zone's that it knows nothing of do not exist; otherwise they are asked for
 *     elsewhere
 */
public record Zone(String name, List<ZoneRecord> records, Optional<IpAddress> defaultAddress, boolean closed) {

    private static final String ROOT = ".";

    /** @throws IllegalArgumentException if the name is no domain name */
    public Zone {
        records = List.copyOf(records);
        Objects.requireNonNull(defaultAddress, "defaultAddress");
        name = name.toLowerCase(Locale.ROOT);
        name = name.endsWith(".") ? name : name + ".";
        if (!name.equals(ROOT)) {
            DnsMessage.encodeName(name);
        }
    }

    /**
     * A zone as gvproxy has them: names that it does not know do not exist, or have the default address.
     *
     * @throws IllegalArgumentException if the name is no domain name
     */
    public Zone(String name, List<ZoneRecord> records, Optional<IpAddress> defaultAddress) {
        this(name, records, defaultAddress, true);
    }

    /** What stands before this zone's name in a name, without a dot behind; or {@code null} if that is not below it. */
    String prefixOf(String fullName) {
        if (name.equals(ROOT)) {
            return fullName.isEmpty() ? "" : fullName.substring(0, fullName.length() - 1);
        }
        if (fullName.equals(name)) {
            return "";
        }
        int at = fullName.length() - name.length() - 1;
        return at > 0 && fullName.charAt(at) == '.' && fullName.endsWith(name) ? fullName.substring(0, at) : null;
    }

    /** The full name of an exact record, with a dot behind. */
    String fullName(ZoneRecord record) {
        String below = record.name().isEmpty() ? "" : record.name() + ".";
        return below + (name.equals(ROOT) ? "" : name);
    }

    /** This zone and a later one of the same name: its records go before these, and all else of it holds. */
    Zone with(Zone later) {
        List<ZoneRecord> all = new ArrayList<>(later.records);
        all.addAll(records);
        return new Zone(name, all, later.defaultAddress, later.closed);
    }
}
