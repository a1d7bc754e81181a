package dev.slipway.probe;

import static org.assertj.core.api.Assertions.assertThat;

import dev.slipway.control.GuestPublishing;
import dev.slipway.ethernet.Transport;
import dev.slipway.event.Events;
import dev.slipway.host.HostPolicy;
import dev.slipway.host.NetworkSettings;
import dev.slipway.host.VmNetwork;
import dev.slipway.publish.PortRange;
import dev.slipway.publish.PublishedPorts;
import dev.slipway.seam.StackSettings;
import dev.slipway.wire.IpAddress;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What a guest may ask of the gateway when it may ask at all: two VMs, the first of which asks. */
@Timeout(value = 60, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class GuestApiTest {

    private static final long LIMIT = 20_000_000_000L;

    @TempDir
    Path folder;

    private VmNetwork network;
    private PublishedPorts ports;
    private Guest guest;
    private Guest other;
    private String own;
    private String others;

    @BeforeEach
    void start() throws Exception {
        network = VmNetwork.start(new NetworkSettings(
                StackSettings.defaults(),
                HostPolicy.defaults(),
                folder.resolve("resolv.conf"),
                Transport.best(),
                List.of(folder.resolve("a"), folder.resolve("b"))));
        ports = new PublishedPorts(
                network.controlLoop(),
                network.transport(),
                network::sessions,
                name -> 0,
                Optional.of(IpAddress.ofV4(0)),
                true,
                new Events());
        guest = Guest.attach(folder.resolve("a"));
        own = lease(guest);
        other = Guest.attach(folder.resolve("b"));
        others = lease(other);
    }

    private static String lease(Guest of) throws IOException {
        Lease lease = new DhcpClient(of).acquire(LIMIT);
        of.configure(lease, 1500);
        return IpAddress.toString(lease.address());
    }

    @AfterEach
    void stop() throws IOException {
        guest.close();
        other.close();
        ports.close();
        network.close();
        assertThat(network.sessions().getFirst().hostCounters().stackFailures()).isZero();
    }

    private void serve() {
        network.sessions()
                .forEach(session -> session.serveGuest(new GuestPublishing(session, ports, network.controlLoop())));
    }

    /** Sends text to the gateway's port 80: all that comes back, and how it ended. */
    private String say(String text) throws IOException {
        TcpConnection connection = guest.connect(StackSettings.defaults().gateway(), 80);
        StringBuilder answer = new StringBuilder();
        boolean[] said = new boolean[1];
        guest.await(
                () -> {
                    if (connection.isOpen() && !said[0]) {
                        said[0] = true;
                        byte[] bytes = text.getBytes(StandardCharsets.US_ASCII);
                        connection.write(MemorySegment.ofArray(bytes), 0, bytes.length);
                    }
                    connection.drain((position, bytes, offset, length) -> answer.append(new String(
                            bytes.asSlice(offset, length).toArray(ValueLayout.JAVA_BYTE), StandardCharsets.US_ASCII)));
                    return connection.isAtEnd() || connection.end() != TcpConnection.End.NONE;
                },
                LIMIT);
        String end = connection.isAtEnd() ? "" : connection.end().toString();
        connection.finish();
        guest.release(connection);
        return answer + end;
    }

    private String post(String path, String json, String... headers) throws IOException {
        StringBuilder request = new StringBuilder("POST " + path + " HTTP/1.1\r\nHost: gateway\r\n");
        for (String header : headers) {
            request.append(header).append("\r\n");
        }
        return say(request + "Content-Length: " + json.length() + "\r\n\r\n" + json);
    }

    private String expose(String local, String remote, String protocol) throws IOException {
        return post(
                "/services/forwarder/expose",
                "{\"local\":\"" + local + "\",\"remote\":\"" + remote + "\",\"protocol\":\"" + protocol + "\"}");
    }

    private static int freePort() throws IOException {
        try (ServerSocket probe = new ServerSocket(0, 1, InetAddress.getByName("127.0.0.1"))) {
            return probe.getLocalPort();
        }
    }

    @Test
    void withoutTheSettingNobodyListens() throws IOException {
        assertThat(say("GET /services/forwarder/all HTTP/1.1\r\nHost: x\r\n\r\n"))
                .isEqualTo("REFUSED");
    }

    @Test
    void aGuestPublishesAndTakesBackItsOwnPortOnLocalhost() throws IOException {
        serve();
        int port = freePort();
        assertThat(expose(":" + port, ":22", "tcp")).startsWith("HTTP/1.1 200 ");
        assertThat(ports.list())
                .singleElement()
                .satisfies(each -> assertThat(each.request().toString())
                        .as("localhost, though settings name all addresses")
                        .isEqualTo("127.0.0.1:" + port + " -> " + own + ":22/tcp"));
        assertThat(say("GET /services/forwarder/all HTTP/1.1\r\nHost: x\r\n\r\n"))
                .endsWith("[{\"local\":\"127.0.0.1:" + port + "\",\"remote\":\"" + own
                        + ":22\",\"protocol\":\"tcp\"}]\n");
        assertThat(expose("127.0.0.1:" + port, own + ":22", "tcp"))
                .startsWith("HTTP/1.1 500 ")
                .contains("in use");
        assertThat(post("/services/forwarder/unexpose", "{\"local\":\":" + port + "\",\"protocol\":\"tcp\"}"))
                .startsWith("HTTP/1.1 200 ");
        assertThat(ports.list()).isEmpty();
    }

    @ParameterizedTest
    @CsvSource({
        "0.0.0.0:8080, :22, tcp",
        "192.168.1.1:8080, :22, tcp",
        "[::]:8080, :22, tcp",
        "/tmp/x.sock, :22, tcp",
        "/tmp/x.sock, tcp://OWN:22, unix",
        ":8080, :22, npipe",
        ":8080, OTHERS:22, tcp",
        ":8080, 192.168.65.1:22, tcp",
        ":8080, 127.0.0.1:22, tcp",
        ":8080, 192.168.65.254:22, tcp",
    })
    void aGuestPublishesNothingElse(String local, String remote, String protocol) throws IOException {
        serve();
        assertThat(expose(local, remote.replace("OTHERS", others).replace("OWN", own), protocol))
                .startsWith("HTTP/1.1 403 ");
        assertThat(ports.list()).isEmpty();
    }

    @Test
    void whatOthersHavePublishedIsNeitherSeenNorTakenBack() throws Exception {
        serve();
        int port = freePort();
        ports.publish(PortRange.parse("127.0.0.1:" + port + ":80@" + own).requests(), "api");
        assertThat(say("GET /services/forwarder/all HTTP/1.1\r\nHost: x\r\n\r\n"))
                .endsWith("\r\n\r\n[]\n");
        assertThat(post("/services/forwarder/unexpose", "{\"local\":\":" + port + "\",\"protocol\":\"tcp\"}"))
                .startsWith("HTTP/1.1 500 ")
                .contains("proxy not found");
        assertThat(ports.list()).hasSize(1);
    }

    @Test
    void moreThanItsShareIsRefused() throws Exception {
        serve();
        for (int i = 0; i < 64; i++) {
            assertThat(expose(":0", ":22", "tcp")).startsWith("HTTP/1.1 200 ");
        }
        assertThat(expose(":0", ":22", "tcp")).startsWith("HTTP/1.1 500 ").contains("64 ports");
        assertThat(ports.list()).hasSize(64);
    }

    @Test
    void aWebPageInTheGuestIsRefused() throws IOException {
        serve();
        String json = "{\"local\":\":0\",\"remote\":\":22\"}";
        assertThat(post("/services/forwarder/expose", json, "Origin: http://evil.test"))
                .startsWith("HTTP/1.1 403 ");
        assertThat(post("/services/forwarder/expose", json, "Sec-Fetch-Site: cross-site"))
                .startsWith("HTTP/1.1 403 ");
        assertThat(ports.list()).isEmpty();
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "GET /services/forwarder/expose HTTP/1.1 | 400",
                "GET /services/dns/all HTTP/1.1 | 404",
                "GET /tunnel?ip=192.168.65.3&port=22 HTTP/1.1 | 404",
                "GET /v1/status HTTP/1.1 | 404",
                "GET /services/../services/forwarder/all HTTP/1.1 | 404",
                "POST /services/forwarder/expose HTTP/1.1 | 400",
                "hello | 400"
            })
    void whatIsNotForGuestsIsNotServed(String line, int status) throws IOException {
        serve();
        assertThat(say(line + "\r\nHost: x\r\nContent-Length: 0\r\n\r\n")).startsWith("HTTP/1.1 " + status + " ");
    }

    @Test
    void whatIsTooLongIsRefused() throws IOException {
        serve();
        assertThat(say("GET /" + "x".repeat(5_000) + " HTTP/1.1\r\n\r\n")).startsWith("HTTP/1.1 400 ");
        assertThat(say("POST /services/forwarder/expose HTTP/1.1\r\nContent-Length: 10485760\r\n\r\n"))
                .startsWith("HTTP/1.1 413 ");
        assertThat(say("GET /services/forwarder/all HTTP/1.1\r\nHost: x\r\n\r\n"))
                .startsWith("HTTP/1.1 200 ");
    }
}
