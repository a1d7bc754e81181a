package dev.slipway.host;

import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/**
 * Name servers and how to ask them, as a {@code resolv.conf} says it. Lines that make no sense are skipped, as resolvers
 * do.
 *
 * @param servers in the file's order, at most {@value #MAX_SERVERS}
 * @param search domains that names with few dots are tried in, at most {@value #MAX_SEARCH}; lower case, no dot behind
 * @param ndots names with fewer dots are tried in the search domains first, 0 to 15
 * @param timeoutSeconds how long to wait for a server, 1 to 30
 * @param attempts how often to ask each, 1 to 5
 * @param rotate whether to begin with another server each time
 * @param streamOnly whether to ask over TCP only ({@code use-vc})
 */
record ResolvConf(
        List<InetSocketAddress> servers,
        List<String> search,
        int ndots,
        int timeoutSeconds,
        int attempts,
        boolean rotate,
        boolean streamOnly) {

    static final int MAX_SERVERS = 8;
    static final int MAX_SEARCH = 6;
    static final ResolvConf EMPTY = new ResolvConf(List.of(), List.of(), 1, 5, 2, false, false);

    private static final int MAX_TIMEOUT = 30;
    private static final int MAX_ATTEMPTS = 5;
    private static final int MAX_NDOTS = 15;
    private static final String NAME = "[a-z0-9_-]{1,63}(\\.[a-z0-9_-]{1,63})*";

    ResolvConf {
        servers = List.copyOf(servers);
        search = List.copyOf(search);
    }

    /** Servers without more words about them. */
    static ResolvConf of(List<InetSocketAddress> servers) {
        return new ResolvConf(servers, List.of(), EMPTY.ndots, EMPTY.timeoutSeconds, EMPTY.attempts, false, false);
    }

    /** @param port of every server, 53 but in tests */
    static ResolvConf parse(String text, int port) {
        List<InetSocketAddress> servers = new ArrayList<>();
        List<String> search = new ArrayList<>();
        int ndots = EMPTY.ndots;
        int timeout = EMPTY.timeoutSeconds;
        int attempts = EMPTY.attempts;
        boolean rotate = false;
        boolean streamOnly = false;
        for (String line : text.split("[\r\n]+")) {
            String[] words = line.strip().split("[ \t]+");
            switch (words[0]) {
                case "nameserver" -> addServer(servers, words, port);
                case "search", "domain" -> readSearch(search, words); // the last of them holds
                case "options" -> {
                    for (int i = 1; i < words.length; i++) {
                        ndots = option(words[i], "ndots:", ndots, 0, MAX_NDOTS);
                        timeout = option(words[i], "timeout:", timeout, 1, MAX_TIMEOUT);
                        attempts = option(words[i], "attempts:", attempts, 1, MAX_ATTEMPTS);
                        rotate |= words[i].equals("rotate");
                        streamOnly |= words[i].equals("use-vc");
                    }
                }
                default -> {
                    // Comments, and what only matters to a program's own resolver.
                }
            }
        }
        return new ResolvConf(servers, search, ndots, timeout, attempts, rotate, streamOnly);
    }

    private static void readSearch(List<String> search, String[] words) {
        search.clear();
        for (int i = 1; i < words.length && search.size() < MAX_SEARCH; i++) {
            String name = domain(words[i]);
            if (!name.isEmpty() && !search.contains(name)) {
                search.add(name);
            }
        }
    }

    /** A domain's name in lower case without a dot behind; empty if it is none. */
    static String domain(String text) {
        String name = text.toLowerCase(Locale.ROOT);
        name = name.endsWith(".") ? name.substring(0, name.length() - 1) : name;
        return name.length() <= 253 && name.matches(NAME) ? name : "";
    }

    private static void addServer(List<InetSocketAddress> servers, String[] words, int port) {
        if (words.length < 2 || servers.size() >= MAX_SERVERS) {
            return;
        }
        try {
            InetSocketAddress server = new InetSocketAddress(InetAddress.ofLiteral(words[1]), port);
            if (!servers.contains(server)) {
                servers.add(server);
            }
        } catch (IllegalArgumentException e) {
            // Not an address, or of a zone that this host does not have.
            return;
        }
    }

    private static int option(String word, String name, int otherwise, int least, int most) {
        if (!word.startsWith(name)) {
            return otherwise;
        }
        try {
            return Math.clamp(Integer.parseInt(word.substring(name.length())), least, most);
        } catch (NumberFormatException e) {
            return otherwise;
        }
    }
}
