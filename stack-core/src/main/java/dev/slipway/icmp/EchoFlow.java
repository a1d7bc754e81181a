package dev.slipway.icmp;

import dev.slipway.seam.HostEcho;
import dev.slipway.seam.IcmpError;
import dev.slipway.wire.IpAddress;
import java.lang.foreign.MemorySegment;

/** One identifier of a guest and the host socket that stands for it. */
final class EchoFlow implements HostEcho.Listener {

    final IpAddress guest;
    final int identifier;
    long lastUsed;

    /** Of the request that the guest sent last: its length in bytes, its sequence number and its checksum. */
    int lastLength;

    int lastSequence;
    int lastChecksum;

    private final EchoTable table;
    private HostEcho socket;

    EchoFlow(EchoTable table, IpAddress guest, int identifier) {
        this.table = table;
        this.guest = guest;
        this.identifier = identifier;
    }

    void bind(HostEcho hostSocket) {
        socket = hostSocket;
    }

    HostEcho socket() {
        return socket;
    }

    @Override
    public void replied(IpAddress source, int hopLimit, MemorySegment message, long offset, int length) {
        table.replied(this, source, hopLimit, message, offset, length);
    }

    @Override
    public void failed(IpAddress destination, IcmpError error, MemorySegment quoted, long offset, int length) {
        table.failed(this, destination, error, quoted, offset, length);
    }
}
