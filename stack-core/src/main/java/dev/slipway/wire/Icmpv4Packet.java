package dev.slipway.wire;

import java.lang.foreign.MemorySegment;

/**
 * An ICMP message (RFC 792).
 *
 * <pre>
 *  0   1   2       4       6       8
 *  +---+---+-------+-------+-------+----------
 *  |typ|cod| cksum |  id   |  seq  | payload …      (echo; errors carry 4 bytes of their own and the packet at fault)
 *  +---+---+-------+-------+-------+----------
 * </pre>
 */
public final class Icmpv4Packet {

    public static final int HEADER_LENGTH = 8;

    public static final int ECHO_REPLY = 0;
    public static final int UNREACHABLE = 3;
    public static final int ECHO_REQUEST = 8;
    public static final int TIME_EXCEEDED = 11;
    public static final int PARAMETER_PROBLEM = 12;

    public static final int CODE_NET_UNREACHABLE = 0;
    public static final int CODE_HOST_UNREACHABLE = 1;
    public static final int CODE_PROTOCOL_UNREACHABLE = 2;
    public static final int CODE_PORT_UNREACHABLE = 3;
    public static final int CODE_FRAGMENTATION_NEEDED = 4;
    public static final int CODE_PROHIBITED = 13;

    private static final int CHECKSUM = 2;

    private int type;
    private int code;

    /**
     * Reads a message.
     *
     * @return {@link DropReason#ICMP} if there is no whole header, {@link DropReason#CHECKSUM}, or {@link
     *     DropReason#NONE}
     */
    public DropReason parse(MemorySegment bytes, long offset, int length) {
        if (length < HEADER_LENGTH) {
            return DropReason.ICMP;
        }
        if (Checksum.sum(bytes, offset, length) != 0xFFFF) {
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
    public static void write(MemorySegment bytes, long offset, int length, int type, int code) {
        BigEndian.putU16(bytes, offset, type << 8 | code);
        BigEndian.putU16(bytes, offset + CHECKSUM, 0);
        BigEndian.putU16(bytes, offset + CHECKSUM, Checksum.finish(Checksum.sum(bytes, offset, length)));
    }

    /** Whether a type is that of an error, which must never be answered by another (RFC 1122, section 3.2.2). */
    public static boolean isError(int type) {
        return type == UNREACHABLE || type == 4 || type == 5 || type == TIME_EXCEEDED || type == PARAMETER_PROBLEM;
    }

    public int type() {
        return type;
    }

    public int code() {
        return code;
    }
}
