package dev.slipway.ethernet;

import dev.slipway.virtio.VirtioNetHeader;
import dev.slipway.wire.BigEndian;
import dev.slipway.wire.EthernetFrame;
import dev.slipway.wire.Frame;
import dev.slipway.wire.TcpSegment;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.Optional;
import java.util.stream.Collectors;

/**
 * What the network card of a VM leaves undone of the frames that it sends on a socket, and what it takes undone. Nothing
 * on the wire says which it is, so it is said by whoever configures the link.
 */
public enum Offload {
    /** Nothing: checksums are complete both ways, and no frame is longer than the MTU allows. */
    NONE("", 0),
    /**
     * In front of each frame, both ways, stands a virtio-net header (virtio 1.3, section 5.1.6: {@code virtio_net_hdr_v1},
     * 12 bytes), which says what is undone: libkrun's {@code NET_FLAG_INCLUDE_VNET_HEADER}. In a stream the length counts
     * the header, too.
     */
    VNET_HDR("vnet_hdr", VirtioNetHeader.LENGTH),
    /**
     * Frames from the guest may be large units and may lack checksums, and nothing says so: libkrun takes the header
     * away, which is what krunkit's {@code offloading=on} puts on the wire. To the guest everything is complete and cut,
     * because nothing would tell it otherwise.
     */
    UNTOLD("offload", 0);

    private static final int DATA_OFFSET = 12;

    private final String label;
    private final int headerLength;

    Offload(String label, int headerLength) {
        this.label = label;
        this.headerLength = headerLength;
    }

    /** As it is written behind the scheme of a channel; empty for {@link #NONE}. */
    public String label() {
        return label;
    }

    /** The one of that label, which is not empty. */
    public static Optional<Offload> of(String label) {
        return Arrays.stream(values())
                .filter(offload -> offload != NONE && offload.label.equals(label))
                .findFirst();
    }

    /** All labels but the empty one, for people. */
    public static String labels() {
        return Arrays.stream(values())
                .filter(offload -> offload != NONE)
                .map(Offload::label)
                .collect(Collectors.joining(", "));
    }

    /** Bytes in front of each frame, in both directions. */
    int headerLength() {
        return headerLength;
    }

    /** Whether frames to the guest go uncut, behind a header that says what is to be done. */
    boolean carriesUnits() {
        return this == VNET_HDR;
    }

    /**
     * Finds out what is undone of a frame from the guest.
     *
     * @param at where the header begins, if there is one
     * @param length bytes of header and frame
     * @param frame gets its bytes and its offload fields
     * @param longestPlain bytes of the longest frame that is no large unit
     * @return false if the header says what cannot be, or does not fit
     */
    boolean read(MemorySegment bytes, long at, int length, Frame frame, int longestPlain) {
        frame.set(bytes, at + headerLength, length - headerLength);
        return switch (this) {
            case NONE -> true;
            case VNET_HDR ->
                length >= headerLength + EthernetFrame.HEADER_LENGTH && VirtioNetHeader.read(bytes, at, frame);
            case UNTOLD -> {
                infer(frame, longestPlain);
                yield true;
            }
        };
    }

    /** A sum may be there or not; who sends more than the MTU in a TCP segment has a card that would have cut it. */
    private static void infer(Frame frame, int longestPlain) {
        frame.checksumVerified();
        if (frame.length() <= longestPlain) {
            return;
        }
        int tcp = Segmenter.tcpStart(frame);
        if (tcp == 0 || frame.length() < tcp + TcpSegment.HEADER_LENGTH) {
            return;
        }
        int header = tcp + (BigEndian.u8(frame.bytes(), frame.offset() + tcp + DATA_OFFSET) >>> 4) * 4;
        if (header < longestPlain) {
            frame.checksumPartial(tcp, TcpSegment.CHECKSUM).largeUnit(longestPlain - header);
        }
    }
}
