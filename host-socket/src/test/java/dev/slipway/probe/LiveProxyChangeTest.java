package dev.slipway.probe;

import static org.assertj.core.api.Assertions.assertThat;

import dev.slipway.wire.IpAddress;
import java.io.IOException;
import java.io.InputStream;
import java.lang.foreign.MemorySegment;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** A running process is told of another proxy by its API, while a guest of it is in the middle of a response. */
@Timeout(value = 120, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class LiveProxyChangeTest {

    private static final long LIMIT = 60_000_000_000L;
    private static final String REQUEST = "GET / HTTP/1.1\r\nHost: www.example.com\r\n\r\n";

    @TempDir
    Path folder;

    /** Answers each request with its name, in two halves if it is told to wait between them. */
    private static final class NamedProxy implements AutoCloseable {

        private final ServerSocket server = new ServerSocket(0, 10, InetAddress.getLoopbackAddress());
        private final CountDownLatch goOn = new CountDownLatch(1);
        private final String name;

        NamedProxy(String name) throws IOException {
            this.name = name;
            Thread.ofPlatform().daemon().name(name).start(this::serve);
        }

        String json() {
            return "\"http://corp:" + name + "-secret@127.0.0.1:" + server.getLocalPort() + "\"";
        }

        String url() {
            return json().replace("\"", "");
        }

        private void serve() {
            try (Socket socket = server.accept()) {
                while (readHead(socket.getInputStream())) {
                    socket.getOutputStream()
                            .write(("HTTP/1.1 200 OK\r\nContent-Length: " + (2 * name.length()) + "\r\n\r\n" + name)
                                    .getBytes(StandardCharsets.US_ASCII));
                    goOn.await();
                    socket.getOutputStream().write(name.getBytes(StandardCharsets.US_ASCII));
                }
            } catch (IOException e) {
                // Closed at the end of the test.
                return;
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        }

        private static boolean readHead(InputStream in) throws IOException {
            StringBuilder head = new StringBuilder();
            while (head.indexOf("\r\n\r\n") < 0) {
                int b = in.read();
                if (b < 0) {
                    return false;
                }
                head.append((char) b);
            }
            return true;
        }

        @Override
        public void close() throws IOException {
            goOn.countDown();
            server.close();
        }
    }

    private static void send(TcpConnection connection) {
        byte[] bytes = REQUEST.getBytes(StandardCharsets.US_ASCII);
        assertThat(connection.write(MemorySegment.ofArray(bytes), 0, bytes.length))
                .isEqualTo(bytes.length);
    }

    private static void awaitText(Guest guest, TcpConnection connection, StringBuilder received, String end)
            throws IOException {
        boolean came = guest.await(
                () -> {
                    connection.drain((position, bytes, offset, length) -> {
                        for (long i = offset; i < offset + length; i++) {
                            received.append((char) bytes.get(java.lang.foreign.ValueLayout.JAVA_BYTE, i));
                        }
                    });
                    return received.toString().endsWith(end);
                },
                LIMIT);
        assertThat(came).as("%s, %s", received, connection.end()).isTrue();
    }

    @Test
    void theResponseUnderWayIsFinishedAndTheNextRequestTakesTheOtherProxy() throws Exception {
        try (NamedProxy before = new NamedProxy("before");
                NamedProxy after = new NamedProxy("after");
                SlipwayProcess slipway = new SlipwayProcess(folder, 0, List.of(), "--http-proxy", before.url());
                Guest guest = Guest.attach(slipway.socket("a"))) {
            guest.configure(new DhcpClient(guest).acquire(LIMIT), 1500);
            TcpConnection connection = guest.connect(IpAddress.parseV4("203.0.113.7"), 80);
            assertThat(guest.await(connection::isOpen, LIMIT)).isTrue();
            StringBuilder received = new StringBuilder();
            send(connection);
            awaitText(guest, connection, received, "\r\n\r\nbefore");

            assertThat(slipway.api("PATCH", "/v1/proxies", "{\"http\": \"http://corp:x-secret@nowhere:x\"}"))
                    .startsWith("HTTP/1.1 400 ")
                    .contains("\"code\":\"bad-value\"", "body: http: 'http://***@nowhere:x' has no port of 1 to 65535");
            assertThat(slipway.api("PATCH", "/v1/proxies", "{\"http\": " + after.json() + "}"))
                    .startsWith("HTTP/1.1 200 ")
                    .contains("\"http\":\"http://***@127.0.0.1:" + after.server.getLocalPort() + "\"")
                    .doesNotContain("secret");
            assertThat(slipway.api("GET", "/v1/proxies", ""))
                    .contains("\"http\":\"http://***@127.0.0.1:" + after.server.getLocalPort() + "\"")
                    .doesNotContain("secret");

            before.goOn.countDown();
            after.goOn.countDown();
            awaitText(guest, connection, received, "\r\n\r\nbeforebefore");
            send(connection);
            awaitText(guest, connection, received, "\r\n\r\nafterafter");

            assertThat(slipway.api("PUT", "/v1/proxies", "{}"))
                    .startsWith("HTTP/1.1 200 ")
                    .doesNotContain("\"http\"");
            assertThat(slipway.count(0, "proxyOpen")).isEqualTo(1);
            assertThat(slipway.count(0, "proxyFailures")).isZero();
            assertThat(slipway.log()).contains("changed by the API").doesNotContain("secret");
            connection.abort();
        }
    }
}
