package dev.slipway.wire;

import java.lang.foreign.MemorySegment;

/**
 * A TCP segment (RFC 9293, section 3.1) with the options this stack knows: maximum segment size, window scale (RFC
 * 7323), selective acknowledgement (RFC 2018).
 *
 * <pre>
 *  0       2       4       8       12  13  14      16      18      20
 *  +-------+-------+-------+-------+---+---+-------+-------+-------+----------
 *  | sport | dport |  seq  |  ack  |off|flg|window | cksum |urgent | options …
 *  +-------+-------+-------+-------+---+---+-------+-------+-------+----------
 * </pre>
 *
 * The urgent pointer is not read: urgent data is data in line (RFC 6093).
 */
public final class TcpSegment {

    public static final int HEADER_LENGTH = 20;
    /** Where the checksum lies in the header. */
    public static final int CHECKSUM = 16;

    public static final int FIN = 0x01;
    public static final int SYN = 0x02;
    public static final int RST = 0x04;
    public static final int PSH = 0x08;
    public static final int ACK = 0x10;
    public static final int URG = 0x20;

    public static final int OPTION_MSS = 2;
    public static final int OPTION_WINDOW_SCALE = 3;
    public static final int OPTION_SACK_PERMITTED = 4;
    public static final int OPTION_SACK = 5;

    /** {@link #windowScale} of a segment without that option. */
    public static final int NO_WINDOW_SCALE = -1;

    /** How many selective acknowledgements fit into one segment. */
    public static final int MAX_SACK_BLOCKS = 4;

    private static final int OPTION_END = 0;
    private static final int OPTION_NO_OPERATION = 1;
    private static final int MAX_WINDOW_SCALE = 14;

    private static final int ACKNOWLEDGEMENT = 8;
    private static final int DATA_OFFSET = 12;

    private MemorySegment bytes = MemorySegment.NULL;
    private int sourcePort;
    private int destinationPort;
    private int sequence;
    private int acknowledgement;
    private int flags;
    private int window;
    private long payloadOffset;
    private int payloadLength;

    private boolean hasMaximumSegmentSize;
    private int maximumSegmentSize;
    private int windowScale;
    private boolean sackPermitted;
    private int sackBlocks;
    private final int[] sackLeft = new int[MAX_SACK_BLOCKS];
    private final int[] sackRight = new int[MAX_SACK_BLOCKS];

    /**
     * Reads a segment out of an IP packet.
     *
     * @param length the bytes of the IP payload
     * @param verify whether the checksum is to be checked
     * @return {@link DropReason#TCP_HEADER} for a data offset that cannot be, {@link DropReason#TCP_OPTIONS} for
     *     options whose lengths cannot be, {@link DropReason#CHECKSUM}, or {@link DropReason#NONE}
     */
    public DropReason parse(MemorySegment bytes, long offset, int length, int source, int destination, boolean verify) {
        int pseudo = Checksum.pseudoHeader(source, destination, Ipv4Packet.PROTOCOL_TCP, length);
        return parse(bytes, offset, length, pseudo, verify);
    }

    /**
     * Reads a segment out of an IP packet of either family.
     *
     * @param pseudo the sum of its pseudo-header
     */
    public DropReason parse(MemorySegment bytes, long offset, int length, int pseudo, boolean verify) {
        if (length < HEADER_LENGTH) {
            return DropReason.TCP_HEADER;
        }
        int headerLength = (BigEndian.u8(bytes, offset + DATA_OFFSET) >>> 4) * 4;
        if (headerLength < HEADER_LENGTH || headerLength > length) {
            return DropReason.TCP_HEADER;
        }
        if (verify) {
            if (Checksum.fold(pseudo + Checksum.sum(bytes, offset, length)) != 0xFFFF) {
                return DropReason.CHECKSUM;
            }
        }
        this.bytes = bytes;
        long portsAndSequence = BigEndian.i64(bytes, offset);
        sourcePort = (int) (portsAndSequence >>> 48);
        destinationPort = (int) (portsAndSequence >>> 32) & 0xFFFF;
        sequence = (int) portsAndSequence;
        long rest = BigEndian.i64(bytes, offset + ACKNOWLEDGEMENT);
        acknowledgement = (int) (rest >>> 32);
        flags = (int) rest >>> 16 & 0x3F;
        window = (int) rest & 0xFFFF;
        payloadOffset = offset + headerLength;
        payloadLength = length - headerLength;
        hasMaximumSegmentSize = false;
        maximumSegmentSize = 0;
        windowScale = NO_WINDOW_SCALE;
        sackPermitted = false;
        sackBlocks = 0;
        return headerLength == HEADER_LENGTH
                ? DropReason.NONE
                : parseOptions(offset + HEADER_LENGTH, offset + headerLength);
    }

