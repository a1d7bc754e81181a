package dev.slipway.seam;

import dev.slipway.seam.HostDatagrams.Verdict;
import dev.slipway.wire.IpAddress;
import java.lang.foreign.MemorySegment;

/**
 * A socket of the host for echo requests that stands for one identifier of a guest: it sends to anyone, and hears the
 * answers to what it sent.
 *
 * <p>Messages are ICMP messages (ICMPv6 for IPv6) from their type on. The host's identifier need not be the guest's, so
 * identifier and checksum are the receiver's to set. All methods and events belong to the thread that owns the stack; no
 * event is delivered from within a method.
 */
public interface HostEcho {

    /**
     * Sends an echo request; what the host's kernel does not take just now is lost.
     *
     * @param hopLimit time to live that the packet leaves the host with, 1 to 255
     * @param dontFragment whether nobody on the way may fragment it
     * @param message the whole request; need stay valid only during the call; native memory or an array
     * @return why it cannot go there at all, or {@link Verdict#SENT}
     */
    Verdict send(
            IpAddress destination, int hopLimit, boolean dontFragment, MemorySegment message, long offset, int length);

    /** After {@link Verdict#TOO_BIG}: the largest IP packet that the way takes in bytes, or 0 if nobody said. */
    int pathMtu();

    /** Closes the socket. No event follows. */
    void close();

    /** Where answers go. Bytes are valid only during the call. */
    interface Listener {

        /**
         * An echo reply came.
         *
         * @param hopLimit time to live that it came with, or 0 if the host does not tell
         * @param message the whole reply
         */
        void replied(IpAddress source, int hopLimit, MemorySegment message, long offset, int length);

        /**
         * The network reported an error about a request.
         *
         * @param quoted the request as far as it was quoted, from its type on; maybe nothing
         */
        void failed(IpAddress destination, IcmpError error, MemorySegment quoted, long offset, int length);
    }
}
