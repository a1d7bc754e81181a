package dev.slipway.proxy;

import static org.assertj.core.api.Assertions.assertThat;

import dev.slipway.proxy.ScriptedServer.Connection;
import java.io.IOException;
import java.util.Optional;
import java.util.Queue;
import java.util.Set;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Programs of the guest that know of no proxy speak HTTP to servers of the web. */
@Tag("transport")
@Timeout(120)
final class TransparentHttpTest {

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
        use("http://127.0.0.1:" + proxy.port());
    }

    private void use(String url) {
        rig.settings.set(ProxySettings.none()
                .withProxies(Optional.of(ProxyAddress.parse(url)), Optional.empty(), Optional.empty()));
    }

    private void exclude(String patterns) {
        rig.settings.updateAndGet(settings -> settings.withExclude(HostPatterns.parse(patterns)));
    }

    /** Notes each head and answers in one way. */
    private ScriptedServer proxy(String response) throws IOException {
        return ScriptedServer.start(connection -> {
            for (String head = connection.readHead(); !head.isEmpty(); head = connection.readHead()) {
                heads.add(head);
                connection.write(response);
            }
        });
    }

    private String fetch(String request) throws Exception {
        try (GuestSocket guest = rig.connect(ProxyRig.ORIGIN, 80)) {
            return guest.send(request).readResponse();
        }
    }

    @Test
    void aRequestGoesToTheProxyInAbsoluteFormByTheNameInHost() throws Exception {
        try (ScriptedServer proxy = ScriptedServer.mirror()) {
            use(proxy);
            assertThat(fetch("GET /a/b?c=d HTTP/1.1\r\nHost: www.example.com\r\nUser-Agent: me\r\n\r\n"))
                    .startsWith("HTTP/1.1 200 OK\r\n")
                    .endsWith("GET http://www.example.com/a/b?c=d HTTP/1.1\r\nHost: www.example.com\r\n"
                            + "User-Agent: me\r\n\r\n");
            assertThat(rig.asked).isEmpty();
        }
    }

    @Test
    void whatTheClientSaysOfItselfIsKeptAndWhatIsForThisHopIsNot() throws Exception {
        try (ScriptedServer proxy = ScriptedServer.mirror()) {
            use(proxy);
            assertThat(fetch("GET / HTTP/1.1\r\nHost: a.b\r\nAuthorization: Basic dTpw\r\nX-Mine: 1\r\n"
                            + "Connection: X-Hop\r\nX-Hop: 2\r\nProxy-Connection: keep-alive\r\nTE: trailers\r\n"
                            + "Proxy-Authorization: Basic eDp5\r\n\r\n"))
                    .contains("\r\nAuthorization: Basic dTpw\r\n", "\r\nX-Mine: 1\r\n")
                    .doesNotContain("X-Hop", "Proxy-Connection", "TE:", "Proxy-Authorization");
        }
    }

    @Test
    void withoutAHostFieldTheAddressIsAskedFor() throws Exception {
        try (ScriptedServer proxy = ScriptedServer.mirror()) {
            use(proxy);
            assertThat(fetch("GET /x HTTP/1.0\r\n\r\n"))
                    .contains("GET http://203.0.113.7/x HTTP/1.0\r\nHost: 203.0.113.7\r\n");
            assertThat(fetch("GET /x HTTP/1.1\r\n\r\n")).contains("GET http://203.0.113.7/x HTTP/1.1\r\n");
        }
    }

    @Test
    void theDialledPortCountsWhateverTheHostFieldSays() throws Exception {
        try (ScriptedServer proxy = ScriptedServer.mirror()) {
            use(proxy);
            rig.settings.updateAndGet(
                    settings -> settings.withPorts(Set.of(80, 8080), Set.of(443), ProxySettings.Opaque.PROXY));
            try (GuestSocket guest = rig.connect(ProxyRig.ORIGIN, 8080)) {
                assertThat(guest.send("GET / HTTP/1.1\r\nHost: a.b:22\r\n\r\n").readResponse())
                        .contains("GET http://a.b:8080/ HTTP/1.1\r\nHost: a.b:8080\r\n");
            }
        }
    }

    @Test
    void anAbsoluteUrlOfTheClientCountsBeforeItsHostField() throws Exception {
        try (ScriptedServer proxy = ScriptedServer.mirror()) {
            use(proxy);
            assertThat(fetch("GET http://real.example/x HTTP/1.1\r\nHost: other.example\r\n\r\n"))
                    .contains("GET http://real.example/x HTTP/1.1\r\nHost: real.example\r\n")
                    .doesNotContain("other.example");
        }
    }

    @Test
    void theProxyGetsItsCredentialsAndTheGuestNeverSeesThem() throws Exception {
        try (ScriptedServer proxy = proxy("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")) {
            use("http://corp:secret@127.0.0.1:" + proxy.port());
            assertThat(fetch("GET / HTTP/1.1\r\nHost: a.b\r\n\r\n")).endsWith("ok");
            assertThat(heads.poll()).contains("\r\nProxy-Authorization: Basic Y29ycDpzZWNyZXQ=\r\n");
        }
    }

    @Test
    void credentialsThatTheProxyDoesNotTakeAreAFailureTheGuestIsToldOf() throws Exception {
        try (ScriptedServer proxy =
                proxy("HTTP/1.1 407 Auth\r\nProxy-Authenticate: Basic realm=x\r\nContent-Length: 0\r\n\r\n")) {
            use("http://corp:secret@127.0.0.1:" + proxy.port());
            assertThat(fetch("GET / HTTP/1.1\r\nHost: a.b\r\n\r\n"))
                    .startsWith("HTTP/1.1 502 ")
                    .contains("does not take the credentials")
                    .doesNotContain("secret", "corp", "Proxy-Authenticate");
            assertThat(rig.counters().refusedByProxy()).isEqualTo(1);
        }
    }

    @Test
    void errorsOfTheProxyReachTheClient() throws Exception {
        try (ScriptedServer proxy = proxy("HTTP/1.1 403 Filtered\r\nContent-Length: 6\r\n\r\nno way")) {
            use(proxy);
            assertThat(fetch("GET / HTTP/1.1\r\nHost: a.b\r\n\r\n"))
                    .startsWith("HTTP/1.1 403 Filtered\r\n")
                    .endsWith("no way");
        }
    }

    @Test
    void aProxyThatIsGoneIsToldInHttp() throws Exception {
        ScriptedServer proxy = ScriptedServer.mirror();
        proxy.close();
        use(proxy);
        assertThat(fetch("GET / HTTP/1.1\r\nHost: a.b\r\n\r\n"))
                .startsWith("HTTP/1.1 502 ")
                .contains("Connection: close")
                .contains("refuses connections");
        assertThat(rig.counters().failures()).isEqualTo(1);
    }

    @Test
    void aProxyWhoseNameIsUnknownIsToldInHttp() throws Exception {
        use("http://proxy.corp.test:3128");
        assertThat(fetch("GET / HTTP/1.1\r\nHost: a.b\r\n\r\n"))
                .startsWith("HTTP/1.1 502 ")
                .contains("proxy.corp.test has no address");
    }

    @ParameterizedTest
    @ValueSource(strings = {"127.0.0.1", "localhost", "host.docker.internal", "host.containers.internal"})
    void aProxyOfTheHostIsFoundByItsOwnNames(String host) throws Exception {
        try (ScriptedServer proxy = ScriptedServer.mirror()) {
            use("http://corp:secret@" + host + ":" + proxy.port());
            assertThat(fetch("GET / HTTP/1.1\r\nHost: a.b\r\n\r\n"))
                    .startsWith("HTTP/1.1 200")
                    .contains("GET http://a.b/ HTTP/1.1", "Proxy-Authorization: Basic Y29ycDpzZWNyZXQ=");
        }
    }

    @Test
    void aProxyIsFoundByItsName() throws Exception {
        try (ScriptedServer proxy = ScriptedServer.mirror()) {
            rig.names.put("proxy.corp.test", "203.0.113.99");
            use("http://proxy.corp.test:" + proxy.port());
            assertThat(fetch("GET / HTTP/1.1\r\nHost: a.b\r\n\r\n")).startsWith("HTTP/1.1 200");
        }
    }

    @Test
    void aProxyThatHangsUpBeforeItAnswersIsToldInHttp() throws Exception {
        try (ScriptedServer proxy = ScriptedServer.start(Connection::readHead)) {
            use(proxy);
            assertThat(fetch("GET / HTTP/1.1\r\nHost: a.b\r\n\r\n"))
                    .startsWith("HTTP/1.1 502 ")
                    .contains("hung up");
        }
    }

    @Test
    void aProxyThatSpeaksSomethingElseIsToldInHttp() throws Exception {
        try (ScriptedServer proxy = proxy("SSH-2.0-OpenSSH_9.2\r\n\r\n")) {
            use(proxy);
            assertThat(fetch("GET / HTTP/1.1\r\nHost: a.b\r\n\r\n"))
                    .startsWith("HTTP/1.1 502 ")
                    .contains("is not HTTP")
                    .doesNotContain("OpenSSH");
        }
    }

    @Test
    void severalRequestsOnOneConnectionUseOneConnectionToTheProxy() throws Exception {
        try (ScriptedServer proxy = ScriptedServer.mirror();
                GuestSocket guest = connectWith(proxy)) {
            for (int i = 0; i < 5; i++) {
                assertThat(guest.send("GET /" + i + " HTTP/1.1\r\nHost: h" + i + ".example\r\n\r\n")
                                .readResponse())
                        .contains("GET http://h" + i + ".example/" + i + " HTTP/1.1");
            }
            assertThat(proxy.connections).hasValue(1);
            assertThat(rig.counters().requests()).isEqualTo(5);
        }
    }

    @Test
    void pipelinedRequestsAreAnsweredInTheirOrder() throws Exception {
        try (ScriptedServer proxy = ScriptedServer.mirror();
                GuestSocket guest = connectWith(proxy)) {
            StringBuilder all = new StringBuilder();
            for (int i = 0; i < 300; i++) {
                all.append("POST /").append(i).append(" HTTP/1.1\r\nHost: a.b\r\nContent-Length: 0\r\n\r\n");
            }
            guest.send(all.toString());
            for (int i = 0; i < 300; i++) {
                assertThat(guest.readResponse()).contains("POST http://a.b/" + i + " HTTP/1.1");
            }
        }
    }

    private GuestSocket connectWith(ScriptedServer proxy) throws Exception {
        use(proxy);
        return rig.connect(ProxyRig.ORIGIN, 80);
    }

    @Test
    void theGuestsConnectionLivesOnWhenTheProxyClosesItsOwn() throws Exception {
        try (ScriptedServer proxy = ScriptedServer.start(connection -> {
                    connection.readHead();
                    connection.write("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok");
                });
                GuestSocket guest = connectWith(proxy)) {
            for (int i = 0; i < 3; i++) {
                assertThat(guest.send("GET / HTTP/1.1\r\nHost: a.b\r\n\r\n").readResponse())
                        .endsWith("ok")
                        .doesNotContain("close");
            }
            assertThat(proxy.connections).hasValue(3);
        }
    }

    @Test
    void aServerOfHttp10ClosesWithoutSayingSoAndTheGuestsConnectionLivesOn() throws Exception {
        try (ScriptedServer proxy = ScriptedServer.start(connection -> {
                    connection.readHead();
                    connection.write("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok");
                    // Whoever sends another request here gets no answer.
                    connection.readHead();
                    connection.in().readAllBytes();
                });
                GuestSocket guest = connectWith(proxy)) {
            for (int i = 0; i < 3; i++) {
                assertThat(guest.send("GET / HTTP/1.1\r\nHost: a.b\r\n\r\n").readResponse())
                        .startsWith("HTTP/1.1 200 OK\r\n")
                        .endsWith("ok");
            }
            assertThat(proxy.connections).hasValue(3);
        }
    }

    @Test
    void aConnectionThatTheProxyClosedInTheMeantimeIsReplacedWithoutAnError() throws Exception {
        try (ScriptedServer proxy = ScriptedServer.start(connection -> {
                    connection.readHead();
                    connection.answer("200 OK", "ok");
                    // It says nothing of closing, reads the next request, and hangs up on it.
                    connection.readHead();
                });
                GuestSocket guest = connectWith(proxy)) {
            for (String method : new String[] {"GET", "GET", "POST", "POST", "GET"}) {
                assertThat(guest.send(method + " / HTTP/1.1\r\nHost: a.b\r\n\r\n")
                                .readResponse())
                        .endsWith("ok");
            }
        }
    }

    /** Reads whole requests with a length, answers each, and notes them as its connection's number and the method. */
    private ScriptedServer counting(String field, Queue<String> seen) throws IOException {
        AtomicInteger connections = new AtomicInteger();
        return ScriptedServer.start(connection -> {
            int number = connections.incrementAndGet();
            for (String head = connection.readHead(); !head.isEmpty(); head = connection.readHead()) {
                connection.read(head.startsWith("POST") ? 4 : 0);
                seen.add(number + head.substring(0, 4).strip());
                connection.write("HTTP/1.1 200 OK\r\n" + field + "Content-Length: 2\r\n\r\nok");
            }
        });
    }

    private static void post(GuestSocket guest) throws Exception {
        assertThat(guest.send("POST / HTTP/1.1\r\nHost: a.b\r\nContent-Length: 4\r\n\r\nbody")
                        .readResponse())
                .endsWith("ok");
    }

    @Test
    void whatCannotBeSentAgainGoesOnAConnectionThatHasOutlivedAResponse() throws Exception {
        Queue<String> seen = new ConcurrentLinkedQueue<>();
        try (ScriptedServer proxy = counting("", seen);
                GuestSocket guest = connectWith(proxy)) {
            for (int i = 0; i < 2; i++) {
                guest.send("GET / HTTP/1.1\r\nHost: a.b\r\n\r\n").readResponse();
            }
            for (int i = 0; i < 3; i++) {
                post(guest);
            }
            assertThat(seen).containsExactly("1GET", "1GET", "1POST", "1POST", "1POST");
        }
    }

    @Test
    void orOnOneThatTheProxySaysItKeeps() throws Exception {
        Queue<String> seen = new ConcurrentLinkedQueue<>();
        try (ScriptedServer proxy = counting("Connection: keep-alive\r\n", seen);
                GuestSocket guest = connectWith(proxy)) {
            for (int i = 0; i < 3; i++) {
                post(guest);
            }
            assertThat(seen).containsExactly("1POST", "1POST", "1POST");
        }
    }

    @Test
    void orWhenAnIdleOneWasSeenToStay() throws Exception {
        Queue<String> seen = new ConcurrentLinkedQueue<>();
        try (ScriptedServer proxy = counting("", seen);
                GuestSocket guest = connectWith(proxy)) {
            post(guest);
            post(guest);
            assertThat(seen).containsExactly("1POST", "2POST");
            long start = System.nanoTime();
            int connections = proxy.connections.get();
            do {
                connections = proxy.connections.get();
                post(guest);
                assertThat(System.nanoTime() - start).isLessThan(TimeUnit.SECONDS.toNanos(ProxyRig.LIMIT_SECONDS));
            } while (proxy.connections.get() > connections);
        }
    }

    @Test
    void aProxyThatHangsUpAfterEachResponseWithoutSayingSoCostsNoRequest() throws Exception {
        try (ScriptedServer proxy = ScriptedServer.start(connection -> {
                    connection.readHead();
                    connection.read(4);
                    connection.answer("200 OK", "ok");
                });
                GuestSocket guest = connectWith(proxy)) {
            for (int i = 0; i < 200; i++) {
                post(guest);
            }
            assertThat(proxy.connections).hasValue(200);
            assertThat(rig.counters().failures()).isZero();
        }
    }

    /** As it would be without a proxy: whoever has sent it knows best whether it may be sent again. */
    @Test
    void aRequestThatCannotBeSentAgainIsNotAndTheGuestSeesTheConnectionEnd() throws Exception {
        try (ScriptedServer proxy = ScriptedServer.start(connection -> {
            for (String head = connection.readHead(); head.startsWith("GET"); head = connection.readHead()) {
                connection.answer("200 OK", "ok");
            }
            heads.add("a POST");
        })) {
            try (GuestSocket guest = connectWith(proxy)) {
                for (int i = 0; i < 2; i++) {
                    guest.send("GET / HTTP/1.1\r\nHost: a.b\r\n\r\n").readResponse();
                }
                guest.send("POST / HTTP/1.1\r\nHost: a.b\r\nContent-Length: 4\r\n\r\nbody");
                assertThat(guest.readAll()).isEmpty();
            }
            assertThat(heads).containsExactly("a POST");
            assertThat(rig.counters().failures()).isEqualTo(1);
            try (GuestSocket guest = connectWith(proxy)) {
                guest.send("GET / HTTP/1.1\r\nHost: a.b\r\n\r\n").readResponse();
                // From then on one of its own; there the guest is told.
                assertThat(guest.send("POST / HTTP/1.1\r\nHost: a.b\r\nContent-Length: 4\r\n\r\nbody")
                                .readAll())
                        .startsWith("HTTP/1.1 502 ");
            }
        }
    }

    @Test
    void http10EndsWithItsResponse() throws Exception {
        try (ScriptedServer proxy = proxy("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok");
                GuestSocket guest = connectWith(proxy)) {
            assertThat(guest.send("GET / HTTP/1.0\r\nHost: a.b\r\n\r\n").readAll())
                    .startsWith("HTTP/1.1 200 OK\r\n")
                    .contains("\r\nConnection: close\r\n")
                    .endsWith("\r\n\r\nok");
            assertThat(heads.poll()).contains(" HTTP/1.0\r\n");
        }
    }

    @Test
    void connectionCloseOfTheClientEndsTheConnection() throws Exception {
        try (ScriptedServer proxy = ScriptedServer.mirror();
                GuestSocket guest = connectWith(proxy)) {
            assertThat(guest.send("GET / HTTP/1.1\r\nHost: a.b\r\nConnection: close\r\n\r\n")
                            .readAll())
                    .contains("\r\nConnection: close\r\n");
        }
    }

    @Test
    void aBodyThatEndsWithTheConnectionArrivesWholeAndEnds() throws Exception {
        String body = "x".repeat(300_000);
        try (ScriptedServer proxy = ScriptedServer.start(connection -> {
                    connection.readHead();
                    connection.write("HTTP/1.1 200 OK\r\n\r\n" + body);
                });
                GuestSocket guest = connectWith(proxy)) {
            assertThat(guest.send("GET / HTTP/1.1\r\nHost: a.b\r\n\r\n").readAll())
                    .endsWith("\r\n\r\n" + body);
        }
    }

    @Test
    void aResponseThatIsCutOffIsNotTakenForAWholeOne() throws Exception {
        try (ScriptedServer proxy = ScriptedServer.start(connection -> {
                    connection.readHead();
                    connection.write("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
                });
                GuestSocket guest = connectWith(proxy)) {
            guest.send("GET / HTTP/1.1\r\nHost: a.b\r\n\r\n");
            assertThat(guest.awaitReset()).isTrue();
        }
    }

    @Test
    void chunksPassUnchangedBothWaysWithTheirTrailers() throws Exception {
        String chunks = "4;x=1\r\nWiki\r\n6\r\npedia \r\n0\r\nX-Sum: 9\r\n\r\n";
        try (ScriptedServer proxy = ScriptedServer.start(connection -> {
                    heads.add(connection.readHead());
                    String body = connection.read(chunks.length());
                    connection.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body);
                    connection.in().read();
                });
                GuestSocket guest = connectWith(proxy)) {
            for (int i = 0; i < 2; i++) {
                guest.send("POST / HTTP/1.1\r\nHost: a.b\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks);
                assertThat(guest.readHead()).contains("\r\nTransfer-Encoding: chunked\r\n");
                assertThat(guest.readText(chunks.length())).isEqualTo(chunks);
                assertThat(heads.poll()).contains("\r\nTransfer-Encoding: chunked\r\n");
            }
            // What cannot be sent again does not go on a connection that may have been closed in the meantime.
            assertThat(proxy.connections).hasValue(2);
        }
    }

    @Test
    void responsesWithoutABodyHaveNone() throws Exception {
        try (ScriptedServer proxy = ScriptedServer.start(connection -> {
                    connection.readHead();
                    connection.write("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
                    connection.readHead();
                    connection.write("HTTP/1.1 304 Not Modified\r\nContent-Length: 1000\r\n\r\n");
                    connection.readHead();
                    connection.write("HTTP/1.1 204 No Content\r\n\r\n");
                });
                GuestSocket guest = connectWith(proxy)) {
            assertThat(guest.send("HEAD / HTTP/1.1\r\nHost: a.b\r\n\r\n").readHead())
                    .contains("Content-Length: 1000");
            assertThat(guest.send("GET / HTTP/1.1\r\nHost: a.b\r\n\r\n").readHead())
                    .contains(" 304 ");
            assertThat(guest.send("GET / HTTP/1.1\r\nHost: a.b\r\n\r\n").readHead())
                    .contains(" 204 ");
        }
    }

    @Test
    void aClientThatWaitsForContinueIsTold() throws Exception {
        try (ScriptedServer proxy = ScriptedServer.start(connection -> {
                    connection.readHead();
                    connection.write("HTTP/1.1 100 Continue\r\n\r\n");
                    connection.answer("200 OK", connection.read(5));
                });
                GuestSocket guest = connectWith(proxy)) {
            guest.send("PUT / HTTP/1.1\r\nHost: a.b\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
            assertThat(guest.readHead()).startsWith("HTTP/1.1 100 Continue\r\n");
            assertThat(guest.send("hello").readResponse()).endsWith("hello");
        }
    }

    @Test
    void aRefusalBeforeTheBodyWasSentReachesTheClientAndEndsTheConnection() throws Exception {
        try (ScriptedServer proxy = ScriptedServer.start(connection -> {
                    connection.readHead();
                    connection.answer("413 Too Large", "no");
                    connection.in().transferTo(java.io.OutputStream.nullOutputStream());
                });
                GuestSocket guest = connectWith(proxy)) {
            guest.send("PUT / HTTP/1.1\r\nHost: a.b\r\nContent-Length: 5000000\r\n\r\n");
            assertThat(guest.readAll())
                    .contains(" 413 ", "\r\nConnection: close\r\n")
                    .endsWith("no");
        }
    }

    @Test
    void anUpgradeGoesThroughATunnelToTheOrigin() throws Exception {
        try (ScriptedServer proxy = ScriptedServer.start(connection -> {
                    heads.add(connection.readHead());
                    connection.write("HTTP/1.1 200 OK\r\n\r\n");
                    heads.add(connection.readHead());
                    connection.write(
                            "HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nfirst");
                    connection.echo();
                });
                GuestSocket guest = connectWith(proxy)) {
            guest.send(
                    "GET /ws HTTP/1.1\r\nHost: a.b\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n");
            assertThat(guest.readHead()).contains(" 101 ", "Upgrade: websocket");
            assertThat(guest.readText(5)).isEqualTo("first");
            assertThat(guest.send("\0\1\2\3").readText(4)).isEqualTo("\0\1\2\3");
            assertThat(guest.sendEnd().readAll()).isEmpty();
            assertThat(heads.poll()).startsWith("CONNECT a.b:80 HTTP/1.1\r\n");
            assertThat(heads.poll()).startsWith("GET /ws HTTP/1.1\r\n").contains("Upgrade: websocket");
        }
    }

    @Test
    void anUpgradeIsAskedOfTheProxyIfItOpensNoTunnel() throws Exception {
        try (ScriptedServer proxy = ScriptedServer.start(connection -> {
                    String head = connection.readHead();
                    if (head.startsWith("CONNECT")) {
                        connection.answer("403 Forbidden", "only 443");
                    } else {
                        connection.answer("200 OK", head);
                    }
                });
                GuestSocket guest = connectWith(proxy)) {
            guest.send("GET /ws HTTP/1.1\r\nHost: a.b\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
            assertThat(guest.readResponse()).contains("GET http://a.b/ws HTTP/1.1", "Upgrade: websocket");
        }
    }

    @Test
    void anAddressOrNetworkThatIsExcludedIsNotEvenLookedAt() throws Exception {
        try (ScriptedServer proxy = ScriptedServer.mirror()) {
            use(proxy);
            exclude("203.0.113.7, 198.51.100.0/24");
            rig.dial(ProxyRig.ORIGIN, 80).failure.get();
            rig.dial("198.51.100.200", 80).failure.get();
            assertThat(rig.direct).containsExactly("203.0.113.7:80", "198.51.100.200:80");
            assertThat(rig.counters().open()).isZero();
        }
    }

    @Test
    void aNameThatIsExcludedGoesToTheAddressThatWasDialled() throws Exception {
        try (ScriptedServer proxy = ScriptedServer.mirror();
                ScriptedServer origin = ScriptedServer.mirror()) {
            use(proxy);
            rig.settings.updateAndGet(
                    settings -> settings.withPorts(Set.of(origin.port()), Set.of(443), ProxySettings.Opaque.PROXY));
            exclude("direct.example, *.wild.example");
            for (String host : new String[] {"direct.example", "www.direct.example", "a.wild.example"}) {
                try (GuestSocket guest = rig.connect(ProxyRig.ORIGIN, origin.port())) {
                    assertThat(guest.send("GET /x HTTP/1.1\r\nHost: " + host + "\r\n\r\n")
                                    .readResponse())
                            .contains("GET /x HTTP/1.1\r\nHost: " + host + "\r\n");
                }
            }
            assertThat(proxy.connections).hasValue(0);
            try (GuestSocket guest = rig.connect(ProxyRig.ORIGIN, origin.port())) {
                assertThat(guest.send("GET /x HTTP/1.1\r\nHost: wild.example\r\n\r\n")
                                .readResponse())
                        .contains("GET http://wild.example:");
            }
            assertThat(rig.asked).isEmpty();
        }
    }

    @Test
    void ourOwnNamesAndAddressesNeverGoToTheProxy() throws Exception {
        try (ScriptedServer proxy = ScriptedServer.mirror();
                ScriptedServer origin = ScriptedServer.mirror()) {
            use(proxy);
            rig.near.add("192.168.65.254");
            rig.dial("192.168.65.254", 80).failure.get();
            assertThat(rig.direct).containsExactly("192.168.65.254:80");
            rig.settings.updateAndGet(
                    settings -> settings.withPorts(Set.of(origin.port()), Set.of(443), ProxySettings.Opaque.PROXY));
            try (GuestSocket guest = rig.connect(ProxyRig.ORIGIN, origin.port())) {
                assertThat(guest.send("GET /x HTTP/1.1\r\nHost: host.docker.internal\r\n\r\n")
                                .readResponse())
                        .contains("GET /x HTTP/1.1");
            }
            assertThat(proxy.connections).hasValue(0);
        }
    }

    @Test
    void otherProxiesHoldForTheNextRequestAndNoFlowIsLost() throws Exception {
        try (ScriptedServer first = proxy("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirst");
                ScriptedServer second = proxy("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecond");
                GuestSocket guest = connectWith(first)) {
            assertThat(guest.send("GET / HTTP/1.1\r\nHost: a.b\r\n\r\n").readResponse())
                    .endsWith("first");
            use(second);
            assertThat(guest.send("GET / HTTP/1.1\r\nHost: a.b\r\n\r\n").readResponse())
                    .endsWith("second");
        }
    }

    @Test
    void aSocksProxyGetsTheNameAndTheRequestAsItCame() throws Exception {
        try (ScriptedServer proxy = ScriptedServer.start(connection -> {
            assertThat(connection.read(4)).isEqualTo("\5\2\0\2");
            connection.write("\5\2");
            assertThat(connection.read(10)).isEqualTo("\1\3uu%\4p@ss".substring(0, 10));
            connection.write("\1\0");
            heads.add(connection.read(4 + 1 + 11 + 2));
            connection.write("\5\0\0\1\0\0\0\0\0\0");
            connection.answer("200 OK", connection.readHead());
        })) {
            use("socks5h://uu%25:p%40ss@127.0.0.1:" + proxy.port());
            assertThat(fetch("GET /x HTTP/1.1\r\nHost: www.example\r\n\r\n"))
                    .contains("GET /x HTTP/1.1\r\nHost: www.example");
            assertThat(heads.poll()).isEqualTo("\5\1\0\3\13www.example\0P");
        }
    }

    @Test
    void aSlowGuestStopsTheProxyAndGetsEverything() throws Exception {
        int mebibytes = 32;
        String piece = "0123456789abcdef".repeat(4096);
        try (ScriptedServer proxy = ScriptedServer.start(connection -> {
                    connection.readHead();
                    connection.write("HTTP/1.1 200 OK\r\nContent-Length: " + (mebibytes << 20) + "\r\n\r\n");
                    for (int i = 0; i < mebibytes * 16; i++) {
                        connection.write(piece);
                    }
                });
                GuestSocket guest = connectWith(proxy)) {
            guest.pause(true);
            guest.send("GET / HTTP/1.1\r\nHost: a.b\r\n\r\n");
            rig.until("the queue is full", () -> rig.budget.held() >= GuestStream.TO_GUEST_MAX / 2);
            guest.pause(false);
            guest.readHead();
            long held = 0;
            for (int i = 0; i < mebibytes * 16; i++) {
                assertThat(guest.readText(piece.length())).isEqualTo(piece);
                held = Math.max(held, rig.call(rig.budget::held));
            }
            assertThat(held).isLessThan(4 << 20);
        }
    }

    @Test
    void aServerThatDoesNotReadStopsTheGuest() throws Exception {
        java.util.concurrent.CountDownLatch go = new java.util.concurrent.CountDownLatch(1);
        byte[] body = new byte[32 << 20];
        new java.util.Random(1).nextBytes(body);
        try (ScriptedServer proxy = ScriptedServer.start(connection -> {
                    connection.readHead();
                    go.await();
                    byte[] got = connection.in().readNBytes(body.length);
                    connection.answer("200 OK", java.util.Arrays.equals(got, body) ? "same" : "other");
                });
                GuestSocket guest = connectWith(proxy)) {
            guest.send("PUT / HTTP/1.1\r\nHost: a.b\r\nContent-Length: " + body.length + "\r\n\r\n");
            guest.send(body);
            long unsent = guest.unsent();
            long start = System.nanoTime();
            // It stops: what is left does not shrink for a while.
            while (System.nanoTime() - start < 300_000_000L) {
                long now = guest.unsent();
                if (now != unsent) {
                    unsent = now;
                    start = System.nanoTime();
                }
            }
            assertThat(unsent).isPositive();
            assertThat(rig.call(rig.budget::held)).isLessThan(4 << 20);
            go.countDown();
            assertThat(guest.readResponse()).endsWith("same");
        }
    }

    @Test
    void aGuestThatGoesTakesTheConnectionToTheProxyWithIt() throws Exception {
        java.util.concurrent.CompletableFuture<Integer> end = new java.util.concurrent.CompletableFuture<>();
        try (ScriptedServer proxy = ScriptedServer.start(connection -> {
            connection.readHead();
            try {
                end.complete(connection.in().read());
            } catch (IOException e) {
                end.complete(-2);
            }
        })) {
            GuestSocket guest = connectWith(proxy);
            guest.send("GET / HTTP/1.1\r\nHost: a.b\r\n\r\n");
            rig.until(
                    "the request is on its way", () -> rig.counters().requests() == 1 && proxy.connections.get() == 1);
            guest.close();
            assertThat(end.get()).isNegative();
        }
    }
}
