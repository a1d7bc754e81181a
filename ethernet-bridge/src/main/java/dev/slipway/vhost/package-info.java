/**
 * Virtual machines by vhost-user: the VM manager passes the guest's memory and the virtio rings in it, and frames go
 * through these without the VM manager.
 *
 * <p>Theory of operation. The VM manager connects to a Unix socket ({@link dev.slipway.vhost.VhostLink}); this program
 * is the back-end. {@code FrontEnd} reads one message at a time ({@code ControlMessage}), with the descriptors that come
 * along, and {@code VhostDevice} does what it asks: it keeps what was agreed ({@code Features}), the memory ({@code
 * GuestMemory}: one bounded mapping per region), and two {@code Vring}s. When both rings are started and enabled the
 * guest is attached. From then on {@code FromGuestQueue} copies what the guest offers into private memory, once, and hands
 * it on as whole frames; {@code ToGuestQueue} writes frames into the buffers that the guest has offered, several for a
 * large frame. Both stand on {@code SplitRing}, which knows the memory order, and on {@code ChainReader}, which reads
 * each descriptor once and believes none.
 *
 * <p>Kicks and interrupts: while frames come, the guest is not asked to tell of more: the loop looks again at its next
 * turn, and asks for a kick only after having found nothing. What was used is published once a turn, and the guest is
 * interrupted at most once per ring for it, if it asked for that.
 *
 * <p>What a guest or a VM manager does wrong never harms more than its own VM. A ring whose contents cannot be (virtio
 * 1.3, section 2.7) is broken: it is left alone until it is started anew, its error descriptor is signalled, and the
 * guest is detached with that reason. A message that cannot be ends the connection with that reason. Every descriptor
 * and mapping ends with the connection at the latest.
 *
 * <p>Limits: one queue pair, split rings of up to 32,768 entries, 64 regions of memory, a chain of 1,024 buffers, a
 * frame of 65,549 bytes; 256 KiB of frames wait for buffers of the guest beyond those it has offered. Drivers of virtio 1
 * or later; no live migration, no polled rings, no IOMMU. Linux only.
 *
 * <p>Read first: QEMU's docs/interop/vhost-user.rst; virtio 1.3, sections 2.7 (split rings) and 5.1 (network device).
 */
package dev.slipway.vhost;
