package dev.slipway.proxy;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.Arrays;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The same behaviours with proxies that others wrote. */
@Timeout(120)
final class RealProxyTest {

    private static final byte[] LARGE = new byte[8 << 20];

    static {
        new Random(7).nextBytes(LARGE);
    }

    @TempDir
    Path folder;

    private ProxyRig rig;
    private ScriptedServer web;
    private ScriptedServer echo;

    @BeforeEach
    void start() throws Exception {
        rig = new ProxyRig();
        web = ScriptedServer.start(connection -> {
            for (String head = connection.readHead(); !head.isEmpty(); head = connection.readHead()) {
                if (head.startsWith("GET /large")) {
                    connection.write("HTTP/1.1 200 OK\r\nContent-Length: " + LARGE.length + "\r\n\r\n");
                    connection.out().write(LARGE);
                } else if (head.startsWith("POST")) {
                    byte[] body = connection.in().readNBytes(LARGE.length);
                    connection.answer("200 OK", Arrays.equals(body, LARGE) ? "same" : "other");
                } else {
                    connection.answer("200 OK", head);
                }
            }
        });
        echo = ScriptedServer.start(ScriptedServer.Connection::echo);
    }

    @AfterEach
    void stop() throws Exception {
        web.close();
        echo.close();
        rig.close();
    }

    private void use(String scheme, String credentials, RealProxy proxy) {
        Optional<ProxyAddress> address =
                Optional.of(ProxyAddress.parse(scheme + "://" + credentials + "127.0.0.1:" + proxy.port));
        rig.settings.set(ProxySettings.none()
                .withProxies(address, address, Optional.empty())
                .withPorts(Set.of(web.port()), Set.of(echo.port()), ProxySettings.Opaque.PROXY));
    }

    private RealProxy tinyproxy() throws Exception {
        RealProxy proxy = RealProxy.tinyproxy(folder, "corp", "secret", echo.port());
        use("http", "corp:secret@", proxy);
        return proxy;
    }

    private GuestSocket toWeb() throws Exception {
        return rig.connect("198.51.100.1", web.port());
    }

    @Test
    void httpGoesThroughAnHttpProxyWithAPassword() throws Exception {
        try (RealProxy proxy = tinyproxy();
                GuestSocket guest = toWeb()) {
            for (int i = 0; i < 3; i++) {
                assertThat(guest.send("GET /" + i + " HTTP/1.1\r\nHost: localhost\r\n\r\n")
                                .readResponse())
                        .startsWith("HTTP/1.1 200")
                        .contains("GET /" + i + " HTTP/1.1", "tinyproxy")
                        .doesNotContain("Proxy-Authorization");
            }
            assertThat(proxy.log()).doesNotContain("Unauthorized");
        }
    }

    @Test
    void largeBodiesAreExactBothWays() throws Exception {
        try (RealProxy proxy = tinyproxy();
                GuestSocket guest = toWeb()) {
            guest.send("GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n").readHead();
            assertThat(Arrays.equals(guest.read(LARGE.length), LARGE)).isTrue();
            guest.send("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: " + LARGE.length + "\r\n\r\n")
                    .send(LARGE);
            assertThat(guest.readResponse()).endsWith("same");
        }
    }

    @Test
    void tlsGoesThroughItByName() throws Exception {
        byte[] named = ClientHelloTest.hello("localhost");
        try (RealProxy proxy = tinyproxy();
                GuestSocket guest = rig.connect("198.51.100.1", echo.port())) {
            assertThat(guest.send(named).read(named.length)).isEqualTo(named);
            assertThat(guest.send("more").readText(4)).isEqualTo("more");
            assertThat(guest.sendEnd().readAll()).isEmpty();
            assertThat(proxy.log()).contains("CONNECT localhost:" + echo.port());
        }
    }

