package dev.slipway.guest;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.sun.net.httpserver.HttpServer;
import dev.slipway.guest.NamespaceGuest.Connection;
import dev.slipway.guest.Payload.Background;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.SocketTimeoutException;
import java.nio.ByteBuffer;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** TCP between the guest's kernel and servers of the host's and the internet's kernels. */
@Tag("guest")
@Timeout(30)
@ExtendWith(NamespaceGuestExtension.class)
class GuestTcpTest {

    private static final Backend BACKEND = Backend.chosen();
    private static final int MIB = 1 << 20;
    private static final long AT_ONCE_MILLIS = 1_000;

    @Test
    void pageByNameIsSeenByItsServerAsAskedByTheHost(NamespaceGuest machines) throws IOException {
        HttpServer server =
                machines.internet().call(() -> HttpServer.create(new InetSocketAddress(HostMachine.INTERNET, 80), 16));
        server.createContext("/", exchange -> {
            String seen = exchange.getRemoteAddress().getAddress().getHostAddress();
            byte[] page = ("seen " + seen + " " + exchange.getRequestHeaders().getFirst("Host"))
                    .getBytes(StandardCharsets.US_ASCII);
            exchange.sendResponseHeaders(200, page.length);
            exchange.getResponseBody().write(page);
            exchange.close();
        });
        server.start();
        try {
            String page = machines.guest()
                    .run("curl", "-sS", "-m", "5", "http://www.example.test/")
                    .output();
            assertThat(page).isEqualTo("seen " + HostMachine.HOST_SEEN_FROM_INTERNET + " www.example.test");
        } finally {
            server.stop(0);
        }
    }

    @Test
    void download64MiBByteForByte(NamespaceGuest machines) throws IOException {
        try (Connection connection = machines.connectToInternet()) {
            transfer(connection.server(), connection.guest(), 64L * MIB);
        }
    }

    @Test
    void upload64MiBByteForByteAndNothingIsLostOnTheWay(NamespaceGuest machines) throws IOException {
        long before = machines.guest().counter("Tcp", "RetransSegs");
        try (Connection connection = machines.connectToInternet()) {
            transfer(connection.guest(), connection.server(), 64L * MIB);
        }
        assertThat(machines.guest().counter("Tcp", "RetransSegs") - before)
                // The link loses nothing; but a guest that gets no CPU for its retransmission time-out takes an
                // acknowledgement for lost that only came late. Of 46,000 segments that may happen to a few.
                .as("segments that the guest's kernel had to send again")
                .isLessThanOrEqualTo(4);
    }

    @Test
    void bothDirectionsAtOnce(NamespaceGuest machines) throws IOException {
        try (Connection connection = machines.connectToInternet()) {
            Payload up = Payload.next();
            Payload down = Payload.next();
            Background<Long> upload = up.sendInBackground(connection.guest(), 16 * MIB);
            Background<Long> download = down.sendInBackground(connection.server(), 16 * MIB);
            Background<Long> atServer = Background.start(upload.progress(), () -> {
                up.receive(connection.server(), 16 * MIB);
                return 0L;
            });
            down.receive(connection.guest(), 16 * MIB);
            atServer.join();
            upload.join();
            download.join();
        }
    }

    @Test
    void hostAddressReachesAServiceOnTheHostsLocalhost(NamespaceGuest machines) throws IOException {
        try (Connection connection = machines.connect(machines.host(), "127.0.0.1", BACKEND.host())) {
            assertThat(((InetSocketAddress) connection.server().getRemoteAddress())
                            .getAddress()
                            .getHostAddress())
                    .isEqualTo("127.0.0.1");
            transfer(connection.guest(), connection.server(), MIB);
            transfer(connection.server(), connection.guest(), MIB);
        }
    }

    @Test
    void guestsOwnLocalhostIsNotTheHosts(NamespaceGuest machines) throws IOException {
        try (ServerSocketChannel service = machines.host().listen("127.0.0.1", 0)) {
            int port = ((InetSocketAddress) service.getLocalAddress()).getPort();
            assertRefusedAtOnce(machines, "127.0.0.1", port);
        }
    }

    @Test
    void closedPortIsRefusedAtOnce(NamespaceGuest machines) throws IOException {
        assertRefusedAtOnce(machines, HostMachine.INTERNET, 81);
    }

    @Test
    void closedPortOfTheHostsLocalhostIsRefusedAtOnce(NamespaceGuest machines) throws IOException {
        assertRefusedAtOnce(machines, BACKEND.host(), 81);
    }

    @Test
    void closedPortOfTheGatewayIsRefusedAtOnce(NamespaceGuest machines) throws IOException {
        assertRefusedAtOnce(machines, BACKEND.gateway(), 81);
    }

