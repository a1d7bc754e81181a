package dev.slipway.guest;

import static org.assertj.core.api.Assertions.assertThat;

import dev.slipway.guest.Payload.Background;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.StandardProtocolFamily;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Ten thousand connections that say something once, rest, and all say something again. */
@Tag("guest")
@Tag("slow")
@ExtendWith(NeedsNamespaces.class)
class GuestIdleConnectionsTest {

    private static final int CONNECTIONS = 10_000;
    private static final int MESSAGE = 16;

    /**
     * @param heap of the backend: 64 MiB, the usual one of these tests, or the one that the launcher gives it
     * @param bytesEach how much the backend's resident memory may grow for each: the connection of the stack and the
     *     host's side of it, and in the portable transport a channel of Netty's with its pipeline
     */
    @ParameterizedTest
    @CsvSource({"native, -Xmx64m, 4096", "nio, -Xmx256m, 16384"})
    @Timeout(120)
    void tenThousandIdleConnectionsAllAnswerAgain(String transport, String heap, int bytesEach) throws IOException {
        try (NamespaceGuest machines = NamespaceGuest.start(Backend.SLIPWAY, "--transport", transport, heap)) {
            machines.lease();
            InetSocketAddress server = EchoServer.start(
                    machines.internet(),
                    HostMachine.INTERNET,
                    machines.directory().resolve("echo.log"));
            List<SocketChannel> connections = new ArrayList<>();
            try {
                open(machines, server, connections, CONNECTIONS / 10);
                long before = machines.backend().residentBytes();
                int opened = connections.size();
                long began = System.nanoTime();
                open(machines, server, connections, CONNECTIONS);
                double seconds = (System.nanoTime() - began) / 1e9;
                long each = (machines.backend().residentBytes() - before) / (CONNECTIONS - opened);
                assertThat(machines.status().count("tcpOpen")).isEqualTo(CONNECTIONS);
                AtomicLong answered = new AtomicLong();
                Background.start(answered, () -> allAtOnce(connections, answered))
                        .join();
                System.out.printf(
                        "%s: %d connections, %.0f a second, %d bytes of memory each, %.1f MiB before the last %d%n",
                        transport,
                        CONNECTIONS,
                        (CONNECTIONS - opened) / seconds,
                        each,
                        before / 1048576.0,
                        CONNECTIONS - opened);
                assertThat(each).as("bytes of memory for each").isLessThan(bytesEach);
            } catch (IOException | AssertionError e) {
                System.out.println(transport + ": " + machines.report());
                throw e;
            } finally {
                for (SocketChannel connection : connections) {
                    connection.close();
                }
            }
            Await.until(
                    "no connection is open in the backend",
                    Duration.ofSeconds(20),
                    () -> machines.status().count("tcpOpen") == 0);
            assertThat(machines.host().tcpSockets()).as("sockets of the host").isEmpty();
            assertThat(machines.status().count("stackFailures")).isZero();
            assertThat(machines.status().count("outOfMemory")).isZero();
            assertThat(machines.backendOutput()).doesNotContain("LEAK:", "defect number");
        }
    }

    private static void open(NamespaceGuest machines, InetSocketAddress server, List<SocketChannel> all, int count)
            throws IOException {
        machines.guest().call(() -> {
            while (all.size() < count) {
                SocketChannel channel = SocketChannel.open(StandardProtocolFamily.INET);
                all.add(channel);
                channel.socket().connect(server, (int) NamespaceGuest.CONNECT.toMillis());
                Payload message = new Payload(all.size());
                channel.write(message.first(MESSAGE));
                readBack(channel, message);
            }
            return null;
        });
    }

    private static Long allAtOnce(List<SocketChannel> connections, AtomicLong answered) throws IOException {
        for (int i = 0; i < connections.size(); i++) {
            connections.get(i).write(new Payload(-i).first(MESSAGE));
        }
        for (int i = 0; i < connections.size(); i++) {
            readBack(connections.get(i), new Payload(-i));
            answered.incrementAndGet();
        }
        return answered.get();
    }

    private static void readBack(SocketChannel channel, Payload message) throws IOException {
        ByteBuffer answer = ByteBuffer.allocate(MESSAGE);
        while (answer.hasRemaining()) {
            assertThat(channel.read(answer)).as("bytes of the answer").isPositive();
        }
        assertThat(answer.flip()).isEqualTo(message.first(MESSAGE));
    }
}
