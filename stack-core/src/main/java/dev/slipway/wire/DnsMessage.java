package dev.slipway.wire;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;

/**
 * A DNS message with one question (RFC 1035, section 4.1), and whether it carries EDNS (RFC 6891).
 *
 * <pre>
 *  0       2       4       6       8       10      12
 *  +-------+-------+-------+-------+-------+-------+----------------+------+-------+----------
 *  |  id   | flags |QDCOUNT|ANCOUNT|NSCOUNT|ARCOUNT| name (labels)  | type | class | records …
 *  +-------+-------+-------+-------+-------+-------+----------------+------+-------+----------
 *  flags:  QR | opcode (4) | AA | TC | RD | RA | Z | AD | CD | RCODE (4)
 * </pre>
 *
 * A name is a chain of labels, each behind its length of 1 to 63, up to an empty one; at most 255 bytes. A length of
 * 0xC0 or more points to a name elsewhere; in the only question there is nothing before it to point to, and in records
 * pointers are stepped over, so that none can loop.
 */
public final class DnsMessage {

    public static final int PORT = 53;
    public static final int HEADER_LENGTH = 12;
    /** The longest message over TCP: its length is 16 bits. */
    public static final int MAX_LENGTH = 65_535;
    /** The longest UDP payload without EDNS. */
    public static final int MAX_UNNEGOTIATED_LENGTH = 512;
    /** The EDNS size this side announces: what passes every network unfragmented. */
    public static final int EDNS_SIZE = 1_232;

    public static final int TYPE_A = 1;
    public static final int TYPE_PTR = 12;
    public static final int TYPE_AAAA = 28;
    public static final int TYPE_OPT = 41;
    public static final int TYPE_ANY = 255;
    public static final int CLASS_IN = 1;
    public static final int CLASS_ANY = 255;

    public static final int NOERROR = 0;
    public static final int FORMERR = 1;
    public static final int SERVFAIL = 2;
    public static final int NXDOMAIN = 3;
    public static final int NOTIMP = 4;
    public static final int REFUSED = 5;
    /** An EDNS version that is not known here (RFC 6891, section 9); its upper bits stand in the OPT record. */
    public static final int BADVERS = 16;

    public static final int FLAG_RESPONSE = 0x8000;
    public static final int FLAG_AUTHORITATIVE = 0x0400;
    public static final int FLAG_TRUNCATED = 0x0200;
    public static final int FLAG_RECURSION_DESIRED = 0x0100;
    public static final int FLAG_RECURSION_AVAILABLE = 0x0080;

    private static final int FLAGS = 2;
    private static final int QUESTIONS = 4;
    private static final int ANSWERS = 6;
    private static final int AUTHORITIES = 8;
    private static final int ADDITIONALS = 10;

    private static final int MAX_LABEL = 63;
    private static final int MAX_NAME = 255;
    private static final int POINTER = 0xC0;
    /** Characters that one octet of a label takes at most. */
    private static final int MAX_ESCAPE = 4;

    /** Type, class, TTL and length of a record. */
    private static final int RECORD_LENGTH = 10;

    private static final int OPT_LENGTH = 11;

    private MemorySegment bytes = MemorySegment.NULL;
    private long offset;
    private int end;
    private int length;
    /** The name as {@link #name} gives it, escapes included. */
    private byte[] name = new byte[MAX_NAME];

    private int nameLength;
    private String nameText;
    private String hostText;
    private int questionEnd;
    private int type;
    private int recordClass;
    private boolean edns;
    private int ednsSize;
    private int ednsVersion;
    /** A copy of the bytes, once somebody wanted one. */
    private byte[] own;

    /**
     * Reads a message: its question, and its other records as far as that they end within it.
     *
     * @return {@link DropReason#DNS} if it is cut short, has not exactly one question, a name that cannot be, or more
     *     than one OPT record; or {@link DropReason#NONE}
     */
    public DropReason parse(MemorySegment bytes, long offset, int length) {
        if (length < HEADER_LENGTH || BigEndian.u16(bytes, offset + QUESTIONS) != 1) {
            return DropReason.DNS;
        }
        this.bytes = bytes;
        this.offset = offset;
        this.end = length;
        own = null;
        edns = false;
        nameLength = 0;
        nameText = null;
        hostText = null;
        int at = readName(HEADER_LENGTH, true);
        if (at < 0 || at + 4 > length) {
            return DropReason.DNS;
        }
        type = u16(at);
        recordClass = u16(at + 2);
        questionEnd = at + 4;
        at = questionEnd;
        int records = u16(ANSWERS) + u16(AUTHORITIES);
        int all = records + u16(ADDITIONALS);
        for (int i = 0; i < all; i++) {
            at = readRecord(at, i >= records);
            if (at < 0) {
                return DropReason.DNS;
            }
        }
        this.length = at;
        return DropReason.NONE;
    }

