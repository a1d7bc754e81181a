package dev.slipway.egress;

import dev.slipway.proxy.HostPatterns;
import dev.slipway.wire.IpAddress;
import java.util.List;
import java.util.Set;

/**
 * Rules, of which the first that fits decides, and what becomes of the rest. Immutable.
 *
 * @param allowRest whether what no rule is about is allowed
 * @param allNames whether names may be asked for that no rule allows
 * @param webNames whether a connection of the web must say for which host it is, unless a rule about its address decides;
 *     and that host must be allowed
 * @param rules in their order
 */
public record EgressPolicy(boolean allowRest, boolean allNames, boolean webNames, List<Rule> rules) {

    /** Allows everything, and nothing has to be looked at. */
    public static final EgressPolicy OPEN = new EgressPolicy(true, true, false, List.of());

    /** Protocols that a rule can be about. */
    public enum Protocol {
        TCP,
        UDP,
        /** Pings. */
        ICMP
    }

    /** Ports from the first to the last, both included. */
    public record Ports(int first, int last) {
        boolean contains(int port) {
            return port >= first && port <= last;
        }
    }

    /**
     * One rule.
     *
     * @param allow or deny
     * @param to names, addresses and networks, without ports
     * @param ports none: all of them, and pings
     * @param protocols at least one
     * @param vms none: all of them
     */
    public record Rule(boolean allow, HostPatterns to, List<Ports> ports, Set<Protocol> protocols, Set<String> vms) {

        public Rule {
            ports = List.copyOf(ports);
            protocols = Set.copyOf(protocols);
            vms = Set.copyOf(vms);
        }

        boolean isFor(String vm) {
            return vms.isEmpty() || vms.contains(vm);
        }

        private boolean isAbout(Protocol protocol, int port) {
            if (!protocols.contains(protocol)) {
                return false;
            }
            if (ports.isEmpty()) {
                return true;
            }
            for (Ports range : ports) {
                if (protocol != Protocol.ICMP && range.contains(port)) {
                    return true;
                }
            }
            return false;
        }
    }

    public EgressPolicy {
        rules = List.copyOf(rules);
    }

    /**
     * Whether a VM may reach an address.
     *
     * @param names by which it was told of that address
     * @param port 0 for pings
     */
    boolean admits(String vm, IpAddress destination, List<String> names, Protocol protocol, int port) {
        for (Rule rule : rules) {
            if (rule.isFor(vm) && rule.isAbout(protocol, port) && isTo(rule, destination, names)) {
                return rule.allow();
            }
        }
        return allowRest;
    }

    /** Whether a connection of the web to an address has to say for which host it is. */
    boolean asksForName(String vm, IpAddress destination, List<String> names, Protocol protocol, int port) {
        if (!webNames) {
            return false;
        }
        for (Rule rule : rules) {
            if (rule.isFor(vm) && rule.isAbout(protocol, port) && isTo(rule, destination, names)) {
                return !rule.to().matchesAddress(destination, 0);
            }
        }
        return true;
    }

    private static boolean isTo(Rule rule, IpAddress destination, List<String> names) {
        if (rule.to().matchesAddress(destination, 0)) {
            return true;
        }
        for (String name : names) {
            if (rule.to().matchesName(name, 0)) {
                return true;
            }
        }
        return false;
    }

    /** Whether a VM may ask for a name: some rule allows it on some port, before another denies it on all. */
    boolean admitsQuery(String vm, String name) {
        for (Rule rule : rules) {
            if (rule.isFor(vm) && rule.to().matchesName(name, 0)) {
                if (rule.allow()) {
                    return true;
                }
                if (rule.ports().isEmpty() && rule.protocols().size() == Protocol.values().length) {
                    return false;
                }
            }
        }
        return allowRest || allNames;
    }

    /** Whether a VM may speak to a host of that name. */
    boolean admitsName(String vm, String name, Protocol protocol, int port) {
        for (Rule rule : rules) {
            if (rule.isFor(vm) && rule.isAbout(protocol, port) && rule.to().matchesName(name, 0)) {
                return rule.allow();
            }
        }
        return allowRest;
    }
}
