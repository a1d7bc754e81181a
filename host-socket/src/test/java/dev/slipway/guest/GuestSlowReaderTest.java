package dev.slipway.guest;

import static org.assertj.core.api.Assertions.assertThat;

import dev.slipway.guest.NamespaceGuest.Connection;
import dev.slipway.guest.Payload.Background;
import java.io.IOException;
import java.nio.channels.SocketChannel;
import java.time.Duration;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.ExtendWith;

/** Who does not read makes the sender wait; nobody in between collects the bytes, and none is lost. */
@Tag("guest")
@Timeout(30)
@ExtendWith(NamespaceGuestExtension.class)
class GuestSlowReaderTest {

    private static final long MIB = 1 << 20;
    private static final long WHOLE = 128 * MIB;
    /** More than the socket buffers of the four kernels' sockets on the way may grow to. */
    private static final long HELD_BY_KERNELS = 48 * MIB;

    private static final long BACKEND_MAY_GROW = 24 * MIB;
    private static final long STILL_NANOS = Duration.ofMillis(600).toNanos();

    @Test
    void serverThatDoesNotReadMakesTheGuestWait(NamespaceGuest machines) throws IOException {
        try (Connection connection = machines.connectToInternet()) {
            assertSenderWaits(machines, connection.guest(), connection.server());
        }
    }

    @Test
    void guestThatDoesNotReadMakesTheServerWait(NamespaceGuest machines) throws IOException {
        try (Connection connection = machines.connectToInternet()) {
            assertSenderWaits(machines, connection.server(), connection.guest());
        }
    }

    private static void assertSenderWaits(NamespaceGuest machines, SocketChannel sender, SocketChannel reader)
            throws IOException {
        warmUp(machines);
        long before = machines.backend().residentBytes();
        Payload payload = Payload.next();
        Background<Long> sending = payload.sendInBackground(sender, WHOLE);
        awaitStandstill(sending.progress());
        assertThat(sending.progress().get()).as("bytes that went nowhere yet").isBetween(1L, HELD_BY_KERNELS);
        assertThat(machines.backend().residentBytes() - before)
                .as("growth of the backend's memory while nobody reads")
                .isLessThan(BACKEND_MAY_GROW);
        payload.receive(reader, WHOLE);
        sending.join();
        assertThat(machines.backend().residentBytes() - before)
                .as("growth of the backend's memory after all")
                .isLessThan(BACKEND_MAY_GROW);
    }

    /** A JVM grows to its working size first: that is not what is measured here. */
    private static void warmUp(NamespaceGuest machines) throws IOException {
        try (Connection connection = machines.connectToInternet()) {
            Payload up = Payload.next();
            Background<Long> sending = up.sendInBackground(connection.guest(), 16 * MIB);
            up.receive(connection.server(), 16 * MIB);
            sending.join();
            Payload down = Payload.next();
            sending = down.sendInBackground(connection.server(), 16 * MIB);
            down.receive(connection.guest(), 16 * MIB);
            sending.join();
        }
    }

    private static void awaitStandstill(AtomicLong progress) throws IOException {
        long[] last = {-1, 0};
        Await.until("the sender stands still", Duration.ofSeconds(20), () -> {
            long now = System.nanoTime();
            if (progress.get() != last[0] || last[0] == 0) {
                last[0] = progress.get();
                last[1] = now;
            }
            return now - last[1] > STILL_NANOS;
        });
    }
}
