package dev.slipway;

import dev.slipway.probe.Pattern;
import dev.slipway.probe.Probe;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.net.DatagramPacket;
import java.net.DatagramSocket;
import java.net.InetAddress;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParseResult;

/**
 * {@code slipway train}: what the launcher runs once after a build, for the JVM to learn which classes a start needs (its
 * AOT cache) and how its methods run (their profiles, by which it compiles them early). It does in one process what users
 * start: the demo, and a network with a guest at its socket, which asks for names and opens connections as fast as it
 * can. No user needs to know of it, so help does not name it.
 */
final class TrainCommand implements Command {

    private static final int READY_SECONDS = 10;
    private static final int MTU = 1_500;
    private static final String DOMAIN = "train.test";
    private static final int QUERIES_AT_A_TIME = 32;
    private static final long LOAD_NANOS = 1_500_000_000L;

    @Override
    public CommandSpec spec() {
        CommandSpec spec = CommandSpec.create().name("slipway train");
        spec.usageMessage().description("Runs what is started often, once, for the JVM's AOT cache.");
        return spec;
    }

    @Override
    public int run(ParseResult parsed, PrintStream out, PrintStream err) throws SettingsException {
        int demo = Main.run(new String[] {"demo", "--quick"}, out, err);
        if (demo != DONE) {
            return demo;
        }
        try {
            Path folder = Files.createTempDirectory("slipway-train");
            try {
                return serve(folder, out, err);
            } finally {
                Files.deleteIfExists(folder);
            }
        } catch (IOException e) {
            err.println("slipway: " + e.getMessage());
            return FAILED;
        } catch (InterruptedException e) {
            return FAILED;
        }
    }

    private static int serve(Path folder, PrintStream out, PrintStream err) throws IOException, InterruptedException {
        try (NameServer names = new NameServer();
                DemoServer web = new DemoServer(new Pattern(1))) {
            return serve(folder, names, web, out, err);
        }
    }

    private static int serve(Path folder, NameServer names, DemoServer web, PrintStream out, PrintStream err)
            throws IOException, InterruptedException {
        String socket = folder.resolve("vm.sock").toString();
        String api = folder.resolve("api.sock").toString();
        ReadyLine ready = new ReadyLine();
        Thread network = Thread.ofPlatform()
                .daemon()
                .name("train-run")
                .start(() -> Main.run(
                        new String[] {
                            "run",
                            "--vm",
                            "qemu:" + socket,
                            "--api",
                            api,
                            // The JVM starts a process of its own in the end, which makes the cache.
                            SettingKey.SANDBOX.flag(),
                            "off",
                            "--dns-for",
                            DOMAIN + "=127.0.0.1#" + names.port()
                        },
                        new PrintStream(ready, true, StandardCharsets.UTF_8),
                        err));
        if (!ready.came.await(READY_SECONDS, TimeUnit.SECONDS)) {
            return FAILED;
        }
        int probe = Main.run(new String[] {"probe", socket}, out, err);
        try (Probe guest = Probe.attach(Path.of(socket), MTU)) {
            guest.acquireLease();
            out.println(guest.lookUps(DOMAIN, QUERIES_AT_A_TIME, LOAD_NANOS) + " names");
            URI page = URI.create("http://host.docker.internal:" + web.port() + "/hello");
            long end = System.nanoTime() + LOAD_NANOS;
            int pages = 0;
            for (; System.nanoTime() < end; pages++) {
                guest.fetchText(page, DemoServer.HELLO);
            }
            out.println(pages + " pages");
        }
        network.interrupt();
        network.join(TimeUnit.SECONDS.toMillis(READY_SECONDS));
        return probe;
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

    /** The stdout of {@code run}, which says one line when VMs can attach. */
    private static final class ReadyLine extends ByteArrayOutputStream {

        final CountDownLatch came = new CountDownLatch(1);

        @Override
        public synchronized void write(byte[] bytes, int offset, int length) {
            super.write(bytes, offset, length);
            if (toString(StandardCharsets.UTF_8).contains("\n")) {
                came.countDown();
            }
        }
    }
}
