package dev.slipway.testing;

/** An IPv4 packet whose payload is given as bytes. */
public final class RawIpBuilder extends Ipv4Builder<RawIpBuilder> {

    RawIpBuilder(PacketBuilder guest, int destination, int protocol) {
        super(guest, destination, protocol);
    }

    @Override
    RawIpBuilder self() {
        return this;
    }

    @Override
    byte[] transport(byte[] sourceAddress, byte[] destinationAddress) {
        return payload;
    }
}
