package dev.slipway.guest;

import static org.assertj.core.api.Assertions.assertThat;

import dev.slipway.control.ApiClient;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.DatagramChannel;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.ExtendWith;

/** A guest's kernel with IPv6: what it reaches, by name and by address, while the host has IPv6 and while it has not. */
@Tag("guest")
@Timeout(120)
@ExtendWith(NeedsNamespaces.class)
class GuestIpv6Test {

    private static final Duration PATIENCE = Duration.ofSeconds(30);
    private static final String GATEWAY = "fd65::1";

    private static void awaitAddress(NamespaceGuest machines) throws IOException {
        Await.until(
                "an address in fd65::/64",
                PATIENCE,
                () -> machines.guest()
                        .run("ip", "-6", "addr", "show", "dev", "eth0", "scope", "global", "-tentative")
                        .output()
                        .contains("fd65::"));
    }

    private static String ownAddress(NamespaceGuest machines) throws IOException {
        Matcher address = Pattern.compile("inet6 (fd65::[0-9a-f:]+)/")
                .matcher(machines.guest()
                        .run("ip", "-6", "-o", "address", "show", "dev", "eth0", "scope", "global")
                        .output());
        assertThat(address.find()).isTrue();
        return address.group(1);
    }

    private static String routes(NamespaceGuest machines) throws IOException {
        return machines.guest().run("ip", "-6", "route").output();
    }

    private static String dig(NamespaceGuest machines, String... words) throws IOException {
        String[] command = new String[words.length + 3];
        System.arraycopy(words, 0, command, 3, words.length);
        command[0] = "dig";
        command[1] = "+tries=1";
        command[2] = "+time=5";
        return machines.guest().run(command).output();
    }

    @Test
    void kernelMakesItsAddressAndReachesTheHostByIt() throws IOException {
        try (NamespaceGuest machines = NamespaceGuest.start(Backend.chosen(), "--ipv6", "on")) {
            awaitAddress(machines);
            assertThat(routes(machines)).contains("default via fe80::1");
            for (String address : new String[] {"fd65::1", "fd65::254"}) {
                assertThat(machines.guest()
                                .run("ping", "-6", "-n", "-c", "3", "-i", "0.2", "-W", "2", address)
                                .output())
                        .contains(" 3 received");
            }
            try (NamespaceGuest.Connection connection = machines.connect(machines.host(), "::1", "fd65::254")) {
                ByteBuffer sent = StandardCharsets.US_ASCII.encode("over six");
                connection.guest().write(sent);
                ByteBuffer got = ByteBuffer.allocate(8);
                while (got.hasRemaining() && connection.server().read(got) >= 0) {
                    // Reads on until all of it has come.
                }
                assertThat(new String(got.array(), StandardCharsets.US_ASCII)).isEqualTo("over six");
            }
        }
    }

    /** Serves a page that says what it is reached by. */
    private static void serve(NamespaceGuest machines, Namespace where, String address, String page)
            throws IOException {
        Path web = Files.createDirectories(machines.directory().resolve(page));
        Files.writeString(web.resolve("index.html"), page);
        where.start(
                machines.directory().resolve(page + ".log"),
                List.of("busybox", "httpd", "-f", "-p", address + ":8080", "-h", web.toString()));
    }

    private static String curl(NamespaceGuest machines, String family, String name) throws IOException {
        return machines.guest()
                .run("curl", family, "-s", "-S", "-m", "10", "http://" + name + ":8080/index.html")
                .output();
    }

    @Test
    void pagesComeByNameOverEitherFamily() throws IOException {
        try (NamespaceGuest machines = NamespaceGuest.start(Backend.SLIPWAY)) {
            serve(machines, machines.internet(), HostMachine.INTERNET, "four");
            serve(machines, machines.internet(), "[" + HostMachine.INTERNET_V6 + "]", "six");
            machines.online();
            awaitAddress(machines);
            Await.until("a way out", PATIENCE, () -> routes(machines).contains("default via fe80::1"));
            Await.until(
                    "the page comes by IPv4",
                    PATIENCE,
                    () -> curl(machines, "-4", "both.example.test").equals("four"));
            Await.until(
                    "the page comes by IPv6",
                    PATIENCE,
                    () -> curl(machines, "-6", "both.example.test").equals("six"));
        }
    }

    @Test
    void guestWithIpv6AloneHasNamesTheInternetAndTheHost() throws IOException {
        try (NamespaceGuest machines = NamespaceGuest.start(Backend.SLIPWAY)) {
            serve(machines, machines.internet(), "[" + HostMachine.INTERNET_V6 + "]", "six");
            serve(machines, machines.host(), "[::1]", "host");
            machines.guest().nameServers(GATEWAY);
            awaitAddress(machines);
            assertThat(machines.guest()
                            .run("ip", "-4", "address", "show", "dev", "eth0")
                            .output())
                    .doesNotContain("inet ");
            Await.until(
                    "the page comes",
                    PATIENCE,
                    () -> curl(machines, "-s", "both.example.test").equals("six"));
            assertThat(curl(machines, "-s", "host.docker.internal")).isEqualTo("host");
            assertThat(dig(machines, "@" + GATEWAY, "+short", "-x", "fd65::254").strip())
                    .isEqualTo("host.docker.internal.");
            assertThat(machines.guest()
                            .run("ping", "-6", "-n", "-c", "1", "-W", "5", HostMachine.INTERNET_V6)
                            .output())
                    .contains(" 1 received");
        }
    }

