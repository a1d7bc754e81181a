package dev.slipway.proxy;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Requests that no proxy should pass on, sent to a server of the web: each is refused, and nothing of it gets through. */
@Timeout(120)
final class BadRequestsTest {

    private ProxyRig rig;
    private ScriptedServer proxy;

    @BeforeEach
    void start() throws Exception {
        rig = new ProxyRig();
        proxy = ScriptedServer.mirror();
        rig.settings.set(ProxySettings.none()
                .withProxies(Optional.of(ProxyAddress.parse(proxy.url())), Optional.empty(), Optional.empty()));
    }

    @AfterEach
    void stop() throws Exception {
        proxy.close();
        rig.close();
    }

    private GuestSocket connect() throws Exception {
        return rig.connect(ProxyRig.ORIGIN, 80);
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "GET / HTTP/1.1\\r\\nHost: a.b\\r\\nHost: c.d\\r\\n\\r\\n|400",
                "GET / HTTP/1.1\\r\\nHost: a b\\r\\n\\r\\n|400",
                "GET / HTTP/1.1\\r\\nHost: a.b/c\\r\\n\\r\\n|400",
                "GET / HTTP/1.1\\r\\nHost: user@a.b\\r\\n\\r\\n|400",
                "GET / HTTP/1.1\\r\\nHost: a.b:x\\r\\n\\r\\n|400",
                "GET / HTTP/1.1\\nHost: a.b\\n\\n|400",
                "GET / HTTP/1.1\\r\\nHost: a.b\\r\\nX: 1\\rY: 2\\r\\n\\r\\n|400",
                "GET / HTTP/1.1\\r\\nHost: a.b\\r\\nX: 1\\nY: 2\\r\\n\\r\\n|400",
                "GET / HTTP/1.1\\r\\nHost: a.b\\r\\nX: 1\\r\\n 2\\r\\n\\r\\n|400",
                "GET / HTTP/1.1\\r\\nHost : a.b\\r\\n\\r\\n|400",
                "POST / HTTP/1.1\\r\\nHost: a.b\\r\\nContent-Length: 3\\r\\nContent-Length: 4\\r\\n\\r\\nabcd|400",
                "POST / HTTP/1.1\\r"
                        + "\\n"
                        + "Host: a.b\\r"
                        + "\\n"
                        + "Content-Length: 3\\r"
                        + "\\n"
                        + "Transfer-Encoding: chunked\\r"
                        + "\\n"
                        + "\\r"
                        + "\\n"
                        + "0\\r"
                        + "\\n"
                        + "\\r"
                        + "\\n"
                        + "|400",
                "POST / HTTP/1.1\\r"
                        + "\\n"
                        + "Host: a.b\\r"
                        + "\\n"
                        + "Transfer-Encoding: \\tchunked, identity\\r"
                        + "\\n"
                        + "\\r"
                        + "\\n"
                        + "0\\r"
                        + "\\n"
                        + "\\r"
                        + "\\n"
                        + "|501",
                "POST / HTTP/1.1\\r\\nHost: a.b\\r\\nContent-Length: 1e3\\r\\n\\r\\n|400",
                "GET / HTTP/1.9x\\r\\nHost: a.b\\r\\n\\r\\n|tunnel",
                "GET a HTTP/1.1\\r\\nHost: a.b\\r\\n\\r\\n|400",
            })
    void isRefusedAndNotPassedOn(String escaped, String expected) throws Exception {
        String request = escaped.replace("\\r", "\r").replace("\\n", "\n").replace("\\t", "\t");
        try (GuestSocket guest = connect()) {
            guest.send(request);
            if (expected.equals("tunnel")) {
                // No HTTP/1.x: by CONNECT to the address; the mirror's answer to CONNECT opens a tunnel.
                assertThat(guest.readText(4)).isNotEqualTo("HTTP/1.1 400");
            } else {
                assertThat(guest.readAll())
                        .startsWith("HTTP/1.1 " + expected + " ")
                        .contains("\r\nConnection: close\r\n");
                assertThat(proxy.connections).hasValue(0);
                assertThat(rig.counters().malformed()).isEqualTo(1);
            }
        }
    }

    @Test
    void chunksThatLieEndTheRequestAndNothingFollows() throws Exception {
        try (GuestSocket guest = connect()) {
            guest.send("POST / HTTP/1.1\r\nHost: a.b\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloXX0\r\n\r\n"
                    + "GET /smuggled HTTP/1.1\r\nHost: a.b\r\n\r\n");
            assertThat(guest.readAll()).doesNotContain("smuggled");
            assertThat(rig.counters().malformed()).isEqualTo(1);
        }
    }

    @Test
    void aHeadOf60KibibytesPassesAndOneOf70IsTooLarge() throws Exception {
        try (GuestSocket guest = connect()) {
            String field = "X-Long: " + "a".repeat(60_000) + "\r\n";
            assertThat(guest.send("GET / HTTP/1.1\r\nHost: a.b\r\n" + field + "\r\n")
                            .readResponse())
                    .contains(field);
        }
        try (GuestSocket guest = connect()) {
            String field = "X-Long: " + "a".repeat(70_000) + "\r\n";
            assertThat(guest.send("GET / HTTP/1.1\r\nHost: a.b\r\n" + field + "\r\n")
                            .readAll())
                    .startsWith("HTTP/1.1 431 ");
        }
    }

    @Test
    void aHeadWithoutAnEndIsRefusedWithoutTakingMoreMemory() throws Exception {
        try (GuestSocket guest = connect()) {
            byte[] lines = "X-Endless: 0123456789\r\n".repeat(10_000).getBytes();
            guest.send("GET / HTTP/1.1\r\nHost: a.b\r\n").send(lines);
            assertThat(guest.readAll()).startsWith("HTTP/1.1 431 ");
            assertThat(rig.call(rig.budget::held)).isLessThan(1 << 20);
        }
    }

    @Test
    void aFirstLineWithoutAnEndIsRefusedOrATunnel() throws Exception {
        try (GuestSocket guest = connect()) {
            guest.send("GET /" + "a".repeat(100_000));
            assertThat(guest.readAll()).startsWith("HTTP/1.1 431 ");
        }
    }

    @Test
    void aBodyThatEndsEarlyEndsTheConnectionToTheServerToo() throws Exception {
        try (GuestSocket guest = connect()) {
            guest.send("POST / HTTP/1.1\r\nHost: a.b\r\nContent-Length: 1000\r\n\r\nhalf")
                    .sendEnd();
            try {
                guest.readAll();
            } catch (IOException e) {
                assertThat(e).hasMessage("reset");
            }
            rig.until("nothing is open", () -> rig.counters().open() == 0 || guest.unsent() == 0);
        }
    }

    @Test
    void requestsDamagedAtRandomNeverReachTheProxyTwice() throws Exception {
        long seed = new Random().nextLong();
        Random random = new Random(seed);
        String good =
                "POST /x HTTP/1.1\r\nHost: a.b\r\nTransfer-Encoding: chunked\r\nX: y\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
        for (int round = 0; round < 200; round++) {
            byte[] bytes = good.getBytes();
            for (int i = 1 + random.nextInt(3); i > 0; i--) {
                bytes[random.nextInt(bytes.length)] = (byte) random.nextInt(128);
            }
            try (GuestSocket guest = connect()) {
                guest.send(bytes).sendEnd();
                guest.readAll();
            } catch (IOException e) {
                assertThat(e).as("seed %d", seed).hasMessage("reset");
            }
        }
    }
}