    @ParameterizedTest
    @ValueSource(strings = {HostMachine.NO_ROUTE, HostMachine.NO_ROUTE_BEHIND_ROUTER})
    void networkWithoutAWayIsUnreachableAtOnce(String address, NamespaceGuest machines) {
        long began = System.nanoTime();
        assertThatThrownBy(() -> connectFromGuest(machines, address, 80))
                .hasMessageMatching(".*(No route to host|Network is unreachable|Host is unreachable).*");
        assertThat(Duration.ofNanos(System.nanoTime() - began).toMillis()).isLessThan(AT_ONCE_MILLIS);
    }

    @Test
    void destinationThatIsSilentStaysSilent(NamespaceGuest machines) {
        assertThatThrownBy(() ->
                        machines.guest().connect(new InetSocketAddress(HostMachine.SILENT, 80), Duration.ofMillis(700)))
                .isInstanceOf(SocketTimeoutException.class);
    }

    @Test
    void guestThatEndsItsSideFirstStillReceives10MiB(NamespaceGuest machines) throws IOException {
        try (Connection connection = machines.connectToInternet()) {
            assertHalfClose(connection.guest(), connection.server());
        }
    }

    @Test
    void serverThatEndsItsSideFirstStillReceives10MiB(NamespaceGuest machines) throws IOException {
        try (Connection connection = machines.connectToInternet()) {
            assertHalfClose(connection.server(), connection.guest());
        }
    }

    @Test
    void resetByTheServerIsAResetForTheGuest(NamespaceGuest machines) throws IOException {
        try (Connection connection = machines.connectToInternet()) {
            assertReset(connection.server(), connection.guest());
        }
    }

    @Test
    void resetByTheGuestIsAResetForTheServer(NamespaceGuest machines) throws IOException {
        try (Connection connection = machines.connectToInternet()) {
            assertReset(connection.guest(), connection.server());
        }
    }

    @Test
    void resetOfAHalfClosedConnectionIsAResetForTheGuest(NamespaceGuest machines) throws IOException {
        try (Connection connection = machines.connectToInternet()) {
            connection.guest().shutdownOutput();
            assertThat(connection.server().read(ByteBuffer.allocate(1))).isEqualTo(-1);
            assertReset(connection.server(), connection.guest());
        }
    }

    @Test
    void manyConnectionsAtOnceAllAnswerAndLeaveNothingBehind(NamespaceGuest machines) throws IOException {
        int before = machines.backend().descriptors();
        List<Connection> connections = new ArrayList<>();
        try (ServerSocketChannel listener = machines.internet().listen(HostMachine.INTERNET, 0)) {
            int port = ((InetSocketAddress) listener.getLocalAddress()).getPort();
            for (int i = 0; i < 200; i++) {
                SocketChannel guest = connectFromGuest(machines, HostMachine.INTERNET, port);
                connections.add(new Connection(guest, listener.accept()));
            }
            for (Connection connection : connections) {
                transfer(connection.guest(), connection.server(), 1_000);
                transfer(connection.server(), connection.guest(), 1_000);
            }
        } finally {
            for (Connection connection : connections) {
                connection.close();
            }
        }
        Await.until(
                "the backend has as few descriptors as before, " + before,
                Duration.ofSeconds(10),
                () -> machines.backend().descriptors() <= before);
    }

    private static void assertHalfClose(SocketChannel first, SocketChannel other) throws IOException {
        transfer(first, other, 1_000);
        first.shutdownOutput();
        assertThat(other.read(ByteBuffer.allocate(1)))
                .as("the end of the first side")
                .isEqualTo(-1);
        Payload rest = Payload.next();
        Background<Long> sending = rest.sendInBackground(other, 10 * MIB);
        rest.receive(first, 10 * MIB);
        sending.join();
        other.shutdownOutput();
        assertThat(first.read(ByteBuffer.allocate(1)))
                .as("the end of the other side")
                .isEqualTo(-1);
    }

    private static void assertReset(SocketChannel by, SocketChannel seenBy) throws IOException {
        if (seenBy.isOpen() && !by.socket().isOutputShutdown()) {
            transfer(by, seenBy, 1_000);
        }
        by.socket().setSoLinger(true, 0);
        by.close();
        assertThatThrownBy(() -> seenBy.read(ByteBuffer.allocate(1))).hasMessageContaining("reset");
    }

    private static void assertRefusedAtOnce(NamespaceGuest machines, String address, int port) {
        long began = System.nanoTime();
        assertThatThrownBy(() -> connectFromGuest(machines, address, port)).hasMessageContaining("refused");
        assertThat(Duration.ofNanos(System.nanoTime() - began).toMillis()).isLessThan(AT_ONCE_MILLIS);
    }

    private static SocketChannel connectFromGuest(NamespaceGuest machines, String address, int port)
            throws IOException {
        return machines.guest().connect(new InetSocketAddress(address, port), NamespaceGuest.CONNECT);
    }

    private static void transfer(SocketChannel from, SocketChannel to, long bytes) throws IOException {
        Payload payload = Payload.next();
        Background<Long> sending = payload.sendInBackground(from, bytes);
        payload.receive(to, bytes);
        sending.join();
    }
}
