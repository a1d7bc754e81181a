package dev.slipway;

import dev.slipway.seam.Ipv6Settings;
import dev.slipway.wire.IpAddress;
import java.net.Inet6Address;
import java.net.InterfaceAddress;
import java.net.NetworkInterface;
import java.net.SocketException;
import java.util.ArrayList;
import java.util.List;

/**
 * Which network of IPv6 the guests get: fd65::/64, or, if a network of the host's interfaces is or has that one (a host that
 * is a guest of Slipway itself), the next of fd66::/64, fd67::/64 … that is free. A guest could not tell addresses of its own
 * network from the host's.
 */
final class Ipv6Prefix {

    /** Networks that are tried: fd65::/64 to fdff::/64, then fd00::/64 to fd64::/64. */
    private static final int CANDIDATES = 256;

    private static final long DEFAULT = Ipv6Settings.DEFAULTS.prefix();

    private Ipv6Prefix() {}

    /**
     * A network of the host's.
     *
     * @param address one in it
     * @param length of its prefix
     */
    record Network(IpAddress address, int length) {

        boolean overlaps(long prefix) {
            int shorter = Math.min(length, 64);
            long mask = shorter == 0 ? 0 : -1L << (64 - shorter);
            return ((address.high() ^ prefix) & mask) == 0;
        }
    }

    /** The first 64 bits of a network that none of these overlaps; the default if all are taken. */
    static long free(List<Network> taken) {
        for (int i = 0; i < CANDIDATES; i++) {
            long prefix = 0xFD00L << 48 | ((DEFAULT >>> 48) + i & 0xFF) << 48;
            if (taken.stream().noneMatch(network -> network.overlaps(prefix))) {
                return prefix;
            }
        }
        return DEFAULT;
    }

    /** Those of this host's interfaces, but for link-local ones and the loopback's. */
    static List<Network> ofThisHost() {
        List<Network> networks = new ArrayList<>();
        try {
            for (NetworkInterface each : NetworkInterface.networkInterfaces().toList()) {
                for (InterfaceAddress address : each.getInterfaceAddresses()) {
                    if (address.getAddress() instanceof Inet6Address v6
                            && !v6.isLinkLocalAddress()
                            && !v6.isLoopbackAddress()) {
                        networks.add(new Network(IpAddress.ofBytes(v6.getAddress()), address.getNetworkPrefixLength()));
                    }
                }
            }
        } catch (SocketException e) {
            // The host tells nothing of its interfaces.
            return List.of();
        }
        return networks;
    }
}
