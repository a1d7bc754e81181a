package dev.slipway.dhcp;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.slipway.seam.StackSettings;
import dev.slipway.wire.IpAddress;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;

final class LeaseTableTest {

    private static final long VM = 0x5254_0000_0001L;
    private static final long OTHER = 0x5254_0000_0002L;
    private static final int FIRST = IpAddress.parseV4("192.168.65.3");
    private static final int POOL = 251; // .3 to .253: .254 is the host, .255 the broadcast address

    private final LeaseTable leases = new LeaseTable(StackSettings.defaults());
    private long now = -5_000_000_000L; // a clock may be negative, and its zero means nothing

    private int lease(long mac) {
        int address = leases.offer(mac, 0, now);
        assertThat(leases.commit(mac, address, now)).isTrue();
        return address;
    }

    private void pass(long seconds) {
        now += TimeUnit.SECONDS.toNanos(seconds);
    }

    @Test
    void firstClientGetsTheFirstAddressAndKeepsIt() {
        assertThat(lease(VM)).isEqualTo(FIRST);
        assertThat(lease(OTHER)).isEqualTo(FIRST + 1);
        assertThat(lease(VM)).isEqualTo(FIRST);
        assertThat(leases.leaseOf(VM)).isEqualTo(FIRST);
        assertThat(leases.ownerOf(FIRST)).isEqualTo(VM);
        assertThat(leases.leaseOf(0x99)).isZero();
        assertThat(leases.ownerOf(FIRST + 7)).isZero();
    }

    @Test
    void offerAloneGivesNobodyAnAddress() {
        int address = leases.offer(VM, 0, now);
        assertThat(leases.ownerOf(address)).isZero();
        assertThat(leases.leaseOf(VM)).isZero();
        assertThat(leases.claim(address, OTHER, now)).as("while it is offered").isFalse();
        pass(LeaseTable.OFFER_SECONDS);
        assertThat(leases.claim(address, OTHER, now))
                .as("when the offer is over")
                .isTrue();
    }

    @Test
    void wholePoolIsGivenOutOnceAndNothingElse() {
        List<Integer> given = new ArrayList<>();
        for (int i = 0; i < POOL; i++) {
            given.add(lease(VM + i));
        }
        assertThat(given).doesNotHaveDuplicates().first().isEqualTo(FIRST);
        assertThat(given).last().isEqualTo(IpAddress.parseV4("192.168.65.253"));
        assertThat(leases.offer(0x77, 0, now)).isZero();
        assertThat(leases.counts().exhausted()).isEqualTo(1);
        leases.release(VM + 5, now);
        assertThat(leases.offer(0x77, 0, now)).isEqualTo(given.get(5));
    }

    @Test
    void guestsHaveEqualSharesWhateverMacAddressesTheyMakeUp() {
        int greedy = leases.join();
        int modest = leases.join();
        int kept = leases.offer(greedy, VM, 0, now);
        assertThat(leases.commit(greedy, VM, kept, now)).isTrue();
        assertThat(leases.claim(greedy, kept, VM, now)).as("uses it").isTrue();
        for (int i = 1; i <= 10_000; i++) {
            pass(1);
            int address = leases.offer(greedy, OTHER + i, 0, now);
            assertThat(address).isNotZero();
            assertThat(leases.commit(greedy, OTHER + i, address, now)).isTrue();
        }
        assertThat(leases.leaseOf(VM)).as("what is used is not lost").isEqualTo(kept);
        assertThat(leases.leases()).hasSize(POOL / 2);
        assertThat(leases.counts().evicted()).isEqualTo(10_000 - (POOL / 2 - 1));
        for (int i = 0; i < POOL / 2; i++) {
            int address = leases.offer(modest, 0x77_0000L + i, 0, now);
            assertThat(leases.commit(modest, 0x77_0000L + i, address, now))
                    .as("address " + i + " of the other")
                    .isTrue();
        }
    }

    @Test
    void commitsThatWereNotOfferedCountForTheShareAsWell() {
        int greedy = leases.join();
        leases.join();
        for (int i = 0; i < POOL; i++) {
            pass(1);
            leases.commit(greedy, VM + i, FIRST + i, now);
        }
        assertThat(leases.leases()).hasSize(POOL / 2);
    }

