package dev.slipway.testing;

import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;

/** A TCP segment from a guest; port 40000, window 65535 and no flags unless set. */
public final class TcpBuilder extends Ipv4Builder<TcpBuilder> {

    private final int destinationPort;
    private final ByteArrayOutputStream options = new ByteArrayOutputStream();
    private int sourcePort = 40_000;
    private int sequence;
    private int acknowledgement;
    private int flags;
    private int window = 65_535;
    private int dataOffset = -1;
    private int urgentPointer;

    TcpBuilder(PacketBuilder guest, int destination, int destinationPort) {
        super(guest, destination, 6);
        this.destinationPort = destinationPort;
    }

    @Override
    TcpBuilder self() {
        return this;
    }

    /** The guest's own port. */
    public TcpBuilder port(int value) {
        sourcePort = value;
        return this;
    }

    /** The sequence number: its low 32 bits. */
    public TcpBuilder seq(long value) {
        sequence = (int) value;
        return this;
    }

    /** The acknowledgement number: its low 32 bits; the ACK flag is set too. */
    public TcpBuilder ack(long value) {
        acknowledgement = (int) value;
        flags |= 0x10;
        return this;
    }

    /** Adds flags to those set already. */
    public TcpBuilder flags(int... values) {
        for (int value : values) {
            flags |= value;
        }
        return this;
    }

    /** The window field as it stands on the wire. */
    public TcpBuilder window(int value) {
        window = value;
        return this;
    }

    public TcpBuilder mss(int value) {
        return option(2, value >>> 8, value);
    }

    public TcpBuilder windowScale(int shift) {
        return option(3, shift);
    }

    public TcpBuilder sackPermitted() {
        return option(4);
    }

    /** Selective acknowledgements: left and right edge of each block. */
    public TcpBuilder sack(int... edges) {
        ByteBuffer blocks = ByteBuffer.allocate(4 * edges.length);
        blocks.asIntBuffer().put(edges);
        options.write(5);
        options.write(2 + blocks.capacity());
        options.writeBytes(blocks.array());
        return this;
    }

    /** Timestamps (RFC 7323), with the padding everyone puts before them. */
    public TcpBuilder timestamps(int value, int echo) {
        ByteBuffer option = ByteBuffer.allocate(12)
                .put(new byte[] {1, 1, 8, 10})
                .putInt(value)
                .putInt(echo);
        options.writeBytes(option.array());
        return this;
    }

    /** An option of that kind with the right length. */
    public TcpBuilder option(int kind, int... data) {
        options.write(kind);
        options.write(2 + data.length);
        return rawOptions(data);
    }

    /** Bytes of options, right or wrong; all options together are padded with zeros to a multiple of 4. */
    public TcpBuilder rawOptions(int... bytes) {
        for (int value : bytes) {
            options.write(value);
        }
        return this;
    }

    /** What the header says its length in words is. */
    public TcpBuilder dataOffset(int words) {
        dataOffset = words;
        return this;
    }

    /** The urgent pointer; the flag is set too. */
    public TcpBuilder urgent(int pointer) {
        urgentPointer = pointer;
        flags |= 0x20;
        return this;
    }

    @Override
    byte[] transport(byte[] sourceAddress, byte[] destinationAddress) {
        int headerLength = 20 + (options.size() + 3) / 4 * 4;
        if (headerLength > 60) {
            throw new IllegalArgumentException(options.size() + " bytes of TCP options, at most 40 fit");
        }
        ByteBuffer segment = ByteBuffer.allocate(headerLength + payload.length);
        segment.putShort((short) sourcePort).putShort((short) destinationPort);
        segment.putInt(sequence).putInt(acknowledgement);
        segment.put((byte) ((dataOffset >= 0 ? dataOffset : headerLength / 4) << 4))
                .put((byte) flags);
        segment.putShort((short) window).putShort((short) 0).putShort((short) urgentPointer);
        segment.put(options.toByteArray()).position(headerLength).put(payload);
        return withChecksum(segment, 16, pseudoHeader(sourceAddress, destinationAddress, segment.capacity()));
    }
}
