/**
 * System calls of Linux, through {@link java.lang.foreign}.
 *
 * <p>Theory of operation: a call returns what the kernel returned, or the error number negated ({@link
 * dev.slipway.posix.Errno}); on a packet's path "try again" is an answer like any other, so nothing throws for what the
 * kernel says. All calls go through one downcall of {@code syscall(2)}, because each new shape of downcall costs the
 * start of the program some milliseconds. Structures are made once and patched. Objects belong to one thread.
 *
 * <p>Limits: Linux on x86-64 and aarch64; {@link dev.slipway.posix.Sockets#isSupported} tells. Memory is passed by
 * address after its bounds were checked; the caller keeps it alive.
 *
 * <p>Read first: recv(2) for MSG_PEEK and MSG_TRUNC, socket(7) for SO_PEEK_OFF, readv(2), sendmmsg(2), recvmmsg(2), syscall(2).
 */
package dev.slipway.posix;
