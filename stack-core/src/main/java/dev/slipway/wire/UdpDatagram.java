package dev.slipway.wire;

import java.lang.foreign.MemorySegment;

/**
 * A UDP datagram (RFC 768).
 *
 * <pre>
 *  0       2       4       6       8
 *  +-------+-------+-------+-------+----------
 *  | sport | dport |length | cksum | payload …
 *  +-------+-------+-------+-------+----------
 * </pre>
 */
public final class UdpDatagram {

    public static final int HEADER_LENGTH = 8;
    /** The largest payload over IPv4. */
    public static final int MAX_PAYLOAD = 65_507;
    /** The largest payload over IPv6 without a jumbogram (RFC 8200, section 3). */
    public static final int MAX_PAYLOAD_V6 = 65_527;
    /** Where the checksum lies in the header. */
    public static final int CHECKSUM = 6;

    private static final int SOURCE_PORT = 0;
    private static final int DESTINATION_PORT = 2;
    private static final int LENGTH = 4;

    private int sourcePort;
    private int destinationPort;
    private long payloadOffset;
    private int payloadLength;

    /**
     * Reads a datagram out of an IPv4 packet. A checksum of 0 is none (RFC 768), and accepted.
     *
     * @param length the bytes of the IP payload; the datagram may be shorter
     * @param verify whether the checksum is to be checked
     * @return {@link DropReason#UDP} for lengths that cannot be, {@link DropReason#CHECKSUM}, or {@link
     *     DropReason#NONE}
     */
    public DropReason parse(MemorySegment bytes, long offset, int length, int source, int destination, boolean verify) {
        if (length < HEADER_LENGTH) {
            return DropReason.UDP;
        }
        int own = BigEndian.u16(bytes, offset + LENGTH);
        if (own < HEADER_LENGTH || own > length) {
            return DropReason.UDP;
        }
        if (verify && BigEndian.u16(bytes, offset + CHECKSUM) != 0) {
            int pseudo = Checksum.pseudoHeader(source, destination, Ipv4Packet.PROTOCOL_UDP, own);
            if (Checksum.fold(pseudo + Checksum.sum(bytes, offset, own)) != 0xFFFF) {
                return DropReason.CHECKSUM;
            }
        }
        sourcePort = BigEndian.u16(bytes, offset + SOURCE_PORT);
        destinationPort = BigEndian.u16(bytes, offset + DESTINATION_PORT);
        payloadOffset = offset + HEADER_LENGTH;
        payloadLength = own - HEADER_LENGTH;
        return DropReason.NONE;
    }

    /**
     * Reads a datagram out of an IPv6 packet, where it must have a checksum (RFC 8200, section 8.1).
     *
     * @param packet whose payload it is, or was a part of
     */
    public DropReason parse(MemorySegment bytes, long offset, int length, Ipv6Packet packet, boolean verify) {
        DropReason reason = parse(bytes, offset, length, 0, 0, false);
        if (reason != DropReason.NONE || !verify) {
            return reason;
        }
        int own = HEADER_LENGTH + payloadLength;
        int pseudo = Checksum.pseudoHeader(
                packet.sourceHigh(),
                packet.sourceLow(),
                packet.destinationHigh(),
                packet.destinationLow(),
                Ipv4Packet.PROTOCOL_UDP,
                own);
        return BigEndian.u16(bytes, offset + CHECKSUM) == 0
                        || Checksum.fold(pseudo + Checksum.sum(bytes, offset, own)) != 0xFFFF
                ? DropReason.CHECKSUM
                : DropReason.NONE;
    }

    /**
     * Writes the header before a payload that is already in place, checksum included.
     *
     * @param payloadLength bytes behind the header
     */
    public static void write(
            MemorySegment bytes,
            long offset,
            IpAddress source,
            int sourcePort,
            IpAddress destination,
            int destinationPort,
            int payloadLength) {
        int length = HEADER_LENGTH + payloadLength;
        writePorts(bytes, offset, sourcePort, destinationPort, length);
        complete(bytes, offset, length, Checksum.pseudoHeader(source, destination, Ipv4Packet.PROTOCOL_UDP, length));
    }

    /** The same for IPv4 addresses in network order. */
    public static void write(
            MemorySegment bytes,
            long offset,
            int source,
            int sourcePort,
            int destination,
            int destinationPort,
            int payloadLength) {
        int length = HEADER_LENGTH + payloadLength;
        writePorts(bytes, offset, sourcePort, destinationPort, length);
        complete(bytes, offset, length, Checksum.pseudoHeader(source, destination, Ipv4Packet.PROTOCOL_UDP, length));
    }

    private static void writePorts(MemorySegment bytes, long offset, int sourcePort, int destinationPort, int length) {
        BigEndian.putI64(bytes, offset, (long) sourcePort << 48 | (long) destinationPort << 32 | (long) length << 16);
    }

    private static void complete(MemorySegment bytes, long offset, int length, int pseudo) {
        int checksum = Checksum.finish(pseudo + Checksum.sum(bytes, offset, length));
        BigEndian.putU16(bytes, offset + CHECKSUM, checksum == 0 ? 0xFFFF : checksum);
    }

    public int sourcePort() {
        return sourcePort;
    }

    public int destinationPort() {
        return destinationPort;
    }

    /** Where the payload begins, in the bytes given to {@link #parse}. */
    public long payloadOffset() {
        return payloadOffset;
    }

    public int payloadLength() {
        return payloadLength;
    }
}
