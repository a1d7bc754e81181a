package dev.slipway.guest;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A machine behind three routers, the first of which is the guest's internet; the last link takes 1,280 bytes. Link n is in
 * {@code 198.18.n.0/24} or {@code fd18:n::/64}, and network 4 is one that the first router does not let pass:
 *
 * <pre>
 *   guest == backend in host --0-- router 1 --1-- router 2 --2-- router 3 --3, of 1280-- far
 * </pre>
 */
final class FarMachine implements AutoCloseable {

    /** The two families of addresses by which it is reached. */
    enum Family {
        IPV4("-4", "/24", "\\d+\\.\\d+\\.\\d+\\.\\d+", "ipv4/ip_forward", "ipv4/icmp_ratemask") {
            @Override
            String address(int network, String host) {
                return "198.18." + network + "." + host;
            }

            @Override
            String prefix(int network) {
                return address(network, "0/24");
            }
        },
        IPV6("-6", "/64 nodad", "[0-9a-f]+:[0-9a-f:]+", "ipv6/conf/all/forwarding", "ipv6/icmp/ratelimit") {
            @Override
            String address(int network, String host) {
                return (network == 0 ? "fd18::" : "fd18:" + network + "::") + host;
            }

            @Override
            String prefix(int network) {
                return address(network, "/64");
            }
        };

        private final String option;
        private final String onLink;
        private final Pattern hop;
        private final String forwarding;
        private final String errorLimit;

        Family(String option, String onLink, String address, String forwarding, String errorLimit) {
            this.option = option;
            this.onLink = onLink;
            this.hop = Pattern.compile("^\\s*\\d+[.|\\-\\s]+(" + address + ")\\b.*", Pattern.MULTILINE);
            this.forwarding = forwarding;
            this.errorLimit = errorLimit;
        }

        abstract String address(int network, String host);

        abstract String prefix(int network);

        /** The routers that a traceroute or mtr has listed. */
        List<String> hops(String output) {
            List<String> hops = new ArrayList<>();
            Matcher line = hop.matcher(output);
            while (line.find()) {
                hops.add(line.group(1));
            }
            return hops;
        }
    }

    private static final String NEAR = "1";
    private static final String BEHIND = "2";

    private final Family family;
    private final List<Namespace> made = new ArrayList<>();
    private Namespace far;

    private FarMachine(Family family) {
        this.family = family;
    }

    /**
     * Makes it.
     *
     * @param more addresses that it has besides the second of network 3: kernels remember the path MTU of an address, so
     *     who tests that takes one of its own
     */
    static FarMachine behind(Namespace internet, Family family, String... more) throws IOException {
        FarMachine machine = new FarMachine(family);
        try {
            machine.build(internet);
            for (String address : more) {
                machine.far.ip("address add " + address + family.onLink + " dev left");
            }
            return machine;
        } catch (IOException | RuntimeException e) {
            machine.close();
            throw e;
        }
    }

    private void build(Namespace first) throws IOException {
        Namespace second = create("router2");
        Namespace third = create("router3");
        far = create("far");
        join(first, second, 1, 1_500);
        join(second, third, 2, 1_500);
        join(third, far, 3, 1_280);
        route(first, family.prefix(2), 1, BEHIND);
        route(first, family.prefix(3), 1, BEHIND);
        first.ip(family.option + " route add prohibit " + family.prefix(4));
        route(second, family.prefix(3), 2, BEHIND);
        route(second, family.prefix(0), 1, NEAR);
        route(third, "default", 2, NEAR);
        route(far, "default", 3, NEAR);
        for (Namespace router : List.of(first, second, third)) {
            router.sysctl(family.forwarding, "1");
        }
        for (Namespace each : List.of(first, second, third, far)) {
            // As many errors as packets: Linux sends one a second to the same host.
            each.sysctl(family.errorLimit, "0");
        }
    }

    private Namespace create(String name) throws IOException {
        Namespace namespace = Namespace.create(name);
        made.add(namespace);
        return namespace;
    }

    private void join(Namespace near, Namespace behind, int network, int mtu) throws IOException {
        near.ip("link add right mtu " + mtu + " type veth peer name left mtu " + mtu + " netns " + behind.name());
        near.ip("address add " + family.address(network, NEAR) + family.onLink + " dev right");
        near.ip("link set right up");
        behind.ip("address add " + family.address(network, BEHIND) + family.onLink + " dev left");
        behind.ip("link set left up");
    }

    private void route(Namespace from, String to, int network, String via) throws IOException {
        from.ip(family.option + " route add " + to + " via " + family.address(network, via));
    }

    Namespace namespace() {
        return far;
    }

    @Override
    public void close() throws IOException {
        for (Namespace each : made.reversed()) {
            each.close();
        }
        made.clear();
    }
}