    @Test
    void addressesTakenWithoutAskingAreBoundedAndFreeAgainWhenTheGuestLeaves() {
        int greedy = leases.join();
        int modest = leases.join();
        int claims = 0;
        for (int i = 0; i < POOL; i++) {
            claims += leases.claim(greedy, FIRST + i, VM + i, now) ? 1 : 0;
        }
        assertThat(claims).isEqualTo(POOL / 2);
        assertThat(leases.counts().claimsRefused()).isEqualTo(POOL - claims);
        assertThat(leases.offer(modest, OTHER, 0, now)).isNotZero();
        assertThat(leases.claim(modest, FIRST, OTHER, now)).isFalse();
        leases.leave(greedy, now);
        assertThat(leases.claim(modest, FIRST, OTHER, now)).isTrue();
        assertThat(leases.counts().released()).isEqualTo(claims);
        assertThat(leases.claim(greedy, FIRST + 1, VM + 1, now)).as("is back").isTrue();
    }

    @Test
    void shareOfAGuestThatIsGoneForGoodIsTheOthers() {
        int first = leases.join();
        int second = leases.join();
        leases.forget(second, now);
        for (int i = 0; i < POOL; i++) {
            int address = leases.offer(first, VM + i, 0, now);
            assertThat(leases.commit(first, VM + i, address, now)).isTrue();
        }
        assertThat(leases.leases()).hasSize(POOL);
    }

    @Test
    void leaveKeepsWhatWasLeased() {
        int guest = leases.join();
        int address = leases.offer(guest, VM, 0, now);
        leases.commit(guest, VM, address, now);
        leases.leave(guest, now);
        assertThat(leases.leaseOf(VM)).isEqualTo(address);
    }

    @Test
    void leasesAreRememberedOverARestart() {
        long before = leases.version();
        int bound = lease(VM);
        leases.name(VM, "builder");
        int given = lease(OTHER);
        leases.release(OTHER, now);
        leases.offer(0x99, 0, now);
        assertThat(leases.version()).isNotEqualTo(before);
        List<LeaseTable.Remembered> remembered = leases.remembered();
        assertThat(remembered)
                .extracting(LeaseTable.Remembered::address)
                .as("what was only offered is not")
                .containsExactly(bound, given);
        LeaseTable next = new LeaseTable(StackSettings.defaults());
        remembered.forEach(each -> assertThat(next.restore(each, now)).isTrue());
        assertThat(next.leaseOf(VM)).isEqualTo(bound);
        assertThat(next.addressOf("builder")).isEqualTo(bound);
        assertThat(next.ownerOf(given)).as("was given back").isZero();
        assertThat(next.offer(OTHER, 0, now)).as("but is kept for its owner").isEqualTo(given);
        assertThat(next.offer(0x88, 0, now)).isEqualTo(FIRST + 2);
    }

    @Test
    void whatCannotBeALeaseHereIsNotRestored() {
        int address = lease(VM);
        for (LeaseTable.Remembered bad : List.of(
                new LeaseTable.Remembered(address, OTHER, now + 1, ""),
                new LeaseTable.Remembered(address + 5, VM, now + 1, ""),
                new LeaseTable.Remembered(IpAddress.parseV4("10.0.0.1"), OTHER, now + 1, ""),
                new LeaseTable.Remembered(IpAddress.parseV4("192.168.65.1"), OTHER, now + 1, ""),
                new LeaseTable.Remembered(address + 5, 0, now + 1, ""),
                new LeaseTable.Remembered(address + 5, 0x0100_5E00_0001L, now + 1, ""))) {
            assertThat(leases.restore(bad, now)).as(bad.toString()).isFalse();
        }
        assertThat(leases.restore(new LeaseTable.Remembered(address + 5, OTHER, now + 1, "no name!"), now))
                .isTrue();
        assertThat(leases.nameOf(address + 5)).isEmpty();
    }

