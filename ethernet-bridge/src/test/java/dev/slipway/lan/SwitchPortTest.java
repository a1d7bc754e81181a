package dev.slipway.lan;

import static dev.slipway.lan.SwitchRig.from;
import static dev.slipway.lan.SwitchRig.ip;
import static dev.slipway.lan.SwitchRig.mac;
import static org.assertj.core.api.Assertions.assertThat;

import dev.slipway.testing.PacketBuilder;
import dev.slipway.wire.DropReason;
import dev.slipway.wire.Frame;
import dev.slipway.wire.IpAddress;
import dev.slipway.wire.MacAddress;
import java.lang.foreign.MemorySegment;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;

final class SwitchPortTest {

    private final SwitchRig rig = new SwitchRig(3).introduced();
    private final SwitchRig.Vm a = rig.vm(0);
    private final SwitchRig.Vm b = rig.vm(1);
    private final SwitchRig.Vm c = rig.vm(2);

    private static MemorySegment datagram(int from, int to, String text) {
        return from(from, to).udp(ip(to), 7).payload(text).build();
    }

    @Test
    void frameForAnotherVmGoesToItAndToNobodyElse() {
        MemorySegment frame = datagram(0, 1, "hello");
        a.send(frame);
        rig.run();
        assertThat(b.toGuest).containsExactly(PacketBuilder.bytes(frame));
        assertThat(c.toGuest).isEmpty();
        assertThat(a.toStack).isEmpty();
        assertThat(a.batches).as("batches that the stack heard of").isZero();
        assertThat(a.port.switchCounters().framesToVms()).isEqualTo(3);
        assertThat(b.port.switchCounters().framesFromVms()).isEqualTo(3);
        assertThat(a.drops.total()).isZero();
    }

    @Test
    void batchWakesAnotherVmOnceAndIsFlushedOnce() {
        a.send(datagram(0, 1, "one"), datagram(0, 1, "two"), datagram(0, 1, "three"));
        a.send(datagram(0, 1, "four"));
        assertThat(b.tasks).hasSize(1);
        rig.run();
        assertThat(b.toGuest).hasSize(4);
        assertThat(b.flushes).isEqualTo(1);
    }

    @Test
    void destinationThatNobodyHasIsNotFlooded() {
        a.send(PacketBuilder.guest()
                .mac(mac(0))
                .address(ip(0))
                .to(0x5254_0099_9999L)
                .udp(ip(1), 7)
                .build());
        rig.run();
        assertThat(a.toStack).as("left to the stack, which counts it").hasSize(1);
        assertThat(b.toGuest).isEmpty();
        assertThat(c.toGuest).isEmpty();
    }

    @Test
    void broadcastAndMulticastReachAllOthersAndTheStack() {
        PacketBuilder guest = PacketBuilder.guest().mac(mac(0)).address(ip(0));
        MemorySegment mdns = guest.to(0x0100_5E00_00FBL)
                .udp("224.0.0.251", 5353)
                .port(5353)
                .payload("who")
                .build();
        MemorySegment arp = guest.arpRequest(ip(1));
        MemorySegment broadcast =
                guest.to(MacAddress.BROADCAST).udp("192.168.65.255", 9).build();
        a.send(mdns, arp, broadcast);
        rig.run();
        byte[][] all = {PacketBuilder.bytes(mdns), PacketBuilder.bytes(arp), PacketBuilder.bytes(broadcast)};
        assertThat(a.toStack).containsExactly(all);
        assertThat(b.toGuest).containsExactly(all);
        assertThat(c.toGuest).containsExactly(all);
        assertThat(a.toGuest).isEmpty();
    }

    @Test
    void vmsThatAreNotThereGetNothing() {
        c.detach();
        a.send(from(0, 1).arpRequest(ip(1)), datagram(0, 2, "nobody's"));
        rig.run();
        assertThat(b.toGuest).hasSize(1);
        assertThat(c.toGuest).isEmpty();
        assertThat(a.toStack).as("the broadcast, and what is for nobody").hasSize(2);
    }

    @Test
    void frameToTheGatewayIsTheStacksOnly() {
        a.send(PacketBuilder.guest()
                .mac(mac(0))
                .address(ip(0))
                .udp("192.168.65.1", 53)
                .build());
        rig.run();
        assertThat(a.toStack).hasSize(1);
        assertThat(b.toGuest).isEmpty();
    }

