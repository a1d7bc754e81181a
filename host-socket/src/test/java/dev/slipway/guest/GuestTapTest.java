package dev.slipway.guest;

import static org.assertj.core.api.Assertions.assertThat;

import dev.slipway.guest.Payload.Background;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.time.Duration;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.ExtendWith;

/**
 * Guests whose kernels are reached by TAP devices of Slipway's own in their namespaces, with offload. One process has them
 * all, so what ends one is seen to end no other.
 */
@Tag("guest")
@Timeout(120)
@ExtendWith(NeedsNamespaces.class)
class GuestTapTest {

    private static final int MIB = 1 << 20;
    private static final Duration SOON = Duration.ofSeconds(20);

    private static HostMachine machine;
    private static Namespace guest;
    private static Namespace losesItsDevice;
    private static Namespace losesItsName;

    @BeforeAll
    static void start() throws IOException {
        guest = Namespace.create("tap");
        losesItsDevice = Namespace.create("no-device");
        losesItsName = Namespace.create("no-name");
        machine = HostMachine.start(
                Backend.SLIPWAY, "--vm", vm(guest), "--vm", vm(losesItsDevice), "--vm", vm(losesItsName));
        machine.add(guest);
        machine.add(losesItsDevice);
        machine.add(losesItsName);
        TwoGuests.lease(machine, guest);
    }

    @AfterAll
    static void stop() {
        if (machine != null) {
            machine.close();
        }
    }

    private static String vm(Namespace namespace) {
        return "tap:" + namespace.name() + "/eth0";
    }

    @Test
    void streamsGoByteForByteInUnitsFarLargerThanTheMtu() throws IOException {
        long retransmitted = guest.counter("Tcp", "RetransSegs");
        long dropped = value("dropsToGuest");
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
        assertThat(value("dropsToGuest")).isEqualTo(dropped);
        assertThat(value("stackFailures")).isZero();
    }

    @Test
    void deviceThatIsRemovedEndsThatVmWithAReasonAndNothingElse() throws IOException {
        assertThat(attached(losesItsDevice)).isTrue();
        losesItsDevice.ip("link delete eth0");
        assertOnlyIsDetached(losesItsDevice, "the TAP device was removed");
    }

    @Test
    void namespaceThatIsRemovedEndsThatVmWithAReasonAndNothingElse() throws IOException {
        assertThat(attached(losesItsName)).isTrue();
        Subprocess.run("ip", "netns", "delete", losesItsName.name()).orFail();
        assertOnlyIsDetached(losesItsName, "is gone");
    }

    @Test
    void interfaceThatIsDownForAWhileWorksAgain() throws IOException {
        guest.ip("link set eth0 down");
        guest.ip("link set eth0 up");
        guest.run("ping", "-c", "1", "-W", "5", Backend.SLIPWAY.gateway()).orFail();
        // Its routes went with it.
        TwoGuests.lease(machine, guest);
    }

    private void assertOnlyIsDetached(Namespace gone, String reason) throws IOException {
        Await.until("the guest is detached", SOON, () -> !attached(gone));
        // Told after it is done, through a file that another process writes.
        Await.until(
                "the log says that the guest is detached, and that " + reason,
                SOON,
                () -> saidDetachedBecause(reason, machine.backendOutput()));
        assertThat(machine.backend().isAlive()).isTrue();
        assertThat(attached(guest)).isTrue();
        guest.run("ping", "-c", "1", "-W", "5", Backend.SLIPWAY.gateway()).orFail();
    }

    private static boolean saidDetachedBecause(String reason, String output) {
        return output.lines().anyMatch(line -> line.contains("guest detached: ") && line.contains(reason));
    }

    private static boolean attached(Namespace namespace) throws IOException {
        return machine.status(vm(namespace)).attached();
    }

    private static long value(String counter) throws IOException {
        return machine.status(vm(guest)).count(counter);
    }
}
