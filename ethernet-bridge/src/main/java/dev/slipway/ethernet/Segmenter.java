package dev.slipway.ethernet;

import dev.slipway.wire.BigEndian;
import dev.slipway.wire.Checksum;
import dev.slipway.wire.EthernetFrame;
import dev.slipway.wire.Frame;
import dev.slipway.wire.Ipv4Packet;
import dev.slipway.wire.Ipv6Packet;
import dev.slipway.wire.TcpSegment;
import dev.slipway.wire.UdpDatagram;
import java.lang.foreign.MemorySegment;

/**
 * Does what a network card with segmentation offload would do, for a channel without one: cuts a large TCP unit into
 * segments, and completes the checksums that were left partial.
 *
 * <p>It writes headers only. The payload stays where it is, so that a channel may copy it behind each header or gather
 * both in one system call:
 *
 * <pre>{@code
 * int segments = segmenter.begin(unit);
 * if (segments == 1 && segmenter.complete(unit)) -> the unit goes as it is
 * for (int i = 0; i < segments; i++) {
 *     segmenter.next(memory, at)  -> headerLength() bytes at "at",
 *                                    payloadLength() bytes of the unit at payloadOffset()
 * }
 * }</pre>
 *
 * <p>Each segment gets the unit's headers with its own IP length, identification (counted up from the unit's), sequence
 * number and checksums. PSH and FIN stay on the last segment only, CWR on the first (RFC 3168, section 6.1.2).
 *
 * <p>Limits: TCP over IPv4, options of both headers included, or over IPv6 without extension headers; not a fragment; no 802.1Q tag. It allocates nothing and
 * belongs to one thread.
 */
public final class Segmenter {

    /** The longest header that {@link #next} writes, in bytes: Ethernet, IPv4 and TCP with all their options. */
    public static final int MAX_HEADER_LENGTH = EthernetFrame.HEADER_LENGTH + 60 + 60;

    /** What {@link #begin} returns for a unit that is not what it claims to be. */
    public static final int MALFORMED = 0;

    private static final int IP = EthernetFrame.HEADER_LENGTH;
    private static final int IP_TOTAL_LENGTH = IP + 2;
    private static final int IP_IDENTIFICATION = IP + 4;
    private static final int IP_FRAGMENT = IP + 6;
    private static final int IP_PROTOCOL = IP + 9;
    private static final int IP_CHECKSUM = IP + 10;
    private static final int IP_SOURCE = IP + 12;
    private static final int IP_DESTINATION = IP + 16;
    private static final int FRAGMENTED = 0x3FFF;

    private static final int IPV6_PAYLOAD_LENGTH = IP + 4;
    private static final int IPV6_NEXT_HEADER = IP + 6;
    private static final int IPV6_SOURCE = IP + 8;

    private static final int TCP_SEQUENCE = 4;
    private static final int TCP_OFFSET_AND_FLAGS = 12;
    private static final int CWR = 0x80;

    private MemorySegment bytes = MemorySegment.NULL;
    private long offset;
    private boolean overIpv6;
    private int transport;
    private int headerLength;
    private int unitPayload;
    private int segmentSize;

    private int identification;
    private int sequence;
    private int offsetAndFlags;
    /** Sum of the IP header without length, identification and checksum. */
    private int networkSum;
    /** Sum of pseudo-header and TCP header without the segment's length, sequence number, flags and checksum. */
    private int transportSum;

    private int done;
    private int segment;
    private int payloadLength;

    /**
     * Looks at a frame and begins to cut it.
     *
     * @return how many frames it makes: 1 if it is not a large unit or its payload fits one segment; {@link #MALFORMED}
     *     if it says that it is a large unit but is no TCP segment over IP, or its lengths do not agree
     */
    public int begin(Frame unit) {
        if (unit.segmentSize() == 0) {
            return 1;
        }
        if (unit.segmentSize() < 0 || !parse(unit)) {
            return MALFORMED;
        }
        segmentSize = unit.segmentSize();
        done = 0;
        segment = 0;
        if (unitPayload <= segmentSize) {
            return 1;
        }
        sumTemplate();
        return (unitPayload + segmentSize - 1) / segmentSize;
    }

