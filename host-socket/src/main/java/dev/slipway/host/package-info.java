/**
 * The host's side of a VM: its sockets, its resolvers, what of it a guest may reach, and the session that joins them to
 * a stack and a link.
 *
 * <p>Theory of operation: one thread owns a VM. Its Netty event loop runs the link to the guest, the {@link
 * dev.slipway.stack.Stack}, one timer and all sockets; {@link dev.slipway.host.VmSession} says what a turn is. Other
 * threads post tasks.
 *
 * <pre>
 *   Stack ─ HostSockets ─ NameServerStreams ─ NettyHostSockets ─┬─ NettyHostStream     a TCP connection
 *                         (gateway:53)        Destinations      └─ NettyHostDatagrams  a guest's UDP port
 *   NameServer ─ NameResolver ─ HostResolver ─ Lookup ─┬─ UpstreamSocket  UDP
 *                               ResolvConfFile         └─ UpstreamStream  TCP
 * </pre>
 *
 * <p>On Linux {@code NativeHostSockets}, {@code NativeHostStream} and {@code NativeHostDatagrams} take the place of the
 * three on the right, by system calls on the same event loop: the kernel's buffers are the queues there, and a turn's
 * datagrams go out by one call for many.
 *
 * <p>{@link dev.slipway.host.Destinations} is the only place that decides where an address leads; sockets dial what it
 * says. What waits for the guest stands in a {@code ByteQueue}, what waits for the host in {@code Chunk}s; both are
 * counted in one {@code QueueBudget} per VM.
 *
 * <p>Limits: IPv4 destinations. 1 MiB to the guest and 512 KiB from it per connection, less as the VM's 64 MiB (or half
 * of the direct memory) fill, never less than 4 KiB. A connection whose host has ended its stream notices a reset on
 * NIO only with its next bytes. No ICMP errors of UDP destinations. Names: RFC 1035 messages of up to 65,535 bytes, 4.5
 * seconds for all servers.
 *
 * <p>Read first: RFC 9293 (section 3.6), RFC 4787, RFC 6890, RFC 1035 (section 4), RFC 7766.
 */
package dev.slipway.host;
