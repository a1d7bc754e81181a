package dev.slipway.control;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.slipway.ethernet.SocketPathException;
import dev.slipway.ethernet.Transport;
import io.netty.channel.EventLoopGroup;
import io.netty.channel.MultiThreadIoEventLoopGroup;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

@Tag("transport")
@Timeout(value = 30, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class ControlServerTest {

    private static final Status STATUS = new Status(
            "1.2",
            34,
            List.of(new Status.Vm("qemu:/a \"b\"\n", true, Map.of("frames", 5L), Map.of("runt", 6L))),
            List.of("no x"));

    @TempDir
    Path folder;

    private final Transport transport = Transport.best();
    private final EventLoopGroup loops = new MultiThreadIoEventLoopGroup(1, transport.ioHandlerFactory());
    private Path socket;
    private ControlServer server;

    @BeforeEach
    void listen() throws IOException {
        socket = folder.resolve("api");
        server = ControlServer.listen(socket, loops, transport, apis());
    }

    @AfterEach
    void close() {
        server.close();
        loops.shutdownGracefully(0, 1, TimeUnit.SECONDS).awaitUninterruptibly();
    }

    private static List<ControlApi> apis() {
        return List.of(new SlipwayApi(() -> STATUS, null, null));
    }

    /** Sends bytes and reads until the server closes. */
    private String exchange(String request) throws IOException {
        try (SocketChannel client = SocketChannel.open(StandardProtocolFamily.UNIX)) {
            client.connect(UnixDomainSocketAddress.of(socket));
            ByteBuffer bytes = ByteBuffer.wrap(request.getBytes(StandardCharsets.ISO_8859_1));
            try {
                while (bytes.hasRemaining()) {
                    client.write(bytes);
                }
            } catch (IOException closedEarly) {
                // The answer may come before the whole request was read.
                bytes.clear();
            }
            ByteArrayOutputStream response = new ByteArrayOutputStream();
            ByteBuffer piece = ByteBuffer.allocate(4096);
            while (client.read(piece.clear()) >= 0) {
                response.write(piece.array(), 0, piece.position());
            }
            return response.toString(StandardCharsets.UTF_8);
        }
    }

    private String get(String path) throws IOException {
        return exchange("GET " + path + " HTTP/1.1\r\nHost: slipway\r\nConnection: close\r\n\r\n");
    }

    @Test
    void theStatusIsJson() throws IOException {
        assertThat(get("/v1/status"))
                .startsWith("HTTP/1.1 200 OK\r\n")
                .contains("application/json")
                .endsWith("\r\n\r\n"
                        + "{\"version\":\"1.2\",\"uptimeMillis\":34,\"vms\":[{\"socket\":\"qemu:/a"
                        + " \\\"b\\\"\\n\",\"attached\":true,\"counters\":{\"frames\":5},\"drops\":{\"runt\":6}}]"
                        + ",\"limitations\":[\"no x\"]}\n");
    }

    @Test
    void theSocketIsTheOwnersOnlyAndGoesAway() throws IOException {
        assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(socket)))
                .isEqualTo("rw-------");
        server.close();
        assertThat(socket).doesNotExist();
    }

    @Test
    void aSocketInUseIsRefused() {
        assertThatThrownBy(() -> ControlServer.listen(socket, loops, transport, apis()))
                .isInstanceOf(SocketPathException.class)
                .hasMessageContaining("in use");
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "GET / HTTP/1.1 | 404 | not-found",
                "GET /v1/status/ HTTP/1.1 | 404 | not-found",
                "GET /v1/../v1/status HTTP/1.1 | 404 | not-found",
                "POST /v1/status HTTP/1.1 | 405 | method-not-allowed",
                "DELETE /v1/status HTTP/1.1 | 405 | method-not-allowed",
                "hello | 400 | not-http"
            })
    void whatIsNotThereGetsATypedError(String line, int status, String code) throws IOException {
        assertThat(exchange(line + "\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"))
                .startsWith("HTTP/1.1 " + status + " ")
                .contains("\"code\":\"" + code + "\"")
                .contains("{\"error\":{")
                .contains("\"message\":\"");
    }

    @Test
    void whatIsTooLongIsRefusedAndTheServerLives() throws IOException {
        assertThat(get("/" + "x".repeat(5_000))).startsWith("HTTP/1.1 414 ");
        assertThat(exchange("GET / HTTP/1.1\r\nX: " + "y".repeat(9_000) + "\r\n\r\n"))
                .startsWith("HTTP/1.1 431 ");
        assertThat(exchange("POST /v1/status HTTP/1.1\r\nConnection: close\r\nContent-Length: 10485760\r\n\r\n"))
                .startsWith("HTTP/1.1 413 ");
        assertThat(get("/v1/status")).startsWith("HTTP/1.1 200 ");
    }
}
