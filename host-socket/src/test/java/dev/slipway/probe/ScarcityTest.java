package dev.slipway.probe;

import static dev.slipway.wire.TcpSegment.ACK;
import static dev.slipway.wire.TcpSegment.RST;
import static dev.slipway.wire.TcpSegment.SYN;
import static org.assertj.core.api.Assertions.assertThat;

import dev.slipway.guest.RawGuest;
import dev.slipway.testing.PacketBuilder;
import dev.slipway.wire.BigEndian;
import dev.slipway.wire.IpAddress;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * A process with few descriptors or a small heap, a guest that takes all it can get, and another one beside it: what
 * runs goes on, what is too much is refused and counted, nothing spins, and when the first guest goes all is as before.
 */
@Tag("guest")
@EnabledOnOs(OS.LINUX)
@Timeout(value = 240, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class ScarcityTest {

    private static final String HOST = "192.168.65.254";
    private static final long LIMIT = 60_000_000_000L;
    private static final Pattern PATTERN = new Pattern(21);
    private static final PacketBuilder GREEDY = PacketBuilder.guest().address("192.168.65.200");

    @TempDir
    Path folder;

    private final List<Socket> accepted = new ArrayList<>();
    private ServerSocket sink;
    private Thread accepting;

    @BeforeEach
    void listen() throws IOException {
        sink = new ServerSocket(0, 4_096, InetAddress.getLoopbackAddress());
        accepting = Thread.ofPlatform().daemon().name("sink").start(() -> {
            try {
                while (true) {
                    Socket socket = sink.accept();
                    synchronized (accepted) {
                        accepted.add(socket);
                    }
                }
            } catch (IOException e) {
                return;
            }
        });
    }

    @AfterEach
    void close() throws Exception {
        sink.close();
        accepting.join();
        for (Socket socket : accepted) {
            socket.close();
        }
    }

    /** Not on nio: there the API waits for a descriptor as long as the greedy guest has them. */
    @ParameterizedTest
    @ValueSource(strings = "native")
    void whenDescriptorsRunOutWhatRunsGoesOnAndTheRestIsRefused(String transport) throws Exception {
        try (SlipwayProcess slipway = new SlipwayProcess(folder, 256, List.of("-Xmx64m"), "--transport", transport)) {
            int refused = flood(slipway, 1_000);
            assertThat(refused).as("refused to the greedy guest").isGreaterThan(700);
            assertThat(slipway.count(0, "socketsExhausted")).isGreaterThan(700);
            assertThat(slipway.count(0, "tcpConnects"))
                    .as("had by the greedy guest")
                    .isBetween(100L, 256L);
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"native", "nio"})
    void whenTheHeapIsSmallFlowsAreFewerAndTheRestIsRefused(String transport) throws Exception {
        try (SlipwayProcess slipway = new SlipwayProcess(
                folder, 0, List.of("-Xmx24m", "-XX:MaxDirectMemorySize=24m"), "--transport", transport)) {
            int flows = transport.equals("nio") ? 2_500 : 5_000;
            int refused = flood(slipway, flows);
            assertThat(refused).as("refused to the greedy guest").isPositive();
            assertThat(slipway.count(0, "tcp-flow-limit")).isPositive();
            assertThat(slipway.count(0, "outOfMemory"))
                    .as("times memory ran out")
                    .isZero();
            assertThat(slipway.count(1, "outOfMemory")).isZero();
        }
    }

    @Test
    void limitsCanBeSet() throws Exception {
        try (SlipwayProcess slipway = new SlipwayProcess(folder, 0, List.of("-Xmx64m"), "--max-tcp-flows", "10")) {
            assertThat(flood(slipway, 50)).isEqualTo(40);
            assertThat(slipway.count(0, "tcp-flow-limit")).isEqualTo(40);
        }
    }

    /**
     * A guest asks for as many connections as that, while another one echoes its bytes; then it goes.
     *
     * @return how many were refused
     */
    private int flood(SlipwayProcess slipway, int flows) throws Exception {
        try (HostPeer peer = new HostPeer(PATTERN, PATTERN, Long.MAX_VALUE);
                Guest other = Guest.attach(slipway.socket("b"))) {
            other.configure(new DhcpClient(other).acquire(LIMIT), 1500);
            TcpConnection running = other.connect(IpAddress.parseV4(HOST), peer.port());
            long[] moved = new long[3];
            moved[2] = -1;
            assertThat(moves(other, running, moved))
                    .as("the other guest's transfer before")
                    .isTrue();

            int refused;
            try (RawGuest greedy = RawGuest.attach(slipway.socket("a"))) {
                refused = ask(greedy, flows);
                assertThat(moves(other, running, moved))
                        .as("the other guest's transfer in the middle of it")
                        .isTrue();
                assertThat(slipway.status()).startsWith("HTTP/1.1 200");
            }
            SlipwayProcess.until("the greedy guest's flows are gone", 30, () -> slipway.count(0, "tcpOpen") == 0);
            assertThat(moves(other, running, moved))
                    .as("the other guest's transfer afterwards")
                    .isTrue();
            running.abort();
            SlipwayProcess.until("the other's too", 30, () -> {
                other.turn(0);
                return slipway.count(1, "tcpOpen") == 0;
            });
            idles(slipway);
            connectsAnew(other);
            assertThat(slipway.count(0, "stackFailures")).isZero();
            assertThat(slipway.count(1, "stackFailures")).isZero();
            assertThat(slipway.isAlive()).isTrue();
            return refused;
        }
    }

    /** Sends SYNs and acknowledges what comes, until each was answered. */
    private int ask(RawGuest greedy, int flows) throws IOException {
        AtomicInteger established = new AtomicInteger();
        AtomicInteger refused = new AtomicInteger();
        greedy.send(GREEDY.arpRequest("192.168.65.1"));
        int asked = 0;
        int answered = 0;
        while (answered < flows) {
            // A few at a time, so that the limit on handshakes under way is not what refuses.
            while (asked < flows && asked - answered < 64) {
                greedy.send(GREEDY.tcp(HOST, sink.getLocalPort())
                        .port(1_024 + asked)
                        .seq(1_000)
                        .flags(SYN)
                        .build());
                asked++;
            }
            byte[] frame = greedy.receive(RawGuest::isTcp);
            MemorySegment segment = MemorySegment.ofArray(frame);
            int port = BigEndian.u16(segment, 36);
            int sequence = BigEndian.i32(segment, 38);
            int flags = frame[47];
            if ((flags & RST) != 0) {
                refused.incrementAndGet();
                answered++;
            } else if ((flags & SYN) != 0) {
                established.incrementAndGet();
                answered++;
                greedy.send(GREEDY.tcp(HOST, sink.getLocalPort())
                        .port(port)
                        .seq(1_001)
                        .ack(sequence + 1)
                        .flags(ACK)
                        .build());
            }
        }
        return refused.get();
    }

    /** Moves another megabyte each way and compares it. */
    private static boolean moves(Guest guest, TcpConnection connection, long[] moved) throws IOException {
        long written = moved[0] + (1 << 20);
        long received = moved[1] + (1 << 20);
        boolean done = guest.await(
                () -> {
                    while (moved[0] < written && connection.writable() > 0) {
                        int piece = (int) Math.min(PATTERN.run(moved[0]), written - moved[0]);
                        moved[0] += connection.write(PATTERN.bytes(), PATTERN.offset(moved[0]), piece);
                    }
                    connection.drain((position, bytes, offset, length) -> {
                        if (moved[2] < 0) {
                            moved[2] = PATTERN.firstDifference(position, bytes, offset, length);
                        }
                        moved[1] += length;
                    });
                    return moved[0] >= written && moved[1] >= received && connection.isAllAcknowledged();
                },
                LIMIT);
        assertThat(moved[2]).as("first wrong byte").isEqualTo(-1);
        return done;
    }

    /** Within half a minute there is a second in which the process needs less than a fifth of one. */
    private static void idles(SlipwayProcess slipway) throws Exception {
        long[] last = {System.nanoTime(), slipway.cpuMillis()};
        SlipwayProcess.until("it is idle", 30, () -> {
            long now = System.nanoTime();
            if (now - last[0] < 1_000_000_000L) {
                return false;
            }
            long used = slipway.cpuMillis() - last[1];
            last[0] = now;
            last[1] += used;
            return used < 200;
        });
    }

    private static void connectsAnew(Guest guest) throws Exception {
        try (HostPeer peer = new HostPeer(PATTERN, PATTERN, 1_000)) {
            TcpConnection connection = guest.connect(IpAddress.parseV4(HOST), peer.port());
            boolean served = guest.await(
                    () -> {
                        connection.drain((position, bytes, offset, length) -> {});
                        return connection.isAtEnd();
                    },
                    LIMIT);
            assertThat(served).as("a new connection when there is room again").isTrue();
            guest.release(connection);
        }
    }
}
