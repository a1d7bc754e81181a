package dev.slipway.dhcp;

import dev.slipway.fuzz.Input;
import dev.slipway.seam.Ipv6Settings;
import dev.slipway.seam.StackSettings;
import dev.slipway.wire.DropReason;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.util.HashMap;
import java.util.Map;

/**
 * Messages of DHCP clients, one after the other, to one server for each family and its table. No address ever has two
 * owners, and no answer is longer than it may be.
 */
public final class LeaseServersFuzz {

    private static final int MAX_MESSAGES = 60;

    private LeaseServersFuzz() {}

    private static void check(boolean holds, String what) {
        if (!holds) {
            throw new AssertionError(what);
        }
    }

    public static void fuzzerTestOneInput(byte[] data) {
        Input input = new Input(data);
        StackSettings settings = StackSettings.defaults().withIpv6(Ipv6Settings.DEFAULTS);
        LeaseTable leases = new LeaseTable(settings);
        DhcpServer server = new DhcpServer(settings, leases, leases.join());
        DhcpServer other = new DhcpServer(settings, leases, leases.join());
        Dhcp6Server server6 = new Dhcp6Server(settings, new byte[] {4, 't', 'e', 's', 't', 0});
        long now = 1_000_000_000L;
        for (int i = 0; i < MAX_MESSAGES && input.hasMore(); i++) {
            int kind = input.u8();
            switch (kind % 4) {
                case 0 -> now += 1L << input.u8() % 52;
                case 1 -> dhcp6(server6, input.bytes(input.u16() % 700), kind);
                default -> dhcp(kind % 4 == 2 ? server : other, message(input), now);
            }
            Map<Integer, Long> owners = new HashMap<>();
            for (Lease lease : leases.leases()) {
                check(settings.contains(lease.address()), "a lease outside of the network");
                Long before = owners.put(lease.address(), lease.mac());
                check(before == null, "an address with two owners");
            }
        }
    }

    /** A message that is one as far as its first 240 bytes are concerned, if the input does not say otherwise. */
    private static byte[] message(Input input) {
        int kind = input.u8();
        byte[] options = input.bytes(input.u16() % 400);
        if ((kind & 0x80) != 0) {
            return options;
        }
        ByteBuffer bytes = ByteBuffer.allocate(240 + 3 + options.length);
        bytes.put((byte) 1)
                .put((byte) 1)
                .put((byte) 6)
                .put((byte) 0)
                .putInt(kind)
                .putShort((short) 0);
        bytes.putShort((short) ((kind & 0x40) != 0 ? 0x8000 : 0));
        bytes.putInt((kind & 0x20) != 0 ? 0xC0A8_4100 | input.u8() : 0)
                .putInt(0)
                .putInt(0);
        bytes.putInt((kind & 0x10) != 0 ? input.i32() : 0);
        bytes.put(new byte[] {0x52, 0x54, 0, 0, 0, (byte) (input.u8() & 7)});
        bytes.position(236);
        bytes.putInt(0x6382_5363).put((byte) 53).put((byte) 1).put((byte) (kind & 0xF));
        return bytes.put(options).array();
    }

    private static void dhcp(DhcpServer server, byte[] message, long now) {
        if (server.answer(MemorySegment.ofArray(message), 0, message.length, now) == DropReason.NONE) {
            int length = server.replyLength();
            check(length == 0 || length >= 300 && length <= 1_472, "an answer of " + length + " bytes");
            if (length > 0) {
                server.copyReply(MemorySegment.ofArray(new byte[length]), 0);
            }
        }
    }

    private static void dhcp6(Dhcp6Server server, byte[] bytes, int kind) {
        if ((kind & 0x80) == 0 && bytes.length > 0) {
            bytes[0] = (byte) (1 + (kind >>> 2) % 11);
        }
        if (server.answer(MemorySegment.ofArray(bytes), 0, bytes.length) == DropReason.NONE) {
            check(server.replyLength() > 0 && server.replyLength() <= 1_200, "an answer of " + server.replyLength());
        }
    }
}
