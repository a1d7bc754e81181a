package dev.slipway.egress;

import dev.slipway.wire.DnsMessage;
import dev.slipway.wire.IpAddress;
import java.util.Arrays;

/** The addresses in a response of a name server (RFC 1035, section 4.1; RFC 3596). */
final class AddressRecords {

    private static final int QUESTIONS = 4;
    private static final int ANSWERS = 6;
    private static final int POINTER = 0xC0;
    private static final int RECORD_LENGTH = 10;

    /** Gets each address, and for how many seconds it holds. */
    interface Reader {
        void address(IpAddress address, long seconds);
    }

    private AddressRecords() {}

    /** Reads the answer section as far as it is well formed; whatever the bytes are, nothing is thrown. */
    static void read(byte[] response, Reader reader) {
        if (response.length < DnsMessage.HEADER_LENGTH) {
            return;
        }
        int at = DnsMessage.HEADER_LENGTH;
        for (int i = u16(response, QUESTIONS); i > 0 && at >= 0; i--) {
            at = behindName(response, at);
            at = at < 0 || at + 4 > response.length ? -1 : at + 4;
        }
        for (int i = u16(response, ANSWERS); i > 0 && at >= 0; i--) {
            at = record(response, at, reader);
        }
    }

    private static int record(byte[] response, int from, Reader reader) {
        int at = behindName(response, from);
        if (at < 0 || at + RECORD_LENGTH > response.length) {
            return -1;
        }
        int length = u16(response, at + 8);
        int data = at + RECORD_LENGTH;
        if (data + length > response.length) {
            return -1;
        }
        int type = u16(response, at);
        boolean address = type == DnsMessage.TYPE_A && length == 4 || type == DnsMessage.TYPE_AAAA && length == 16;
        if (address && u16(response, at + 2) == DnsMessage.CLASS_IN) {
            long seconds = (long) u16(response, at + 4) << 16 | u16(response, at + 6);
            reader.address(IpAddress.ofBytes(Arrays.copyOfRange(response, data, data + length)), seconds);
        }
        return data + length;
    }

    /** Where what follows a name begins, or -1. */
    private static int behindName(byte[] bytes, int from) {
        int at = from;
        while (at < bytes.length) {
            int label = bytes[at] & 0xFF;
            if (label == 0) {
                return at + 1;
            }
            if (label >= POINTER) {
                return at + 2;
            }
            at += 1 + label;
        }
        return -1;
    }

    private static int u16(byte[] bytes, int at) {
        return (bytes[at] & 0xFF) << 8 | bytes[at + 1] & 0xFF;
    }
}
