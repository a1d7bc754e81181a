/**
 * The name server on the gateway's address, over UDP and TCP.
 *
 * <p>Theory of operation: {@link dev.slipway.dns.NameServer} checks a query, answers it itself if {@link
 * dev.slipway.dns.LocalNames} has the name, and hands all others unread to the {@link
 * dev.slipway.seam.NameResolver}, whose answer goes back byte for byte. Nothing is cached. The stack gives it the
 * payloads of UDP datagrams; for TCP a {@link dev.slipway.dns.DnsStream} stands where a host's connection would, and
 * takes the byte stream apart.
 *
 * <p>Names of ours are built in ({@link dev.slipway.dns.InternalNames}), or of zones that settings and the control API
 * add ({@link dev.slipway.dns.Zone}), or what guests called themselves. All VMs of a network have the same.
 *
 * <p>Which names are ours: of the built-in ones exactly those listed. Another name under the same suffix ({@code docker.internal} …) may
 * exist in the user's own network and is asked for there. A listed name has an address and nothing else: other types
 * are answered with nothing, never with "no such name", or clients that ask for AAAA first would give up.
 *
 * <p>Limits: queries without an answer yet, {@link dev.slipway.seam.StackSettings.Limits#dnsQueries} in all and {@link
 * dev.slipway.dns.DnsStream#MAX_OUTSTANDING} per TCP connection; over the first they are refused and counted, over the
 * second the connection waits. One question per query. UDP answers are shortened to what the client takes.
 *
 * <p>Read first: RFC 1035, section 4; RFC 6891 (EDNS), 7766 (TCP), 2181 section 9 (truncation), 9619 (one question).
 */
package dev.slipway.dns;
