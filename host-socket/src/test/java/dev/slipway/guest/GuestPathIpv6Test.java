package dev.slipway.guest;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.slipway.guest.FarMachine.Family;
import java.io.IOException;
import java.net.DatagramPacket;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.NetworkInterface;
import java.net.PortUnreachableException;
import java.net.SocketAddress;
import java.net.StandardProtocolFamily;
import java.net.StandardSocketOptions;
import java.nio.ByteBuffer;
import java.nio.channels.DatagramChannel;
import java.nio.channels.SocketChannel;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What a guest finds out by IPv6 about the way to a {@link FarMachine}. */
@Tag("guest")
@Timeout(60)
@ExtendWith(NeedsNamespaces.class)
class GuestPathIpv6Test {

    private static final String GATEWAY = "fd65::1";
    private static final String HOST = "fd65::254";
    private static final String INTERNET = HostMachine.INTERNET_V6;
    /** An address of the internet that swallows all. */
    private static final String SILENT = "fd18::66";
    /** An address to which the host has no way. */
    private static final String NO_ROUTE = "fd19::1";

    private static final String FAR = "fd18:3::2";
    private static final String FAR_FOR_PING = "fd18:3::3";

    private static final String FAR_FOR_UDP = "fd18:3::4";
    private static final String FAR_BY_VPN = "fd18:3::5";
    private static final String PROHIBITED = "fd18:4::1";
    private static final String[] WAY = {GATEWAY, INTERNET, "fd18:1::2", "fd18:2::2", FAR};
    private static final int LONG = 1_372;
    private static final int WAIT_MILLIS = 10_000;

    private static NamespaceGuest machines;
    private static FarMachine farMachine;
    private static Namespace far;

    @BeforeAll
    static void start() throws IOException {
        machines = NamespaceGuest.start(Backend.SLIPWAY, "--ipv6", "on");
        Namespace host = machines.host();
        host.ip("-6 route add unreachable " + NO_ROUTE + "/128");
        host.ip("neighbour add " + SILENT + " lladdr 02:00:00:00:00:66 dev h0");
        farMachine = FarMachine.behind(machines.internet(), Family.IPV6, FAR_FOR_PING, FAR_FOR_UDP, FAR_BY_VPN);
        far = farMachine.namespace();
        Await.until(
                "an address in fd65::/64",
                Duration.ofSeconds(30),
                () -> machines.guest()
                        .run("ip", "-6", "addr", "show", "dev", "eth0", "scope", "global", "-tentative")
                        .output()
                        .contains("fd65::"));
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
    void pingTellsTheHopLimitOfTheAnswer() throws IOException {
        String said = machines.guest()
                .run("ping", "-6", "-n", "-c", "2", "-i", "0.2", "-W", "5", FAR)
                .orFail()
                .output();
        assertThat(said).contains("from " + FAR, "icmp_seq=2 ttl=61", " 0% packet loss");
    }

    @ParameterizedTest
    @ValueSource(strings = {"-I", "-U", "-T", "-M default", "-T --sport=41000", "-U --sport=41000"})
    void tracerouteListsTheRouters(String method) throws IOException {
        GuestTests.needs("traceroute");
        String said = machines.guest()
                .run(("traceroute -6 " + method + " -n -q 2 -w 5 -m 8 " + FAR).split(" "))
                .output();
        assertThat(Family.IPV6.hops(said)).as(said).containsExactly(WAY);
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "--udp", "--tcp"})
    void mtrListsTheRouters(String method) throws IOException {
        GuestTests.needs("mtr");
        List<String> command =
                new ArrayList<>(List.of("mtr", "-6", "-n", "-r", "-c", "2", "-i", "0.5", "-G", "1", FAR));
        if (!method.isEmpty()) {
            command.add(1, method);
        }
        String said = machines.guest().run(command.toArray(String[]::new)).output();
        assertThat(Family.IPV6.hops(said)).as(said).containsExactly(WAY);
    }

    @Test
    void pingToNowhereIsNotAnswered() throws IOException {
        Subprocess.Result result = machines.guest().run("ping", "-6", "-n", "-c", "2", "-i", "0.2", "-W", "1", SILENT);
        assertThat(result.output()).contains("100% packet loss");
        assertThat(result.exit()).isEqualTo(1);
    }

    @Test
    void pingThatMayNotBeFragmentedHearsOfThePathMtu() throws IOException {
        String said = machines.guest()
                .run("ping", "-6", "-n", "-M", "do", "-s", "1372", "-c", "2", "-i", "0.2", "-W", "5", FAR_FOR_PING)
                .output();
        assertThat(said).contains("From fd18:2::2", "mtu=1280").contains("100% packet loss");
        machines.guest()
                .run("ping", "-6", "-n", "-M", "do", "-s", "1232", "-c", "1", "-W", "5", FAR_FOR_PING)
                .orFail();
    }

    @Test
    void pingOfAPayloadAsLargeAsThereIs() throws IOException {
        String said = machines.guest()
                .run("ping", "-6", "-n", "-c", "1", "-W", "5", "-s", "60000", INTERNET)
                .orFail()
                .output();
        assertThat(said).contains("60008 bytes from " + INTERNET);
    }

