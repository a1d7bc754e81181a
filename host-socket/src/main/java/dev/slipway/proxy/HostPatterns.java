package dev.slipway.proxy;

import dev.slipway.wire.IpAddress;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * A list of hosts in the way of {@code NO_PROXY} and of VPNKit's {@code exclude}, apart by commas or blanks. Immutable.
 *
 * <table>
 *   <caption>Patterns; each may end in {@code :PORT}</caption>
 *   <tr><td>{@code *}</td><td>everything</td></tr>
 *   <tr><td>{@code example.com}</td><td>that name and all below it</td></tr>
 *   <tr><td>{@code .example.com}, {@code *.example.com}</td><td>all names below it</td></tr>
 *   <tr><td>{@code www*.*.com}</td><td>a star within a label stands for any characters but dots</td></tr>
 *   <tr><td>{@code 10.0.0.1}, {@code fd00::1}, {@code [fd00::1]}</td><td>that address</td></tr>
 *   <tr><td>{@code 10.0.0.0/8}, {@code fd00::/8}</td><td>the addresses of that network</td></tr>
 * </table>
 */
public final class HostPatterns {

    /** Matches nothing. */
    public static final HostPatterns NONE = new HostPatterns(List.of());

    private static final int ANY_PORT = 0;
    private static final int V4_IN_V6 = 96;
    private static final int MAX_PATTERNS = 10_000;

    private final List<Pattern> patterns;

    private HostPatterns(List<Pattern> patterns) {
        this.patterns = patterns;
    }

    /**
     * One pattern.
     *
     * @param labels of a name from its end, empty if it is about addresses
     * @param below whether names that have more labels match
     * @param exact whether the name itself matches
     * @param network none if it is about names
     * @param bits of the network, 0 to 128
     */
    private record Pattern(
            String text,
            List<String> labels,
            boolean below,
            boolean exact,
            Optional<IpAddress> network,
            int bits,
            int port) {}

    /**
     * Reads a list.
     *
     * @throws IllegalArgumentException that names the pattern which is none
     */
    public static HostPatterns parse(String text) {
        return parse(List.of(text.strip().split("[\\s,]+")));
    }

    /** The same from patterns that are apart already. */
    public static HostPatterns parse(List<String> texts) {
        List<Pattern> patterns = new ArrayList<>();
        for (String text : texts) {
            if (!text.isBlank()) {
                patterns.add(pattern(text.strip()));
            }
        }
        if (patterns.size() > MAX_PATTERNS) {
            throw new IllegalArgumentException("more than " + MAX_PATTERNS + " patterns");
        }
        return patterns.isEmpty() ? NONE : new HostPatterns(List.copyOf(patterns));
    }

    private static Pattern pattern(String text) {
        String host = text;
        int port = ANY_PORT;
        int colon = text.lastIndexOf(':');
        boolean bracketed = text.startsWith("[");
        if (colon > text.lastIndexOf(']') && (bracketed || text.indexOf(':') == colon)) {
            host = text.substring(0, colon);
            String digits = text.substring(colon + 1);
            if (!digits.matches("[0-9]{1,5}") || Integer.parseInt(digits) < 1 || Integer.parseInt(digits) > 65_535) {
                throw new IllegalArgumentException("'" + text + "' has no port of 1 to 65535");
            }
            port = Integer.parseInt(digits);
        }
        if (host.startsWith("[") && host.endsWith("]")) {
            host = host.substring(1, host.length() - 1);
        }
        int slash = host.indexOf('/');
        Optional<IpAddress> address = Target.literal(slash < 0 ? host : host.substring(0, slash));
        if (address.isPresent()) {
            return new Pattern(text, List.of(), false, false, address, bits(text, address.get(), host, slash), port);
        }
        if (slash >= 0) {
            throw new IllegalArgumentException("'" + text + "' is not a network like 10.0.0.0/8");
        }
        return names(text, host, port);
    }

    private static int bits(String text, IpAddress address, String host, int slash) {
        int width = address.isV4() ? 32 : 128;
        String digits = slash < 0 ? Integer.toString(width) : host.substring(slash + 1);
        if (!digits.matches("[0-9]{1,3}") || Integer.parseInt(digits) > width) {
            throw new IllegalArgumentException("'" + text + "' has no prefix of 0 to " + width);
        }
        return Integer.parseInt(digits) + (address.isV4() ? V4_IN_V6 : 0);
    }

