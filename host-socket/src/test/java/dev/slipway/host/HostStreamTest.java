package dev.slipway.host;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import dev.slipway.ethernet.Transport;
import dev.slipway.seam.HostStream.ConnectFailure;
import dev.slipway.wire.IpAddress;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.lang.foreign.MemorySegment;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.SocketException;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Tag("transport")
@Timeout(60)
final class HostStreamTest {

    private static final int MIB = 1 << 20;
    private static final int SEED = Integer.getInteger("slipway.seed", new Random().nextInt());

    private final Random random = new Random(SEED);
    private HostRig rig;
    private ServerSocket server;

    @BeforeEach
    void start() throws Exception {
        System.out.println("seed " + SEED);
        rig = new HostRig();
        server = HostRig.listen();
    }

    @AfterEach
    void stop() throws Exception {
        server.close();
        rig.close();
        assertThat(rig.counters.openStreams()).isZero();
    }

    @Test
    void connectsToTheHostsLocalhostByTheHostAddress() throws Exception {
        FakeGuest guest = rig.connect(server.getLocalPort()).awaitConnected();
        try (Socket peer = HostRig.accept(server)) {
            assertThat(peer.getInetAddress().isLoopbackAddress()).isTrue();
            assertThat(guest.room()).isEqualTo(NettyHostStream.FROM_GUEST_INITIAL);
        }
    }

    @Test
    void promiseIsRenewedBeforeItIsLessThanTheLargestSegment() throws Exception {
        int mtu = 65_520;
        HostRig large = new HostRig(64 << 20, HostPolicy.defaults(), mtu);
        FakeGuest guest = large.connect(server.getLocalPort()).awaitConnected();
        try (Socket peer = HostRig.accept(server)) {
            guest.send(12_000, false, random);
            assertThat(peer.getInputStream().readNBytes(12_000)).hasSize(12_000);
            // More than the mark below which requests ask the kernel, and less than one segment.
            Waiting.until(() -> guest.room() >= mtu);
        } finally {
            large.close();
        }
    }

    @Test
    void refusedConnectSaysSo() throws Exception {
        int port = server.getLocalPort();
        server.close();
        FakeGuest guest = rig.connect(port);
        assertThat(guest.failure.get(10, TimeUnit.SECONDS)).isEqualTo(ConnectFailure.REFUSED);
        assertThat(rig.call(() -> guest.stream.room())).isZero();
        assertThat(rig.counters.connectsFailed()).isEqualTo(1);
    }

    @Test
    void forbiddenDestinationsFailWithoutASocket() throws Exception {
        for (String address : new String[] {"127.0.0.1", "0.0.0.0", "255.255.255.255", "192.168.65.77"}) {
            FakeGuest guest = rig.connect(IpAddress.ofV4(IpAddress.parseV4(address)), server.getLocalPort());
            assertThat(guest.failure.get(10, TimeUnit.SECONDS)).as(address).isEqualTo(ConnectFailure.HOST_UNREACHABLE);
        }
        server.setSoTimeout(1);
        assertThat(rig.counters.connects()).isZero();
        assertThat(rig.counters.connectsRefusedByPolicy()).isEqualTo(4);
    }

    @Test
    void tenMebibytesToTheHostAreExact() throws Exception {
        FakeGuest guest = rig.connect(server.getLocalPort()).awaitConnected();
        try (Socket peer = HostRig.accept(server)) {
            CompletableFuture<Long> count = drain(peer);
            guest.send(10 * MIB, true, random);
            assertThat(count.get(30, TimeUnit.SECONDS)).isEqualTo(10 * MIB);
            guest.sent.get(10, TimeUnit.SECONDS);
            assertThat(rig.call(() -> guest.stream.isOutputShutdown())).isTrue();
        }
    }

    @Test
    void tenMebibytesToTheGuestAreExact() throws Exception {
        FakeGuest guest = rig.connect(server.getLocalPort()).awaitConnected();
        try (Socket peer = HostRig.accept(server)) {
            guest.read(Long.MAX_VALUE, random);
            fill(peer, 10 * MIB, random).get(30, TimeUnit.SECONDS);
            peer.shutdownOutput();
            assertThat(guest.received.get(30, TimeUnit.SECONDS)).isEqualTo(10 * MIB);
        }
    }

    @Test
    void bothDirectionsAtOnceAreExact() throws Exception {
        FakeGuest guest = rig.connect(server.getLocalPort()).awaitConnected();
        try (Socket peer = HostRig.accept(server)) {
            guest.read(Long.MAX_VALUE, random);
            guest.send(10 * MIB, true, random);
            CompletableFuture<Long> count = drain(peer);
            fill(peer, 10 * MIB, new Random(SEED)).get(30, TimeUnit.SECONDS);
            peer.shutdownOutput();
            assertThat(count.get(30, TimeUnit.SECONDS)).isEqualTo(10 * MIB);
            assertThat(guest.received.get(30, TimeUnit.SECONDS)).isEqualTo(10 * MIB);
        }
    }

