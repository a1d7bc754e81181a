package dev.slipway.host;

import dev.slipway.wire.DnsMessage;
import java.lang.foreign.MemorySegment;

/** A query and what belongs to it: bytes of DNS messages as they pass through, looked at no more than needed. */
final class DnsExchange {

    private static final int RCODE = 0x0F;
    private static final int QUESTION_COUNT = 4;

    private DnsExchange() {}

    static int id(byte[] message) {
        return (message[0] & 0xFF) << 8 | message[1] & 0xFF;
    }

    /** Gives a message another id. */
    static void setId(byte[] message, int id) {
        message[0] = (byte) (id >>> 8);
        message[1] = (byte) id;
    }

    static boolean isTruncated(byte[] response) {
        return (response[2] & 0x02) != 0;
    }

    /**
     * The same query for another name.
     *
     * @param question the query, parsed
     * @param name labels of letters, digits, hyphens and underscores with dots between them
     */
    static byte[] withName(byte[] query, DnsMessage question, String name) {
        int end = questionEnd(query) - 4;
        byte[] wire = DnsMessage.encodeName(name);
        byte[] changed = new byte[DnsMessage.HEADER_LENGTH + wire.length + question.length() - end];
        System.arraycopy(query, 0, changed, 0, DnsMessage.HEADER_LENGTH);
        System.arraycopy(wire, 0, changed, DnsMessage.HEADER_LENGTH, wire.length);
        System.arraycopy(query, end, changed, DnsMessage.HEADER_LENGTH + wire.length, question.length() - end);
        return changed;
    }

    /**
     * Whether a message answers a query, ids aside: it is a response, and to the same question. A server that could not
     * read the question, or refuses to speak of it, may leave it out.
     */
    static boolean isAnswer(byte[] query, byte[] response) {
        if (response.length < DnsMessage.HEADER_LENGTH || (response[2] & 0x80) == 0) {
            return false;
        }
        int questions = (response[QUESTION_COUNT] & 0xFF) << 8 | response[QUESTION_COUNT + 1] & 0xFF;
        if (questions == 0) {
            return isFailure(response);
        }
        int end = questionEnd(query);
        if (questions != 1 || end < 0 || response.length < end) {
            return false;
        }
        for (int i = DnsMessage.HEADER_LENGTH; i < end; i++) {
            // Names are compared without regard to case (RFC 4343), type and class as they are.
            if (query[i] != response[i] && !(i < end - 4 && lower(query[i]) == lower(response[i]))) {
                return false;
            }
        }
        return true;
    }

    /** Whether a server said that it cannot or will not answer, so that another may be asked. */
    static boolean isFailure(byte[] response) {
        int code = response[3] & RCODE;
        return code == DnsMessage.SERVFAIL
                || code == DnsMessage.NOTIMP
                || code == DnsMessage.REFUSED
                || code == DnsMessage.FORMERR;
    }

    /** The answer when there is none. */
    static byte[] failure(byte[] query, int code) {
        DnsMessage message = new DnsMessage();
        message.parse(MemorySegment.ofArray(query), 0, query.length);
        return message.respond(code);
    }

    private static int questionEnd(byte[] query) {
        int at = DnsMessage.HEADER_LENGTH;
        while (at < query.length && query[at] != 0) {
            at += 1 + (query[at] & 0xFF);
        }
        int end = at + 1 + 4;
        return end <= query.length ? end : -1;
    }

    private static int lower(byte letter) {
        return letter >= 'A' && letter <= 'Z' ? letter + ('a' - 'A') : letter;
    }
}
