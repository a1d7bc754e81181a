package dev.slipway.seam;

import dev.slipway.wire.IpAddress;
import java.util.List;
import java.util.Set;

/**
 * What a stack is told at its start. Addresses are IPv4 in network order; MAC addresses are 48 bits in a long.
 *
 * @param network the subnet's first address
 * @param prefixLength of the subnet, 8 to 29
 * @param gateway the router's and name server's address
 * @param host the address that stands for the host's localhost, or 0 for none
 * @param firstGuest the first address that DHCP hands out
 * @param gatewayMac the MAC address of gateway and host
 * @param mtu the largest IP packet on the guest's link in bytes, 576 to 65,520
 * @param domain the domain name that DHCP announces
 * @param searchDomains the search list that DHCP announces
 * @param udpNat what other ends see of the guest's UDP ports
 * @param ipv6 the guest's network of IPv6
 * @param relays services of the host's network that a guest may look for
 * @param limits how much a guest may have
 */
public record StackSettings(
        int network,
        int prefixLength,
        int gateway,
        int host,
        int firstGuest,
        long gatewayMac,
        int mtu,
        String domain,
        List<String> searchDomains,
        UdpNat udpNat,
        Ipv6Settings ipv6,
        Set<ServiceRelay> relays,
        Limits limits) {

    public static final int MIN_MTU = 576;
    public static final int MAX_MTU = 65_520;

    public StackSettings {
        searchDomains = List.copyOf(searchDomains);
        relays = Set.copyOf(relays);
    }

    /** With {@link UdpNat#FULL_CONE}, without IPv6. */
    public StackSettings(
            int network,
            int prefixLength,
            int gateway,
            int host,
            int firstGuest,
            long gatewayMac,
            int mtu,
            String domain,
            List<String> searchDomains,
            Limits limits) {
        this(
                network,
                prefixLength,
                gateway,
                host,
                firstGuest,
                gatewayMac,
                mtu,
                domain,
                searchDomains,
                UdpNat.FULL_CONE,
                Ipv6Settings.OFF,
                Set.of(),
                limits);
    }

    /** 192.168.65.0/24, gateway .1, host .254, first guest .3, MTU 1500. */
    public static StackSettings defaults() {
        int network = IpAddress.parseV4("192.168.65.0");
        return new StackSettings(
                network,
                24,
                network + 1,
                network + 254,
                network + 3,
                0x5A94_EFE4_0CDDL,
                1500,
                "internal",
                List.of(),
                Limits.defaults());
    }

    public StackSettings withMtu(int newMtu) {
        return copy(newMtu, udpNat, ipv6, relays, limits);
    }

    public StackSettings withLimits(Limits newLimits) {
        return copy(mtu, udpNat, ipv6, relays, newLimits);
    }

    public StackSettings withUdpNat(UdpNat newNat) {
        return copy(mtu, newNat, ipv6, relays, limits);
    }

    public StackSettings withIpv6(Ipv6Settings newIpv6) {
        return copy(mtu, udpNat, newIpv6, relays, limits);
    }

    public StackSettings withRelays(Set<ServiceRelay> newRelays) {
        return copy(mtu, udpNat, ipv6, newRelays, limits);
    }

    /** With these in place of what there is. */
    private StackSettings copy(
            int newMtu, UdpNat newNat, Ipv6Settings newIpv6, Set<ServiceRelay> newRelays, Limits newLimits) {
        return new StackSettings(
                network,
                prefixLength,
                gateway,
                host,
                firstGuest,
                gatewayMac,
                newMtu,
                domain,
                searchDomains,
                newNat,
                newIpv6,
                newRelays,
                newLimits);
    }

    /** What an IPv4 address is the group of, if guests may send to it; or {@code null}. */
    public ServiceRelay relayOf(int address) {
        if (IpAddress.isGroupV4(address)) {
            for (ServiceRelay relay : relays) {
                if (relay.isGroup(address)) {
                    return relay;
                }
            }
        }
        return null;
    }

    /** The same of an IPv6 address, by its first and last 64 bits. */
    public ServiceRelay relayOf(long high, long low) {
        if (IpAddress.isGroupV6(high)) {
            for (ServiceRelay relay : relays) {
                if (relay.isGroup(high, low)) {
                    return relay;
                }
            }
        }
        return null;
    }

    /** The router's address of the family of another address. */
    public IpAddress gatewayFor(IpAddress other) {
        return other.isV4() ? IpAddress.ofV4(gateway) : ipv6.gateway();
    }

    public int netmask() {
        return -1 << (32 - prefixLength);
    }

    public int broadcast() {
        return network | ~netmask();
    }

    /** Whether an address lies in the subnet. */
    public boolean contains(int address) {
        return (address & netmask()) == network;
    }

    /** Whether an address is one that the stack itself answers for. */
    public boolean isOwn(int address) {
        return address == gateway || address == host && host != 0;
    }

    /**
     * How much one guest may have. At a limit the newcomer is refused, or the oldest idle one goes, and it is counted;
     * never an established transfer.
     *
     * @param tcpFlows TCP connections of all states
     * @param tcpHalfOpen TCP connections that the guest or the host has not answered yet
     * @param udpFlows guest ports with a UDP socket
     * @param reassemblyBytes fragments that wait for the rest of their datagram
     * @param outOfOrderBytes TCP payload of one connection that waits for a gap to be filled
     * @param outOfOrderTotalBytes the same of all connections
     * @param dnsQueries queries that wait for an answer
     * @param connectsPerSecond TCP connections that the guest begins in a second
     */
    public record Limits(
            int tcpFlows,
            int tcpHalfOpen,
            int udpFlows,
            int reassemblyBytes,
            int outOfOrderBytes,
            int outOfOrderTotalBytes,
            int dnsQueries,
            int connectsPerSecond) {

        public static Limits defaults() {
            return new Limits(65_536, 2_048, 4_096, 1 << 20, 1 << 20, 16 << 20, 4_096, 50_000);
        }
    }
}
