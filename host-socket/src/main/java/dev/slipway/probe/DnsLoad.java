package dev.slipway.probe;

import dev.slipway.wire.BigEndian;
import dev.slipway.wire.DnsMessage;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;

/** Asks a name server for the addresses of ever new names, some at a time, over UDP. */
final class DnsLoad {

    private static final int IDS = 1 << 16;

    private final Guest guest;
    private final int server;
    private final int serverPort;
    private final byte[] query;
    private final boolean[] waiting = new boolean[IDS];
    private int outstanding;
    private int next;
    private long answers;

    /** @param domain that the names are in */
    DnsLoad(Guest guest, int server, int serverPort, String domain) {
        this.guest = guest;
        this.server = server;
        this.serverPort = serverPort;
        byte[] name = DnsMessage.encodeName("q00000000." + domain);
        query = new byte[DnsMessage.HEADER_LENGTH + name.length + 4];
        MemorySegment bytes = MemorySegment.ofArray(query);
        BigEndian.putU16(bytes, 2, DnsMessage.FLAG_RECURSION_DESIRED);
        BigEndian.putU16(bytes, 4, 1);
        System.arraycopy(name, 0, query, DnsMessage.HEADER_LENGTH, name.length);
        BigEndian.putU16(bytes, query.length - 4, DnsMessage.TYPE_A);
        BigEndian.putU16(bytes, query.length - 2, DnsMessage.CLASS_IN);
    }

    /**
     * Asks for some time.
     *
     * @param window queries that wait at a time
     * @return how many were answered
     */
    long run(int window, long nanos) throws IOException {
        int port = guest.freshPort();
        guest.onDatagram(port, this::received);
        long end = guest.now() + nanos;
        try {
            while (guest.now() < end) {
                while (outstanding < window) {
                    ask(port);
                }
                int before = outstanding;
                if (!guest.await(() -> outstanding < before, Math.max(1, end - guest.now()))) {
                    break;
                }
            }
        } finally {
            guest.onDatagram(port, null);
        }
        return answers;
    }

    private void ask(int port) throws IOException {
        int id = next++ & IDS - 1;
        query[0] = (byte) (id >>> 8);
        query[1] = (byte) id;
        for (int i = 0; i < 8; i++) {
            query[DnsMessage.HEADER_LENGTH + 2 + i] = (byte) Character.forDigit(next >>> 4 * i & 0xF, 16);
        }
        outstanding += waiting[id] ? 0 : 1;
        waiting[id] = true;
        guest.sendUdp(port, server, serverPort, Arrays.copyOf(query, query.length));
    }

    private void received(int source, int sourcePort, MemorySegment bytes, long offset, int length) {
        if (source != server || sourcePort != serverPort || length < DnsMessage.HEADER_LENGTH) {
            return;
        }
        int id = BigEndian.u16(bytes, offset);
        if (waiting[id]) {
            waiting[id] = false;
            outstanding--;
            answers++;
        }
    }
}
