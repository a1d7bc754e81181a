/**
 * Echo requests of the guest to the outside, by ping sockets of the host.
 *
 * <p>Theory of operation: {@link dev.slipway.icmp.EchoTable} keeps one host socket per identifier of the guest, which is
 * to say per program that pings. A request leaves the host with the time to live that a router would leave it, with its
 * sequence number and its payload; an answer reaches the guest with the time to live that it reached the host with, when
 * it comes and only if it comes. What routers say about a request (time exceeded, unreachable, too big) reaches the guest
 * as it was, about the guest's own packet: so ping, traceroute and mtr show the host's true path behind the gateway.
 *
 * <p>Limits: {@link dev.slipway.icmp.EchoTable#MAX_FLOWS} identifiers, the one idle longest goes first. Other ICMP
 * messages are not carried: a host without privileges cannot send them.
 *
 * <p>Read first: RFC 792, 4443, 5508.
 */
package dev.slipway.icmp;
