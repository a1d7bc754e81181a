package dev.slipway.guest;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.net.ConnectException;
import java.net.InetSocketAddress;
import java.net.NoRouteToHostException;
import java.net.SocketTimeoutException;
import java.nio.ByteBuffer;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.ExtendWith;

/** The host's network changes, is away, comes back; the host sleeps. Slipway is not told, and not restarted. */
@Tag("guest")
@Timeout(120)
@ExtendWith(NeedsNamespaces.class)
class GuestMovingHostTest {

    /** An address of the internet that the host reaches by its default route. */
    private static final String FAR = "192.0.2.10";

    private static final Duration PATIENCE = Duration.ofSeconds(20);

    private NamespaceGuest machines;

    @BeforeEach
    void start() throws IOException {
        machines = NamespaceGuest.start(Backend.SLIPWAY);
        machines.internet().ip("address add " + FAR + "/32 dev lo");
        machines.online();
    }

    @AfterEach
    void stop() {
        if (machines != null) {
            machines.close();
        }
    }

    private SocketChannel connect(ServerSocketChannel listener) throws IOException {
        int port = ((InetSocketAddress) listener.getLocalAddress()).getPort();
        return machines.guest().connect(new InetSocketAddress(FAR, port), NamespaceGuest.CONNECT);
    }

    private boolean canConnect(ServerSocketChannel listener) throws IOException {
        try (SocketChannel client = connect(listener)) {
            return client.isConnected();
        } catch (ConnectException | NoRouteToHostException | SocketTimeoutException e) {
            return false;
        }
    }

    private static void exchange(SocketChannel from, SocketChannel to, String text) throws IOException {
        from.write(ByteBuffer.wrap(text.getBytes(StandardCharsets.US_ASCII)));
        read(to, text);
    }

    @Test
    void noWayIsToldAtOnceAndHealsByItself() throws IOException {
        try (ServerSocketChannel listener = machines.internet().listen(FAR, 0)) {
            assertThat(canConnect(listener)).isTrue();
            machines.host().ip("route del default");
            long start = System.nanoTime();
            assertThatThrownBy(() -> connect(listener))
                    .isInstanceOf(IOException.class)
                    .hasMessageContaining("unreachable");
            assertThat(Duration.ofNanos(System.nanoTime() - start)).isLessThan(Duration.ofSeconds(3));
            machines.host().ip("route add default via " + HostMachine.INTERNET);
            Await.until("connections work again", PATIENCE, () -> canConnect(listener));
        }
    }

    @Test
    void newFlowsComeFromTheAddressThatTheHostHasNow() throws IOException {
        try (ServerSocketChannel listener = machines.internet().listen(HostMachine.INTERNET, 0)) {
            InetSocketAddress server = (InetSocketAddress) listener.getLocalAddress();
            machines.host().ip("address del " + HostMachine.HOST_SEEN_FROM_INTERNET + "/24 dev h0");
            machines.host().ip("address add 198.18.0.77/24 dev h0");
            try (SocketChannel client = machines.guest().connect(server, NamespaceGuest.CONNECT);
                    SocketChannel accepted = listener.accept()) {
                assertThat(client.isConnected()).isTrue();
                assertThat(((InetSocketAddress) accepted.getRemoteAddress())
                                .getAddress()
                                .getHostAddress())
                        .isEqualTo("198.18.0.77");
            }
            Await.until(
                    "names are found from the new address",
                    PATIENCE,
                    () -> machines.guest()
                            .run("dig", "+short", "+tries=1", "+time=5", "@192.168.65.1", "txt.example.test", "TXT")
                            .output()
                            .contains("hello txt"));
        }
    }

    @Test
    void connectionOutlivesALinkThatWasAway() throws IOException {
        try (NamespaceGuest.Connection connection = machines.connectToInternet()) {
            exchange(connection.guest(), connection.server(), "before");
            machines.host().ip("link set h0 down");
            connection.guest().write(ByteBuffer.wrap(new byte[] {'a'}));
            machines.host().ip("link set h0 up");
            machines.host().ip("route add default via " + HostMachine.INTERNET);
            connection.guest().write(ByteBuffer.wrap("fter".getBytes(StandardCharsets.US_ASCII)));
            read(connection.server(), "after");
        } catch (AssertionError e) {
            throw new AssertionError(machines.report(), e);
        }
    }