    @Test
    void guestEndsFirstAndStillReceives() throws Exception {
        FakeGuest guest = rig.connect(server.getLocalPort()).awaitConnected();
        try (Socket peer = HostRig.accept(server)) {
            guest.send(1000, true, random);
            assertThat(drain(peer).get(10, TimeUnit.SECONDS)).isEqualTo(1000);
            guest.read(Long.MAX_VALUE, random);
            fill(peer, 10 * MIB, random).get(30, TimeUnit.SECONDS);
            peer.shutdownOutput();
            assertThat(guest.received.get(30, TimeUnit.SECONDS)).isEqualTo(10 * MIB);
            rig.run(guest.stream::close);
        }
    }

    @Test
    void hostEndsFirstAndStillReceives() throws Exception {
        FakeGuest guest = rig.connect(server.getLocalPort()).awaitConnected();
        try (Socket peer = HostRig.accept(server)) {
            guest.read(Long.MAX_VALUE, random);
            peer.shutdownOutput();
            assertThat(guest.received.get(10, TimeUnit.SECONDS)).isZero();
            // More than the kernel takes at once, so that the half-closed channel has to wait for room.
            guest.send(10 * MIB, true, random);
            awaitStall(guest);
            assertThat(drain(peer).get(30, TimeUnit.SECONDS)).isEqualTo(10 * MIB);
            guest.sent.get(10, TimeUnit.SECONDS);
        }
    }

    @Test
    void slowReaderOnTheHostClosesTheRoomAndOpensItAgain() throws Exception {
        FakeGuest guest = rig.connect(server.getLocalPort()).awaitConnected();
        try (Socket peer = HostRig.accept(server)) {
            guest.send(20 * MIB, true, random);
            awaitStall(guest);
            assertThat(rig.call(rig.budget::held)).isLessThanOrEqualTo(NettyHostStream.FROM_GUEST_MAX + 3 * Chunk.MAX);
            assertThat(guest.sent).isNotDone();
            assertThat(drain(peer).get(30, TimeUnit.SECONDS)).isEqualTo(20 * MIB);
            guest.sent.get(10, TimeUnit.SECONDS);
        }
    }

    @Test
    void tinyWritesToAStalledHostDoNotCollectBuffers() throws Exception {
        FakeGuest guest = rig.connect(server.getLocalPort()).awaitConnected();
        try (Socket peer = HostRig.accept(server)) {
            guest.send(20 * MIB, false, random);
            awaitStall(guest);
            long before = rig.call(rig.budget::held);
            rig.run(() -> {
                for (int i = 0; i < 100_000; i++) {
                    guest.stream.write(MemorySegment.ofArray(new byte[1]), 0, 1);
                    guest.stream.flush();
                }
            });
            assertThat(rig.call(rig.budget::held)).isLessThanOrEqualTo(before + 100_000 + Chunk.MAX);
            assertThat(peer.getInputStream().read()).isEqualTo(FakeGuest.pattern(0));
        }
    }

    @Test
    void slowGuestStopsReadingFromTheHost() throws Exception {
        FakeGuest guest = rig.connect(server.getLocalPort()).awaitConnected();
        try (Socket peer = HostRig.accept(server)) {
            CompletableFuture<Void> filled = fill(peer, 30 * MIB, random);
            peer.shutdownInput();
            awaitFullQueue();
            assertThat(filled).isNotDone();
            guest.read(Long.MAX_VALUE, random);
            filled.get(30, TimeUnit.SECONDS);
            peer.shutdownOutput();
            assertThat(guest.received.get(30, TimeUnit.SECONDS)).isEqualTo(30 * MIB);
        }
    }

    @Test
    void endOfStreamBehindASlowGuestDoesNotReadEverything() throws Exception {
        FakeGuest guest = rig.connect(server.getLocalPort()).awaitConnected();
        try (Socket peer = HostRig.accept(server)) {
            // Fits the kernel's buffers, so that the host's end of stream reaches us while the queue is full.
            peer.getOutputStream().write(bytes(0, 2 * MIB));
            peer.shutdownOutput();
            awaitFullQueue();
            guest.read(Long.MAX_VALUE, random);
            assertThat(guest.received.get(30, TimeUnit.SECONDS)).isEqualTo(2 * MIB);
            assertThat(guest.reset).isNotDone();
        }
    }

