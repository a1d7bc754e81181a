package dev.slipway.testing;

import java.nio.ByteBuffer;

/** A UDP datagram from a guest; port 40000 unless set. */
public final class UdpBuilder extends Ipv4Builder<UdpBuilder> {

    private final int destinationPort;
    private int sourcePort = 40_000;
    private int length = -1;
    private boolean noChecksum;

    UdpBuilder(PacketBuilder guest, int destination, int destinationPort) {
        super(guest, destination, 17);
        this.destinationPort = destinationPort;
    }

    @Override
    UdpBuilder self() {
        return this;
    }

    /** The guest's own port. */
    public UdpBuilder port(int value) {
        sourcePort = value;
        return this;
    }

    /** What the header says the datagram's length is. */
    public UdpBuilder length(int value) {
        length = value;
        return this;
    }

    /** A checksum of 0: none. */
    public UdpBuilder noChecksum() {
        noChecksum = true;
        return this;
    }

    @Override
    byte[] transport(byte[] sourceAddress, byte[] destinationAddress) {
        ByteBuffer datagram = ByteBuffer.allocate(8 + payload.length);
        datagram.putShort((short) sourcePort).putShort((short) destinationPort);
        datagram.putShort((short) (length >= 0 ? length : datagram.capacity()))
                .putShort((short) 0)
                .put(payload);
        if (noChecksum) {
            return datagram.array();
        }
        int declared = length >= 0 ? length : datagram.capacity();
        byte[] bytes = withChecksum(datagram, 6, pseudoHeader(sourceAddress, destinationAddress, declared));
        if (bytes[6] == 0 && bytes[7] == 0) {
            datagram.putShort(6, (short) 0xFFFF);
        }
        return bytes;
    }
}
