package dev.slipway.probe;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.slipway.ethernet.Transport;
import dev.slipway.wire.IpAddress;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * The promise: a byte that a sender saw acknowledged reaches the other end, in order and once, or that end sees a reset;
 * never a clean end. A running process is between a guest and a peer on the host, each of which sends a pattern and
 * judges what comes; then one of the three goes away in the middle of it.
 */
@Tag("guest")
@Timeout(value = 240, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class PromiseTest {

    private static final long SECOND = 1_000_000_000L;
    private static final long LIMIT = 60 * SECOND;
    private static final Pattern UP = new Pattern(11);
    private static final Pattern DOWN = new Pattern(12);

    @TempDir
    Path folder;

    private Guest guest;
    private int host;

    /** The guest's end of one connection. */
    private final class Flow {
        private final TcpConnection connection;
        private long written;
        private long received;
        private long difference = -1;

        Flow(HostPeer peer) throws IOException {
            connection = guest.connect(host, peer.port());
        }

        /** Writes what there is room for, up to a length. */
        void write(long length) {
            while (written < length && connection.isOpen() && connection.writable() > 0) {
                int piece = (int) Math.min(Math.min(UP.run(written), 1 << 15), length - written);
                written += connection.write(UP.bytes(), UP.offset(written), piece);
            }
        }

        void read() {
            connection.drain((position, bytes, offset, length) -> {
                if (difference < 0) {
                    difference = DOWN.firstDifference(position, bytes, offset, length);
                }
                received += length;
            });
        }

        /** Whatever happened: nothing is wrong, doubled or missing in what came so far. */
        void assertNothingWrong(HostPeer peer) {
            assertThat(difference).as("first wrong byte to the guest").isEqualTo(-1);
            assertThat(peer.difference()).as("first wrong byte to the host").isEqualTo(-1);
            assertThat(peer.received()).as("bytes to the host").isLessThanOrEqualTo(written);
        }
    }

    @ParameterizedTest(name = "{0}, faults: {1}")
    @CsvSource({"native, false", "native, true", "epoll, false", "nio, false", "nio, true"})
    void aByteThatWasAcknowledgedArrivesOrTheOtherEndSeesAReset(String transport, boolean faulty) throws Exception {
        assumeTrue(Transport.valueOf(transport.toUpperCase(Locale.ROOT)).isAvailable());
        long seed = new Random().nextInt(1 << 20);
        String faults = "loss=0.01,duplicate=0.01,corrupt=0.01,reorder=0.03,seed=" + seed;
        System.out.println("promise on " + transport + ": " + (faulty ? faults : "no faults"));
        String[] arguments = faulty
                ? new String[] {"--transport", transport, "--fault", faults}
                : new String[] {"--transport", transport};
        long length = faulty ? 200_000 : 3_000_000;
        try (SlipwayProcess slipway =
                new SlipwayProcess(folder, 0, List.of("-Xmx64m", "-XX:MaxDirectMemorySize=64m"), arguments)) {
            guest = Guest.attach(slipway.socket("a"));
            try {
                Lease lease = new DhcpClient(guest).acquire(LIMIT);
                guest.configure(lease, 1500);
                host = IpAddress.parseV4("192.168.65.254");
                bothWaysToTheEnd(length);
                hostFirst(length);
                theHostResets(length);
                theGuestResets(length);
                if (faulty) {
                    killed(slipway, length);
                } else {
                    terminated(slipway, length);
                }
            } finally {
                guest.close();
            }
        }
    }

    private void await(String what, Flow flow, java.util.function.BooleanSupplier condition) throws IOException {
        assertThat(guest.await(condition, LIMIT))
                .as("%s; written %d, received %d, %s", what, flow.written, flow.received, flow.connection.end())
                .isTrue();
    }

    private void bothWaysToTheEnd(long length) throws Exception {
        try (HostPeer peer = new HostPeer(UP, DOWN, length)) {
            Flow flow = new Flow(peer);
            boolean[] finished = new boolean[1];
            await("both ways", flow, () -> {
                flow.write(length);
                flow.read();
                if (flow.written == length && !finished[0]) {
                    finished[0] = true;
                    flow.connection.finish();
                }
                return flow.connection.end() != TcpConnection.End.NONE;
            });
            flow.read();
            assertWhole(flow, peer, length);
            guest.release(flow.connection);
        }
    }

    /** Half-close by the host, and the whole way up behind it. */
    private void hostFirst(long length) throws Exception {
        try (HostPeer peer = new HostPeer(UP, DOWN, length)) {
            Flow flow = new Flow(peer);
            await("down", flow, () -> {
                flow.read();
                return flow.connection.isAtEnd();
            });
            boolean[] finished = new boolean[1];
            await("up", flow, () -> {
                flow.write(length);
                if (flow.written == length && !finished[0]) {
                    finished[0] = true;
                    flow.connection.finish();
                }
                return flow.connection.end() != TcpConnection.End.NONE;
            });
            assertWhole(flow, peer, length);
            guest.release(flow.connection);
        }
    }

    private static void assertWhole(Flow flow, HostPeer peer, long length) throws Exception {
        assertThat(flow.connection.end()).isEqualTo(TcpConnection.End.FINISHED);
        SlipwayProcess.until("the host hears of the end", 20, peer::hasEnded);
        flow.assertNothingWrong(peer);
        assertThat(flow.received).as("bytes to the guest").isEqualTo(length);
        assertThat(peer.received()).as("bytes to the host").isEqualTo(length);
        assertThat(peer.end()).isEqualTo(HostPeer.End.CLEAN);
    }

    private void theHostResets(long length) throws Exception {
        try (HostPeer peer = new HostPeer(UP, DOWN, Long.MAX_VALUE)) {
            Flow flow = new Flow(peer);
            boolean[] reset = new boolean[1];
            await("a reset", flow, () -> {
                flow.write(length);
                flow.read();
                if (peer.received() > length / 4 && flow.received > length / 4 && !reset[0]) {
                    reset[0] = true;
                    resetOf(peer);
                }
                return flow.connection.end() != TcpConnection.End.NONE;
            });
            assertThat(flow.connection.end()).isEqualTo(TcpConnection.End.RESET);
            assertThat(flow.connection.isAtEnd()).as("an end of stream").isFalse();
            flow.assertNothingWrong(peer);
            guest.release(flow.connection);
        }
    }

    private static void resetOf(HostPeer peer) {
        try {
            peer.reset();
        } catch (IOException e) {
            throw new IllegalStateException(e);
        }
    }

    private void theGuestResets(long length) throws Exception {
        try (HostPeer peer = new HostPeer(UP, DOWN, Long.MAX_VALUE)) {
            Flow flow = midway(peer, length);
            // One reset may be lost; whoever speaks of the connection afterwards gets another.
            guest.release(flow.connection);
            await("the host hears of it", flow, peer::hasEnded);
            assertThat(peer.end()).isEqualTo(HostPeer.End.RESET);
            flow.assertNothingWrong(peer);
        }
    }

    private Flow midway(HostPeer peer, long length) throws IOException {
        Flow flow = new Flow(peer);
        await("half of it", flow, () -> {
            flow.write(Long.MAX_VALUE);
            flow.read();
            return peer.received() > length / 2 && flow.received > length / 2;
        });
        return flow;
    }

    private void terminated(SlipwayProcess slipway, long length) throws Exception {
        try (HostPeer peer = new HostPeer(UP, DOWN, Long.MAX_VALUE)) {
            Flow flow = midway(peer, length);
            slipway.terminate();
            boolean told = untilTheLinkEnds(flow);
            assertThat(slipway.exitCode(5)).isZero();
            assertThat(told).as("the guest hears of a reset").isTrue();
            assertReset(flow, peer);
        }
    }

    private void killed(SlipwayProcess slipway, long length) throws Exception {
        try (HostPeer peer = new HostPeer(UP, DOWN, Long.MAX_VALUE)) {
            Flow flow = midway(peer, length);
            slipway.kill();
            untilTheLinkEnds(flow);
            slipway.exitCode(TimeUnit.MINUTES.toSeconds(1));
            assertReset(flow, peer);
        }
    }

    private boolean untilTheLinkEnds(Flow flow) {
        try {
            return guest.await(
                    () -> {
                        flow.write(Long.MAX_VALUE);
                        flow.read();
                        return flow.connection.end() == TcpConnection.End.RESET;
                    },
                    10 * SECOND);
        } catch (IOException e) {
            return flow.connection.end() == TcpConnection.End.RESET;
        }
    }

    private static void assertReset(Flow flow, HostPeer peer) throws Exception {
        SlipwayProcess.until("the host hears of it", 20, peer::hasEnded);
        assertThat(peer.end()).isEqualTo(HostPeer.End.RESET);
        assertThat(flow.connection.isAtEnd()).as("an end of stream").isFalse();
        flow.assertNothingWrong(peer);
    }
}
