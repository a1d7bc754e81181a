package dev.slipway.host;

import dev.slipway.wire.DnsMessage;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.util.ArrayList;
import java.util.List;

/**
 * Which servers know the names of a domain: split DNS.
 *
 * @param domain lower case, no dot behind; empty for all names
 * @param conf the servers and how to ask them
 */
record DnsRule(String domain, ResolvConf conf) {

    /**
     * Reads {@code DOMAIN=SERVER[#PORT][,SERVER[#PORT]…]}; the domain {@code .} stands for all names.
     *
     * @throws IllegalArgumentException that says what is wrong
     */
    static DnsRule parse(String text) {
        int equals = text.indexOf('=');
        if (equals < 1) {
            throw new IllegalArgumentException("'" + text + "' is not DOMAIN=SERVER, for example corp.test=10.99.0.10");
        }
        String written = text.substring(0, equals);
        String domain = written.equals(".") ? "" : ResolvConf.domain(written);
        if (domain.isEmpty() && !written.equals(".")) {
            throw new IllegalArgumentException("'" + written + "' is not a domain name");
        }
        List<InetSocketAddress> servers = new ArrayList<>();
        for (String server : text.substring(equals + 1).split(",", -1)) {
            InetSocketAddress address = server(server);
            if (servers.contains(address)) {
                throw new IllegalArgumentException("the server " + server + " is named twice");
            }
            servers.add(address);
        }
        if (servers.size() > ResolvConf.MAX_SERVERS) {
            throw new IllegalArgumentException(
                    servers.size() + " servers for '" + written + "', there may be " + ResolvConf.MAX_SERVERS);
        }
        return new DnsRule(domain, ResolvConf.of(servers));
    }

    private static InetSocketAddress server(String text) {
        int hash = text.indexOf('#');
        String host = hash < 0 ? text : text.substring(0, hash);
        int port = DnsMessage.PORT;
        if (hash >= 0) {
            String digits = text.substring(hash + 1);
            port = digits.matches("[0-9]{1,5}") ? Integer.parseInt(digits) : 0;
            if (port < 1 || port > 65_535) {
                throw new IllegalArgumentException("'" + digits + "' is not a port, 1 to 65535");
            }
        }
        try {
            return new InetSocketAddress(InetAddress.ofLiteral(host), port);
        } catch (IllegalArgumentException e) {
            throw new IllegalArgumentException("'" + host + "' is not an IP address", e);
        }
    }

    /** @param name lower case, no dot behind */
    boolean covers(String name) {
        return domain.isEmpty()
                || name.equals(domain)
                || name.length() > domain.length()
                        && name.endsWith(domain)
                        && name.charAt(name.length() - domain.length() - 1) == '.';
    }
}
