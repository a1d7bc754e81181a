package dev.slipway.dhcp;

import java.util.List;
import java.util.Map;

/**
 * What the DHCP server of a network is told beside the addresses. Addresses are IPv4 in network order.
 *
 * @param ntpServers time servers, in order (option 42); not announced if empty
 * @param routes more routes than the default one (option 121); not announced if empty
 * @param reserved addresses that are kept for MAC addresses
 */
public record DhcpSettings(List<Integer> ntpServers, List<Route> routes, Map<Integer, Long> reserved) {

    /** Nothing of all that. */
    public static final DhcpSettings NONE = new DhcpSettings(List.of(), List.of(), Map.of());

    /** How many time servers, and how many routes, there may be: a reply must have room for them. */
    public static final int MAX_ENTRIES = 8;

    /**
     * A route.
     *
     * @param network its first address
     * @param prefixLength 0 to 32
     * @param router in the guests' network
     */
    public record Route(int network, int prefixLength, int router) {

        /** @throws IllegalArgumentException if the network is an address within it */
        public Route {
            if (prefixLength < 0
                    || prefixLength > 32
                    || prefixLength < 32 && network << prefixLength != 0
                    || prefixLength == 0 && network != 0) {
                throw new IllegalArgumentException(
                        "not the first address of a network with a prefix of /" + prefixLength);
            }
        }
    }

    public DhcpSettings {
        ntpServers = List.copyOf(ntpServers);
        routes = List.copyOf(routes);
        reserved = Map.copyOf(reserved);
        if (ntpServers.size() > MAX_ENTRIES || routes.size() > MAX_ENTRIES) {
            throw new IllegalArgumentException("more than " + MAX_ENTRIES + " time servers or routes");
        }
    }
}
