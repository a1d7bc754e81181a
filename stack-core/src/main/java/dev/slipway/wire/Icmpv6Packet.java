package dev.slipway.wire;

import java.lang.foreign.MemorySegment;

/**
 * An ICMPv6 message (RFC 4443), neighbour discovery included (RFC 4861).
 *
 * <pre>
 *  0   1   2       4               8
 *  +---+---+-------+---------------+----------
 *  |typ|cod| cksum | of the type   | body …
 *  +---+---+-------+---------------+----------
 * </pre>
 */
public final class Icmpv6Packet {

    public static final int HEADER_LENGTH = 8;

    public static final int UNREACHABLE = 1;
    public static final int PACKET_TOO_BIG = 2;
    public static final int TIME_EXCEEDED = 3;
    public static final int PARAMETER_PROBLEM = 4;
    public static final int ECHO_REQUEST = 128;
    public static final int ECHO_REPLY = 129;
    public static final int ROUTER_SOLICITATION = 133;
    public static final int ROUTER_ADVERTISEMENT = 134;
    public static final int NEIGHBOUR_SOLICITATION = 135;
    public static final int NEIGHBOUR_ADVERTISEMENT = 136;
    public static final int REDIRECT = 137;

    public static final int CODE_NO_ROUTE = 0;
    public static final int CODE_PROHIBITED = 1;
    public static final int CODE_ADDRESS_UNREACHABLE = 3;
    public static final int CODE_PORT_UNREACHABLE = 4;

    /** Of {@link #PARAMETER_PROBLEM}: what is behind the headers is unknown. */
    public static final int CODE_NEXT_HEADER = 1;

    private static final int CHECKSUM = 2;

    private int type;
    private int code;

    /**
     * Reads a message.
     *
     * @param packet whose payload it is
     * @return {@link DropReason#ICMP} if there is no whole header, {@link DropReason#CHECKSUM}, or {@link
     *     DropReason#NONE}
     */
    public DropReason parse(Ipv6Packet packet, MemorySegment bytes, long offset, int length) {
        if (length < HEADER_LENGTH) {
            return DropReason.ICMP;
        }
        int pseudo = Checksum.pseudoHeader(
                packet.sourceHigh(),
                packet.sourceLow(),
                packet.destinationHigh(),
                packet.destinationLow(),
                Ipv6Packet.PROTOCOL_ICMP,
                length);
        if (Checksum.fold(pseudo + Checksum.sum(bytes, offset, length)) != 0xFFFF) {
            return DropReason.CHECKSUM;
        }
        type = BigEndian.u8(bytes, offset);
        code = BigEndian.u8(bytes, offset + 1);
        return DropReason.NONE;
    }

    /**
     * Writes type, code and checksum of a message whose other bytes are already in place.
     *
     * @param length of the whole message
     */
    public static void write(
            MemorySegment bytes, long offset, int length, int type, int code, IpAddress source, IpAddress destination) {
        BigEndian.putU16(bytes, offset, type << 8 | code);
        BigEndian.putU16(bytes, offset + CHECKSUM, 0);
        int pseudo = Checksum.pseudoHeader(source, destination, Ipv6Packet.PROTOCOL_ICMP, length);
        BigEndian.putU16(bytes, offset + CHECKSUM, Checksum.finish(pseudo + Checksum.sum(bytes, offset, length)));
    }

    /** Whether a type is that of an error, which must never be answered by another (RFC 4443, section 2.4). */
    public static boolean isError(int type) {
        return type < 128;
    }

    /** The code of {@link #UNREACHABLE} that says what a code of ICMP for IPv4 says. */
    public static int codeFor(int codeOfIcmpv4) {
        return switch (codeOfIcmpv4) {
            case Icmpv4Packet.CODE_NET_UNREACHABLE -> CODE_NO_ROUTE;
            case Icmpv4Packet.CODE_PORT_UNREACHABLE -> CODE_PORT_UNREACHABLE;
            case Icmpv4Packet.CODE_PROHIBITED -> CODE_PROHIBITED;
            default -> CODE_ADDRESS_UNREACHABLE;
        };
    }

    public int type() {
        return type;
    }

    public int code() {
        return code;
    }
}
