package dev.slipway.seam;

import dev.slipway.wire.IpAddress;

/** The host's sockets, seen from the stack. Destinations are those the guest named; policy and translation lie behind. */
public interface HostSockets {

    /**
     * Begins to connect.
     *
     * @return the connection to be, whose listener hears {@code connected} or {@code failed} later
     */
    HostStream connect(IpAddress destination, int port, HostStream.Listener listener);

    /**
     * Opens a UDP socket for a guest's port.
     *
     * @param preferredPort the guest's own port, kept on the host if it is free
     * @return the socket, or {@code null} if the host has none left
     */
    HostDatagrams openDatagrams(int preferredPort, HostDatagrams.Listener listener);
}
