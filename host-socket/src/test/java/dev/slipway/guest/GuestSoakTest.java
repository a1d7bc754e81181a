package dev.slipway.guest;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.DatagramChannel;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIfSystemProperty;
import org.junit.jupiter.api.extension.ExtendWith;

/**
 * Days of a laptop in minutes: short TCP connections, UDP ports, names, published ports, VMs that go and come, and resolvers
 * that change, round after round. In the end descriptors, resident memory, heap after a collection, flows and ports are
 * what they were after the first rounds, and the idle process needs hardly any processor time.
 *
 * <p>Runs only if it is told how long: {@code -Dslipway.soak.minutes=60}; docs/testing.md has the command.
 */
@Tag("guest")
@Tag("slow")
@EnabledIfSystemProperty(named = "slipway.soak.minutes", matches = "[0-9.]+")
@ExtendWith(NeedsNamespaces.class)
class GuestSoakTest {

    private static final double MIB = 1 << 20;
    private static final int CONNECTIONS = 160;
    private static final int DATAGRAM_PORTS = 60;
    private static final int NAMES = 20;
    private static final int PUBLISHED = 5;
    /** Until code is compiled and buffers have their sizes. */
    private static final int WARM_UP_ROUNDS = 20;
    /** The time that UDP ports live without an answer, and some more. */
    private static final Duration QUIET = Duration.ofSeconds(40);

    private static final int IDLE_SECONDS = 20;
    private static final double MAY_GROW_RESIDENT = 24 * MIB;
    private static final double MAY_GROW_HEAP = 2 * MIB;

    /** What the process holds. */
    private record Ledger(int descriptors, long resident, long heap, long tcp, long udp, long names) {

        @Override
        public String toString() {
            return String.format(
                    "%d descriptors, %.1f MiB resident, %.2f MiB heap after GC, %d TCP, %d UDP, %d queries",
                    descriptors, resident / MIB, heap / MIB, tcp, udp, names);
        }
    }

    @Test
    void roundAfterRoundLeavesNothing() throws Exception {
        double minutes = Double.parseDouble(System.getProperty("slipway.soak.minutes"));
        try (NamespaceGuest machines = NamespaceGuest.start(Backend.SLIPWAY)) {
            machines.lease();
            InetSocketAddress echo = EchoServer.start(
                    machines.internet(),
                    HostMachine.INTERNET,
                    machines.directory().resolve("echo"));
            for (int round = 0; round < WARM_UP_ROUNDS; round++) {
                round(machines, echo, round);
            }
            Ledger before = settled(machines);
            System.out.println("soak: after the warm-up " + before);
            long end = System.nanoTime() + (long) (minutes * TimeUnit.MINUTES.toNanos(1));
            int rounds = 0;
            while (System.nanoTime() < end) {
                round(machines, echo, rounds++);
            }
            Ledger after = settled(machines);
            System.out.printf(
                    "soak: %d rounds in %.1f minutes, %d TCP connections, %d queries; then %s%n",
                    rounds,
                    minutes,
                    machines.status().count("tcpOpened"),
                    machines.status().count("dnsQueries"),
                    after);
            assertThat(after.descriptors()).as("descriptors").isLessThanOrEqualTo(before.descriptors());
            assertThat(after.tcp()).as("TCP connections").isZero();
            assertThat(after.udp()).as("UDP ports").isLessThanOrEqualTo(before.udp());
            assertThat(after.names()).as("queries").isZero();
            assertThat((double) after.resident() - before.resident())
                    .as("growth of what is resident")
                    .isLessThan(MAY_GROW_RESIDENT);
            assertThat((double) after.heap() - before.heap())
                    .as("growth of the heap after a collection")
                    .isLessThan(MAY_GROW_HEAP);
            for (String counter : new String[] {"stackFailures", "linkFailures", "outOfMemory", "tcpFlowsShed"}) {
                assertThat(machines.status().count(counter)).as(counter).isZero();
            }
            long processor = machines.backend().processorMillis();
            TimeUnit.SECONDS.sleep(IDLE_SECONDS);
            double idle = (machines.backend().processorMillis() - processor) / (10.0 * IDLE_SECONDS);
            System.out.printf("soak: idle, %.2f %% of a processor%n", idle);
            assertThat(idle).as("per cent of a processor while idle").isLessThan(1);
            assertThat(machines.backendOutput()).doesNotContain("LEAK:", "defect number");
        }
    }