    private boolean parse(Frame unit) {
        bytes = unit.bytes();
        offset = unit.offset();
        overIpv6 = isIpv6(unit, Ipv4Packet.PROTOCOL_TCP);
        if (!overIpv6 && !isIpv4(unit, Ipv4Packet.PROTOCOL_TCP)) {
            return false;
        }
        transport = IP + (overIpv6 ? Ipv6Packet.HEADER_LENGTH : ipHeaderLength());
        if (unit.length() < transport + TcpSegment.HEADER_LENGTH) {
            return false;
        }
        offsetAndFlags = BigEndian.u16(bytes, offset + transport + TCP_OFFSET_AND_FLAGS);
        int tcpHeaderLength = (offsetAndFlags >>> 12) * 4;
        headerLength = transport + tcpHeaderLength;
        unitPayload = unit.length() - headerLength;
        return tcpHeaderLength >= TcpSegment.HEADER_LENGTH && unitPayload >= 0;
    }

    /** Whether the frame is a whole IPv4 packet of that protocol with a header that fits. */
    private static boolean isIpv4(Frame frame, int protocol) {
        MemorySegment bytes = frame.bytes();
        long at = frame.offset();
        if (frame.length() < IP + Ipv4Packet.HEADER_LENGTH
                || BigEndian.u16(bytes, at + 12) != EthernetFrame.TYPE_IPV4
                || BigEndian.u8(bytes, at + IP_PROTOCOL) != protocol
                || (BigEndian.u16(bytes, at + IP_FRAGMENT) & FRAGMENTED) != 0) {
            return false;
        }
        int versionAndLength = BigEndian.u8(bytes, at + IP);
        int ipHeaderLength = (versionAndLength & 0xF) * 4;
        return versionAndLength >>> 4 == 4
                && ipHeaderLength >= Ipv4Packet.HEADER_LENGTH
                && IP + ipHeaderLength <= frame.length();
    }

    /** Whether the frame is an IPv6 packet with that protocol right behind its header. */
    private static boolean isIpv6(Frame frame, int protocol) {
        MemorySegment bytes = frame.bytes();
        long at = frame.offset();
        return frame.length() >= IP + Ipv6Packet.HEADER_LENGTH
                && BigEndian.u16(bytes, at + 12) == EthernetFrame.TYPE_IPV6
                && BigEndian.u8(bytes, at + IP) >>> 4 == 6
                && BigEndian.u8(bytes, at + IPV6_NEXT_HEADER) == protocol;
    }

    /** Where the TCP header of a whole packet over IP begins, in bytes from the start of the frame; 0 if it is none. */
    static int tcpStart(Frame frame) {
        if (isIpv6(frame, Ipv4Packet.PROTOCOL_TCP)) {
            return IP + Ipv6Packet.HEADER_LENGTH;
        }
        return isIpv4(frame, Ipv4Packet.PROTOCOL_TCP)
                ? IP + (BigEndian.u8(frame.bytes(), frame.offset() + IP) & 0xF) * 4
                : 0;
    }

    private int ipHeaderLength() {
        return (BigEndian.u8(bytes, offset + IP) & 0xF) * 4;
    }

    private void sumTemplate() {
        sequence = BigEndian.i32(bytes, offset + transport + TCP_SEQUENCE);
        transportSum = overIpv6 ? ipv6PseudoHeader(bytes, offset, Ipv4Packet.PROTOCOL_TCP, 0) : sumNetwork();
        transportSum += Checksum.sum(bytes, offset + transport, headerLength - transport)
                + without(sequence >>> 16)
                + without(sequence & 0xFFFF)
                + without(offsetAndFlags)
                + without(BigEndian.u16(bytes, offset + transport + TcpSegment.CHECKSUM));
        transportSum = Checksum.fold(transportSum);
    }

