package dev.slipway.host;

import java.util.ArrayList;
import java.util.List;

/**
 * The plan that holds now: rules of the settings before those of the system, and the host's {@code resolv.conf} for
 * everything else. Belongs to one thread.
 */
final class ResolverPlans {

    private final FollowedFile<ResolvConf> file;
    private final List<DnsRule> fixed;
    private final SystemRules system;
    private ResolvConf knownConf;
    private List<DnsRule> knownRules;
    private ResolverPlan plan;

    /** Where the operating system says which servers know which domains. */
    interface SystemRules {

        /** None but those of the settings. */
        SystemRules NONE = now -> List.of();

        /** The same list as long as nothing has changed. */
        List<DnsRule> current(long nowNanos);
    }

    ResolverPlans(FollowedFile<ResolvConf> file, List<DnsRule> fixed, SystemRules system) {
        this.file = file;
        this.fixed = List.copyOf(fixed);
        this.system = system;
    }

    /** The plan; the same object as long as nothing has changed. */
    ResolverPlan current(long nowNanos) {
        ResolvConf conf = file.current(nowNanos);
        List<DnsRule> rules = system.current(nowNanos);
        if (plan == null || conf != knownConf || !rules.equals(knownRules)) {
            knownConf = conf;
            knownRules = List.copyOf(rules);
            List<DnsRule> all = new ArrayList<>(fixed);
            all.addAll(rules);
            plan = new ResolverPlan(conf, all);
        }
        return plan;
    }
}
