package dev.slipway.dns;

import dev.slipway.wire.DnsMessage;
import dev.slipway.wire.IpAddress;
import java.util.Locale;
import java.util.Objects;
import java.util.function.Predicate;

/**
 * A name of a {@link Zone} and its address. The name is one of
 *
 * <ul>
 *   <li>labels, compared without regard to case; empty for the zone's own name;
 *   <li>{@code *} for every name of the zone, {@code *.web} for every name below {@code web};
 *   <li>a pattern, which is asked whether it has a match in what stands before the zone's name: a dot between labels,
 *       none behind, lower case.
 * </ul>
 *
 * @param name empty if there is a pattern
 * @param regexp how the pattern is written, empty if there is none
 * @param pattern asked on the thread of any VM, hence stateless, and quick whatever the name is; {@code null} if there
 *     is none
 * @param address IPv4 or IPv6
 */
public record ZoneRecord(String name, String regexp, Predicate<String> pattern, IpAddress address) {

    private static final String ANY = "*";

    public ZoneRecord {
        Objects.requireNonNull(address, "address");
        name = name.toLowerCase(Locale.ROOT);
        if (pattern != null && !name.isEmpty()) {
            throw new IllegalArgumentException("'" + name + "': either a name or a pattern");
        }
        String labels = name.startsWith("*.") ? name.substring(2) : name;
        if (!labels.isEmpty() && !labels.equals(ANY)) {
            DnsMessage.encodeName(labels);
        }
    }

    /**
     * A record of a name or of names with a {@code *}.
     *
     * @throws IllegalArgumentException if it is no name
     */
    public static ZoneRecord named(String name, IpAddress address) {
        return new ZoneRecord(name, "", null, address);
    }

    /** A record of all names in which a pattern has a match. */
    public static ZoneRecord matching(String regexp, Predicate<String> pattern, IpAddress address) {
        return new ZoneRecord("", regexp, Objects.requireNonNull(pattern), address);
    }

    /** Whether it stands for one name only. */
    boolean isExact() {
        return pattern == null && !name.startsWith(ANY);
    }

    /** @param prefix of a name, what stands before that of the zone; empty for the zone's own */
    boolean matches(String prefix) {
        if (pattern != null) {
            return pattern.test(prefix);
        }
        if (isExact()) {
            return name.equals(prefix);
        }
        return name.equals(ANY) ? !prefix.isEmpty() : prefix.endsWith(name.substring(1));
    }
}
