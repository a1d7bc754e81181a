package dev.slipway.proxy;

import static org.assertj.core.api.Assertions.assertThat;

import dev.slipway.seam.HostStream.ConnectFailure;
import java.io.IOException;
import java.util.Optional;
import java.util.Queue;
import java.util.Random;
import java.util.concurrent.ConcurrentLinkedQueue;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Programs of the guest that know of a proxy find one on the gateway: HTTP and SOCKS, with and without one behind it. */
@Tag("transport")
@Timeout(120)
final class GatewayProxyTest {

    private static final int HTTP = 3128;
    private static final int SOCKS = 1080;
    private static final String OPENED = "HTTP/1.1 200 Connection established\r\n\r\n";

    private final Queue<String> heads = new ConcurrentLinkedQueue<>();
    private ProxyRig rig;

    @BeforeEach
    void start() {
        rig = new ProxyRig();
        rig.names.put("www.example.com", ProxyRig.ORIGIN);
    }

    @AfterEach
    void stop() throws Exception {
        rig.close();
    }

    private void behind(ScriptedServer proxy) {
        behind("http://corp:secret@127.0.0.1:" + proxy.port());
    }

    private void behind(String url) {
        Optional<ProxyAddress> address = Optional.of(ProxyAddress.parse(url));
        rig.settings.set(ProxySettings.none().withProxies(address, address, Optional.empty()));
    }

    private GuestSocket http() throws Exception {
        return rig.connect(ProxyRig.GATEWAY, HTTP);
    }

    private GuestSocket socks() throws Exception {
        return rig.connect(ProxyRig.GATEWAY, SOCKS);
    }

    private ScriptedServer tunnelling() throws IOException {
        return ScriptedServer.start(connection -> {
            heads.add(connection.readHead());
            connection.write(OPENED);
            connection.echo();
        });
    }

    // ---- HTTP

    @Test
    void withoutAProxyBehindItGoesToTheServerByNameInOriginForm() throws Exception {
        try (ScriptedServer origin = ScriptedServer.mirror();
                GuestSocket guest = http()) {
            String authority = "www.example.com:" + origin.port();
            assertThat(guest.send("GET http://" + authority
                                    + "/a?b HTTP/1.1\r\nHost: other\r\nProxy-Connection: keep-alive\r\n"
                                    + "Proxy-Authorization: Basic eDp5\r\n\r\n")
                            .readResponse())
                    .endsWith("GET /a?b HTTP/1.1\r\nHost: " + authority + "\r\n\r\n");
            assertThat(guest.send("GET http://" + authority + " HTTP/1.1\r\n\r\n")
                            .readResponse())
                    .contains("GET / HTTP/1.1\r\n");
            assertThat(origin.connections).hasValue(1);
        }
    }

    @Test
    void withAProxyBehindItThatIsAskedAndResolvesTheName() throws Exception {
        try (ScriptedServer proxy = ScriptedServer.mirror()) {
            behind(proxy);
            try (GuestSocket guest = http()) {
                assertThat(guest.send("GET http://unknown.here/ HTTP/1.1\r\nHost: unknown.here\r\n\r\n")
                                .readResponse())
                        .contains("GET http://unknown.here/ HTTP/1.1", "Proxy-Authorization: Basic Y29ycDpzZWNyZXQ=");
            }
            assertThat(rig.asked).isEmpty();
        }
    }

    @Test
    void connectOpensATunnelToTheServer() throws Exception {
        try (ScriptedServer origin = ScriptedServer.start(ScriptedServer.Connection::echo);
                GuestSocket guest = http()) {
            guest.send("CONNECT www.example.com:" + origin.port() + " HTTP/1.1\r\nHost: x\r\n\r\nearly");
            assertThat(guest.readHead()).startsWith("HTTP/1.1 200 ");
            assertThat(guest.readText(5)).isEqualTo("early");
            assertThat(guest.sendEnd().readAll()).isEmpty();
        }
    }

