/**
 * The control API: HTTP/1.1 on a Unix socket of mode 0600, which is all the authentication there is.
 *
 * <p>Theory of operation: {@link dev.slipway.control.ControlServer} is an ordinary Netty server on an event loop of the
 * program. Families of endpoints are asked one after the other: ours ({@link dev.slipway.control.SlipwayApi}), those for
 * proxies, and gvproxy's. What they tell of the VMs was counted by the VMs' loops and may be a moment old; what they change
 * is changed on the loop that owns it. Whatever is wrong with a request gets a JSON object {@code {"error": {"code": …,
 * "message": …}}} with the status that fits, but for a body that is too long, which gets status 413 alone.
 *
 * <p>Limits: {@value dev.slipway.control.ControlServer#MAX_CONNECTIONS} connections at a time, a request line of 4 KiB,
 * 8 KiB of header, 64 KiB of body; a connection that says nothing for 10 seconds is closed, but for streams of events
 * ({@link dev.slipway.control.EventStream}). Guests cannot reach it: what they may ask, if that is switched on, is served
 * by the stack ({@link dev.slipway.control.GuestPublishing}).
 *
 * <p>Read first: RFC 9110, 9112.
 */
package dev.slipway.control;
