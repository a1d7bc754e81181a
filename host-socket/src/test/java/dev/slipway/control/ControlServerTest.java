package dev.slipway.control;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.slipway.ethernet.SocketPathException;
import dev.slipway.ethernet.Transport;
import dev.slipway.event.Event;
import dev.slipway.event.Events;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.netty.channel.EventLoopGroup;
import io.netty.channel.MultiThreadIoEventLoopGroup;
import io.netty.channel.embedded.EmbeddedChannel;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

@Tag("transport")
@Timeout(value = 30, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class ControlServerTest {

    private static final Status STATUS = new Status(
            "1.2",
            34,
            "seccomp",
            List.of(new Status.Vm("qemu:/a \"b\"\n", true, Map.of("frames", 5L), Map.of("runt", 6L))),
            List.of("no x"));

    @TempDir
    Path folder;

    private final Transport transport = Transport.best();
    private final EventLoopGroup loops = new MultiThreadIoEventLoopGroup(1, transport.ioHandlerFactory());
    private final Events events = new Events();
    private final ControlCounters counters = new ControlCounters();
    private Path socket;
    private ControlServer server;

    @BeforeEach
    void listen() throws IOException {
        socket = folder.resolve("api");
        server = ControlServer.listen(socket, loops, transport, apis(), counters);
    }

    @AfterEach
    void close() {
        server.close();
        loops.shutdownGracefully(0, 1, TimeUnit.SECONDS).awaitUninterruptibly();
    }

    private List<ControlApi> apis() {
        return List.of(new SlipwayApi(() -> STATUS, null, null, events, counters));
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
                .endsWith(
                        "\r\n\r\n"
                            + "{\"version\":\"1.2\",\"uptimeMillis\":34,\"sandbox\":\"seccomp\",\"vms\":[{\"socket\":\"qemu:/a"
                            + " \\\"b\\\"\\n"
                            + "\",\"attached\":true,\"counters\":{\"frames\":5},\"drops\":{\"runt\":6}}],\"limitations\":[\"no"
                            + " x\"],\"api\":{\"connectionsRefused\":0,\"eventStreams\":0,\"eventStreamsCut\":0,\"eventStreamsRefused\":0,\"requestsTimedOut\":0,\"tunnelsRefused\":0}}\n");
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
        assertThatThrownBy(() -> ControlServer.listen(socket, loops, transport, apis(), counters))
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
                "DELETE /v1/ports?local=localhost:90-80 HTTP/1.1 | 400 | bad-value",
                "DELETE /v1/ports?local=localhost:1-65536 HTTP/1.1 | 400 | bad-value",
                "DELETE /v1/ports HTTP/1.1 | 400 | bad-value",
                "DELETE /v1/ports?local=80&protocol=sctp HTTP/1.1 | 400 | bad-value",
                "hello | 400 | not-http"
            })
    void whatIsNotThereGetsATypedError(String line, int status, String code) throws IOException {
        assertThat(exchange(line + "\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"))
                .startsWith("HTTP/1.1 " + status + " ")
                .contains("\"code\":\"" + code + "\"")
                .contains("{\"error\":{")
                .contains("\"message\":\"");
    }

    private SocketChannel listenToEvents() throws IOException {
        SocketChannel client = SocketChannel.open(StandardProtocolFamily.UNIX);
        client.connect(UnixDomainSocketAddress.of(socket));
        client.write(ByteBuffer.wrap("GET /v1/events HTTP/1.1\r\nHost: x\r\n\r\n".getBytes(StandardCharsets.US_ASCII)));
        return client;
    }

    private static String readTo(SocketChannel client, String last) throws IOException {
        StringBuilder read = new StringBuilder();
        ByteBuffer piece = ByteBuffer.allocate(4096);
        while (read.indexOf(last) < 0 && client.read(piece.clear()) >= 0) {
            read.append(StandardCharsets.UTF_8.decode(piece.flip()));
        }
        return read.toString();
    }

    @Test
    void eventsAreToldAsTheyHappenToAllWhoListen() throws IOException {
        try (SocketChannel first = listenToEvents();
                SocketChannel second = listenToEvents()) {
            for (SocketChannel client : List.of(first, second)) {
                assertThat(readTo(client, "\n\n"))
                        .startsWith("HTTP/1.1 200 OK\r\n")
                        .contains("Content-Type: text/event-stream\r\n");
            }
            events.tell(Event.Kind.VM_ATTACHED, Map.of("vm", "qemu:/a \"b\"\n"));
            for (SocketChannel client : List.of(first, second)) {
                assertThat(readTo(client, "\n\n"))
                        .matches("id: 1\nevent: vm-attached\ndata: \\{\"number\":1,\"time\":\"[0-9T:.Z-]+\","
                                + "\"type\":\"vm-attached\",\"vm\":\"qemu:/a \\\\\"b\\\\\"\\\\n\"}\n\n");
            }
            assertThat(get("/v1/status")).contains("\"eventStreams\":2");
        }
        awaitCount("eventStreams", 0);
    }

    @Test
    void clientThatDoesNotReadEventsIsCutOffAndCounted() throws IOException {
        try (SocketChannel client = listenToEvents()) {
            readTo(client, "\n\n");
            Map<String, Object> large = Map.of("vm", "x".repeat(10_000));
            while (counters.all().get("eventStreamsCut") == 0) {
                events.tell(Event.Kind.VM_ATTACHED, large);
            }
            awaitCount("eventStreams", 0);
        }
        assertThat(get("/v1/status")).contains("\"eventStreamsCut\":1");
    }

    @Test
    void oneListenerTooManyIsRefusedAndTheNextOneIsNotWhenOneHasLeft() throws IOException {
        List<SocketChannel> clients = new ArrayList<>();
        try {
            for (int i = 0; i < EventStream.MAX_STREAMS; i++) {
                clients.add(listenToEvents());
                readTo(clients.getLast(), "\n\n");
            }
            assertThat(get("/v1/events")).startsWith("HTTP/1.1 429 ").contains("\"code\":\"too-many\"");
            clients.removeLast().close();
            awaitCount("eventStreams", EventStream.MAX_STREAMS - 1);
            clients.add(listenToEvents());
            assertThat(readTo(clients.getLast(), "\n\n")).startsWith("HTTP/1.1 200 ");
        } finally {
            for (SocketChannel client : clients) {
                client.close();
            }
        }
    }

    private void awaitCount(String name, long value) {
        while (counters.all().get(name) != value) {
            Thread.onSpinWait();
        }
    }

    @Test
    void commandHearsEventsUntilTheServerEnds() throws Exception {
        List<String> heard = new CopyOnWriteArrayList<>();
        CompletableFuture<Void> following = CompletableFuture.runAsync(() -> {
            try {
                new ApiClient(socket).follow(heard::add);
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        });
        while (heard.isEmpty() && !following.isDone()) {
            // Until it listens; what was told before is not heard.
            events.tell(Event.Kind.READY, Map.of());
            Thread.yield();
        }
        events.tell(Event.Kind.VM_SEEN, Map.of("mac", "02:00:00:00:00:01"));
        while (!heard.getLast().contains("vm-seen") && !following.isDone()) {
            Thread.onSpinWait();
        }
        server.close();
        following.get(10, TimeUnit.SECONDS);
        assertThat(heard.getFirst()).contains("\"type\":\"ready\"");
        assertThat(heard.getLast()).contains("\"type\":\"vm-seen\"").endsWith("\"mac\":\"02:00:00:00:00:01\"}");
    }

    private EmbeddedChannel slowClient() {
        EmbeddedChannel client = new EmbeddedChannel();
        client.freezeTime();
        ControlServer.serve(client, new Waiting(ControlServer.MAX_CONNECTIONS), apis(), counters);
        return client;
    }

    private static String answer(EmbeddedChannel client) {
        StringBuilder text = new StringBuilder();
        for (ByteBuf bytes = client.readOutbound(); bytes != null; bytes = client.readOutbound()) {
            text.append(bytes.toString(StandardCharsets.US_ASCII));
            bytes.release();
        }
        return text.toString();
    }

    /** A byte each second, of a head or of a body: never silent, and never done. */
    @ParameterizedTest
    @ValueSource(
            strings = {
                "GET /v1/status HTTP/1.1\r\nHost: x\r\nX-Long: yyyyyyyyyyyyy",
                "POST /v1/ports HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{\"ports\": [             "
            })
    void clientThatDealsOutItsRequestByteByByteHasItsTimeAndNoMore(String request) {
        EmbeddedChannel client = slowClient();
        byte[] bytes = request.getBytes(StandardCharsets.US_ASCII);
        int slow = bytes.length - RequestDeadline.SECONDS;
        client.writeInbound(Unpooled.wrappedBuffer(bytes, 0, slow));
        for (int i = slow; i < bytes.length - 1; i++) {
            client.advanceTimeBy(1, TimeUnit.SECONDS);
            client.runScheduledPendingTasks();
            assertThat(client.isActive()).as("after " + (i - slow + 1) + " s").isTrue();
            client.writeInbound(Unpooled.wrappedBuffer(bytes, i, 1));
        }
        client.advanceTimeBy(1, TimeUnit.SECONDS);
        client.runScheduledPendingTasks();
        assertThat(client.isActive()).isFalse();
        assertThat(answer(client)).startsWith("HTTP/1.1 408 ").contains("\"code\":\"request-timeout\"");
        assertThat(counters.requestsTimedOut).hasValue(1);
        client.finishAndReleaseAll();
    }

    @Test
    void clientThatSaysNothingIsLetGoOfAndOneThatAsksHasTimeAnew() {
        EmbeddedChannel client = slowClient();
        byte[] request = "GET /v1/status HTTP/1.1\r\nHost: x\r\n\r\n".getBytes(StandardCharsets.US_ASCII);
        for (int i = 0; i < 3; i++) {
            client.advanceTimeBy(RequestDeadline.SECONDS - 1, TimeUnit.SECONDS);
            client.runScheduledPendingTasks();
            client.writeInbound(Unpooled.wrappedBuffer(request));
            assertThat(answer(client)).startsWith("HTTP/1.1 200 ");
        }
        client.advanceTimeBy(RequestDeadline.SECONDS, TimeUnit.SECONDS);
        client.runScheduledPendingTasks();
        assertThat(client.isActive()).isFalse();
        assertThat(answer(client)).as("nothing was asked").isEmpty();
        assertThat(counters.requestsTimedOut).hasValue(0);
        client.finishAndReleaseAll();
    }

    @Test
    void whoHasWaitedLongestForItsRequestMakesRoomAndOthersAreServed() throws IOException {
        List<SocketChannel> slow = new ArrayList<>();
        try {
            for (int i = 0; i < ControlServer.MAX_CONNECTIONS; i++) {
                SocketChannel client = SocketChannel.open(StandardProtocolFamily.UNIX);
                slow.add(client);
                client.connect(UnixDomainSocketAddress.of(socket));
                client.write(ByteBuffer.wrap("GET /v1/sta".getBytes(StandardCharsets.US_ASCII)));
            }
            for (int i = 0; i < 3; i++) {
                assertThat(get("/v1/status")).startsWith("HTTP/1.1 200 ");
            }
            assertThat(slow.getFirst().read(ByteBuffer.allocate(1)))
                    .as("the first of them is gone")
                    .isEqualTo(-1);
            assertThat(counters.refused.get()).isPositive();
            slow.getLast().write(ByteBuffer.wrap("tus HTTP/1.1\r\n\r\n".getBytes(StandardCharsets.US_ASCII)));
            assertThat(readTo(slow.getLast(), "\r\n\r\n")).startsWith("HTTP/1.1 200 ");
        } finally {
            for (SocketChannel client : slow) {
                client.close();
            }
        }
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
