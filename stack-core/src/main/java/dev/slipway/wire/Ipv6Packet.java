package dev.slipway.wire;

import java.lang.foreign.MemorySegment;

/**
 * The header of an IPv6 packet and its extension headers (RFC 8200, sections 3 and 4).
 *
 * <pre>
 *  0               4       6   7   8                              24                              40
 *  +---+-----------+-------+---+---+------------------------------+-------------------------------+--------------
 *  |6cl| flow label|payload|nxt|hop|       source (128 bits)      |    destination (128 bits)     | extensions …
 *  +---+-----------+-------+---+---+------------------------------+-------------------------------+--------------
 * </pre>
 *
 * <p>Hop-by-hop, destination and fragment headers are stepped over, {@value #MAX_EXTENSIONS} of them and {@value
 * #MAX_EXTENSION_BYTES} bytes at most. A routing header that still has somewhere to go is refused (RFC 5095), a jumbo
 * payload too. A fragment header that says that the packet is whole (RFC 6946) makes no fragment.
 */
public final class Ipv6Packet {

    public static final int HEADER_LENGTH = 40;
    public static final int FRAGMENT_HEADER_LENGTH = 8;
    public static final int PROTOCOL_ICMP = 58;
    public static final int FRAGMENT = 44;
    public static final int MIN_MTU = 1280;

    static final int MAX_EXTENSIONS = 8;
    static final int MAX_EXTENSION_BYTES = 512;

    private static final int HOP_BY_HOP = 0;
    private static final int ROUTING = 43;
    private static final int NO_NEXT_HEADER = 59;
    private static final int DESTINATION_OPTIONS = 60;

    private static final int PAYLOAD_LENGTH = 4;
    private static final int NEXT_HEADER = 6;
    private static final int HOP_LIMIT = 7;
    private static final int SOURCE = 8;
    private static final int DESTINATION = 24;

    private MemorySegment bytes = MemorySegment.NULL;
    private long offset;
    private int totalLength;
    private int headerLength;
    private int protocol;
    private boolean fragmented;
    private int fragmentField;
    private int identification;

    /**
     * Reads and checks the headers; bytes behind the packet's own length (Ethernet padding) are left out of {@link
     * #payloadLength}.
     *
     * @param length the bytes there are from {@code offset} on
     * @return {@link DropReason#IP_TRUNCATED}, {@link DropReason#IP_VERSION}, {@link DropReason#IP_HEADER}, {@link
     *     DropReason#IP_EXTENSIONS}, {@link DropReason#SOURCE_ROUTE} or {@link DropReason#NONE}
     */
    public DropReason parse(MemorySegment bytes, long offset, int length) {
        if (length < HEADER_LENGTH) {
            return DropReason.IP_TRUNCATED;
        }
        if (BigEndian.u8(bytes, offset) >>> 4 != 6) {
            return DropReason.IP_VERSION;
        }
        int payload = BigEndian.u16(bytes, offset + PAYLOAD_LENGTH);
        if (payload == 0) {
            return DropReason.IP_HEADER;
        }
        totalLength = HEADER_LENGTH + payload;
        if (totalLength > length) {
            return DropReason.IP_TRUNCATED;
        }
        this.bytes = bytes;
        this.offset = offset;
        headerLength = HEADER_LENGTH;
        protocol = BigEndian.u8(bytes, offset + NEXT_HEADER);
        fragmented = false;
        fragmentField = 0;
        return stepOverExtensions();
    }

    private DropReason stepOverExtensions() {
        boolean hasFragmentHeader = false;
        for (int i = 0; ; i++) {
            boolean options = protocol == DESTINATION_OPTIONS || protocol == HOP_BY_HOP && i == 0;
            if (!options && protocol != ROUTING && protocol != FRAGMENT) {
                return protocol == HOP_BY_HOP || protocol == NO_NEXT_HEADER
                        ? DropReason.IP_EXTENSIONS
                        : DropReason.NONE;
            }
            if (i == MAX_EXTENSIONS || headerLength + 8 > totalLength) {
                return DropReason.IP_EXTENSIONS;
            }
            long at = offset + headerLength;
            int own = protocol == FRAGMENT ? FRAGMENT_HEADER_LENGTH : 8 + 8 * BigEndian.u8(bytes, at + 1);
            if (headerLength + own > totalLength || headerLength + own > HEADER_LENGTH + MAX_EXTENSION_BYTES) {
                return DropReason.IP_EXTENSIONS;
            }
            if (protocol == ROUTING && BigEndian.u8(bytes, at + 3) != 0) {
                return DropReason.SOURCE_ROUTE;
            }
            boolean isFragmentHeader = protocol == FRAGMENT;
            if (isFragmentHeader) {
                if (hasFragmentHeader) {
                    return DropReason.IP_EXTENSIONS;
                }
                hasFragmentHeader = true;
                fragmentField = BigEndian.u16(bytes, at + 2) & 0xFFF9;
                identification = BigEndian.i32(bytes, at + 4);
                fragmented = fragmentField != 0;
            }
            protocol = BigEndian.u8(bytes, at);
            headerLength += own;
            if (isFragmentHeader && fragmented) {
                // What follows is in pieces; it is looked at when the packet is whole.
                return DropReason.NONE;
            }
        }
    }

    /**
     * Writes a header without extensions.
     *
     * @param payloadLength bytes behind the header
     */
    public static void write(
            MemorySegment bytes,
            long offset,
            int payloadLength,
            int hopLimit,
            int protocol,
            long sourceHigh,
            long sourceLow,
            long destinationHigh,
            long destinationLow) {
        BigEndian.putI32(bytes, offset, 6 << 28);
        BigEndian.putU16(bytes, offset + PAYLOAD_LENGTH, payloadLength);
        BigEndian.putU8(bytes, offset + NEXT_HEADER, protocol);
        BigEndian.putU8(bytes, offset + HOP_LIMIT, hopLimit);
        BigEndian.putI64(bytes, offset + SOURCE, sourceHigh);
        BigEndian.putI64(bytes, offset + SOURCE + 8, sourceLow);
        BigEndian.putI64(bytes, offset + DESTINATION, destinationHigh);
        BigEndian.putI64(bytes, offset + DESTINATION + 8, destinationLow);
    }

    /** Of the header and all extension headers, in bytes. */
    public int headerLength() {
        return headerLength;
    }

    /** Of headers and payload, in bytes. */
    public int totalLength() {
        return totalLength;
    }

    public boolean isFragment() {
        return fragmented;
    }

    public boolean hasMoreFragments() {
        return (fragmentField & 1) != 0;
    }

    /** Where the payload of this fragment begins in the packet's, in bytes. */
    public int fragmentOffset() {
        return fragmentField & 0xFFF8;
    }

    public int identification() {
        return identification;
    }

    public int hopLimit() {
        return BigEndian.u8(bytes, offset + HOP_LIMIT);
    }

    /** What is behind the extension headers. */
    public int protocol() {
        return protocol;
    }

    public long sourceHigh() {
        return BigEndian.i64(bytes, offset + SOURCE);
    }

    public long sourceLow() {
        return BigEndian.i64(bytes, offset + SOURCE + 8);
    }

    public long destinationHigh() {
        return BigEndian.i64(bytes, offset + DESTINATION);
    }

    public long destinationLow() {
        return BigEndian.i64(bytes, offset + DESTINATION + 8);
    }

    /** Where the payload begins, in the bytes given to {@link #parse}. */
    public long payloadOffset() {
        return offset + headerLength;
    }

    public int payloadLength() {
        return totalLength - headerLength;
    }
}
