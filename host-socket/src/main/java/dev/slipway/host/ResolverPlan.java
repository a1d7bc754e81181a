package dev.slipway.host;

import java.net.InetSocketAddress;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

/**
 * Which servers to ask for which names, at one moment.
 *
 * @param general for names that no rule covers
 * @param rules the one with the longest domain that covers a name decides, of two with the same domain the first
 */
record ResolverPlan(ResolvConf general, List<DnsRule> rules) {

    ResolverPlan {
        rules = List.copyOf(rules);
    }

    /** @param name lower case, no dot behind */
    ResolvConf serversFor(String name) {
        DnsRule best = null;
        for (DnsRule rule : rules) {
            if (rule.covers(name)
                    && (best == null || rule.domain().length() > best.domain().length())) {
                best = rule;
            }
        }
        return best == null ? general : best.conf();
    }

    /** What to ask for, in this order, when a host's name is wanted: the name, and before it those of search domains. */
    List<String> candidates(String name) {
        if (general.search().isEmpty() || dots(name) >= general.ndots()) {
            return List.of(name);
        }
        List<String> names = new ArrayList<>();
        for (String domain : general.search()) {
            if (name.length() + 1 + domain.length() <= 253) {
                names.add(name + "." + domain);
            }
        }
        names.add(name);
        return names;
    }

    private static int dots(String name) {
        int count = 0;
        for (int i = 0; i < name.length(); i++) {
            count += name.charAt(i) == '.' ? 1 : 0;
        }
        return count;
    }

    Set<InetSocketAddress> allServers() {
        Set<InetSocketAddress> all = new HashSet<>(general.servers());
        rules.forEach(rule -> all.addAll(rule.conf().servers()));
        return all;
    }
}
