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
 * payload too. A fragment header that says that the packet is whole (RFC 6946) makes no fragment. What a packet in
 * fragments has behind its fragment header is looked at when it is whole, by {@link #parseWhole}.
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

    /** Where the length of what follows the header lies. */
    public static final int PAYLOAD_LENGTH = 4;

    private static final int NEXT_HEADER = 6;
    private static final int HOP_LIMIT = 7;
    private static final int SOURCE = 8;
    private static final int DESTINATION = 24;

    private MemorySegment bytes = MemorySegment.NULL;
    private long offset;
    private int totalLength;
    private int headerLength;
    private int protocol;
    private int protocolAt;
    private int extensions;
    private int extensionBytes;
    private int stepped;
    private boolean hasFragmentHeader;
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
        protocol = BigEndian.u8(bytes, offset + NEXT_HEADER);
        protocolAt = NEXT_HEADER;
        extensions = 0;
        extensionBytes = 0;
        hasFragmentHeader = false;
        fragmented = false;
        fragmentField = 0;
        DropReason reason = stepOverExtensions(bytes, offset + HEADER_LENGTH, payload);
        headerLength = HEADER_LENGTH + stepped;
        return reason;
    }

    /**
     * Goes on behind the fragment header of a packet whose last fragment was given to {@link #parse}. Afterwards {@link
     * #protocol} is what the packet carries.
     *
     * @param whole memory that begins with what was in fragments
     * @param length of that, in bytes
     * @param next what the first fragment says is there (RFC 8200, section 4.5)
     * @return {@link DropReason#IP_EXTENSIONS}, {@link DropReason#SOURCE_ROUTE} or {@link DropReason#NONE}
     */
    public DropReason parseWhole(MemorySegment whole, int length, int next) {
        protocol = next;
        return stepOverExtensions(whole, 0, length);
    }

    /** Bytes of extension headers in front of the payload in the memory given to {@link #parseWhole}. */
    public int wholePayloadOffset() {
        return stepped;
    }

    /** @param available bytes there are from {@code from} on */
    private DropReason stepOverExtensions(MemorySegment memory, long from, int available) {
        stepped = 0;
        while (true) {
            boolean options = protocol == DESTINATION_OPTIONS || protocol == HOP_BY_HOP && extensions == 0;
            if (!options && protocol != ROUTING && protocol != FRAGMENT) {
                return protocol == HOP_BY_HOP || protocol == NO_NEXT_HEADER
                        ? DropReason.IP_EXTENSIONS
                        : DropReason.NONE;
            }
            if (extensions == MAX_EXTENSIONS || stepped + 8 > available) {
                return DropReason.IP_EXTENSIONS;
            }
            extensions++;
            long at = from + stepped;
            int own = protocol == FRAGMENT ? FRAGMENT_HEADER_LENGTH : 8 + 8 * BigEndian.u8(memory, at + 1);
            extensionBytes += own;
            if (stepped + own > available || extensionBytes > MAX_EXTENSION_BYTES) {
                return DropReason.IP_EXTENSIONS;
            }
            if (protocol == ROUTING && BigEndian.u8(memory, at + 3) != 0) {
                return DropReason.SOURCE_ROUTE;
            }
            boolean isFragmentHeader = protocol == FRAGMENT;
            if (isFragmentHeader) {
                if (hasFragmentHeader) {
                    return DropReason.IP_EXTENSIONS;
                }
                hasFragmentHeader = true;
                fragmentField = BigEndian.u16(memory, at + 2) & 0xFFF9;
                identification = BigEndian.i32(memory, at + 4);
                fragmented = fragmentField != 0;
            }
            protocol = BigEndian.u8(memory, at);
            protocolAt = HEADER_LENGTH + stepped;
            stepped += own;
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

    /** Whether there is a fragment header, even one that makes no fragment. */
    public boolean hasFragmentHeader() {
        return hasFragmentHeader;
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

    /** What is behind the extension headers; of a fragment, what it says that the packet begins with. */
    public int protocol() {
        return protocol;
    }

    /** Where that is said, in bytes from the beginning of the packet. */
    public int protocolOffset() {
        return protocolAt;
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
