package dev.slipway.probe;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Supplier;

/** Several TCP connections to one server at a time, each of which sends a request and then moves bytes one way. */
final class TcpLoad {

    private final Guest guest;
    private final int address;
    private final int port;
    private final byte[] request;
    private final Supplier<HttpClient.Body> bodies;
    private final List<Flow> flows = new ArrayList<>();
    private long moved;

    private record Flow(TcpConnection connection, HttpClient.Body body) {}

    /**
     * @param request what each connection sends first
     * @param bodies what each sends after that, without end; of {@code null}s: nothing, so that only the server sends
     */
    TcpLoad(Guest guest, int address, int port, String request, Supplier<HttpClient.Body> bodies) {
        this.guest = guest;
        this.address = address;
        this.port = port;
        this.request = request.getBytes(StandardCharsets.US_ASCII);
        this.bodies = bodies;
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
                flows.add(new Flow(connection, bodies.get()));
                connection.write(MemorySegment.ofArray(request), 0, request.length);
            }
            guest.await(this::isOver, end - guest.now());
            for (Flow flow : flows) {
                TcpConnection.End how = flow.connection.end();
                if (!flow.connection.isOpen() && how != TcpConnection.End.FINISHED) {
                    throw new IOException("one of " + count + " connections "
                            + (how == TcpConnection.End.NONE ? "was not opened in time" : "ended: " + how));
                }
            }
        } finally {
            flows.forEach(flow -> guest.release(flow.connection));
        }
        return moved;
    }

    /** Moves what can be moved now. */
    private boolean isOver() {
        boolean over = true;
        for (Flow flow : flows) {
            TcpConnection connection = flow.connection;
            if (flow.body != null && connection.isOpen()) {
                int room = connection.writable();
                flow.body.write(connection);
                moved += room - connection.writable();
            }
            connection.drain((position, bytes, offset, length) -> moved += length);
            over &= connection.isAtEnd() || connection.end() != TcpConnection.End.NONE;
        }
        return over;
    }
}
