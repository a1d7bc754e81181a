package dev.slipway.guest;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.slipway.guest.Payload.Background;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.channels.ByteChannel;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.TimeUnit;
import java.util.function.IntFunction;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;

/**
 * A guest with a real kernel on each kind of socket: a lease, 64 MiB down and up byte for byte, gone and back again. One
 * process has a VM for each kind.
 */
@Tag("guest")
@Timeout(120)
@ExtendWith(NeedsNamespaces.class)
class GuestFramingTest {

    private static final int MIB = 1 << 20;
    private static final String UUID = "8d3a1c52-9f0e-4b7d-a6c1-2e5f90b7d413";
    private static final Duration SOON = Duration.ofSeconds(20);

    /** Each has its socket in the machine's folder; that of plain QEMU is there anyway. */
    private static final List<String> SCHEMES =
            List.of("vpnkit", "hyperkit", "dgram", "vfkit", "bess", "vfkit+vnet_hdr", "qemu+vnet_hdr", "vfkit+offload");

    private static HostMachine machine;
    private static Namespace guest;
    private static int port;
    private static PassedSockets passed;

    private TapRelay relay;
    private String channel;

    @BeforeAll
    static void startProcess(@TempDir Path folder) throws IOException {
        port = freePort();
        passed = new PassedSockets(folder);
        List<String> options = new ArrayList<>(List.of("--vm", "qemu-tcp:" + port, "--vm", "connect:"));
        for (String scheme : SCHEMES) {
            options.addAll(List.of("--vm", scheme + ":" + HostMachine.IN_FOLDER + "/" + scheme));
        }
        options.addAll(List.of("--vm", "vfkit:" + HostMachine.IN_FOLDER + "/ungreeted"));
        if (Prerequisites.find("perl").isPresent()) {
            options.add(HostMachine.LAUNCHER + passed.launcher());
            PassedSockets.CHANNELS.forEach(channel -> options.addAll(List.of("--vm", channel)));
        }
        machine = HostMachine.start(Backend.SLIPWAY, options.toArray(String[]::new));
        guest = machine.add(Namespace.create("framed"));
        machine.add(passed);
    }

    @AfterAll
    static void stopProcess() {
        if (machine != null) {
            machine.close();
        }
    }

    @AfterEach
    void unplug() throws IOException {
        if (relay != null) {
            relay.close();
        }
    }

    @Test
    void qemu() throws IOException {
        plug("qemu", machine.socket());
        servesAGuest(() -> GuestWire.qemu(machine.socket()));
    }

    @Test
    void qemuOnTcp() throws IOException {
        plugTap("qemu-tcp:127.0.0.1:" + port);
        servesAGuest(() -> machine.host().call(() -> GuestWire.qemuTcp(port)));
    }

    @Test
    void hyperkitAsWithGvproxy() throws IOException {
        plug("hyperkit");
        servesAGuest(() -> GuestWire.vpnkit(socket("hyperkit"), UUID));
    }

    @Test
    void vpnkitWithAMacAddressAndALeaseThatOutliveTheConnection() throws IOException {
        plug("vpnkit");
        String[] first = new String[1];
        servesAGuest(() -> {
            GuestWire.Vpnkit wire = GuestWire.vpnkit(socket("vpnkit"), UUID);
            assertThat(wire.mtu()).isEqualTo(1500);
            if (first[0] == null) {
                first[0] = wire.mac();
                guest.ip("link set eth0 address " + wire.mac());
            }
            assertThat(wire.mac())
                    .as("each time")
                    .matches("02:50:00:00:00:0[12]")
                    .isEqualTo(first[0]);
            return wire;
        });
    }

    @Test
    void vpnkitThatAsksForAnAddressGetsItByDhcpAndNobodyElseCan() throws IOException {
        plug("vpnkit");
        awaitNobody();
        String uuid = "00000000-0000-4000-8000-000000000001";
        String wanted = "192.168.65.77";
        GuestWire.Vpnkit wire = GuestWire.vpnkit(socket("vpnkit"), uuid, wanted);
        guest.ip("link set eth0 address " + wire.mac());
        relay.connect(wire);
        guest.ip("link set eth0 up");
        assertThat(lease()).isEqualTo(wanted);
        relay.disconnect();
        Await.until("the guest is gone", SOON, () -> !attached());
        assertThatThrownBy(() -> GuestWire.vpnkit(socket("vpnkit"), uuid.replace('1', '2'), wanted))
                .hasMessageContaining("the backend refuses: Preferred IP address 192.168.65.77 already used.");
        try (GuestWire.Vpnkit again = GuestWire.vpnkit(socket("vpnkit"), uuid, wanted)) {
            assertThat(again.mac()).isEqualTo(wire.mac());
        }
    }

