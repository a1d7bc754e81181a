package dev.slipway.proxy;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.slipway.proxy.ScriptedServer.Connection;
import dev.slipway.seam.HostStream.ConnectFailure;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Queue;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What is said to a proxy is said within TLS, and to nobody but the one whose certificate is right. */
@Timeout(120)
final class TlsToTheProxyTest {

    private static final byte[] LARGE = new byte[4 << 20];

    @TempDir
    static Path folder;

    private static TestCertificate good;

    private final Queue<String> heads = new ConcurrentLinkedQueue<>();
    private ProxyRig rig;

    @BeforeAll
    static void makeCertificate() throws Exception {
        new Random(9).nextBytes(LARGE);
        good = TestCertificate.make(folder.resolve("good"), "dns:localhost,ip:127.0.0.1");
    }

    @BeforeEach
    void start() {
        rig = new ProxyRig();
    }

    @AfterEach
    void stop() throws Exception {
        rig.close();
    }

    private void use(ScriptedServer proxy, ProxyTrust trust) {
        use("https://corp:secret@127.0.0.1:" + proxy.port(), trust);
    }

    private void use(String url, ProxyTrust trust) {
        Optional<ProxyAddress> address = Optional.of(ProxyAddress.parse(url));
        rig.settings.set(ProxySettings.none()
                .withProxies(address, address, Optional.empty())
                .withTrust(trust));
    }

    private void use(ScriptedServer proxy) throws IOException {
        use(proxy, ProxyTrust.of(good.authority));
    }

    /** Opens every tunnel and echoes, and answers requests; bodies of requests are compared with LARGE. */
    private void serve(Connection connection) throws IOException {
        for (String head = connection.readHead(); !head.isEmpty(); head = connection.readHead()) {
            heads.add(head);
            if (head.startsWith("CONNECT")) {
                connection.write("HTTP/1.1 200 OK\r\n\r\n");
                connection.echo();
                return;
            }
            if (head.startsWith("POST")) {
                byte[] body = connection.in().readNBytes(LARGE.length);
                connection.answer("200 OK", Arrays.equals(body, LARGE) ? "same" : "other");
            } else if (head.startsWith("GET http://a.b/large")) {
                connection.write("HTTP/1.1 200 OK\r\nContent-Length: " + LARGE.length + "\r\n\r\n");
                connection.out().write(LARGE);
                connection.out().flush();
            } else {
                connection.answer("200 OK", "hello");
            }
        }
    }

    private ScriptedServer proxy(TestCertificate certificate) throws IOException {
        return ScriptedServer.start(certificate.within(this::serve));
    }

    private static String get(String path) {
        return "GET " + path + " HTTP/1.1\r\nHost: a.b\r\n\r\n";
    }

    @Test
    void requestsGoToItInAbsoluteFormOnOneConnection() throws Exception {
        try (ScriptedServer proxy = proxy(good)) {
            use(proxy);
            try (GuestSocket guest = rig.connect(ProxyRig.ORIGIN, 80)) {
                for (int i = 0; i < 3; i++) {
                    assertThat(guest.send(get("/" + i)).readResponse()).endsWith("\r\n\r\nhello");
                }
            }
            assertThat(heads)
                    .hasSize(3)
                    .allSatisfy(head -> assertThat(head)
                            .startsWith("GET http://a.b/")
                            .contains("\r\nProxy-Authorization: Basic Y29ycDpzZWNyZXQ=\r\n"));
            assertThat(proxy.connections).hasValue(1);
        }
    }

    @Test
    void largeBodiesAreExactBothWays() throws Exception {
        try (ScriptedServer proxy = proxy(good)) {
            use(proxy);
            try (GuestSocket guest = rig.connect(ProxyRig.ORIGIN, 80)) {
                guest.send(get("/large")).readHead();
                assertThat(Arrays.equals(guest.read(LARGE.length), LARGE)).isTrue();
                guest.send("POST / HTTP/1.1\r\nHost: a.b\r\nContent-Length: " + LARGE.length + "\r\n\r\n")
                        .send(LARGE);
                assertThat(guest.readResponse()).endsWith("same");
            }
        }
    }

    @Test
    void aTunnelIsOpenedByTheNameInTheHelloAndEachDirectionEndsByItself() throws Exception {
        byte[] hello = ClientHelloTest.hello("www.example.com");
        try (ScriptedServer proxy = proxy(good)) {
            use(proxy);
            try (GuestSocket guest = rig.connect(ProxyRig.ORIGIN, 443)) {
                assertThat(guest.send(hello).read(hello.length)).isEqualTo(hello);
                guest.send(LARGE).sendEnd();
                assertThat(Arrays.equals(guest.read(LARGE.length), LARGE)).isTrue();
                assertThat(guest.readAll()).isEmpty();
            }
            assertThat(heads)
                    .singleElement()
                    .satisfies(head -> assertThat(head)
                            .startsWith("CONNECT www.example.com:443 HTTP/1.1\r\n")
                            .contains("\r\nProxy-Authorization: Basic Y29ycDpzZWNyZXQ=\r\n"));
        }
    }