    private static void round(NamespaceGuest machines, InetSocketAddress echo, int round) throws IOException {
        try (ShortConnections connections = ShortConnections.start(machines, CONNECTIONS)) {
            assertThat(connections.join())
                    .as("short connections of round %d", round)
                    .isEqualTo(CONNECTIONS);
        }
        for (int i = 0; i < DATAGRAM_PORTS; i++) {
            try (DatagramChannel port = machines.guest().call(DatagramChannel::open)) {
                port.send(ByteBuffer.wrap(new byte[100]), new InetSocketAddress(HostMachine.INTERNET, 9));
            }
        }
        for (int i = 0; i < NAMES; i++) {
            lookUp(machines, "n" + (round * NAMES + i) + ".test");
        }
        for (int i = 0; i < PUBLISHED; i++) {
            int port = 20_000 + i;
            api(machines.apiSocket(), "POST", "/v1/ports", "{\"ports\":[\"127.0.0.1:" + port + ":9\"]}");
            api(machines.apiSocket(), "DELETE", "/v1/ports?local=127.0.0.1:" + port, "");
        }
        if (round % 5 == 4) {
            machines.reconnect();
            machines.lease();
        }
        if (round % 10 == 9) {
            boolean odd = round / 10 % 2 == 1;
            machines.host().nameServers(odd ? HostMachine.INTERNET : HostMachine.OTHER_NAME_SERVER);
        }
    }

    /** A query of the guest's, whose answer, of whatever kind, is taken. */
    private static void lookUp(NamespaceGuest machines, String name) throws IOException {
        ByteBuffer query = ByteBuffer.allocate(512);
        query.putShort((short) 7).putShort((short) 0x0100).putShort((short) 1);
        query.putShort((short) 0).putInt(0);
        for (String label : name.split("\\.")) {
            query.put((byte) label.length()).put(label.getBytes(StandardCharsets.US_ASCII));
        }
        query.put((byte) 0).putShort((short) 1).putShort((short) 1).flip();
        try (DatagramChannel port = machines.guest().call(DatagramChannel::open)) {
            port.connect(new InetSocketAddress(Backend.SLIPWAY.gateway(), 53));
            port.write(query);
            port.socket().setSoTimeout(6_000);
            byte[] answer = new byte[512];
            port.socket().receive(new java.net.DatagramPacket(answer, answer.length));
        }
    }

    private static void api(Path socket, String method, String path, String body) throws IOException {
        try (SocketChannel client = SocketChannel.open(StandardProtocolFamily.UNIX)) {
            client.connect(UnixDomainSocketAddress.of(socket));
            client.write(ByteBuffer.wrap((method + " " + path + " HTTP/1.1\r\nHost: slipway\r\nConnection: close\r\n"
                            + "Content-Length: " + body.length() + "\r\n\r\n" + body)
                    .getBytes(StandardCharsets.US_ASCII)));
            ByteBuffer response = ByteBuffer.allocate(1 << 14);
            while (client.read(response) >= 0 && response.hasRemaining()) {
                // Until the server closes.
                continue;
            }
            assertThat(StandardCharsets.UTF_8.decode(response.flip()).toString())
                    .as(method + " " + path)
                    .startsWith("HTTP/1.1 20");
        }
    }

    /** What is held once all that times out by itself has done so. */
    private static Ledger settled(NamespaceGuest machines) throws Exception {
        Thread.sleep(QUIET.toMillis());
        Await.until(
                "no connection is open",
                Duration.ofSeconds(30),
                () -> machines.status().count("tcpOpen") == 0);
        BackendStatus status = machines.status();
        return new Ledger(
                machines.backend().descriptors(),
                machines.backend().residentBytes(),
                heapAfterCollection(machines),
                status.count("tcpOpen"),
                status.count("udpOpen"),
                status.count("dnsOutstanding"));
    }

    private static long heapAfterCollection(NamespaceGuest machines) throws IOException {
        String jcmd = Path.of(System.getProperty("java.home"), "bin", "jcmd").toString();
        String process = Long.toString(machines.backend().pid());
        Subprocess.run(jcmd, process, "GC.run").orFail();
        String said = Subprocess.run(jcmd, process, "GC.heap_info").orFail().output();
        Matcher used = Pattern.compile("used ([0-9]+)K").matcher(said);
        long kilobytes = 0;
        for (int generation = 0; generation < 2 && used.find(); generation++) {
            kilobytes += Long.parseLong(used.group(1));
        }
        assertThat(kilobytes).as(said).isPositive();
        return kilobytes << 10;
    }
}
