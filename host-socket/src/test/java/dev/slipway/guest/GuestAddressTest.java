package dev.slipway.guest;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.ExtendWith;

/** A guest's kernel gets its address from DHCP, and its nearest neighbours answer. */
@Tag("guest")
@Timeout(30)
@ExtendWith(NamespaceGuestExtension.class)
class GuestAddressTest {

    private static final Backend BACKEND = Backend.chosen();

    @Test
    void leaseNamesAddressMtuRouterAndNameServer(NamespaceGuest machines) throws IOException {
        Lease lease = machines.online();
        assertThat(lease.address()).startsWith(BACKEND.subnet()).isNotEqualTo(BACKEND.gateway());
        assertThat(lease.values())
                .containsEntry("mask", "24")
                .containsEntry("mtu", "1500")
                .containsEntry("router", BACKEND.gateway())
                .containsEntry("dns", BACKEND.gateway())
                .containsKeys("lease", "serverid");
    }

    @Test
    void leaseIsTheSameWhenAskedForAgain(NamespaceGuest machines) throws IOException {
        Lease first = machines.online();
        assertThat(machines.lease().address()).isEqualTo(first.address());
    }

    @Test
    void gatewayAnswersPing(NamespaceGuest machines) throws IOException {
        assertAnswers(machines, BACKEND.gateway(), 56);
    }

    @Test
    void hostAddressAnswersPing(NamespaceGuest machines) throws IOException {
        assertAnswers(machines, BACKEND.host(), 56);
    }

    @Test
    void pingOf60000BytesComesBackWhole(NamespaceGuest machines) throws IOException {
        assertAnswers(machines, BACKEND.gateway(), 60_000);
    }

    @Test
    void addressNobodyHasDoesNotAnswerPing(NamespaceGuest machines) throws IOException {
        String nobody = BACKEND.subnet() + "77";
        assertThat(machines.guest().run("ping", "-c", "1", "-W", "1", nobody).output())
                .contains(" 0 received");
    }

    private static void assertAnswers(NamespaceGuest machines, String address, int bytes) throws IOException {
        String size = Integer.toString(bytes);
        String output = machines.guest()
                .run("ping", "-n", "-c", "3", "-i", "0.1", "-W", "2", "-s", size, address)
                .output();
        assertThat(output).contains(" 3 received").doesNotContain("wrong data byte", "DUP!", "truncated");
    }
}
