package dev.slipway.guest;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import dev.slipway.control.ApiClient;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URLEncoder;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.DatagramChannel;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.ExtendWith;

/** Ports of the guest's kernel that are ports of the host, published and taken back by the API. */
@Tag("guest")
@Timeout(60)
@ExtendWith(NamespaceGuestExtension.class)
class GuestPublishTest {

    private static final Duration SOON = Duration.ofSeconds(10);
    private static final int MIB = 1 << 20;

    private NamespaceGuest machines;
    private ApiClient api;
    private String guestAddress;

    @BeforeEach
    void online(NamespaceGuest started) throws IOException {
        machines = started;
        guestAddress = started.online().values().get("ip");
        api = new ApiClient(started.apiSocket());
    }

    @AfterEach
    void nothingStaysPublished() throws IOException {
        for (Object each : published()) {
            Map<?, ?> port = (Map<?, ?>) each;
            api.ask(
                    "DELETE",
                    "/v1/ports?protocol=" + port.get("protocol") + "&local="
                            + URLEncoder.encode(String.valueOf(port.get("local")), StandardCharsets.UTF_8),
                    null);
        }
    }

    /** Publishes and returns the host's ports. */
    private List<Integer> publish(String... ports) throws IOException {
        List<Integer> chosen = new ArrayList<>();
        for (Object port : (List<?>)
                api.ask("POST", "/v1/ports", Map.of("ports", List.of(ports))).get("ports")) {
            String local = String.valueOf(((Map<?, ?>) port).get("local"));
            chosen.add(Integer.parseInt(local.substring(local.lastIndexOf(':') + 1)));
        }
        return chosen;
    }

    private List<?> published() throws IOException {
        return (List<?>) api.ask("GET", "/v1/ports", null).get("ports");
    }

    private static int portOf(ServerSocketChannel server) throws IOException {
        return ((InetSocketAddress) server.getLocalAddress()).getPort();
    }

    private SocketChannel connect(String address, int port) throws IOException {
        return machines.host().connect(new InetSocketAddress(address, port), SOON);
    }

    private String curl(String... arguments) throws IOException {
        List<String> command = new ArrayList<>(List.of(
                "curl",
                "-sS",
                "-m",
                "10",
                "-w",
                " %{http_code}",
                "--unix-socket",
                machines.apiSocket().toString()));
        command.addAll(List.of(arguments));
        return Subprocess.run(command, Duration.ofSeconds(15)).output();
    }

    private String post(String path, String json) throws IOException {
        return curl("-X", "POST", "-d", json, "http://slipway" + path);
    }

    @Test
    void aPortOfTheGuestIsOneOfTheHostsLocalhost() throws IOException {
        try (ServerSocketChannel server = machines.guest().listen("0.0.0.0", 0)) {
            int port = publish("0:" + portOf(server)).getFirst();
            try (SocketChannel client = connect("127.0.0.1", port);
                    SocketChannel inGuest = server.accept()) {
                Payload up = Payload.next();
                Payload down = Payload.next();
                up.sendInBackground(client, 4 * MIB);
                up.receive(inGuest, 4 * MIB);
                down.sendInBackground(inGuest, 4 * MIB);
                down.receive(client, 4 * MIB);
                client.shutdownOutput();
                assertThat(inGuest.read(ByteBuffer.allocate(1))).isEqualTo(-1);
                inGuest.write(ByteBuffer.wrap(new byte[] {42}));
                assertThat(client.read(ByteBuffer.allocate(1)))
                        .as("the other half stays open")
                        .isEqualTo(1);
                inGuest.shutdownOutput();
                assertThat(client.read(ByteBuffer.allocate(1))).isEqualTo(-1);
                assertThat(((InetSocketAddress) inGuest.getRemoteAddress()).getAddress())
                        .as("localhost's client, seen by the guest")
                        .isEqualTo(InetAddress.getByName(Backend.chosen().gateway()));
            }
        }
    }

    @Test
    void aGuestThatRefusesMeansAResetForTheClient() throws IOException {
        int port = publish("0:9").getFirst();
        try (SocketChannel client = connect("127.0.0.1", port)) {
            assertThatExceptionOfType(IOException.class)
                    .isThrownBy(() -> client.read(ByteBuffer.allocate(1)))
                    .withMessageContaining("reset");
        }
    }