    @Test
    void settingsReserveAddresses() {
        DhcpSettings settings = new DhcpSettings(List.of(), List.of(), Map.of(FIRST + 9, VM));
        LeaseTable table = new LeaseTable(StackSettings.defaults(), settings);
        assertThat(table.offer(table.join(), VM, 0, now)).isEqualTo(FIRST + 9);
        assertThat(table.claim(table.join(), FIRST + 9, OTHER, now)).isFalse();
        assertThat(table.remembered()).isEmpty();
    }

    @Test
    void requestedAddressIsGivenIfItIsFreeAndForGuests() {
        int wanted = IpAddress.parseV4("192.168.65.77");
        assertThat(leases.offer(VM, wanted, now)).isEqualTo(wanted);
        assertThat(leases.commit(VM, wanted, now)).isTrue();
        assertThat(leases.offer(OTHER, wanted, now)).isEqualTo(FIRST);
        for (String no : List.of(
                "192.168.65.0",
                "192.168.65.1",
                "192.168.65.2",
                "192.168.65.254",
                "192.168.65.255",
                "10.0.0.1",
                "0.0.0.0",
                "255.255.255.255")) {
            assertThat(leases.offer(0x44, IpAddress.parseV4(no), now)).as(no).isEqualTo(FIRST + 1);
            assertThat(leases.commit(0x44, IpAddress.parseV4(no), now)).as(no).isFalse();
        }
    }

    @Test
    void releasedAddressIsRememberedForItsOwner() {
        int address = lease(VM);
        leases.release(VM, now);
        assertThat(leases.ownerOf(address)).isZero();
        assertThat(lease(OTHER)).isNotEqualTo(address);
        assertThat(lease(VM)).isEqualTo(address);
    }

    @Test
    void leaseRunsOutOnlyWhenSomebodyElseNeedsTheAddress() {
        int address = lease(VM);
        pass(LeaseTable.LEASE_SECONDS + 1);
        assertThat(leases.ownerOf(address)).isEqualTo(VM);
        assertThat(leases.commit(OTHER, address, now)).isTrue();
        assertThat(leases.ownerOf(address)).isEqualTo(OTHER);
        assertThat(leases.leaseOf(VM)).isZero();
        assertThat(leases.offer(VM, address, now)).isNotZero().isNotEqualTo(address);
    }

    @Test
    void clientThatMovesLeavesItsOldAddress() {
        int before = lease(VM);
        assertThat(leases.commit(VM, before + 9, now)).isTrue();
        assertThat(leases.ownerOf(before)).isZero();
        assertThat(leases.leaseOf(VM)).isEqualTo(before + 9);
        assertThat(leases.commit(OTHER, before, now)).isTrue();
    }

    @Test
    void nobodyCommitsWhatIsAnothers() {
        int address = lease(VM);
        assertThat(leases.commit(OTHER, address, now)).isFalse();
        leases.offer(OTHER, 0, now);
        assertThat(leases.commit(VM, address + 1, now)).as("offered to another").isFalse();
        assertThat(leases.counts().refused()).isEqualTo(2);
        assertThat(leases.ownerOf(address)).isEqualTo(VM);
    }

    @Test
    void declinedAddressRestsAndOnlyItsClientCanDecline() {
        int address = lease(VM);
        leases.decline(OTHER, address, now);
        assertThat(leases.ownerOf(address)).isEqualTo(VM);
        leases.decline(VM, address, now);
        assertThat(leases.ownerOf(address)).isZero();
        assertThat(lease(VM)).isEqualTo(address + 1);
        assertThat(leases.commit(OTHER, address, now)).isFalse();
        assertThat(leases.claim(address, 0x66, now))
                .as("whoever uses it says so")
                .isTrue();
        assertThat(leases.counts().declined()).isEqualTo(1);
    }

    @Test
    void declineFloodLeavesAddresses() {
        for (int i = 0; i < 1_000; i++) {
            int address = leases.offer(0x1000 + i, 0, now);
            assertThat(address).isNotZero();
            leases.commit(0x1000 + i, address, now);
            leases.decline(0x1000 + i, address, now);
        }
        assertThat(lease(VM)).isNotZero();
    }