    /** Steps over a record, noting EDNS; returns where the next begins or -1. */
    private int readRecord(int from, boolean additional) {
        int at = readName(from, false);
        if (at < 0 || at + RECORD_LENGTH > end || at + RECORD_LENGTH + u16(at + 8) > end) {
            return -1;
        }
        if (u16(at) == TYPE_OPT) {
            if (!additional || edns || at != from + 1) {
                return -1; // only one, only there, and only of the root (RFC 6891, section 6.1)
            }
            edns = true;
            ednsSize = u16(at + 2);
            ednsVersion = u8(at + 5);
        }
        return at + RECORD_LENGTH + u16(at + 8);
    }

    /**
     * Reads the question's name, or steps over a record's. A pointer ends a name and is not followed: before the
     * question there is nothing to point to, and nobody here asks what the records are called.
     *
     * @return where what follows the name begins, or -1
     */
    private int readName(int from, boolean question) {
        int at = from;
        while (at < end) {
            int label = u8(at);
            if (label == 0) {
                return at + 1;
            }
            if (label >= POINTER) {
                return question || at + 1 >= end ? -1 : at + 2;
            }
            if (label > MAX_LABEL || at + 1 + label > end || at + 2 + label - from > MAX_NAME) {
                return -1;
            }
            if (question && !keepLabel(at + 1, label)) {
                return -1;
            }
            at += 1 + label;
        }
        return -1;
    }

    /** Adds a label to the name as a master file writes it, so that a dot inside a label is not one between two. */
    private boolean keepLabel(int at, int labelLength) {
        if (nameLength + MAX_ESCAPE * labelLength + 1 > name.length) {
            name = Arrays.copyOf(name, MAX_ESCAPE * MAX_NAME);
        }
        for (int i = 0; i < labelLength; i++) {
            int octet = u8(at + i);
            if (octet == 0) {
                return false; // nobody names a host so; C resolvers would read another name
            }
            if (octet <= ' ' || octet >= 0x7F) {
                name[nameLength++] = '\\';
                name[nameLength++] = (byte) ('0' + octet / 100);
                name[nameLength++] = (byte) ('0' + octet / 10 % 10);
                name[nameLength++] = (byte) ('0' + octet % 10);
            } else {
                if (octet == '.' || octet == '\\') {
                    name[nameLength++] = '\\';
                }
                name[nameLength++] = (byte) (octet >= 'A' && octet <= 'Z' ? octet + 32 : octet);
            }
        }
        name[nameLength++] = '.';
        return true;
    }

    private int u8(int at) {
        return BigEndian.u8(bytes, offset + at);
    }

    private int u16(int at) {
        return BigEndian.u16(bytes, offset + at);
    }

    public int id() {
        return u16(0);
    }

    /** The header's flags, opcode and RCODE. */
    public int flags() {
        return u16(FLAGS);
    }

    public boolean isResponse() {
        return (flags() & FLAG_RESPONSE) != 0;
    }

    /**
     * The name asked for: lower case, each label followed by a dot (RFC 4343: case does not count), so that the root is
     * empty; dots within labels, backslashes and what is not printable escaped (RFC 1035, section 5.1).
     */
    public String name() {
        if (nameText == null) {
            nameText = new String(name, 0, nameLength, StandardCharsets.ISO_8859_1);
        }
        return nameText;
    }

    /** The same without the last dot: {@code www.example.test}, or empty for the root. */
    public String hostName() {
        if (hostText == null) {
            hostText = new String(name, 0, Math.max(0, nameLength - 1), StandardCharsets.ISO_8859_1);
        }
        return hostText;
    }

    /** The type asked for. */
    public int type() {
        return type;
    }

    /** The class asked for. */
    public int recordClass() {
        return recordClass;
    }

    /** Whether there is an OPT record. */
    public boolean hasEdns() {
        return edns;
    }

    /** The EDNS version, 0 to 255. Meaningful only if {@link #hasEdns}. */
    public int ednsVersion() {
        return ednsVersion;
    }

    /** How long a message the sender takes over UDP: 512 bytes without EDNS, never less, nor more than a datagram has. */
    public int maxUdpLength() {
        return edns ? Math.clamp(ednsSize, MAX_UNNEGOTIATED_LENGTH, UdpDatagram.MAX_PAYLOAD) : MAX_UNNEGOTIATED_LENGTH;
    }

    /** The bytes of the message; what followed them does not belong to it. */
    public int length() {
        return length;
    }

    /**
     * The message in an array of its own, which it is read from until something else is parsed: the same at each call,
     * and not to be changed.
     */
    public byte[] own() {
        if (own == null) {
            own = new byte[length];
            MemorySegment.copy(bytes, ValueLayout.JAVA_BYTE, offset, own, 0, length);
            bytes = MemorySegment.ofArray(own);
            offset = 0;
            end = length;
        }
        return own;
    }

    /**
     * A response to this query that has no answer record: an error, or that there is none of that type.
     *
     * @param code {@link #NOERROR} … {@link #BADVERS}
     */
    public byte[] respond(int code) {
        return respond(code, 0);
    }