    @Test
    void theGuestSeesWhoCallsFromAnotherHost() throws IOException {
        try (ServerSocketChannel server = machines.guest().listen("0.0.0.0", 0)) {
            int port = publish("0.0.0.0:0:" + portOf(server)).getFirst();
            InetSocketAddress published = new InetSocketAddress(HostMachine.HOST_SEEN_FROM_INTERNET, port);
            try (SocketChannel client = machines.internet().connect(published, SOON);
                    SocketChannel inGuest = server.accept()) {
                assertThat(inGuest.getRemoteAddress()).isEqualTo(client.getLocalAddress());
            }
        }
    }

    @Test
    void theGuestSeesWhoSendsDatagramsFromAnotherHost() throws IOException {
        try (DatagramChannel inGuest = machines.guest().datagrams("0.0.0.0");
                DatagramChannel client = machines.internet().datagrams(HostMachine.INTERNET)) {
            int guestPort = ((InetSocketAddress) inGuest.getLocalAddress()).getPort();
            int port = publish("0.0.0.0:0:" + guestPort + "/udp").getFirst();
            client.send(
                    ByteBuffer.wrap("ping".getBytes(StandardCharsets.US_ASCII)),
                    new InetSocketAddress(HostMachine.HOST_SEEN_FROM_INTERNET, port));
            ByteBuffer received = ByteBuffer.allocate(100);
            var sender = inGuest.receive(received);
            assertThat(sender).isEqualTo(client.getLocalAddress());
            inGuest.send(received.flip(), sender);
            ByteBuffer answer = ByteBuffer.allocate(100);
            assertThat(client.receive(answer))
                    .as("the answer comes from where the question went")
                    .isEqualTo(new InetSocketAddress(HostMachine.HOST_SEEN_FROM_INTERNET, port));
            assertThat(answer.position()).isEqualTo(4);
        }
    }

    @Test
    void aPortThatIsTakenIsRefusedAndTheHoldersStaysItsOwn() throws IOException {
        try (ServerSocketChannel holder = machines.host().listen("127.0.0.1", 0)) {
            int taken = portOf(holder);
            assertThatExceptionOfType(IOException.class)
                    .isThrownBy(() -> publish("0:80", taken + ":80"))
                    .withMessageContaining(taken + "/tcp")
                    .withMessageContaining("in use");
            assertThat(published()).as("all or none").isEmpty();
        }
    }

    @Test
    void aPortThatWasTakenBackIsRefusedAtOnceAndCanBeHadAnewAtOnce() throws IOException {
        try (ServerSocketChannel server = machines.guest().listen("0.0.0.0", 0)) {
            for (int i = 0; i < 50; i++) {
                publish("127.0.0.1:20600:" + portOf(server));
                connect("127.0.0.1", 20_600).close();
                server.accept().close();
                api.ask("DELETE", "/v1/ports?local=127.0.0.1:20600", null);
                assertThatExceptionOfType(IOException.class)
                        .as("round %d", i)
                        .isThrownBy(() -> connect("127.0.0.1", 20_600).close())
                        .withMessageContaining("refused");
            }
        }
    }

    @Test
    void aThousandPortsComeAndGoInNoTime() throws IOException {
        int descriptors = machines.backend().descriptors();
        long start = System.nanoTime();
        assertThat(publish("127.0.0.1:20000-20999:20000-20999")).hasSize(1_000);
        assertThat(Duration.ofNanos(System.nanoTime() - start)).isLessThan(Duration.ofSeconds(2));
        assertThat(published()).hasSize(1_000);
        assertThatExceptionOfType(IOException.class)
                .isThrownBy(() -> api.ask("DELETE", "/v1/ports?local=127.0.0.1:20500-21000", null))
                .withMessageContaining("nothing is published at 127.0.0.1:21000/tcp");
        assertThat(published()).as("all or none").hasSize(1_000);
        start = System.nanoTime();
        api.ask("DELETE", "/v1/ports?local=127.0.0.1:20000-20999", null);
        assertThat(Duration.ofNanos(System.nanoTime() - start)).isLessThan(Duration.ofSeconds(2));
        assertThat(published()).isEmpty();
        Await.until("descriptors are given back", SOON, () -> machines.backend().descriptors() <= descriptors + 1);
    }

    @Test
    void aThousandPublicationsOfOnePortAtOnceEndConsistent() throws Exception {
        try (ExecutorService clients = Executors.newFixedThreadPool(8)) {
            List<CompletableFuture<Boolean>> all = new ArrayList<>();
            for (int i = 0; i < 1_000; i++) {
                boolean publish = i % 2 == 0;
                all.add(CompletableFuture.supplyAsync(
                        () -> {
                            try {
                                if (publish) {
                                    publish("127.0.0.1:20500:80");
                                } else {
                                    api.ask("DELETE", "/v1/ports?local=127.0.0.1:20500", null);
                                }
                                return true;
                            } catch (IOException expected) {
                                return false;
                            }
                        },
                        clients));
            }
            long published = 0;
            for (int i = 0; i < all.size(); i++) {
                published += all.get(i).get() ? i % 2 == 0 ? 1 : -1 : 0;
            }
            assertThat(published()).hasSize((int) published);
            assertThat(published).isBetween(0L, 1L);
        }
    }