    private static int ipv6PseudoHeader(MemorySegment bytes, long at, int protocol, int length) {
        return Checksum.pseudoHeader(
                BigEndian.i64(bytes, at + IPV6_SOURCE),
                BigEndian.i64(bytes, at + IPV6_SOURCE + 8),
                BigEndian.i64(bytes, at + IPV6_SOURCE + 16),
                BigEndian.i64(bytes, at + IPV6_SOURCE + 24),
                protocol,
                length);
    }

    /** Notes what the headers of IPv4 have in common, and returns the sum of the pseudo-header. */
    private int sumNetwork() {
        identification = BigEndian.u16(bytes, offset + IP_IDENTIFICATION);
        networkSum = Checksum.sum(bytes, offset + IP, transport - IP)
                + without(BigEndian.u16(bytes, offset + IP_TOTAL_LENGTH))
                + without(identification)
                + without(BigEndian.u16(bytes, offset + IP_CHECKSUM));
        int source = BigEndian.i32(bytes, offset + IP_SOURCE);
        int destination = BigEndian.i32(bytes, offset + IP_DESTINATION);
        return Checksum.pseudoHeader(source, destination, Ipv4Packet.PROTOCOL_TCP, 0);
    }

    /** What takes a word out of a one's complement sum: its complement (RFC 1624). */
    private static int without(int word) {
        return ~word & 0xFFFF;
    }

    /**
     * Writes the headers of the next segment.
     *
     * @param header where to; not within the unit
     * @param at where in it; {@link #headerLength} bytes are written
     */
    public void next(MemorySegment header, long at) {
        int left = unitPayload - done;
        if (left <= 0) {
            throw new IllegalStateException("all " + segment + " segments of the unit have been cut");
        }
        done += payloadLength = Math.min(segmentSize, left);
        boolean last = left <= segmentSize;
        MemorySegment.copy(bytes, offset, header, at, headerLength);
        writeNetworkHeader(header, at);
        writeTransportHeader(header, at + transport, last);
        segment++;
    }

    private void writeNetworkHeader(MemorySegment header, long at) {
        if (overIpv6) {
            BigEndian.putU16(header, at + IPV6_PAYLOAD_LENGTH, headerLength - transport + payloadLength);
            return;
        }
        int totalLength = headerLength - IP + payloadLength;
        int id = identification + segment & 0xFFFF;
        BigEndian.putU16(header, at + IP_TOTAL_LENGTH, totalLength);
        BigEndian.putU16(header, at + IP_IDENTIFICATION, id);
        BigEndian.putU16(header, at + IP_CHECKSUM, Checksum.finish(networkSum + totalLength + id));
    }

    private void writeTransportHeader(MemorySegment header, long at, boolean last) {
        int ownSequence = sequence + done - payloadLength;
        int flags = offsetAndFlags;
        if (!last) {
            flags &= ~(TcpSegment.PSH | TcpSegment.FIN);
        }
        if (segment > 0) {
            flags &= ~CWR;
        }
        BigEndian.putI32(header, at + TCP_SEQUENCE, ownSequence);
        BigEndian.putU16(header, at + TCP_OFFSET_AND_FLAGS, flags);
        int sum = transportSum
                + (headerLength - transport + payloadLength)
                + (ownSequence >>> 16)
                + (ownSequence & 0xFFFF)
                + flags
                + Checksum.sum(bytes, payloadOffset(), payloadLength);
        BigEndian.putU16(header, at + TcpSegment.CHECKSUM, Checksum.finish(sum));
    }

    /** Bytes of the headers of each segment: Ethernet, IP and TCP. */
    public int headerLength() {
        return headerLength;
    }

    /** Bytes of payload of the unit as a whole. */
    public int unitPayloadLength() {
        return unitPayload;
    }

    /** Where the payload of the segment that {@link #next} wrote begins, in the bytes of the unit. */
    public long payloadOffset() {
        return offset + headerLength + done - payloadLength;
    }

    /** Bytes of payload of the segment that {@link #next} wrote. */
    public int payloadLength() {
        return payloadLength;
    }