    /** No router cuts a packet of IPv6, so both kernels have to hear of the path MTU, and then the pieces pass. */
    @Test
    void datagramInFragmentsPassesASmallLink() throws IOException {
        try (DatagramChannel guest = machines.guest().datagrams("::");
                DatagramChannel server = far.datagrams(FAR)) {
            server.configureBlocking(false);
            ByteBuffer got = ByteBuffer.allocate(10_000);
            Await.until("it comes", Duration.ofSeconds(20), () -> {
                guest.send(ByteBuffer.allocate(9_000), server.getLocalAddress());
                return server.receive(got.clear()) != null;
            });
            assertThat(got.position()).isEqualTo(9_000);
        }
    }

    @Test
    void prohibitedStaysProhibited() throws IOException {
        String said = machines.guest()
                .run("ping", "-6", "-n", "-c", "1", "-W", "5", PROHIBITED)
                .output();
        assertThat(said).contains("From " + INTERNET, "Administratively prohibited");
        assertThatThrownBy(() -> machines.guest()
                        .connect(new InetSocketAddress(PROHIBITED, 80), Duration.ofSeconds(10))
                        .close())
                .hasMessageMatching(".*(Permission denied|No route to host|Host is unreachable).*");
    }

    @Test
    void networkThatTheHostCannotReachIsSaidToBeAtOnce() {
        long start = System.nanoTime();
        assertThatThrownBy(() -> machines.guest()
                        .connect(new InetSocketAddress(NO_ROUTE, 80), Duration.ofSeconds(10))
                        .close())
                .hasMessageMatching(".*(No route to host|[Uu]nreachable).*");
        assertThat(Duration.ofNanos(System.nanoTime() - start)).isLessThan(Duration.ofSeconds(3));
    }

    @ParameterizedTest
    @ValueSource(strings = {FAR, HOST, GATEWAY})
    void closedUdpPortIsRefusedToAConnectedSocket(String address) throws IOException {
        try (DatagramChannel guest = machines.guest().datagrams("::")) {
            guest.connect(new InetSocketAddress(address, 9));
            guest.socket().setSoTimeout(WAIT_MILLIS);
            guest.write(ByteBuffer.wrap(new byte[10]));
            DatagramPacket packet = new DatagramPacket(new byte[100], 100);
            assertThatThrownBy(() -> guest.socket().receive(packet)).isInstanceOf(PortUnreachableException.class);
        }
    }

    @ParameterizedTest(name = "{0} bytes")
    @ValueSource(ints = {0, 1, 1_452, 1_453, 8_000, 60_000, 65_507})
    void datagramArrivesWholeAndComesBackWhole(int bytes) throws IOException {
        try (DatagramChannel server = machines.internet().datagrams(INTERNET);
                DatagramChannel guest = machines.guest().datagrams("::")) {
            InetSocketAddress seen = assertEcho(guest, server, server.getLocalAddress(), bytes);
            assertThat(seen.getAddress().getHostAddress()).isEqualTo("fd18:0:0:0:0:0:0:2");
        }
    }

    @Test
    void hostAddressReachesAServiceOnTheHostsLocalhost() throws IOException {
        try (DatagramChannel server = machines.host().datagrams("::1");
                DatagramChannel guest = machines.guest().datagrams("::")) {
            int port = ((InetSocketAddress) server.getLocalAddress()).getPort();
            InetSocketAddress seen = assertEcho(guest, server, new InetSocketAddress(HOST, port), 1_000);
            assertThat(seen.getAddress().getHostAddress()).isEqualTo("0:0:0:0:0:0:0:1");
        }
    }

    /** What two outside peers see is one port, and that is the guest's own. */
    @Test
    void portOfTheGuestIsTheSameForAllItSpeaksTo() throws IOException {
        try (DatagramChannel one = machines.internet().datagrams(INTERNET);
                DatagramChannel other = far.datagrams(FAR);
                DatagramChannel guest = machines.guest().datagrams("::")) {
            InetSocketAddress seenByOne = assertEcho(guest, one, one.getLocalAddress(), 10);
            InetSocketAddress seenByOther = assertEcho(guest, other, other.getLocalAddress(), 10);
            assertThat(seenByOther).isEqualTo(seenByOne);
            assertThat(seenByOne.getPort()).isEqualTo(((InetSocketAddress) guest.getLocalAddress()).getPort());
        }
    }

    /** Sends there and back; returns whom the server saw. */
    private static InetSocketAddress assertEcho(
            DatagramChannel guest, DatagramChannel server, SocketAddress serverForGuest, int bytes) throws IOException {
        Payload there = Payload.next();
        Payload back = Payload.next();
        guest.send(there.first(bytes), serverForGuest);
        DatagramPacket atServer = receive(server);
        assertThat(ByteBuffer.wrap(atServer.getData(), 0, atServer.getLength())).isEqualTo(there.first(bytes));
        server.send(back.first(bytes), atServer.getSocketAddress());
        DatagramPacket atGuest = receive(guest);
        assertThat(ByteBuffer.wrap(atGuest.getData(), 0, atGuest.getLength())).isEqualTo(back.first(bytes));
        assertThat(atGuest.getSocketAddress()).as("whom the answer comes from").isEqualTo(serverForGuest);
        return (InetSocketAddress) atServer.getSocketAddress();
    }

