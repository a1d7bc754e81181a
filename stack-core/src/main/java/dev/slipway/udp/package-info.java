/**
 * UDP of the guest to UDP sockets of the host.
 *
 * <p>Theory of operation: {@link dev.slipway.udp.UdpTable} keeps one host socket per port of the guest, so that every
 * destination sees the same source port and anyone who knows it may answer (endpoint-independent mapping and filtering,
 * RFC 4787); or, if it is told to, one per destination too, which only that one may answer. A port is two, one for each
 * family of addresses. Datagrams are never split, joined, doubled or kept: what the host or the guest has no room for is
 * lost and counted. An empty datagram is a datagram.
 *
 * <p>Limits: {@link dev.slipway.seam.StackSettings.Limits#udpFlows} sockets, the flow idle longest goes first.
 *
 * <p>Read first: RFC 768, 4787, 8200 section 8.1.
 */
package dev.slipway.udp;
