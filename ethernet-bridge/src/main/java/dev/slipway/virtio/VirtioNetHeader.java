package dev.slipway.virtio;

import dev.slipway.wire.BigEndian;
import dev.slipway.wire.EthernetFrame;
import dev.slipway.wire.Frame;
import dev.slipway.wire.Frame.ChecksumState;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;

/**
 * The header in front of a frame (virtio 1.3, section 5.1.6), which says what of the frame's checksum and of its cutting
 * is left to whom it is handed to. Little endian.
 *
 * <pre>
 *  0       1          2          4           6             8               10            12
 *  +-------+----------+----------+-----------+-------------+---------------+-------------+
 *  | flags | gso type | hdr len  | gso size  | csum start  | csum offset   | num buffers |
 *  +-------+----------+----------+-----------+-------------+---------------+-------------+
 * </pre>
 *
 * Both directions: what comes from a guest is checked before it becomes a {@link Frame}, because a guest may write what
 * it likes there.
 */
public final class VirtioNetHeader {

    /** Bytes of the header, with the count of buffers that virtio 1 always has. */
    public static final int LENGTH = 12;

    private static final int FLAGS = 0;
    private static final int GSO_TYPE = 1;
    private static final int HEADER_LENGTH = 2;
    private static final int GSO_SIZE = 4;
    private static final int CSUM_START = 6;
    private static final int CSUM_OFFSET = 8;
    private static final int NUM_BUFFERS = 10;

    private static final int NEEDS_CSUM = 1;
    private static final int DATA_VALID = 2;
    private static final int GSO_NONE = 0;
    private static final int GSO_TCPV4 = 1;
    private static final int GSO_TCPV6 = 4;
    private static final int GSO_ECN = 0x80;

    private static final int TCP_DATA_OFFSET = 12;
    private static final int TCP_CHECKSUM = 16;
    private static final int TCP_MIN_HEADER = 20;

    private static final ValueLayout.OfShort U16 = ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    private VirtioNetHeader() {}

    /**
     * Reads the header of a frame from a guest.
     *
     * @param bytes memory that the guest cannot change meanwhile
     * @param at where the header begins; the frame's own bytes may lie elsewhere
     * @param frame set to its bytes already, complete; gets its offload fields
     * @return whether they can be: a sum begins and ends within the frame, a large unit is TCP over the IP that the
     *     Ethernet header names, its sum is partial, and its segments have a size
     */
    public static boolean read(MemorySegment bytes, long at, Frame frame) {
        int flags = bytes.get(ValueLayout.JAVA_BYTE, at + FLAGS);
        int gsoType = bytes.get(ValueLayout.JAVA_BYTE, at + GSO_TYPE) & 0xFF & ~GSO_ECN;
        if ((flags & NEEDS_CSUM) != 0) {
            int start = u16(bytes, at + CSUM_START);
            int field = u16(bytes, at + CSUM_OFFSET);
            if (start < EthernetFrame.HEADER_LENGTH || start + field + 2 > frame.length()) {
                return false;
            }
            frame.checksumPartial(start, field);
        } else if ((flags & DATA_VALID) != 0) {
            frame.checksumVerified();
        }
        if (gsoType == GSO_NONE) {
            return true;
        }
        int size = u16(bytes, at + GSO_SIZE);
        if (size == 0
                || frame.checksum() != ChecksumState.PARTIAL
                || frame.checksumOffset() != TCP_CHECKSUM
                || gsoType != gsoType(frame)) {
            return false;
        }
        frame.largeUnit(size);
        return true;
    }

    /** The kind of large unit that a frame can be, by the type in its Ethernet header; none if by that it can be none. */
    private static int gsoType(Frame frame) {
        int type = BigEndian.u16(frame.bytes(), frame.offset() + EthernetFrame.HEADER_LENGTH - 2);
        return type == EthernetFrame.TYPE_IPV4 ? GSO_TCPV4 : type == EthernetFrame.TYPE_IPV6 ? GSO_TCPV6 : GSO_NONE;
    }

    /**
     * Writes the header of a frame to a guest that takes partial sums and large units.
     *
     * @param buffers in how many buffers of the guest header and frame lie
     * @return false, and nothing written, if the frame says of itself what cannot be
     */
    public static boolean write(Frame frame, MemorySegment bytes, long at, int buffers) {
        int flags = 0;
        int gsoType = GSO_NONE;
        int headerLength = 0;
        int gsoSize = 0;
        int start = 0;
        int field = 0;
        if (frame.checksum() == ChecksumState.PARTIAL) {
            flags = NEEDS_CSUM;
            start = frame.checksumStart();
            field = frame.checksumOffset();
        } else if (frame.checksum() == ChecksumState.VERIFIED) {
            flags = DATA_VALID;
        }
        if (frame.segmentSize() > 0) {
            if (flags != NEEDS_CSUM || start + TCP_MIN_HEADER > frame.length()) {
                return false;
            }
            headerLength = start
                    + ((frame.bytes().get(ValueLayout.JAVA_BYTE, frame.offset() + start + TCP_DATA_OFFSET) & 0xF0)
                            >> 2);
            if (frame.length() - headerLength > frame.segmentSize()) {
                gsoType = gsoType(frame);
                gsoSize = frame.segmentSize();
                if (gsoType == GSO_NONE) {
                    return false;
                }
            } else {
                headerLength = 0;
            }
        }
        bytes.set(ValueLayout.JAVA_BYTE, at + FLAGS, (byte) flags);
        bytes.set(ValueLayout.JAVA_BYTE, at + GSO_TYPE, (byte) gsoType);
        bytes.set(U16, at + HEADER_LENGTH, (short) headerLength);
        bytes.set(U16, at + GSO_SIZE, (short) gsoSize);
        bytes.set(U16, at + CSUM_START, (short) start);
        bytes.set(U16, at + CSUM_OFFSET, (short) field);
        bytes.set(U16, at + NUM_BUFFERS, (short) buffers);
        return true;
    }

    private static int u16(MemorySegment bytes, long at) {
        return bytes.get(U16, at) & 0xFFFF;
    }
}