    @Test
    void startsWithoutAnyNetworkAndUsesTheOneThatComes() throws IOException {
        Path web = Files.createDirectories(machines.directory().resolve("web"));
        Files.writeString(web.resolve("index.html"), "here");
        machines.internet()
                .start(
                        machines.directory().resolve("httpd.log"),
                        List.of("busybox", "httpd", "-f", "-p", HostMachine.INTERNET + ":8080", "-h", web.toString()));
        machines.host().ip("link set h0 down");
        machines.host().nameServers();
        Path socket = machines.directory().resolve("second.sock");
        List<String> command = new ArrayList<>(Backend.SLIPWAY.command(socket));
        Subprocess second = machines.host().start(machines.directory().resolve("second.log"), command);
        Await.until(
                "the second backend is ready", PATIENCE, () -> second.output().contains("ready:"));

        Subprocess.Result offline = probe(socket);
        assertThat(offline.output()).contains("192.168.65.3");
        assertThat(offline.exit()).isNotZero();
        machines.host().ip("link set h0 up");
        machines.host().ip("route add default via " + HostMachine.INTERNET);
        machines.host().nameServers(HostMachine.INTERNET);
        Await.until("the page is there", PATIENCE, () -> probe(socket).exit() == 0);
        assertThat(second.isAlive()).isTrue();
    }

    private Subprocess.Result probe(Path socket) throws IOException {
        return machines.host()
                .run(
                        Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                        "-XX:+UseSerialGC",
                        "-XX:TieredStopAtLevel=1",
                        "--enable-native-access=ALL-UNNAMED",
                        "-cp",
                        Backend.classPath(),
                        "dev.slipway.Main",
                        "probe",
                        socket.toString(),
                        "http://www.example.test:8080/index.html");
    }

    @Test
    void sleepOfTheHostCostsNothingAndNoBurstFollows() throws IOException {
        try (NamespaceGuest.Connection idle = machines.connectToInternet();
                NamespaceGuest.Connection busy = machines.connectToInternet()) {
            exchange(idle.guest(), idle.server(), "before");
            machines.backend().signal("STOP");
            busy.server().write(ByteBuffer.wrap("sent while it slept".getBytes(StandardCharsets.US_ASCII)));
            busy.guest().write(ByteBuffer.wrap("and the other way".getBytes(StandardCharsets.US_ASCII)));
            long wakeAt = System.nanoTime() + Duration.ofSeconds(4).toNanos();
            Await.until("time has passed", PATIENCE, () -> System.nanoTime() - wakeAt > 0);
            long before = machines.backend().processorMillis();
            machines.backend().signal("CONT");
            read(busy.guest(), "sent while it slept");
            read(busy.server(), "and the other way");
            exchange(idle.guest(), idle.server(), "after");
            exchange(idle.server(), idle.guest(), "after, too");
            assertThat(machines.backend().processorMillis() - before)
                    .as("milliseconds of processor time")
                    .isLessThan(2_000);
            assertThat(machines.status().count("tcpResetsByHost")).isZero();
        }
    }

    private static void read(SocketChannel channel, String text) throws IOException {
        ByteBuffer read = ByteBuffer.allocate(text.length());
        while (read.hasRemaining() && channel.read(read) >= 0) {
            continue;
        }
        assertThat(new String(read.array(), StandardCharsets.US_ASCII)).isEqualTo(text);
    }

    @Test
    void idleGuestCostsNextToNothing() throws IOException {
        Duration window = Duration.ofSeconds(3);
        // While the JVM still settles, a window may be busier; one that is not has to come.
        Await.until("less than 1 % of a processor in " + window, Duration.ofSeconds(60), () -> {
            long before = machines.backend().processorMillis();
            long end = System.nanoTime() + window.toNanos();
            Await.until("time has passed", PATIENCE, () -> System.nanoTime() - end > 0);
            return machines.backend().processorMillis() - before < window.toMillis() / 100;
        });
    }
}
