package dev.slipway.fuzz;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * Frames of other people's captures: libpcap's classic files, of either byte order. Those of a tool's own tests are often
 * damaged on purpose; what comes before the damage is taken. Packets without an Ethernet header get one.
 */
final class Captures {

    private static final int FILE_HEADER = 24;
    private static final int RECORD_HEADER = 16;
    private static final int LINK_TYPE = 20;
    private static final int LONGEST = 1 << 18;
    private static final int ETHERNET = 14;
    private static final int COOKED = 16;

    private Captures() {}

    /** The frames of a file; none if it is no such file. */
    static List<byte[]> read(Path file) throws IOException {
        ByteBuffer bytes = ByteBuffer.wrap(Files.readAllBytes(file));
        List<byte[]> frames = new ArrayList<>();
        if (bytes.remaining() < FILE_HEADER) {
            return frames;
        }
        switch (bytes.getInt(0)) {
            case 0xA1B2C3D4, 0xA1B23C4D -> bytes.order(ByteOrder.BIG_ENDIAN);
            case 0xD4C3B2A1, 0x4D3CB2A1 -> bytes.order(ByteOrder.LITTLE_ENDIAN);
            default -> {
                return frames;
            }
        }
        int linkType = bytes.getInt(LINK_TYPE) & 0xFFFF;
        bytes.position(FILE_HEADER);
        while (bytes.remaining() >= RECORD_HEADER) {
            int length = bytes.getInt(bytes.position() + 8);
            bytes.position(bytes.position() + RECORD_HEADER);
            if (length < 0 || length > LONGEST || length > bytes.remaining()) {
                break;
            }
            byte[] packet = new byte[length];
            bytes.get(packet);
            frames.add(framed(linkType, packet));
        }
        return frames;
    }

    /** Numbers of link types are those of tcpdump.org/linktypes.html; of the ones not here the bytes are taken as they are. */
    private static byte[] framed(int linkType, byte[] packet) {
        int skipped = switch (linkType) {
            case 0, 108 -> 4;
            case 12, 14, 101, 228, 229 -> 0;
            case 113 -> COOKED;
            default -> -1;
        };
        if (skipped < 0 || skipped >= packet.length) {
            return packet;
        }
        boolean isIpv6 = (packet[skipped] & 0xF0) == 0x60;
        return ByteBuffer.allocate(ETHERNET + packet.length - skipped)
                .putShort(ETHERNET - 2, (short) (isIpv6 ? 0x86DD : 0x0800))
                .position(ETHERNET)
                .put(packet, skipped, packet.length - skipped)
                .array();
    }
}
