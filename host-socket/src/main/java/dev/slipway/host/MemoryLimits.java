package dev.slipway.host;

import dev.slipway.ethernet.Transport;
import dev.slipway.seam.StackSettings.Limits;

/**
 * What guests may have of a heap of a given size: half of it is for their TCP connections, an eighth each for their UDP
 * ports and their queries, a sixteenth for what they send out of order. All VMs have the same share.
 */
public final class MemoryLimits {

    /** Heap that an idle TCP connection takes with the system calls of Linux, in bytes. */
    static final int NATIVE_FLOW = 2 << 10;

    /** The same with a Netty channel. */
    static final int CHANNEL_FLOW = 6 << 10;

    private static final int DATAGRAM_FLOW = 4 << 10;
    private static final int QUERY = 4 << 10;

    /** What a VM may have however small the heap is. */
    private static final int MIN = 64;

    private MemoryLimits() {}

    /**
     * The limits of a VM.
     *
     * @param wanted never exceeded
     * @param heap bytes of heap that the process may use
     * @param vms how many share it
     */
    public static Limits of(Limits wanted, long heap, int vms, Transport transport) {
        long share = heap / Math.max(1, vms);
        int flow = transport == Transport.NATIVE ? NATIVE_FLOW : CHANNEL_FLOW;
        int tcpFlows = atMost(wanted.tcpFlows(), share / 2 / flow);
        return new Limits(
                tcpFlows,
                Math.min(wanted.tcpHalfOpen(), tcpFlows),
                atMost(wanted.udpFlows(), share / 8 / DATAGRAM_FLOW),
                atMost(wanted.reassemblyBytes(), share / 32),
                atMost(wanted.outOfOrderBytes(), share / 32),
                atMost(wanted.outOfOrderTotalBytes(), share / 16),
                atMost(wanted.dnsQueries(), share / 8 / QUERY),
                wanted.connectsPerSecond());
    }

    private static int atMost(int wanted, long there) {
        return (int) Math.min(wanted, Math.max(MIN, there));
    }
}
