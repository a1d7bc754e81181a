package dev.slipway.host;

import java.io.IOException;
import java.io.InputStream;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;

/**
 * What macOS's {@code scutil --dns} says: the resolvers of the system's configuration, of which VPN clients add those for
 * the domains behind them. It is a program that has to be run, so it is run beside the event loop, at most every
 * {@value #INTERVAL_MILLIS} ms and only while there are queries: a change is seen by the first query after that.
 */
final class ScutilRules implements ResolverPlans.SystemRules {

    static final int INTERVAL_MILLIS = 1_000;

    private static final int PROGRAM_SECONDS = 5;
    private static final int MAX_OUTPUT = 1 << 20;
    private static final String SCOPED = "DNS configuration (for scoped queries)";

    private final List<String> command;
    private final AtomicBoolean running = new AtomicBoolean();
    private volatile List<DnsRule> rules = List.of();
    private long startedAt;
    private boolean started;

    ScutilRules(List<String> command) {
        this.command = List.copyOf(command);
    }

    static ScutilRules ofThisSystem() {
        return new ScutilRules(List.of("/usr/sbin/scutil", "--dns"));
    }

    /** The resolvers with a domain, in the order of the output; those for one interface only are left out. */
    static List<DnsRule> parse(String output) {
        List<DnsRule> rules = new ArrayList<>();
        List<String> addresses = new ArrayList<>();
        String domain = "";
        int port = 53;
        for (String line : (output + "\nresolver #end").lines().toList()) {
            if (line.startsWith("resolver #") || line.startsWith(SCOPED)) {
                List<InetSocketAddress> servers = new ArrayList<>();
                for (String address : addresses) {
                    InetSocketAddress server = ResolverFolder.Entry.server(address, port);
                    if (server != null && !servers.contains(server) && servers.size() < ResolvConf.MAX_SERVERS) {
                        servers.add(server);
                    }
                }
                if (!domain.isEmpty() && !servers.isEmpty()) {
                    rules.add(new DnsRule(domain, ResolvConf.of(servers)));
                }
                addresses.clear();
                domain = "";
                port = 53;
                if (line.startsWith(SCOPED)) {
                    break;
                }
                continue;
            }
            int colon = line.indexOf(" : ");
            if (colon < 0) {
                continue;
            }
            String key = line.substring(0, colon).strip();
            String value = line.substring(colon + 3).strip();
            if (key.equals("domain")) {
                domain = ResolvConf.domain(value);
            } else if (key.startsWith("nameserver[")) {
                addresses.add(value);
            } else if (key.equals("port") && value.matches("[0-9]{1,5}")) {
                port = Math.clamp(Integer.parseInt(value), 1, 65_535);
            }
        }
        return List.copyOf(rules);
    }

    @Override
    public List<DnsRule> current(long nowNanos) {
        boolean due = !started || nowNanos - startedAt >= INTERVAL_MILLIS * 1_000_000L;
        if (due && running.compareAndSet(false, true)) {
            started = true;
            startedAt = nowNanos;
            Thread.ofPlatform().daemon().name("scutil").start(this::run);
        }
        return rules;
    }

    private void run() {
        try {
            Process process = new ProcessBuilder(command)
                    .redirectErrorStream(true)
                    .redirectInput(ProcessBuilder.Redirect.PIPE)
                    .start();
            process.getOutputStream().close();
            Thread.ofPlatform().daemon().name("scutil-limit").start(() -> endInTime(process));
            try (InputStream output = process.getInputStream()) {
                List<DnsRule> read = parse(new String(output.readNBytes(MAX_OUTPUT), StandardCharsets.UTF_8));
                if (!read.equals(rules)) {
                    rules = read;
                }
            }
        } catch (IOException e) {
            rules = List.of(); // there is no such program
        } finally {
            running.set(false);
        }
    }

    private static void endInTime(Process process) {
        try {
            if (!process.waitFor(PROGRAM_SECONDS, TimeUnit.SECONDS)) {
                process.destroyForcibly();
            }
        } catch (InterruptedException e) {
            process.destroyForcibly();
        }
    }
}
