package dev.slipway.host;

import static org.assertj.core.api.Assertions.assertThat;

import dev.slipway.dhcp.LeaseTable;
import dev.slipway.seam.StackSettings;
import dev.slipway.wire.IpAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(30)
final class LeaseFileTest {

    private static final long VM = 0x5254_0000_0001L;
    private static final long OTHER = 0x5254_0000_0002L;
    private static final int FIRST = IpAddress.parseV4("192.168.65.3");

    @TempDir
    Path folder;

    private final AtomicLong epoch = new AtomicLong(1_800_000_000L);
    private final LeaseTable leases = new LeaseTable(StackSettings.defaults());
    private Path path;

    @BeforeEach
    void start() {
        path = folder.resolve("leases");
    }

    private static void lease(LeaseTable table, long mac, String name, long now) {
        assertThat(table.commit(mac, table.offer(mac, 0, now), now)).isTrue();
        table.name(mac, name);
    }

    private LeaseTable restarted(long now) {
        LeaseTable table = new LeaseTable(StackSettings.defaults());
        new LeaseFile(path, table, epoch::get).read(now);
        return table;
    }

    @Test
    void leasesOutliveTheProcessAndItsClock() throws Exception {
        LeaseFile file = new LeaseFile(path, leases, epoch::get);
        file.read(0);
        lease(leases, VM, "builder", 0);
        lease(leases, OTHER, "", 0);
        file.writeIfChanged(0);
        assertThat(Files.readAllLines(path))
                .contains(
                        "192.168.65.3 52:54:00:00:00:01 " + (epoch.get() + LeaseTable.LEASE_SECONDS) + " builder",
                        "192.168.65.4 52:54:00:00:00:02 " + (epoch.get() + LeaseTable.LEASE_SECONDS) + " -");
        assertThat(Files.getPosixFilePermissions(path)).isEqualTo(PosixFilePermissions.fromString("rw-------"));

        // A day later, on a clock that begins anew and is negative.
        epoch.addAndGet(86_400);
        long now = -77_000_000_000_000L;
        LeaseTable table = restarted(now);
        assertThat(table.leaseOf(VM)).isEqualTo(FIRST);
        assertThat(table.addressOf("builder")).isEqualTo(FIRST);
        assertThat(table.remembered().getFirst().expires() - now)
                .isEqualTo(TimeUnit.SECONDS.toNanos(LeaseTable.LEASE_SECONDS - 86_400));
        assertThat(table.offer(0x99, 0, now)).isEqualTo(FIRST + 2);
    }

    @Test
    void leaseThatRanOutMeanwhileIsKeptForItsOwnerOnly() {
        LeaseFile file = new LeaseFile(path, leases, epoch::get);
        lease(leases, VM, "builder", 0);
        file.writeIfChanged(0);
        epoch.addAndGet(LeaseTable.LEASE_SECONDS + 1);
        LeaseTable table = restarted(0);
        assertThat(table.leaseOf(VM)).isZero();
        assertThat(table.offer(VM, 0, 0)).isEqualTo(FIRST);
    }

    @Test
    void clockThatWasSetBackMakesNoLeaseLonger() {
        LeaseFile file = new LeaseFile(path, leases, epoch::get);
        lease(leases, VM, "", 0);
        file.writeIfChanged(0);
        epoch.set(0);
        assertThat(restarted(0).remembered().getFirst().expires())
                .isEqualTo(TimeUnit.SECONDS.toNanos(LeaseTable.LEASE_SECONDS));
    }

    @Test
    void whatMakesNoSenseIsLeftOutAndTheRestUsed() throws Exception {
        Files.writeString(path, """
            # a comment

            192.168.65.9 52:54:00:00:00:01 1800001000 builder
            192.168.65.9 52:54:00:00:00:02 1800001000 twice
            192.168.65.300 52:54:00:00:00:03 1800001000 -
            192.168.65.11 nonsense 1800001000 -
            192.168.65.12 52:54:00:00:00:04 soon -
            192.168.65.13 52:54:00:00:00:05
            10.0.0.1 52:54:00:00:00:06 1800001000 -
            \0\1\2\3
            192.168.65.14 52:54:00:00:00:07 1800001000 café
            """);
        LeaseTable table = restarted(0);
        assertThat(table.remembered())
                .extracting(lease -> IpAddress.toString(lease.address()))
                .containsExactly("192.168.65.9", "192.168.65.14");
        assertThat(restarted(0).nameOf(IpAddress.parseV4("192.168.65.14"))).isEmpty();
    }

    @Test
    void fileThatCannotBeReadOrWrittenCostsNothingElse() throws Exception {
        Files.createDirectory(path);
        Files.writeString(path.resolve("inside"), "x");
        LeaseFile file = new LeaseFile(path, leases, epoch::get);
        file.read(0);
        lease(leases, VM, "", 0);
        file.writeIfChanged(0);
        Files.delete(path.resolve("inside"));
        Files.delete(path);
        file.writeIfChanged(0);
        assertThat(restarted(0).leaseOf(VM)).isEqualTo(FIRST);
        assertThat(folder.resolve("leases.new")).doesNotExist();
    }

    @Test
    void changesAreWrittenWithoutBeingAskedForAndAtTheEnd() throws Exception {
        LeaseFile file = LeaseFile.start(path, leases);
        lease(leases, VM, "", System.nanoTime());
        Waiting.until(() -> Files.exists(path) && Files.readString(path).contains("52:54:00:00:00:01"));
        lease(leases, OTHER, "", System.nanoTime());
        file.close();
        assertThat(Files.readString(path)).contains("52:54:00:00:00:02");
    }
}
