/**
 * IPv4 towards the guest: who is where on its link, and packets with their headers before them.
 *
 * <p>Theory of operation: every protocol asks {@link dev.slipway.ip.Ipv4Output} for room in the channel's own memory,
 * writes its part there, and sends it. Errors (ICMP) go the same way, at a bounded rate.
 *
 * <p>Limits: 1,024 addresses of one guest; 100 ICMP errors a second.
 *
 * <p>Read first: RFC 791, 792, 1812 section 4.3.
 */
package dev.slipway.ip;
