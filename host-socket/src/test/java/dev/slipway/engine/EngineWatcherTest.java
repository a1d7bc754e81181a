package dev.slipway.engine;

import static org.assertj.core.api.Assertions.assertThat;

import dev.slipway.ethernet.Transport;
import dev.slipway.event.Events;
import dev.slipway.publish.Published;
import dev.slipway.publish.PublishedPorts;
import io.netty.channel.EventLoop;
import io.netty.channel.MultiThreadIoEventLoopGroup;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.Channels;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Predicate;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** An engine that says what a test wants, right and wrong; with a real one there is an acceptance scenario. */
@Tag("transport")
@Timeout(60)
class EngineWatcherTest {

    private static final String HEAD = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n";

    /** What an engine has for an answer in these tests; one that deals it out takes longer. */
    private static final int ANSWER_MILLIS = 2_000;

    private static final int DEALT_MILLIS = 20;

    @TempDir
    Path folder;

    private final Transport transport = Transport.best();
    private final MultiThreadIoEventLoopGroup group = new MultiThreadIoEventLoopGroup(1, transport.ioHandlerFactory());
    private final EventLoop loop = group.next();
    private final BlockingQueue<SocketChannel> listeners = new LinkedBlockingQueue<>();
    private Path socket;
    private ServerSocketChannel server;
    private volatile byte[] list = answer("[]");
    private final BlockingQueue<String> told = new LinkedBlockingQueue<>();
    private final Events events = new Events();
    private final AtomicInteger asked = new AtomicInteger();
    private volatile boolean slow;
    private PublishedPorts ports;
    private EngineWatcher watcher;

    @BeforeEach
    void start() throws IOException {
        socket = folder.resolve("engine.sock");
        events.listen(event -> told.add(event.kind() + " "
                + event.facts().getOrDefault("local", event.facts().getOrDefault("problem", ""))));
        ports = new PublishedPorts(loop, transport, List::of, name -> 0, Optional.empty(), true, events);
        watcher = EngineWatcher.watch(socket, loop, transport, ports, events, ANSWER_MILLIS);
        startEngine();
    }

    @AfterEach
    void stop() throws IOException {
        watcher.close();
        ports.close();
        server.close();
        group.shutdownGracefully(0, 1, TimeUnit.SECONDS).awaitUninterruptibly();
    }

    private void startEngine() throws IOException {
        Files.deleteIfExists(socket);
        ServerSocketChannel engine = ServerSocketChannel.open(StandardProtocolFamily.UNIX);
        engine.bind(UnixDomainSocketAddress.of(socket));
        server = engine;
        Thread.ofPlatform().daemon().start(() -> {
            try {
                while (true) {
                    SocketChannel connection = engine.accept();
                    Thread.ofPlatform().daemon().start(() -> serve(connection));
                }
            } catch (IOException closed) {
                // The test is over, or the engine has stopped.
            }
        });
    }

    private void serve(SocketChannel connection) {
        try {
            String request = request(Channels.newInputStream(connection));
            OutputStream out = Channels.newOutputStream(connection);
            if (request.startsWith("GET /events")) {
                out.write((HEAD + "Transfer-Encoding: chunked\r\n\r\n").getBytes(StandardCharsets.US_ASCII));
                listeners.add(connection);
            } else {
                asked.incrementAndGet();
                byte[] answer = list;
                for (int i = 0; slow && i < answer.length - 1; i++) {
                    out.write(answer, i, 1);
                    TimeUnit.MILLISECONDS.sleep(DEALT_MILLIS);
                }
                if (!slow) {
                    out.write(answer);
                }
                connection.close();
            }
        } catch (IOException | InterruptedException closed) {
            // The watcher has gone.
        }
    }

    private static String request(InputStream in) throws IOException {
        StringBuilder text = new StringBuilder();
        while (text.indexOf("\r\n\r\n") < 0) {
            int next = in.read();
            if (next < 0) {
                throw new IOException("no request");
            }
            text.append((char) next);
        }
        return text.toString();
    }

    private static byte[] answer(String json) {
        return (HEAD + "Content-Length: " + json.length() + "\r\n\r\n" + json).getBytes(StandardCharsets.US_ASCII);
    }

    private static String container(String name, String ip, int publicPort, int privatePort) {
        return "{\"Id\":\"1\",\"Names\":[\"/" + name + "\"],\"Ports\":[{\"IP\":\"" + ip + "\",\"PrivatePort\":"
                + privatePort
                + ",\"PublicPort\":" + publicPort + ",\"Type\":\"tcp\"},{\"PrivatePort\":99,\"Type\":\"tcp\"}],"
                + "\"NetworkSettings\":{\"Networks\":{\"bridge\":{\"IPAddress\":\"172.17.0.2\"}}}}";
    }

    private void event() throws Exception {
        SocketChannel listener = listeners.poll(20, TimeUnit.SECONDS);
        assertThat(listener).as("a connection for events").isNotNull();
        listeners.add(listener);
        Channels.newOutputStream(listener).write("5\r\n{...}\r\n".getBytes(StandardCharsets.US_ASCII));
    }

    private List<Published> await(Predicate<List<Published>> wanted) {
        long start = System.nanoTime();
        List<Published> now = ports.list();
        while (!wanted.test(now)) {
            assertThat(System.nanoTime() - start)
                    .as("waited for too long, there is %s", now)
                    .isLessThan(20_000_000_000L);
            Thread.onSpinWait();
            now = ports.list();
        }
        return now;
    }

