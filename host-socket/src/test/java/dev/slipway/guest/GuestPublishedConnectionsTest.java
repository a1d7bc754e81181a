package dev.slipway.guest;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.slipway.control.ApiClient;
import dev.slipway.ethernet.Transport;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.StandardSocketOptions;
import java.nio.ByteBuffer;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * How connections to published ports end, in order and out of order, on every way that accepts them. One that has nothing
 * to do with it goes on all the time, and in the end nothing is left.
 */
@Tag("guest")
@Timeout(90)
@ExtendWith(NeedsNamespaces.class)
class GuestPublishedConnectionsTest {

    private static final Duration SOON = Duration.ofSeconds(30);
    private static final int MIB = 1 << 20;

    private NamespaceGuest machines;
    private ServerSocketChannel server;
    private int port;
    private SocketChannel bystander;
    private SocketChannel bystanderInGuest;
    private int descriptors;

    private void start(String transport) throws IOException {
        assumeTrue(Transport.valueOf(transport.toUpperCase(Locale.ROOT)).isAvailable());
        // Without IPv6, whose first frame may come when no class can be loaded for want of a descriptor.
        machines = NamespaceGuest.start(Backend.SLIPWAY, "--transport", transport, "--ipv6", "off");
        machines.lease();
        server = machines.guest().listen("0.0.0.0", 0);
        port = publish("0:" + ((InetSocketAddress) server.getLocalAddress()).getPort());
        bystander = connect("127.0.0.1");
        bystanderInGuest = server.accept();
        bystanderMoves();
        descriptors = machines.backend().descriptors();
    }

    @AfterEach
    void nothingIsLeft() throws IOException {
        if (machines == null) {
            return;
        }
        try {
            bystanderMoves();
            Await.until(
                    "only the bystander's connection is left",
                    SOON,
                    () -> machines.status().count("tcpOpen") == 1
                            && machines.backend().descriptors() <= descriptors);
            assertThat(machines.status().count("stackFailures")).isZero();
        } finally {
            bystander.close();
            bystanderInGuest.close();
            server.close();
            machines.close();
        }
    }

    private int publish(String text) throws IOException {
        List<?> ports = (List<?>) new ApiClient(machines.apiSocket())
                .ask("POST", "/v1/ports", Map.of("ports", List.of(text)))
                .get("ports");
        String local = String.valueOf(((Map<?, ?>) ports.getFirst()).get("local"));
        return Integer.parseInt(local.substring(local.lastIndexOf(':') + 1));
    }

    private SocketChannel connect(String address) throws IOException {
        return machines.host().connect(new InetSocketAddress(address, port), SOON);
    }

    private void bystanderMoves() throws IOException {
        Payload up = Payload.next();
        up.sendInBackground(bystander, MIB);
        up.receive(bystanderInGuest, MIB);
        Payload down = Payload.next();
        down.sendInBackground(bystanderInGuest, MIB);
        down.receive(bystander, MIB);
    }

    private static int read(SocketChannel from) throws IOException {
        return from.read(ByteBuffer.allocate(1));
    }

    private static boolean hasSent(SocketChannel channel) {
        try {
            return read(channel) == 1;
        } catch (IOException e) {
            return false;
        }
    }

    private static void assertReset(SocketChannel channel) {
        assertThatExceptionOfType(IOException.class)
                .isThrownBy(() -> read(channel))
                .withMessageContaining("reset");
    }

    @ParameterizedTest
    @ValueSource(strings = {"native", "epoll", "nio"})
    void eachEndOfAStreamIsPassedOnByItself(String transport) throws IOException {
        start(transport);
        for (boolean clientFirst : new boolean[] {true, false}) {
            try (SocketChannel client = connect("127.0.0.1");
                    SocketChannel inGuest = server.accept()) {
                SocketChannel first = clientFirst ? client : inGuest;
                SocketChannel second = clientFirst ? inGuest : client;
                Payload before = Payload.next();
                before.sendInBackground(first, MIB);
                before.receive(second, MIB);
                first.shutdownOutput();
                assertThat(read(second)).isEqualTo(-1);
                Payload after = Payload.next();
                after.sendInBackground(second, 4 * MIB);
                after.receive(first, 4 * MIB);
                second.shutdownOutput();
                assertThat(read(first)).isEqualTo(-1);
            }
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"native", "epoll", "nio"})
    void aResetOfEitherSideIsOneForTheOther(String transport) throws IOException {
        start(transport);
        for (boolean clientFirst : new boolean[] {true, false}) {
            try (SocketChannel client = connect("127.0.0.1");
                    SocketChannel inGuest = server.accept()) {
                SocketChannel first = clientFirst ? client : inGuest;
                first.write(ByteBuffer.wrap(new byte[] {1}));
                assertThat(read(clientFirst ? inGuest : client)).isEqualTo(1);
                first.setOption(StandardSocketOptions.SO_LINGER, 0);
                first.close();
                assertReset(clientFirst ? inGuest : client);
            }
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"native", "epoll", "nio"})
    void whatAClientSentBeforeItWentArrivesWithTheEnd(String transport) throws IOException {
        start(transport);
        Payload sent = Payload.next();
        SocketChannel client = connect("127.0.0.1");
        sent.send(client, 200_000);
        client.close();
        try (SocketChannel inGuest = server.accept()) {
            sent.receive(inGuest, 200_000);
            assertThat(read(inGuest)).isEqualTo(-1);
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"native", "epoll", "nio"})
    void clientsThatComeAndGoAtOnceLeaveNothing(String transport) throws IOException {
        start(transport);
        for (int i = 0; i < 300; i++) {
            try (SocketChannel client = connect("127.0.0.1")) {
                if (i % 2 == 0) {
                    client.setOption(StandardSocketOptions.SO_LINGER, 0);
                }
            }
            server.configureBlocking(false);
            for (SocketChannel inGuest = server.accept(); inGuest != null; inGuest = server.accept()) {
                inGuest.close();
            }
            server.configureBlocking(true);
        }
        // Clients are passed on in their order: when one that comes after all of them is there, so are they.
        try (SocketChannel last = connect("127.0.0.1")) {
            last.write(ByteBuffer.wrap(new byte[] {1}));
            boolean isLast = false;
            while (!isLast) {
                try (SocketChannel inGuest = server.accept()) {
                    isLast = hasSent(inGuest);
                }
            }
        }
        Await.until("the guest has no more of them", SOON, () -> {
            server.configureBlocking(false);
            SocketChannel inGuest = server.accept();
            server.configureBlocking(true);
            if (inGuest != null) {
                inGuest.close();
            }
            return inGuest == null && machines.status().count("tcpOpen") == 1;
        });
    }

