/**
 * The DHCP server of the guests' subnet and the table of who has which address.
 *
 * <p>Theory of operation: one {@link dev.slipway.dhcp.LeaseTable} per subnet, shared by every stack on it; one {@link
 * dev.slipway.dhcp.DhcpServer} per stack, which reads a request, asks the table, and holds the reply until the stack has
 * copied it. There is no other server on the subnet, so this one is authoritative: a client that asks again for an
 * address it had from an earlier run of the program gets it if it is free, and a refusal at once if it is not.
 *
 * <p>In the table, {@code AddressPool} knows which addresses there are and which a new client gets, {@code AddressOwners}
 * whose they are, {@code GuestNames} what their owners are called, {@code GuestShares} how many of them one guest may have.
 *
 * <p>An address goes {@code free → offered → bound}, and back to free when it is released or runs out; a guest that
 * uses a free address without asking has it {@code claimed}. A free address remembers its last owner, who gets it
 * again unless everything else was used up in between.
 *
 * <p>Who a client is: its MAC address. A client identifier (option 61) is returned as RFC 6842 asks but is not a key:
 * the address of a frame's sender is checked against the MAC address, firmware and system of one machine send
 * different identifiers, and clones of one image send the same.
 *
 * <p>Limits: {@link dev.slipway.dhcp.LeaseTable#MAX_LEASES} addresses in use or remembered; offers that nobody takes
 * last {@link dev.slipway.dhcp.LeaseTable#OFFER_SECONDS} seconds and give way earlier when addresses run out; an
 * address that a client found in use rests for {@link dev.slipway.dhcp.LeaseTable#QUARANTINE_SECONDS} seconds; a MAC
 * address claims at most {@link dev.slipway.dhcp.LeaseTable#MAX_CLAIMS} addresses. Guests of one network have equal shares
 * of its addresses, whatever MAC addresses they make up. The table lives in memory; {@link
 * dev.slipway.dhcp.LeaseTable#remembered} is what its owner may keep elsewhere.
 *
 * <p>By IPv6, {@link dev.slipway.dhcp.Dhcp6Server} leases addresses without keeping any: they are computed from who asks.
 * {@link dev.slipway.dhcp.Ipv6Addresses} knows which guest uses which.
 *
 * <p>Read first: RFC 2131, sections 3 and 4.3; RFC 2132; RFC 3397 (search list), 4039 (rapid commit), 3046 (relay
 * information), 6842 (client identifier in replies), 8415 (DHCPv6).
 */
package dev.slipway.dhcp;
