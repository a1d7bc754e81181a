package dev.slipway.guest;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.ExtendWith;

/** DHCP clients that people use lease, renew and release; each is skipped where it is not installed. */
@Tag("guest")
@Timeout(120)
@ExtendWith(NeedsNamespaces.class)
class GuestDhcpClientsTest {

    private static final Duration PATIENCE = Duration.ofSeconds(40);
    private static final String LEASES = "dhcpLeases";
    private static final String RELEASES = "addressesReleased";

    /** Files of the machine's own clients are kept from those of the tests, and theirs from others. */
    private static final String PRIVATE_RUN = "mount -t tmpfs none /run && ";

    private static NamespaceGuest machines;
    private long leases;
    private long releases;

    @BeforeAll
    static void start() throws IOException {
        machines = NamespaceGuest.start(Backend.SLIPWAY, "--ntp-server", "198.18.0.1");
    }

    @AfterAll
    static void stop() {
        if (machines != null) {
            machines.close();
        }
    }

    @BeforeEach
    void begin() throws IOException {
        machines.guest().ip("address flush dev eth0");
        leases = machines.status().count(LEASES);
        releases = machines.status().count(RELEASES);
    }

    private Subprocess client(String name, String script) throws IOException {
        Path log = machines.directory().resolve(name + ".log");
        return machines.guest().start(log, List.of("sh", "-c", script));
    }

    private static Path script(String name, String text) throws IOException {
        Path script = Files.writeString(machines.directory().resolve(name), text);
        assertThat(script.toFile().setExecutable(true)).isTrue();
        return script;
    }

    private void awaitLeases(Subprocess client, int count) throws IOException {
        awaitCount(client, LEASES, leases + count);
    }

    private void awaitCount(Subprocess client, String counter, long least) throws IOException {
        try {
            Await.until(
                    counter + " is " + least, PATIENCE, () -> machines.status().count(counter) >= least);
        } catch (IOException e) {
            throw new IOException(e.getMessage() + "; the client said:\n" + client.output(), e);
        }
    }

    private void awaitAddress(Subprocess client) throws IOException {
        Await.until(
                "the address is on the interface; the client said: " + client.output(),
                PATIENCE,
                () -> address().isPresent());
        assertThat(address()).hasValue("192.168.65.3/24");
        // A client sends its last word by unicast, and does not wait for an answer to its question for the gateway.
        Await.until(
                "the gateway answers a ping",
                PATIENCE,
                () -> machines.guest()
                        .run("ping", "-n", "-c", "1", "-W", "2", "192.168.65.1")
                        .output()
                        .contains(" 1 received"));
    }

    private static Optional<String> address() throws IOException {
        return machines.guest()
                .run("ip", "-4", "-o", "address", "show", "dev", "eth0")
                .output()
                .lines()
                .map(line -> line.replaceAll(".*inet (\\S+).*", "$1"))
                .findFirst();
    }

    @Test
    void busyboxUdhcpcLeasesRenewsAndReleases() throws IOException {
        Path script = Lease.writeScript(machines.directory());
        try (Subprocess client = client("udhcpc", "exec busybox udhcpc -i eth0 -f -R -x hostname:box -s " + script)) {
            awaitLeases(client, 1);
            awaitAddress(client);
            assertThat(machines.guest()
                            .run("dig", "+short", "@192.168.65.1", "box.vm.internal")
                            .output()
                            .strip())
                    .isEqualTo("192.168.65.3");
            client.signal("USR1");
            awaitLeases(client, 2);
            client.signal("USR2");
            awaitCount(client, RELEASES, releases + 1);
        }
    }

    @Test
    void dhclientLeasesAsksAgainAndReleases() throws IOException {
        GuestTests.needs("dhclient");
        Path set = script("dhclient-script", """
            #!/bin/sh
            case $reason in
                BOUND | RENEW | REBIND | REBOOT) ip address replace $new_ip_address/24 dev $interface ;;
            esac
            echo "$reason $new_ntp_servers" >> %s
            """.formatted(machines.directory().resolve("dhclient.reasons")));
        String options = " -4 -d -sf " + set + " -pf " + machines.directory().resolve("dhclient.pid") + " -lf "
                + machines.directory().resolve("dhclient.leases") + " eth0";
        try (Subprocess client = client("dhclient", "exec dhclient" + options)) {
            awaitLeases(client, 1);
            awaitAddress(client);
        }
        try (Subprocess client = client("dhclient", "exec dhclient" + options)) {
            awaitLeases(client, 2);
            Await.until(
                    "the client is told",
                    PATIENCE,
                    () -> Files.readAllLines(machines.directory().resolve("dhclient.reasons"))
                            .contains("REBOOT 198.18.0.1"));
        }
        try (Subprocess client = client("dhclient", "exec dhclient -r" + options)) {
            awaitCount(client, RELEASES, releases + 1);
        }
    }

    @Test
    void dhcpcdLeasesWithRapidCommitRebindsAndReleases() throws IOException {
        GuestTests.needs("dhcpcd");
        String command =
                PRIVATE_RUN + "mount -t tmpfs none /var/lib/dhcpcd && exec dhcpcd -4 -B --script /bin/true eth0";
        try (Subprocess client = client("dhcpcd", command)) {
            awaitLeases(client, 1);
            awaitAddress(client);
            client.signal("HUP");
            awaitLeases(client, 2);
            awaitAddress(client);
            client.signal("ALRM");
            awaitCount(client, RELEASES, releases + 1);
        }
    }

    @Test
    void networkdLeasesAsksAgainAfterALinkWasDownAndReleases() throws IOException {
        String program = "/usr/lib/systemd/systemd-networkd";
        GuestTests.needs(program);
        Path network = script("10-eth0.network", """
            [Match]
            Name=eth0
            [Network]
            DHCP=ipv4
            LinkLocalAddressing=no
            IPv6AcceptRA=no
            [DHCPv4]
            Hostname=networkd
            """);
        String command = PRIVATE_RUN
                + "mount -o remount,ro /sys; mkdir -p /run/systemd/network"
                + " /run/systemd/netif/links /run/systemd/netif/leases /run/systemd/netif/lldp && cp " + network
                + " /run/systemd/network/ && chmod 644 /run/systemd/network/* && chown -R systemd-network"
                + " /run/systemd/netif && exec env SYSTEMD_LOG_TARGET=console SYSTEMD_LOG_LEVEL=debug " + program;
        try (Subprocess client = client("networkd", command)) {
            awaitLeases(client, 1);
            awaitAddress(client);
            machines.guest().ip("link set eth0 down");
            machines.guest().ip("link set eth0 up");
            awaitLeases(client, 2);
            awaitAddress(client);
            client.signal("TERM");
            awaitCount(client, RELEASES, releases + 1);
        }
    }
}
