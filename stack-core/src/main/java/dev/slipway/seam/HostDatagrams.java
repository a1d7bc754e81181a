package dev.slipway.seam;

import dev.slipway.wire.Icmpv4Packet;
import dev.slipway.wire.Icmpv6Packet;
import dev.slipway.wire.IpAddress;
import java.lang.foreign.MemorySegment;

/**
 * A UDP socket of the host, of one family of addresses, that stands for one port of a guest: endpoint-independent mapping and filtering (RFC 4787,
 * REQ-1 and REQ-8), so it sends to anyone and hears from anyone.
 *
 * <p>Addresses are those the guest knows: the implementation translates the host address to localhost and back. All
 * methods and events belong to the thread that owns the stack.
 */
public interface HostDatagrams {

    /**
     * Sends a datagram; an empty one too. One that the host's kernel does not take just now is lost. Its bytes must
     * stay as they are until {@link #flush} or {@link #close}. The source may be native memory or an array.
     *
     * @param hopLimit time to live that the packet leaves the host with, 1 to 255
     * @param dontFragment whether nobody on the way may fragment it
     * @return why it cannot go there at all, or {@link Verdict#SENT}; what an implementation that batches learns only
     *     when it sends, it may tell of with a later datagram to that destination
     */
    Verdict send(
            IpAddress destination,
            int port,
            int hopLimit,
            boolean dontFragment,
            MemorySegment source,
            long offset,
            int length);

    /** After {@link Verdict#TOO_BIG}: the largest IP packet that the way takes in bytes, or 0 if nobody said. */
    int pathMtu();

    /** Ends the turn's sending: an implementation that batches sends now. */
    void flush();

    /** Closes the socket; what was sent before still goes out. No event follows. */
    void close();

    /** What became of a datagram. */
    enum Verdict {
        SENT,
        /** The host's kernel had no room for it; datagrams may be lost. */
        LOST,
        /** Nobody can listen there. */
        PORT_UNREACHABLE,
        HOST_UNREACHABLE,
        NETWORK_UNREACHABLE,
        PROHIBITED,
        /** The datagram is larger than the way allows. */
        TOO_BIG;

        /**
         * What a router says for this reason about a packet, by ICMP or ICMPv6.
         *
         * @param router who says it, an address of the packet's family
         * @param pathMtu of {@link #TOO_BIG}, the largest IP packet that the way takes in bytes, or 0
         * @return the error; {@code null} if there is nothing to say
         */
        public IcmpError asError(IpAddress router, int pathMtu) {
            if (this == TOO_BIG && !router.isV4()) {
                return pathMtu == 0 ? null : new IcmpError(router, Icmpv6Packet.PACKET_TOO_BIG, 0, pathMtu);
            }
            int code = switch (this) {
                case PORT_UNREACHABLE -> Icmpv4Packet.CODE_PORT_UNREACHABLE;
                case HOST_UNREACHABLE -> Icmpv4Packet.CODE_HOST_UNREACHABLE;
                case NETWORK_UNREACHABLE -> Icmpv4Packet.CODE_NET_UNREACHABLE;
                case PROHIBITED -> Icmpv4Packet.CODE_PROHIBITED;
                case TOO_BIG -> pathMtu == 0 ? -1 : Icmpv4Packet.CODE_FRAGMENTATION_NEEDED;
                case SENT, LOST -> -1;
            };
            if (code < 0) {
                return null;
            }
            return router.isV4()
                    ? new IcmpError(router, Icmpv4Packet.UNREACHABLE, code, this == TOO_BIG ? pathMtu : 0)
                    : new IcmpError(router, Icmpv6Packet.UNREACHABLE, Icmpv6Packet.codeFor(code), 0);
        }
    }

    /** Where datagrams from the host go. */
    interface Listener {

        /** A datagram came; its bytes are valid only during the call. */
        void received(IpAddress source, int port, MemorySegment payload, long offset, int length);

        /**
         * The network reported an error about a datagram sent: nobody listens there, a router has no way, or its time to
         * live ran out.
         *
         * @param quoted the payload as far as it was quoted, maybe nothing; valid only during the call
         */
        void failed(IpAddress destination, int port, IcmpError error, MemorySegment quoted, long offset, int length);
    }
}
