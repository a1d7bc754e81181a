package dev.slipway.guest;

import dev.slipway.testing.DnsBuilder;
import dev.slipway.testing.PacketBuilder;
import dev.slipway.wire.BigEndian;
import dev.slipway.wire.Checksum;
import dev.slipway.wire.IpAddress;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;

/**
 * Frames that a guest might send if it had lost its mind: bytes without sense, and good frames in which a few bytes were
 * changed or the end cut off, every other one with its checksums put right, so that the damage gets further. The
 * addresses stay what they were: nothing goes to another machine.
 */
final class RandomFrames {

    private static final int LONGEST = 1_514;
    private static final int IP = 14;
    private static final int MOST_CHANGES = 4;

    private final Random random;
    private final List<byte[]> good = new ArrayList<>();

    /**
     * @param withNames whether there are queries among them, which a name server of the host may get to see
     */
    RandomFrames(PacketBuilder guest, String gateway, boolean withNames, long seed) {
        random = new Random(seed);
        add(guest.arpRequest(gateway));
        add(guest.icmp(gateway).payload(new byte[64]).build());
        add(guest.dhcp(1).hostName("random").parameters(1, 3, 6, 15, 26).build());
        add(guest.dhcp(3)
                .requested(IpAddress.toString(guest.address()))
                .server(gateway)
                .build());
        add(guest.udp(gateway, 7).payload("echo").build());
        add(guest.tcp(gateway, 81)
                .seq(1)
                .flags(2)
                .mss(1_460)
                .sackPermitted()
                .timestamps(1, 0)
                .windowScale(7)
                .build());
        add(guest.tcp(gateway, 81).seq(2).ack(1).sack(10, 20).payload("data").build());
        MemorySegment large = guest.icmp(gateway).payload(new byte[4_000]).build();
        for (MemorySegment fragment : PacketBuilder.fragments(large, 1_400)) {
            add(fragment);
        }
        if (withNames) {
            add(guest.dns(gateway, 40_000, DnsBuilder.query("www.example.test", 1)));
            add(guest.tcp(gateway, 53).seq(1).flags(2).mss(1_460).build());
        }
    }

    private void add(MemorySegment frame) {
        good.add(PacketBuilder.bytes(frame));
    }

    byte[] next() {
        if (random.nextInt(5) == 0) {
            byte[] senseless = new byte[random.nextInt(LONGEST + 20)];
            random.nextBytes(senseless);
            return senseless;
        }
        byte[] original = good.get(random.nextInt(good.size()));
        byte[] frame = original.clone();
        for (int i = random.nextInt(MOST_CHANGES + 1); i > 0; i--) {
            frame[random.nextInt(frame.length)] = (byte) random.nextInt(256);
        }
        boolean ipv4 = original[12] == 8 && original[13] == 0;
        if (ipv4) {
            keep(original, frame, 0, 12);
            keep(original, frame, IP + 12, IP + 20);
            keep(original, frame, 70, 76); // a DHCP client's own address
        } else {
            keep(original, frame, 6, 12);
            keep(original, frame, 22, 32);
        }
        if (random.nextBoolean() && ipv4) {
            putChecksumsRight(frame);
        }
        return random.nextInt(8) == 0 ? Arrays.copyOf(frame, random.nextInt(frame.length)) : frame;
    }

    private static void keep(byte[] original, byte[] frame, int from, int to) {
        if (frame.length >= to) {
            System.arraycopy(original, from, frame, from, to - from);
        }
    }

    private static void putChecksumsRight(byte[] bytes) {
        MemorySegment frame = MemorySegment.ofArray(bytes);
        int header = (bytes[IP] & 0xF) * 4;
        int transport = IP + header;
        if (header < 20 || transport + 8 > bytes.length) {
            return;
        }
        BigEndian.putU16(frame, IP + 10, 0);
        BigEndian.putU16(frame, IP + 10, Checksum.finish(Checksum.sum(frame, IP, header)));
        int protocol = bytes[IP + 9];
        int field = transport + (protocol == 1 ? 2 : protocol == 17 ? 6 : 16);
        if (field + 2 > bytes.length) {
            return;
        }
        int length = bytes.length - transport;
        int pseudo = protocol == 1
                ? 0
                : Checksum.pseudoHeader(
                        BigEndian.i32(frame, IP + 12), BigEndian.i32(frame, IP + 16), protocol & 0xFF, length);
        BigEndian.putU16(frame, field, 0);
        BigEndian.putU16(frame, field, Checksum.finish(pseudo + Checksum.sum(frame, transport, length)));
    }
}
