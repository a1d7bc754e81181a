/**
 * IPv4 and IPv6 towards the guest: who is where on its link, and packets with their headers before them.
 *
 * <p>Theory of operation: every protocol asks {@link dev.slipway.ip.Ipv4Output}, or {@link
 * dev.slipway.ip.Ipv6Output}, for room in the channel's own memory,
 * writes its part there, and sends it. Errors (ICMP) go the same way, at a bounded rate.
 *
 * <p>Limits: 1,024 addresses of one guest and 100 ICMP errors a second, of each family; 100 answers of neighbour discovery a second.
 *
 * <p>Read first: RFC 791, 792, 1812 section 4.3, 8200, 4443, 4861.
 */
package dev.slipway.ip;
