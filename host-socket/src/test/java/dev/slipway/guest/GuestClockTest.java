package dev.slipway.guest;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Optional;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.ExtendWith;

/**
 * The wall clock of the host is set, by a day ahead and back. Only the backend sees it: by libfaketime, which stands
 * between it and the kernel's clock.
 */
@Tag("guest")
@Timeout(120)
@ExtendWith(NeedsNamespaces.class)
class GuestClockTest {

    private static final long DAY_SECONDS = 86_400;

    /** The variant for programs with threads, where Debian and Fedora keep it. */
    private static Optional<Path> library() {
        return Stream.of("/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64")
                .map(folder -> Path.of(folder, "faketime", "libfaketimeMT.so.1"))
                .filter(Files::exists)
                .findFirst();
    }

    @Test
    void clockThatJumpsByADayLosesNothing() throws IOException {
        Optional<Path> library = library();
        assumeTrue(library.isPresent(), "no libfaketimeMT.so.1 (Debian: faketime)");
        Path offset = Files.createTempFile("slipway-clock", "");
        set(offset, 0);
        try (NamespaceGuest machines = NamespaceGuest.start(
                Backend.SLIPWAY,
                HostMachine.VARIABLE + "LD_PRELOAD=" + library.get(),
                HostMachine.VARIABLE + "FAKETIME_TIMESTAMP_FILE=" + offset,
                HostMachine.VARIABLE + "FAKETIME_NO_CACHE=1",
                HostMachine.VARIABLE + "FAKETIME_DONT_FAKE_MONOTONIC=1")) {
            assertThat(machines.backend().hasMapped("libfaketimeMT.so.1")).isTrue();
            Lease lease = machines.online();
            try (NamespaceGuest.Connection connection = machines.connectToInternet()) {
                exchange(connection, "before");
                assertNames(machines);
                for (long seconds : new long[] {DAY_SECONDS, -DAY_SECONDS}) {
                    set(offset, seconds);
                    long before = machines.backend().processorMillis();
                    exchange(connection, "after " + seconds);
                    assertNames(machines);
                    assertThat(machines.lease().values().get("ip"))
                            .isEqualTo(lease.values().get("ip"));
                    assertThat(machines.backend().processorMillis() - before)
                            .as("milliseconds of processor time")
                            .isLessThan(3_000);
                }
                assertThat(machines.status().count("tcpResetsByHost")).isZero();
            }
            assertThat(machines.backend().isAlive()).isTrue();
        } finally {
            Files.deleteIfExists(offset);
        }
    }

    private static void set(Path offset, long seconds) throws IOException {
        // Whole at any moment: another process reads it whenever it asks for the time.
        Path next = Files.writeString(Path.of(offset + ".next"), (seconds < 0 ? "" : "+") + seconds + "\n");
        Files.move(next, offset, StandardCopyOption.ATOMIC_MOVE);
    }

    private static void assertNames(NamespaceGuest machines) throws IOException {
        assertThat(machines.guest()
                        .run("dig", "+short", "+tries=2", "+time=5", "@192.168.65.1", "txt.example.test", "TXT")
                        .output())
                .contains("hello txt");
    }

    private static void exchange(NamespaceGuest.Connection connection, String text) throws IOException {
        for (SocketChannel[] way : new SocketChannel[][] {
            {connection.guest(), connection.server()}, {connection.server(), connection.guest()}
        }) {
            way[0].write(ByteBuffer.wrap(text.getBytes(StandardCharsets.US_ASCII)));
            ByteBuffer read = ByteBuffer.allocate(text.length());
            while (read.hasRemaining() && way[1].read(read) >= 0) {
                continue;
            }
            assertThat(new String(read.array(), StandardCharsets.US_ASCII)).isEqualTo(text);
        }
    }
}
