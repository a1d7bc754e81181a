package dev.slipway.testing;

import dev.slipway.seam.StackSettings;
import dev.slipway.wire.EthernetFrame;
import dev.slipway.wire.Frame;
import dev.slipway.wire.IpAddress;
import dev.slipway.wire.MacAddress;
import java.io.ByteArrayOutputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * Makes the frames a guest sends, good ones and bad ones, each into a fresh native segment of exactly its length, so
 * that reading one byte too many throws. Immutable: it holds the guest's addresses; the builders it hands out hold one
 * packet.
 */
public final class PacketBuilder {

    /** The address of {@link #guest}. */
    public static final String GUEST_IP = "192.168.65.3";
    /** The MAC address of {@link #guest}. */
    public static final long GUEST_MAC = 0x5254_0012_3456L;

    private final long mac;
    private final int address;
    private final long gatewayMac;

    private PacketBuilder(long mac, int address, long gatewayMac) {
        this.mac = mac;
        this.address = address;
        this.gatewayMac = gatewayMac;
    }

    /** A guest of {@link StackSettings#defaults}: 192.168.65.3, 52:54:00:12:34:56. */
    public static PacketBuilder guest() {
        return new PacketBuilder(
                GUEST_MAC, IpAddress.parseV4(GUEST_IP), StackSettings.defaults().gatewayMac());
    }

    /** The same guest with another IP address. */
    public PacketBuilder address(String ip) {
        return new PacketBuilder(mac, IpAddress.parseV4(ip), gatewayMac);
    }

    /** The same guest with another MAC address. */
    public PacketBuilder mac(long newMac) {
        return new PacketBuilder(newMac, address, gatewayMac);
    }

    /** The same guest sending to another MAC address than the gateway's. */
    public PacketBuilder to(long destinationMac) {
        return new PacketBuilder(mac, address, destinationMac);
    }

    public long mac() {
        return mac;
    }

    /** The guest's IP address in network order. */
    public int address() {
        return address;
    }

    long destinationMac() {
        return gatewayMac;
    }

    public TcpBuilder tcp(String destination, int port) {
        return new TcpBuilder(this, IpAddress.parseV4(destination), port);
    }

    public UdpBuilder udp(String destination, int port) {
        return new UdpBuilder(this, IpAddress.parseV4(destination), port);
    }

    public IcmpBuilder icmp(String destination) {
        return new IcmpBuilder(this, IpAddress.parseV4(destination));
    }

    /** An IP packet of any protocol; the payload is given as bytes. */
    public RawIpBuilder ipv4(String destination, int protocol) {
        return new RawIpBuilder(this, IpAddress.parseV4(destination), protocol);
    }

    /** A DHCP message from this guest's MAC address, broadcast from 0.0.0.0 unless it says otherwise. */
    public DhcpBuilder dhcp(int messageType) {
        return new DhcpBuilder(this, messageType);
    }

    /** A DNS query in a UDP datagram to the name server. */
    public MemorySegment dns(String nameServer, int port, DnsBuilder query) {
        return udp(nameServer, 53).port(port).payload(query.message()).build();
    }

    /** Who has that address? Broadcast. */
    public MemorySegment arpRequest(String target) {
        return arp(MacAddress.BROADCAST, 1, mac, address, 0, IpAddress.parseV4(target));
    }

    /** That address is mine: a reply to the gateway that it may or may not have asked for. */
    public MemorySegment arpReply(String claimed, String target) {
        return arp(gatewayMac, 2, mac, IpAddress.parseV4(claimed), gatewayMac, IpAddress.parseV4(target));
    }

    /** Any ARP packet for IPv4 over Ethernet. */
    public MemorySegment arp(
            long destination, int operation, long senderMac, int senderIp, long targetMac, int targetIp) {
        ByteBuffer packet = ByteBuffer.allocate(28);
        packet.putShort((short) 1)
                .putShort((short) 0x0800)
                .put((byte) 6)
                .put((byte) 4)
                .putShort((short) operation);
        packet.put(mac6(senderMac)).putInt(senderIp).put(mac6(targetMac)).putInt(targetIp);
        return ethernet(destination, EthernetFrame.TYPE_ARP, packet.array());
    }

