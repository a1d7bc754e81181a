/**
 * Ports of guests that are ports of the host.
 *
 * <p>Theory of operation: {@link dev.slipway.publish.PublishedPorts} is the one list of what is published, whoever asked
 * for it (settings, API, a container engine). All listening sockets are made and closed on one event loop that is no VM's.
 * A connection is accepted there and moves, before a byte of it is read, to the event loop of the VM that has the port; with
 * the native transport and one VM it is accepted by system calls on that VM's loop at once. There it is joined with a
 * connection to the guest. So it is accepted only as far as the host's kernel does that by itself: a guest
 * that refuses means a reset for the client. Datagrams are handed over one by one, each client being one conversation.
 *
 * <p>The first who holds a port keeps it. Who comes later is told why not, or, if it asked for that, is listed with the
 * reason and gets the port when it is free.
 *
 * <p>Limits: {@value dev.slipway.publish.PublishedPorts#MAX_PORTS} ports; {@value
 * dev.slipway.publish.UdpListener#MAX_CLIENTS} clients of a UDP port, the longest idle makes room. A guest is
 * reached by its IPv4 address, or by its IPv6 address if it has no other or that one was written out. Clients may come by
 * IPv4, IPv6 or a Unix socket; one that has no address of the family that its guest is reached by, outside the guest's
 * network, is seen as the gateway.
 */
package dev.slipway.publish;
