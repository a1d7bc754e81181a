package dev.slipway.host;

import dev.slipway.dns.Zone;
import dev.slipway.seam.StackSettings;
import dev.slipway.wire.IpAddress;
import java.nio.file.Path;
import java.util.List;

/**
 * Where the guests' names come from.
 *
 * @param resolvConf the file that names the host's resolvers; it is followed live and need not exist
 * @param hosts the host's hosts file, likewise
 * @param rules which servers know the names of which domains, {@code DOMAIN=SERVER[#PORT][,…]}
 * @param cache whether answers are kept for a short time
 * @param zones that are answered here, from the start
 * @param aaaa what becomes of questions for IPv6 addresses
 */
public record ResolverSettings(
        Path resolvConf, Path hosts, List<String> rules, boolean cache, List<Zone> zones, AaaaAnswers aaaa) {

    /**
     * Checks it.
     *
     * @throws IllegalArgumentException if a rule is none
     */
    public ResolverSettings {
        rules = List.copyOf(rules);
        zones = List.copyOf(zones);
        rules.forEach(DnsRule::parse);
    }

    /**
     * Checks a rule.
     *
     * @return the rule
     * @throws IllegalArgumentException that says what is wrong with it
     */
    public static String checkRule(String rule) {
        DnsRule.parse(rule);
        return rule;
    }

    /** The files of this host, and nothing else. */
    public static ResolverSettings ofThisHost() {
        return new ResolverSettings(
                Path.of("/etc/resolv.conf"), Path.of("/etc/hosts"), List.of(), true, List.of(), AaaaAnswers.AUTO);
    }

    /** The same with another file that names the resolvers. */
    public ResolverSettings withResolvConf(Path file) {
        return new ResolverSettings(file, hosts, rules, cache, zones, aaaa);
    }

    /** The resolvers to ask, followed live by one thread. */
    ResolverPlans plans() {
        return new ResolverPlans(
                FollowedFile.resolvConf(resolvConf, 53),
                rules.stream().map(DnsRule::parse).toList(),
                systemRules());
    }

    /** The hosts file, followed live by one thread, as a guest of this network is told of it. */
    FollowedFile<HostsFile> hostsFile(StackSettings stack, HostPolicy policy) {
        IpAddress localhost = policy.hostAccess() && stack.host() != 0 ? IpAddress.ofV4(stack.host()) : null;
        return new FollowedFile<>(hosts, text -> HostsFile.parse(text, localhost));
    }

    private static ResolverPlans.SystemRules systemRules() {
        if (!System.getProperty("os.name", "").startsWith("Mac")) {
            return ResolverPlans.SystemRules.NONE;
        }
        ResolverFolder folder = new ResolverFolder(ResolverFolder.USUAL);
        ScutilRules scutil = ScutilRules.ofThisSystem();
        return now -> java.util.stream.Stream.concat(folder.current(now).stream(), scutil.current(now).stream())
                .toList();
    }
}
