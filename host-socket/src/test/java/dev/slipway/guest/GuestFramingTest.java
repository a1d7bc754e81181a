package dev.slipway.guest;

import static org.assertj.core.api.Assertions.assertThat;

import dev.slipway.guest.Payload.Background;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.channels.ByteChannel;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.function.IntFunction;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.ExtendWith;

/** A guest with a real kernel on each kind of socket: a lease, 64 MiB down and up byte for byte, gone and back again. */
@Tag("guest")
@Timeout(120)
@ExtendWith(NeedsNamespaces.class)
class GuestFramingTest {

    private static final int MIB = 1 << 20;
    private static final String UUID = "8d3a1c52-9f0e-4b7d-a6c1-2e5f90b7d413";

    private HostMachine machine;
    private Namespace guest;
    private TapRelay relay;
    private String channel;

    @AfterEach
    void stop() {
        if (machine != null) {
            machine.close();
        }
    }

    @Test
    void qemuOnTcp() throws IOException {
        int port = freePort();
        start("qemu-tcp:" + port, "qemu-tcp:127.0.0.1:" + port);
        servesAGuest(() -> machine.host().call(() -> GuestWire.qemuTcp(port)));
    }

    @Test
    void hyperkitAsWithGvproxy() throws IOException {
        startOnSocket("hyperkit");
        servesAGuest(() -> GuestWire.vpnkit(machine.directory().resolve("framed.sock"), UUID));
    }

    @Test
    void vpnkitWithAMacAddressAndALeaseThatOutliveTheConnection() throws IOException {
        startOnSocket("vpnkit");
        String[] first = new String[1];
        servesAGuest(() -> {
            GuestWire.Vpnkit wire = GuestWire.vpnkit(machine.directory().resolve("framed.sock"), UUID);
            assertThat(wire.mtu()).isEqualTo(1500);
            assertThat(wire.mac()).isEqualTo("02:50:00:00:00:01");
            if (first[0] == null) {
                guest.ip("link set eth0 address " + wire.mac());
            }
            first[0] = wire.mac();
            return wire;
        });
    }

    @Test
    void connectionOfTheApiAsGvforwarderMakesIt() throws IOException {
        start("connect:", "connect:");
        servesAGuest(() -> GuestWire.connect(machine.apiSocket()));
        assertThat(value("ethertype")).as("frames that came with the requests").isEqualTo(2);
    }

    @Test
    void qemuDatagrams() throws IOException {
        startOnSocket("dgram");
        servesAGuest(() -> GuestWire.datagrams(
                machine.directory().resolve("own.sock"), machine.directory().resolve("framed.sock")));
    }

    @Test
    void vfkitWithItsGreeting() throws IOException {
        startOnSocket("vfkit");
        servesAGuest(this::greeted);
    }

    private ByteChannel greeted() throws IOException {
        // One that was there is looked for; until then another may not even connect.
        Await.until(
                "nobody is the guest",
                NamespaceGuest.CONNECT,
                () -> value("connections") == 0 || attached().equals("false"));
        return GuestWire.vfkit(
                machine.directory().resolve("own.sock"), machine.directory().resolve("framed.sock"));
    }

    @Test
    void unixgramOfLibkrunWithVirtioNetHeaders() throws IOException {
        startWithOffload("vfkit+vnet_hdr", TapRelay::new);
        servesAGuest(this::greeted);
        assertThat(averageFromGuest()).isGreaterThan(4_000);
        assertThat(averageToGuest()).isGreaterThan(4_000);
        assertThat(value("badOffloadsFromGuest")).isZero();
    }

    @Test
    void unixstreamOfLibkrunWithVirtioNetHeaders() throws IOException {
        startWithOffload("qemu+vnet_hdr", TapRelay::new);
        servesAGuest(() -> GuestWire.qemu(machine.directory().resolve("framed.sock")));
        assertThat(averageFromGuest()).isGreaterThan(4_000);
        assertThat(averageToGuest()).isGreaterThan(4_000);
        assertThat(value("badOffloadsFromGuest")).isZero();
    }

    @Test
    void krunkitWithOffloadingOfWhichNothingTells() throws IOException {
        startWithOffload("vfkit+offload", TapRelay::thatHidesHeaders);
        servesAGuest(this::greeted);
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
        startOnSocket("bess");
        servesAGuest(() -> GuestWire.bess(machine.directory().resolve("framed.sock")));
    }

    @Test
    void standardInputAndOutputAsWithGvproxy() throws Exception {
        start("qemu:" + HostMachine.IN_FOLDER + "/other.sock", "qemu:");
        List<String> command =
                new ArrayList<>(List.of("ip", "netns", "exec", machine.host().name()));
        command.addAll(Backend.SLIPWAY.command(machine.directory().resolve("unused.sock")));
        command.set(command.size() - 1, "stdio:");
        Process process = new ProcessBuilder(command)
                .redirectError(machine.directory().resolve("stdio.log").toFile())
                .start();
        try {
            relay.connect(GuestWire.shortLengths(GuestWire.streams(process)));
            guest.ip("link set eth0 up");
            lease();
            transfer();
            relay.disconnect();
            assertThat(process.waitFor(20, TimeUnit.SECONDS)).isTrue();
            assertThat(process.exitValue()).isZero();
            assertThat(Files.readString(machine.directory().resolve("stdio.log")))
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

    private void startOnSocket(String scheme) throws IOException {
        start(scheme + ":" + HostMachine.IN_FOLDER + "/framed.sock", scheme + ":");
    }

    private void startWithOffload(String scheme, IntFunction<TapRelay> relaying) throws IOException {
        start(
                scheme + ":" + HostMachine.IN_FOLDER + "/framed.sock",
                scheme + ":",
                () -> relaying.apply(LinuxCalls.openTapWithOffload("eth0")));
    }

    private void start(String vm, String named) throws IOException {
        start(vm, named, () -> new TapRelay(LinuxCalls.openTap("eth0")));
    }

    private interface Relaying {
        TapRelay relay() throws IOException;
    }

    private void start(String vm, String named, Relaying relaying) throws IOException {
        guest = Namespace.create("framed");
        machine = HostMachine.start(Backend.SLIPWAY, "--vm", vm);
        machine.add(guest);
        relay = machine.add(guest.call(relaying::relay));
        guest.ip("link set eth0 txqueuelen 20000");
        channel = named;
    }

    private interface Connecting {
        ByteChannel connect() throws IOException;
    }

    private void servesAGuest(Connecting connecting) throws IOException {
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
        assertThat(value("connections")).isBetween(channel.equals("dgram:") ? 1L : 2L, 2L);
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
        return Long.parseLong(told().replaceAll("(?s).*?\"" + counter + "\":([0-9]+).*", "$1"));
    }

    private String attached() throws IOException {
        return told().replaceAll("(?s).*?\"attached\":(true|false).*", "$1");
    }

    /** What is told of the channel's VM, and perhaps of those behind it. */
    private String told() throws IOException {
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
        return all.substring(all.indexOf("\"" + channel));
    }

    private int freePort() throws IOException {
        try (ServerSocketChannel probe = ServerSocketChannel.open().bind(new InetSocketAddress("127.0.0.1", 0))) {
            return ((InetSocketAddress) probe.getLocalAddress()).getPort();
        }
    }
}
