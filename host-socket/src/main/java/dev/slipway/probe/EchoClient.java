package dev.slipway.probe;

import dev.slipway.wire.BigEndian;
import dev.slipway.wire.Icmpv4Packet;
import dev.slipway.wire.Ipv4Packet;
import java.io.IOException;
import java.lang.foreign.MemorySegment;

/** Pings (RFC 792, echo), one at a time. */
final class EchoClient {

    private static final int IDENTIFIER = 4;
    private static final int SEQUENCE = 6;

    private final Guest guest;
    private int identifier;
    private int sequence;
    private boolean answered;

    EchoClient(Guest guest) {
        this.guest = guest;
    }

    /**
     * Pings an address once.
     *
     * @param payload bytes behind the ICMP header
     * @return nanoseconds until the reply came, or -1 if none did
     */
    long ping(int destination, int payload, long limitNanos) throws IOException {
        int length = Icmpv4Packet.HEADER_LENGTH + payload;
        long at = guest.begin(destination, Ipv4Packet.PROTOCOL_ICMP, length);
        if (at < 0) {
            return -1;
        }
        identifier = guest.randomInt() & 0xFFFF;
        sequence = (sequence + 1) & 0xFFFF;
        answered = false;
        MemorySegment memory = guest.memory();
        BigEndian.putU16(memory, at + IDENTIFIER, identifier);
        BigEndian.putU16(memory, at + SEQUENCE, sequence);
        for (int i = 0; i < payload; i++) {
            BigEndian.putU8(memory, at + Icmpv4Packet.HEADER_LENGTH + i, i);
        }
        Icmpv4Packet.write(memory, at, length, Icmpv4Packet.ECHO_REQUEST, 0);
        long started = guest.now();
        guest.send(length);
        return guest.await(() -> answered, limitNanos) ? guest.now() - started : -1;
    }

    /** An echo reply came. */
    void replied(MemorySegment bytes, long offset) {
        answered |= BigEndian.u16(bytes, offset + IDENTIFIER) == identifier
                && BigEndian.u16(bytes, offset + SEQUENCE) == sequence;
    }
}
