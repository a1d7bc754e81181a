/**
 * System calls of Linux, through {@link java.lang.foreign}.
 *
 * <p>Theory of operation: {@link dev.slipway.posix.Sockets} has a method for each thing that is asked of the kernel. It
 * returns what the kernel returned, or the error number negated ({@link dev.slipway.posix.Errno}); on a packet's path
 * "try again" is an answer like any other, so nothing throws for what the kernel says. All calls go through one downcall
 * of {@code syscall(2)}, because each new shape of downcall costs the start of the program some milliseconds. What the
 * kernel reads and writes ({@link dev.slipway.posix.SocketAddress}, {@link dev.slipway.posix.IoVectors}, {@link
 * dev.slipway.posix.SendBatch}, {@link dev.slipway.posix.ReceiveBatch}, {@link dev.slipway.posix.ReceivedMessage}, {@link
 * dev.slipway.posix.ReceivedDescriptors}) is native memory, made once and patched for each
 * call. Objects belong to one thread.
 * {@link dev.slipway.posix.SharedFile} and {@link dev.slipway.posix.EventSignal} are for what another process has passed:
 * a file whose memory is shared, and a descriptor by which to tell it something.
 *
 * <p>Limits: Linux on x86-64 and aarch64; {@link dev.slipway.posix.Sockets#isSupported} tells. Memory is passed by
 * address after its bounds were checked; the caller keeps it alive during the call. A gathering write takes 1,024 pieces
 * at most, one call receives 32 datagrams. Datagrams are IPv4's or a Unix socket's.
 *
 * <p>Read first: recv(2) for MSG_PEEK, socket(7) for SO_PEEK_OFF, tcp(7) for MSG_TRUNC, writev(2), sendmmsg(2),
 * recvmmsg(2), syscall(2); unix(7) for SCM_RIGHTS, eventfd(2), mmap(2), fcntl(2) for file seals.
 */
package dev.slipway.posix;