    @Test
    void connectOpensATunnelThroughTheProxyBehindIt() throws Exception {
        try (ScriptedServer proxy = tunnelling()) {
            behind(proxy);
            try (GuestSocket guest = http()) {
                guest.send("CONNECT unknown.here:443 HTTP/1.1\r\nHost: unknown.here:443\r\n\r\n");
                assertThat(guest.readHead()).startsWith("HTTP/1.1 200 ");
                assertThat(guest.send("\26\3\1").readText(3)).isEqualTo("\26\3\1");
            }
            assertThat(heads.poll())
                    .startsWith("CONNECT unknown.here:443 HTTP/1.1\r\n")
                    .contains("\r\nProxy-Authorization: Basic Y29ycDpzZWNyZXQ=\r\n");
        }
    }

    @ParameterizedTest
    @CsvSource({"403, 403", "503, 503", "504, 504", "407, 502", "302, 502"})
    void whatTheProxySaysToConnectTheClientIsTold(int said, int told) throws Exception {
        try (ScriptedServer proxy = ScriptedServer.start(connection -> {
            connection.readHead();
            connection.answer(said + " Because", "<html>");
        })) {
            behind(proxy);
            try (GuestSocket guest = http()) {
                assertThat(guest.send("CONNECT a.b:443 HTTP/1.1\r\nHost: a.b:443\r\n\r\n")
                                .readAll())
                        .startsWith("HTTP/1.1 " + told + " ")
                        .contains(said + " Because")
                        .doesNotContain("<html>", "secret");
            }
        }
    }

    @Test
    void aServerThatIsNotThereIsToldInHttp() throws Exception {
        ScriptedServer gone = ScriptedServer.mirror();
        gone.close();
        try (GuestSocket guest = http()) {
            assertThat(guest.send("CONNECT www.example.com:" + gone.port() + " HTTP/1.1\r\n\r\n")
                            .readAll())
                    .startsWith("HTTP/1.1 502 ")
                    .contains("refuses connections");
        }
        try (GuestSocket guest = http()) {
            assertThat(guest.send("GET http://no.such.name/ HTTP/1.1\r\nHost: no.such.name\r\n\r\n")
                            .readAll())
                    .startsWith("HTTP/1.1 502 ")
                    .contains("no.such.name has no address");
        }
    }

    @Test
    void whatThePolicyForbidsIsForbiddenHereTooByNameAndByAddress() throws Exception {
        rig.refused.put("169.254.169.254", ConnectFailure.PROHIBITED);
        rig.names.put("metadata.example", "169.254.169.254");
        for (String host : new String[] {"169.254.169.254", "metadata.example"}) {
            try (GuestSocket guest = http()) {
                assertThat(guest.send("GET http://" + host + "/ HTTP/1.1\r\nHost: x\r\n\r\n")
                                .readAll())
                        .startsWith("HTTP/1.1 403 ");
            }
        }
    }

    @Test
    void aNameThatChangesItsAddressIsJudgedEachTimeItIsDialled() throws Exception {
        rig.refused.put("169.254.169.254", ConnectFailure.PROHIBITED);
        try (ScriptedServer server = ScriptedServer.mirror()) {
            String request = "GET http://rebinds.example:" + server.port() + "/ HTTP/1.1\r\nHost: x\r\n"
                    + "Connection: close\r\n\r\n";
            for (String address : new String[] {"203.0.113.7", "169.254.169.254", "203.0.113.8"}) {
                rig.names.put("rebinds.example", address);
                try (GuestSocket each = http()) {
                    assertThat(each.send(request).readAll())
                            .startsWith(address.startsWith("203") ? "HTTP/1.1 200 " : "HTTP/1.1 403 ");
                }
            }
            assertThat(server.connections).hasValue(2);
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"host.docker.internal", "host.containers.internal", "host.internal", "192.168.65.254"})
    void theHostsServicesAreReachedByItsNamesAndAddressWithAndWithoutAProxyBehindIt(String host) throws Exception {
        try (ScriptedServer service = ScriptedServer.mirror();
                ScriptedServer proxy = tunnelling()) {
            for (boolean behind : new boolean[] {false, true}) {
                if (behind) {
                    behind(proxy);
                    rig.near.add("192.168.65.254");
                }
                try (GuestSocket guest = http()) {
                    assertThat(guest.send("GET http://" + host + ":" + service.port()
                                            + "/x HTTP/1.1\r\nHost: x\r\n\r\n")
                                    .readResponse())
                            .contains("GET /x HTTP/1.1\r\nHost: " + host + ":" + service.port() + "\r\n");
                }
            }
            assertThat(proxy.connections).hasValue(0);
        }
    }

