package dev.slipway.dhcp;

import static org.assertj.core.api.Assertions.assertThat;

import dev.slipway.seam.StackSettings;
import dev.slipway.wire.IpAddress;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

/** Which address a new client gets when every one was used before. */
final class AddressPoolTest {

    private static final int NETWORK = IpAddress.parseV4("10.0.0.0");
    private static final int FIRST = NETWORK + 2;
    private static final int COUNT = 12; // of a /28: less its first and last address, the gateway and the host
    private static final long NOW = 1_000;

    private final List<Integer> forgotten = new ArrayList<>();
    private final AddressPool pool = new AddressPool(small(), entry -> forgotten.add(entry.address));

    private static StackSettings small() {
        StackSettings d = StackSettings.defaults();
        return new StackSettings(
                NETWORK, 28, NETWORK + 1, NETWORK + 14, FIRST, d.gatewayMac(), 1500, "internal", List.of(), d.limits());
    }

    /** All addresses are another's for good, so that only what a test frees is there to be given. */
    private void use() {
        for (int i = 0; i < COUNT; i++) {
            assertThat(pool.anyFree(NOW).address).isEqualTo(FIRST + i);
            set(i, Lease.State.CLAIMED, 0);
        }
    }

    private LeaseEntry set(int index, Lease.State state, long expires) {
        LeaseEntry entry = pool.known(FIRST + index);
        entry.state = state;
        entry.expires = expires;
        return entry;
    }

    private int next() {
        LeaseEntry next = pool.anyFree(NOW);
        next.state = Lease.State.CLAIMED;
        return next.address - FIRST;
    }

    @Test
    void whatHurtsLeastGoesFirstAndWhatHasAnOwnerNever() {
        use();
        assertThat(pool.capacity()).isEqualTo(COUNT);
        assertThat(pool.anyFree(NOW)).isNull();
        set(0, Lease.State.QUARANTINED, NOW + 1);
        set(1, Lease.State.OFFERED, NOW + 1);
        set(2, Lease.State.FREE, NOW - 5).everBound = true;
        set(3, Lease.State.BOUND, NOW - 6).everBound = true;
        set(4, Lease.State.FREE, NOW - 4);
        set(5, Lease.State.OFFERED, NOW - 3);
        set(6, Lease.State.QUARANTINED, NOW);
        set(7, Lease.State.BOUND, NOW + 1).everBound = true;
        assertThat(List.of(next(), next(), next(), next(), next(), next(), next()))
                .containsExactly(4, 5, 6, 3, 2, 1, 0);
        assertThat(pool.anyFree(NOW)).isNull();
    }

    @Test
    void inAFloodOffersGoBeforeWhatSomebodyHad() {
        use();
        set(0, Lease.State.FREE, NOW - 9).everBound = true;
        for (int i = 1; i <= COUNT / 2 + 1; i++) {
            set(i, Lease.State.OFFERED, NOW + i);
        }
        assertThat(next()).as("the oldest offer of most").isEqualTo(1);
        assertThat(next()).as("offers are not the most any more").isZero();
    }

    @Test
    void addressBelowThePoolIsUsableAndNeverHandedOut() {
        StackSettings defaults = StackSettings.defaults();
        AddressPool large = new AddressPool(defaults, entry -> {});
        int below = defaults.firstGuest() - 1;
        assertThat(large.isUsable(below)).isTrue();
        assertThat(large.isPooled(below)).isFalse();
        large.entry(below);
        for (int i = 0; i < large.capacity(); i++) {
            LeaseEntry entry = large.anyFree(NOW);
            entry.state = Lease.State.RESERVED;
            assertThat(large.isPooled(entry.address)).isTrue();
        }
        assertThat(large.anyFree(NOW)).isNull();
    }
}