    @Test
    void resetByTheHostReachesTheGuestOnce() throws Exception {
        FakeGuest guest = rig.connect(server.getLocalPort()).awaitConnected();
        Socket peer = HostRig.accept(server);
        guest.read(Long.MAX_VALUE, random);
        peer.setSoLinger(true, 0);
        peer.close();
        guest.reset.get(10, TimeUnit.SECONDS);
        assertThat(guest.received).isNotDone();
        rig.run(() -> assertThat(guest.events).containsOnlyOnce("reset"));
        assertThat(rig.counters.resetsByHost()).isEqualTo(1);
    }

    @Test
    void resetByTheHostAfterTheGuestsEndReachesTheGuest() throws Exception {
        FakeGuest guest = rig.connect(server.getLocalPort()).awaitConnected();
        Socket peer = HostRig.accept(server);
        guest.send(10, true, random);
        assertThat(drain(peer).get(10, TimeUnit.SECONDS)).isEqualTo(10);
        peer.setSoLinger(true, 0);
        peer.close();
        guest.reset.get(10, TimeUnit.SECONDS);
        assertThat(guest.received).isNotDone();
    }

    @Test
    void resetByTheHostAfterItsOwnEndReachesTheGuestAtItsNextBytes() throws Exception {
        FakeGuest guest = rig.connect(server.getLocalPort()).awaitConnected();
        Socket peer = HostRig.accept(server);
        guest.read(Long.MAX_VALUE, random);
        peer.shutdownOutput();
        assertThat(guest.received.get(10, TimeUnit.SECONDS)).isZero();
        peer.setSoLinger(true, 0);
        peer.close();
        Waiting.until(() -> {
            guest.send(100, false, random);
            return guest.reset.isDone();
        });
        rig.run(() -> assertThat(guest.events).containsOnlyOnce("reset"));
    }

    @Test
    void resetByTheHostWhileTheGuestIsSlowEndsWithoutSpinning() throws Exception {
        FakeGuest guest = rig.connect(server.getLocalPort()).awaitConnected();
        Socket peer = HostRig.accept(server);
        peer.getOutputStream().write(bytes(0, 2 * MIB));
        awaitFullQueue();
        peer.setSoLinger(true, 0);
        peer.close();
        guest.read(Long.MAX_VALUE, random);
        guest.reset.get(10, TimeUnit.SECONDS);
        assertThat(guest.received).isNotDone();
    }

    @Test
    void resetByTheGuestReachesTheHost() throws Exception {
        FakeGuest guest = rig.connect(server.getLocalPort()).awaitConnected();
        try (Socket peer = HostRig.accept(server)) {
            rig.run(guest.stream::reset);
            assertReset(peer);
        }
        rig.run(() -> assertThat(guest.events).containsExactly("connected"));
    }

    @Test
    void resetByTheGuestAfterItsOwnEndReachesTheHost() throws Exception {
        FakeGuest guest = rig.connect(server.getLocalPort()).awaitConnected();
        try (Socket peer = HostRig.accept(server)) {
            guest.send(10, true, random);
            assertThat(drain(peer).get(10, TimeUnit.SECONDS)).isEqualTo(10);
            rig.run(guest.stream::reset);
            assertReset(peer);
        }
    }

    @Test
    void resetByTheGuestAfterTheHostsEndReachesTheHost() throws Exception {
        FakeGuest guest = rig.connect(server.getLocalPort()).awaitConnected();
        try (Socket peer = HostRig.accept(server)) {
            guest.read(Long.MAX_VALUE, random);
            peer.shutdownOutput();
            guest.received.get(10, TimeUnit.SECONDS);
            rig.run(guest.stream::reset);
            assertReset(peer);
        }
    }

    @Test
    void aCloseWithBytesThatTheKernelDidNotTakeIsAReset() throws Exception {
        FakeGuest guest = rig.connect(server.getLocalPort()).awaitConnected();
        try (Socket peer = HostRig.accept(server)) {
            guest.send(20 * MIB, false, random);
            awaitStall(guest);
            rig.run(guest.stream::close);
            assertReset(peer);
        }
    }

    @Test
    void aFlowThatIsGivenUpEndsInAResetAndInNothingElse() throws Exception {
        FakeGuest guest = rig.connect(server.getLocalPort()).awaitConnected();
        try (Socket peer = HostRig.accept(server)) {
            guest.send(20 * MIB, false, random);
            awaitStall(guest);
            rig.run(() -> {
                long taken = guest.stream.taken();
                rig.giveUp(guest.stream);
                // The guest's end may come before the stack hears of the reset.
                guest.stream.shutdownOutput();
                assertThat(guest.stream.taken()).isEqualTo(taken);
            });
            guest.reset.get(10, TimeUnit.SECONDS);
            InputStream in = peer.getInputStream();
            byte[] buffer = new byte[64 << 10];
            assertThatExceptionOfType(SocketException.class)
                    .as("no end of stream")
                    .isThrownBy(() -> {
                        while (in.read(buffer) >= 0) {
                            // what was sent before the reset
                        }
                    })
                    .withMessageContaining("reset");
        }
    }

