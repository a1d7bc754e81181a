package dev.slipway.proxy;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Bodies, upgrades and ends of HTTP for programs that know of no proxy. */
@Tag("transport")
@Timeout(120)
final class TransparentHttpBodiesTest extends TransparentHttpCase {

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