    @Test
    void anOlderTlsDoesButForEndingOneDirectionAlone() throws Exception {
        byte[] hello = ClientHelloTest.hello("www.example.com");
        try (ScriptedServer proxy = ScriptedServer.start(good.within(this::serve, "TLSv1.2"))) {
            use(proxy);
            try (GuestSocket guest = rig.connect(ProxyRig.ORIGIN, 443)) {
                guest.send(hello).read(hello.length);
                guest.send(LARGE);
                assertThat(Arrays.equals(guest.read(LARGE.length), LARGE)).isTrue();
                assertThat(guest.sendEnd().readAll()).isEmpty();
            }
        }
    }

    @Test
    void everyOtherPortGoesThroughItToo() throws Exception {
        try (ScriptedServer proxy = proxy(good)) {
            Optional<ProxyAddress> address = Optional.of(ProxyAddress.parse("https://127.0.0.1:" + proxy.port()));
            rig.settings.set(ProxySettings.none()
                    .withProxies(Optional.empty(), Optional.empty(), address)
                    .withTrust(ProxyTrust.of(good.authority)));
            try (GuestSocket guest = rig.connect(ProxyRig.ORIGIN, 22)) {
                assertThat(guest.send("x").readText(1)).isEqualTo("x");
            }
            assertThat(heads).singleElement().asString().startsWith("CONNECT " + ProxyRig.ORIGIN + ":22 ");
        }
    }

    @Test
    void itsNameIsWhatItsCertificateMustHave() throws Exception {
        rig.names.put("proxy.corp", "127.0.0.1");
        TestCertificate named = TestCertificate.make(folder.resolve("named"), "dns:proxy.corp");
        try (ScriptedServer proxy = proxy(named)) {
            use("https://proxy.corp:" + proxy.port(), ProxyTrust.of(named.authority));
            try (GuestSocket guest = rig.connect(ProxyRig.ORIGIN, 80)) {
                assertThat(guest.send(get("/")).readResponse()).endsWith("hello");
            }
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"unknown", "other-name", "expired"})
    void aCertificateThatIsNotRightIsAFailureThatTheGuestSeesAndNothingIsSaid(String what) throws Exception {
        TestCertificate bad = switch (what) {
            case "other-name" -> TestCertificate.make(folder.resolve(what), "dns:other.example");
            case "expired" ->
                TestCertificate.make(folder.resolve(what), "ip:127.0.0.1", "-startdate", "-10d", "-validity", "3");
            default -> TestCertificate.make(folder.resolve(what), "ip:127.0.0.1");
        };
        ProxyTrust trust = ProxyTrust.of(what.equals("unknown") ? good.authority : bad.authority);
        try (ScriptedServer proxy = proxy(bad)) {
            use(proxy, trust);
            try (GuestSocket guest = rig.connect(ProxyRig.ORIGIN, 80)) {
                assertThat(guest.send(get("/")).readAll())
                        .startsWith("HTTP/1.1 502 ")
                        .contains("the certificate of the proxy https://***@127.0.0.1:" + proxy.port()
                                + " is not valid: ")
                        .doesNotContain("secret");
            }
            try (GuestSocket guest = rig.connect(ProxyRig.ORIGIN, 443)) {
                assertThat(guest.send(ClientHelloTest.hello("a.b")).awaitReset())
                        .isTrue();
            }
            rig.settings.updateAndGet(
                    settings -> settings.withProxies(Optional.empty(), Optional.empty(), settings.https()));
            try (GuestSocket guest = rig.dial(ProxyRig.ORIGIN, 22)) {
                assertThat(guest.failure.get(ProxyRig.LIMIT_SECONDS, TimeUnit.SECONDS))
                        .isEqualTo(ConnectFailure.REFUSED);
            }
            assertThat(heads).isEmpty();
            assertThat(rig.counters().failures()).isEqualTo(3);
        }
    }

