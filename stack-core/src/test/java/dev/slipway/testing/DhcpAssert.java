package dev.slipway.testing;

import dev.slipway.wire.IpAddress;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.Map;
import org.assertj.core.api.AbstractAssert;

/** Assertions about a DHCP message from a server: the UDP payload. */
public final class DhcpAssert extends AbstractAssert<DhcpAssert, ByteBuffer> {

    private final Map<Integer, byte[]> options = new LinkedHashMap<>();

    private DhcpAssert(ByteBuffer message) {
        super(message, DhcpAssert.class);
    }

    /** Takes a message apart, and fails if it is none. */
    public static DhcpAssert of(byte[] message) {
        DhcpAssert made = new DhcpAssert(ByteBuffer.wrap(message));
        if (message.length < 241) {
            throw made.failure("a DHCP message of %d bytes", message.length);
        }
        made.same("op", 2, (int) message[0]).same("magic", 0x6382_5363, made.actual.getInt(236));
        made.readOptions(message);
        return made;
    }

    private void readOptions(byte[] message) {
        int at = 240;
        while (message[at] != (byte) 255) {
            int code = message[at] & 0xFF;
            if (code == 0) {
                at++;
                continue;
            }
            int length = message[at + 1] & 0xFF;
            byte[] data = Arrays.copyOfRange(message, at + 2, at + 2 + length);
            byte[] before = options.put(code, data);
            if (before != null) {
                options.put(code, PacketBuilder.join(before, data)); // RFC 3396
            }
            at += 2 + length;
        }
        for (int i = at + 1; i < message.length; i++) {
            same("byte " + i + " behind the end", (byte) 0, message[i]);
        }
    }

    /** The message type, option 53. */
    public DhcpAssert hasType(int type) {
        return hasOption(53, type);
    }

    public DhcpAssert hasXid(int xid) {
        return same("xid", xid, actual.getInt(4));
    }

    public DhcpAssert hasFlags(int flags) {
        return same("flags", flags, actual.getShort(10) & 0xFFFF);
    }

    public DhcpAssert hasCiaddr(String ip) {
        return same("ciaddr", ip, IpAddress.toString(actual.getInt(12)));
    }

    /** The address that the client is given. */
    public DhcpAssert hasYiaddr(String ip) {
        return same("yiaddr", ip, IpAddress.toString(yiaddr()));
    }

    public DhcpAssert hasGiaddr(String ip) {
        return same("giaddr", ip, IpAddress.toString(actual.getInt(24)));
    }

    public DhcpAssert hasChaddr(long mac) {
        return same("chaddr", mac, actual.getLong(28) >>> 16);
    }

    /** An option with exactly those bytes. */
    public DhcpAssert hasOption(int code, int... data) {
        byte[] expected = new byte[data.length];
        for (int i = 0; i < data.length; i++) {
            expected[i] = (byte) data[i];
        }
        return same("option " + code, hex(expected), hex(options.get(code)));
    }

    /** An option that holds one address. */
    public DhcpAssert hasAddress(int code, String ip) {
        return same("option " + code, hex(PacketBuilder.ip4(IpAddress.parseV4(ip))), hex(options.get(code)));
    }

    public DhcpAssert hasText(int code, String ascii) {
        byte[] expected = ascii.getBytes(StandardCharsets.US_ASCII);
        return same("option " + code, hex(expected), hex(options.get(code)));
    }

    public DhcpAssert hasNoOption(int code) {
        return same("option " + code, "absent", hex(options.get(code)));
    }

    /** The address given, in network order. */
    public int yiaddr() {
        return actual.getInt(16);
    }

    /** An option's bytes, or an empty array. */
    public byte[] option(int code) {
        return options.getOrDefault(code, new byte[0]).clone();
    }

    private static String hex(byte[] data) {
        return data == null ? "absent" : HexFormat.ofDelimiter(" ").formatHex(data);
    }

    private DhcpAssert same(String what, Object expected, Object is) {
        if (!expected.equals(is)) {
            throw failureWithActualExpected(
                    is, expected, "DHCP %s: expected %s, is %s in %s", what, expected, is, hex(actual.array()));
        }
        return this;
    }
}