    /**
     * Completes, in place, the checksum of a frame that need not be cut. A frame with a complete one is left as it is;
     * of a verified one, whose bytes may hold anything, that of TCP or UDP is computed anew.
     *
     * @return false if the checksum is said to lie where the frame has no bytes: drop it
     */
    public static boolean complete(Frame frame) {
        return switch (frame.checksum()) {
            case COMPLETE -> true;
            case PARTIAL -> completePartial(frame);
            case VERIFIED -> {
                recompute(frame);
                yield true;
            }
        };
    }

    private static boolean completePartial(Frame frame) {
        int start = frame.checksumStart();
        int field = frame.checksumOffset();
        if (start < 0 || field < 0 || start > frame.length() || field > frame.length() - start - 2) {
            return false;
        }
        putChecksum(frame, start, field, Checksum.sum(frame.bytes(), frame.offset() + start, frame.length() - start));
        return true;
    }

    private static void recompute(Frame frame) {
        if (isIpv4(frame, Ipv4Packet.PROTOCOL_TCP)) {
            recompute(frame, Ipv4Packet.PROTOCOL_TCP, TcpSegment.HEADER_LENGTH, TcpSegment.CHECKSUM);
        } else if (isIpv4(frame, Ipv4Packet.PROTOCOL_UDP)) {
            recompute(frame, Ipv4Packet.PROTOCOL_UDP, UdpDatagram.HEADER_LENGTH, UdpDatagram.CHECKSUM);
        } else if (isIpv6(frame, Ipv4Packet.PROTOCOL_TCP)) {
            recomputeIpv6(frame, Ipv4Packet.PROTOCOL_TCP, TcpSegment.HEADER_LENGTH, TcpSegment.CHECKSUM);
        } else if (isIpv6(frame, Ipv4Packet.PROTOCOL_UDP)) {
            recomputeIpv6(frame, Ipv4Packet.PROTOCOL_UDP, UdpDatagram.HEADER_LENGTH, UdpDatagram.CHECKSUM);
        }
    }

    private static void recompute(Frame frame, int protocol, int minimum, int field) {
        MemorySegment bytes = frame.bytes();
        long at = frame.offset();
        int ipHeaderLength = (BigEndian.u8(bytes, at + IP) & 0xF) * 4;
        int length = BigEndian.u16(bytes, at + IP_TOTAL_LENGTH) - ipHeaderLength;
        int start = IP + ipHeaderLength;
        if (length < minimum || start + length > frame.length()) {
            return;
        }
        BigEndian.putU16(bytes, at + start + field, 0);
        int source = BigEndian.i32(bytes, at + IP_SOURCE);
        int destination = BigEndian.i32(bytes, at + IP_DESTINATION);
        int sum =
                Checksum.pseudoHeader(source, destination, protocol, length) + Checksum.sum(bytes, at + start, length);
        putChecksum(frame, start, field, sum);
    }

    private static void recomputeIpv6(Frame frame, int protocol, int minimum, int field) {
        MemorySegment bytes = frame.bytes();
        long at = frame.offset();
        int length = BigEndian.u16(bytes, at + IPV6_PAYLOAD_LENGTH);
        int start = IP + Ipv6Packet.HEADER_LENGTH;
        if (length < minimum || start + length > frame.length()) {
            return;
        }
        BigEndian.putU16(bytes, at + start + field, 0);
        int sum = ipv6PseudoHeader(bytes, at, protocol, length) + Checksum.sum(bytes, at + start, length);
        putChecksum(frame, start, field, sum);
    }

    private static void putChecksum(Frame frame, int start, int field, int sum) {
        int checksum = Checksum.finish(sum);
        // Of UDP, 0 means "none" and 0xFFFF stands for it (RFC 768); in TCP both are the same number.
        boolean zeroMeansNone = checksum == 0 && field == UdpDatagram.CHECKSUM;
        BigEndian.putU16(frame.bytes(), frame.offset() + start + field, zeroMeansNone ? 0xFFFF : checksum);
    }
}
