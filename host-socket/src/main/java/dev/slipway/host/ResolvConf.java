package dev.slipway.host;

import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.util.ArrayList;
import java.util.List;

/**
 * What a {@code resolv.conf} says, as far as it matters here: search lists are the guest's own business. Lines that
 * make no sense are skipped, as resolvers do.
 *
 * @param servers in the file's order, at most {@value #MAX_SERVERS}
 * @param timeoutSeconds how long to wait for a server, 1 to 30
 * @param attempts how often to ask each, 1 to 5
 * @param rotate whether to begin with another server each time
 */
record ResolvConf(List<InetSocketAddress> servers, int timeoutSeconds, int attempts, boolean rotate) {

    static final int MAX_SERVERS = 8;
    static final ResolvConf EMPTY = new ResolvConf(List.of(), 5, 2, false);

    private static final int MAX_TIMEOUT = 30;
    private static final int MAX_ATTEMPTS = 5;

    ResolvConf {
        servers = List.copyOf(servers);
    }

    /** @param port of every server, 53 but in tests */
    static ResolvConf parse(String text, int port) {
        List<InetSocketAddress> servers = new ArrayList<>();
        int timeout = EMPTY.timeoutSeconds;
        int attempts = EMPTY.attempts;
        boolean rotate = false;
        for (String line : text.split("[\r\n]+")) {
            String[] words = line.strip().split("[ \t]+");
            if (words[0].equals("nameserver") && words.length > 1 && servers.size() < MAX_SERVERS) {
                addServer(servers, words[1], port);
            } else if (words[0].equals("options")) {
                for (int i = 1; i < words.length; i++) {
                    timeout = option(words[i], "timeout:", timeout, MAX_TIMEOUT);
                    attempts = option(words[i], "attempts:", attempts, MAX_ATTEMPTS);
                    rotate |= words[i].equals("rotate");
                }
            }
        }
        return new ResolvConf(servers, timeout, attempts, rotate);
    }

    private static void addServer(List<InetSocketAddress> servers, String address, int port) {
        try {
            InetSocketAddress server = new InetSocketAddress(InetAddress.ofLiteral(address), port);
            if (!servers.contains(server)) {
                servers.add(server);
            }
        } catch (IllegalArgumentException e) {
            // Not an address, or of a zone that this host does not have.
            return;
        }
    }

    private static int option(String word, String name, int otherwise, int most) {
        if (!word.startsWith(name)) {
            return otherwise;
        }
        try {
            return Math.clamp(Integer.parseInt(word.substring(name.length())), 1, most);
        } catch (NumberFormatException e) {
            return otherwise;
        }
    }
}