    private static Pattern names(String text, String host, int port) {
        String name = Target.canonical(host);
        boolean onlyBelow = name.startsWith(".") || name.startsWith("*.");
        if (onlyBelow) {
            name = name.substring(name.indexOf('.') + 1);
        }
        if (name.equals("*") && !onlyBelow) {
            return new Pattern(text, List.of(), true, true, Optional.empty(), 0, port);
        }
        if (!Target.isHostName(name.replace("*", "x"))) {
            throw new IllegalArgumentException("'" + text + "' is no host, no address and no network");
        }
        List<String> labels = List.of(name.split("\\.")).reversed();
        return new Pattern(text, labels, true, !onlyBelow, Optional.empty(), 0, port);
    }

    /** Whether nothing can match. */
    public boolean isEmpty() {
        return patterns.isEmpty();
    }

    /** Whether a destination matches by its name or by its address. */
    boolean matches(Target target) {
        return target.hasName() && matchesName(target.name(), target.port())
                || target.address().isPresent()
                        && matchesAddress(target.address().get(), target.port());
    }

    /** Whether one of the patterns holds for a port only. */
    public boolean hasPorts() {
        return patterns.stream().anyMatch(pattern -> pattern.port != ANY_PORT);
    }

    /** Whether a name matches. */
    public boolean matchesName(String name, int port) {
        List<String> labels = null;
        for (Pattern pattern : patterns) {
            if (pattern.port != ANY_PORT && pattern.port != port || pattern.network.isPresent()) {
                continue;
            }
            if (labels == null) {
                labels = List.of(Target.canonical(name).split("\\.")).reversed();
            }
            if (matches(pattern, labels)) {
                return true;
            }
        }
        return false;
    }

    /** Whether an address matches, by itself, a network, or the star for everything. */
    public boolean matchesAddress(IpAddress address, int port) {
        for (Pattern pattern : patterns) {
            if (pattern.port != ANY_PORT && pattern.port != port) {
                continue;
            }
            boolean everything = pattern.network.isEmpty() && pattern.labels.isEmpty();
            if (everything || pattern.network.isPresent() && contains(pattern.network.get(), pattern.bits, address)) {
                return true;
            }
        }
        return false;
    }

    private static boolean matches(Pattern pattern, List<String> labels) {
        int wanted = pattern.labels.size();
        if (labels.size() < wanted || labels.size() == wanted && !pattern.exact) {
            return false;
        }
        for (int i = 0; i < wanted; i++) {
            if (!matches(pattern.labels.get(i), labels.get(i))) {
                return false;
            }
        }
        return true;
    }

    /** Whether a label matches one with stars: the parts between the stars follow one another. */
    private static boolean matches(String pattern, String label) {
        int star = pattern.indexOf('*');
        if (star < 0) {
            return pattern.equals(label);
        }
        String[] parts = pattern.split("\\*", -1);
        String last = parts[parts.length - 1];
        if (!label.startsWith(parts[0]) || label.length() < parts[0].length() + last.length()) {
            return false;
        }
        int at = parts[0].length();
        for (int i = 1; i < parts.length - 1; i++) {
            int found = label.indexOf(parts[i], at);
            if (found < 0) {
                return false;
            }
            at = found + parts[i].length();
        }
        return label.length() - last.length() >= at && label.endsWith(last);
    }

    private static boolean contains(IpAddress network, int bits, IpAddress address) {
        if (network.isV4() != address.isV4()) {
            return false;
        }
        long high = bits == 0 ? 0 : -1L << Math.max(0, 64 - bits);
        long low = bits <= 64 ? 0 : -1L << (128 - bits);
        return ((network.high() ^ address.high()) & high) == 0 && ((network.low() ^ address.low()) & low) == 0;
    }

    /** The patterns as they were written, apart by commas. */
    @Override
    public String toString() {
        return String.join(",", texts());
    }

    /** The patterns as they were written. */
    public List<String> texts() {
        return patterns.stream().map(Pattern::text).toList();
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof HostPatterns that && patterns.equals(that.patterns);
    }

    @Override
    public int hashCode() {
        return patterns.hashCode();
    }
}
