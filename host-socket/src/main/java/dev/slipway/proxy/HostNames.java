package dev.slipway.proxy;

import dev.slipway.dns.NameServer;
import dev.slipway.wire.BigEndian;
import dev.slipway.wire.DnsMessage;
import dev.slipway.wire.IpAddress;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;

/**
 * Resolves names for proxied flows as the guest's own queries are resolved: the stack's names first, then the host's
 * resolvers, nothing kept. Belongs to the VM's event loop.
 */
final class HostNames {

    private static final int FIXED = 4;
    private static final int RECORD = 10;
    private static final int POINTER = 0xC0;

    private final NameServer server;

    HostNames(NameServer server) {
        this.server = server;
    }

    /** Whether a name is answered here, so that no proxy knows it. */
    boolean isLocal(String name) {
        return server.isLocal(name);
    }

    /**
     * Asks for the addresses of a name, IPv4 ones and, only if there are none, IPv6 ones.
     *
     * @param found hears once, now or later; empty if there are none, or nobody answers
     */
    void resolve(String name, Consumer<List<IpAddress>> found) {
        ask(name, DnsMessage.TYPE_A, first -> {
            if (first.isEmpty()) {
                ask(name, DnsMessage.TYPE_AAAA, found);
            } else {
                found.accept(first);
            }
        });
    }

    private void ask(String name, int type, Consumer<List<IpAddress>> found) {
        byte[] encoded;
        try {
            encoded = DnsMessage.encodeName(name);
        } catch (IllegalArgumentException e) {
            found.accept(List.of());
            return;
        }
        byte[] query = new byte[DnsMessage.HEADER_LENGTH + encoded.length + FIXED];
        MemorySegment out = MemorySegment.ofArray(query);
        BigEndian.putU16(out, 2, DnsMessage.FLAG_RECURSION_DESIRED);
        BigEndian.putU16(out, 4, 1);
        System.arraycopy(encoded, 0, query, DnsMessage.HEADER_LENGTH, encoded.length);
        BigEndian.putU16(out, DnsMessage.HEADER_LENGTH + encoded.length, type);
        BigEndian.putU16(out, DnsMessage.HEADER_LENGTH + encoded.length + 2L, DnsMessage.CLASS_IN);
        if (!server.query(out, 0, query.length, true, response -> found.accept(addresses(response, query, type)))) {
            found.accept(List.of());
        }
    }

    /** The addresses among the answers, whatever name each belongs to: aliases stand before them. */
    static List<IpAddress> addresses(byte[] response, byte[] query, int type) {
        List<IpAddress> addresses = new ArrayList<>();
        MemorySegment bytes = MemorySegment.ofArray(response);
        if (response.length < query.length || BigEndian.u16(bytes, 4) != 1) {
            return addresses;
        }
        int width = type == DnsMessage.TYPE_A ? 4 : 16;
        int at = query.length;
        for (int left = BigEndian.u16(bytes, 6); left > 0; left--) {
            at = skipName(response, at);
            if (at < 0 || at + RECORD > response.length) {
                break;
            }
            int length = BigEndian.u16(bytes, at + 8);
            if (at + RECORD + length > response.length) {
                break;
            }
            if (BigEndian.u16(bytes, at) == type && length == width) {
                byte[] address = new byte[width];
                System.arraycopy(response, at + RECORD, address, 0, width);
                addresses.add(IpAddress.ofBytes(address));
            }
            at += RECORD + length;
        }
        return addresses;
    }

    /** Where a name ends, or -1; a pointer ends it (RFC 1035, section 4.1.4). */
    private static int skipName(byte[] bytes, int from) {
        int at = from;
        while (at < bytes.length) {
            int label = bytes[at] & 0xFF;
            if (label >= POINTER) {
                return at + 2;
            }
            at += 1 + label;
            if (label == 0) {
                return at;
            }
        }
        return -1;
    }
}
