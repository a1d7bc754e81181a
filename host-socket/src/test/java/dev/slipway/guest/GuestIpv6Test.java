package dev.slipway.guest;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.ExtendWith;

/** A guest's kernel with IPv6: makes its own address, and reaches gateway, host and name server by it. */
@Tag("guest")
@Timeout(120)
@ExtendWith(NeedsNamespaces.class)
class GuestIpv6Test {

    @Test
    void kernelMakesItsAddressAndReachesTheHostByIt() throws IOException {
        try (NamespaceGuest machines = NamespaceGuest.start(Backend.chosen(), "--ipv6", "on")) {
            Await.until(
                    "an address in fd65::/64",
                    Duration.ofSeconds(30),
                    () -> machines.guest()
                            .run("ip", "-6", "addr", "show", "dev", "eth0", "scope", "global", "-tentative")
                            .output()
                            .contains("fd65::"));
            assertThat(machines.guest().run("ip", "-6", "route").output()).contains("default via fe80::1");
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
}
