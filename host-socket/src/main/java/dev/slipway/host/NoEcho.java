package dev.slipway.host;

import dev.slipway.seam.HostDatagrams.Verdict;
import dev.slipway.seam.HostEcho;
import dev.slipway.wire.IpAddress;
import java.lang.foreign.MemorySegment;

/** Stands for the ping sockets that a system or a transport does not have: all that is sent is prohibited. */
final class NoEcho implements HostEcho {

    static final NoEcho INSTANCE = new NoEcho();

    private NoEcho() {}

    @Override
    public Verdict send(
            IpAddress destination, int hopLimit, boolean dontFragment, MemorySegment message, long offset, int length) {
        return Verdict.PROHIBITED;
    }

    @Override
    public int pathMtu() {
        return 0;
    }

    @Override
    public void close() {}
}