    @Test
    void gvproxysClientsFindWhatTheyKnow() throws IOException {
        String remote = guestAddress + ":9";
        String expose = "{\"local\":\":20600\",\"remote\":\"" + remote + "\",\"protocol\":\"tcp\"}";
        assertThat(post("/services/forwarder/expose", expose)).isEqualTo(" 200");
        assertThat(post("/services/forwarder/expose", expose))
                .isEqualTo("proxy already running for tcp on :20600\n 500");
        assertThat(curl("http://slipway/services/forwarder/expose")).isEqualTo("post only\n 400");
        assertThat(post("/services/forwarder/expose", "{")).endsWith("\n 400");
        assertThat(post("/services/forwarder/expose", "{\"local\":\":20601\",\"remote\":\"x\"}"))
                .endsWith("\n 400");
        assertThat(post("/services/forwarder/expose", expose.replace("tcp", "sctp")))
                .isEqualTo("unknown protocol sctp\n 500");
        String udp = "{\"local\":\"127.0.0.1:20600\",\"remote\":\"" + remote + "\",\"protocol\":\"udp\"}";
        assertThat(post("/services/forwarder/expose", udp)).isEqualTo(" 200");
        assertThat(curl("http://slipway/services/forwarder/all"))
                .isEqualTo("[{\"local\":\"127.0.0.1:20600\",\"remote\":\"" + remote + "\",\"protocol\":\"udp\"},"
                        + "{\"local\":\":20600\",\"remote\":\"" + remote + "\",\"protocol\":\"tcp\"}]\n 200");
        assertThat(post("/services/forwarder/unexpose", "{\"local\":\":20600\",\"protocol\":\"tcp\"}"))
                .isEqualTo(" 200");
        assertThat(post("/services/forwarder/unexpose", "{\"local\":\":20600\",\"protocol\":\"tcp\"}"))
                .isEqualTo("proxy not found\n 500");
        assertThat(curl("http://slipway/services/dhcp/leases"))
                .contains("\"" + Backend.chosen().gateway() + "\":\"5a:94:ef:e4:0c:dd\"")
                .contains("\"" + guestAddress + "\":");
        assertThat(post(
                        "/services/dns/add",
                        "{\"Name\":\"corp.test.\",\"Records\":[{\"Name\":\"db\",\"IP\":\"10.1.2.3\"}]}"))
                .isEqualTo(" 200");
        assertThat(curl("http://slipway/services/dns/all")).contains("{\"Name\":\"db\",\"IP\":\"10.1.2.3\"}");
        assertThat(machines.guest()
                        .run("dig", "+short", "+time=3", "@" + Backend.chosen().gateway(), "db.corp.test")
                        .output()
                        .trim())
                .isEqualTo("10.1.2.3");
        assertThat(curl("http://slipway/cam")).endsWith(":1}\n 200");
        assertThat(curl("http://slipway/stats")).contains("\"BytesReceived\":").endsWith("\n 200");
    }

    @Test
    void aTunnelIsOpenedWithTwoBytes() throws Exception {
        try (ServerSocketChannel server = machines.guest().listen("0.0.0.0", 0);
                SocketChannel tunnel = SocketChannel.open(UnixDomainSocketAddress.of(machines.apiSocket()))) {
            tunnel.write(ByteBuffer.wrap(
                    ("GET /tunnel?ip=" + guestAddress + "&port=" + portOf(server) + " HTTP/1.1\r\nHost: x\r\n\r\n")
                            .getBytes(StandardCharsets.US_ASCII)));
            ByteBuffer ok = ByteBuffer.allocate(2);
            while (ok.hasRemaining() && tunnel.read(ok) >= 0) {
                // two bytes and nothing else
            }
            assertThat(new String(ok.array(), StandardCharsets.US_ASCII)).isEqualTo("OK");
            try (SocketChannel inGuest = server.accept()) {
                Payload up = Payload.next();
                up.sendInBackground(tunnel, MIB);
                up.receive(inGuest, MIB);
                Payload down = Payload.next();
                down.sendInBackground(inGuest, MIB);
                down.receive(tunnel, MIB);
            }
        }
    }
}
