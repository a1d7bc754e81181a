package dev.slipway.guest;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import dev.slipway.guest.NamespaceGuest.Connection;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.ExtendWith;

/** Slipway is killed while a guest with a real kernel uses it, and started again; the guest goes on as it was. */
@Tag("guest")
@Timeout(120)
@ExtendWith(NeedsNamespaces.class)
class GuestBackendRestartTest {

    private static final Duration SOON = Duration.ofSeconds(30);
    private static final int ROUNDS = 3;
    private static final int PUBLISHED = 8_000;
    private static final int SERVED = 7_000;

    @Test
    void guestIsBackWithinThreeSecondsOfTheStartWithItsLeaseAndPublishedPorts() throws IOException {
        try (NamespaceGuest machines = NamespaceGuest.start(
                        Backend.SLIPWAY,
                        "--lease-file",
                        HostMachine.IN_FOLDER + "/leases",
                        "-p",
                        PUBLISHED + ":" + SERVED);
                ServerSocketChannel server = machines.guest().listen("0.0.0.0", SERVED)) {
            Lease lease = machines.online();
            List<Duration> outages = new ArrayList<>();
            for (int i = 0; i < ROUNDS; i++) {
                try (Connection cut = machines.connectToInternet()) {
                    long started = machines.replaceBackend();
                    assertConnected(machines, server);
                    outages.add(Duration.ofNanos(System.nanoTime() - started));
                    assertReset(cut.server());
                    cut.guest().write(ByteBuffer.allocate(1));
                    assertReset(cut.guest());
                }
                assertThat(machines.lease().address()).isEqualTo(lease.address());
            }
            // Not each time, whatever else the machine has to do.
            assertThat(Collections.min(outages))
                    .as("the shortest time from the start of another process, of %s", outages)
                    .isLessThan(Duration.ofSeconds(3));
        }
    }

    /** From the guest to the internet, with the address that it has, and by the published port to the guest. */
    private static void assertConnected(NamespaceGuest machines, ServerSocketChannel server) throws IOException {
        machines.connectToInternet().close();
        SocketChannel[] client = new SocketChannel[1];
        Await.until("the port is published", SOON, () -> {
            try {
                client[0] = machines.host().connect(new InetSocketAddress("127.0.0.1", PUBLISHED), SOON);
                return true;
            } catch (IOException e) {
                return false;
            }
        });
        try (SocketChannel inGuest = server.accept()) {
            client[0].write(ByteBuffer.wrap(new byte[] {42}));
            ByteBuffer got = ByteBuffer.allocate(1);
            inGuest.read(got);
            assertThat(got.flip().get()).isEqualTo((byte) 42);
        } finally {
            client[0].close();
        }
    }

    private static void assertReset(SocketChannel channel) {
        assertThatExceptionOfType(IOException.class)
                .isThrownBy(() -> channel.read(ByteBuffer.allocate(1)))
                .withMessageContaining("reset");
    }
}