    /** Any payload behind an Ethernet header from this guest. */
    public MemorySegment ethernet(long destination, int type, byte[] payload) {
        ByteBuffer frame = ByteBuffer.allocate(14 + payload.length);
        frame.put(mac6(destination)).put(mac6(mac)).putShort((short) type).put(payload);
        return segment(frame.array());
    }

    /**
     * Cuts a frame's IPv4 packet into fragments.
     *
     * @param payloadSize bytes of IP payload in each but the last; rounded down to a multiple of 8
     */
    public static List<MemorySegment> fragments(MemorySegment frame, int payloadSize) {
        byte[] whole = bytes(frame);
        int headerLength = (whole[14] & 0xF) * 4;
        int payload = (whole[16] & 0xFF) << 8 | whole[17] & 0xFF;
        payload -= headerLength;
        int step = payloadSize & ~7;
        if (step == 0) {
            throw new IllegalArgumentException("fragments of " + payloadSize + " bytes carry nothing");
        }
        List<MemorySegment> fragments = new ArrayList<>();
        for (int at = 0; at < payload; at += step) {
            int length = Math.min(step, payload - at);
            fragments.add(fragment(frame, at, length, at + length < payload));
        }
        return fragments;
    }

    /** One fragment of a frame's IPv4 packet: any part of its payload, said to lie where it lay. */
    public static MemorySegment fragment(MemorySegment frame, int at, int length, boolean more) {
        byte[] whole = bytes(frame);
        int headerLength = (whole[14] & 0xF) * 4;
        ByteBuffer part = ByteBuffer.allocate(14 + headerLength + length);
        part.put(whole, 0, 14 + headerLength).put(whole, 14 + headerLength + at, length);
        part.putShort(16, (short) (headerLength + length));
        part.putShort(20, (short) (at / 8 | (more ? 0x2000 : 0)));
        part.putShort(24, (short) 0);
        part.putShort(24, (short) ~NaiveChecksum.sum(part.array(), 14, 14 + headerLength));
        return segment(part.array());
    }

    /** The frame with some of its bytes replaced; no checksum is put right. */
    public static MemorySegment patch(MemorySegment frame, int offset, int... values) {
        byte[] bytes = bytes(frame);
        for (int i = 0; i < values.length; i++) {
            bytes[offset + i] = (byte) values[i];
        }
        return segment(bytes);
    }

    /** The frame's first bytes. */
    public static MemorySegment truncate(MemorySegment frame, int length) {
        return segment(Arrays.copyOf(bytes(frame), length));
    }

    /** The frame with bytes behind it that do not belong to its packet. */
    public static MemorySegment pad(MemorySegment frame, int count, int value) {
        byte[] bytes = Arrays.copyOf(bytes(frame), (int) frame.byteSize() + count);
        Arrays.fill(bytes, (int) frame.byteSize(), bytes.length, (byte) value);
        return segment(bytes);
    }

    /** A frame over the whole of a segment, its checksums complete. */
    public static Frame frame(MemorySegment bytes) {
        return new Frame().set(bytes, 0, (int) bytes.byteSize());
    }

    /** A fresh native segment with these bytes and not one more. */
    public static MemorySegment segment(byte[] bytes) {
        MemorySegment segment = Arena.ofAuto().allocate(bytes.length);
        MemorySegment.copy(bytes, 0, segment, ValueLayout.JAVA_BYTE, 0, bytes.length);
        return segment;
    }

    /** A copy of a segment's bytes. */
    public static byte[] bytes(MemorySegment segment) {
        return segment.toArray(ValueLayout.JAVA_BYTE);
    }

    static byte[] mac6(long mac) {
        return ByteBuffer.allocate(6)
                .putShort((short) (mac >>> 32))
                .putInt((int) mac)
                .array();
    }

    static byte[] ip4(int address) {
        return ByteBuffer.allocate(4).putInt(address).array();
    }

    /** The parts one behind the other. */
    public static byte[] join(byte[]... parts) {
        ByteArrayOutputStream joined = new ByteArrayOutputStream();
        for (byte[] part : parts) {
            joined.writeBytes(part);
        }
        return joined.toByteArray();
    }
}
