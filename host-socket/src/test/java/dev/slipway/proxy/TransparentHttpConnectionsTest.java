package dev.slipway.proxy;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Requests of programs that know of no proxy: several on one connection, and how long its way to the proxy is kept. */
@Tag("transport")
@Timeout(120)
final class TransparentHttpConnectionsTest extends TransparentHttpCase {

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
}
