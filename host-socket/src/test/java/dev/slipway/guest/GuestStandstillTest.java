package dev.slipway.guest;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.slipway.guest.Payload.Background;
import dev.slipway.guest.QemuMachine.Console;
import java.io.IOException;
import java.net.DatagramPacket;
import java.net.InetSocketAddress;
import java.net.SocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.ByteChannel;
import java.nio.channels.DatagramChannel;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.ExtendWith;

/**
 * VMs that stand still for a while and take no frame, one on each kind of channel, all at once, while servers go on
 * sending to them. What waits for each is bounded, datagrams that find no room are dropped and counted, and when the VM
 * goes on so does all that it had: its connection byte for byte, its port of UDP, its address.
 */
@Tag("guest")
@ExtendWith(NeedsNamespaces.class)
class GuestStandstillTest {

    private static final long MIB = 1 << 20;
    private static final String UUID = "8d3a1c52-9f0e-4b7d-a6c1-2e5f90b7d41";
    private static final Duration SOON = Duration.ofSeconds(30);
    private static final byte[] DATAGRAM = new byte[1_400];
    /** To each VM 1 MiB and a reserve are queued; buffers of the host's sockets come to that. */
    private static final long MAY_GROW_FOR_EACH = 8 * MIB;
    /** What code that is compiled for the first time takes; where Netty reads datagrams, all of the heap besides. */
    private static final long MAY_GROW_ONCE = 16 * MIB;

    private static final long HEAP = 64 * MIB;
    /** In the second half of a long standstill, when all that has a bound has reached it. */
    private static final long MAY_GROW_LATE = 8 * MIB;

    private static final String VHOST = "vhost-user";
    /** Bytes of a transfer before the standstill and in it. */
    private static final long BEFORE = MIB;

    private static final long WHILE = 8 * MIB;

    /** What the machine on its own memory does: %1$s is the internet; ports of UDP, of a server, of one that listens. */
    private static final String COMMANDS = FirstFiles.LEASE + """
        tftp -g -l /dev/null -r hello %1$s %2$d &
        nc %1$s %3$d < /dev/null > /tmp/bulk
        nc %1$s %4$d < /tmp/bulk
        ping -c 1 -W 5 %1$s
        """;

    @Test
    @Timeout(60)
    void whatASecondOfStandstillCosts() throws Exception {
        standStill("native", List.of("hyperkit", "bess"), Duration.ofSeconds(1));
    }

    @Test
    @Tag("slow")
    @Timeout(180)
    void whatAMinuteOfItCosts() throws Exception {
        standStill("native", List.of("qemu", "hyperkit", "vpnkit", "dgram", "vfkit", "bess"), Duration.ofSeconds(60));
    }

    @Test
    @Tag("slow")
    @Timeout(180)
    void whatAMinuteOfItCostsWithoutSystemCallsOfOurOwn() throws Exception {
        standStill("nio", List.of("qemu", "hyperkit", "vpnkit"), Duration.ofSeconds(60));
    }

    @Test
    @Tag("slow")
    @Timeout(180)
    void whatAMinuteOfItCostsAMachineOnItsOwnMemory() throws Exception {
        standStillOnItsOwnMemory(Duration.ofSeconds(60));
    }

    private static void standStill(String transport, List<String> kinds, Duration time) throws Exception {
        List<String> options = new ArrayList<>(List.of("--transport", transport));
        for (String kind : kinds) {
            if (!kind.equals("qemu")) {
                options.addAll(List.of("--vm", kind + ":" + HostMachine.IN_FOLDER + "/" + kind));
            }
        }
        try (HostMachine machine = HostMachine.start(Backend.SLIPWAY, options.toArray(String[]::new))) {
            List<Still> guests = new ArrayList<>();
            for (String kind : kinds) {
                guests.add(new Still(machine, kind, kinds.indexOf(kind)));
            }
            long memory = machine.backend().residentBytes();
            for (Still guest : guests) {
                guest.stop();
            }
            floodFor(time.dividedBy(2), guests);
            long halfWay = machine.backend().residentBytes();
            floodFor(time.dividedBy(2), guests);
            long atLast = machine.backend().residentBytes();
            System.out.printf(
                    "standstill: %s, %d s, %d VMs: %+d KiB, of these %d in the second half%n",
                    transport, time.toSeconds(), kinds.size(), (atLast - memory) >> 10, (atLast - halfWay) >> 10);
            assertThat(atLast - memory)
                    .as("growth of the backend's memory, in bytes")
                    .isLessThan(
                            MAY_GROW_ONCE + kinds.size() * MAY_GROW_FOR_EACH + (transport.equals("native") ? 0 : HEAP));
            if (time.toSeconds() > 10) {
                assertThat(atLast - halfWay).as("of these late, in bytes").isLessThan(MAY_GROW_LATE);
            }
            for (Still guest : guests) {
                guest.goOn();
            }
            for (Still guest : guests) {
                guest.assertIsWhole();
            }
            assertThat(machine.backendOutput()).doesNotContain("ERROR", "LEAK:");
        }
    }

