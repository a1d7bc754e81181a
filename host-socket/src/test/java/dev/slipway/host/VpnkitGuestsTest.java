package dev.slipway.host;

import static org.assertj.core.api.Assertions.assertThat;

import dev.slipway.dhcp.DhcpSettings;
import dev.slipway.dhcp.LeaseTable;
import dev.slipway.seam.StackSettings;
import dev.slipway.wire.IpAddress;
import java.util.Optional;
import java.util.UUID;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class VpnkitGuestsTest {

    private static final Optional<UUID> ONE = Optional.of(UUID.fromString("8d3a1c52-9f0e-4b7d-a6c1-2e5f90b7d413"));
    private static final Optional<UUID> OTHER = Optional.of(UUID.fromString("00000000-0000-4000-8000-000000000001"));

    private final LeaseTable leases = new LeaseTable(StackSettings.defaults(), DhcpSettings.NONE);
    private final VpnkitGuests guests = new VpnkitGuests(StackSettings.defaults(), leases);

    @Test
    void sameUuidIsTheSameMacAndOthersAreCountedUp() {
        assertThat(guests.of(ONE, 0).mac()).isEqualTo(0x0250_0000_0001L);
        assertThat(guests.of(OTHER, 0).mac()).isEqualTo(0x0250_0000_0002L);
        assertThat(guests.of(ONE, 0).mac()).isEqualTo(0x0250_0000_0001L);
        assertThat(guests.of(Optional.empty(), 0).mac()).isEqualTo(0x0250_0000_0003L);
        assertThat(guests.of(Optional.empty(), 0).mac()).isEqualTo(0x0250_0000_0004L);
    }

    @Test
    void gvproxysOwnVmHasItsUsualAddress() {
        assertThat(guests.of(Optional.of(UUID.fromString("c3d68012-0208-11ea-9fd7-f2189899ab08")), 0)
                        .mac())
                .isEqualTo(0x5A94_EFE4_0CEEL);
        assertThat(guests.of(ONE, 0).mac()).isEqualTo(0x0250_0000_0001L);
    }

    @Test
    void preferredAddressIsTheOneThatDhcpGives() {
        int wanted = address("192.168.65.77");
        long mac = guests.of(ONE, wanted).mac();
        assertThat(leases.offer(mac, 0, 0)).isEqualTo(wanted);
        assertThat(guests.of(ONE, wanted).refusal()).as("asked for again").isNull();
        assertThat(guests.of(ONE, 0).mac()).isEqualTo(mac);
    }

    @Test
    void addressOfAnotherIsRefused() {
        int wanted = address("192.168.65.77");
        guests.of(ONE, wanted);
        assertThat(guests.of(OTHER, wanted).refusal()).isEqualTo("Preferred IP address 192.168.65.77 already used.");
        int leased = leases.offer(0x5254_0012_3456L, 0, 0);
        assertThat(leases.commit(0x5254_0012_3456L, leased, 0)).isTrue();
        assertThat(guests.of(OTHER, leased).refusal())
                .isEqualTo("Preferred IP address " + IpAddress.toString(leased) + " already used.");
        assertThat(guests.of(OTHER, 0).mac())
                .as("no number is used up by a refusal")
                .isEqualTo(0x0250_0000_0002L);
    }

    @Test
    void uuidCannotChangeItsAddress() {
        guests.of(ONE, address("192.168.65.77"));
        assertThat(guests.of(ONE, address("192.168.65.78")).refusal())
                .isEqualTo("UUID already assigned to a different IP than the IP requested by the client");
    }

    @ParameterizedTest
    @ValueSource(strings = {"192.168.65.0", "192.168.65.1", "192.168.65.254", "192.168.65.255", "10.0.0.1"})
    void addressThatNoGuestCanHaveIsRefused(String wanted) {
        assertThat(guests.of(ONE, address(wanted)).refusal()).isEqualTo("Preferred IP address out of range.");
    }

    @Test
    void rememberedUuidsAreBounded() {
        for (int i = 0; i < VpnkitGuests.LIMIT - 1; i++) {
            assertThat(guests.of(Optional.of(new UUID(1, i)), 0).refusal()).isNull();
        }
        assertThat(guests.of(ONE, 0).refusal()).isEqualTo("No IP addresses available.");
        assertThat(guests.of(Optional.of(new UUID(1, 0)), 0).mac()).isEqualTo(0x0250_0000_0001L);
    }

    private static int address(String text) {
        return IpAddress.parseV4(text);
    }
}
