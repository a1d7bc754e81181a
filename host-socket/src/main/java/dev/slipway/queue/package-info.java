/**
 * Bounded queues of bytes between the stack and a channel of the host, and the memory of a VM that they share.
 *
 * <p>Theory of operation: what comes from the host waits in a {@link dev.slipway.queue.ByteQueue} until the guest has it;
 * {@link dev.slipway.queue.ReadLimit} makes a channel read no more than that has room for; {@link
 * dev.slipway.queue.QueueBudget} counts what all flows of a VM hold and says what each may have in view of that.
 *
 * <p>Limits: a flow always gets {@value dev.slipway.queue.QueueBudget#FLOW_MIN} bytes, so that it moves on.
 *
 * <p>Read first: RFC 9293 (section 3.8.6, flow control).
 */
package dev.slipway.queue;
