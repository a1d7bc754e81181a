package dev.slipway.seam;

import dev.slipway.wire.Icmpv4Packet;
import dev.slipway.wire.IpAddress;

/**
 * What the network said about a packet that the host sent for the guest: an ICMP error as it came (RFC 792, RFC 4443),
 * or one of the host's own about what it could not send.
 *
 * @param reporter who says it, by the address the guest knows: a router, the far host, or the gateway for the host
 *     itself
 * @param type of ICMP for an IPv4 destination, of ICMPv6 for an IPv6 destination
 * @param code of that type
 * @param mtu the largest IP packet that the way takes in bytes, if that is what the error speaks of; else 0
 */
public record IcmpError(IpAddress reporter, int type, int code, int mtu) {

    /** An IPv4 destination that cannot be reached, for one of the reasons that {@link Icmpv4Packet} has codes for. */
    public static IcmpError unreachable(IpAddress reporter, int code) {
        return new IcmpError(reporter, Icmpv4Packet.UNREACHABLE, code, 0);
    }
}
