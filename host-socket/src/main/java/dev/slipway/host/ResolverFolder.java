package dev.slipway.host;

import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * The files of macOS's {@code /etc/resolver}: one for each domain whose names are known elsewhere (resolver(5)). Followed
 * live. Belongs to one thread.
 */
final class ResolverFolder implements ResolverPlans.SystemRules {

    static final Path USUAL = Path.of("/etc/resolver");

    /** How many files are looked at. */
    static final int MAX_FILES = 256;

    private static final long CHECK_NANOS = FollowedFile.CHECK_MILLIS * 1_000_000L;

    private final Path folder;
    private final Map<Path, FollowedFile<Entry>> files = new TreeMap<>();
    private List<DnsRule> rules = List.of();
    private long checkedAt;
    private boolean checked;

    ResolverFolder(Path folder) {
        this.folder = folder;
    }

    /**
     * What a file says.
     *
     * @param domain empty if it is the file's name
     * @param order the least is asked first, if there are several for one domain
     */
    record Entry(String domain, ResolvConf conf, int order) {

        /** Lines that make no sense are skipped. */
        static Entry parse(String text) {
            String domain = "";
            int port = 53;
            int order = 0;
            int timeout = ResolvConf.EMPTY.timeoutSeconds();
            List<String> addresses = new ArrayList<>();
            for (String line : text.split("[\r\n]+")) {
                String[] words = line.strip().split("[ \t]+");
                if (words.length < 2) {
                    continue;
                }
                switch (words[0]) {
                    case "domain" -> domain = ResolvConf.domain(words[1]);
                    case "port" -> port = number(words[1], port, 1, 65_535);
                    case "timeout" -> timeout = number(words[1], timeout, 1, 30);
                    case "search_order" -> order = number(words[1], order, 0, Integer.MAX_VALUE);
                    case "nameserver" -> addresses.add(words[1]);
                    default -> {
                        // Comments, and what only matters to a program's own resolver.
                    }
                }
            }
            List<InetSocketAddress> servers = new ArrayList<>();
            for (String address : addresses) {
                InetSocketAddress server = server(address, port);
                if (server != null && !servers.contains(server) && servers.size() < ResolvConf.MAX_SERVERS) {
                    servers.add(server);
                }
            }
            ResolvConf plain = ResolvConf.of(servers);
            ResolvConf conf =
                    new ResolvConf(plain.servers(), List.of(), plain.ndots(), timeout, plain.attempts(), false, false);
            return new Entry(domain, conf, order);
        }

        private static int number(String word, int otherwise, int least, int most) {
            try {
                return Math.clamp(Long.parseLong(word), least, most);
            } catch (NumberFormatException e) {
                return otherwise;
            }
        }

        /** An address, perhaps with a dot and a port behind; {@code null} if it is none. */
        static InetSocketAddress server(String text, int port) {
            try {
                return new InetSocketAddress(InetAddress.ofLiteral(text), port);
            } catch (IllegalArgumentException e) {
                int dot = text.lastIndexOf('.');
                int own = dot < 0 ? 0 : number(text.substring(dot + 1), 0, 0, 65_535);
                return own == 0 ? null : server(text.substring(0, dot), own);
            }
        }
    }

    @Override
    public List<DnsRule> current(long nowNanos) {
        if (checked && nowNanos - checkedAt < CHECK_NANOS) {
            return rules;
        }
        checked = true;
        checkedAt = nowNanos;
        List<Path> found = list();
        files.keySet().retainAll(found);
        List<DnsRule> read = new ArrayList<>();
        found.stream()
                .map(path -> named(
                        path,
                        files.computeIfAbsent(path, key -> new FollowedFile<>(key, Entry::parse))
                                .current(nowNanos)))
                .filter(entry ->
                        !entry.domain().isEmpty() && !entry.conf().servers().isEmpty())
                .sorted(Comparator.comparingInt(Entry::order))
                .forEach(entry -> read.add(new DnsRule(entry.domain(), entry.conf())));
        if (!read.equals(rules)) {
            rules = List.copyOf(read);
        }
        return rules;
    }

    private static Entry named(Path path, Entry entry) {
        String domain =
                entry.domain().isEmpty() ? ResolvConf.domain(path.getFileName().toString()) : entry.domain();
        return new Entry(domain, entry.conf(), entry.order());
    }

    private List<Path> list() {
        List<Path> found = new ArrayList<>();
        try (DirectoryStream<Path> entries = Files.newDirectoryStream(folder)) {
            for (Path entry : entries) {
                if (found.size() < MAX_FILES) {
                    found.add(entry);
                }
            }
        } catch (IOException e) {
            return List.of(); // there is no such folder, which is usual
        }
        return found;
    }
}