    @Test
    void macAddressOfAnotherVmCannotBeUsed() {
        PacketBuilder asB = PacketBuilder.guest().mac(mac(1)).address(ip(1));
        a.send(
                asB.to(mac(2)).udp(ip(2), 7).build(),
                asB.arpRequest(ip(2)),
                asB.udp("192.168.65.1", 53).build());
        rig.run();
        assertThat(a.dropped(DropReason.SPOOF)).isEqualTo(3);
        assertThat(a.toStack).isEmpty();
        assertThat(c.toGuest).isEmpty();
        // And what is sent to it goes to its owner still.
        c.send(datagram(2, 1, "to the owner"));
        rig.run();
        assertThat(b.toGuest).hasSize(1);
        assertThat(a.toGuest).isEmpty();
    }

    @Test
    void macAddressOfTheGatewayOrAGroupIsLeftToTheStackToRefuse() {
        for (long mac : new long[] {SwitchRig.GATEWAY, 0x0100_5E00_0001L, 0}) {
            a.send(PacketBuilder.guest().mac(mac).to(mac(1)).udp(ip(1), 7).build());
        }
        rig.run();
        assertThat(a.toStack).hasSize(3);
        assertThat(b.toGuest).isEmpty();
    }

    @Test
    void addressOfAVmThatIsGoneIsFree() {
        b.detach();
        a.send(PacketBuilder.guest()
                .mac(mac(1))
                .address(ip(0))
                .to(mac(2))
                .udp(ip(2), 7)
                .build());
        assertThat(a.dropped(DropReason.SPOOF))
                .as("the IP address is the other card's")
                .isEqualTo(1);
        c.send(PacketBuilder.guest()
                .mac(mac(2))
                .address(ip(2))
                .to(mac(1))
                .udp(ip(1), 7)
                .build());
        rig.run();
        assertThat(a.toGuest).hasSize(1);
        b.attach();
        b.send(datagram(1, 2, "too late"));
        assertThat(b.dropped(DropReason.SPOOF)).isEqualTo(1);
    }

    @Test
    void addressesOfMachinesWithinAVmAgeAndItsOwnCardsDoesNot() {
        long inner = 0x5254_0000_00FFL;
        a.send(PacketBuilder.guest().mac(inner).address("192.168.65.70").arpRequest(ip(1)));
        b.send(PacketBuilder.guest().mac(inner).address("192.168.65.71").arpRequest(ip(0)));
        assertThat(b.dropped(DropReason.SPOOF)).isEqualTo(1);
        rig.now += TimeUnit.SECONDS.toNanos(VmSwitch.AGE_SECONDS + 1);
        b.send(PacketBuilder.guest().mac(inner).address("192.168.65.71").arpRequest(ip(0)));
        b.send(PacketBuilder.guest().mac(mac(0)).address(ip(0)).arpRequest(ip(2)));
        assertThat(b.dropped(DropReason.SPOOF))
                .as("the other's own card, still")
                .isEqualTo(2);
        rig.run();
        rig.vms.forEach(SwitchRig.Vm::clear);
        c.send(PacketBuilder.guest()
                .mac(mac(2))
                .address(ip(2))
                .to(inner)
                .udp("192.168.65.71", 7)
                .build());
        rig.run();
        assertThat(a.toGuest).isEmpty();
        assertThat(b.toGuest).isNotEmpty();
        a.send(PacketBuilder.guest().mac(inner).address("192.168.65.70").arpRequest(ip(1)));
        assertThat(a.dropped(DropReason.SPOOF)).as("no more the first's").isEqualTo(1);
    }

    @Test
    void oneVmHasOnlySoManyMacAddresses() {
        for (int i = 0; i < VmSwitch.MAX_STATIONS + 10; i++) {
            a.send(PacketBuilder.guest()
                    .mac(0x5254_0001_0000L + i)
                    .address(ip(0))
                    .udp("192.168.65.1", 53)
                    .build());
        }
        assertThat(a.dropped(DropReason.MAC_LIMIT)).isEqualTo(11);
        rig.now += TimeUnit.SECONDS.toNanos(VmSwitch.AGE_SECONDS + 1);
        a.clear();
        a.send(PacketBuilder.guest()
                .mac(0x5254_0002_0000L)
                .address(ip(0))
                .udp("192.168.65.1", 53)
                .build());
        assertThat(a.toStack).as("the silent make room").hasSize(1);
        b.send(datagram(1, 0, "to the first card"));
        rig.run();
        assertThat(a.toGuest).hasSize(1);
    }

