package dev.slipway.testing;

import dev.slipway.wire.IpAddress;
import dev.slipway.wire.MacAddress;
import java.io.ByteArrayOutputStream;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;

/** A DHCP message from a guest (RFC 2131): a BOOTREQUEST with option 53, and what is set. */
public final class DhcpBuilder {

    private final PacketBuilder guest;
    private final ByteArrayOutputStream options = new ByteArrayOutputStream();
    private int operation = 1;
    private int hardwareType = 1;
    private int hardwareLength = 6;
    private int transaction = 0x3903_F326;
    private int flags;
    private int clientAddress;
    private int relay;
    private int magic = 0x6382_5363;
    private long hardwareAddress;
    private String source = "0.0.0.0";
    private String destination = "255.255.255.255";
    private boolean ended = true;

    DhcpBuilder(PacketBuilder guest, int messageType) {
        this.guest = guest;
        this.hardwareAddress = guest.mac();
        if (messageType > 0) {
            option(53, messageType);
        }
    }

    public DhcpBuilder operation(int value) {
        operation = value;
        return this;
    }

    public DhcpBuilder hardware(int type, int length) {
        hardwareType = type;
        hardwareLength = length;
        return this;
    }

    /** The client's hardware address, if it is not the guest's. */
    public DhcpBuilder chaddr(long mac) {
        hardwareAddress = mac;
        return this;
    }

    public DhcpBuilder xid(int value) {
        transaction = value;
        return this;
    }

    /** Asks for replies to be broadcast. */
    public DhcpBuilder broadcastFlag() {
        flags = 0x8000;
        return this;
    }

    /** The address the client has and uses: the packet comes from it, to the server. */
    public DhcpBuilder ciaddr(String ip, String server) {
        clientAddress = IpAddress.parseV4(ip);
        source = ip;
        destination = server;
        return this;
    }

    public DhcpBuilder giaddr(String ip) {
        relay = IpAddress.parseV4(ip);
        return this;
    }

    public DhcpBuilder magic(int value) {
        magic = value;
        return this;
    }

    /** Option 50. */
    public DhcpBuilder requested(String ip) {
        return addressOption(50, ip);
    }

    /** Option 54. */
    public DhcpBuilder server(String ip) {
        return addressOption(54, ip);
    }

    public DhcpBuilder hostName(String name) {
        return option(12, bytes(name.getBytes(StandardCharsets.US_ASCII)));
    }

    public DhcpBuilder parameters(int... codes) {
        return option(55, codes);
    }

    public DhcpBuilder addressOption(int code, String ip) {
        return option(code, bytes(PacketBuilder.ip4(IpAddress.parseV4(ip))));
    }

    /** An option with the right length. */
    public DhcpBuilder option(int code, int... data) {
        options.write(code);
        options.write(data.length);
        return raw(data);
    }

    /** Bytes of options, right or wrong. */
    public DhcpBuilder raw(int... bytes) {
        for (int value : bytes) {
            options.write(value);
        }
        return this;
    }

    /** Leaves out option 255. */
    public DhcpBuilder withoutEnd() {
        ended = false;
        return this;
    }

    /** The message: the UDP payload. */
    public byte[] message() {
        byte[] list = options.toByteArray();
        ByteBuffer message = ByteBuffer.allocate(240 + list.length + (ended ? 1 : 0));
        message.put((byte) operation)
                .put((byte) hardwareType)
                .put((byte) hardwareLength)
                .put((byte) 0);
        message.putInt(transaction).putShort((short) 0).putShort((short) flags);
        message.putInt(clientAddress).putInt(0).putInt(0).putInt(relay);
        message.put(PacketBuilder.mac6(hardwareAddress))
                .position(236)
                .putInt(magic)
                .put(list);
        if (ended) {
            message.put((byte) 255);
        }
        return message.array();
    }

    /** The message in a segment of its own. */
    public MemorySegment segment() {
        return PacketBuilder.segment(message());
    }

    /** The message in a frame: broadcast unless {@link #ciaddr} was called. */
    public MemorySegment build() {
        PacketBuilder from = destination.equals("255.255.255.255") ? guest.to(MacAddress.BROADCAST) : guest;
        return from.udp(destination, 67)
                .source(source)
                .port(68)
                .payload(message())
                .build();
    }

    private static int[] bytes(byte[] data) {
        int[] values = new int[data.length];
        for (int i = 0; i < data.length; i++) {
            values[i] = data[i] & 0xFF;
        }
        return values;
    }
}
