package dev.slipway.udp;

import dev.slipway.seam.HostDatagrams;
import dev.slipway.seam.IcmpError;
import dev.slipway.wire.IpAddress;
import java.lang.foreign.MemorySegment;

/** One port of a guest and the host socket that stands for it. Linked in the order of last use. */
final class UdpFlow implements HostDatagrams.Listener {

    final FlowKey key;
    /** The guest's address in network order; 0 of a flow over IPv6. */
    final int guest;

    /** Whom the guest sent to last. */
    IpAddress remote;

    final int guestPort;
    UdpFlow olderUse;
    UdpFlow newerUse;
    long lastUsed;
    /** Whether somebody has answered, so that it is kept for longer (RFC 4787, REQ-5). */
    boolean answered;

    /** Whether all it was used for were questions of one datagram that get one answer. */
    boolean oneShot = true;

    /** Payload of the datagram that the guest sent last, in bytes. */
    int lastLength;

    /** Whether it was used in the turn that goes on. */
    boolean touched;

    private final UdpTable table;
    private HostDatagrams socket;

    UdpFlow(UdpTable table, FlowKey key) {
        this.table = table;
        this.key = key;
        this.guest = key.guest().isV4() ? key.guest().v4() : 0;
        this.guestPort = key.guestPort();
    }

    void bind(HostDatagrams hostSocket) {
        socket = hostSocket;
    }

    HostDatagrams socket() {
        return socket;
    }

    @Override
    public void received(IpAddress source, int port, MemorySegment payload, long offset, int length) {
        table.received(this, source, port, payload, offset, length);
    }

    @Override
    public void failed(
            IpAddress destination, int port, IcmpError error, MemorySegment quoted, long offset, int length) {
        table.failed(this, destination, port, error, quoted, offset, length);
    }
}
