package dev.slipway.dhcp;

import static org.assertj.core.api.Assertions.assertThat;

import dev.slipway.seam.StackSettings;
import dev.slipway.wire.IpAddress;
import org.junit.jupiter.api.Test;

/** Whose an IPv6 address is, and by which of several a guest is known. */
class Ipv6AddressesTest {

    private static final long PREFIX = 0xFD65L << 48;
    private static final long VM = 0x5254_0012_3456L;
    private static final long OTHER = 0x5254_0065_4321L;
    private static final long OF_MAC = 0x5054_00FF_FE12_3456L;
    private static final long LEASED = 0x0D12_3456_789A_BCDEL;

    private final LeaseTable leases = new LeaseTable(StackSettings.defaults());
    private final Ipv6Addresses addresses = leases.ipv6();
    private final int one = leases.join();
    private final int two = leases.join();

    private void isKnownBy(long low) {
        assertThat(addresses.of(one, VM)).contains(new IpAddress(PREFIX, low));
    }

    @Test
    void guestIsKnownByTheBestOfItsAddresses() {
        assertThat(addresses.of(one, VM)).isEmpty();
        addresses.claim(one, PREFIX, 0x77, VM);
        isKnownBy(0x77);
        addresses.claim(one, PREFIX, 0x1234_5678_9ABC_DEF0L, VM);
        isKnownBy(0x77);
        addresses.claim(one, PREFIX, OF_MAC, VM);
        isKnownBy(OF_MAC);
        addresses.claim(one, PREFIX, LEASED, VM);
        isKnownBy(LEASED);
        addresses.claim(one, PREFIX, OF_MAC, VM);
        isKnownBy(LEASED);
        assertThat(addresses.of(two, VM)).as("another guest's card").isEmpty();
    }

    @Test
    void addressIsTheFirstGuestsUntilThatIsGone() {
        assertThat(addresses.claim(one, PREFIX, 0x77, VM)).isTrue();
        assertThat(addresses.claim(two, PREFIX, 0x77, OTHER)).isFalse();
        assertThat(addresses.of(two, OTHER)).isEmpty();
        leases.leave(one, 0);
        assertThat(addresses.of(one, VM)).isEmpty();
        assertThat(addresses.claim(two, PREFIX, 0x77, OTHER)).isTrue();
        assertThat(addresses.of(two, OTHER)).contains(new IpAddress(PREFIX, 0x77));
    }

    @Test
    void guestThatMovedToAnotherChannelHasItsAddressThere() {
        addresses.claim(one, PREFIX, 0x77, VM);
        assertThat(addresses.claim(two, PREFIX, 0x77, VM)).isTrue();
        assertThat(addresses.of(one, VM)).isEmpty();
        assertThat(addresses.of(two, VM)).contains(new IpAddress(PREFIX, 0x77));
        leases.leave(one, 0);
        assertThat(addresses.of(two, VM)).as("the channel it left").isPresent();
    }
}