    /**
     * A response to this query with one record of the name and type asked for.
     *
     * @param recordType {@link #TYPE_A}, {@link #TYPE_AAAA} or {@link #TYPE_PTR}
     * @param data 4 or 16 bytes of an address, or a name as {@link #encodeName} makes it
     * @param seconds how long the answer may be kept
     */
    public byte[] respond(int recordType, byte[] data, int seconds) {
        return respond(recordType, List.of(data), seconds);
    }

    /** The same with several records of the name and type asked for. */
    public byte[] respond(int recordType, List<byte[]> data, int seconds) {
        int total = 0;
        for (byte[] each : data) {
            total += 2 + RECORD_LENGTH + each.length;
        }
        byte[] response = respond(NOERROR, total);
        MemorySegment out = MemorySegment.ofArray(response);
        BigEndian.putU16(out, ANSWERS, data.size());
        int at = questionEnd;
        for (byte[] each : data) {
            BigEndian.putU16(out, at, POINTER << 8 | HEADER_LENGTH);
            BigEndian.putU16(out, at + 2L, recordType);
            BigEndian.putU16(out, at + 4L, CLASS_IN);
            BigEndian.putI32(out, at + 6L, seconds);
            BigEndian.putU16(out, at + 10L, each.length);
            System.arraycopy(each, 0, response, at + 12, each.length);
            at += 12 + each.length;
        }
        return response;
    }

    /** Header, question, room for an answer and, if the query had one, an OPT record. */
    private byte[] respond(int code, int answerLength) {
        byte[] response = new byte[questionEnd + answerLength + (edns ? OPT_LENGTH : 0)];
        MemorySegment out = MemorySegment.ofArray(response);
        MemorySegment.copy(bytes, offset, out, 0, questionEnd);
        int authoritative = code == NOERROR ? FLAG_AUTHORITATIVE : 0;
        BigEndian.putU16(out, FLAGS, responseFlags(flags(), code & 0xF) | authoritative);
        clearCounts(out);
        if (edns) {
            putOpt(out, response.length - OPT_LENGTH, code >>> 4);
        }
        return response;
    }

    /**
     * A response shortened to its header and the question, with the flag that sends the client to TCP (RFC 2181,
     * section 9); an OPT record only if the query had one.
     *
     * @param response at least {@link #HEADER_LENGTH} bytes, whose flags are kept
     */
    public byte[] truncate(byte[] response) {
        byte[] truncated = respond(NOERROR, 0);
        MemorySegment out = MemorySegment.ofArray(truncated);
        BigEndian.putU16(out, FLAGS, BigEndian.u16(MemorySegment.ofArray(response), FLAGS) | FLAG_TRUNCATED);
        return truncated;
    }

    /** A response to a message that could not be read but for its id and flags: a header and nothing else. */
    public static byte[] error(int id, int flags, int code) {
        byte[] response = new byte[HEADER_LENGTH];
        MemorySegment out = MemorySegment.ofArray(response);
        BigEndian.putU16(out, 0, id);
        BigEndian.putU16(out, FLAGS, responseFlags(flags, code));
        return response;
    }

    /** What a response keeps of the query's flags: opcode, RD and CD. */
    private static int responseFlags(int flags, int code) {
        return FLAG_RESPONSE | flags & (0x7800 | FLAG_RECURSION_DESIRED | 0x0010) | FLAG_RECURSION_AVAILABLE | code;
    }

    private void clearCounts(MemorySegment out) {
        BigEndian.putI32(out, ANSWERS, 0);
        BigEndian.putU16(out, ADDITIONALS, edns ? 1 : 0);
    }

    private static void putOpt(MemorySegment out, long at, int upperCode) {
        BigEndian.putU8(out, at, 0);
        BigEndian.putU16(out, at + 1, TYPE_OPT);
        BigEndian.putU16(out, at + 3, EDNS_SIZE);
        BigEndian.putI32(out, at + 5, upperCode << 24);
        BigEndian.putU16(out, at + 9, 0);
    }

    /**
     * A host's name as it stands on the wire: labels of letters, digits, hyphens and underscores, dots between them and
     * perhaps one behind.
     *
     * @throws IllegalArgumentException if a label is empty, longer than 63 or has other characters, or all are longer
     *     than 255 bytes
     */
    public static byte[] encodeName(String text) {
        String plain = text.endsWith(".") ? text.substring(0, text.length() - 1) : text;
        if (!plain.matches("[A-Za-z0-9_-]{1,63}(\\.[A-Za-z0-9_-]{1,63})*") || plain.length() > MAX_NAME - 2) {
            throw new IllegalArgumentException("not a domain name: '" + text + "'");
        }
        byte[] wire = new byte[plain.length() + 2];
        int at = 0;
        for (String label : plain.toLowerCase(Locale.ROOT).split("\\.")) {
            wire[at++] = (byte) label.length();
            for (int i = 0; i < label.length(); i++) {
                wire[at++] = (byte) label.charAt(i);
            }
        }
        return wire;
    }
}
