package dev.slipway.seam;

/**
 * One flow of a guest, to be looked at.
 *
 * @param protocol {@code tcp} or {@code udp}
 * @param guest its address and port
 * @param remote the other end as the guest sees it; empty for a UDP port, which speaks with anyone
 * @param state of RFC 9293, or whether a UDP flow was answered
 */
public record Flow(String protocol, String guest, String remote, String state) {}