    @Test
    void aProxyWithoutTlsIsNotSpokenToInTheClear() throws Exception {
        CompletableFuture<String> seen = new CompletableFuture<>();
        try (ScriptedServer proxy = ScriptedServer.start(connection -> {
            byte[] bytes = new byte[1 << 14];
            int first = connection.in().read(bytes);
            connection.write("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
            seen.complete(new String(bytes, 0, first, StandardCharsets.ISO_8859_1)
                    + new String(connection.in().readAllBytes(), StandardCharsets.ISO_8859_1));
        })) {
            use(proxy);
            try (GuestSocket guest = rig.connect(ProxyRig.ORIGIN, 80)) {
                assertThat(guest.send(get("/path")).readAll())
                        .startsWith("HTTP/1.1 502 ")
                        .endsWith("the proxy https://***@127.0.0.1:" + proxy.port() + " does not speak TLS\n");
            }
            assertThat(seen.get(ProxyRig.LIMIT_SECONDS, TimeUnit.SECONDS))
                    .startsWith("\u0016\u0003")
                    .doesNotContain("path", "Proxy-Authorization", "GET", "CONNECT");
        }
    }

    @Test
    void aProxyThatHangsUpInTheHandshakeIsAFailure() throws Exception {
        try (ScriptedServer proxy =
                ScriptedServer.start(connection -> connection.in().read())) {
            use(proxy);
            try (GuestSocket guest = rig.connect(ProxyRig.ORIGIN, 80)) {
                assertThat(guest.send(get("/")).readAll()).startsWith("HTTP/1.1 502 ");
            }
            try (GuestSocket guest = rig.connect(ProxyRig.ORIGIN, 443)) {
                assertThat(guest.send(ClientHelloTest.hello("a.b")).awaitReset())
                        .isTrue();
            }
        }
    }

    @Test
    void aGuestThatGoesInTheHandshakeTakesTheConnectionWithIt() throws Exception {
        CompletableFuture<Integer> began = new CompletableFuture<>();
        CompletableFuture<Boolean> gone = new CompletableFuture<>();
        try (ScriptedServer proxy = ScriptedServer.start(connection -> {
            began.complete(connection.in().read());
            try {
                connection.in().readAllBytes();
            } catch (IOException e) {
                // A reset will do as well as an end.
                gone.complete(true);
            }
            gone.complete(true);
        })) {
            use(proxy);
            GuestSocket guest = rig.connect(ProxyRig.ORIGIN, 80).send(get("/"));
            began.get(ProxyRig.LIMIT_SECONDS, TimeUnit.SECONDS);
            guest.close();
            assertThat(gone.get(ProxyRig.LIMIT_SECONDS, TimeUnit.SECONDS)).isTrue();
        }
    }

    @Test
    void aGuestThatGoesInATransferTakesTheConnectionWithIt() throws Exception {
        CompletableFuture<Boolean> broken = new CompletableFuture<>();
        try (ScriptedServer proxy = ScriptedServer.start(good.within(connection -> {
            connection.readHead();
            connection.write("HTTP/1.1 200 OK\r\n\r\n");
            try {
                while (true) {
                    connection.out().write(LARGE);
                }
            } catch (IOException e) {
                broken.complete(true);
            }
        }))) {
            use(proxy);
            try (GuestSocket guest = rig.connect(ProxyRig.ORIGIN, 80)) {
                guest.send(get("/")).readHead();
                guest.read(1 << 20);
            }
            assertThat(broken.get(ProxyRig.LIMIT_SECONDS, TimeUnit.SECONDS)).isTrue();
        }
    }

    /** Whoever is on the way can end the connection; only within TLS it is the proxy that says so. */
    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void aBodyWithoutALengthEndsOnlyIfTheProxySaysSoWithinTls(boolean said) throws Exception {
        try (ScriptedServer proxy = ScriptedServer.start(plain -> good.within(connection -> {
                    connection.readHead();
                    connection.write("HTTP/1.1 200 OK\r\n\r\nall of it");
                    if (said) {
                        connection.socket().shutdownOutput();
                    } else {
                        plain.socket().shutdownOutput();
                    }
                    connection.in().read();
                })
                .serve(plain))) {
            use(proxy);
            try (GuestSocket guest = rig.connect(ProxyRig.ORIGIN, 80)) {
                guest.send(get("/"));
                if (said) {
                    assertThat(guest.readAll()).endsWith("\r\n\r\nall of it");
                } else {
                    assertThat(guest.awaitReset()).isTrue();
                }
            }
        }
    }

    @Test
    void withoutAFileTheHostsAuthoritiesCount() throws Exception {
        try (ScriptedServer proxy = proxy(good)) {
            use(proxy, ProxyTrust.ofFirst(List.of(folder.resolve("none"), good.authority)));
            try (GuestSocket guest = rig.connect(ProxyRig.ORIGIN, 80)) {
                assertThat(guest.send(get("/")).readResponse()).endsWith("hello");
            }
            use(proxy, ProxyTrust.OF_THE_HOST);
            try (GuestSocket guest = rig.connect(ProxyRig.ORIGIN, 80)) {
                assertThat(guest.send(get("/")).readAll()).contains("502", "is not valid");
            }
        }
    }

    @Test
    void aFileThatVouchesForNobodyIsRefusedWithItsName() throws Exception {
        Path file = folder.resolve("authorities.pem");
        assertThatThrownBy(() -> ProxyTrust.of(file)).hasMessage("there is no file " + file);
        Files.writeString(file, "");
        assertThatThrownBy(() -> ProxyTrust.of(file)).hasMessage(file + " has no certificate");
        Files.writeString(file, "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n");
        assertThatThrownBy(() -> ProxyTrust.of(file)).hasMessageStartingWith(file + " has ");
        Files.write(file, new byte[ProxyTrust.MAX_LENGTH + 1]);
        assertThatThrownBy(() -> ProxyTrust.of(file)).hasMessageContaining("longer than");
    }
}
