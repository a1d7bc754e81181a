package dev.slipway.proxy;

import io.netty.util.NetUtil;
import java.net.URLDecoder;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.Locale;

/**
 * A proxy of the host's network, by its URL: {@code SCHEME://[USER[:PASSWORD]@]HOST[:PORT]}, or {@code HOST:PORT} for
 * {@code http}. User and password may be percent-encoded (RFC 3986, section 2.1). {@link #toString} leaves them out.
 *
 * @param scheme what is spoken to it
 * @param host a name or an address, without brackets
 * @param port 1 to 65,535
 * @param user empty if there is none
 * @param password empty if there is none
 */
public record ProxyAddress(Scheme scheme, String host, int port, String user, String password) {

    private static final int LIMIT = 2_048;

    /** What is spoken to a proxy. */
    public enum Scheme {
        /** HTTP/1.1 (RFC 9110, sections 7.7 and 9.3.6). */
        HTTP(80),
        /** The same within TLS. */
        HTTPS(443),
        /** SOCKS 5 (RFC 1928); the proxy gets addresses, names are resolved here. */
        SOCKS5(1080),
        /** SOCKS 5; the proxy resolves names. */
        SOCKS5H(1080);

        private final int defaultPort;

        Scheme(int defaultPort) {
            this.defaultPort = defaultPort;
        }

        boolean isHttp() {
            return this == HTTP || this == HTTPS;
        }
    }

    /**
     * Reads a URL.
     *
     * @throws IllegalArgumentException that says what is wrong, without credentials
     */
    public static ProxyAddress parse(String url) {
        String text = url.strip();
        if (text.length() > LIMIT) {
            throw new IllegalArgumentException("longer than " + LIMIT + " characters");
        }
        int colon = text.indexOf("://");
        Scheme scheme = colon < 0 ? Scheme.HTTP : scheme(text, text.substring(0, colon));
        String rest = colon < 0 ? text : text.substring(colon + 3);
        if (rest.endsWith("/")) {
            rest = rest.substring(0, rest.length() - 1);
        }
        int at = rest.lastIndexOf('@');
        String authority = rest.substring(at + 1);
        String credentials = at < 0 ? "" : rest.substring(0, at);
        int separator = credentials.indexOf(':');
        String user = decoded(text, separator < 0 ? credentials : credentials.substring(0, separator));
        String password = separator < 0 ? "" : decoded(text, credentials.substring(separator + 1));
        int port = scheme.defaultPort;
        String host = authority;
        int portAt = authority.lastIndexOf(':');
        if (portAt > authority.lastIndexOf(']')) {
            host = authority.substring(0, portAt);
            port = port(text, authority.substring(portAt + 1));
        }
        return new ProxyAddress(scheme, host(text, host), port, user, password);
    }

    private static Scheme scheme(String url, String name) {
        for (Scheme scheme : Scheme.values()) {
            if (scheme.name().equalsIgnoreCase(name)) {
                return scheme;
            }
        }
        if (name.equalsIgnoreCase("socks")) {
            return Scheme.SOCKS5;
        }
        throw wrong(url, "has an unknown scheme (http, https, socks5, socks5h)");
    }

    private static int port(String url, String digits) {
        if (!digits.matches("[0-9]{1,5}") || Integer.parseInt(digits) < 1 || Integer.parseInt(digits) > 65_535) {
            throw wrong(url, "has no port of 1 to 65535");
        }
        return Integer.parseInt(digits);
    }

    private static String host(String url, String text) {
        boolean bracketed = text.startsWith("[") && text.endsWith("]");
        String host = bracketed ? text.substring(1, text.length() - 1) : text;
        if (bracketed ? !NetUtil.isValidIpV6Address(host) : !Target.isHostName(host)) {
            throw wrong(url, "names no host");
        }
        return host.toLowerCase(Locale.ROOT);
    }

    private static String decoded(String url, String text) {
        String plain;
        try {
            plain = URLDecoder.decode(text.replace("+", "%2B"), StandardCharsets.UTF_8);
        } catch (IllegalArgumentException e) {
            throw wrong(url, "has a percent sign that encodes nothing in its user or password");
        }
        if (plain.chars().anyMatch(c -> c < ' ' || c == 0x7F) || plain.length() > 255) {
            throw wrong(url, "has control characters in its user or password, or more than 255");
        }
        return plain;
    }

    private static IllegalArgumentException wrong(String url, String problem) {
        return new IllegalArgumentException("'" + withoutCredentials(url) + "' " + problem);
    }

    /** A text that may be a proxy's URL, with what may be credentials replaced by stars. */
    public static String withoutCredentials(String url) {
        int at = url.lastIndexOf('@');
        int begin = url.indexOf("://");
        return at < 0 ? url : (begin >= 0 && begin < at ? url.substring(0, begin + 3) : "") + "***" + url.substring(at);
    }

    boolean hasCredentials() {
        return !user.isEmpty() || !password.isEmpty();
    }

    /** The value of a Proxy-Authorization header (RFC 7617). */
    String authorization() {
        byte[] pair = (user + ":" + password).getBytes(StandardCharsets.UTF_8);
        return "Basic " + Base64.getEncoder().encodeToString(pair);
    }

    /** The URL, with stars in place of user and password. */
    @Override
    public String toString() {
        return scheme.name().toLowerCase(Locale.ROOT) + "://" + (hasCredentials() ? "***@" : "")
                + (host.indexOf(':') >= 0 ? "[" + host + "]" : host) + ":" + port;
    }
}
