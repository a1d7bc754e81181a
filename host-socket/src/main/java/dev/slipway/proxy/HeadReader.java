package dev.slipway.proxy;

import io.netty.buffer.ByteBuf;
import java.util.Arrays;

/** Collects the bytes of a message's head, up to the empty line. */
final class HeadReader {

    /** The longest head, in bytes; servers take 8 to 80 KiB. */
    static final int LIMIT = 64 << 10;

    private static final int FIRST = 1 << 10;
    private static final int EMPTY_LINES = 8;

    private byte[] bytes = new byte[FIRST];
    private int length;
    private int skipped;

    /**
     * Takes bytes up to the head's end.
     *
     * @return whether the head is complete
     * @throws MalformedException if it is too long, which has status 431
     */
    boolean read(ByteBuf input) throws MalformedException {
        int available = input.readableBytes();
        int from = input.readerIndex();
        for (int i = 0; i < available; i++) {
            byte b = input.getByte(from + i);
            if (length == 0 && (b == '\r' || b == '\n') && skipped < EMPTY_LINES) {
                skipped++; // empty lines before a request (RFC 9112, section 2.2)
                continue;
            }
            if (length == LIMIT) {
                throw new MalformedException(431, "the head is longer than " + LIMIT + " bytes");
            }
            if (length == bytes.length) {
                bytes = Arrays.copyOf(bytes, length * 2);
            }
            bytes[length++] = b;
            if (b == '\n' && endsInEmptyLine()) {
                input.readerIndex(from + i + 1);
                return true;
            }
        }
        input.readerIndex(from + available);
        return false;
    }

    private boolean endsInEmptyLine() {
        int at = length - 2;
        if (at >= 0 && bytes[at] == '\r') {
            at--;
        }
        return at < 0 || bytes[at] == '\n';
    }

    /** Whether something of a head is there. */
    boolean hasBegun() {
        return length > 0;
    }

    byte[] bytes() {
        return bytes;
    }

    int length() {
        return length;
    }

    void clear() {
        length = 0;
        skipped = 0;
        if (bytes.length > FIRST) {
            bytes = new byte[FIRST];
        }
    }
}