    @Test
    void ourOwnNamesAreReachedAroundTheProxyBehindIt() throws Exception {
        try (ScriptedServer proxy = tunnelling()) {
            behind(proxy);
            rig.refused.put("192.168.65.254", ConnectFailure.PROHIBITED);
            try (GuestSocket guest = http()) {
                // The policy was asked, so it was dialled and not handed to the proxy.
                assertThat(guest.send("GET http://host.docker.internal/ HTTP/1.1\r\nHost: x\r\n\r\n")
                                .readAll())
                        .startsWith("HTTP/1.1 403 ");
            }
            assertThat(proxy.connections).hasValue(0);
        }
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "GET / HTTP/1.1\r\nHost: a.b\r\n\r\n",
                "GET https://a.b/ HTTP/1.1\r\nHost: a.b\r\n\r\n",
                "GET ftp://a.b/ HTTP/1.1\r\nHost: a.b\r\n\r\n",
                "GET http:///x HTTP/1.1\r\nHost: a.b\r\n\r\n",
                "GET http://user@a.b/ HTTP/1.1\r\nHost: a.b\r\n\r\n",
                "GET http://a.b:99999/ HTTP/1.1\r\nHost: a.b\r\n\r\n",
                "GET http://a..b/ HTTP/1.1\r\nHost: a.b\r\n\r\n",
                "GET http://[::g]/ HTTP/1.1\r\nHost: a.b\r\n\r\n",
                "CONNECT a.b HTTP/1.1\r\nHost: a.b\r\n\r\n",
                "CONNECT http://a.b:443/ HTTP/1.1\r\nHost: a.b\r\n\r\n",
                "CONNECT a.b:443 HTTP/1.1\r\nHost: a.b\r\nContent-Length: 5\r\n\r\nhello",
            })
    void whatNoProxyCanServeIsABadRequest(String request) throws Exception {
        try (GuestSocket guest = http()) {
            assertThat(guest.send(request).readAll()).startsWith("HTTP/1.1 400 ");
            assertThat(rig.counters().malformed()).isEqualTo(1);
        }
    }

    @Test
    void aPortThatIsSwitchedOffIsTheGatewaysAgain() throws Exception {
        rig.settings.updateAndGet(settings -> settings.withGatewayPorts(java.util.Set.of(), java.util.Set.of()));
        rig.dial(ProxyRig.GATEWAY, HTTP).failure.get();
        rig.dial(ProxyRig.GATEWAY, SOCKS).failure.get();
        assertThat(rig.direct).containsExactly("192.168.65.1:3128", "192.168.65.1:1080");
    }

    // ---- SOCKS

    private static String name(String host, int port) {
        return "\5\1\0\3" + (char) host.length() + host + (char) (port >>> 8) + (char) (port & 0xFF);
    }

    @Test
    void socksLeadsToAServerByItsNameAndByItsAddress() throws Exception {
        try (ScriptedServer origin = ScriptedServer.start(ScriptedServer.Connection::echo)) {
            String port = "" + (char) (origin.port() >>> 8) + (char) (origin.port() & 0xFF);
            for (String request : new String[] {
                name("www.example.com", origin.port()),
                "\5\1\0\1\313\0\161\7" + port,
                name("203.0.113.7", origin.port())
            }) {
                try (GuestSocket guest = socks()) {
                    assertThat(guest.send("\5\1\0").readText(2)).isEqualTo("\5\0");
                    assertThat(guest.send(request + "early").readText(10)).isEqualTo("\5\0\0\1\0\0\0\0\0\0");
                    assertThat(guest.readText(5)).isEqualTo("early");
                    assertThat(guest.sendEnd().readAll()).isEmpty();
                }
            }
        }
    }

    @Test
    void socksGoesThroughTheProxyBehindItByName() throws Exception {
        try (ScriptedServer proxy = tunnelling()) {
            behind(proxy);
            try (GuestSocket guest = socks()) {
                guest.send("\5\2\0\2" + name("unknown.here", 443));
                assertThat(guest.readText(2 + 10)).startsWith("\5\0\5\0");
                assertThat(guest.send("x").readText(1)).isEqualTo("x");
            }
            assertThat(heads.poll()).startsWith("CONNECT unknown.here:443 HTTP/1.1\r\n");
        }
    }

    @Test
    void socksSaysWhatIsWrong() throws Exception {
        ScriptedServer gone = ScriptedServer.mirror();
        gone.close();
        rig.refused.put("169.254.169.254", ConnectFailure.PROHIBITED);
        String[][] cases = {
            {name("www.example.com", gone.port()), "\5"},
            {name("no.such.name", 80), "\4"},
            {"\5\1\0\1\251\376\251\376\0\120", "\2"},
            {"\5\2\0\1\1\1\1\1\0\120", "\7"},
            {"\5\3\0\1\1\1\1\1\0\120", "\7"},
            {"\5\1\0\11\1\1\1\1\0\120", "\10"},
            {name("not a name", 80), "\1"},
            {name("", 80), "\1"},
            {name("a.b", 0), "\1"},
        };
        for (String[] each : cases) {
            try (GuestSocket guest = socks()) {
                assertThat(guest.send("\5\1\0" + each[0]).readAll())
                        .as("%s", (Object) each[0].getBytes())
                        .startsWith("\5\0\5" + each[1]);
            }
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"\4\1\0\120\1\1\1\1\0", "GET / HTTP/1.1\r\n\r\n", "\5\0", "\5\1\2", "\5\2\1\3"})
    void whatIsNotSocks5WithoutAuthenticationIsEnded(String bytes) throws Exception {
        try (GuestSocket guest = socks()) {
            assertThat(guest.send(bytes).readAll()).isIn("", "\5\377");
        }
    }

    @Test
    void socksComesByteByByteAsWell() throws Exception {
        try (ScriptedServer origin = ScriptedServer.start(ScriptedServer.Connection::echo);
                GuestSocket guest = socks()) {
            for (char c : ("\5\1\0" + name("www.example.com", origin.port()) + "x").toCharArray()) {
                guest.send(String.valueOf(c));
            }
            assertThat(guest.readText(13)).endsWith("x");
        }
    }

    @Test
    void anyBytesDoNoHarm() throws Exception {
        long seed = new Random().nextLong();
        Random random = new Random(seed);
        for (int round = 0; round < 200; round++) {
            byte[] bytes = new byte[random.nextInt(600)];
            random.nextBytes(bytes);
            boolean socks = random.nextBoolean();
            if (socks && bytes.length > 3) {
                bytes[0] = 5;
                bytes[1] = 1;
                bytes[2] = 0;
            }
            try (GuestSocket guest = rig.connect(ProxyRig.GATEWAY, socks ? SOCKS : HTTP)) {
                guest.send(bytes).sendEnd().readAll();
            } catch (java.net.SocketException e) {
                assertThat(e).as("seed %d", seed).hasMessage("reset");
            }
        }
    }
}
