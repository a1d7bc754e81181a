/**
 * The control API: HTTP/1.1 on a Unix socket of mode 0600, which is all the authentication there is.
 *
 * <p>Theory of operation: {@link dev.slipway.control.ControlServer} is an ordinary Netty server on an event loop of the
 * program; it reads what the VMs' loops have counted, numbers that may be a moment old, and changes nothing: there is
 * {@code GET /v1/status} and no more. Whatever is wrong with a request gets a JSON object {@code {"error": {"code": …,
 * "message": …}}} with the status that fits, but for a body that is too long, which gets status 413 alone.
 *
 * <p>Limits: {@value dev.slipway.control.ControlServer#MAX_CONNECTIONS} connections at a time, a request line of 4 KiB,
 * 8 KiB of header, 64 KiB of body; a connection that says nothing for 10 seconds is closed. Guests cannot reach it.
 *
 * <p>Read first: RFC 9110, 9112.
 */
package dev.slipway.control;
