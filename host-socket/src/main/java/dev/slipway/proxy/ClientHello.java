package dev.slipway.proxy;

import java.nio.charset.StandardCharsets;

/**
 * Finds the name that a TLS client asks for: the server_name extension (RFC 6066, section 3) of its first message (RFC
 * 8446, section 4.1.2), which may be spread over records as small as it likes.
 *
 * <pre>
 *  record:     type (22) | version 3.x | length (2) | …
 *  handshake:  type (1) | length (3) | version (2) | random (32) | session id | cipher suites | compressions | extensions
 *  extension:  type (2) | length (2) | …      0: list length (2) | type (1) | name length (2) | name
 * </pre>
 */
final class ClientHello {

    /** The most bytes that are waited for. A hello that says it is longer is not waited for. */
    static final int LIMIT = 32 << 10;

    private static final int RECORD = 5;
    private static final int RECORD_MAX = (16 << 10) + 256;
    private static final int HANDSHAKE = 22;
    private static final int CLIENT_HELLO = 1;
    private static final int BEFORE_SESSION = 4 + 2 + 32;

    private ClientHello() {}

    /**
     * What the first bytes of a connection are.
     *
     * @param isTls whether they are TLS as far as they go
     * @param isComplete whether there is nothing more to learn
     * @param name empty if there is none
     */
    record Finding(boolean isTls, boolean isComplete, String name) {

        private static final Finding NOT_TLS = new Finding(false, true, "");
        private static final Finding MORE = new Finding(true, false, "");
        private static final Finding NO_NAME = new Finding(true, true, "");
    }

    /** Looks at the first bytes of a connection. */
    static Finding look(byte[] bytes, int length) {
        byte[] message = new byte[length];
        int collected = 0;
        int at = 0;
        while (at < length) {
            if (bytes[at] != HANDSHAKE || at + 1 < length && bytes[at + 1] != 3) {
                return Finding.NOT_TLS;
            }
            if (at + RECORD > length) {
                break;
            }
            int recordLength = u16(bytes, at + 3);
            if (recordLength == 0 || recordLength > RECORD_MAX) {
                return Finding.NOT_TLS;
            }
            int available = Math.min(recordLength, length - at - RECORD);
            System.arraycopy(bytes, at + RECORD, message, collected, available);
            collected += available;
            if (collected > 0 && message[0] != CLIENT_HELLO) {
                return Finding.NOT_TLS;
            }
            if (collected >= 4) {
                int whole = 4 + ((message[1] & 0xFF) << 16 | u16(message, 2));
                if (whole > LIMIT) {
                    return Finding.NO_NAME;
                }
                if (collected >= whole) {
                    return new Finding(true, true, name(message, whole));
                }
            }
            at += RECORD + available;
            if (available < recordLength) {
                break;
            }
        }
        return Finding.MORE;
    }

    private static int u16(byte[] bytes, int at) {
        return (bytes[at] & 0xFF) << 8 | bytes[at + 1] & 0xFF;
    }

    /** The name in a whole message; empty if there is none, or something in front of it is not as it should be. */
    private static String name(byte[] message, int end) {
        int at = BEFORE_SESSION;
        if (at >= end) {
            return "";
        }
        at += 1 + (message[at] & 0xFF);
        if (at + 2 > end) {
            return "";
        }
        at += 2 + u16(message, at);
        if (at + 1 > end) {
            return "";
        }
        at += 1 + (message[at] & 0xFF);
        if (at + 2 > end) {
            return "";
        }
        int extensionsEnd = Math.min(end, at + 2 + u16(message, at));
        at += 2;
        while (at + 4 <= extensionsEnd) {
            int type = u16(message, at);
            int length = u16(message, at + 2);
            at += 4;
            if (at + length > extensionsEnd) {
                return "";
            }
            if (type == 0) {
                return serverName(message, at, at + length);
            }
            at += length;
        }
        return "";
    }

    private static String serverName(byte[] message, int from, int end) {
        int at = from + 2;
        if (at + 3 > end || message[at] != 0) {
            return "";
        }
        int length = u16(message, at + 1);
        at += 3;
        return at + length > end ? "" : new String(message, at, length, StandardCharsets.ISO_8859_1);
    }
}