    private static void floodFor(Duration time, List<Still> guests) throws IOException {
        long end = System.nanoTime() + time.toNanos();
        do {
            for (Still guest : guests) {
                guest.flood(200);
            }
        } while (System.nanoTime() < end || !allDrop(guests));
    }

    private static boolean allDrop(List<Still> guests) throws IOException {
        for (Still guest : guests) {
            if (guest.dropped() == 0) {
                return false;
            }
        }
        return true;
    }

    /** One of the guests, with a connection and a port of UDP to the internet. */
    private static final class Still {

        private final HostMachine machine;
        private final String kind;
        private final Namespace namespace;
        private final TapRelay relay;
        private final SocketChannel client;
        private final SocketChannel server;
        private final DatagramChannel port;
        private final DatagramChannel flooding;
        private final SocketAddress outside;
        private final Payload payload = Payload.next();
        private final Payload rest = Payload.next();
        private Background<Long> sending;
        private Background<Long> receiving;

        Still(HostMachine machine, String kind, int number) throws IOException {
            this.machine = machine;
            this.kind = kind;
            namespace = machine.add(Namespace.create("still" + number));
            relay = machine.add(new TapRelay(namespace.call(() -> LinuxCalls.openTap("eth0"))));
            namespace.ip("link set eth0 address 52:54:00:00:01:0" + number + " txqueuelen 20000");
            relay.connect(connect(number));
            namespace.ip("link set eth0 up");
            TwoGuests.lease(machine, namespace);
            try (ServerSocketChannel listener = machine.internet().listen(HostMachine.INTERNET, 0)) {
                client = machine.add(
                        namespace.connect((InetSocketAddress) listener.getLocalAddress(), NamespaceGuest.CONNECT));
                server = machine.add(listener.accept());
            }
            flooding = machine.add(machine.internet().datagrams(HostMachine.INTERNET));
            port = machine.add(namespace.datagrams("0.0.0.0"));
            port.send(ByteBuffer.wrap(DATAGRAM), flooding.getLocalAddress());
            outside = flooding.receive(ByteBuffer.allocate(DATAGRAM.length));
        }

        private ByteChannel connect(int number) throws IOException {
            Path socket = machine.directory().resolve(kind);
            Path own = machine.directory().resolve("own-" + kind);
            return switch (kind) {
                case "qemu" -> GuestWire.qemu(machine.socket());
                case "hyperkit" -> GuestWire.vpnkit(socket, UUID + number);
                case "vpnkit" -> {
                    GuestWire.Vpnkit wire = GuestWire.vpnkit(socket, UUID + number);
                    namespace.ip("link set eth0 address " + wire.mac());
                    yield wire;
                }
                case "dgram" -> GuestWire.datagrams(own, socket);
                case "vfkit" -> GuestWire.greetingVfkit(own, socket);
                case "bess" -> GuestWire.bess(socket);
                default -> throw new IllegalArgumentException(kind);
            };
        }

        /** Stands still in the middle of a transfer. */
        void stop() throws IOException {
            Background<Long> first = payload.sendInBackground(server, BEFORE);
            payload.receive(client, BEFORE);
            first.join();
            relay.hearNothing(true);
            sending = rest.sendInBackground(server, WHILE);
            receiving = Background.start(new AtomicLong(), () -> {
                rest.receive(client, WHILE);
                return WHILE;
            });
        }

        void flood(int datagrams) throws IOException {
            for (int i = 0; i < datagrams; i++) {
                flooding.send(ByteBuffer.wrap(DATAGRAM), outside);
            }
        }

