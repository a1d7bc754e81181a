package dev.slipway.testing;

import java.nio.ByteBuffer;

/** An ICMP message from a guest; an echo request, id 1, sequence 1 unless set. */
public final class IcmpBuilder extends Ipv4Builder<IcmpBuilder> {

    private int type = 8;
    private int code;
    private int rest = 0x0001_0001;

    IcmpBuilder(PacketBuilder guest, int destination) {
        super(guest, destination, 1);
    }

    @Override
    IcmpBuilder self() {
        return this;
    }

    public IcmpBuilder echo(int id, int sequence) {
        rest = id << 16 | sequence & 0xFFFF;
        return this;
    }

    public IcmpBuilder type(int newType, int newCode) {
        type = newType;
        code = newCode;
        return this;
    }

    @Override
    byte[] transport(byte[] sourceAddress, byte[] destinationAddress) {
        ByteBuffer message = ByteBuffer.allocate(8 + payload.length);
        message.put((byte) type)
                .put((byte) code)
                .putShort((short) 0)
                .putInt(rest)
                .put(payload);
        return withChecksum(message, 2, 0);
    }
}
