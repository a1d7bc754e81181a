package dev.slipway.tcp;

import dev.slipway.ip.IpOutput;
import dev.slipway.wire.BigEndian;
import dev.slipway.wire.Frame;
import dev.slipway.wire.IpAddress;
import dev.slipway.wire.Ipv4Packet;
import dev.slipway.wire.TcpSegment;
import java.lang.foreign.MemorySegment;

/** Writes the segments of one connection to the guest: what stands in them is said by who sends them. */
final class SegmentsToGuest {

    /** The most that selective acknowledgements take in a header, in bytes. */
    static final int MAX_SACK_OPTION = 4 + 8 * TcpSegment.MAX_SACK_BLOCKS;

    private static final int SYN_OPTIONS = 12;
    private static final int FOUR_NO_OPERATIONS = 0x0101_0101;

    private final IpOutput output;
    private final IpAddress guest;
    private final int guestPort;
    private final IpAddress remote;
    private final int remotePort;

    SegmentsToGuest(IpOutput output, IpAddress guest, int guestPort, IpAddress remote, int remotePort) {
        this.output = output;
        this.guest = guest;
        this.guestPort = guestPort;
        this.remote = remote;
        this.remotePort = remotePort;
    }

    /** Begins a segment with room for options and payload. */
    Frame begin(int optionsLength, int payloadLength) {
        return output.begin(TcpSegment.HEADER_LENGTH + optionsLength + payloadLength);
    }

    /** Where the options of a segment begin in its frame's bytes. */
    long options(Frame frame) {
        return frame.offset() + output.headers() + TcpSegment.HEADER_LENGTH;
    }

    /**
     * Sends the segment begun last; options and payload are in place.
     *
     * @param headerLength 20 and the options' bytes
     * @param mss the largest payload of a segment: a longer one is a large unit
     */
    void send(
            Frame frame,
            int flags,
            int sequence,
            int acknowledgement,
            int window,
            int headerLength,
            int payloadLength,
            int mss) {
        int length = headerLength + payloadLength;
        TcpSegment.write(
                frame.bytes(),
                frame.offset() + output.headers(),
                remote,
                remotePort,
                guest,
                guestPort,
                sequence,
                acknowledgement,
                flags,
                window,
                headerLength,
                length);
        frame.checksumPartial(output.headers(), TcpSegment.CHECKSUM);
        if (payloadLength > mss) {
            frame.largeUnit(mss);
        }
        output.send(frame, length, remote, guest, Ipv4Packet.PROTOCOL_TCP);
    }

    /** Sends a segment without options and payload. */
    void sendControl(int flags, int sequence, int acknowledgement, int window) {
        Frame frame = begin(0, 0);
        send(frame, flags, sequence, acknowledgement, window, TcpSegment.HEADER_LENGTH, 0, Integer.MAX_VALUE);
    }

    /**
     * Sends a SYN or SYN-ACK.
     *
     * @param window as it stands on the wire: windows of these segments are not scaled (RFC 7323, section 2.2)
     * @param scale whether to offer window scaling
     * @param selective whether to offer selective acknowledgements
     */
    void sendSyn(int flags, int sequence, int acknowledgement, int window, int mss, boolean scale, boolean selective) {
        Frame frame = begin(SYN_OPTIONS, 0);
        MemorySegment bytes = frame.bytes();
        long options = options(frame);
        BigEndian.putI32(bytes, options, TcpSegment.OPTION_MSS << 24 | 4 << 16 | mss);
        BigEndian.putI32(
                bytes,
                options + 4,
                scale
                        ? 0x0100_0000 | TcpSegment.OPTION_WINDOW_SCALE << 16 | 3 << 8 | FromGuest.WINDOW_SCALE
                        : FOUR_NO_OPERATIONS);
        BigEndian.putI32(
                bytes,
                options + 8,
                selective ? 0x0101_0000 | TcpSegment.OPTION_SACK_PERMITTED << 8 | 2 : FOUR_NO_OPERATIONS);
        send(
                frame,
                flags,
                sequence,
                acknowledgement,
                window,
                TcpSegment.HEADER_LENGTH + SYN_OPTIONS,
                0,
                Integer.MAX_VALUE);
    }
}
