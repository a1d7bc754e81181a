/**
 * TAP devices as channels: the guest is a network namespace, and its kernel hands over what a VM's would.
 *
 * <p>Theory of operation: each frame stands behind a virtio-net header, so that the guest's kernel need neither sum nor
 * cut: a unit of up to 64 KiB crosses in one system call each way, at any MTU. A frame to the guest is written when it is
 * sent, while its bytes are still in the processor's cache; those from the guest are read until there are no more or the
 * buffer is full, and handed over as one batch.
 *
 * <p>Limits: what is sent in one turn of the loop before the guest is listened to again, and frames in the kernel's queue
 * from the guest ({@link dev.slipway.tap.TapLink}). Linux only.
 *
 * <p>Read first: the kernel's Documentation/networking/tuntap.rst; virtio 1.3, section 5.1.6.
 */
package dev.slipway.tap;
