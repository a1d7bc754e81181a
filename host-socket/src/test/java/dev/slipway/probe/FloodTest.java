package dev.slipway.probe;

import static dev.slipway.wire.TcpSegment.SYN;
import static org.assertj.core.api.Assertions.assertThat;

import dev.slipway.guest.RawGuest;
import dev.slipway.testing.PacketBuilder;
import dev.slipway.wire.IpAddress;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

/**
 * A guest that sends new flows of every kind as fast as its socket takes them, and another one beside it that has one
 * connection: the process has a bound on its memory, and the other one hardly waits.
 */
@Tag("guest")
@EnabledOnOs(OS.LINUX)
@Timeout(value = 240, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class FloodTest {

    private static final String HOST = "192.168.65.254";
    private static final String GATEWAY = "192.168.65.1";
    private static final long LIMIT = 60_000_000_000L;
    private static final Pattern PATTERN = new Pattern(22);
    private static final PacketBuilder GREEDY = PacketBuilder.guest().address("192.168.65.200");
    private static final int WARM_UP_SECONDS = 1;
    private static final int PAUSE_MILLIS = 5;

    /**
     * Bytes that may become resident after the first second of the flood: the heap, of 64 MiB, may be touched whole, and
     * what the JVM compiles comes to it. Flows without a bound would take gigabytes in a minute.
     */
    private static final long MAY_GROW = 80L << 20;

    /** In milliseconds. Who shared a thread with the flood would wait for its turn each time, seconds in the end. */
    private static final long MOST_WAIT = 200;

    private static final long LONGEST_WAIT = 1_000;

    @TempDir
    Path folder;

    @Test
    void aFloodOfFlowsTakesBoundedMemoryAndTheOtherGuestHardlyWaits() throws Exception {
        endure(2);
    }

    @Test
    @Tag("slow")
    void soDoesOneOfAMinute() throws Exception {
        endure(60);
    }

    private void endure(int seconds) throws Exception {
        try (SlipwayProcess slipway = new SlipwayProcess(folder, 0, List.of("-Xmx64m"));
                ServerSocket server = new ServerSocket(0, 1, InetAddress.getLoopbackAddress());
                Guest other = Guest.attach(slipway.socket("b"))) {
            other.configure(new DhcpClient(other).acquire(LIMIT), 1500);
            Thread.ofPlatform().daemon().name("echo").start(() -> echo(server));
            TcpConnection running = other.connect(IpAddress.parseV4(HOST), server.getLocalPort());
            Greedy greedy = new Greedy(slipway.socket("a"));
            long[] waits = {0};
            long before = 0;
            long most = 0;
            long began = System.nanoTime();
            try {
                // A machine that is busy with other things makes it last longer, not shallower.
                while (System.nanoTime() - began < TimeUnit.SECONDS.toNanos(WARM_UP_SECONDS + seconds)
                        || greedy.sent() <= 2_000L * seconds && System.nanoTime() - began < LIMIT) {
                    boolean warm = System.nanoTime() - began > TimeUnit.SECONDS.toNanos(WARM_UP_SECONDS);
                    long wait = exchange(other, running);
                    if (warm) {
                        waits = Arrays.copyOf(waits, waits.length + 1);
                        waits[waits.length - 1] = wait;
                        before = before == 0 ? slipway.residentBytes() : before;
                        most = Math.max(most, slipway.residentBytes());
                    }
                    TimeUnit.MILLISECONDS.sleep(PAUSE_MILLIS);
                }
            } finally {
                greedy.stop();
            }
            long lasted = System.nanoTime() - began;
            Arrays.sort(waits);
            double millis = 1e6;
            System.out.printf(
                    "a flood of %d frames in %.1f s: resident %d MiB and then %d at most; of %d exchanges the median"
                            + " took %.2f ms, 99 %% less than %.2f, the longest %.2f%n",
                    greedy.sent(),
                    lasted / 1e9,
                    before >> 20,
                    most >> 20,
                    waits.length,
                    waits[waits.length / 2] / millis,
                    waits[waits.length * 99 / 100] / millis,
                    waits[waits.length - 1] / millis);
            assertThat(greedy.sent()).as("frames of the flood").isGreaterThan(2_000L * seconds);
            assertThat(most - before).as("growth of the process, in bytes").isLessThan(MAY_GROW);
            assertThat(waits[waits.length * 9 / 10] / 1_000_000)
                    .as("what nine in ten exchanges of the other guest took, in milliseconds")
                    .isLessThan(MOST_WAIT);
            assertThat(waits[waits.length - 1] / 1_000_000).as("the longest").isLessThan(LONGEST_WAIT);
            assertThat(slipway.count(0, "stackFailures")).isZero();
            assertThat(slipway.count(0, "outOfMemory")).isZero();
            assertThat(slipway.count(0, "udp-flow-limit") + slipway.count(0, "tcp-connect-rate"))
                    .as("limits that were met: " + slipway.status())
                    .isPositive();
        }
    }

    private static void echo(ServerSocket server) {
        try (Socket client = server.accept()) {
            client.setTcpNoDelay(true);
            for (int b = client.getInputStream().read();
                    b >= 0;
                    b = client.getInputStream().read()) {
                client.getOutputStream().write(b);
            }
        } catch (IOException e) {
            return;
        }
    }

    /** A byte there and back; nanoseconds. */
    private static long exchange(Guest guest, TcpConnection connection) throws IOException {
        long began = System.nanoTime();
        assertThat(connection.write(PATTERN.bytes(), 0, 1)).isOne();
        boolean[] answered = {false};
        boolean done = guest.await(
                () -> {
                    connection.drain((position, bytes, offset, length) -> answered[0] = true);
                    return answered[0];
                },
                LIMIT);
        assertThat(done).as("an answer").isTrue();
        return System.nanoTime() - began;
    }

    /** Sends on a thread of its own, and reads what comes on another. */
    private static final class Greedy {

        private final RawGuest guest;
        private final Thread sending;
        private final Thread reading;
        private volatile long sent;

        Greedy(Path socket) throws IOException {
            guest = RawGuest.attach(socket);
            guest.send(GREEDY.arpRequest(GATEWAY));
            sending = Thread.ofPlatform().daemon().name("flood").start(this::send);
            reading = Thread.ofPlatform().daemon().name("answers to the flood").start(this::read);
        }

        long sent() {
            return sent;
        }

        void stop() throws Exception {
            guest.close();
            sending.join();
            reading.join();
        }

        private void send() {
            try {
                for (int i = 0; ; i++) {
                    guest.send(frame(i));
                    sent = i;
                }
            } catch (IOException e) {
                return;
            }
        }

        private static MemorySegment frame(int i) {
            int port = 1_024 + i / 4 % 60_000;
            return switch (i % 4) {
                case 0 -> GREEDY.tcp(HOST, 9).port(port).seq(i).flags(SYN).build();
                case 1 -> GREEDY.udp(HOST, 9).port(port).payload(new byte[64]).build();
                case 2 ->
                    GREEDY.udp(GATEWAY, 53).port(port).payload(new byte[64]).build();
                default -> GREEDY.arpRequest("192.168.65." + (2 + i / 4 % 250));
            };
        }

        private void read() {
            try {
                while (guest.receive() != null) {
                    continue;
                }
            } catch (IOException e) {
                return;
            }
        }
    }
}
