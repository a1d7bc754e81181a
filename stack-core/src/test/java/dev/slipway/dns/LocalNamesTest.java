package dev.slipway.dns;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.slipway.dhcp.LeaseTable;
import dev.slipway.seam.DropCounters;
import dev.slipway.seam.StackSettings;
import dev.slipway.testing.DnsAssert;
import dev.slipway.testing.DnsBuilder;
import dev.slipway.testing.PacketBuilder;
import dev.slipway.wire.DnsMessage;
import dev.slipway.wire.IpAddress;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

final class LocalNamesTest {

    private static final int A = DnsMessage.TYPE_A;
    private static final int AAAA = DnsMessage.TYPE_AAAA;
    private static final int PTR = DnsMessage.TYPE_PTR;
    private static final int TXT = 16;
    private static final long VM = 0x5254_0000_0001L;
    private static final long OTHER = 0x5254_0000_0002L;

    private final StackSettings settings = StackSettings.defaults();
    private final LeaseTable leases = new LeaseTable(settings);
    private final LocalNames names = new LocalNames(settings, leases);
    private final RecordingResolver resolver = new RecordingResolver();
    private final NameServer server = new NameServer(settings, names, resolver, new DropCounters());
    private final List<byte[]> answers = new ArrayList<>();

    private DnsAssert ask(String name, int type) {
        byte[] message = DnsBuilder.query(name, type).message();
        assertThat(server.query(PacketBuilder.segment(message), 0, message.length, false, answers::add))
                .isTrue();
        assertThat(answers).as("answers at once to " + name).hasSize(1);
        return DnsAssert.of(answers.removeFirst());
    }

    private void assertAddress(String name, String address) {
        ask(name, A).hasCode(0).hasAnswer(name + ".", A, address);
    }

    private void assertAskedOutside(String name) {
        byte[] message = DnsBuilder.query(name, A).message();
        server.query(PacketBuilder.segment(message), 0, message.length, false, answers::add);
        assertThat(answers).as(name).isEmpty();
    }

    private static ZoneRecord record(String name, String address) {
        return ZoneRecord.named(name, v4(address));
    }

    private static IpAddress v4(String address) {
        return IpAddress.ofV4(IpAddress.parseV4(address));
    }

    private static Zone zone(String name, ZoneRecord... records) {
        return new Zone(name, List.of(records), Optional.empty());
    }

    @Test
    void recordsOfAZoneMatchExactlyByWildcardAndByPattern() {
        names.add(zone(
                "corp.test.",
                record("db", "10.0.0.1"),
                record("*.web", "10.0.0.2"),
                ZoneRecord.matching("^n[0-9]+$", name -> name.matches("n[0-9]+"), v4("10.0.0.3")),
                record("", "10.0.0.4")));
        assertAddress("db.corp.test", "10.0.0.1");
        assertAddress("DB.Corp.TEST", "10.0.0.1");
        assertAddress("a.b.web.corp.test", "10.0.0.2");
        assertAddress("n17.corp.test", "10.0.0.3");
        assertAddress("corp.test", "10.0.0.4");
        ask("web.corp.test", A).hasCode(DnsMessage.NXDOMAIN);
        ask("xdb.corp.test", A).hasCode(DnsMessage.NXDOMAIN);
        assertAskedOutside("dbcorp.test");
        assertAskedOutside("xcorp.test");
    }

    @Test
    void typeThatANameLacksIsAnEmptyAnswerAndNotNoSuchName() {
        IpAddress six = IpAddress.ofBytes(new byte[] {(byte) 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9});
        names.add(
                zone("corp.test", record("db", "10.0.0.1"), ZoneRecord.named("both", six), record("both", "10.1.1.1")));
        ask("db.corp.test", AAAA).hasCode(0).hasNoAnswer();
        ask("db.corp.test", TXT).hasCode(0).hasNoAnswer();
        assertAddress("both.corp.test", "10.1.1.1");
        ask("both.corp.test", AAAA).hasAnswer("both.corp.test.", AAAA, "fd000000000000000000000000000009");
    }

    @Test
    void addressesOfZonesHaveTheirNames() {
        names.add(zone("corp.test", record("*", "10.0.0.9"), record("db", "10.0.0.1")));
        ask("1.0.0.10.in-addr.arpa", PTR).hasAnswer("1.0.0.10.in-addr.arpa.", PTR, "db.corp.test.");
        assertAskedOutside("9.0.0.10.in-addr.arpa");
    }

    @Test
    void defaultAddressIsForNamesThatNobodyHereKnows() {
        names.add(new Zone("docker.internal.", List.of(record("db", "10.0.0.1")), Optional.of(v4("10.0.0.7"))));
        assertAddress("anything.docker.internal", "10.0.0.7");
        ask("anything.docker.internal", AAAA).hasCode(0).hasNoAnswer();
        assertAddress("host.docker.internal", "192.168.65.254");
        assertAddress("db.docker.internal", "10.0.0.1");
    }

    @Test
    void openZoneLeavesNamesThatItDoesNotHaveToOthers() {
        names.add(new Zone(".", List.of(record("db.corp.test", "10.0.0.1")), Optional.empty(), false));
        assertAddress("db.corp.test", "10.0.0.1");
        ask("1.0.0.10.in-addr.arpa", PTR).hasAnswer("1.0.0.10.in-addr.arpa.", PTR, "db.corp.test.");
        assertAskedOutside("www.corp.test");
        assertAskedOutside("www.db.corp.test");
    }