    @Test
    void aPortThatItOpensNoTunnelToIsAReset() throws Exception {
        try (RealProxy proxy = RealProxy.tinyproxy(folder, "corp", "secret", 1)) {
            use("http", "corp:secret@", proxy);
            try (GuestSocket guest = rig.connect("198.51.100.1", echo.port())) {
                assertThat(guest.send(ClientHelloTest.hello("a.b")).awaitReset())
                        .isTrue();
            }
            assertThat(rig.counters().refusedByProxy()).isEqualTo(1);
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"corp:wrong@", ""})
    void aWrongPasswordIsTold(String credentials) throws Exception {
        try (RealProxy proxy = RealProxy.tinyproxy(folder, "corp", "secret", echo.port())) {
            use("http", credentials, proxy);
            try (GuestSocket guest = toWeb()) {
                // Without a password it says 407, with a wrong one 401 as if it were the server.
                assertThat(guest.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
                                .readAll())
                        .startsWith(credentials.isEmpty() ? "HTTP/1.1 502 " : "HTTP/1.1 401 ")
                        .doesNotContain("wrong");
            }
            try (GuestSocket guest = rig.connect("198.51.100.1", echo.port())) {
                assertThat(guest.send(ClientHelloTest.hello("a.b")).awaitReset())
                        .isTrue();
            }
        }
    }

