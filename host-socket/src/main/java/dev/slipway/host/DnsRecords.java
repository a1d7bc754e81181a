package dev.slipway.host;

import dev.slipway.wire.DnsMessage;

/**
 * The records of a response, one after the other (RFC 1035, section 4.1.3). Names are stepped over, not read: no pointer
 * can loop. What reaches past the end ends the walk.
 */
final class DnsRecords {

    static final int ANSWER = 0;
    static final int AUTHORITY = 1;

    private static final int HEADER = 10;

    private final byte[] message;
    private final int[] left = new int[3];
    private int section;
    private int next;
    private int at;
    private boolean whole = true;

    DnsRecords(byte[] message) {
        this.message = message;
        left[0] = u16(6);
        left[1] = u16(8);
        left[2] = u16(10);
        next = DnsMessage.HEADER_LENGTH;
        for (int questions = u16(4); questions > 0 && whole; questions--) {
            next = skipName(next) + 4;
            whole = next >= 4 && next <= message.length;
        }
    }

    /** Goes on to the next record, if there is one. */
    boolean next() {
        while (section < 3 && left[section] == 0) {
            section++;
        }
        if (!whole || section == 3) {
            return false;
        }
        at = skipName(next);
        whole = at >= 0 && at + HEADER <= message.length && at + HEADER + u16(at + 8) <= message.length;
        if (whole) {
            left[section]--;
            next = at + HEADER + u16(at + 8);
        }
        return whole;
    }

    /** Whether all records up to here were where they should be. */
    boolean isWhole() {
        return whole;
    }

    /** {@link #ANSWER}, {@link #AUTHORITY} or 2 for the additional ones. */
    int section() {
        return section;
    }

    int type() {
        return u16(at);
    }

    int recordClass() {
        return u16(at + 2);
    }

    /** Seconds; the upper half of the range counts as 0 (RFC 2181, section 8). */
    int ttl() {
        return Math.max(0, u16(at + 4) << 16 | u16(at + 6));
    }

    void setTtl(int seconds) {
        for (int i = 0; i < 4; i++) {
            message[at + 4 + i] = (byte) (seconds >>> (24 - 8 * i));
        }
    }

    int dataAt() {
        return at + HEADER;
    }

    int dataLength() {
        return u16(at + 8);
    }

    /** Where what follows a name begins, or -1. */
    private int skipName(int from) {
        int position = from;
        while (position < message.length) {
            int label = message[position] & 0xFF;
            if (label == 0) {
                return position + 1;
            }
            if (label >= 0xC0) {
                return position + 2 <= message.length ? position + 2 : -1;
            }
            if (label > 63) {
                return -1;
            }
            position += 1 + label;
        }
        return -1;
    }

    int u16(int position) {
        return (message[position] & 0xFF) << 8 | message[position + 1] & 0xFF;
    }
}
