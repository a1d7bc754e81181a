package dev.slipway.proxy;

import static org.assertj.core.api.Assertions.assertThat;

import dev.slipway.seam.HostStream.ConnectFailure;
import java.io.IOException;
import java.util.Arrays;
import java.util.Optional;
import java.util.Queue;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.ConcurrentLinkedQueue;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** TLS of programs that know of no proxy, and what is neither TLS nor HTTP. */
@Tag("transport")
@Timeout(120)
final class TransparentTunnelTest {

    private static final String OPENED = "HTTP/1.1 200 Connection established\r\n\r\n";

    private final Queue<String> heads = new ConcurrentLinkedQueue<>();
    private ProxyRig rig;

    @BeforeEach
    void start() {
        rig = new ProxyRig();
    }

    @AfterEach
    void stop() throws Exception {
        rig.close();
    }

    private void use(ScriptedServer proxy) {
        rig.settings.set(ProxySettings.none()
                .withProxies(Optional.empty(), Optional.of(ProxyAddress.parse(proxy.url())), Optional.empty()));
    }

    /** Opens a tunnel that is an echo. */
    private ScriptedServer echoing() throws IOException {
        return answering(OPENED);
    }

    private ScriptedServer answering(String response) throws IOException {
        return ScriptedServer.start(connection -> {
            heads.add(connection.readHead());
            connection.write(response);
            connection.echo();
        });
    }

    private String firstLine() {
        return String.valueOf(heads.poll()).lines().findFirst().orElse("");
    }

    @Test
    void tlsGoesByTheNameInItsHelloAndComesUnchanged() throws Exception {
        byte[] hello = ClientHelloTest.hello("www.example.com");
        try (ScriptedServer proxy = echoing()) {
            use(proxy);
            try (GuestSocket guest = rig.connect(ProxyRig.ORIGIN, 443)) {
                assertThat(guest.send(hello).read(hello.length)).isEqualTo(hello);
                assertThat(guest.send("more").readText(4)).isEqualTo("more");
                assertThat(guest.sendEnd().readAll()).isEmpty();
            }
            assertThat(heads.poll())
                    .isEqualTo("CONNECT www.example.com:443 HTTP/1.1\r\nHost: www.example.com:443\r\n\r\n");
            assertThat(rig.counters().tunnels()).isEqualTo(1);
        }
    }

    @Test
    void theDialledPortIsAskedForNotAlways443() throws Exception {
        byte[] hello = ClientHelloTest.hello("www.example.com");
        try (ScriptedServer proxy = echoing()) {
            use(proxy);
            rig.settings.updateAndGet(
                    settings -> settings.withPorts(Set.of(80), Set.of(443, 8443), ProxySettings.Opaque.PROXY));
            try (GuestSocket guest = rig.connect(ProxyRig.ORIGIN, 8443)) {
                guest.send(hello).read(hello.length);
            }
            assertThat(firstLine()).isEqualTo("CONNECT www.example.com:8443 HTTP/1.1");
        }
    }