    @Test
    void staticGuestKeepsWhatItUses() {
        int address = IpAddress.parseV4("192.168.65.50");
        assertThat(leases.claim(address, VM, now)).isTrue();
        assertThat(leases.claim(address, VM, now)).isTrue();
        assertThat(leases.claim(address, OTHER, now)).isFalse();
        assertThat(leases.commit(OTHER, address, now)).isFalse();
        assertThat(leases.ownerOf(address)).isEqualTo(VM);
        assertThat(leases.leaseOf(VM)).isZero();
        assertThat(leases.claim(IpAddress.parseV4("192.168.65.2"), VM, now))
                .as("below the pool")
                .isTrue();
        assertThat(leases.offer(VM, 0, now)).as("DHCP confirms what is in use").isEqualTo(address);
        assertThat(leases.commit(VM, address, now)).isTrue();
        leases.release(VM, now);
        assertThat(leases.ownerOf(address)).isZero();
        assertThat(leases.ownerOf(IpAddress.parseV4("192.168.65.2"))).isZero();
        assertThat(leases.counts().claimed()).isEqualTo(2);
        assertThat(leases.leases()).isEmpty();
    }

    @Test
    void nobodyClaimsWhatIsNotForGuestsOrTooMany() {
        for (String no : List.of("192.168.65.0", "192.168.65.1", "192.168.65.254", "192.168.65.255", "10.0.0.1")) {
            assertThat(leases.claim(IpAddress.parseV4(no), VM, now)).as(no).isFalse();
        }
        for (int i = 0; i < LeaseTable.MAX_CLAIMS; i++) {
            assertThat(leases.claim(FIRST + i, VM, now)).isTrue();
        }
        assertThat(leases.claim(FIRST + LeaseTable.MAX_CLAIMS, VM, now)).isFalse();
        assertThat(leases.counts().claimsRefused()).isEqualTo(6);
        leases.release(VM, now);
        assertThat(leases.claim(FIRST + LeaseTable.MAX_CLAIMS, VM, now)).isTrue();
    }

    @Test
    void reservedAddressGoesToItsOwnerAlone() {
        int address = IpAddress.parseV4("192.168.65.3");
        leases.reserve(address, VM);
        assertThat(leases.leaseOf(VM)).isEqualTo(address);
        assertThat(lease(OTHER)).isEqualTo(address + 1);
        assertThat(leases.claim(address, OTHER, now)).isFalse();
        leases.release(VM, now);
        leases.decline(VM, address, now);
        assertThat(leases.commit(VM, address + 5, now)).isFalse();
        assertThat(lease(VM)).isEqualTo(address);
        assertThatThrownBy(() -> leases.reserve(address, OTHER)).hasMessageContaining("192.168.65.3");
        assertThatThrownBy(() -> leases.reserve(address + 9, VM)).hasMessageContaining("already");
        assertThatThrownBy(() -> leases.reserve(IpAddress.parseV4("192.168.65.1"), OTHER))
                .hasMessageContaining("not an address for guests");
    }

    @Test
    void tenThousandInventedClientsCostNobodyAnAddress() {
        long seed = 58;
        Random random = new Random(seed);
        int registered = lease(VM);
        leases.release(VM, now); // it is off just now
        int active = lease(OTHER);
        for (int i = 0; i < 10_000; i++) {
            assertThat(leases.offer(random.nextLong() & 0xFEFF_FFFF_FFFFL, 0, now))
                    .as("seed %d, %d", seed, i)
                    .isNotZero();
            now += 1_000_000;
        }
        assertThat(leases.leases()).hasSizeLessThanOrEqualTo(POOL);
        assertThat(leases.ownerOf(active)).isEqualTo(OTHER);
        assertThat(lease(VM)).isEqualTo(registered);
        assertThat(lease(0x77)).as("a newcomer").isNotZero();
    }

