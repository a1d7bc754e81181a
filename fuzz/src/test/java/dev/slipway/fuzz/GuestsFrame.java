package dev.slipway.fuzz;

import dev.slipway.wire.Checksum;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;

/**
 * A foreign frame as the guest of {@code StackFuzz} would have sent it: to the gateway's MAC address, from the guest's own
 * addresses, with sums that fit, so that it is not dropped for those. What else it says stays, but for the payload of TCP,
 * which becomes the one that {@code FuzzHost} looks for.
 */
final class GuestsFrame {

    private static final byte[] GATEWAY_MAC = {0x5A, (byte) 0x94, (byte) 0xEF, (byte) 0xE4, 0x0C, (byte) 0xDD};
    private static final byte[] MAC = {0x52, 0x54, 0, 0x12, 0x34, 0x56};
    private static final byte[] IPV4 = {(byte) 192, (byte) 168, 65, 3};
    private static final byte[] IPV6 = {
        (byte) 0xFD, 0x65, 0, 0, 0, 0, 0, 0, 0x50, 0x54, 0, (byte) 0xFF, (byte) 0xFE, 0x12, 0x34, 0x56
    };
    private static final int IP = 14;
    private static final int FRAGMENTED = 0x3FFF;
    private static final int SYN = 2;

    private final byte[] bytes;
    private final ByteBuffer fields;

    private GuestsFrame(byte[] foreign) {
        bytes = foreign.clone();
        fields = ByteBuffer.wrap(bytes);
    }

    static byte[] of(byte[] foreign) {
        GuestsFrame frame = new GuestsFrame(foreign);
        if (foreign.length >= IP) {
            frame.rewrite();
        }
        return frame.bytes;
    }

    private void rewrite() {
        if ((bytes[0] & 1) == 0) {
            System.arraycopy(GATEWAY_MAC, 0, bytes, 0, 6);
        }
        System.arraycopy(MAC, 0, bytes, 6, 6);
        switch (fields.getShort(IP - 2)) {
            case 0x0800 -> rewriteIpv4();
            case (short) 0x86DD -> rewriteIpv6();
            case 0x0806 -> {
                if (bytes.length >= IP + 28) {
                    System.arraycopy(MAC, 0, bytes, IP + 8, 6);
                    System.arraycopy(IPV4, 0, bytes, IP + 14, 4);
                }
            }
            default -> {
                return;
            }
        }
    }

    private void rewriteIpv4() {
        if (bytes.length < IP + 20) {
            return;
        }
        int header = (bytes[IP] & 0xF) * 4;
        System.arraycopy(IPV4, 0, bytes, IP + 12, 4);
        if (header < 20 || IP + header > bytes.length) {
            return;
        }
        put(IP + 10, 0, IP, header);
        int length = (fields.getShort(IP + 2) & 0xFFFF) - header;
        if ((fields.getShort(IP + 6) & FRAGMENTED) != 0 || length < 0 || IP + header + length > bytes.length) {
            return;
        }
        int pseudo =
                Checksum.pseudoHeader(fields.getInt(IP + 12), fields.getInt(IP + 16), bytes[IP + 9] & 0xFF, length);
        sum(bytes[IP + 9], IP + header, length, pseudo);
    }

    private void rewriteIpv6() {
        if (bytes.length < IP + 40) {
            return;
        }
        System.arraycopy(IPV6, 0, bytes, IP + 8, 16);
        int length = fields.getShort(IP + 4) & 0xFFFF;
        if (IP + 40 + length > bytes.length) {
            return;
        }
        int pseudo = Checksum.pseudoHeader(
                fields.getLong(IP + 8),
                fields.getLong(IP + 16),
                fields.getLong(IP + 24),
                fields.getLong(IP + 32),
                bytes[IP + 6] & 0xFF,
                length);
        sum(bytes[IP + 6], IP + 40, length, pseudo);
    }

    private void sum(int protocol, int at, int length, int pseudo) {
        switch (protocol) {
            case 6 -> {
                if (length >= 20) {
                    fillPayload(at, length);
                    put(at + 16, pseudo, at, length);
                }
            }
            case 17 -> {
                if (length >= 8 && fields.getShort(at + 6) != 0) {
                    put(at + 6, pseudo, at, length);
                }
            }
            case 1, 58 -> {
                if (length >= 4) {
                    put(at + 2, protocol == 1 ? 0 : pseudo, at, length);
                }
            }
            default -> {
                return;
            }
        }
    }

    /** Each byte is the lowest one of its sequence number. */
    private void fillPayload(int at, int length) {
        int header = (bytes[at + 12] >>> 4 & 0xF) * 4;
        int first = fields.getInt(at + 4) + ((bytes[at + 13] & SYN) != 0 ? 1 : 0);
        for (int i = header; header >= 20 && i < length; i++) {
            bytes[at + i] = (byte) (first + i - header);
        }
    }

    private void put(int field, int pseudo, int from, int length) {
        fields.putShort(field, (short) 0);
        int sum = pseudo + Checksum.sum(MemorySegment.ofArray(bytes), from, length);
        fields.putShort(field, (short) Checksum.finish(sum));
    }
}
