package dev.slipway.probe;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;

/** Several TCP connections to one server at a time, each of which sends a request and then moves bytes one way. */
final class TcpLoad {

    private final Guest guest;
    private final int address;
    private final int port;
    private final byte[] request;
    private final Pattern pattern;
    private final List<TcpConnection> connections = new ArrayList<>();
    private long moved;

    /**
     * @param request what each connection sends first
     * @param pattern what each sends after that, without end; {@code null}: nothing, so that only the server sends
     */
    TcpLoad(Guest guest, int address, int port, String request, Pattern pattern) {
        this.guest = guest;
        this.address = address;
        this.port = port;
        this.request = request.getBytes(StandardCharsets.US_ASCII);
        this.pattern = pattern;
    }

    /**
     * Runs for some time, or until the server has ended every connection.
     *
     * @param count connections at a time
     * @return bytes that came, or that were given to the connections to send
     * @throws IOException if a connection could not be opened or has broken
     */
    long run(int count, long nanos) throws IOException {
        long end = guest.now() + nanos;
        try {
            for (int i = 0; i < count; i++) {
                TcpConnection connection = guest.connect(address, port);
                connections.add(connection);
                connection.write(MemorySegment.ofArray(request), 0, request.length);
            }
            guest.await(this::isOver, end - guest.now());
            for (TcpConnection connection : connections) {
                if (!connection.isOpen() && connection.end() != TcpConnection.End.FINISHED) {
                    throw new IOException("one of " + count + " connections ended: " + connection.end());
                }
            }
        } finally {
            connections.forEach(guest::release);
        }
        return moved;
    }

    /** Moves what can be moved now. */
    private boolean isOver() {
        boolean over = true;
        for (TcpConnection connection : connections) {
            if (pattern != null && connection.isOpen()) {
                moved += connection.write(pattern.bytes(), 0, connection.writable());
            }
            connection.drain((position, bytes, offset, length) -> moved += length);
            over &= connection.isAtEnd() || connection.end() != TcpConnection.End.NONE;
        }
        return over;
    }
}
