package dev.slipway.host;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.sun.net.httpserver.HttpServer;
import dev.slipway.ethernet.SocketPathException;
import dev.slipway.ethernet.Transport;
import dev.slipway.probe.Probe;
import dev.slipway.seam.StackSettings;
import dev.slipway.testing.PacketBuilder;
import java.io.IOException;
import java.io.OutputStream;
import java.lang.foreign.MemorySegment;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Random;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Tag("transport")
@Timeout(60)
final class VmNetworkTest {

    private static final int MIB = 1 << 20;
    private static final String HOST = "host.docker.internal";

    @TempDir
    Path folder;

    private final AtomicLong uploaded = new AtomicLong();
    private HttpServer http;
    private Path socket;
    private VmNetwork network;

    @BeforeEach
    void start() throws Exception {
        http = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
        http.createContext("/", exchange -> {
            byte[] buffer = new byte[64 << 10];
            for (int read = 0; read >= 0; read = exchange.getRequestBody().read(buffer)) {
                uploaded.addAndGet(read);
            }
            exchange.sendResponseHeaders(200, 10 * MIB);
            try (OutputStream out = exchange.getResponseBody()) {
                for (int i = 0; i < 10; i++) {
                    out.write(new byte[MIB]);
                }
            }
        });
        http.start();
        socket = folder.resolve("vm.sock");
        network = VmNetwork.start(settings(HostPolicy.defaults(), socket));
    }

    @AfterEach
    void stop() {
        long start = System.nanoTime();
        network.close();
        assertThat(System.nanoTime() - start).isLessThan(5_000_000_000L);
        http.stop(0);
        for (VmSession session : network.sessions()) {
            assertThat(session.hostCounters().openStreams()).isZero();
            assertThat(session.hostCounters().openDatagrams()).isZero();
            assertThat(session.hostCounters().stackFailures()).isZero();
        }
    }

    private NetworkSettings settings(HostPolicy policy, Path... sockets) {
        return new NetworkSettings(
                StackSettings.defaults(), policy, folder.resolve("resolv.conf"), Transport.best(), List.of(sockets));
    }

    private URI page() {
        return URI.create("http://" + HOST + ":" + http.getAddress().getPort() + "/");
    }

    @Test
    void whatTheHostCannotDoIsSaid() throws Exception {
        if (network.transport() == Transport.NATIVE) {
            assertThat(network.limitations()).allMatch(said -> said.contains("ping_group_range"));
        } else {
            assertThat(network.limitations())
                    .singleElement()
                    .asString()
                    .contains("ping", network.transport().name().toLowerCase(java.util.Locale.ROOT));
        }
    }

    @Test
    void aGuestGetsOnlineAndReachesTheHostsLocalhost() throws Exception {
        try (Probe guest = Probe.attach(socket, 1500)) {
            assertThat(guest.acquireLease()).contains("192.168.65.3");
            guest.resolveGateway();
            guest.pingGateway();
            assertThat(guest.lookUp(HOST)).isEqualTo("192.168.65.254");
            int host = guest.addressOf(HOST);
            assertThat(guest.get(page(), host)).contains("10.0 MiB");
            guest.post(page(), host, 10 * MIB);
            assertThat(uploaded).hasValue(10 * MIB);
            guest.checkFrames();
        }
        assertThat(network.sessions().getFirst().hostCounters().connects()).isEqualTo(2);
    }

    @Test
    void aGuestThatComesBackIsServedAgain() throws Exception {
        try (Probe guest = Probe.attach(socket, 1500)) {
            guest.acquireLease();
        }
        Waiting.until(() -> !network.sessions().getFirst().ask((stack, link) -> link.isAttached()));
        try (Probe guest = Probe.attach(socket, 1500)) {
            guest.acquireLease();
            guest.pingGateway();
        }
        assertThat(network.sessions().getFirst().linkCounters().connections()).isEqualTo(2);
    }

    @Test
    void withoutHostAccessTheHostIsClosed() throws Exception {
        Path closed = folder.resolve("closed.sock");
        try (VmNetwork without = VmNetwork.start(settings(new HostPolicy(false, false), closed));
                Probe guest = Probe.attach(closed, 1500)) {
            guest.acquireLease();
            int host = guest.addressOf("192.168.65.254");
            assertThatThrownBy(() -> guest.get(page(), host)).isInstanceOf(IOException.class);
            assertThat(without.sessions().getFirst().hostCounters().connects()).isZero();
            assertThat(without.sessions().getFirst().hostCounters().connectsRefusedByPolicy())
                    .isPositive();
        }
    }

