package dev.slipway.udp;

import dev.slipway.wire.IpAddress;

/**
 * What a flow is found by: a guest's port, and with symmetric NAT also whom it sends to. One that is set anew for each
 * search makes no garbage; one that stands in the table is never changed.
 */
final class FlowKey {

    private IpAddress guest;
    private int guestPort;
    private IpAddress remote;
    private int remotePort;

    /**
     * Names a flow.
     *
     * @param remote whom the guest sends to, or {@code null} for whomever
     */
    FlowKey set(IpAddress guest, int guestPort, IpAddress remote, int remotePort) {
        this.guest = guest;
        this.guestPort = guestPort;
        this.remote = remote;
        this.remotePort = remotePort;
        return this;
    }

    FlowKey copy() {
        return new FlowKey().set(guest, guestPort, remote, remotePort);
    }

    IpAddress guest() {
        return guest;
    }

    int guestPort() {
        return guestPort;
    }

    /** Whether datagrams from there belong to the flow. */
    boolean admits(IpAddress source, int port) {
        return remote == null || remotePort == port && remote.equals(source);
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof FlowKey key
                && guestPort == key.guestPort
                && remotePort == key.remotePort
                && guest.equals(key.guest)
                && (remote == null ? key.remote == null : remote.equals(key.remote));
    }

    @Override
    public int hashCode() {
        int hash = guest.hashCode() * 31 + guestPort;
        hash = (hash * 31 + (remote == null ? 0 : remote.hashCode())) * 31 + remotePort;
        return hash ^ hash >>> 16;
    }
}
