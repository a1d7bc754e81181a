package dev.slipway.wire;

import java.lang.foreign.MemorySegment;

/**
 * The header of an IPv4 packet (RFC 791, section 3.1).
 *
 * <pre>
 *  0   1   2       4       6       8   9   10      12      16      20
 *  +---+---+-------+-------+-------+---+---+-------+-------+-------+----------
 *  |4IHL|TOS|length |  id   |F frag |TTL|pro| cksum |source |  dst  | options …
 *  +---+---+-------+-------+-------+---+---+-------+-------+-------+----------
 * </pre>
 *
 * Options are stepped over. Loose and strict source routes are refused; a packet may be fragmented.
 */
public final class Ipv4Packet {

    public static final int HEADER_LENGTH = 20;

    public static final int PROTOCOL_ICMP = 1;
    public static final int PROTOCOL_TCP = 6;
    public static final int PROTOCOL_UDP = 17;

    private static final int TOTAL_LENGTH = 2;
    private static final int IDENTIFICATION = 4;
    private static final int FRAGMENT = 6;
    private static final int TTL = 8;
    private static final int PROTOCOL = 9;
    private static final int CHECKSUM = 10;
    private static final int SOURCE = 12;
    private static final int DESTINATION = 16;

    private static final int DONT_FRAGMENT = 0x4000;
    private static final int MORE_FRAGMENTS = 0x2000;
    private static final int OFFSET_MASK = 0x1FFF;

    private static final int OPTION_END = 0;
    private static final int OPTION_NO_OPERATION = 1;
    private static final int OPTION_LOOSE_SOURCE_ROUTE = 131;
    private static final int OPTION_STRICT_SOURCE_ROUTE = 137;

    private MemorySegment bytes = MemorySegment.NULL;
    private long offset;
    private int headerLength;
    private int totalLength;
    private int fragment;

    /**
     * Reads and checks the header; bytes behind the packet's own length (Ethernet padding) are left out of {@link
     * #payloadLength}.
     *
     * @param length the bytes there are from {@code offset} on
     * @return {@link DropReason#IP_TRUNCATED}, {@link DropReason#IP_VERSION}, {@link DropReason#IP_HEADER}, {@link
     *     DropReason#CHECKSUM}, {@link DropReason#SOURCE_ROUTE}, {@link DropReason#FRAGMENT} or {@link DropReason#NONE}
     */
    public DropReason parse(MemorySegment bytes, long offset, int length) {
        if (length < HEADER_LENGTH) {
            return DropReason.IP_TRUNCATED;
        }
        int versionAndLength = BigEndian.u8(bytes, offset);
        if (versionAndLength >>> 4 != 4) {
            return DropReason.IP_VERSION;
        }
        headerLength = (versionAndLength & 0xF) * 4;
        totalLength = BigEndian.u16(bytes, offset + TOTAL_LENGTH);
        if (headerLength < HEADER_LENGTH || totalLength < headerLength) {
            return DropReason.IP_HEADER;
        }
        if (totalLength > length) {
            return DropReason.IP_TRUNCATED;
        }
        if (Checksum.sum(bytes, offset, headerLength) != 0xFFFF) {
            return DropReason.CHECKSUM;
        }
        this.bytes = bytes;
        this.offset = offset;
        fragment = BigEndian.u16(bytes, offset + FRAGMENT);
        if (isFragment() && (fragment & DONT_FRAGMENT) != 0) {
            return DropReason.FRAGMENT;
        }
        return headerLength == HEADER_LENGTH ? DropReason.NONE : checkOptions();
    }

    private DropReason checkOptions() {
        int at = HEADER_LENGTH;
        while (at < headerLength) {
            int kind = BigEndian.u8(bytes, offset + at);
            if (kind == OPTION_END) {
                break;
            }
            if (kind == OPTION_NO_OPERATION) {
                at++;
                continue;
            }
            if (at + 1 >= headerLength) {
                return DropReason.IP_HEADER;
            }
            int optionLength = BigEndian.u8(bytes, offset + at + 1);
            if (optionLength < 2 || at + optionLength > headerLength) {
                return DropReason.IP_HEADER;
            }
            if (kind == OPTION_LOOSE_SOURCE_ROUTE || kind == OPTION_STRICT_SOURCE_ROUTE) {
                return DropReason.SOURCE_ROUTE;
            }
            at += optionLength;
        }
        return DropReason.NONE;
    }

    /**
     * Writes a header without options, its checksum included.
     *
     * @param totalLength of header and payload, in bytes
     * @param fragmentField flags and offset as they stand on the wire; see {@link #fragmentField}
     */
    public static void write(
            MemorySegment bytes,
            long offset,
            int totalLength,
            int identification,
            int fragmentField,
            int ttl,
            int protocol,
            int source,
            int destination) {
        int sum = 0x4500
                + totalLength
                + (identification & 0xFFFF)
                + fragmentField
                + (ttl << 8 | protocol)
                + (source >>> 16)
                + (source & 0xFFFF)
                + (destination >>> 16)
                + (destination & 0xFFFF);
        // Three stores in place of ten: this is written for every packet.
        BigEndian.putI64(
                bytes,
                offset,
                0x4500L << 48 | (long) totalLength << 32 | (identification & 0xFFFFL) << 16 | fragmentField);
        BigEndian.putI64(
                bytes,
                offset + TTL,
                (long) (ttl << 8 | protocol) << 48 | (long) Checksum.finish(sum) << 32 | source & 0xFFFF_FFFFL);
        BigEndian.putI32(bytes, offset + DESTINATION, destination);
    }

    /**
     * Flags and offset of a fragment as they stand on the wire.
     *
     * @param byteOffset where the fragment's payload begins in the datagram's; a multiple of 8
     */
    public static int fragmentField(int byteOffset, boolean moreFragments) {
        return byteOffset >>> 3 | (moreFragments ? MORE_FRAGMENTS : 0);
    }

    /** The fragment field of a packet that routers must not fragment. */
    public static int dontFragment() {
        return DONT_FRAGMENT;
    }

    public int headerLength() {
        return headerLength;
    }

    public int totalLength() {
        return totalLength;
    }

    public int identification() {
        return BigEndian.u16(bytes, offset + IDENTIFICATION);
    }

    public boolean isFragment() {
        return (fragment & (MORE_FRAGMENTS | OFFSET_MASK)) != 0;
    }

    public boolean hasMoreFragments() {
        return (fragment & MORE_FRAGMENTS) != 0;
    }

    public boolean mayNotBeFragmented() {
        return (fragment & DONT_FRAGMENT) != 0;
    }

    /** Where the payload of this fragment begins in the datagram's, in bytes. */
    public int fragmentOffset() {
        return (fragment & OFFSET_MASK) * 8;
    }

    public int ttl() {
        return BigEndian.u8(bytes, offset + TTL);
    }

    public int protocol() {
        return BigEndian.u8(bytes, offset + PROTOCOL);
    }

    public int source() {
        return BigEndian.i32(bytes, offset + SOURCE);
    }

    public int destination() {
        return BigEndian.i32(bytes, offset + DESTINATION);
    }

    /** Where the payload begins, in the bytes given to {@link #parse}. */
    public long payloadOffset() {
        return offset + headerLength;
    }

    public int payloadLength() {
        return totalLength - headerLength;
    }
}
