package dev.slipway.guest;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.slipway.guest.FarMachine.Family;
import java.io.IOException;
import java.net.DatagramPacket;
import java.net.InetSocketAddress;
import java.net.PortUnreachableException;
import java.net.SocketTimeoutException;
import java.nio.ByteBuffer;
import java.nio.channels.DatagramChannel;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import jdk.net.ExtendedSocketOptions;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What a guest finds out about the way to a {@link FarMachine}. */
@Tag("guest")
@Timeout(60)
@ExtendWith(NeedsNamespaces.class)
class GuestPathTest {

    private static final String FAR = "198.18.3.2";
    private static final String FAR_FOR_PING = "198.18.3.3";

    private static final String FAR_FOR_UDP = "198.18.3.4";
    private static final String FAR_BY_VPN = "198.18.3.5";
    private static final String PROHIBITED = "198.18.4.1";
    private static final String[] WAY = {
        Backend.SLIPWAY.gateway(), HostMachine.INTERNET, "198.18.1.2", "198.18.2.2", FAR
    };
    private static final int LONG = 1_372;
    private static final int WAIT_MILLIS = 10_000;

    private static NamespaceGuest machines;
    private static FarMachine farMachine;
    private static Namespace far;

    @BeforeAll
    static void start() throws IOException {
        machines = NamespaceGuest.start(Backend.SLIPWAY);
        farMachine = FarMachine.behind(machines.internet(), Family.IPV4, FAR_FOR_PING, FAR_FOR_UDP, FAR_BY_VPN);
        far = farMachine.namespace();
        machines.online();
    }

    @AfterAll
    static void stop() throws IOException {
        if (farMachine != null) {
            farMachine.close();
        }
        if (machines != null) {
            machines.close();
        }
    }

    @Test
    void pingTellsTheTimeToLiveOfTheAnswer() throws IOException {
        String said = machines.guest()
                .run("ping", "-n", "-c", "2", "-i", "0.2", "-W", "5", FAR)
                .orFail()
                .output();
        assertThat(said).contains("from " + FAR, "icmp_seq=2 ttl=61", " 0% packet loss");
    }

