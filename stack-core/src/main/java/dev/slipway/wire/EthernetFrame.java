package dev.slipway.wire;

import java.lang.foreign.MemorySegment;

/**
 * The header of an Ethernet II frame (IEEE 802.3, clause 3).
 *
 * <pre>
 *  0               6              12      14
 *  +---------------+---------------+-------+----------------
 *  |  destination  |    source     | type  | payload …
 *  +---------------+---------------+-------+----------------
 * </pre>
 */
public final class EthernetFrame {

    public static final int HEADER_LENGTH = 14;

    public static final int TYPE_IPV4 = 0x0800;
    public static final int TYPE_ARP = 0x0806;
    public static final int TYPE_IPV6 = 0x86DD;

    private static final int REST_OF_SOURCE = 8;
    private static final int TYPE = 12;

    private long destination;
    private long source;
    private int type;

    /**
     * Reads the header.
     *
     * @return {@link DropReason#RUNT} if there is no whole header, {@link DropReason#SOURCE_MAC} if a group or nobody
     *     claims to have sent it, {@link DropReason#NONE} if it is read
     */
    public DropReason parse(MemorySegment bytes, long offset, int length) {
        if (length < HEADER_LENGTH) {
            return DropReason.RUNT;
        }
        long addresses = BigEndian.i64(bytes, offset);
        destination = addresses >>> 16;
        source = (addresses & 0xFFFF) << 32 | BigEndian.u32(bytes, offset + REST_OF_SOURCE);
        type = BigEndian.u16(bytes, offset + TYPE);
        return MacAddress.isGroup(source) || source == 0 ? DropReason.SOURCE_MAC : DropReason.NONE;
    }

    /** Writes a header. */
    public static void write(MemorySegment bytes, long offset, long destination, long source, int type) {
        BigEndian.putI64(bytes, offset, destination << 16 | source >>> 32);
        BigEndian.putI32(bytes, offset + REST_OF_SOURCE, (int) source);
        BigEndian.putU16(bytes, offset + TYPE, type);
    }

    public long destination() {
        return destination;
    }

    public long source() {
        return source;
    }

    /** The EtherType; below 0x0600 it is the length of an 802.3 frame. */
    public int type() {
        return type;
    }
}
