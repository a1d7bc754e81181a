package dev.slipway.ethernet;

import dev.slipway.wire.IpAddress;
import java.net.InetAddress;
import java.net.InetSocketAddress;

/**
 * Where a TCP channel listens, as {@code [HOST:]PORT}. HOST is an address and no name, because a name may come to mean
 * another machine's network; without one it is 127.0.0.1. An IPv6 address stands in brackets.
 */
public final class TcpAddress {

    private TcpAddress() {}

    /**
     * Reads it.
     *
     * @throws IllegalArgumentException that says what is wrong, for people
     */
    public static InetSocketAddress parse(String text) {
        int colon = text.lastIndexOf(':');
        String port = text.substring(colon + 1);
        String host = colon < 0 ? "127.0.0.1" : text.substring(0, colon);
        if (!port.matches("[0-9]{1,5}") || Integer.parseInt(port) < 1 || Integer.parseInt(port) > 0xFFFF) {
            throw new IllegalArgumentException("'" + text + "' is not [HOST:]PORT with a port of 1 to 65535");
        }
        boolean bracketed = host.startsWith("[") && host.endsWith("]");
        try {
            InetAddress address = bracketed
                    ? InetAddress.ofLiteral(host.substring(1, host.length() - 1))
                    : InetAddress.ofLiteral(
                            IpAddress.toString(IpAddress.parseV4(host.equals("localhost") ? "127.0.0.1" : host)));
            return new InetSocketAddress(address, Integer.parseInt(port));
        } catch (IllegalArgumentException e) {
            throw new IllegalArgumentException(
                    "'" + host + "' is not an IP address (names are not looked up here; IPv6 stands in brackets)", e);
        }
    }

    /** As {@link #parse} takes it, in full. */
    public static String toString(InetSocketAddress address) {
        String host = address.getAddress().getHostAddress();
        return (host.contains(":") ? "[" + host + "]" : host) + ":" + address.getPort();
    }
}
