package dev.slipway.probe;

import dev.slipway.wire.BigEndian;
import dev.slipway.wire.IpAddress;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** Asks a name server for A records over UDP (RFC 1035), three times at most. */
final class DnsClient {

    private static final int PORT = 53;
    private static final int HEADER = 12;
    private static final int TYPE_A = 1;
    private static final int CLASS_IN = 1;
    private static final int ATTEMPTS = 3;
    private static final List<String> CODES =
            List.of("NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED");

    /**
     * What a server said.
     *
     * @param code the response code
     * @param addresses of all A records of the answer, in its order
     */
    record Answer(int code, List<Integer> addresses) {

        Answer {
            addresses = List.copyOf(addresses);
        }

        String describe() {
            if (code != 0) {
                return code < CODES.size() ? CODES.get(code) : "response code " + code;
            }
            if (addresses.isEmpty()) {
                return "no address";
            }
            List<String> texts = new ArrayList<>();
            for (int address : addresses) {
                texts.add(IpAddress.toString(address));
            }
            return String.join(" ", texts);
        }
    }

    private final Guest guest;
    private final int server;
    private int identifier;
    private byte[] question;
    private Answer answer;

    DnsClient(Guest guest, int server) {
        this.guest = guest;
        this.server = server;
    }

    /**
     * Looks a name up.
     *
     * @throws IOException if the server does not answer in time, or the name cannot be one
     */
    Answer lookUp(String name, long limitNanos) throws IOException {
        question = encode(name);
        answer = null;
        int port = guest.freshPort();
        guest.onDatagram(port, this::received);
        try {
            for (int i = 0; i < ATTEMPTS; i++) {
                identifier = guest.randomInt() & 0xFFFF;
                ByteBuffer query = ByteBuffer.allocate(HEADER + question.length);
                query.putShort((short) identifier).putShort((short) 0x0100).putShort((short) 1);
                query.position(HEADER).put(question);
                guest.sendUdp(port, server, PORT, query.array());
                if (guest.await(() -> answer != null, limitNanos / ATTEMPTS)) {
                    return answer;
                }
            }
        } finally {
            guest.onDatagram(port, null);
        }
        throw new IOException("no answer from " + IpAddress.toString(server));
    }

    private static byte[] encode(String name) throws IOException {
        ByteBuffer encoded = ByteBuffer.allocate(260);
        String bare = name.endsWith(".") ? name.substring(0, name.length() - 1) : name;
        if (bare.length() > 253) {
            throw new IOException("not a host name, longer than 253 characters: '" + name + "'");
        }
        for (String label : bare.split("\\.", -1)) {
            byte[] bytes = label.getBytes(StandardCharsets.UTF_8);
            if (bytes.length == 0 || bytes.length > 63) {
                throw new IOException("not a host name: '" + name + "'");
            }
            encoded.put((byte) bytes.length).put(bytes);
        }
        encoded.put((byte) 0).putShort((short) TYPE_A).putShort((short) CLASS_IN);
        return Arrays.copyOf(encoded.array(), encoded.position());
    }

    private void received(int source, int sourcePort, MemorySegment bytes, long offset, int length) {
        if (source != server
                || sourcePort != PORT
                || length < HEADER + question.length
                || BigEndian.u16(bytes, offset) != identifier
                || (BigEndian.u16(bytes, offset + 2) & 0x8000) == 0
                || BigEndian.u16(bytes, offset + 4) != 1) {
            return;
        }
        List<Integer> addresses = new ArrayList<>();
        long at = offset + HEADER + question.length;
        long end = offset + length;
        for (int records = BigEndian.u16(bytes, offset + 6); records > 0; records--) {
            at = skipName(bytes, at, end);
            if (at < 0 || at + 10 > end || at + 10 + BigEndian.u16(bytes, at + 8) > end) {
                return;
            }
            int dataLength = BigEndian.u16(bytes, at + 8);
            if (BigEndian.u16(bytes, at) == TYPE_A && dataLength == 4) {
                addresses.add(BigEndian.i32(bytes, at + 10));
            }
            at += 10 + dataLength;
        }
        answer = new Answer(BigEndian.u16(bytes, offset + 2) & 0xF, addresses);
    }

    /** Where a name ends, or -1 if it does not; a pointer ends it (RFC 1035, section 4.1.4). */
    private static long skipName(MemorySegment bytes, long from, long end) {
        long at = from;
        while (at < end) {
            int label = BigEndian.u8(bytes, at);
            if (label >= 0xC0) {
                return at + 2 <= end ? at + 2 : -1;
            }
            at += 1 + label;
            if (label == 0) {
                return at;
            }
        }
        return -1;
    }
}
