package dev.slipway.ip;

import dev.slipway.seam.IcmpError;
import dev.slipway.wire.Frame;
import dev.slipway.wire.IpAddress;
import java.lang.foreign.MemorySegment;

/** Packets of one family of addresses to the guest, for protocols that are the same over both. */
public interface IpOutput {

    /** Bytes of the headers before the payload of an IP packet, Ethernet's included. */
    int headers();

    /** The largest payload of an IP packet that need not be cut, in bytes. */
    int payloadMax();

    /** How many bytes of frames that can wait the channel takes now. */
    int room();

    /**
     * Begins a packet.
     *
     * @param payloadCapacity bytes that will be written from {@code frame.offset() + headers()} on
     */
    Frame begin(int payloadCapacity);

    /** Sends the packet begun last, whole; both addresses are of this family. */
    void send(Frame frame, int payloadLength, IpAddress source, IpAddress destination, int protocol);

    /**
     * Sends an ICMP error of this family about a packet of the guest's that is gone, its IP header made anew.
     *
     * @param from who says it, as the guest is to see it
     * @param guest the packet's source
     * @param remote its destination
     * @param payloadLength bytes of the payload that the packet had
     * @param payload what is left of it, the transport header at least
     */
    void sendErrorAbout(
            IcmpError error,
            IpAddress from,
            IpAddress guest,
            IpAddress remote,
            int protocol,
            int payloadLength,
            MemorySegment payload,
            long offset,
            int length);
}
