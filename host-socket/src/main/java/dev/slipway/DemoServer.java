package dev.slipway;

import dev.slipway.probe.Pattern;
import java.io.Closeable;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.StandardSocketOptions;
import java.nio.ByteBuffer;
import java.nio.channels.ClosedChannelException;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;

/**
 * The web server of the demo on the host's 127.0.0.1, {@link #CONNECTIONS} connections at a time: {@code /hello} says
 * hello, {@code /download/MILLIS} streams a pattern for that time, {@code POST /upload} compares what it gets with the
 * pattern until the sender ends its half of the connection.
 */
final class DemoServer implements Closeable {

    static final String HELLO = "Hello from the host's localhost\n";

    /** What is served at a time; one more waits for one of them to end. */
    static final int CONNECTIONS = 8;

    private static final int PIECE = 1 << 17;
    private static final int MAX_HEAD = 8_192;

    private final ServerSocketChannel server;
    private final Pattern pattern;
    private volatile long streamed;

    DemoServer(Pattern pattern) throws IOException {
        this.pattern = pattern;
        server = ServerSocketChannel.open();
        server.bind(new InetSocketAddress(InetAddress.ofLiteral("127.0.0.1"), 0));
        for (int i = 0; i < CONNECTIONS; i++) {
            Thread.ofPlatform().daemon().name("demo-server-", i).start(this::serve);
        }
    }

    int port() throws IOException {
        return ((InetSocketAddress) server.getLocalAddress()).getPort();
    }

    /** Bytes that the last {@code /download} streamed. */
    long streamed() {
        return streamed;
    }

    private void serve() {
        ByteBuffer buffer = ByteBuffer.allocateDirect(PIECE);
        while (server.isOpen()) {
            try (SocketChannel client = server.accept()) {
                client.setOption(StandardSocketOptions.TCP_NODELAY, true);
                answer(client, buffer);
            } catch (ClosedChannelException e) {
                return;
            } catch (IOException e) {
                // The guest went away; it knows better than this server what went wrong.
                continue;
            }
        }
    }

    private void answer(SocketChannel client, ByteBuffer buffer) throws IOException {
        StringBuilder head = new StringBuilder();
        buffer.clear();
        int end;
        while ((end = head.indexOf("\r\n\r\n")) < 0) {
            if (head.length() > MAX_HEAD || client.read(buffer) < 0) {
                return;
            }
            buffer.flip();
            head.append(StandardCharsets.ISO_8859_1.decode(buffer));
            buffer.clear();
        }
        String request = head.substring(0, head.indexOf("\r\n"));
        if (request.startsWith("GET /hello ")) {
            send(client, response("200 OK", HELLO));
        } else if (request.matches("GET /download/[0-9]{1,6} .*")) {
            long millis = Long.parseLong(request.substring("GET /download/".length(), request.lastIndexOf(' ')));
            stream(client, millis * 1_000_000);
        } else if (request.startsWith("POST /upload ")) {
            byte[] rest = head.substring(end + 4).getBytes(StandardCharsets.ISO_8859_1);
            send(client, response("200 OK", receive(client, buffer, rest)));
        } else {
            send(client, response("404 Not Found", "There is no such page\n"));
        }
        finish(client, buffer);
    }

    private static ByteBuffer response(String status, String text) {
        String response = "HTTP/1.0 " + status + "\r\nContent-Type: text/plain\r\nContent-Length: " + text.length()
                + "\r\n\r\n" + text;
        return ByteBuffer.wrap(response.getBytes(StandardCharsets.US_ASCII));
    }

    private static void send(SocketChannel client, ByteBuffer bytes) throws IOException {
        while (bytes.hasRemaining()) {
            client.write(bytes);
        }
    }

    private void stream(SocketChannel client, long nanos) throws IOException {
        send(client, ByteBuffer.wrap("HTTP/1.0 200 OK\r\n\r\n".getBytes(StandardCharsets.US_ASCII)));
        ByteBuffer bytes = pattern.bytes().asByteBuffer();
        long position = 0;
        long until = System.nanoTime() + nanos;
        while (System.nanoTime() < until) {
            int from = pattern.offset(position);
            bytes.limit(from + Math.min(PIECE, pattern.run(position))).position(from);
            position += client.write(bytes);
        }
        streamed = position;
    }

    /** What the upload was, for the guest to compare. */
    private String receive(SocketChannel client, ByteBuffer buffer, byte[] first) throws IOException {
        MemorySegment bytes = MemorySegment.ofBuffer(buffer.clear());
        long position = 0;
        long difference = -1;
        buffer.put(first);
        do {
            int length = buffer.position();
            if (difference < 0) {
                difference = pattern.firstDifference(position, bytes, 0, length);
            }
            position += length;
            buffer.clear();
        } while (client.read(buffer) >= 0);
        return position + (difference < 0 ? " bytes, all right\n" : " bytes, wrong at " + difference + "\n");
    }

    /** Ends this half and waits for the end of the other, so that nothing unread turns the end into a reset. */
    private static void finish(SocketChannel client, ByteBuffer buffer) throws IOException {
        client.shutdownOutput();
        do {
            buffer.clear();
        } while (client.read(buffer) >= 0);
    }

    @Override
    public void close() throws IOException {
        server.close();
    }
}