    @ParameterizedTest
    @ValueSource(strings = {"native", "epoll", "nio"})
    void aServerThatNeverAcceptsHoldsUpNobodyElse(String transport) throws IOException {
        start(transport);
        List<SocketChannel> clients = new ArrayList<>();
        try (ServerSocketChannel deaf =
                machines.guest().call(() -> ServerSocketChannel.open().bind(new InetSocketAddress("0.0.0.0", 0), 4))) {
            int deafPort = publish("0:" + ((InetSocketAddress) deaf.getLocalAddress()).getPort());
            for (int i = 0; i < 50; i++) {
                SocketChannel client = machines.host().connect(new InetSocketAddress("127.0.0.1", deafPort), SOON);
                client.write(ByteBuffer.allocate(1_000));
                clients.add(client);
            }
            // Those that wait in the kernel when the port closes would be reset.
            Await.until("all have come", SOON, () -> machines.status().count("tcpOpen") == 51);
            new ApiClient(machines.apiSocket()).ask("DELETE", "/v1/ports?local=localhost:" + deafPort, null);
            bystanderMoves();
            try (SocketChannel client = connect("127.0.0.1");
                    SocketChannel inGuest = server.accept()) {
                client.write(ByteBuffer.wrap(new byte[] {1}));
                assertThat(read(inGuest)).isEqualTo(1);
            }
        }
        for (SocketChannel client : clients) {
            client.setOption(StandardSocketOptions.SO_LINGER, 0);
            client.close();
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"native", "epoll", "nio"})
    void clientsComeByIpv6AsWell(String transport) throws IOException {
        start(transport);
        try (SocketChannel client = connect("::1");
                SocketChannel inGuest = server.accept()) {
            Payload up = Payload.next();
            up.sendInBackground(client, MIB);
            up.receive(inGuest, MIB);
            assertThat(((InetSocketAddress) inGuest.getRemoteAddress())
                            .getAddress()
                            .getHostAddress())
                    .as("one whose address the guest cannot have")
                    .isEqualTo(Backend.chosen().gateway());
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"native", "epoll"})
    void whenNoDescriptorIsLeftClientsWaitAndAreServedWhenThereIsOne(String transport) throws IOException {
        start(transport);
        machines.backend().limitDescriptors(descriptors + 20);
        List<SocketChannel> clients = new ArrayList<>();
        List<SocketChannel> inGuest = new ArrayList<>();
        try {
            for (int i = 0; i < 40; i++) {
                clients.add(connect("127.0.0.1"));
            }
            Await.until("some were accepted", SOON, () -> machines.backend().descriptors() >= descriptors + 15);
            bystanderMoves();
            idles();
            machines.backend().limitDescriptors(descriptors + 200);
            for (int i = 0; i < 40; i++) {
                inGuest.add(server.accept());
            }
        } finally {
            for (SocketChannel channel : clients) {
                channel.close();
            }
            for (SocketChannel channel : inGuest) {
                channel.close();
            }
        }
    }

    /** Soon there is a second in which the backend needs less than a fifth of one. */
    private void idles() throws IOException {
        long[] last = {System.nanoTime(), machines.backend().processorMillis()};
        Await.until("it does not spin", SOON, () -> {
            long now = System.nanoTime();
            if (now - last[0] < 1_000_000_000L) {
                return false;
            }
            long used = machines.backend().processorMillis() - last[1];
            last[0] = now;
            last[1] += used;
            return used < 200;
        });
    }
}
