package dev.slipway.testing;

import java.lang.foreign.MemorySegment;
import java.util.Arrays;

/** Assertions about an ICMP message. */
public final class IcmpAssert extends TransportAssert<IcmpAssert> {

    IcmpAssert(SentFrame frame) {
        super(frame, IcmpAssert.class);
    }

    @Override
    int headerLength() {
        return 8;
    }

    public IcmpAssert hasType(int type, int code) {
        return same("type", type, u8(0)).same("code", code, u8(1));
    }

    public IcmpAssert isEchoReply(int id, int sequence) {
        return hasType(0, 0).same("id", id, u16(4)).same("sequence", sequence, u16(6));
    }

    /** What an error says of the next link: the MTU of code 4 (RFC 1191). */
    public IcmpAssert hasNextMtu(int mtu) {
        return same("next MTU", mtu, u16(6));
    }

    /** An error that carries the beginning of that frame's packet: its IP header and at least 8 bytes behind it. */
    public IcmpAssert isAbout(MemorySegment frame) {
        byte[] packet = PacketBuilder.bytes(frame.asSlice(14));
        byte[] quoted = payload();
        if (quoted.length < (packet[0] & 0xF) * 4 + 8) {
            throw failure("an ICMP error quotes only %d bytes: %s", quoted.length, actual);
        }
        return hasPayload(Arrays.copyOf(packet, quoted.length));
    }
}