    @Test
    void recordsThatAreAddedGoBeforeThoseThatWereThere() {
        names.add(zone("corp.test.", record("db", "10.0.0.1")));
        names.add(zone("other.test.", record("x", "10.0.0.5")));
        names.add(zone("CORP.test", record("db", "10.0.0.2")));
        assertAddress("db.corp.test", "10.0.0.2");
        assertThat(names.zones()).extracting(Zone::name).containsExactly("corp.test.", "other.test.");
        assertThat(names.zones().getFirst().records()).hasSize(2);
        assertThat(names.remove("corp.test")).isTrue();
        assertThat(names.remove("corp.test")).isFalse();
        assertAskedOutside("db.corp.test");
    }

    @Test
    void listHasTheBuiltInNamesToo() {
        names.add(zone("docker.internal.", record("db", "10.0.0.1")));
        names.add(zone("z.test.", record("db", "10.0.0.1")));
        assertThat(names.allZones())
                .extracting(Zone::name)
                .containsExactly("docker.internal.", "containers.internal.", "internal.", "z.test.");
        assertThat(names.allZones().getFirst().records())
                .extracting(ZoneRecord::name)
                .containsExactly("db", "gateway", "http", "host");
    }

    @Test
    void zonesAndRecordsAreBounded() {
        List<ZoneRecord> most = IntStream.range(0, LocalNames.MAX_RECORDS)
                .mapToObj(i -> record("n" + i, "10.0.0.1"))
                .toList();
        names.add(new Zone("a.test", most, Optional.empty()));
        assertThatThrownBy(() -> names.add(zone("b.test", record("x", "10.0.0.1"))))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("b.test");
        assertThat(names.zones()).hasSize(1);
        assertAddress("n4095.a.test", "10.0.0.1");
    }

    @Test
    void namesThatCannotBeAreRefused() {
        assertThatThrownBy(() -> zone("a..b")).hasMessageContaining("a..b");
        assertThatThrownBy(() -> record("x y", "10.0.0.1")).hasMessageContaining("x y");
        assertThatThrownBy(() -> record("a.*.b", "10.0.0.1")).isInstanceOf(IllegalArgumentException.class);
    }

    private int lease(long mac, String name) {
        int address = leases.offer(mac, 0, 0);
        assertThat(leases.commit(mac, address, 0)).isTrue();
        leases.name(mac, name);
        return address;
    }

    @Test
    void guestHasTheNameThatItGaveItself() {
        int address = lease(VM, "Builder");
        assertAddress("builder.vm.internal", "192.168.65.3");
        ask("builder.vm.internal", AAAA).hasCode(0).hasNoAnswer();
        ask("3.65.168.192.in-addr.arpa", PTR).hasAnswer("3.65.168.192.in-addr.arpa.", PTR, "builder.vm.internal.");
        ask("nobody.vm.internal", A).hasCode(DnsMessage.NXDOMAIN);
        ask("vm.internal", A).hasCode(0).hasNoAnswer();
        assertThat(leases.nameOf(address)).isEqualTo("builder");
        leases.release(VM, 0);
        ask("builder.vm.internal", A).hasCode(DnsMessage.NXDOMAIN);
    }

    @Test
    void guestsNameHasTheIpv6AddressThatTheGuestUses() {
        long prefix = settings.ipv6().prefix();
        int holder = leases.join();
        int address = leases.offer(holder, VM, 0, 0);
        leases.commit(holder, VM, address, 0);
        leases.name(VM, "builder");
        ask("builder.vm.internal", AAAA).hasCode(0).hasNoAnswer();
        leases.ipv6().claim(holder, prefix, 0x5054_00FF_FE00_0001L, VM);
        ask("builder.vm.internal", AAAA)
                .hasCode(0)
                .hasAnswer("builder.vm.internal.", AAAA, "fd65000000000000505400fffe000001");
        assertAddress("builder.vm.internal", "192.168.65.3");
        String reverse = "1.0.0.0.0.0.e.f.f.f.0.0.4.5.0.5.0.0.0.0.0.0.0.0.0.0.0.0.5.6.d.f.ip6.arpa";
        ask(reverse, PTR).hasAnswer(reverse + ".", PTR, "builder.vm.internal.");
        int other = leases.join();
        leases.ipv6().claim(other, prefix, 0x99, VM);
        ask("builder.vm.internal", AAAA).hasAnswer("builder.vm.internal.", AAAA, "fd65000000000000505400fffe000001");
        assertAskedOutside(reverse.replaceFirst("1", "2"));
        assertAskedOutside("1.0.ip6.arpa");
        leases.leave(holder, 0);
        ask("builder.vm.internal", AAAA).hasCode(0).hasNoAnswer();
    }

    @Test
    void nameStaysWithTheFirstGuestThatHasIt() {
        lease(VM, "twin");
        lease(OTHER, "twin");
        assertAddress("twin.vm.internal", "192.168.65.3");
        assertThat(leases.counts().nameConflicts()).isEqualTo(1);
        leases.release(VM, 0);
        leases.name(OTHER, "twin");
        assertAddress("twin.vm.internal", "192.168.65.4");
        leases.name(OTHER, "single");
        ask("twin.vm.internal", A).hasCode(DnsMessage.NXDOMAIN);
        assertAddress("single.vm.internal", "192.168.65.4");
    }
}
