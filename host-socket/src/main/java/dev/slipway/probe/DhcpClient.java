package dev.slipway.probe;

import dev.slipway.wire.BigEndian;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;

/** Asks for an address: discover, offer, request, acknowledgement (RFC 2131, section 3.1), each sent again if lost. */
final class DhcpClient {

    private static final int CLIENT_PORT = 68;
    private static final int SERVER_PORT = 67;
    private static final int FIXED_LENGTH = 236;
    private static final int MAGIC = 0x6382_5363;
    private static final int MIN_LENGTH = 300;
    private static final long INTERVAL = 1_000_000_000L;

    private static final int DISCOVER = 1;
    private static final int OFFER = 2;
    private static final int REQUEST = 3;
    private static final int ACKNOWLEDGEMENT = 5;
    private static final int REFUSAL = 6;

    private final Guest guest;
    private final int transaction;
    private int answerType;
    private Lease answer;

    DhcpClient(Guest guest) {
        this.guest = guest;
        this.transaction = guest.randomInt();
    }

    /**
     * Gets a lease.
     *
     * @throws IOException if no server answered in time or it refused
     */
    Lease acquire(long limitNanos) throws IOException {
        long deadline = guest.now() + limitNanos;
        guest.onDatagram(CLIENT_PORT, this::received);
        try {
            Lease offer = ask(DISCOVER, null, OFFER, deadline, "no DHCP server made an offer");
            return ask(REQUEST, offer, ACKNOWLEDGEMENT, deadline, "the DHCP server did not confirm its offer");
        } finally {
            guest.onDatagram(CLIENT_PORT, null);
        }
    }

    private Lease ask(int type, Lease offer, int wanted, long deadline, String failure) throws IOException {
        answer = null;
        answerType = 0;
        while (guest.now() < deadline) {
            guest.broadcast(CLIENT_PORT, SERVER_PORT, message(type, offer));
            long wait = Math.min(INTERVAL, deadline - guest.now());
            if (guest.await(() -> answerType == wanted || answerType == REFUSAL, wait)) {
                if (answerType == REFUSAL) {
                    throw new IOException("the DHCP server refused");
                }
                return answer;
            }
        }
        throw new IOException(failure);
    }

    private byte[] message(int type, Lease offer) {
        ByteBuffer message = ByteBuffer.allocate(MIN_LENGTH);
        message.put((byte) 1).put((byte) 1).put((byte) 6).put((byte) 0).putInt(transaction);
        message.putShort(28, (short) (guest.mac() >>> 32)).putInt(30, (int) guest.mac());
        message.position(FIXED_LENGTH).putInt(MAGIC);
        message.put((byte) 53).put((byte) 1).put((byte) type);
        if (offer != null) {
            message.put((byte) 50).put((byte) 4).putInt(offer.address());
            message.put((byte) 54).put((byte) 4).putInt(offer.server());
        }
        // Subnet mask, router, name servers, host name, domain, MTU, search list.
        message.put((byte) 55).put((byte) 7).put(new byte[] {1, 3, 6, 12, 15, 26, 119});
        message.put((byte) 255);
        return message.array();
    }

    private void received(int source, int sourcePort, MemorySegment bytes, long offset, int length) {
        if (sourcePort != SERVER_PORT
                || length < FIXED_LENGTH + 4
                || BigEndian.u8(bytes, offset) != 2
                || BigEndian.i32(bytes, offset + 4) != transaction
                || BigEndian.u48(bytes, offset + 28) != guest.mac()
                || BigEndian.i32(bytes, offset + FIXED_LENGTH) != MAGIC) {
            return;
        }
        int netmask = -1 << 8;
        int router = 0;
        int server = source;
        int mtu = 0;
        int seconds = -1;
        int type = 0;
        List<Integer> nameServers = new ArrayList<>();
        long at = offset + FIXED_LENGTH + 4;
        long end = offset + length;
        while (at < end) {
            int option = BigEndian.u8(bytes, at++);
            if (option == 255) {
                break;
            }
            if (option == 0) {
                continue;
            }
            if (at >= end || at + 1 + BigEndian.u8(bytes, at) > end) {
                return;
            }
            int optionLength = BigEndian.u8(bytes, at++);
            if (option == 53 && optionLength == 1) {
                type = BigEndian.u8(bytes, at);
            } else if (option == 26 && optionLength == 2) {
                mtu = BigEndian.u16(bytes, at);
            } else if (optionLength >= 4) {
                int first = BigEndian.i32(bytes, at);
                switch (option) {
                    case 1 -> netmask = first;
                    case 3 -> router = first;
                    case 51 -> seconds = first;
                    case 54 -> server = first;
                    case 6 -> {
                        for (int i = 0; i + 4 <= optionLength; i += 4) {
                            nameServers.add(BigEndian.i32(bytes, at + i));
                        }
                    }
                    default -> {
                        // What was not asked for.
                    }
                }
            }
            at += optionLength;
        }
        answer = new Lease(BigEndian.i32(bytes, offset + 16), netmask, router, nameServers, mtu, seconds, server);
        answerType = type;
    }
}
