/**
 * What the stack touches: the guest's channel on one side, the host's sockets and resolver on the other, and what it is
 * told at its start. Interfaces of the owner's making, nothing of any protocol.
 *
 * <p>Theory of operation: a stack belongs to one thread. It calls these interfaces on that thread, and their events come
 * on that thread, never from within a call. So nothing here locks, and nothing blocks.
 *
 * <p>Limits: {@link dev.slipway.seam.StackSettings.Limits} is what one guest may have.
 */
package dev.slipway.seam;
