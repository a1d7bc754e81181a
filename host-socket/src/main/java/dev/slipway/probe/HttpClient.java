package dev.slipway.probe;

import dev.slipway.wire.IpAddress;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.util.Locale;

/** HTTP/1.0 (RFC 1945) over the built-in guest's TCP: one request per connection, bodies streamed and never kept. */
final class HttpClient {

    private static final int MAX_HEAD = 16_384;
    private static final int MAX_TEXT = 1_024;
    private static final int WRITE_AT = 1 << 16;
    private static final long CONNECT_LIMIT = 10_000_000_000L;

    /** Bytes to send with a request. */
    interface Body {

        /** The length to announce, or -1: not announced, the end of the stream ends the body. */
        long announcedLength();

        /** Writes more of it, as much as there is room for; false when there is no more. */
        boolean write(TcpConnection connection);
    }

    /**
     * What came back.
     *
     * @param status the HTTP status code
     * @param bodyLength bytes of the body
     * @param text the first bytes of the body
     * @param connectNanos from SYN to SYN-ACK
     * @param nanos from the request to the last byte of the response
     * @param retransmissions segments that the guest sent again
     */
    record Response(
            int status,
            String reason,
            long bodyLength,
            String text,
            long connectNanos,
            long nanos,
            long retransmissions) {}

    private final Guest guest;
    private final int address;
    private final int port;
    private final String host;

    private final StringBuilder head = new StringBuilder();
    private final StringBuilder text = new StringBuilder();
    private boolean headDone;
    private long headLength;
    private long announced = -1;
    private long bodyLength;
    private ReceiveQueue.Reader bodyReader;

    HttpClient(Guest guest, int address, int port, String host) {
        this.guest = guest;
        this.address = address;
        this.port = port;
        this.host = host;
    }

    /**
     * Sends a request and reads the whole response.
     *
     * @param body may be {@code null}
     * @param reader gets the response's body, positions counted from its first byte
     * @throws IOException if the connection cannot be opened, breaks, or nothing moves on before the limit
     */
    Response exchange(String method, String path, Body body, ReceiveQueue.Reader reader, long limitNanos)
            throws IOException {
        long deadline = guest.now() + limitNanos;
        bodyReader = reader;
        long started = guest.now();
        TcpConnection connection = guest.connect(address, port);
        try {
            boolean settled = guest.await(
                    () -> connection.isOpen() || connection.end() != TcpConnection.End.NONE,
                    Math.min(CONNECT_LIMIT, limitNanos));
            if (!settled || !connection.isOpen()) {
                throw new IOException(
                        "connect to " + where() + ": " + (settled ? text(connection.end()) : "no answer"));
            }
            long opened = guest.now();
            sendHead(connection, method, path, body);
            transfer(connection, body, deadline);
            long done = guest.now();
            if (!headDone) {
                throw new IOException(where() + " sent no HTTP response");
            }
            close(connection);
            return response(connection, opened - started, done - opened);
        } finally {
            guest.release(connection);
        }
    }

    private String where() {
        return IpAddress.toString(address) + ":" + port;
    }

    private static String text(TcpConnection.End end) {
        return end.name().toLowerCase(Locale.ROOT).replace('_', ' ');
    }

    private void sendHead(TcpConnection connection, String method, String path, Body body) {
        StringBuilder request =
                new StringBuilder(method).append(' ').append(path).append(" HTTP/1.0\r\n");
        request.append("Host: ")
                .append(host)
                .append(port == 80 ? "" : ":" + port)
                .append("\r\n");
        request.append("User-Agent: slipway-probe\r\n");
        if (body != null && body.announcedLength() >= 0) {
            request.append("Content-Type: application/octet-stream\r\n");
            request.append("Content-Length: ").append(body.announcedLength()).append("\r\n");
        }
        byte[] bytes = request.append("\r\n").toString().getBytes(StandardCharsets.US_ASCII);
        connection.write(MemorySegment.ofArray(bytes), 0, bytes.length);
    }

    private void transfer(TcpConnection connection, Body body, long deadline) throws IOException {
        boolean[] sending = {body != null};
        while (!isComplete(connection)) {
            if (sending[0] && !body.write(connection)) {
                sending[0] = false;
                if (body.announcedLength() < 0) {
                    connection.finish();
                }
            }
            boolean moved = guest.await(
                    () -> connection.readable() > 0
                            || connection.isAtEnd()
                            || connection.end() != TcpConnection.End.NONE
                            || sending[0] && connection.writable() >= WRITE_AT,
                    deadline - guest.now());
            if (!moved) {
                throw new IOException("timed out after " + describeProgress());
            }
            connection.drain(this::read);
            if (connection.end() != TcpConnection.End.NONE && !isComplete(connection)) {
                throw new IOException(
                        "the connection ended (" + text(connection.end()) + ") after " + describeProgress());
            }
        }
    }

    private String describeProgress() {
        return headDone ? bodyLength + " bytes of the response" : "no response";
    }

    private boolean isComplete(TcpConnection connection) throws IOException {
        if (announced >= 0 && bodyLength >= announced) {
            return true;
        }
        if (connection.isAtEnd() && announced >= 0) {
            throw new IOException("the response ended after " + bodyLength + " of " + announced + " bytes");
        }
        return connection.isAtEnd();
    }

    private void close(TcpConnection connection) throws IOException {
        connection.finish();
        guest.await(() -> connection.end() != TcpConnection.End.NONE, 200_000_000L);
    }

    private void read(long position, MemorySegment bytes, long offset, int length) {
        int at = 0;
        while (!headDone && at < length) {
            head.append((char) (bytes.get(ValueLayout.JAVA_BYTE, offset + at) & 0xFF));
            at++;
            int end = head.length();
            headDone = end >= MAX_HEAD || end >= 4 && head.charAt(end - 1) == '\n' && head.charAt(end - 3) == '\n';
            headLength = end;
            if (headDone) {
                announced = announcedLength();
            }
        }
        if (at == length) {
            return;
        }
        for (int i = at; i < length && text.length() < MAX_TEXT; i++) {
            text.append((char) (bytes.get(ValueLayout.JAVA_BYTE, offset + i) & 0xFF));
        }
        bodyLength += length - at;
        bodyReader.read(position + at - headLength, bytes, offset + at, length - at);
    }

    private long announcedLength() {
        String lower = head.toString().toLowerCase(Locale.ROOT);
        int at = lower.indexOf("\r\ncontent-length:");
        if (at < 0) {
            return -1;
        }
        int from = at + "\r\ncontent-length:".length();
        String value = lower.substring(from, lower.indexOf('\r', from)).trim();
        return value.matches("[0-9]{1,18}") ? Long.parseLong(value) : -1;
    }

    private Response response(TcpConnection connection, long connectNanos, long nanos) throws IOException {
        String line = head.substring(0, Math.max(0, head.indexOf("\r\n")));
        if (!line.matches("HTTP/1\\.[0-9] [0-9]{3}.*")) {
            throw new IOException("not an HTTP response: '" + line.substring(0, Math.min(60, line.length())) + "'");
        }
        return new Response(
                Integer.parseInt(line.substring(9, 12)),
                line.substring(Math.min(13, line.length())),
                bodyLength,
                text.toString(),
                connectNanos,
                nanos,
                connection.retransmissions());
    }
}