    @Test
    void othersMoveOnWhenStalledFlowsHoldAllThatMayBeHeld() throws Exception {
        rig.close();
        rig = new HostRig(MIB, HostPolicy.defaults());
        server.close();
        server = new ServerSocket();
        server.setReceiveBufferSize(4096); // the kernel takes little of what nobody reads
        server.bind(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0));
        List<FakeGuest> stalled = new ArrayList<>();
        List<Socket> peers = new ArrayList<>();
        // With system calls the kernel's buffers are the queues; a few of them are megabytes enough.
        int flows = rig.transport == Transport.NATIVE ? 12 : 60;
        for (int i = 0; i < flows; i++) {
            stalled.add(rig.connect(server.getLocalPort()).awaitConnected());
            peers.add(HostRig.accept(server));
        }
        // All have been promised much while memory was plenty.
        for (FakeGuest guest : stalled) {
            // With system calls a little does not lead to another look at the kernel's room.
            guest.send(rig.transport == Transport.NATIVE ? 20 << 10 : 1, false, random);
            assertThat(guest.room()).isGreaterThan(NettyHostStream.FROM_GUEST_INITIAL);
        }
        FakeGuest other = rig.connect(server.getLocalPort()).awaitConnected();
        try (Socket peer = HostRig.accept(server)) {
            for (FakeGuest guest : stalled) {
                guest.send(50 * MIB, false, random);
            }
            // Whether any of them has to go depends on how much the kernel takes; that they stall does not.
            Waiting.settle(() -> rig.call(rig.budget::held));
            CompletableFuture<Long> count = drain(peer);
            other.send(5 * MIB, true, new Random(SEED));
            assertThat(count.get(30, TimeUnit.SECONDS)).isEqualTo(5 * MIB);
            assertThat(rig.call(rig.budget::held)).isLessThanOrEqualTo(MIB + Chunk.MAX);
            assertThat(other.reset).isNotDone();
            assertThat(rig.counters.openStreams()).as("not all were given up").isGreaterThan(1);
        }
        for (Socket peer : peers) {
            peer.close();
        }
    }

    /** Our queue to the guest is full and stays so; with system calls there is none, the kernel's is all there is. */
    private void awaitFullQueue() throws Exception {
        if (rig.transport == Transport.NATIVE) {
            Waiting.settle(() -> (long) rig.touched.get());
            assertThat(rig.call(rig.budget::held)).isZero();
            return;
        }
        Waiting.until(() -> rig.call(rig.budget::held) >= NettyHostStream.TO_GUEST_MAX);
        Waiting.settle(() -> rig.call(rig.budget::held));
        assertThat(rig.call(rig.budget::held)).isLessThanOrEqualTo(NettyHostStream.TO_GUEST_MAX + (64 << 10));
    }

    private static void awaitStall(FakeGuest guest) throws Exception {
        Waiting.until(() -> guest.room() == 0);
        Waiting.settle(guest::taken);
        Waiting.until(() -> guest.room() == 0);
    }

    private static void assertReset(Socket peer) throws IOException {
        try {
            InputStream in = peer.getInputStream();
            byte[] buffer = new byte[64 << 10];
            while (in.read(buffer) >= 0) {
                // what was sent before the reset
            }
            // An end of stream that was seen before: the reset shows when we send.
            long start = System.nanoTime();
            while (System.nanoTime() - start < 10_000_000_000L) {
                peer.getOutputStream().write(1);
            }
            throw new AssertionError("no reset");
        } catch (SocketException e) {
            assertThat(e).hasMessageMatching(".*(reset|Broken pipe).*");
        }
    }

    private static byte[] bytes(long from, int length) {
        byte[] bytes = new byte[length];
        for (int i = 0; i < length; i++) {
            bytes[i] = FakeGuest.pattern(from + i);
        }
        return bytes;
    }

    private static CompletableFuture<Void> fill(Socket peer, long total, Random random) {
        return Waiting.async(() -> {
            OutputStream out = peer.getOutputStream();
            long done = 0;
            while (done < total) {
                int length = (int) Math.min(total - done, 1 + random.nextInt(100_000));
                out.write(bytes(done, length));
                done += length;
            }
            return null;
        });
    }

    private static CompletableFuture<Long> drain(Socket peer) {
        return Waiting.async(() -> {
            InputStream in = peer.getInputStream();
            byte[] buffer = new byte[64 << 10];
            long done = 0;
            for (int read = in.read(buffer); read >= 0; read = in.read(buffer)) {
                for (int i = 0; i < read; i++) {
                    if (buffer[i] != FakeGuest.pattern(done + i)) {
                        throw new AssertionError("byte " + (done + i) + " is wrong");
                    }
                }
                done += read;
            }
            return done;
        });
    }
}
