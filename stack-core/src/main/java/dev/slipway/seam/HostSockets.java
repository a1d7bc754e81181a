package dev.slipway.seam;

import dev.slipway.wire.IpAddress;

/** The host's sockets, seen from the stack. Destinations are those the guest named; policy and translation lie behind. */
public interface HostSockets {

    /**
     * Begins to connect.
     *
     * @param hopLimit time to live that the host's packets are to have, 1 to 255; 0 leaves it to the host
     * @return the connection to be, whose listener hears {@code connected} or {@code failed} later
     */
    HostStream connect(IpAddress destination, int port, int hopLimit, HostStream.Listener listener);

    /**
     * Opens a UDP socket for a guest's port, for one family of addresses.
     *
     * @param preferredPort the guest's own port, kept on the host if it is free
     * @return the socket, or {@code null} if the host has none left
     */
    HostDatagrams openDatagrams(int preferredPort, boolean ipv6, HostDatagrams.Listener listener);

    /**
     * Opens a socket for a guest's echo requests to one family of addresses.
     *
     * @param preferredIdentifier the guest's own identifier, kept on the host if it is free
     * @return the socket; one that finds everything {@link HostDatagrams.Verdict#PROHIBITED} if the host's system has
     *     no such sockets for this process; {@code null} if the host has none left
     */
    HostEcho openEcho(int preferredIdentifier, boolean ipv6, HostEcho.Listener listener);
}
