package dev.slipway.testing;

import dev.slipway.wire.IpAddress;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import org.assertj.core.api.AbstractAssert;

/** Assertions about a DNS response. All of the message is taken apart: a byte too many or too few fails. */
public final class DnsAssert extends AbstractAssert<DnsAssert, ByteBuffer> {

    private final List<String> questions = new ArrayList<>();
    private final List<String> answers = new ArrayList<>();
    private int ednsSize = -1;

    private DnsAssert(ByteBuffer message) {
        super(message, DnsAssert.class);
    }

    /** Takes a response apart, and fails if it is none. */
    public static DnsAssert of(byte[] message) {
        DnsAssert made = new DnsAssert(ByteBuffer.wrap(message));
        if (message.length < 12) {
            throw made.failure("a DNS message of %d bytes", message.length);
        }
        made.same("QR", 1, made.flags() >> 15);
        int at = 12;
        for (int i = 0; i < made.u16(4); i++) {
            StringBuilder name = new StringBuilder();
            at = made.name(at, name);
            made.questions.add(name + " " + made.u16(at));
            at += 4;
        }
        for (int i = 0; i < made.u16(6) + made.u16(8) + made.u16(10); i++) {
            at = made.record(at, i < made.u16(6));
        }
        made.same("length", message.length, at);
        return made;
    }

    private int record(int from, boolean answer) {
        StringBuilder name = new StringBuilder();
        int at = name(from, name);
        int type = u16(at);
        int length = u16(at + 8);
        if (type == 41) {
            ednsSize = u16(at + 2);
        } else if (answer) {
            answers.add(name + " " + type + " " + data(type, at + 10, length));
        }
        return at + 10 + length;
    }

    private String data(int type, int at, int length) {
        if (type == 1 && length == 4) {
            return IpAddress.toString(actual.getInt(at));
        }
        if (type == 12) {
            StringBuilder target = new StringBuilder();
            name(at, target);
            return target.toString();
        }
        return HexFormat.of().formatHex(actual.array(), at, at + length);
    }

    /** Reads a name and returns where what follows it begins. */
    private int name(int from, StringBuilder name) {
        int at = from;
        int after = -1;
        for (int jumps = 0; actual.get(at) != 0; ) {
            int length = actual.get(at) & 0xFF;
            if (length >= 0xC0) {
                same("pointer loop at " + at, true, ++jumps < 16);
                after = after < 0 ? at + 2 : after;
                at = u16(at) & 0x3FFF;
            } else {
                name.append(new String(actual.array(), at + 1, length, StandardCharsets.ISO_8859_1))
                        .append('.');
                at += 1 + length;
            }
        }
        return after < 0 ? at + 1 : after;
    }

    public DnsAssert hasId(int id) {
        return same("id", id, u16(0));
    }

    /** The response code: 0 NOERROR, 1 FORMERR, 2 SERVFAIL, 3 NXDOMAIN, 4 NOTIMP, 5 REFUSED. */
    public DnsAssert hasCode(int code) {
        return same("RCODE", code, flags() & 0xF);
    }

    /** All of these bits of the header's flags are set. */
    public DnsAssert hasFlags(int bits) {
        return same("flags", bits, flags() & bits);
    }

    /** None of these bits of the header's flags is set. */
    public DnsAssert hasNotFlags(int bits) {
        return same("unwanted flags", 0, flags() & bits);
    }

    /** One question; the name's case counts, and it ends with a dot. */
    public DnsAssert hasQuestion(String name, int type) {
        return same("questions", List.of(name + " " + type), questions);
    }

    public DnsAssert hasNoQuestion() {
        return same("questions", List.of(), questions);
    }

    /** One answer; {@code data} is an address, a name with its last dot, or hexadecimal digits. */
    public DnsAssert hasAnswer(String name, int type, String data) {
        return same("answers", List.of(name + " " + type + " " + data), answers);
    }

    public DnsAssert hasNoAnswer() {
        return same("answers", List.of(), answers);
    }

    /** An OPT record with that size. */
    public DnsAssert hasEdns(int size) {
        return same("EDNS size", size, ednsSize);
    }

    public DnsAssert hasNoEdns() {
        return same("EDNS size", -1, ednsSize);
    }

    private int flags() {
        return u16(2);
    }

    private int u16(int at) {
        return actual.getShort(at) & 0xFFFF;
    }

    private DnsAssert same(String what, Object expected, Object is) {
        if (!expected.equals(is)) {
            throw failureWithActualExpected(
                    is,
                    expected,
                    "DNS %s: expected %s, is %s in %s",
                    what,
                    expected,
                    is,
                    HexFormat.of().formatHex(actual.array()));
        }
        return this;
    }
}