    @Test
    void connectionOfTheApiAsGvforwarderMakesIt() throws IOException {
        plugTap("connect:");
        servesAGuest(() -> GuestWire.connect(machine.apiSocket()));
        assertThat(value("ethertype")).as("frames that came with the requests").isEqualTo(2);
    }

    @Test
    void qemuDatagrams() throws IOException {
        plug("dgram");
        servesAGuest(() -> GuestWire.datagrams(socket("own"), socket("dgram")));
    }

    @Test
    void vfkitWithItsGreeting() throws IOException {
        plug("vfkit");
        servesAGuest(() -> awaitNobody(() -> GuestWire.greetingVfkit(socket("own"), socket("vfkit"))));
    }

    @Test
    void vfkitWithoutAGreeting() throws IOException {
        plug("vfkit", socket("ungreeted"));
        servesAGuest(() -> awaitNobody(() -> GuestWire.vfkit(socket("own"), socket("ungreeted"))));
    }

    /** One that was there is looked for; until then another may not even connect. */
    private ByteChannel awaitNobody(Connecting connecting) throws IOException {
        awaitNobody();
        return connecting.connect();
    }

    private void awaitNobody() throws IOException {
        Await.until("nobody is the guest", NamespaceGuest.CONNECT, () -> value("connections") == 0 || !attached());
    }

    @Test
    void unixgramOfLibkrunWithVirtioNetHeaders() throws IOException {
        plugWithOffload("vfkit+vnet_hdr", TapRelay::new);
        servesAGuest(() -> awaitNobody(() -> GuestWire.greetingVfkit(socket("own"), socket("vfkit+vnet_hdr"))));
        assertThat(averageFromGuest()).isGreaterThan(4_000);
        assertThat(averageToGuest()).isGreaterThan(4_000);
        assertThat(value("badOffloadsFromGuest")).isZero();
    }

    @Test
    void unixstreamOfLibkrunWithVirtioNetHeaders() throws IOException {
        plugWithOffload("qemu+vnet_hdr", TapRelay::new);
        servesAGuest(() -> GuestWire.qemu(socket("qemu+vnet_hdr")));
        assertThat(averageFromGuest()).isGreaterThan(4_000);
        assertThat(averageToGuest()).isGreaterThan(4_000);
        assertThat(value("badOffloadsFromGuest")).isZero();
    }

    @Test
    void krunkitWithOffloadingOfWhichNothingTells() throws IOException {
        plugWithOffload("vfkit+offload", TapRelay::thatHidesHeaders);
        servesAGuest(() -> awaitNobody(() -> GuestWire.greetingVfkit(socket("own"), socket("vfkit+offload"))));
        assertThat(averageFromGuest()).isGreaterThan(4_000);
        assertThat(averageToGuest()).as("cut, as nothing would tell the guest").isLessThan(1_515);
    }

    private long averageFromGuest() throws IOException {
        return value("bytesFromGuest") / value("framesFromGuest");
    }

    private long averageToGuest() throws IOException {
        return value("bytesToGuest") / value("framesToGuest");
    }

    @Test
    void bessPackets() throws IOException {
        plug("bess");
        servesAGuest(() -> GuestWire.bess(socket("bess")));
    }

    @Test
    void inheritedSocketThatListens() throws IOException {
        plugTap("fd:3/gvproxy");
        servesAGuest(passed::listening);
    }

    @Test
    void inheritedStream() throws IOException {
        plugTap("fd:4");
        servesItsOnlyGuest(passed.stream());
    }

    @Test
    void inheritedDatagrams() throws IOException {
        plugTap("fd:5");
        servesItsOnlyGuest(passed.datagrams());
    }

    @Test
    void inheritedPackets() throws IOException {
        plugTap("fd:6");
        servesItsOnlyGuest(passed.packets());
    }

    private void servesItsOnlyGuest(ByteChannel connection) throws IOException {
        relay.connect(connection);
        guest.ip("link set eth0 up");
        lease();
        transfer();
        relay.disconnect();
        // That datagrams have nobody left is known when a frame does not arrive.
        if (!channel.equals("fd:5")) {
            Await.until("the guest is gone", SOON, () -> !attached());
        }
        assertNothingFailed();
    }

