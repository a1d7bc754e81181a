package dev.slipway;

import dev.slipway.probe.Pattern;
import dev.slipway.probe.Probe;
import java.io.IOException;
import java.io.InputStream;
import java.io.PrintStream;
import java.net.DatagramPacket;
import java.net.DatagramSocket;
import java.net.InetAddress;
import java.net.URI;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.concurrent.TimeUnit;

/**
 * The other side of {@code slipway train}: a guest, and the servers that it talks to. It asks for names, opens connections
 * as fast as it can, and moves bytes on several at a time, as a guest does that shares its machine with others: not always
 * as fast as they come, and not without loss.
 */
final class TrainingGuest {

    /** Whose names its name server knows. */
    static final String DOMAIN = "train.test";

    private static final int MTU = 1_500;
    private static final int QUERIES_AT_A_TIME = 32;
    private static final int FRAMES_BETWEEN_STALLS = 5_000;

    private TrainingGuest() {}

    /**
     * Says where its name server is, waits for a line, which means that the network is up, and works until it is done or
     * the other side is gone.
     *
     * @param nanos how long each kind of work takes
     */
    static int run(Path socket, long nanos, InputStream in, PrintStream out) throws IOException {
        Pattern pattern = new Pattern(1);
        try (NameServer names = new NameServer();
                DemoServer web = new DemoServer(pattern)) {
            out.println("127.0.0.1#" + names.port());
            if (in.read() < 0) {
                return Command.FAILED;
            }
            Thread.ofPlatform().daemon().name("train-end").start(() -> exitWith(in));
            URI page = URI.create("http://host.docker.internal:" + web.port() + "/");
            ask(socket, page.getHost(), names.port(), nanos, out);
            load(socket, page, nanos, pattern, out);
            fetch(socket, page, nanos, out);
            return Command.DONE;
        }
    }

    /** A guest without a network has nothing to do. */
    private static void exitWith(InputStream in) {
        try {
            while (in.read() >= 0) {
                // Nothing more is said.
            }
        } catch (IOException e) {
            // It is gone.
        }
        System.exit(Command.FAILED);
    }

    private static void ask(Path socket, String host, int nameServer, long nanos, PrintStream out) throws IOException {
        try (Probe guest = Probe.attach(socket, MTU)) {
            guest.acquireLease();
            out.println(guest.lookUps(DOMAIN, QUERIES_AT_A_TIME, nanos) + " names");
            // To a resolver of the guest's own choice: datagrams like any other.
            out.println(guest.lookUpsAt(host, nameServer, DOMAIN, QUERIES_AT_A_TIME, nanos) + " datagrams");
        }
    }

    private static void load(Path socket, URI page, long nanos, Pattern pattern, PrintStream out) throws IOException {
        try (Probe guest = Probe.attachStalling(socket, MTU, FRAMES_BETWEEN_STALLS)) {
            guest.acquireLease();
            URI endless = page.resolve("download/" + TimeUnit.NANOSECONDS.toMillis(2 * nanos));
            out.println(guest.downloads(endless, DemoServer.CONNECTIONS, nanos) + " bytes down");
            out.println(guest.uploads(page.resolve("upload"), pattern, DemoServer.CONNECTIONS, nanos) + " bytes up");
        }
    }

    /** As fast as it can, one after the other; so last, when the guest itself is fast. */
    private static void fetch(Path socket, URI page, long nanos, PrintStream out) throws IOException {
        try (Probe guest = Probe.attach(socket, MTU)) {
            guest.acquireLease();
            long end = System.nanoTime() + nanos;
            int pages = 0;
            for (; System.nanoTime() < end; pages++) {
                guest.fetchText(page.resolve("hello"), DemoServer.HELLO);
            }
            out.println(pages + " pages");
        }
    }

    /** Says of every name that it has the address 192.0.2.1 (RFC 5737). */
    private static final class NameServer implements AutoCloseable {

        private static final byte[] ANSWER = {(byte) 0xC0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, (byte) 192, 0, 2, 1};

        private final DatagramSocket socket = new DatagramSocket(0, InetAddress.ofLiteral("127.0.0.1"));

        NameServer() throws IOException {
            Thread.ofPlatform().daemon().name("train-names").start(this::serve);
        }

        int port() {
            return socket.getLocalPort();
        }

        private void serve() {
            byte[] buffer = new byte[MTU];
            while (!socket.isClosed()) {
                try {
                    DatagramPacket packet = new DatagramPacket(buffer, buffer.length);
                    socket.receive(packet);
                    byte[] response = Arrays.copyOf(buffer, packet.getLength() + ANSWER.length);
                    response[2] |= (byte) 0x80;
                    response[7] = 1;
                    System.arraycopy(ANSWER, 0, response, packet.getLength(), ANSWER.length);
                    packet.setData(response);
                    socket.send(packet);
                } catch (IOException e) {
                    return;
                }
            }
        }

        @Override
        public void close() {
            socket.close();
        }
    }
}
