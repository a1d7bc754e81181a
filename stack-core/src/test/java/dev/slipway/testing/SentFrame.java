package dev.slipway.testing;

import dev.slipway.wire.Frame;
import dev.slipway.wire.IpAddress;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.HexFormat;

/** A copy of a frame and of what its virtio-net header says, for tests to look at. */
public final class SentFrame {

    final byte[] bytes;
    private final Frame.ChecksumState checksum;
    private final int checksumStart;
    private final int checksumOffset;
    private final int segmentSize;

    private SentFrame(byte[] bytes, Frame.ChecksumState checksum, int start, int offset, int segmentSize) {
        this.bytes = bytes;
        this.checksum = checksum;
        this.checksumStart = start;
        this.checksumOffset = offset;
        this.segmentSize = segmentSize;
    }

    /** Copies a frame. */
    public static SentFrame of(Frame frame) {
        byte[] bytes = PacketBuilder.bytes(frame.bytes().asSlice(frame.offset(), frame.length()));
        return new SentFrame(
                bytes, frame.checksum(), frame.checksumStart(), frame.checksumOffset(), frame.segmentSize());
    }

    /** Copies a segment that holds one frame, its checksums complete. */
    public static SentFrame of(MemorySegment bytes) {
        return of(PacketBuilder.frame(bytes));
    }

    /** A copy of the bytes. */
    public byte[] bytes() {
        return bytes.clone();
    }

    public int length() {
        return bytes.length;
    }

    public Frame.ChecksumState checksum() {
        return checksum;
    }

    public int checksumStart() {
        return checksumStart;
    }

    public int checksumOffset() {
        return checksumOffset;
    }

    /** Payload bytes of each segment to cut, or 0. */
    public int segmentSize() {
        return segmentSize;
    }

    /** The EtherType. */
    public int type() {
        return u16(12);
    }

    /** The IP protocol, or -1 if it is no IPv4 packet. */
    public int protocol() {
        return type() == 0x0800 && bytes.length >= 34 ? u8(23) : -1;
    }

    int ipHeaderLength() {
        return (u8(14) & 0xF) * 4;
    }

    /** Where the transport header begins. */
    int transport() {
        return 14 + ipHeaderLength();
    }

    /** Bytes of the IP payload. */
    int transportLength() {
        return u16(16) - ipHeaderLength();
    }

    int u8(int at) {
        return bytes[at] & 0xFF;
    }

    int u16(int at) {
        return u8(at) << 8 | u8(at + 1);
    }

    int i32(int at) {
        return u16(at) << 16 | u16(at + 2);
    }

    long mac(int at) {
        return ByteBuffer.wrap(bytes).getLong(at) >>> 16;
    }

    byte[] slice(int from, int to) {
        return Arrays.copyOfRange(bytes, from, to);
    }

    /** The IP payload with the checksum the channel would fill in, if that is left to it. */
    byte[] completedTransport() {
        byte[] body = slice(transport(), transport() + transportLength());
        if (checksum == Frame.ChecksumState.PARTIAL) {
            int sum = ~NaiveChecksum.sum(body, 0, body.length);
            body[checksumOffset] = (byte) (sum >> 8);
            body[checksumOffset + 1] = (byte) sum;
        }
        return body;
    }

    /** What a reader of a failed test needs to know of it. */
    @Override
    public String toString() {
        StringBuilder text = new StringBuilder();
        if (protocol() >= 0) {
            text.append(IpAddress.toString(i32(26))).append(" > ").append(IpAddress.toString(i32(30)));
            int at = transport();
            if (protocol() == 6 && bytes.length >= at + 20) {
                text.append(" TCP ")
                        .append(u16(at))
                        .append('>')
                        .append(u16(at + 2))
                        .append(' ');
                text.append(flags(u8(at + 13))).append(" seq ").append(Integer.toUnsignedString(i32(at + 4)));
                text.append(" ack ")
                        .append(Integer.toUnsignedString(i32(at + 8)))
                        .append(" win ")
                        .append(u16(at + 14));
                text.append(" data ").append(transportLength() - (u8(at + 12) >> 4) * 4);
            } else if (protocol() == 17 && bytes.length >= at + 8) {
                text.append(" UDP ").append(u16(at)).append('>').append(u16(at + 2));
                text.append(" data ").append(transportLength() - 8);
            } else {
                text.append(" protocol ").append(protocol());
            }
            text.append(", ");
        }
        text.append(bytes.length).append(" bytes ");
        int shown = Math.min(bytes.length, 96);
        return text.append(HexFormat.of().formatHex(bytes, 0, shown))
                .append(shown < bytes.length ? "…" : "")
                .toString();
    }

    /** Flags as tcpdump shows them. */
    static String flags(int flags) {
        String names = "FSRP.UEW";
        StringBuilder text = new StringBuilder("[");
        for (int i = 0; i < names.length(); i++) {
            text.append((flags >> i & 1) == 1 ? String.valueOf(names.charAt(i)) : "");
        }
        return text.append(']').toString();
    }
}
