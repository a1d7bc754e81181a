package dev.slipway;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.slipway.SettingSource.Value;
import dev.slipway.dhcp.DhcpSettings;
import dev.slipway.dns.Zone;
import dev.slipway.dns.ZoneRecord;
import dev.slipway.host.ResolverSettings;
import dev.slipway.seam.StackSettings;
import dev.slipway.wire.IpAddress;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

final class NameSettingsTest {

    private final SettingSource source = new SettingSource();

    private NameSettings with(String key, String... texts) {
        List<Value> values = new ArrayList<>();
        for (String text : texts) {
            values.add(new Value("--" + key, text));
        }
        source.put(key, values);
        return new NameSettings(source, StackSettings.defaults());
    }

    @Test
    void recordsAreOneOpenZoneBeforeTheOthers() throws SettingsException {
        with("dns-zone", "lab.test", "any.test=10.0.0.9");
        with("dns-record", "db.test=10.0.0.1", "*.apps.test.=fd00::7", "/^n[0-9]+[.]x=y$/=10.0.0.3");
        ResolverSettings settings = with("no-dns-cache", "true").resolver();
        assertThat(settings.cache()).isFalse();
        assertThat(settings.zones()).extracting(Zone::name).containsExactly(".", "lab.test.", "any.test.");
        assertThat(settings.zones()).extracting(Zone::closed).containsExactly(false, true, true);
        assertThat(settings.zones().get(0).records())
                .extracting(ZoneRecord::name)
                .containsExactly("db.test", "*.apps.test", "");
        assertThat(settings.zones().get(0).records())
                .extracting(record -> record.address().toString())
                .containsExactly("10.0.0.1", "fd00::7", "10.0.0.3");
        assertThat(settings.zones().get(0).records().get(2).pattern().test("n12.x=y"))
                .isTrue();
        assertThat(settings.zones().get(2).defaultAddress()).isPresent();
    }

    @Test
    void withoutSettingsItIsTheHostsFilesAndACache() throws SettingsException {
        assertThat(with("dns-for").resolver()).isEqualTo(ResolverSettings.ofThisHost());
    }

    @Test
    void regularExpressionIsQuickWhateverAGuestAsksFor() throws SettingsException {
        ZoneRecord record = with("dns-record", "/^(a+)+$/=10.0.0.1")
                .resolver()
                .zones()
                .get(0)
                .records()
                .get(0);
        long start = System.nanoTime();
        assertThat(record.pattern().test("a".repeat(250) + "!")).isFalse();
        assertThat(System.nanoTime() - start).isLessThan(2_000_000_000L);
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = ';',
            quoteCharacter = '"',
            value = {
                "dns-for; corp.test; is not DOMAIN=SERVER",
                "dns-for; corp.test=nowhere; 'nowhere' is not an IP address",
                "dns-record; db.test; is not NAME=ADDRESS",
                "dns-record; =10.0.0.1; is not NAME=ADDRESS",
                "dns-record; db.test=10.0.0.256; '10.0.0.256' is not an IP address",
                "dns-record; a..b=10.0.0.1; 'a..b'",
                "dns-record; /(/=10.0.0.1; '(' is not a regular expression",
                "dns-zone; a..b; 'a..b",
                "dns-zone; a.test=x; 'x' is not an IP address"
            })
    void valueThatCannotBeNamesItsPlaceAndItself(String key, String text, String message) {
        assertThatThrownBy(() -> with(key, text).resolver())
                .isInstanceOf(SettingsException.class)
                .hasMessageContaining("--" + key)
                .hasMessageContaining(message);
    }

    @Test
    void leasesAndWhatIsAnnouncedWithThem() throws SettingsException {
        with("ntp-server", "10.0.0.1", "10.0.0.2");
        with("dhcp-route", "10.1.0.0/16=192.168.65.9", "10.2.3.4/32=192.168.65.9");
        NameSettings settings = with("static-lease", "52:54:00:12:34:56=192.168.65.50");
        DhcpSettings dhcp = settings.dhcp();
        assertThat(dhcp.ntpServers()).hasSize(2);
        assertThat(dhcp.routes()).extracting(DhcpSettings.Route::prefixLength).containsExactly(16, 32);
        assertThat(dhcp.reserved()).containsEntry(IpAddress.parseV4("192.168.65.50"), 0x5254_0012_3456L);
        assertThat(settings.leaseFile()).isEmpty();
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = ';',
            quoteCharacter = '"',
            value = {
                "ntp-server; pool.ntp.org; 'pool.ntp.org'",
                "dhcp-route; 10.1.0.0=192.168.65.9; is not CIDR=ROUTER",
                "dhcp-route; 10.1.0.1/16=192.168.65.9; not the first address of a network",
                "dhcp-route; 10.1.0.0/33=192.168.65.9; prefix of /33",
                "dhcp-route; 0.0.0.1/0=192.168.65.9; not the first address of a network",
                "dhcp-route; 10.1.0.0/16=10.0.0.1; outside the guest's network",
                "static-lease; 52:54:00:12:34:56; is not MAC=ADDRESS",
                "static-lease; 52:54:00:12:34=192.168.65.50; '52:54:00:12:34'",
                "static-lease; 52:54:00:12:34:56=10.0.0.1; not an address for guests",
                "static-lease; 52:54:00:12:34:56=192.168.65.1; not an address for guests"
            })
    void leaseSettingThatCannotBeNamesItsPlaceAndItself(String key, String text, String message) {
        assertThatThrownBy(() -> with(key, text).dhcp())
                .isInstanceOf(SettingsException.class)
                .hasMessageContaining("--" + key)
                .hasMessageContaining(message);
    }

    @Test
    void addressAndMacAddressCanBeReservedOnce() {
        assertThatThrownBy(
                        () -> with("static-lease", "52:54:00:12:34:56=192.168.65.50", "52:54:00:12:34:57=192.168.65.50")
                                .dhcp())
                .hasMessageContaining("it belongs to 52:54:00:12:34:56");
        assertThatThrownBy(
                        () -> with("static-lease", "52:54:00:12:34:56=192.168.65.50", "52:54:00:12:34:56=192.168.65.51")
                                .dhcp())
                .hasMessageContaining("it has 192.168.65.50 already");
    }

    @Test
    void leaseFileNeedsAFolder() {
        assertThatThrownBy(() -> with("lease-file", "/nowhere/at/all").leaseFile())
                .hasMessageContaining("--lease-file")
                .hasMessageContaining("/nowhere/at/all");
        assertThatThrownBy(() -> with("lease-file", "/tmp").leaseFile()).hasMessageContaining("cannot be written");
    }
}
