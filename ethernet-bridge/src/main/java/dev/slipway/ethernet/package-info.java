/**
 * Where frames come from and go to: the links to guests.
 *
 * <p>Theory of operation: a {@link dev.slipway.ethernet.GuestLink} is both ends of a guest's frame channel. What the
 * guest sends goes to its {@code Receiver}, in place, many frames per read; what is sent to the guest is built in the
 * link's own memory, queued, and written once per turn. A link belongs to one event loop and takes no lock. It
 * outlives the guest's connection: {@link dev.slipway.ethernet.StreamLink} goes on listening, and a VM that comes
 * back finds everything as it was.
 *
 * <p>{@link dev.slipway.ethernet.PacketLink} does the same for channels in which each frame is a packet of its own.
 *
 * <p>A channel without offload cuts large units and completes checksums with {@link dev.slipway.ethernet.Segmenter}. What a
 * VM's card leaves undone on a socket is said by {@link dev.slipway.ethernet.Offload}.
 * {@link dev.slipway.ethernet.CaptureLink} (a packet capture) and {@link dev.slipway.ethernet.FaultyLink} (loss,
 * reordering and other misery, from a seed) are decorators: they stand between any link and its owner, in both
 * directions, and neither knows of the other.
 *
 * <p>Which of Netty's transports carries all this is said by {@link dev.slipway.ethernet.Transport}; the place of a
 * listening socket in the file system is {@link dev.slipway.ethernet.UnixSocketPath}'s matter.
 *
 * <p>Limits: one guest per link; frames up to 65,549 bytes; 1 MiB queued to a guest, on streams up to 4 MiB to one that
 * is fast, and a reserve of 256 KiB; each drop has a counter in {@link dev.slipway.ethernet.LinkCounters}. Unix sockets and TCP on Linux and macOS; packets on Linux only.
 *
 * <p>Read first: QEMU's {@code net/stream.c} (the framing), VPNKit's docs/ethernet.md (its handshake), RFC 9293, 791 and 1624 (what cutting a unit changes), RFC
 * 3168 section 6.1.2, virtio 1.3 section 5.1.6 (what a frame's offload fields mean).
 */
package dev.slipway.ethernet;