        long dropped() throws IOException {
            return count("guest-queue-full");
        }

        private long count(String counter) throws IOException {
            return machine.status(kind + ":").count(counter);
        }

        void goOn() {
            assertThat(receiving.task().isDone())
                    .as("the transfer of %s is over", kind)
                    .isFalse();
            relay.hearNothing(false);
        }

        void assertIsWhole() throws IOException {
            sending.join();
            receiving.join();
            long dropped = dropped();
            // What waited for the port is read before it is asked anew.
            flooding.send(ByteBuffer.wrap(new byte[1]), outside);
            port.socket().setSoTimeout(10_000);
            DatagramPacket packet = new DatagramPacket(new byte[DATAGRAM.length], DATAGRAM.length);
            do {
                port.socket().receive(packet);
            } while (packet.getLength() != 1);
            namespace
                    .run("ping", "-c", "1", "-n", "-W", "2", Backend.SLIPWAY.gateway())
                    .orFail();
            assertThat(dropped()).as("dropped once %s goes on", kind).isEqualTo(dropped);
            assertThat(count("connections")).as("connections of %s", kind).isEqualTo(1);
            assertThat(count("stackFailures") + count("linkFailures") + count("tcpAbandoned"))
                    .as("failures of %s", kind)
                    .isZero();
        }
    }

    private static void standStillOnItsOwnMemory(Duration time) throws Exception {
        assumeTrue(Prerequisites.missingForUserModeLinux().isEmpty(), "User Mode Linux is missing");
        Payload payload = Payload.next();
        try (HostMachine machine = HostMachine.start(
                        Backend.SLIPWAY, "--vm", VHOST + ":" + HostMachine.IN_FOLDER + "/vhost.sock");
                DatagramChannel flooding = machine.internet().datagrams(HostMachine.INTERNET);
                ServerSocketChannel down = machine.internet().listen(HostMachine.INTERNET, 0);
                ServerSocketChannel up = machine.internet().listen(HostMachine.INTERNET, 0)) {
            Path socket = machine.directory().resolve("vhost.sock");
            Await.until("the backend listens on " + socket, SOON, () -> Files.exists(socket));
            int floodingPort = ((InetSocketAddress) flooding.getLocalAddress()).getPort();
            Subprocess vm = UserModeMachine.start(
                    machine, socket, COMMANDS.formatted(HostMachine.INTERNET, floodingPort, port(down), port(up)));
            SocketAddress outside = flooding.receive(ByteBuffer.allocate(DATAGRAM.length));
            Background<Long> sending;
            try (SocketChannel guest = down.accept()) {
                vm.signal("STOP");
                sending = payload.sendInBackground(guest, WHILE);
                long memory = machine.backend().residentBytes();
                long end = System.nanoTime() + time.toNanos();
                do {
                    for (int i = 0; i < 200; i++) {
                        flooding.send(ByteBuffer.wrap(DATAGRAM), outside);
                    }
                } while (System.nanoTime() < end || dropped(machine) == 0);
                assertThat(machine.backend().residentBytes() - memory)
                        .as("growth of the backend's memory, in bytes")
                        .isLessThan(2 * MAY_GROW_FOR_EACH);
                vm.signal("CONT");
                sending.join();
            }
            try (SocketChannel guest = up.accept()) {
                payload.receiveAll(guest, WHILE);
            }
            long dropped = dropped(machine);
            assertThat(vm.awaitExit(SOON)).as("it powers off").isTrue();
            assertThat(new Console(vm.output()).said("exit"))
                    .as("exit status of %s", vm.output())
                    .isEqualTo("0");
            BackendStatus status = machine.status(VHOST);
            assertThat(dropped(machine)).as("dropped once it goes on").isEqualTo(dropped);
            assertThat(status.count("ringsBroken") + status.count("stackFailures") + status.count("linkFailures"))
                    .as("failures")
                    .isZero();
            assertThat(machine.backendOutput()).doesNotContain("ERROR", "LEAK:");
        }
    }

    private static long dropped(HostMachine machine) throws IOException {
        return machine.status(VHOST).count("guest-queue-full");
    }

    private static int port(ServerSocketChannel listener) throws IOException {
        return ((InetSocketAddress) listener.getLocalAddress()).getPort();
    }
}
