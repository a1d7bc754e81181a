package dev.slipway.testing;

import dev.slipway.wire.EthernetFrame;
import dev.slipway.wire.Frame;
import dev.slipway.wire.IpAddress;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;

/**
 * One IPv4 packet from a guest. What is not set is right; each field can be set wrong.
 *
 * @param <B> the builder's own type
 */
public abstract sealed class Ipv4Builder<B extends Ipv4Builder<B>>
        permits TcpBuilder, UdpBuilder, IcmpBuilder, RawIpBuilder {

    private final PacketBuilder guest;
    private final int protocol;
    private int source;
    private int destination;
    private int identification = 0x1234;
    private int ttl = 64;
    private int versionAndLength = -1;
    private int totalLength = -1;
    private int fragmentField;
    private int checksumError;
    private byte[] options = {};
    byte[] payload = {};
    boolean badChecksum;

    Ipv4Builder(PacketBuilder guest, int destination, int protocol) {
        this.guest = guest;
        this.protocol = protocol;
        this.source = guest.address();
        this.destination = destination;
    }

    abstract B self();

    /** What stands behind the IP header, its checksum right unless {@link #badChecksum} was called. */
    abstract byte[] transport(byte[] sourceAddress, byte[] destinationAddress);

    /** Another source address than the guest's. */
    public B source(String ip) {
        source = IpAddress.parseV4(ip);
        return self();
    }

    public B payload(byte[] bytes) {
        payload = bytes.clone();
        return self();
    }

    public B payload(String ascii) {
        payload = ascii.getBytes(StandardCharsets.US_ASCII);
        return self();
    }

    public B ttl(int value) {
        ttl = value;
        return self();
    }

    public B identification(int value) {
        identification = value;
        return self();
    }

    /** IP options, padded with zeros to a multiple of 4. */
    public B ipOptions(int... values) {
        options = new byte[(values.length + 3) / 4 * 4];
        for (int i = 0; i < values.length; i++) {
            options[i] = (byte) values[i];
        }
        return self();
    }

    /** The 16 bits of flags and fragment offset (0x4000: do not fragment, 0x2000: more fragments). */
    public B fragmentField(int value) {
        fragmentField = value;
        return self();
    }

    /** The first byte of the header: version and length in words. */
    public B versionAndLength(int value) {
        versionAndLength = value;
        return self();
    }

    /** What the header says the packet's length is. */
    public B totalLength(int value) {
        totalLength = value;
        return self();
    }

    public B badIpChecksum() {
        checksumError = 1;
        return self();
    }

    /** A wrong checksum of the transport layer. */
    public B badChecksum() {
        badChecksum = true;
        return self();
    }

    /** The frame's bytes. */
    public MemorySegment build() {
        byte[] from = PacketBuilder.ip4(source);
        byte[] to = PacketBuilder.ip4(destination);
        byte[] body = transport(from, to);
        int headerLength = 20 + options.length;
        ByteBuffer packet = ByteBuffer.allocate(headerLength + body.length);
        packet.put((byte) (versionAndLength >= 0 ? versionAndLength : 0x40 | headerLength / 4))
                .put((byte) 0);
        packet.putShort((short) (totalLength >= 0 ? totalLength : packet.capacity()));
        packet.putShort((short) identification).putShort((short) fragmentField);
        packet.put((byte) ttl)
                .put((byte) protocol)
                .putShort((short) 0)
                .put(from)
                .put(to)
                .put(options);
        packet.putShort(10, (short) (~NaiveChecksum.sum(packet.array(), 0, headerLength) + checksumError));
        packet.put(body);
        return guest.ethernet(guest.destinationMac(), EthernetFrame.TYPE_IPV4, packet.array());
    }

    /** The frame, its checksums complete. */
    public Frame frame() {
        return PacketBuilder.frame(build());
    }

    byte[] withChecksum(ByteBuffer body, int checksumAt, int pseudoHeader) {
        body.putShort(checksumAt, (short) 0);
        int sum = NaiveChecksum.sum(body.array(), 0, body.capacity());
        body.putShort(checksumAt, (short) (~NaiveChecksum.fold((long) sum + pseudoHeader) + (badChecksum ? 1 : 0)));
        return body.array();
    }

    int pseudoHeader(byte[] from, byte[] to, int length) {
        return NaiveChecksum.pseudoHeader(from, to, protocol, length);
    }
}
