package dev.slipway.guest;

import static org.assertj.core.api.Assertions.assertThat;

import dev.slipway.guest.NamespaceGuest.Connection;
import dev.slipway.guest.Payload.Background;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.LongSupplier;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * All at once, for a while: bulk both ways, a slow reader on either side, and short connections that come and go. Then
 * every byte was right, no connection failed, nothing is left behind, and the memory that it took has a bound which does
 * not depend on how much went through.
 */
@Tag("guest")
@ExtendWith(NeedsNamespaces.class)
class GuestEnduranceTest {

    private static final long MIB = 1 << 20;

    /** A slow reader reads one byte for so many of the bulk. */
    private static final long SLOWNESS = 64;

    private static final long SLOW_START = 64 << 10;

    /**
     * How much more memory the backend may have resident than after a warm-up: its heap is limited to 64 MiB, of which
     * the warm-up has touched a quarter, and what comes and goes may touch the rest; two slow readers fill at most 2 MiB
     * of queues each; what remains is compiled code. A backend that kept what passes through would need gigabytes.
     */
    private static final long MAY_GROW = 64 * MIB;

    @ParameterizedTest
    @ValueSource(strings = {"native", "nio"})
    @Timeout(60)
    void bulkSlowReadersAndShortConnectionsAtOnce(String transport) throws IOException {
        endure(transport, 64 * MIB, 16 * MIB, 504, Duration.ofSeconds(45));
    }

    @ParameterizedTest
    @ValueSource(strings = {"native", "nio"})
    @Tag("slow")
    @Timeout(300)
    void aGibibyteBothWaysWithSlowReadersAndFiveThousandShortConnections(String transport) throws IOException {
        endure(transport, 1024 * MIB, 64 * MIB, 5_000, Duration.ofSeconds(240));
    }

    private static void endure(String transport, long bulk, long slow, int shortConnections, Duration limit)
            throws IOException {
        try (NamespaceGuest machines = NamespaceGuest.start(Backend.SLIPWAY, "--transport", transport)) {
            try {
                endure(machines, transport, bulk, slow, shortConnections, limit);
            } catch (IOException | AssertionError e) {
                System.out.println(transport + ": " + machines.report());
                throw e;
            }
        }
    }

    private static void endure(
            NamespaceGuest machines, String transport, long bulk, long slow, int shortConnections, Duration limit)
            throws IOException {
        machines.lease();
        load(machines, 16 * MIB, MIB, 104, Duration.ofSeconds(30));
        int descriptors = machines.backend().descriptors();
        long before = machines.backend().residentBytes();
        long began = System.nanoTime();
        long most = load(machines, bulk, slow, shortConnections, limit);
        System.out.printf(
                "%s: %d MiB each way, %d short connections in %.1f s; the backend's memory %.1f MiB, at most %+.1f%n",
                transport,
                bulk / MIB,
                shortConnections,
                (System.nanoTime() - began) / 1e9,
                before / (double) MIB,
                (most - before) / (double) MIB);
        assertNothingIsLeft(machines, descriptors);
        assertThat(most - before)
                .as("growth of the backend's memory, from %d", before)
                .isLessThan(MAY_GROW);
        assertThat(machines.backendOutput()).doesNotContain("LEAK:", "defect number");
    }

    /** Returns the most memory that the backend was seen to have meanwhile. */
    private static long load(NamespaceGuest machines, long bulk, long slow, int shortConnections, Duration limit)
            throws IOException {
        long most = 0;
        List<Connection> connections = new ArrayList<>();
        try (ShortConnections others = ShortConnections.start(machines, shortConnections)) {
            for (int i = 0; i < 4; i++) {
                connections.add(machines.connectToInternet());
            }
            Connection up = connections.get(0);
            Connection down = connections.get(1);
            Connection slowServer = connections.get(2);
            Connection slowGuest = connections.get(3);
            AtomicLong progress = new AtomicLong();
            AtomicLong bulksDone = new AtomicLong();
            LongSupplier pace = () -> bulksDone.get() == 2 ? Long.MAX_VALUE : SLOW_START + progress.get() / SLOWNESS;
            List<Background<Long>> work = new ArrayList<>();
            Payload upload = Payload.next();
            Payload download = Payload.next();
            Payload toSlowServer = Payload.next();
            Payload toSlowGuest = Payload.next();
            work.add(Background.start(progress, () -> {
                upload.send(up.guest(), bulk, progress);
                up.guest().shutdownOutput();
                return bulk;
            }));
            work.add(Background.start(progress, () -> {
                download.send(down.server(), bulk, progress);
                down.server().shutdownOutput();
                return bulk;
            }));
            work.add(Background.start(progress, () -> {
                upload.receiveAll(up.server(), bulk);
                return bulksDone.incrementAndGet();
            }));
            work.add(Background.start(progress, () -> {
                download.receiveAll(down.guest(), bulk);
                return bulksDone.incrementAndGet();
            }));
            work.add(toSlowServer.sendInBackground(slowServer.guest(), slow));
            work.add(toSlowGuest.sendInBackground(slowGuest.server(), slow));
            work.add(Background.start(progress, () -> {
                toSlowServer.receive(new PacedChannel(slowServer.server(), pace), slow);
                return slow;
            }));
            work.add(Background.start(progress, () -> {
                toSlowGuest.receive(new PacedChannel(slowGuest.guest(), pace), slow);
                return slow;
            }));
            long[] seen = {0};
            Await.until("all is through", limit, () -> {
                seen[0] = Math.max(seen[0], machines.backend().residentBytes());
                return others.isOver()
                                && work.stream().allMatch(one -> one.task().isDone())
                        || work.stream().anyMatch(one -> one.task().state() == Future.State.FAILED);
            });
            most = seen[0];
            for (Background<Long> one : work) {
                one.join();
            }
            assertThat(others.join()).as("short connections that went well").isEqualTo(shortConnections);
        } finally {
            for (Connection connection : connections) {
                connection.close();
            }
        }
        return most;
    }

    private static void assertNothingIsLeft(NamespaceGuest machines, int descriptors) throws IOException {
        Await.until(
                "no connection is open in the backend",
                Duration.ofSeconds(10),
                () -> machines.status().count("tcpOpen") == 0);
        Await.until(
                "the backend has as few descriptors as before, " + descriptors,
                Duration.ofSeconds(10),
                () -> machines.backend().descriptors() <= descriptors);
        assertThat(machines.host().tcpSockets()).as("sockets of the host").isEmpty();
        BackendStatus status = machines.status();
        for (String counter : List.of(
                "stackFailures",
                "linkFailures",
                "outOfMemory",
                "tcpFlowsShed",
                "socketsExhausted",
                "tcpConnectsFailed")) {
            assertThat(status.count(counter)).as(counter).isZero();
        }
    }
}
