package dev.slipway.seam;

import dev.slipway.wire.IpAddress;

/**
 * The guest's network of IPv6: a prefix of 64 bits, in which the guest makes its own addresses (RFC 4862).
 *
 * @param enabled whether there is any
 * @param prefix the first 64 bits of its addresses
 * @param gateway the router's and name server's address in it
 * @param host the address in it that stands for the host's localhost, or {@code null} for none
 * @param followsHost whether the way out is there only while the host has one: the router is none until the stack is told
 *     of it. The guest's addresses, its name server and the host address serve all the time
 */
public record Ipv6Settings(boolean enabled, long prefix, IpAddress gateway, IpAddress host, boolean followsHost) {

    /** The first 64 bits of link-local addresses as they are used on a link (RFC 4291, section 2.5.6). */
    public static final long LINK_LOCAL = 0xFE80L << 48;

    /** The address by which the router speaks on the link: fe80::1. */
    public static final IpAddress ROUTER = new IpAddress(LINK_LOCAL, 1);

    private static final long DEFAULT_PREFIX = 0xFD65L << 48;

    /** fd65::/64, gateway fd65::1, host fd65::254. */
    public static final Ipv6Settings DEFAULTS = new Ipv6Settings(
            true, DEFAULT_PREFIX, new IpAddress(DEFAULT_PREFIX, 1), new IpAddress(DEFAULT_PREFIX, 0x254), false);

    /** The same addresses, and a way out while the host has one. */
    public static final Ipv6Settings AUTO =
            new Ipv6Settings(true, DEFAULT_PREFIX, DEFAULTS.gateway(), DEFAULTS.host(), true);

    /** The same addresses, but none of them served. */
    public static final Ipv6Settings OFF =
            new Ipv6Settings(false, DEFAULT_PREFIX, DEFAULTS.gateway(), DEFAULTS.host(), false);

    /** The same in another network. */
    public Ipv6Settings at(long otherPrefix) {
        return new Ipv6Settings(
                enabled,
                otherPrefix,
                new IpAddress(otherPrefix, gateway.low()),
                host == null ? null : new IpAddress(otherPrefix, host.low()),
                followsHost);
    }

    /** Whether an address is one that the stack itself answers for. */
    public boolean isOwn(long high, long low) {
        return high == LINK_LOCAL && low == ROUTER.low()
                || high == prefix && (low == gateway.low() || host != null && low == host.low());
    }
}
