package dev.slipway.proxy;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicInteger;

/** A server or a proxy that does what a test says, each connection on a thread of its own. */
final class ScriptedServer implements AutoCloseable {

    final AtomicInteger connections = new AtomicInteger();
    private final ServerSocket server;
    private final Queue<Socket> open = new ConcurrentLinkedQueue<>();
    private final Queue<Throwable> failures = new ConcurrentLinkedQueue<>();

    /** What is done with one connection. */
    interface Script {
        void serve(Connection connection) throws Exception;
    }

    /** One connection, from the server's side. */
    record Connection(Socket socket, InputStream in, OutputStream out) {

        /** Up to and with the empty line; empty at the end. */
        String readHead() throws IOException {
            StringBuilder head = new StringBuilder();
            while (head.indexOf("\r\n\r\n") < 0) {
                int b = in.read();
                if (b < 0) {
                    return "";
                }
                head.append((char) b);
            }
            return head.toString();
        }

        String read(int length) throws IOException {
            return new String(in.readNBytes(length), StandardCharsets.ISO_8859_1);
        }

        void write(String text) throws IOException {
            out.write(text.getBytes(StandardCharsets.ISO_8859_1));
            out.flush();
        }

        /** A response with a body that says what was asked. */
        void answer(String status, String body) throws IOException {
            write("HTTP/1.1 " + status + "\r\nContent-Length: " + body.length() + "\r\n\r\n" + body);
        }

        /** Echoes until the end. */
        void echo() throws IOException {
            byte[] bytes = new byte[64 << 10];
            for (int n = in.read(bytes); n >= 0; n = in.read(bytes)) {
                out.write(bytes, 0, n);
            }
            socket.shutdownOutput();
        }
    }

    private ScriptedServer(ServerSocket server) {
        this.server = server;
    }

    static ScriptedServer start(Script script) throws IOException {
        ScriptedServer scripted = new ScriptedServer(new ServerSocket(0, 1_000, InetAddress.getByName("127.0.0.1")));
        Thread.ofPlatform().daemon().start(() -> scripted.accept(script));
        return scripted;
    }

    /** A server that answers each request with the request's own head. */
    static ScriptedServer mirror() throws IOException {
        return start(connection -> {
            for (String head = connection.readHead(); !head.isEmpty(); head = connection.readHead()) {
                connection.answer("200 OK", head);
            }
        });
    }

    private void accept(Script script) {
        try {
            while (true) {
                Socket socket = server.accept();
                connections.incrementAndGet();
                open.add(socket);
                Thread.ofVirtual().start(() -> serve(script, socket));
            }
        } catch (IOException e) {
            // Closed.
            return;
        }
    }

    private void serve(Script script, Socket socket) {
        try (socket) {
            socket.setTcpNoDelay(true);
            script.serve(new Connection(socket, socket.getInputStream(), socket.getOutputStream()));
        } catch (IOException e) {
            // The other side hung up, which some tests want.
            return;
        } catch (Throwable e) {
            failures.add(e);
        }
    }

    int port() {
        return server.getLocalPort();
    }

    String url() {
        return "http://127.0.0.1:" + port();
    }

    @Override
    public void close() throws IOException {
        server.close();
        for (Socket socket : open) {
            socket.close();
        }
        if (!failures.isEmpty()) {
            throw new AssertionError("the script failed", failures.peek());
        }
    }
}