    @Test
    void standardInputAndOutputAsWithGvproxy() throws Exception {
        plugTap("stdio:");
        List<String> command =
                new ArrayList<>(List.of("ip", "netns", "exec", machine.host().name()));
        command.addAll(Backend.SLIPWAY.command(socket("unused")));
        command.set(command.size() - 1, "stdio:");
        Process process = new ProcessBuilder(command)
                .redirectError(socket("stdio.log").toFile())
                .start();
        try {
            relay.connect(GuestWire.shortLengths(GuestWire.streams(process)));
            guest.ip("link set eth0 up");
            lease();
            transfer();
            relay.disconnect();
            assertThat(process.waitFor(20, TimeUnit.SECONDS)).isTrue();
            assertThat(process.exitValue()).isZero();
            assertThat(Files.readString(socket("stdio.log")))
                    .contains("ready: stdio:gvproxy")
                    .doesNotContain("LEAK:");
        } finally {
            process.destroyForcibly().waitFor();
        }
    }

    /** 64 MiB each way on a connection of its own. */
    private void transfer() throws IOException {
        try (ServerSocketChannel listener = machine.internet().listen(HostMachine.INTERNET, 0);
                SocketChannel client = guest.connect(
                        new InetSocketAddress(
                                HostMachine.INTERNET, ((InetSocketAddress) listener.getLocalAddress()).getPort()),
                        NamespaceGuest.CONNECT);
                SocketChannel server = listener.accept()) {
            bothWays(client, server);
        }
    }

    private static void bothWays(SocketChannel client, SocketChannel server) throws IOException {
        for (List<SocketChannel> way : List.of(List.of(client, server), List.of(server, client))) {
            Payload payload = Payload.next();
            Background<Long> sending = payload.sendInBackground(way.get(0), 64L * MIB);
            payload.receive(way.get(1), 64L * MIB);
            sending.join();
        }
    }

    /** A file in the machine's folder. */
    private static Path socket(String name) {
        return machine.directory().resolve(name);
    }

    private void plug(String scheme) throws IOException {
        plug(scheme, socket(scheme));
    }

    private void plug(String scheme, Path socket) throws IOException {
        plugTap(scheme + ":" + socket);
    }

    private void plugTap(String name) throws IOException {
        plug(name, () -> new TapRelay(LinuxCalls.openTap("eth0")));
    }

    private void plugWithOffload(String scheme, IntFunction<TapRelay> relaying) throws IOException {
        plug(scheme + ":" + socket(scheme), () -> relaying.apply(LinuxCalls.openTapWithOffload("eth0")));
    }

    /** Gives the guest a card, which is to be connected to a channel. */
    private void plug(String name, Callable<TapRelay> relaying) throws IOException {
        if (name.startsWith("fd:")) {
            GuestTests.needs("perl");
        }
        channel = name;
        relay = guest.call(relaying);
        guest.ip("link set eth0 txqueuelen 20000");
    }

    private interface Connecting {
        ByteChannel connect() throws IOException;
    }

    private void servesAGuest(Connecting connecting) throws IOException {
        long before = value("connections");
        relay.connect(connecting.connect());
        guest.ip("link set eth0 up");
        String address = lease();
        try (ServerSocketChannel listener = machine.internet().listen(HostMachine.INTERNET, 0);
                SocketChannel client = guest.connect(
                        new InetSocketAddress(
                                HostMachine.INTERNET, ((InetSocketAddress) listener.getLocalAddress()).getPort()),
                        NamespaceGuest.CONNECT);
                SocketChannel server = listener.accept()) {
            bothWays(client, server);
            // The cable is pulled and plugged in again, under a connection.
            relay.disconnect();
            relay.connect(connecting.connect());
            Payload payload = Payload.next();
            Background<Long> sending = payload.sendInBackground(client, MIB);
            payload.receive(server, MIB);
            sending.join();
        }
        assertThat(lease()).as("the address after coming back").isEqualTo(address);
        // A datagram socket that is back under its name at once has never been away.
        assertThat(value("connections") - before).isBetween(channel.startsWith("dgram:") ? 1L : 2L, 2L);
        assertNothingFailed();
    }

    private void assertNothingFailed() throws IOException {
        assertThat(value("stackFailures")).isZero();
        assertThat(value("linkFailures")).isZero();
        assertThat(machine.backendOutput()).doesNotContain("LEAK:");
    }

    private String lease() throws IOException {
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
        return Lease.take(machine.directory()).address();
    }

    private long value(String counter) throws IOException {
        return machine.status(channel).count(counter);
    }

    private boolean attached() throws IOException {
        return machine.status(channel).attached();
    }

    private static int freePort() throws IOException {
        try (ServerSocketChannel probe = ServerSocketChannel.open().bind(new InetSocketAddress("127.0.0.1", 0))) {
            return ((InetSocketAddress) probe.getLocalAddress()).getPort();
        }
    }
}
