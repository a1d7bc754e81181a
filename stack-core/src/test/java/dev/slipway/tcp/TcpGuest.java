package dev.slipway.tcp;

import static dev.slipway.testing.PacketMatchers.assertThat;
import static dev.slipway.wire.TcpSegment.ACK;
import static dev.slipway.wire.TcpSegment.FIN;
import static dev.slipway.wire.TcpSegment.RST;
import static dev.slipway.wire.TcpSegment.SYN;

import dev.slipway.testing.PacketBuilder;
import dev.slipway.testing.SentFrame;
import dev.slipway.testing.TcpBuilder;
import java.lang.foreign.MemorySegment;

/** The guest's end of one connection, led by hand: it knows its own numbers and sends what a test tells it to. */
final class TcpGuest {

    final TcpRig rig;
    final int port;
    /** The guest's initial sequence number, and how many payload bytes and FINs it has sent since. */
    final long isn;

    long sentBytes;
    /** The stack's initial sequence number, and what the guest acknowledges of what came behind it. */
    long iss;

    long gotBytes;
    int window = 65_535;

    TcpGuest(TcpRig rig, int port, long isn) {
        this.rig = rig;
        this.port = port;
        this.isn = isn;
    }

    TcpBuilder syn() {
        return rig.guest
                .tcp(TcpRig.SERVER, TcpRig.PORT)
                .port(port)
                .flags(SYN)
                .seq(isn)
                .mss(1460)
                .sackPermitted()
                .windowScale(7);
    }

    /** Takes the SYN-ACK and acknowledges it. */
    void established(SentFrame synAck) {
        iss = assertThat(synAck).isTcp().hasOnly(SYN, ACK).ack(isn + 1).seq();
        rig.input(segment().build());
        // The SYN-ACK could not tell of a window above 64 KiB; the first acknowledgement does.
        if (rig.sent.frames().size() == 1
                && assertThat(rig.sent.frames().getFirst()).isTcp().flags() == ACK
                && rig.sent.frames().getFirst().length() == 54) {
            rig.sent.take();
        }
    }

    /** The number of a byte the guest sends. */
    long mine(long position) {
        return isn + 1 + position;
    }

    /** The number of a byte the guest gets. */
    long theirs(long position) {
        return iss + 1 + position;
    }

    /** An acknowledgement with the numbers that are due. */
    TcpBuilder segment() {
        return at(sentBytes);
    }

    TcpBuilder at(long position) {
        return rig.guest
                .tcp(TcpRig.SERVER, TcpRig.PORT)
                .port(port)
                .seq(mine(position))
                .ack(theirs(gotBytes))
                .window(window);
    }

    /** Payload of the pattern that the host's stream expects. */
    TcpBuilder data(long position, int length) {
        byte[] bytes = new byte[length];
        for (int i = 0; i < length; i++) {
            bytes[i] = PatternStream.at(position + i, 1);
        }
        return at(position).payload(bytes);
    }

    /** Sends payload behind what was sent. */
    void send(int length) {
        MemorySegment frame = data(sentBytes, length).build();
        sentBytes += length;
        rig.input(frame);
    }

    /** Ends what the guest sends. */
    void finish() {
        MemorySegment frame = segment().flags(FIN).build();
        sentBytes++;
        rig.input(frame);
    }

    void reset(long sequence) {
        rig.input(rig.guest
                .tcp(TcpRig.SERVER, TcpRig.PORT)
                .port(port)
                .seq(sequence)
                .flags(RST)
                .build());
    }

    /** Acknowledges everything up to a byte. */
    void acknowledge(long position) {
        gotBytes = position;
        rig.input(segment().build());
    }

    /** A frame of the stack's that is of this connection. */
    dev.slipway.testing.TcpAssert next() {
        return assertThat(rig.sent.next())
                .isTcp()
                .from(TcpRig.SERVER, TcpRig.PORT)
                .to(PacketBuilder.GUEST_IP, port);
    }
}
