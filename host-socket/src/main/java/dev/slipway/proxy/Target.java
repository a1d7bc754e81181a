package dev.slipway.proxy;

import dev.slipway.wire.IpAddress;
import io.netty.util.NetUtil;
import java.util.Locale;
import java.util.Optional;

/**
 * Where a guest wants to go: a name, an address, or both.
 *
 * @param name lower case, without a dot at its end; empty if there is none
 * @param address none if only the name is known
 * @param port 1 to 65,535
 */
record Target(String name, Optional<IpAddress> address, int port) {

    private static final int LABEL_MAX = 63;
    private static final int NAME_MAX = 253;

    static Target of(IpAddress address, int port) {
        return new Target("", Optional.of(address), port);
    }

    /**
     * From what stands in a URL, a Host header or a SOCKS request.
     *
     * @param host a name or an address, IPv6 ones in brackets or not
     * @return empty if it is neither
     */
    static Optional<Target> of(String host, int port) {
        String bare = host.startsWith("[") && host.endsWith("]") ? host.substring(1, host.length() - 1) : host;
        if (port < 1 || port > 65_535) {
            return Optional.empty();
        }
        Optional<IpAddress> literal = literal(bare);
        if (literal.isPresent()) {
            return Optional.of(new Target("", literal, port));
        }
        return isHostName(host) ? Optional.of(new Target(canonical(host), Optional.empty(), port)) : Optional.empty();
    }

    /** The same destination, known by a name as well; the same if the name is none. */
    Target named(String host) {
        return isHostName(host) && literal(host).isEmpty() ? new Target(canonical(host), address, port) : this;
    }

    static String canonical(String host) {
        String lower = host.toLowerCase(Locale.ROOT);
        return lower.endsWith(".") ? lower.substring(0, lower.length() - 1) : lower;
    }

    static Optional<IpAddress> literal(String text) {
        if (text.indexOf('%') >= 0) {
            return Optional.empty();
        }
        byte[] bytes = NetUtil.createByteArrayFromIpAddressString(text);
        return bytes == null ? Optional.empty() : Optional.of(IpAddress.ofBytes(bytes));
    }

    /**
     * Whether a text may be the name of a host: labels of letters, digits, hyphens and underscores (RFC 1123, section
     * 2.1), or an IPv4 address; a last label of digits alone is no name but a bad address.
     */
    static boolean isHostName(String text) {
        int end = text.endsWith(".") ? text.length() - 1 : text.length();
        if (end < 1 || end > NAME_MAX) {
            return false;
        }
        int label = 0;
        boolean digits = true;
        for (int i = 0; i < end; i++) {
            char c = text.charAt(i);
            if (c == '.') {
                if (label == 0) {
                    return false;
                }
                label = 0;
                digits = true;
                continue;
            }
            boolean letter = c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '-' || c == '_';
            if (!letter && (c < '0' || c > '9') || ++label > LABEL_MAX) {
                return false;
            }
            digits &= !letter;
        }
        return label > 0 && (!digits || NetUtil.isValidIpV4Address(text));
    }

    boolean hasName() {
        return !name.isEmpty();
    }

    /** The name, or the address if there is none. */
    String host() {
        return hasName() ? name : address.map(IpAddress::toString).orElse("");
    }

    /** Host and port as in a URL (RFC 3986, section 3.2). */
    String authority() {
        return urlHost() + ":" + port;
    }

    /** The host as in a URL: an IPv6 address stands in brackets. */
    String urlHost() {
        String host = host();
        return host.indexOf(':') >= 0 ? "[" + host + "]" : host;
    }

    @Override
    public String toString() {
        return authority();
    }
}