    private static DatagramPacket receive(DatagramChannel channel) throws IOException {
        DatagramPacket packet = new DatagramPacket(new byte[65_536], 65_536);
        channel.socket().setSoTimeout(WAIT_MILLIS);
        channel.socket().receive(packet);
        return packet;
    }

    @Test
    void connectionToTheFarMachineCarriesBytesBothWays() throws IOException {
        try (NamespaceGuest.Connection connection = machines.connect(far, FAR, FAR)) {
            exchange(connection.guest(), connection.server());
            exchange(connection.server(), connection.guest());
        }
    }

    private static void exchange(SocketChannel from, SocketChannel to) throws IOException {
        ByteBuffer sent = Payload.next().first(50_000);
        ByteBuffer expected = sent.duplicate();
        while (sent.hasRemaining()) {
            from.write(sent);
        }
        ByteBuffer got = ByteBuffer.allocate(50_000);
        while (got.hasRemaining() && to.read(got) >= 0) {
            // Reads on until all of it has come.
        }
        assertThat(got.flip()).isEqualTo(expected);
    }

    @Test
    void datagramThatIsTooLongForTheWayHearsOfThePathMtu() throws Exception {
        try (DatagramChannel guest = machines.guest().datagrams("::");
                DatagramChannel server = far.datagrams(FAR_FOR_UDP)) {
            ByteBuffer datagram = ByteBuffer.allocate(LONG);
            guest.send(datagram.clear(), server.getLocalAddress());
            Await.until(
                    "the guest's kernel knows the path MTU",
                    Duration.ofSeconds(10),
                    () -> machines.guest()
                            .run("ip", "-6", "route", "get", FAR_FOR_UDP)
                            .output()
                            .contains("mtu 1280"));
            guest.send(datagram.clear().limit(1_232), server.getLocalAddress());
            assertThat(receive(server).getLength())
                    .as("what was too long never came")
                    .isEqualTo(1_232);
        }
    }

    /** The way of a VPN: the host itself knows that its interface takes no more, and refuses in the very call. */
    @Test
    void datagramThatTheHostsOwnInterfaceDoesNotTakeHearsOfThePathMtu() throws Exception {
        machines.host().ip("route add " + FAR_BY_VPN + "/128 via " + INTERNET + " mtu 1280");
        try (DatagramChannel guest = machines.guest().datagrams("::");
                DatagramChannel server = far.datagrams(FAR_BY_VPN)) {
            guest.send(ByteBuffer.allocate(LONG), server.getLocalAddress());
            Await.until(
                    "the guest's kernel knows the path MTU",
                    Duration.ofSeconds(10),
                    () -> machines.guest()
                            .run("ip", "-6", "route", "get", FAR_BY_VPN)
                            .output()
                            .contains("mtu 1280"));
        }
    }

    @Test
    void multicastDoesNotReachTheHostsNetwork() throws IOException {
        List<String> groups = List.of("ff02::fb", "ff05::1:3", "ff0e::1");
        try (DatagramChannel guest = machines.guest().datagrams("::");
                DatagramChannel server = machines.internet().datagrams(INTERNET);
                DatagramChannel listener = machines.internet().call(() -> member(groups, "i0"));
                DatagramChannel host = machines.host().call(() -> member(List.of(), "h0"))) {
            host.send(ByteBuffer.wrap(new byte[11]), new InetSocketAddress(groups.getLast(), 5_353));
            assertThat(receive(listener).getLength())
                    .as("what the host sends to a group")
                    .isEqualTo(11);

            long dropped = machines.status().count("destination");
            for (String group : groups) {
                String scoped = group.startsWith("ff02") ? group + "%eth0" : group;
                machines.guest().run("dig", "+tries=1", "+time=1", "-p", "5353", "@" + scoped, "printer.local");
            }
            assertThat(machines.status().count("destination") - dropped)
                    .as("datagrams to groups that came here")
                    .isPositive();
            guest.send(ByteBuffer.wrap(new byte[10]), server.getLocalAddress());
            assertThat(receive(server).getLength()).isEqualTo(10);
            listener.configureBlocking(false);
            assertThat(listener.receive(ByteBuffer.allocate(1_500))).isNull();
        }
    }

    /** A socket at the port of multicast DNS, in groups of an interface's link. */
    private static DatagramChannel member(List<String> groups, String link) throws IOException {
        NetworkInterface networkInterface = NetworkInterface.getByName(link);
        DatagramChannel channel = DatagramChannel.open(StandardProtocolFamily.INET6);
        channel.setOption(StandardSocketOptions.SO_REUSEADDR, true);
        channel.setOption(StandardSocketOptions.IP_MULTICAST_IF, networkInterface);
        channel.bind(new InetSocketAddress("::", 5_353));
        for (String group : groups) {
            channel.join(InetAddress.getByName(group), networkInterface);
        }
        return channel;
    }
}
