/**
 * TCP as a translator: the guest's connection on one side, a socket of the host on the other.
 *
 * <p>Theory of operation. The host's kernel does the real TCP towards the world; this package speaks TCP with the guest
 * over a link of a few microseconds. {@link dev.slipway.tcp.TcpTable} finds the connection of a segment. A SYN is
 * answered only when the host's connect has ended: with a SYN-ACK, a reset, an ICMP unreachable, or silence, as the host
 * found it. Payload of the guest goes straight to the host's socket; it is acknowledged when the host's kernel has it,
 * and the window is the room that the host's socket has. Payload of the host stays in the host's queue until the guest
 * has acknowledged it, so that a retransmission looks there again and nothing is copied for it. End of stream and reset
 * are passed on one to one, each direction by itself. Nothing established ends for being idle.
 *
 * <p>Directions: {@code FromGuest} is what the guest sends, {@code ToGuest} what it gets, {@code TcpConnection} what
 * holds them together. Everything that came in one turn is flushed, answered and acknowledged once, at its end.
 *
 * <p>Limits: see {@link dev.slipway.seam.StackSettings.Limits}. No timestamps (RFC 7323, section 3), no ECN, no urgent
 * data, no simultaneous open. A large unit has at most 65,495 bytes of payload.
 *
 * <p>Read first: RFC 9293, 7323 (window scale), 2018 and 6675 (selective acknowledgements), 5681, 6298, 6528, 5961,
 * 8985 (tail loss probe).
 */
package dev.slipway.tcp;
