/**
 * The stack of one guest: Ethernet frames in, Ethernet frames out, host sockets behind a seam.
 *
 * <p>Theory of operation: {@link dev.slipway.stack.Stack} is sans-IO. A thread that owns it hands over frames ({@code
 * input}), says when a batch is over ({@code endTurn}) and what time it is; the stack hands frames to a {@link
 * dev.slipway.seam.FrameSink} and bytes to {@link dev.slipway.seam.HostSockets}. It calls no clock, no socket and no
 * other thread, so that the same code runs a guest and a test in virtual time.
 *
 * <p>One turn: every frame that one read of the channel brought, then one flush per flow that got bytes, then one
 * acknowledgement per flow, then one flush of the channel.
 *
 * <p>Limits: IPv4; see {@link dev.slipway.seam.StackSettings.Limits} for what a guest may have.
 *
 * <p>Read first: RFC 826, 791, 792, 1122; package {@code dev.slipway.tcp} for what is behind a TCP segment.
 */
package dev.slipway.stack;