    @Test
    void largeSubnetIsBounded() {
        StackSettings d = StackSettings.defaults();
        int network = IpAddress.parseV4("10.0.0.0");
        LeaseTable large = new LeaseTable(new StackSettings(
                network,
                8,
                network + 1,
                network + 2,
                network + 3,
                d.gatewayMac(),
                1500,
                "internal",
                List.of(),
                d.limits()));
        for (int i = 0; i < LeaseTable.MAX_LEASES; i++) {
            int address = large.offer(0x1000 + i, network + 0x10_0000 + i * 7, now);
            assertThat(large.commit(0x1000 + i, address, now)).isTrue();
        }
        assertThat(large.offer(VM, 0, now)).isZero();
        assertThat(large.claim(network + 99, VM, now)).isFalse();
        large.release(0x1000, now);
        assertThat(large.offer(VM, network + 99, now)).isNotZero();
        assertThat(large.leases()).hasSize(LeaseTable.MAX_LEASES);
    }

    @Test
    void noAddressEverHasTwoOwners() {
        long seed = 20_261_124;
        Random random = new Random(seed);
        for (int step = 0; step < 20_000; step++) {
            long mac = 0x5254_0000_0000L + random.nextInt(300);
            int address = FIRST - 3 + random.nextInt(257);
            String where = "seed " + seed + ", step " + step;
            long before = leases.ownerOf(address);
            List<Lease> wasBound = leases.leases();
            boolean got = false;
            switch (random.nextInt(7)) {
                case 0 -> leases.offer(mac, random.nextBoolean() ? address : 0, now);
                case 1 -> got = leases.commit(mac, address, now);
                case 2 -> got = leases.claim(address, mac, now);
                case 3 -> leases.release(mac, now);
                case 4 -> leases.decline(mac, leases.leaseOf(mac), now);
                case 5 -> leaseIfAny(mac);
                default -> pass(random.nextInt(LeaseTable.LEASE_SECONDS / 500));
            }
            if (got) {
                assertThat(leases.ownerOf(address)).as(where).isEqualTo(mac);
                boolean ranOut = expired(address, wasBound);
                assertThat(before == 0 || before == mac || ranOut).as(where).isTrue();
            }
            int leased = leases.leaseOf(mac);
            if (leased != 0) {
                assertThat(leases.ownerOf(leased)).as(where).isEqualTo(mac);
            }
        }
        long owned = leases.leases().stream()
                .filter(l -> l.state() == Lease.State.BOUND)
                .map(Lease::mac)
                .distinct()
                .count();
        assertThat(leases.leases().stream().filter(l -> l.state() == Lease.State.BOUND))
                .hasSize((int) owned);
        assertThat(leases.leases().stream().map(Lease::address)).doesNotHaveDuplicates();
    }

    @Test
    void whoRemembersOwnersIsToldOfEveryAddressThatIsLost() {
        long seed = 20_261_128;
        Random random = new Random(seed);
        Map<Integer, Long> remembered = new HashMap<>();
        leases.whenLost(remembered::remove);
        int[] holders = {leases.join(), leases.join(), leases.join()};
        for (int step = 0; step < 20_000; step++) {
            long mac = 0x5254_0000_0000L + random.nextInt(100);
            int holder = holders[(int) (mac % 3)];
            int address = FIRST - 3 + random.nextInt(257);
            switch (random.nextInt(8)) {
                case 0 -> leases.offer(holder, mac, random.nextBoolean() ? address : 0, now);
                case 1 -> leases.commit(holder, mac, address, now);
                case 2, 3 -> leases.claim(holder, address, mac, now, () -> remembered.put(address, mac));
                case 4 -> leases.release(mac, now);
                case 5 -> leases.decline(mac, leases.leaseOf(mac), now);
                case 6 -> {
                    if (random.nextInt(20) == 0) {
                        leases.leave(holder, now);
                    }
                }
                default -> pass(random.nextInt(LeaseTable.LEASE_SECONDS / 500));
            }
            remembered.forEach((known, owner) ->
                    assertThat(leases.ownerOf(known)).as("seed %d", seed).isEqualTo(owner));
        }
        assertThat(remembered).as("addresses at the end").isNotEmpty();
    }

    private boolean expired(int address, List<Lease> leasesBefore) {
        return leasesBefore.stream()
                .anyMatch(l -> l.address() == address && l.state() == Lease.State.BOUND && l.expires() - now <= 0);
    }

    private void leaseIfAny(long mac) {
        int address = leases.offer(mac, 0, now);
        if (address != 0) {
            assertThat(leases.commit(mac, address, now)).isTrue();
        }
    }
}