    @Test
    void neighbourThatTakesNothingCostsFramesAndNobodyElse() {
        b.room = 0;
        MemorySegment large = from(0, 1).udp(ip(1), 7).payload(new byte[1400]).build();
        for (int i = 0; i < 2_000; i++) {
            a.send(large);
        }
        rig.run();
        long kept = 2_000 - a.dropped(DropReason.SWITCH_FULL);
        assertThat(kept).as("frames in the queue").isBetween(300L, 700L);
        assertThat(b.toGuest).isEmpty();
        // Others can still send to it, and the sender to others.
        c.send(datagram(2, 1, "waits"));
        a.send(datagram(0, 2, "arrives"));
        rig.run();
        assertThat(c.dropped(DropReason.SWITCH_FULL)).isZero();
        assertThat(c.toGuest).hasSize(1);
        // With room again, all that was kept arrives, in order.
        b.room = 64 << 20;
        b.fromGuest.ready();
        rig.run();
        assertThat(b.toGuest).hasSize((int) kept + 1);
        assertThat(b.toGuest.getFirst()).isEqualTo(PacketBuilder.bytes(large));
        a.send(large);
        rig.run();
        assertThat(b.toGuest).hasSize((int) kept + 2);
    }

    @Test
    void othersTakeHalfOfTheRoomInATurnAndTheRestInTheNext() {
        b.room = 512 << 10;
        MemorySegment large = from(0, 1).udp(ip(1), 7).payload(new byte[1400]).build();
        for (int i = 0; i < 300; i++) {
            a.send(large);
        }
        b.tasks.poll().run();
        assertThat(b.toGuest).hasSizeBetween(180, 182);
        assertThat(b.tasks).as("goes on in the next turn").hasSize(1);
        rig.run();
        assertThat(b.toGuest).hasSize(300);
    }

    @Test
    void whatWaitsForAGuestThatIsGoneDoesNotReachTheNext() {
        b.room = 0;
        a.send(datagram(0, 1, "secret"));
        b.detach();
        b.attach();
        b.room = 1 << 20;
        b.send(from(1, 0).arpRequest(ip(0)));
        a.send(datagram(0, 1, "new"));
        rig.run();
        assertThat(b.toGuest).containsExactly(PacketBuilder.bytes(datagram(0, 1, "new")));
        assertThat(b.counters().dropsToGuest()).isEqualTo(1);
    }

    @Test
    void vmThatIsClosedLeavesTheOthersAlone() {
        b.room = 0;
        a.send(datagram(0, 1, "waits"));
        b.port.close();
        a.send(datagram(0, 1, "for nobody"), from(0, 1).arpRequest(ip(1)));
        b.room = 1 << 20;
        rig.run();
        assertThat(b.toGuest).isEmpty();
        assertThat(c.toGuest).hasSize(1);
    }

    @Test
    void largeUnitsArriveWholeWithWhatIsSaidOfThem() {
        MemorySegment bytes =
                from(0, 1).tcp(ip(1), 80).payload(new byte[60_000]).build();
        Frame unit = PacketBuilder.frame(bytes).checksumPartial(34, 16).largeUnit(1448);
        a.sendOne(unit);
        rig.run();
        assertThat(b.toGuest).containsExactly(PacketBuilder.bytes(bytes));
        assertThat(b.offload.getFirst()).containsExactly(1448, Frame.ChecksumState.PARTIAL, 34, 16);
        a.sendOne(PacketBuilder.frame(datagram(0, 1, "v")).checksumVerified());
        rig.run();
        assertThat(b.offload.getLast()).containsExactly(0, Frame.ChecksumState.VERIFIED, 0, 0);
    }

    @Test
    void addressThatIsGivenBackAndLeasedToAnotherIsTheFirstsNoMore() {
        int address = IpAddress.parseV4("192.168.65.50");
        PacketBuilder asFirst =
                PacketBuilder.guest().mac(mac(0)).address("192.168.65.50").to(mac(2));
        rig.leases.commit(a.holder, mac(0), address, rig.now);
        a.send(asFirst.udp(ip(2), 7).build());
        rig.run();
        assertThat(c.toGuest).hasSize(1);
        rig.leases.release(mac(0), rig.now);
        rig.leases.commit(b.holder, mac(1), address, rig.now);
        a.send(asFirst.udp(ip(2), 7).build());
        rig.run();
        assertThat(c.toGuest).hasSize(1);
        assertThat(a.dropped(DropReason.SPOOF)).isEqualTo(1);
        b.send(PacketBuilder.guest()
                .mac(mac(1))
                .address("192.168.65.50")
                .to(mac(2))
                .udp(ip(2), 7)
                .build());
        rig.run();
        assertThat(c.toGuest).hasSize(2);
    }

    @Test
    void nobodyAsksForAddressesInAnothersName() {
        assertThat(a.port.maySpeakFor(mac(0))).isTrue();
        assertThat(a.port.maySpeakFor(0x5254_0077_7777L)).isTrue();
        assertThat(a.port.maySpeakFor(mac(1))).isFalse();
        b.detach();
        assertThat(a.port.maySpeakFor(mac(1))).isTrue();
    }
}