    private static int freePort() throws IOException {
        try (ServerSocket probe = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            return probe.getLocalPort();
        }
    }

    @Test
    void whatAContainerPublishesComesAndGoesWithIt() throws Exception {
        int port = freePort();
        list = answer("[" + container("web", "0.0.0.0", port, 80) + "]");
        event();
        Published published = await(all -> all.size() == 1).getFirst();
        assertThat(published.owner()).isEqualTo("docker:web");
        assertThat(published.request().local()).isEqualTo("localhost:" + port);
        assertThat(published.request().remote()).isEqualTo("vm:" + port);
        list = answer("[]");
        event();
        await(List::isEmpty);
        assertThat(told)
                .containsExactlyInAnyOrder(
                        "engine-connected ", "port-published localhost:" + port, "port-unpublished localhost:" + port);
    }

    @Test
    void whatIsBoundToTheVmsLoopbackLeadsToTheContainer() throws Exception {
        int port = freePort();
        list = answer("[" + container("loop", "127.0.0.1", port, 80) + "]");
        event();
        assertThat(await(all -> all.size() == 1).getFirst().request().remote()).isEqualTo("172.17.0.2:80");
    }

    @Test
    void aPortThatSomebodyHasIsReportedAndTakenWhenItIsFree() throws Exception {
        int port;
        try (ServerSocket holder = new ServerSocket(0, 1, InetAddress.getByName("127.0.0.1"))) {
            port = holder.getLocalPort();
            list = answer("[" + container("web", "0.0.0.0", port, 80) + "]");
            event();
            Published published = await(all -> all.size() == 1).getFirst();
            assertThat(published.failure())
                    .hasValueSatisfying(failure -> assertThat(failure).contains("in use"));
        }
        await(all -> all.size() == 1 && all.getFirst().failure().isEmpty());
        assertThat(told).contains("port-refused localhost:" + port).contains("port-published localhost:" + port);
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "not HTTP at all",
                "[{",
                "{}",
                "[1,2]",
                "[{\"Ports\":[{\"IP\":5}]}",
                "",
                "HTTP/1.1 500 no\r\n\r\n"
            })
    void anAnswerThatMakesNoSenseChangesNothingAndIsAskedForAgain(String nonsense) throws Exception {
        int port = freePort();
        list = answer("[" + container("web", "0.0.0.0", port, 80) + "]");
        event();
        await(all -> all.size() == 1);
        list = nonsense.startsWith("[") || nonsense.startsWith("{")
                ? answer(nonsense)
                : nonsense.getBytes(StandardCharsets.US_ASCII);
        event();
        int other = freePort();
        assertThat(ports.list()).hasSize(1);
        list = answer("[" + container("web", "0.0.0.0", port, 80) + "," + container("two", "::", other, 81) + "]");
        assertThat(await(all -> all.size() == 2))
                .extracting(Published::owner)
                .containsExactly("docker:web", "docker:two");
    }

    private void isUnchangedAndTriedAgain(String problem) throws Exception {
        int before = asked.get();
        event();
        awaitTold("engine-lost " + problem);
        assertThat(ports.list()).as("what is published stays").hasSize(1);
        long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(20);
        while (asked.get() < before + 2 && System.nanoTime() < end) {
            Thread.onSpinWait();
        }
        assertThat(asked.get()).as("asked again").isGreaterThanOrEqualTo(before + 2);
        list = answer("[]");
        slow = false;
        await(List::isEmpty);
    }

    private void awaitTold(String expected) throws InterruptedException {
        for (String next = told.poll(20, TimeUnit.SECONDS); ; next = told.poll(20, TimeUnit.SECONDS)) {
            assertThat(next).as("told in time: " + expected).isNotNull();
            if (next.startsWith(expected)) {
                return;
            }
        }
    }

    @Test
    void anAnswerThatIsTooLongChangesNothingAndIsAskedForAgain() throws Exception {
        list = answer("[" + container("web", "0.0.0.0", freePort(), 80) + "]");
        event();
        await(all -> all.size() == 1);
        list = answer("[" + " ".repeat(EngineWatcher.MAX_ANSWER) + "]");
        isUnchangedAndTriedAgain("its list of containers cannot be read: ");
    }

    @Test
    void anAnswerThatComesByteByByteChangesNothingAndIsAskedForAgain() throws Exception {
        list = answer("[" + container("web", "0.0.0.0", freePort(), 80) + "]");
        event();
        await(all -> all.size() == 1);
        slow = true;
        isUnchangedAndTriedAgain("no whole answer within ");
    }

    @Test
    void anEngineThatStopsInTheMiddleOfAnEventIsFollowedWhenItIsBack() throws Exception {
        int port = freePort();
        list = answer("[" + container("web", "0.0.0.0", port, 80) + "]");
        event();
        await(all -> all.size() == 1);
        server.close();
        SocketChannel listener = listeners.poll(20, TimeUnit.SECONDS);
        Channels.newOutputStream(listener).write("ff\r\n{\"Ty".getBytes(StandardCharsets.US_ASCII));
        listener.close();
        listeners.clear();
        assertThat(ports.list()).as("what is published stays").hasSize(1);
        list = answer("[]");
        startEngine();
        await(List::isEmpty);
        assertThat(told)
                .containsSubsequence("engine-connected ", "engine-lost its connection has ended", "engine-connected ");
    }
}