    @ParameterizedTest
    @ValueSource(strings = {"-I", "-U", "-T", "-M default", "-T --sport=41000", "-U --sport=41000"})
    void tracerouteListsTheRouters(String method) throws IOException {
        GuestTests.needs("traceroute");
        String said = machines.guest()
                .run(("traceroute " + method + " -n -q 2 -w 5 -m 8 " + FAR).split(" "))
                .output();
        assertThat(Family.IPV4.hops(said)).as(said).containsExactly(WAY);
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "--udp", "--tcp"})
    void mtrListsTheRouters(String method) throws IOException {
        GuestTests.needs("mtr");
        List<String> command = new ArrayList<>(List.of("mtr", "-n", "-r", "-c", "2", "-i", "0.5", "-G", "1", FAR));
        if (!method.isEmpty()) {
            command.add(1, method);
        }
        String said = machines.guest().run(command.toArray(String[]::new)).output();
        assertThat(Family.IPV4.hops(said)).as(said).containsExactly(WAY);
    }

    @Test
    void pingToNowhereIsNotAnswered() throws IOException {
        Subprocess.Result result =
                machines.guest().run("ping", "-n", "-c", "2", "-i", "0.2", "-W", "1", HostMachine.SILENT);
        assertThat(result.output()).contains("100% packet loss");
        assertThat(result.exit()).isEqualTo(1);
    }

    @Test
    void pingOfAPayloadAsLargeAsThereIs() throws IOException {
        String said = machines.guest()
                .run("ping", "-n", "-c", "1", "-W", "5", "-s", "60000", HostMachine.INTERNET)
                .orFail()
                .output();
        assertThat(said).contains("60008 bytes from " + HostMachine.INTERNET);
    }

    @Test
    void pingThatMayNotBeFragmentedHearsOfThePathMtu() throws IOException {
        String said = machines.guest()
                .run("ping", "-n", "-M", "do", "-s", "1372", "-c", "2", "-i", "0.2", "-W", "5", FAR_FOR_PING)
                .output();
        assertThat(said).contains("From 198.18.2.2", "mtu = 1280").contains("100% packet loss");
        machines.guest()
                .run("ping", "-n", "-M", "do", "-s", "1252", "-c", "1", "-W", "5", FAR_FOR_PING)
                .orFail();
    }

    /** Said once in the log and in the status, and to whoever pings; all else works. */
    @Test
    void pingIsProhibitedWhereTheSystemForbidsPingSockets() throws Exception {
        Path log = machines.directory().resolve("forbidden.log");
        Path api = machines.directory().resolve("forbidden.api");
        List<String> command =
                new ArrayList<>(Backend.SLIPWAY.command(machines.directory().resolve("forbidden.sock")));
        command.addAll(List.of("--api", api.toString()));
        machines.host().sysctl("ipv4/ping_group_range", "1 0");
        try (Subprocess other = machines.host().start(log, command)) {
            Subprocess.Result ping = machines.guest().run("ping", "-n", "-c", "1", "-W", "5", FAR);
            assertThat(ping.output()).contains("From " + Backend.SLIPWAY.gateway(), "Packet filtered");
            try (NamespaceGuest.Connection connection = machines.connectToInternet()) {
                assertThat(connection.guest().isConnected()).isTrue();
            }
            Await.until(
                    "the status says so",
                    Duration.ofSeconds(30),
                    () -> machines.host()
                            .run("curl", "-s", "-m", "5", "--unix-socket", api.toString(), "http://slipway/v1/status")
                            .output()
                            .contains("net.ipv4.ping_group_range"));
            assertThat(other.output()).containsOnlyOnce("net.ipv4.ping_group_range");
        } finally {
            machines.host().sysctl("ipv4/ping_group_range", "0 2147483647");
        }
    }

    @Test
    void prohibitedStaysProhibited() throws IOException {
        String said = machines.guest()
                .run("ping", "-n", "-c", "1", "-W", "5", PROHIBITED)
                .output();
        assertThat(said).contains("From " + HostMachine.INTERNET, "Packet filtered");
        assertThatThrownBy(() -> machines.guest()
                        .connect(new InetSocketAddress(PROHIBITED, 80), Duration.ofSeconds(10))
                        .close())
                .hasMessageMatching(".*(No route to host|Host is unreachable).*");
    }

    @ParameterizedTest
    @ValueSource(strings = {FAR, "192.168.65.254", "192.168.65.1"})
    void closedUdpPortIsRefusedToAConnectedSocket(String address) throws IOException {
        try (DatagramChannel guest = machines.guest().datagrams("0.0.0.0")) {
            guest.connect(new InetSocketAddress(address, 9));
            guest.socket().setSoTimeout(WAIT_MILLIS);
            guest.write(ByteBuffer.wrap(new byte[10]));
            DatagramPacket packet = new DatagramPacket(new byte[100], 100);
            assertThatThrownBy(() -> guest.socket().receive(packet)).isInstanceOf(PortUnreachableException.class);
        }
    }

    @Test
    void datagramThatMayNotBeFragmentedHearsOfThePathMtu() throws Exception {
        try (DatagramChannel guest = machines.guest().datagrams("0.0.0.0");
                DatagramChannel server = far.datagrams(FAR_FOR_UDP)) {
            guest.setOption(ExtendedSocketOptions.IP_DONTFRAGMENT, true);
            ByteBuffer datagram = ByteBuffer.allocate(LONG);
            guest.send(datagram.clear(), server.getLocalAddress());
            Await.until(
                    "the guest's kernel knows the path MTU",
                    Duration.ofSeconds(10),
                    () -> machines.guest()
                            .run("ip", "route", "get", FAR_FOR_UDP)
                            .output()
                            .contains("mtu 1280"));
            assertThatThrownBy(() -> guest.send(datagram.clear(), server.getLocalAddress()))
                    .hasMessageContaining("Message too long");
            guest.send(datagram.clear().limit(1_252), server.getLocalAddress());
            server.socket().setSoTimeout(WAIT_MILLIS);
            DatagramPacket packet = new DatagramPacket(new byte[2_000], 2_000);
            server.socket().receive(packet);
            assertThat(packet.getLength()).as("what was too long never came").isEqualTo(1_252);
        }
    }

    /** The way of a VPN: the host itself knows that its interface takes no more, and refuses in the very call. */
    @Test
    void datagramThatTheHostsOwnInterfaceDoesNotTakeHearsOfThePathMtu() throws Exception {
        machines.host().ip("route add " + FAR_BY_VPN + "/32 via " + HostMachine.INTERNET + " mtu 1280");
        try (DatagramChannel guest = machines.guest().datagrams("0.0.0.0");
                DatagramChannel server = far.datagrams(FAR_BY_VPN)) {
            guest.setOption(ExtendedSocketOptions.IP_DONTFRAGMENT, true);
            ByteBuffer datagram = ByteBuffer.allocate(LONG);
            try {
                for (int i = 0; i < 50; i++) {
                    guest.send(datagram.clear(), server.getLocalAddress());
                }
            } catch (IOException e) {
                // The guest's kernel knows already.
            }
            Await.until(
                    "the guest's kernel knows the path MTU",
                    Duration.ofSeconds(10),
                    () -> machines.guest()
                            .run("ip", "route", "get", FAR_BY_VPN)
                            .output()
                            .contains("mtu 1280"));
            server.socket().setSoTimeout(WAIT_MILLIS);
            DatagramPacket packet = new DatagramPacket(new byte[2_000], 2_000);
            for (int i = 0; i < 10; i++) {
                guest.send(datagram.clear().limit(1_252), server.getLocalAddress());
                server.socket().receive(packet);
                assertThat(packet.getLength()).isEqualTo(1_252);
            }
            String said = machines.guest()
                    .run("ping", "-n", "-M", "do", "-s", "1252", "-c", "1", "-W", "5", FAR_BY_VPN)
                    .output();
            assertThat(said).contains("1260 bytes from " + FAR_BY_VPN);
        }
    }

    /** Fragments of the guest's are put together and cut anew on the way: such may be of any size. */
    @Test
    void datagramThatMayBeFragmentedPassesASmallLink() throws IOException {
        try (DatagramChannel guest = machines.guest().datagrams("0.0.0.0");
                DatagramChannel server = far.datagrams(FAR)) {
            guest.setOption(ExtendedSocketOptions.IP_DONTFRAGMENT, false);
            guest.send(ByteBuffer.allocate(9_000), server.getLocalAddress());
            server.socket().setSoTimeout(WAIT_MILLIS);
            DatagramPacket packet = new DatagramPacket(new byte[10_000], 10_000);
            server.socket().receive(packet);
            assertThat(packet.getLength()).isEqualTo(9_000);
        }
    }

    @Test
    void multicastAndBroadcastDoNotReachTheHostsNetwork() throws IOException {
        try (DatagramChannel guest = machines.guest().datagrams("0.0.0.0");
                DatagramChannel server = machines.internet().datagrams(HostMachine.INTERNET)) {
            guest.socket().setBroadcast(true);
            long before = machines.host().counter("Udp", "OutDatagrams");
            for (String group : List.of("224.0.0.251", "239.255.255.250", "255.255.255.255", "198.18.0.255")) {
                try {
                    guest.send(ByteBuffer.wrap(new byte[10]), new InetSocketAddress(group, 5_353));
                } catch (IOException e) {
                    // An error about one before it; the next one goes out.
                }
            }
            server.socket().setSoTimeout(WAIT_MILLIS);
            boolean came = false;
            for (int tries = 0; !came && tries < 5; tries++) {
                try {
                    guest.send(ByteBuffer.wrap(new byte[10]), server.getLocalAddress());
                    server.socket().receive(new DatagramPacket(new byte[100], 100));
                    came = true;
                } catch (SocketTimeoutException e) {
                    throw e;
                } catch (IOException e) {
                    // An error about what was sent to a group.
                }
            }
            assertThat(came).isTrue();
            assertThat(machines.host().counter("Udp", "OutDatagrams") - before)
                    .as("datagrams that the host sent")
                    .isEqualTo(1);
        }
    }
}