    @Test
    void randomFramesDoNoHarm() throws Exception {
        long seed = new Random().nextLong();
        System.out.println("seed " + seed);
        Random random = new Random(seed);
        try (SocketChannel guest = SocketChannel.open(UnixDomainSocketAddress.of(socket))) {
            for (int i = 0; i < 2_000; i++) {
                byte[] frame = new byte[random.nextInt(1514)];
                random.nextBytes(frame);
                if (frame.length > 40) {
                    frame[12] = 8;
                    frame[13] = (byte) (random.nextInt(4) == 0 ? 6 : 0);
                    frame[14] = 0x45;
                    frame[6] &= (byte) 0xFE;
                }
                ByteBuffer message = ByteBuffer.allocate(4 + frame.length)
                        .putInt(frame.length)
                        .put(frame)
                        .flip();
                while (message.hasRemaining()) {
                    guest.write(message);
                }
            }
        }
        Waiting.until(() -> !network.sessions().getFirst().ask((stack, link) -> link.isAttached()));
        try (Probe guest = Probe.attach(socket, 1500)) {
            guest.acquireLease();
            guest.pingGateway();
        }
        assertThat(network.sessions().getFirst().drops().total()).isPositive();
    }

    @Test
    void twoGuestsOfANetworkGetDifferentAddresses() throws Exception {
        Path first = folder.resolve("a.sock");
        Path second = folder.resolve("b.sock");
        try (VmNetwork both = VmNetwork.start(settings(HostPolicy.defaults(), first, second));
                Probe a = Probe.attach(first, 1500);
                Probe b = Probe.attach(second, 1500)) {
            assertThat(a.acquireLease()).contains("192.168.65.3");
            assertThat(b.acquireLease()).contains("192.168.65.4");
            assertThat(both.leases().leases()).hasSize(2);
        }
    }

    @Test
    void guestsOfANetworkSeeEachOtherUnlessTheyAreIsolated() throws Exception {
        MemorySegment question = PacketBuilder.guest().mac(0x5254_0000_000AL).arpRequest("192.168.65.9");
        MemorySegment toGateway = PacketBuilder.guest()
                .mac(0x5254_0000_000BL)
                .address("192.168.65.9")
                .arpRequest("192.168.65.1");
        Path first = folder.resolve("a.sock");
        Path second = folder.resolve("b.sock");
        NetworkSettings settings = settings(HostPolicy.defaults(), first, second);
        for (boolean isolated : new boolean[] {false, true}) {
            try (VmNetwork both = VmNetwork.start(isolated ? settings.withoutSwitch() : settings);
                    SocketChannel a = SocketChannel.open(UnixDomainSocketAddress.of(first));
                    SocketChannel b = SocketChannel.open(UnixDomainSocketAddress.of(second))) {
                VmSession from = both.sessions().getFirst();
                for (VmSession session : both.sessions()) {
                    // On its own thread: seen from here, a guest is attached a moment before the switch hears of it.
                    Waiting.until(() -> session.ask((stack, link) -> link.isAttached()));
                }
                send(a, question);
                Waiting.until(() -> from.linkCounters().framesFromGuest() == 1);
                from.ask((stack, link) -> true);
                send(b, toGateway);
                byte[] heard = receive(b);
                if (isolated) {
                    assertThat(heard[21]).as("an answer of the gateway's").isEqualTo((byte) 2);
                    assertThat(both.switchCounters(from)).isEmpty();
                } else {
                    // Which of the two comes first to the thread of the second VM is open.
                    byte[] other = receive(b);
                    assertThat(heard[21] == 1 ? heard : other).isEqualTo(PacketBuilder.bytes(question));
                    assertThat(heard[21] == 1 ? other[21] : heard[21])
                            .as("an answer of the gateway's")
                            .isEqualTo((byte) 2);
                    assertThat(both.switchCounters(from).orElseThrow().framesToVms())
                            .isEqualTo(1);
                }
            }
        }
    }

    private static void send(SocketChannel guest, MemorySegment frame) throws IOException {
        guest.write(ByteBuffer.allocate(4 + (int) frame.byteSize())
                .putInt((int) frame.byteSize())
                .put(PacketBuilder.bytes(frame))
                .flip());
    }

    private static byte[] receive(SocketChannel guest) throws IOException {
        ByteBuffer length = ByteBuffer.allocate(4);
        guest.read(length);
        ByteBuffer frame = ByteBuffer.allocate(length.flip().getInt());
        guest.read(frame);
        return frame.array();
    }

    @Test
    void aSocketThatCannotBeMadeLeavesNothingBehind() throws Exception {
        Path good = folder.resolve("good.sock");
        Path bad = folder.resolve("missing/bad.sock");
        assertThatThrownBy(() -> VmNetwork.start(settings(HostPolicy.defaults(), good, bad)))
                .isInstanceOf(SocketPathException.class)
                .hasMessageContaining("bad.sock");
        assertThat(Files.exists(good)).isFalse();
        Waiting.until(() -> Thread.getAllStackTraces().keySet().stream()
                .noneMatch(thread -> thread.getName().startsWith("vm-2")));
    }
}
