package dev.slipway.guest;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.regex.Pattern;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.ExtendWith;

/**
 * Clients that people use make themselves an IPv6 address from what the router says, or lease one by DHCPv6; each is
 * skipped where it is not installed.
 */
@Tag("guest")
@Timeout(120)
@ExtendWith(NeedsNamespaces.class)
class GuestAddressIpv6Test {

    private static final Duration PATIENCE = Duration.ofSeconds(40);
    private static final String GATEWAY = "fd65::1";
    private static final String NETWORKD = "/usr/lib/systemd/systemd-networkd";
    private static final Pattern LEASED = Pattern.compile("inet6 fd65::d[0-9a-f]{2}:[0-9a-f:]+/");
    private static final Pattern OWN = Pattern.compile("inet6 fd65::(?!d[0-9a-f]{2}:)[0-9a-f:]+/64");

    /** Files of the machine's own clients are kept from those of the tests, and theirs from others. */
    private static final String PRIVATE_RUN = "mount -t tmpfs none /run && ";

    private NamespaceGuest machines;

    @BeforeEach
    void start() throws IOException {
        machines = NamespaceGuest.start(Backend.SLIPWAY, "--ipv6", "on");
    }

    @AfterEach
    void stop() {
        if (machines != null) {
            machines.close();
        }
    }

    private Subprocess client(String name, String script) throws IOException {
        Path log = machines.directory().resolve(name + ".log");
        return machines.guest().start(log, List.of("sh", "-c", script));
    }

    private Path file(String name, String text) throws IOException {
        Path file = Files.writeString(machines.directory().resolve(name), text);
        assertThat(file.toFile().setExecutable(true)).isTrue();
        return file;
    }

    /** A client that speaks from the address of the link finds it in use only when the kernel has tried it. */
    private void awaitLinkAddress() throws IOException {
        Await.until(
                "an address of the link",
                PATIENCE,
                () -> machines.guest()
                        .run("ip", "-6", "-o", "address", "show", "dev", "eth0", "scope", "link", "-tentative")
                        .output()
                        .contains("fe80::"));
    }

    /** What the kernel does by itself is none of the client's. */
    private void withoutTheKernel() throws IOException {
        machines.guest().sysctl("ipv6/conf/eth0/accept_ra", "0");
        machines.guest().ip("-6 address flush dev eth0 scope global");
    }

    private void awaitAddress(Subprocess client, Pattern pattern) throws IOException {
        try {
            Await.until(
                    "an address like " + pattern,
                    PATIENCE,
                    () -> pattern.matcher(addresses()).find());
        } catch (IOException e) {
            throw new IOException(e.getMessage() + "; there are " + addresses() + "; said: " + client.output(), e);
        }
    }

    private String addresses() throws IOException {
        return machines.guest()
                .run("ip", "-6", "-o", "address", "show", "dev", "eth0", "scope", "global", "-tentative")
                .output();
    }

    private void awaitPing() throws IOException {
        Await.until(
                "the gateway answers a ping",
                PATIENCE,
                () -> machines.guest()
                        .run("ping", "-6", "-n", "-c", "1", "-W", "2", GATEWAY)
                        .output()
                        .contains(" 1 received"));
    }

    @Test
    void kernelMakesItsAddress() throws IOException {
        Await.until("an address", PATIENCE, () -> OWN.matcher(addresses()).find());
        assertThat(machines.guest().run("ip", "-6", "route").output()).contains("default via fe80::1");
        awaitPing();
    }

    @Test
    void dhclientLeasesAnAddressAndReleasesIt() throws IOException {
        GuestTests.needs("dhclient");
        withoutTheKernel();
        awaitLinkAddress();
        Path said = machines.directory().resolve("dhclient.said");
        Path set = file("dhclient-script", """
            #!/bin/sh
            case $reason in
                BOUND6 | RENEW6 | REBIND6) ip address replace $new_ip6_address/64 dev $interface nodad ;;
                RELEASE6) ip address del $old_ip6_address/64 dev $interface ;;
            esac
            echo "$reason $new_dhcp6_name_servers $new_dhcp6_domain_search" >> %s
            """.formatted(said));
        String options = " -6 -d -sf " + set + " -pf " + machines.directory().resolve("dhclient.pid") + " -lf "
                + machines.directory().resolve("dhclient.leases") + " eth0";
        try (Subprocess client = client("dhclient", "exec dhclient" + options)) {
            awaitAddress(client, LEASED);
            assertThat(Files.readString(said)).contains("BOUND6 fd65::1 internal.");
            awaitPing();
        }
        try (Subprocess client = client("dhclient", "exec dhclient -r" + options)) {
            Await.until(
                    "the address is gone; the client said: " + client.output(),
                    PATIENCE,
                    () -> !LEASED.matcher(addresses()).find());
        }
    }

    @Test
    void dhclientWithoutStateIsToldTheNameServer() throws IOException {
        GuestTests.needs("dhclient");
        awaitLinkAddress();
        Path said = machines.directory().resolve("dhclient.said");
        Path set = file("dhclient-script", """
            #!/bin/sh
            echo "$reason $new_dhcp6_name_servers $new_dhcp6_domain_search" >> %s
            """.formatted(said));
        String options = " -6 -S -d -sf " + set + " -pf " + machines.directory().resolve("dhclient.pid") + " -lf "
                + machines.directory().resolve("dhclient.leases") + " eth0";
        try (Subprocess client = client("dhclient", "exec dhclient" + options)) {
            Await.until(
                    "the name server is told; the client said: " + client.output(),
                    PATIENCE,
                    () -> Files.exists(said) && Files.readString(said).contains(" fd65::1 internal."));
        }
    }

    @Test
    void networkdMakesAnAddressAndLeasesOne() throws IOException {
        GuestTests.needs(NETWORKD);
        withoutTheKernel();
        Path network = file("10-eth0.network", """
            [Match]
            Name=eth0
            [Network]
            DHCP=ipv6
            LinkLocalAddressing=ipv6
            IPv6AcceptRA=yes
            [IPv6AcceptRA]
            DHCPv6Client=always
            """);
        String command = PRIVATE_RUN
                + "mount -o remount,ro /sys; mkdir -p /run/systemd/network"
                + " /run/systemd/netif/links /run/systemd/netif/leases /run/systemd/netif/lldp && cp " + network
                + " /run/systemd/network/ && chmod 644 /run/systemd/network/* && chown -R systemd-network"
                + " /run/systemd/netif && exec env SYSTEMD_LOG_TARGET=console SYSTEMD_LOG_LEVEL=debug " + NETWORKD;
        try (Subprocess client = client("networkd", command)) {
            awaitAddress(client, OWN);
            awaitAddress(client, LEASED);
            awaitPing();
        }
    }

    @Test
    void dhcpcdMakesAnAddressAndLeasesOneWithRapidCommit() throws IOException {
        GuestTests.needs("dhcpcd");
        withoutTheKernel();
        Path settings = file("dhcpcd.conf", """
            duid
            slaac hwaddr
            option rapid_commit
            interface eth0
            ipv6rs
            ia_na 7
            """);
        String command = PRIVATE_RUN + "mount -t tmpfs none /var/lib/dhcpcd && exec dhcpcd -6 -B -d -f " + settings
                + " --script /bin/true eth0";
        try (Subprocess client = client("dhcpcd", command)) {
            awaitAddress(client, OWN);
            awaitAddress(client, LEASED);
            awaitPing();
        }
    }
}
