/**
 * The host's side of a VM: its sockets, its resolvers, what of it a guest may reach, and the session that joins them to
 * a stack and a link.
 *
 * <p>Theory of operation: one thread owns a VM. Its Netty event loop runs the link to the guest, the {@link
 * dev.slipway.stack.Stack}, one timer and all sockets; {@code SessionTurns} says what a turn is. Other threads post
 * tasks. {@link dev.slipway.host.VmSession} joins them all, and {@code HostSide} is this figure:
 *
 * <pre>
 *   Stack ─ HostSockets ─ NameServerStreams ─┬─ NativeHostSockets ─┬─ NativeHostStream     a TCP connection
 *                         (gateway:53)       │  (Linux)            └─ NativeHostDatagrams  a guest's UDP port
 *                                            └─ NettyHostSockets ──┬─ NettyHostStream
 *                                               (everywhere)       └─ NettyHostDatagrams
 *   NameServer ─ NameResolver ─ HostResolver ─ Inquiry ─ Lookup ─┬─ UpstreamSocket  UDP
 *                               HostsFile, AnswerCache,          └─ UpstreamStream  TCP
 *                               ResolverPlans
 * </pre>
 *
 * <p>Whom to ask is decided per query: {@link dev.slipway.host.ResolverPlans} holds what settings and the host's files
 * say at that moment, and no answer is kept over a change of that.
 *
 * <p>{@link dev.slipway.host.Destinations} is the only place that decides where an address leads; sockets dial what it
 * says.
 *
 * <p>The native side, by system calls, leaves what waits in the kernel: bytes for the guest are peeked at until the
 * guest has them ({@code NativeFromHost}), and the guest is promised the room of the send buffer ({@code
 * NativeToHost}). What the kernel does not take for all that waits in {@code HeldBytes}. A turn's datagrams go out
 * by one call for many. The portable side, by Netty's channels, holds what waits itself: for the guest in a {@code
 * ByteQueue}, for the host in {@code Chunk}s. All of it is counted in one {@code QueueBudget} per VM.
 *
 * <p>Limits: IPv4 destinations. Held for the VM in all: 64 MiB, or half of the direct memory if that is less. A
 * connection of the portable side holds 1 MiB to the guest and 512 KiB from it, less as the budget fills, never less
 * than 4 KiB; one of the native side is promised 4 MiB at most, and 128 KiB beyond what the kernel has room for. On NIO
 * a connection whose host has ended its stream notices a reset only with its next bytes. No ICMP errors of UDP
 * destinations. Names: RFC 1035 messages of up to 65,535 bytes, 4.5 seconds for all servers.
 *
 * <p>Read first: RFC 9293 (section 3.6), RFC 4787, RFC 6890, RFC 1035 (section 4), RFC 7766.
 */
package dev.slipway.host;