    @Test
    void withoutANameTheAddressIsAskedFor() throws Exception {
        byte[] hello = ClientHelloTest.hello("");
        try (ScriptedServer proxy = echoing()) {
            use(proxy);
            try (GuestSocket guest = rig.connect(ProxyRig.ORIGIN, 443)) {
                assertThat(guest.send(hello).read(hello.length)).isEqualTo(hello);
            }
            assertThat(firstLine()).isEqualTo("CONNECT 203.0.113.7:443 HTTP/1.1");
        }
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "www.exam le.com",
                "www.example.co/",
                "www..example.com",
                "\r\nX: y.example.c",
                "[::1]:22.......",
                "10.0.0.1.......",
                "ww\0.example.com",
                "user@example.co"
            })
    void aNameThatIsNoneIsNotAskedFor(String bad) throws Exception {
        byte[] hello = ClientHelloTest.hello("www.example.com");
        byte[] name = "www.example.com".getBytes();
        for (int at = 0; at + name.length <= hello.length; at++) {
            if (Arrays.equals(hello, at, at + name.length, name, 0, name.length)) {
                System.arraycopy(bad.getBytes(), 0, hello, at, name.length);
            }
        }
        try (ScriptedServer proxy = echoing()) {
            use(proxy);
            try (GuestSocket guest = rig.connect(ProxyRig.ORIGIN, 443)) {
                assertThat(guest.send(hello).read(hello.length)).isEqualTo(hello);
            }
            assertThat(firstLine()).isEqualTo("CONNECT 203.0.113.7:443 HTTP/1.1");
        }
    }

    @Test
    void aHelloThatComesByteByByteIsUnderstood() throws Exception {
        byte[] hello = ClientHelloTest.inRecords(ClientHelloTest.hello("www.example.com"), 1);
        try (ScriptedServer proxy = echoing()) {
            use(proxy);
            try (GuestSocket guest = rig.connect(ProxyRig.ORIGIN, 443)) {
                for (byte b : hello) {
                    guest.send(new byte[] {b});
                }
                assertThat(guest.read(hello.length)).isEqualTo(hello);
            }
            assertThat(firstLine()).isEqualTo("CONNECT www.example.com:443 HTTP/1.1");
        }
    }

    @Test
    void aHelloThatSaysItIs16MebibytesLongIsNotWaitedFor() throws Exception {
        byte[] bytes = new byte[200_000];
        new Random(3).nextBytes(bytes);
        System.arraycopy(
                new byte[] {22, 3, 1, 0x40, 0, 1, (byte) 0xFF, (byte) 0xFF, (byte) 0xFF, 3, 3}, 0, bytes, 0, 11);
        try (ScriptedServer proxy = echoing()) {
            use(proxy);
            try (GuestSocket guest = rig.connect(ProxyRig.ORIGIN, 443)) {
                assertThat(guest.send(bytes).read(bytes.length)).isEqualTo(bytes);
            }
            assertThat(firstLine()).isEqualTo("CONNECT 203.0.113.7:443 HTTP/1.1");
        }
    }

    @Test
    void aHelloThatNeverEndsIsPassedOnAtItsLimit() throws Exception {
        // Records of one byte each of a message of 30 KiB: far more than the limit in all.
        byte[] message = new byte[30_000];
        message[0] = 1;
        message[2] = 0x70;
        byte[] framed = new byte[5 + message.length];
        System.arraycopy(message, 0, framed, 5, message.length);
        byte[] bytes = ClientHelloTest.inRecords(framed, 1);
        try (ScriptedServer proxy = echoing()) {
            use(proxy);
            try (GuestSocket guest = rig.connect(ProxyRig.ORIGIN, 443)) {
                assertThat(guest.send(bytes).read(bytes.length)).isEqualTo(bytes);
            }
            assertThat(firstLine()).isEqualTo("CONNECT 203.0.113.7:443 HTTP/1.1");
            assertThat(rig.counters().opaque()).isEqualTo(1);
        }
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "HTTP/1.1 403 Forbidden\r\nContent-Length: 9\r\n\r\n<garbage>",
                "HTTP/1.1 407 Auth\r\nProxy-Authenticate: Basic\r\n\r\n<garbage>",
                "HTTP/1.1 502 Bad\r\n\r\n<garbage>",
                "HTTP/1.1 301 Moved\r\nLocation: http://x/\r\n\r\n<garbage>",
                "garbage\r\n\r\n",
                "\0\0\0\0\0\0\0\0\r\n\r\n",
                ""
            })
    void aRefusalIsAResetAndNeverGarbage(String response) throws Exception {
        try (ScriptedServer proxy = ScriptedServer.start(connection -> {
                    connection.readHead();
                    connection.write(response);
                });
                GuestSocket guest = connectWith(proxy)) {
            guest.send(ClientHelloTest.hello("www.example.com"));
            org.assertj.core.api.Assertions.assertThatThrownBy(guest::read).hasMessage("reset");
            assertThat(rig.counters().failures()).isEqualTo(1);
        }
    }

    private GuestSocket connectWith(ScriptedServer proxy) throws Exception {
        use(proxy);
        return rig.connect(ProxyRig.ORIGIN, 443);
    }

    @Test
    void aProxyThatIsGoneIsAResetAtOnce() throws Exception {
        ScriptedServer proxy = echoing();
        proxy.close();
        try (GuestSocket guest = connectWith(proxy)) {
            assertThat(guest.send(ClientHelloTest.hello("a.b")).awaitReset()).isTrue();
        }
    }

    @Test
    void aHeadWithoutAnEndFromTheProxyIsAReset() throws Exception {
        try (ScriptedServer proxy = ScriptedServer.start(connection -> {
                    connection.readHead();
                    connection.write("HTTP/1.1 200 OK\r\n");
                    for (int i = 0; i < 100_000; i++) {
                        connection.write("X-Endless: 0123456789\r\n");
                    }
                });
                GuestSocket guest = connectWith(proxy)) {
            assertThat(guest.send(ClientHelloTest.hello("a.b")).awaitReset()).isTrue();
        }
    }

    @Test
    void bytesThatFollowTheProxysAnswerAreNotLost() throws Exception {
        try (ScriptedServer proxy = answering("HTTP/1.1 100 Continue\r\n\r\n" + OPENED + "early");
                GuestSocket guest = connectWith(proxy)) {
            byte[] hello = ClientHelloTest.hello("a.b");
            assertThat(guest.send(hello).readText(5)).isEqualTo("early");
            assertThat(guest.read(hello.length)).isEqualTo(hello);
        }
    }

    @Test
    void namesAndAddressesThatAreExcludedGoToTheAddressThatWasDialled() throws Exception {
        byte[] hello = ClientHelloTest.hello("www.direct.example");
        try (ScriptedServer proxy = echoing();
                ScriptedServer origin = ScriptedServer.start(ScriptedServer.Connection::echo)) {
            use(proxy);
            rig.settings.updateAndGet(
                    settings -> settings.withExclude(HostPatterns.parse("*.direct.example, 198.51.100.0/24"))
                            .withPorts(Set.of(80), Set.of(origin.port()), ProxySettings.Opaque.PROXY));
            try (GuestSocket guest = rig.connect(ProxyRig.ORIGIN, origin.port())) {
                assertThat(guest.send(hello).read(hello.length)).isEqualTo(hello);
            }
            rig.dial("198.51.100.1", origin.port()).failure.get();
            assertThat(rig.direct).containsExactly("198.51.100.1:" + origin.port());
            assertThat(proxy.connections).hasValue(0);
        }
    }

    @Test
    void otherBytesGoThroughATunnelToTheAddress() throws Exception {
        try (ScriptedServer proxy = echoing();
                GuestSocket guest = connectWith(proxy)) {
            assertThat(guest.send("SSH-2.0-x\r\n").readText(11)).isEqualTo("SSH-2.0-x\r\n");
            assertThat(firstLine()).isEqualTo("CONNECT 203.0.113.7:443 HTTP/1.1");
            assertThat(rig.counters().opaque()).isEqualTo(1);
        }
    }

    @Test
    void otherBytesGoDirectIfTheSettingsSaySo() throws Exception {
        try (ScriptedServer proxy = echoing();
                ScriptedServer origin = ScriptedServer.start(ScriptedServer.Connection::echo)) {
            use(proxy);
            rig.settings.updateAndGet(
                    settings -> settings.withPorts(Set.of(80), Set.of(origin.port()), ProxySettings.Opaque.DIRECT));
            try (GuestSocket guest = rig.connect(ProxyRig.ORIGIN, origin.port())) {
                assertThat(guest.send("SSH-2.0-x\r\n").readText(11)).isEqualTo("SSH-2.0-x\r\n");
            }
            assertThat(proxy.connections).hasValue(0);
        }
    }

    @Test
    void aServerThatSpeaksFirstIsHeard() throws Exception {
        try (ScriptedServer proxy = answering(OPENED + "220 hello\r\n");
                GuestSocket guest = connectWith(proxy)) {
            assertThat(guest.readText(11)).isEqualTo("220 hello\r\n");
            assertThat(guest.send("HELO\r\n").readText(6)).isEqualTo("HELO\r\n");
        }
    }

    @Test
    void http2WithoutTlsGoesThroughATunnel() throws Exception {
        String preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
        try (ScriptedServer proxy = echoing()) {
            use(proxy);
            rig.settings.updateAndGet(
                    settings -> settings.withProxies(settings.https(), settings.https(), Optional.empty()));
            try (GuestSocket guest = rig.connect(ProxyRig.ORIGIN, 80)) {
                assertThat(guest.send(preface).readText(preface.length())).isEqualTo(preface);
            }
            assertThat(firstLine()).isEqualTo("CONNECT 203.0.113.7:80 HTTP/1.1");
        }
    }

    @Test
    void everyTcpConnectionGoesThroughTheProxyForAll() throws Exception {
        try (ScriptedServer proxy = echoing()) {
            rig.settings.set(ProxySettings.none()
                    .withProxies(Optional.empty(), Optional.empty(), Optional.of(ProxyAddress.parse(proxy.url()))));
            try (GuestSocket guest = rig.connect(ProxyRig.ORIGIN, 22)) {
                assertThat(guest.send("x").readText(1)).isEqualTo("x");
            }
            assertThat(firstLine()).isEqualTo("CONNECT 203.0.113.7:22 HTTP/1.1");
        }
    }

    @Test
    void aConnectionOnAnyPortThatTheProxyRefusesIsRefusedNotAcceptedAndReset() throws Exception {
        try (ScriptedServer proxy = answering("HTTP/1.1 403 No\r\n\r\n")) {
            rig.settings.set(ProxySettings.none()
                    .withProxies(Optional.empty(), Optional.empty(), Optional.of(ProxyAddress.parse(proxy.url()))));
            GuestSocket guest = rig.dial(ProxyRig.ORIGIN, 22);
            assertThat(guest.failure.get()).isEqualTo(ConnectFailure.REFUSED);
            assertThat(guest.connected).isNotDone();
        }
    }

    @Test
    void withoutAProxyForThemOtherPortsAreNotLookedAt() throws Exception {
        try (ScriptedServer proxy = echoing()) {
            use(proxy);
            rig.dial(ProxyRig.ORIGIN, 22).failure.get();
            rig.dial(ProxyRig.ORIGIN, 80).failure.get();
            assertThat(rig.direct).containsExactly("203.0.113.7:22", "203.0.113.7:80");
        }
    }

    @Test
    void eachDirectionEndsByItself() throws Exception {
        try (ScriptedServer proxy = ScriptedServer.start(connection -> {
                    connection.readHead();
                    connection.write(OPENED + "bye");
                    connection.socket().shutdownOutput();
                    heads.add(new String(connection.in().readAllBytes()));
                });
                GuestSocket guest = connectWith(proxy)) {
            guest.send("SSH-first\r\n");
            assertThat(guest.readAll()).isEqualTo("bye");
            guest.send("still sending");
            guest.sendEnd();
            rig.until("all of it is there", () -> !heads.isEmpty());
            assertThat(heads.poll()).isEqualTo("SSH-first\r\nstill sending");
        }
    }

    @Test
    void bulkBothWaysAtOnceIsExact() throws Exception {
        byte[] bytes = new byte[16 << 20];
        new Random(5).nextBytes(bytes);
        bytes[0] = 0;
        try (ScriptedServer proxy = echoing();
                GuestSocket guest = connectWith(proxy)) {
            guest.send(bytes);
            guest.sendEnd();
            assertThat(Arrays.equals(guest.read(bytes.length), bytes)).isTrue();
            assertThat(guest.readAll()).isEmpty();
        }
    }

    @Test
    void aResetOfTheOtherSideIsAResetForTheGuest() throws Exception {
        try (ScriptedServer proxy = ScriptedServer.start(connection -> {
                    connection.readHead();
                    connection.write(OPENED);
                    connection.in().read();
                    connection.socket().setSoLinger(true, 0);
                });
                GuestSocket guest = connectWith(proxy)) {
            assertThat(guest.send("\0").awaitReset()).isTrue();
        }
    }
}