    private DropReason parseOptions(long from, long end) {
        long at = from;
        while (at < end) {
            int kind = BigEndian.u8(bytes, at);
            if (kind == OPTION_END) {
                break;
            }
            if (kind == OPTION_NO_OPERATION) {
                at++;
                continue;
            }
            if (at + 1 >= end) {
                return DropReason.TCP_OPTIONS;
            }
            int length = BigEndian.u8(bytes, at + 1);
            if (length < 2 || at + length > end) {
                return DropReason.TCP_OPTIONS;
            }
            parseOption(kind, at + 2, length - 2);
            at += length;
        }
        return DropReason.NONE;
    }

    private void parseOption(int kind, long at, int length) {
        if (kind == OPTION_MSS && length == 2) {
            hasMaximumSegmentSize = true;
            maximumSegmentSize = BigEndian.u16(bytes, at);
        } else if (kind == OPTION_WINDOW_SCALE && length == 1) {
            windowScale = Math.min(BigEndian.u8(bytes, at), MAX_WINDOW_SCALE);
        } else if (kind == OPTION_SACK_PERMITTED && length == 0) {
            sackPermitted = true;
        } else if (kind == OPTION_SACK && length % 8 == 0) {
            sackBlocks = Math.min(length / 8, MAX_SACK_BLOCKS);
            for (int i = 0; i < sackBlocks; i++) {
                sackLeft[i] = BigEndian.i32(bytes, at + 8L * i);
                sackRight[i] = BigEndian.i32(bytes, at + 8L * i + 4);
            }
        }
    }

    /**
     * Writes a header; the checksum field gets the pseudo-header's sum, to be completed by the channel ({@link
     * Frame#checksumPartial}).
     *
     * @param headerLength 20 and the options' bytes, a multiple of 4
     * @param segmentLength header and payload
     */
    public static void write(
            MemorySegment bytes,
            long offset,
            IpAddress source,
            int sourcePort,
            IpAddress destination,
            int destinationPort,
            int sequence,
            int acknowledgement,
            int flags,
            int window,
            int headerLength,
            int segmentLength) {
        int pseudo = Checksum.pseudoHeader(source, destination, Ipv4Packet.PROTOCOL_TCP, segmentLength);
        int ports = sourcePort << 16 | destinationPort;
        write(bytes, offset, ports, sequence, acknowledgement, flags, window, headerLength, pseudo);
    }

    /** The same for IPv4 addresses in network order. */
    public static void write(
            MemorySegment bytes,
            long offset,
            int source,
            int sourcePort,
            int destination,
            int destinationPort,
            int sequence,
            int acknowledgement,
            int flags,
            int window,
            int headerLength,
            int segmentLength) {
        int pseudo = Checksum.pseudoHeader(source, destination, Ipv4Packet.PROTOCOL_TCP, segmentLength);
        int ports = sourcePort << 16 | destinationPort;
        write(bytes, offset, ports, sequence, acknowledgement, flags, window, headerLength, pseudo);
    }

    private static void write(
            MemorySegment bytes,
            long offset,
            int ports,
            int sequence,
            int acknowledgement,
            int flags,
            int window,
            int headerLength,
            int pseudo) {
        BigEndian.putI64(bytes, offset, (long) ports << 32 | sequence & 0xFFFF_FFFFL);
        BigEndian.putI64(
                bytes,
                offset + ACKNOWLEDGEMENT,
                (long) acknowledgement << 32 | (headerLength << 10 | flags & 0xFFFFL) << 16 | window & 0xFFFF);
        BigEndian.putI32(bytes, offset + CHECKSUM, pseudo << 16);
    }

    public boolean has(int flag) {
        return (flags & flag) != 0;
    }

    public int flags() {
        return flags;
    }

    public int sourcePort() {
        return sourcePort;
    }

    public int destinationPort() {
        return destinationPort;
    }

    public int sequence() {
        return sequence;
    }

    public int acknowledgement() {
        return acknowledgement;
    }

    /** The window field as it stands on the wire, not scaled. */
    public int window() {
        return window;
    }

    public MemorySegment bytes() {
        return bytes;
    }

    /** Where the payload begins in {@link #bytes}. */
    public long payloadOffset() {
        return payloadOffset;
    }

    public int payloadLength() {
        return payloadLength;
    }

    /** Sequence numbers that it takes: the payload, and one each for SYN and FIN. */
    public int sequenceLength() {
        return payloadLength + (flags & SYN) / SYN + (flags & FIN);
    }

    public boolean hasMaximumSegmentSize() {
        return hasMaximumSegmentSize;
    }

    /** The maximum segment size offered, which may be any number; 0 without that option. */
    public int maximumSegmentSize() {
        return maximumSegmentSize;
    }

    /** The shift offered, 0 to 14, or {@link #NO_WINDOW_SCALE}. */
    public int windowScale() {
        return windowScale;
    }

    public boolean sackPermitted() {
        return sackPermitted;
    }

    /** How many selective acknowledgements it carries, at most {@link #MAX_SACK_BLOCKS}. */
    public int sackBlocks() {
        return sackBlocks;
    }

    /** First sequence number of the given block. */
    public int sackLeft(int block) {
        return sackLeft[block];
    }

    /** The sequence number behind the last of the given block. */
    public int sackRight(int block) {
        return sackRight[block];
    }
}
