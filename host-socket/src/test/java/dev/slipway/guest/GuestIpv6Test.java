package dev.slipway.guest;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
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
