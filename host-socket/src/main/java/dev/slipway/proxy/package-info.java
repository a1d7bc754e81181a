/**
 * Proxies: flows of the guest that leave through a proxy of the host's network, and the proxies that the gateway itself
 * is for the guest.
 *
 * <p>Theory of operation: {@link dev.slipway.proxy.ProxySockets} stands in front of the host's sockets. A connection that
 * no setting concerns is handed on untouched, so it costs one comparison when it begins and nothing after. All others end
 * here, in a {@code GuestStream}: two bounded queues between the stack and whoever serves the connection.
 *
 * <pre>
 *   Stack ─ HostStream ─ GuestStream ─┬─ Sniffer     ports of the web: looks at the first bytes, then one of these two
 *                                     ├─ HttpFlow    request by request; also gateway:3128
 *                                     ├─ Tunnel      bytes as they are: TLS by its name, CONNECT, what is neither
 *                                     └─ SocksFlow    gateway:1080
 *   Dialer ─ ConnectHandshake, SocksHandshake ─ Upstream    a Netty channel of the host, in TLS to an https proxy
 * </pre>
 *
 * <p>Settings are asked anew for every flow and every request, so they change live and no flow is lost. Names are
 * resolved by the proxy, or if there is none as the guest's own queries are. What the guest's own network and the host's
 * own addresses are never goes to a proxy. Credentials are in {@link dev.slipway.proxy.ProxyAddress} alone, whose text
 * leaves them out.
 *
 * <p>Limits: HTTP/1.0 and 1.1; a head of 64 KiB and 512 lines; a hello of TLS of 32 KiB; to and from a guest as much as
 * the VM's {@link dev.slipway.queue.QueueBudget} allows, 1 MiB and 512 KiB at most. 10 seconds to connect, 60 for a proxy
 * to open a tunnel, 60 for half a head. No TLS of the guest's is opened.
 *
 * <p>Read first: RFC 9110 (sections 7 and 9.3.6), RFC 9112, RFC 1928, RFC 6066 (section 3).
 */
package dev.slipway.proxy;
