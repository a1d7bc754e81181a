package dev.slipway.guest;

import static org.assertj.core.api.Assertions.assertThat;

import dev.slipway.guest.Payload.Background;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.time.Duration;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.ExtendWith;

/** A guest whose kernel is reached by a TAP device of Slipway's own in the guest's namespace, with offload. */
@Tag("guest")
@Timeout(120)
@ExtendWith(NeedsNamespaces.class)
class GuestTapTest {

    private static final int MIB = 1 << 20;
    private static final Duration SOON = Duration.ofSeconds(20);

    private Namespace guest;
    private HostMachine machine;

    @BeforeEach
    void start() throws IOException {
        guest = Namespace.create("tap");
        machine = HostMachine.start(Backend.SLIPWAY, "--vm", "tap:" + guest.name() + "/eth0");
        machine.add(guest);
        guest.run(
                        "busybox",
                        "udhcpc",
                        "-i",
                        "eth0",
                        "-f",
                        "-n",
                        "-q",
                        "-t",
                        "10",
                        "-T",
                        "1",
                        "-s",
                        Lease.writeScript(machine.directory()).toString())
                .orFail();
    }

    @AfterEach
    void stop() {
        machine.close();
    }

    @Test
    void streamsGoByteForByteInUnitsFarLargerThanTheMtu() throws IOException {
        long retransmitted = guest.counter("Tcp", "RetransSegs");
        try (ServerSocketChannel listener = machine.internet().listen(HostMachine.INTERNET, 0);
                SocketChannel client = guest.connect(
                        new InetSocketAddress(
                                HostMachine.INTERNET, ((InetSocketAddress) listener.getLocalAddress()).getPort()),
                        NamespaceGuest.CONNECT);
                SocketChannel server = listener.accept()) {
            for (SocketChannel[] way : new SocketChannel[][] {{client, server}, {server, client}}) {
                Payload payload = Payload.next();
                Background<Long> sending = payload.sendInBackground(way[0], 64L * MIB);
                payload.receive(way[1], 64L * MIB);
                sending.join();
            }
        }
        assertThat(guest.counter("Tcp", "RetransSegs") - retransmitted).isLessThanOrEqualTo(4);
        // A frame of the MTU's size would hold less than 1,500 bytes; acknowledgements are in the average, too.
        assertThat(value("bytesFromGuest") / value("framesFromGuest")).isGreaterThan(4_000);
        assertThat(value("bytesToGuest") / value("framesToGuest")).isGreaterThan(4_000);
        assertThat(value("badOffloadsFromGuest")).isZero();
        assertThat(value("dropsToGuest")).isZero();
        assertThat(value("stackFailures")).isZero();
    }

    @Test
    void deviceThatIsRemovedEndsThatVmWithAReasonAndNothingElse() throws IOException {
        assertThat(said("\"attached\":true")).isTrue();
        guest.ip("link delete eth0");
        awaitDetached("the TAP device was removed");
    }

    @Test
    void namespaceThatIsRemovedEndsThatVmWithAReasonAndNothingElse() throws IOException {
        Subprocess.run("ip", "netns", "delete", guest.name()).orFail();
        awaitDetached("is gone");
    }

    @Test
    void interfaceThatIsDownForAWhileWorksAgain() throws IOException {
        guest.ip("link set eth0 down");
        guest.ip("link set eth0 up");
        guest.run("ping", "-c", "1", "-W", "5", Backend.SLIPWAY.gateway()).orFail();
    }

    private void awaitDetached(String reason) throws IOException {
        Await.until("the guest is detached", SOON, () -> !said("\"attached\":true"));
        // Told after it is done, through a file that another process writes.
        Await.until(
                "the log says that the guest is detached, and that " + reason,
                SOON,
                () -> saidDetachedBecause(reason, machine.backendOutput()));
        assertThat(machine.backend().isAlive()).isTrue();
        assertThat(machine.host().listens(machine.socket())
                        || machine.backendOutput().contains("ready: qemu:"))
                .isTrue();
    }

    private static boolean saidDetachedBecause(String reason, String output) {
        return output.lines().anyMatch(line -> line.contains("guest detached: ") && line.contains(reason));
    }

    /** What is told of the second VM, whose channel is the TAP. */
    private String status() throws IOException {
        String all = machine.host()
                .run(
                        "curl",
                        "-sS",
                        "-m",
                        "5",
                        "--unix-socket",
                        machine.apiSocket().toString(),
                        "http://x/v1/status")
                .orFail()
                .output();
        return all.substring(all.indexOf("\"tap:"));
    }

    private boolean said(String text) throws IOException {
        return status().contains(text);
    }

    private long value(String counter) throws IOException {
        return Long.parseLong(status().replaceAll("(?s).*\"" + counter + "\":([0-9]+).*", "$1"));
    }
}