    private static int publish(NamespaceGuest machines, String port) throws IOException {
        Object made = new ApiClient(machines.apiSocket())
                .ask("POST", "/v1/ports", Map.of("ports", List.of(port)))
                .get("ports");
        String local = String.valueOf(((Map<?, ?>) ((List<?>) made).getFirst()).get("local"));
        return Integer.parseInt(local.substring(local.lastIndexOf(':') + 1));
    }

    /** A client connects; returns who the guest says it is, after bytes went both ways. */
    private static InetSocketAddress seen(ServerSocketChannel server, Namespace from, String address, int port)
            throws IOException {
        try (SocketChannel client = from.connect(new InetSocketAddress(address, port), NamespaceGuest.CONNECT);
                SocketChannel inGuest = server.accept()) {
            Payload up = Payload.next();
            up.sendInBackground(client, 1 << 20);
            up.receive(inGuest, 1 << 20);
            Payload down = Payload.next();
            down.sendInBackground(inGuest, 1 << 20);
            down.receive(client, 1 << 20);
            InetSocketAddress seen = (InetSocketAddress) inGuest.getRemoteAddress();
            if (!seen.getAddress().equals(InetAddress.getByName(GATEWAY))) {
                assertThat(seen).isEqualTo(client.getLocalAddress());
            }
            return seen;
        }
    }

    @Test
    void portsOfAGuestWithIpv6AloneAreOnesOfTheHost() throws IOException {
        try (NamespaceGuest machines = NamespaceGuest.start(Backend.SLIPWAY)) {
            awaitAddress(machines);
            Await.until("a way out", PATIENCE, () -> routes(machines).contains("default via fe80::1"));
            assertThat(machines.guest()
                            .run("ping", "-6", "-n", "-c", "1", "-W", "5", GATEWAY)
                            .output())
                    .contains(" 1 received");
            String own = "[" + ownAddress(machines) + "]";
            try (ServerSocketChannel server = machines.guest().listen("::", 0)) {
                String guestPort = ":" + ((InetSocketAddress) server.getLocalAddress()).getPort();
                int port = publish(machines, "0" + guestPort);
                InetAddress gateway = InetAddress.getByName(GATEWAY);
                assertThat(seen(server, machines.host(), "127.0.0.1", port).getAddress())
                        .isEqualTo(gateway);
                assertThat(seen(server, machines.host(), "::1", port).getAddress())
                        .isEqualTo(gateway);
                int everywhere = publish(machines, "[::]:0" + guestPort + "@" + own);
                assertThat(seen(server, machines.internet(), HostMachine.HOST_SEEN_FROM_INTERNET_V6, everywhere)
                                .getAddress())
                        .as("the client of another host, over IPv6")
                        .isEqualTo(InetAddress.getByName(HostMachine.INTERNET_V6));
                assertThat(seen(server, machines.internet(), HostMachine.HOST_SEEN_FROM_INTERNET, everywhere)
                                .getAddress())
                        .as("the client of another host, over IPv4")
                        .isEqualTo(gateway);
            }
            datagramsGoBothWays(machines);
        }
    }

    /** The kernel takes an address and says nothing by it; after its cable was pulled it says nothing at all. */
    @Test
    void portsOfAGuestWithIpv6AloneThatHasSaidNothingAreOnesOfTheHost() throws IOException {
        try (NamespaceGuest machines = NamespaceGuest.start(Backend.SLIPWAY);
                ServerSocketChannel server = machines.guest().listen("::", 0)) {
            awaitAddress(machines);
            int port = publish(machines, "0:" + ((InetSocketAddress) server.getLocalAddress()).getPort());
            Await.until("the guest is reached", PATIENCE, () -> isReached(machines, server, port));
            machines.relay().disconnect();
            long gone = System.nanoTime();
            Await.until(
                    "the guest is given up",
                    PATIENCE,
                    () -> System.nanoTime() - gone > Duration.ofSeconds(5).toNanos());
            assertThat(isReached(machines, server, port)).isFalse();
            machines.reconnect();
            Await.until("the guest is reached again", PATIENCE, () -> isReached(machines, server, port));
        }
    }

