package dev.slipway.stack;

import static org.assertj.core.api.Assertions.assertThat;

import dev.slipway.testing.SentFrame;
import dev.slipway.wire.Checksum;
import dev.slipway.wire.IpAddress;
import dev.slipway.wire.Ipv6Packet;
import java.lang.foreign.MemorySegment;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.nio.ByteBuffer;
import java.util.Arrays;
import org.pcap4j.packet.EthernetPacket;
import org.pcap4j.packet.IllegalRawDataException;

/** IPv6 packets of a guest, byte by byte, and what an independent parser reads in those it gets. */
final class Ipv6Packets {

    static final int ICMP = Ipv6Packet.PROTOCOL_ICMP;
    static final int TCP = 6;
    static final int UDP = 17;
    static final String GUEST = "fd65::5054:ff:fe12:3456";
    static final String LINK_LOCAL = "fe80::5054:ff:fe12:3456";
    static final String GATEWAY = "fd65::1";
    static final String HOST = "fd65::254";
    static final String OUTSIDE = "2001:db8::7";

    private Ipv6Packets() {}

    static IpAddress ip(String text) {
        try {
            return IpAddress.ofBytes(InetAddress.getByName(text).getAddress());
        } catch (UnknownHostException e) {
            throw new IllegalArgumentException(e);
        }
    }

    /** An IPv6 packet with its checksum in the place that its protocol has for it. */
    static byte[] packet(String from, String to, int hops, int protocol, byte[] payload, byte... extensions) {
        IpAddress source = ip(from);
        IpAddress destination = ip(to);
        byte[] body = payload.clone();
        int field = protocol == TCP ? 16 : protocol == UDP ? 6 : 2;
        if (body.length >= field + 2 && body[field] == 0 && body[field + 1] == 0) {
            int sum = Checksum.pseudoHeader(source, destination, protocol, body.length)
                    + Checksum.sum(MemorySegment.ofArray(body), 0, body.length);
            int checksum = Checksum.finish(sum);
            body[field] = (byte) (checksum >>> 8);
            body[field + 1] = (byte) checksum;
        }
        byte[] bytes = new byte[40 + extensions.length - (extensions.length > 0 ? 1 : 0) + body.length];
        ByteBuffer all = ByteBuffer.wrap(bytes);
        all.putInt(6 << 28).putShort((short) (bytes.length - 40));
        all.put((byte) (extensions.length > 0 ? extensions[0] : protocol)).put((byte) hops);
        all.put(source.toBytes()).put(destination.toBytes());
        if (extensions.length > 0) {
            all.put(extensions, 1, extensions.length - 1);
        }
        all.put(body);
        return bytes;
    }

    static byte[] message(int type, int length) {
        byte[] bytes = new byte[length];
        bytes[0] = (byte) type;
        return bytes;
    }

    static EthernetPacket read(SentFrame sent) {
        try {
            byte[] bytes = sent.bytes();
            return EthernetPacket.newPacket(bytes, 0, bytes.length);
        } catch (IllegalRawDataException e) {
            throw new AssertionError(e);
        }
    }

    /** The payload of the one packet sent, whose checksum must be good; a partial one is completed. */
    static byte[] checked(SentFrame sent, int protocol) {
        byte[] bytes = sent.bytes();
        IpAddress from = IpAddress.ofBytes(Arrays.copyOfRange(bytes, 22, 38));
        IpAddress to = IpAddress.ofBytes(Arrays.copyOfRange(bytes, 38, 54));
        byte[] payload = Arrays.copyOfRange(bytes, 54, bytes.length);
        int sum = Checksum.pseudoHeader(from, to, protocol, payload.length)
                + Checksum.sum(MemorySegment.ofArray(payload), 0, payload.length);
        assertThat(Checksum.fold(sum)).isEqualTo(0xFFFF);
        return payload;
    }

    /** A UDP datagram without its checksum, which {@link #packet} puts in. */
    static byte[] datagram(int from, int to, byte[] payload) {
        ByteBuffer bytes = ByteBuffer.allocate(8 + payload.length);
        bytes.putShort((short) from).putShort((short) to).putShort((short) (8 + payload.length));
        return bytes.putShort((short) 0).put(payload).array();
    }

    /** An echo request without its checksum. */
    static byte[] echo(int identifier, int sequence, byte[] payload) {
        ByteBuffer bytes = ByteBuffer.allocate(8 + payload.length);
        bytes.put((byte) 128).put((byte) 0).putShort((short) 0);
        return bytes.putShort((short) identifier)
                .putShort((short) sequence)
                .put(payload)
                .array();
    }
}