    @Test
    void theProxyGoesAndComesBack() throws Exception {
        RealProxy first = tinyproxy();
        try (GuestSocket guest = toWeb()) {
            assertThat(guest.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").readResponse())
                    .contains(" 200 ");
            first.close();
            assertThat(guest.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").readAll())
                    .startsWith("HTTP/1.1 502 ");
        }
        try (RealProxy second = tinyproxy();
                GuestSocket guest = toWeb()) {
            assertThat(guest.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").readResponse())
                    .contains(" 200 ");
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"socks5h", "socks5"})
    void bothGoThroughASocksProxyWithAPassword(String scheme) throws Exception {
        try (RealProxy proxy = RealProxy.microsocks(folder, "corp", "secret")) {
            use(scheme, "corp:secret@", proxy);
            boolean remote = scheme.equals("socks5h");
            // Without names of its own such a proxy gets the address that was dialled.
            String address = remote ? "198.51.100.1" : "127.0.0.1";
            try (GuestSocket guest = rig.connect(address, web.port())) {
                guest.send("GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n").readHead();
                assertThat(Arrays.equals(guest.read(LARGE.length), LARGE)).isTrue();
                guest.send("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: " + LARGE.length + "\r\n\r\n")
                        .send(LARGE);
                assertThat(guest.readResponse()).endsWith("same");
            }
            byte[] hello = ClientHelloTest.hello("localhost");
            try (GuestSocket guest = rig.connect(address, echo.port())) {
                assertThat(guest.send(hello).read(hello.length)).isEqualTo(hello);
            }
        }
    }

    @Test
    void aSocksProxyThatTakesNoPasswordOfOursIsTold() throws Exception {
        try (RealProxy proxy = RealProxy.microsocks(folder, "corp", "secret")) {
            for (String credentials : new String[] {"corp:wrong@", ""}) {
                use("socks5h", credentials, proxy);
                try (GuestSocket guest = toWeb()) {
                    assertThat(guest.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
                                    .readAll())
                            .startsWith("HTTP/1.1 502 ")
                            .doesNotContain("wrong");
                }
            }
        }
    }

    @Test
    void theGatewaysProxiesGoThroughItToo() throws Exception {
        try (RealProxy proxy = tinyproxy();
                GuestSocket guest = rig.connect(ProxyRig.GATEWAY, 3128)) {
            assertThat(guest.send("GET http://localhost:" + web.port() + "/x HTTP/1.1\r\nHost: x\r\n\r\n")
                            .readResponse())
                    .contains("GET /x HTTP/1.1", "tinyproxy");
            guest.send("CONNECT localhost:" + echo.port() + " HTTP/1.1\r\n\r\n");
            assertThat(guest.readHead()).startsWith("HTTP/1.1 200 ");
            assertThat(guest.send("x").readText(1)).isEqualTo("x");
            assertThat(proxy.log()).contains("CONNECT localhost:" + echo.port());
        }
    }

    /** With and without TLS to it. */
    private RealProxy squid(boolean tls, int connectPort) throws Exception {
        TestCertificate certificate =
                tls ? TestCertificate.make(folder.resolve("keys"), "dns:localhost,ip:127.0.0.1") : null;
        RealProxy proxy = RealProxy.squid(folder, "corp", "secret", certificate, connectPort);
        use(tls ? "https" : "http", "corp:secret@", proxy);
        if (tls) {
            ProxyTrust trust = ProxyTrust.of(certificate.authority);
            rig.settings.updateAndGet(settings -> settings.withTrust(trust));
        }
        return proxy;
    }

    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void requestsGoThroughSquidInOrderAndLargeBodiesAreExact(boolean tls) throws Exception {
        try (RealProxy proxy = squid(tls, echo.port());
                GuestSocket guest = toWeb()) {
            guest.send("GET /1 HTTP/1.1\r\nHost: localhost\r\n\r\nGET /2 HTTP/1.1\r\nHost: localhost\r\n\r\n");
            assertThat(guest.readResponse()).contains("\r\n\r\nGET /1 HTTP/1.1", "Via: ", "squid");
            assertThat(guest.readResponse())
                    .contains("\r\n\r\nGET /2 HTTP/1.1", "squid")
                    .doesNotContain("Proxy-Authorization");
            guest.send("GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n").readHead();
            assertThat(Arrays.equals(guest.read(LARGE.length), LARGE)).isTrue();
            guest.send("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: " + LARGE.length + "\r\n\r\n")
                    .send(LARGE);
            assertThat(guest.readResponse()).endsWith("same");
            // By the name in Host, not by the address.
            rig.until(
                    "it has written its log",
                    () -> proxy.log().contains("POST http://localhost:" + web.port() + "/ corp"));
        }
    }

    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void tunnelsThroughSquidAreAskedForByName(boolean tls) throws Exception {
        byte[] named = ClientHelloTest.hello("localhost");
        try (RealProxy proxy = squid(tls, echo.port());
                GuestSocket guest = rig.connect("198.51.100.1", echo.port())) {
            assertThat(guest.send(named).read(named.length)).isEqualTo(named);
            guest.send(LARGE);
            assertThat(Arrays.equals(guest.read(LARGE.length), LARGE)).isTrue();
            guest.close();
            rig.until(
                    "it has written its log", () -> proxy.log().contains("CONNECT localhost:" + echo.port() + " corp"));
        }
    }

    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void whatSquidRefusesIsAFailureAndNeverGarbage(boolean tls) throws Exception {
        try (RealProxy proxy = squid(tls, 1)) {
            try (GuestSocket guest = rig.connect("198.51.100.1", echo.port())) {
                assertThat(guest.send(ClientHelloTest.hello("localhost")).awaitReset())
                        .isTrue();
            }
            assertThat(rig.counters().refusedByProxy()).isEqualTo(1);
            ProxyTrust trust = rig.settings.get().trust();
            use(tls ? "https" : "http", "corp:wrong@", proxy);
            rig.settings.updateAndGet(settings -> settings.withTrust(trust));
            try (GuestSocket guest = toWeb()) {
                assertThat(guest.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
                                .readAll())
                        .startsWith("HTTP/1.1 502 ")
                        .contains("does not take the credentials")
                        .doesNotContain("wrong");
            }
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"socks5h", "socks5"})
    void bothGoThroughDante(String scheme) throws Exception {
        try (RealProxy proxy = RealProxy.dante(folder)) {
            use(scheme, "", proxy);
            boolean remote = scheme.equals("socks5h");
            String address = remote ? "198.51.100.1" : "127.0.0.1";
            try (GuestSocket guest = rig.connect(address, web.port())) {
                guest.send("GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n").readHead();
                assertThat(Arrays.equals(guest.read(LARGE.length), LARGE)).isTrue();
                guest.send("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: " + LARGE.length + "\r\n\r\n")
                        .send(LARGE);
                assertThat(guest.readResponse()).endsWith("same");
            }
            byte[] named = ClientHelloTest.hello("localhost");
            try (GuestSocket guest = rig.connect(address, echo.port())) {
                assertThat(guest.send(named).read(named.length)).isEqualTo(named);
                assertThat(guest.sendEnd().readAll()).isEmpty();
            }
            assertThat(proxy.log()).contains("127.0.0.1." + echo.port());
            web.close();
            try (GuestSocket guest = rig.connect(address, web.port())) {
                assertThat(guest.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
                                .readAll())
                        .startsWith("HTTP/1.1 502 ");
            }
        }
    }
}