    private static boolean isReached(NamespaceGuest machines, ServerSocketChannel server, int port) throws IOException {
        server.configureBlocking(false);
        try (SocketChannel client =
                machines.host().connect(new InetSocketAddress("127.0.0.1", port), NamespaceGuest.CONNECT)) {
            client.configureBlocking(false);
            ByteBuffer nothing = ByteBuffer.allocate(1);
            while (client.read(nothing) == 0) {
                try (SocketChannel inGuest = server.accept()) {
                    if (inGuest != null) {
                        return true;
                    }
                }
            }
            return false;
        } catch (IOException e) {
            // A reset: nobody was there.
            return false;
        }
    }

    private static void datagramsGoBothWays(NamespaceGuest machines) throws IOException {
        try (DatagramChannel inGuest = machines.guest().datagrams("::");
                DatagramChannel far = machines.internet().datagrams(HostMachine.INTERNET_V6);
                DatagramChannel near = machines.host().datagrams("::1")) {
            int port =
                    publish(machines, "[::]:0:" + ((InetSocketAddress) inGuest.getLocalAddress()).getPort() + "/udp");
            for (DatagramChannel client : List.of(far, near)) {
                String host = client == far ? HostMachine.HOST_SEEN_FROM_INTERNET_V6 : "::1";
                InetSocketAddress published = new InetSocketAddress(host, port);
                client.send(StandardCharsets.US_ASCII.encode("ping"), published);
                ByteBuffer received = ByteBuffer.allocate(100);
                InetSocketAddress sender = (InetSocketAddress) inGuest.receive(received);
                if (client == far) {
                    assertThat(sender).isEqualTo(client.getLocalAddress());
                } else {
                    assertThat(sender.getAddress()).isEqualTo(InetAddress.getByName(GATEWAY));
                }
                inGuest.send(received.flip(), sender);
                ByteBuffer answer = ByteBuffer.allocate(100);
                assertThat(client.receive(answer)).isEqualTo(published);
                assertThat(answer.flip()).isEqualTo(StandardCharsets.US_ASCII.encode("ping"));
            }
        }
    }

    /** The way out comes and goes with the host's, and so do addresses of names: nothing is tried that cannot be. */
    @Test
    void wayOutComesAndGoesWithTheHosts() throws IOException {
        try (NamespaceGuest machines = NamespaceGuest.start(Backend.SLIPWAY)) {
            machines.online();
            awaitAddress(machines);
            Await.until("a way out", PATIENCE, () -> routes(machines).contains("default via fe80::1"));
            assertThat(dig(machines, "@192.168.65.1", "+short", "six.example.test", "AAAA")
                            .strip())
                    .isEqualTo(HostMachine.INTERNET_V6);
            machines.host().ip("-6 route del default");
            Await.until("no way out", PATIENCE, () -> !routes(machines).contains("default via"));
            String none = dig(machines, "@192.168.65.1", "six.example.test", "AAAA");
            assertThat(none).contains("status: NOERROR").contains("ANSWER: 0");
            assertThat(machines.status().count("dnsAaaaWithheld")).isPositive();
            assertThat(dig(machines, "@192.168.65.1", "+short", "host.docker.internal", "AAAA")
                            .strip())
                    .as("the host is there all the time")
                    .isEqualTo("fd65::254");
            long start = System.nanoTime();
            assertThat(machines.guest()
                            .run("curl", "-6", "-s", "-S", "-m", "10", "http://[2001:db8::1]/")
                            .output())
                    .containsIgnoringCase("connect");
            assertThat(Duration.ofNanos(System.nanoTime() - start)).isLessThan(Duration.ofSeconds(5));
            machines.host().ip("-6 route add default via " + HostMachine.INTERNET_V6);
            Await.until("a way out again", PATIENCE, () -> routes(machines).contains("default via fe80::1"));
            assertThat(dig(machines, "@192.168.65.1", "+short", "six.example.test", "AAAA")
                            .strip())
                    .isEqualTo(HostMachine.INTERNET_V6);
        }
    }

    @Test
    void whereItIsOffNoAddressOfItIsToldButIfThatIsWanted() throws IOException {
        try (NamespaceGuest machines = NamespaceGuest.start(Backend.SLIPWAY, "--ipv6", "off")) {
            machines.online();
            assertThat(dig(machines, "@192.168.65.1", "six.example.test", "AAAA"))
                    .contains("status: NOERROR")
                    .contains("ANSWER: 0");
            assertThat(dig(machines, "@192.168.65.1", "+short", "host.docker.internal", "AAAA")
                            .strip())
                    .isEmpty();
            assertThat(routes(machines)).doesNotContain("default").doesNotContain("fd65::");
        }
        try (NamespaceGuest machines = NamespaceGuest.start(Backend.SLIPWAY, "--ipv6", "off", "--dns-aaaa", "pass")) {
            machines.online();
            assertThat(dig(machines, "@192.168.65.1", "+short", "six.example.test", "AAAA")
                            .strip())
                    .isEqualTo(HostMachine.INTERNET_V6);
        }
    }
}
