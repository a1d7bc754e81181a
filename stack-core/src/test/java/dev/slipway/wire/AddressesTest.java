package dev.slipway.wire;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.net.InetAddress;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.LongRange;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

final class AddressesTest {

    @Property
    void ipv4TextIsReadBack(@ForAll int address) {
        assertThat(IpAddress.parseV4(IpAddress.toString(address))).isEqualTo(address);
        IpAddress mapped = IpAddress.ofV4(address);
        assertThat(mapped.isV4()).isTrue();
        assertThat(mapped.v4()).isEqualTo(address);
        assertThat(mapped.toBytes()).hasSize(4);
        assertThat(IpAddress.ofBytes(mapped.toBytes())).isEqualTo(mapped).hasToString(IpAddress.toString(address));
    }

    @Property
    void ipv6TextIsThatAddress(@ForAll long high, @ForAll long low) throws Exception {
        IpAddress address = new IpAddress(high, low);
        assertThat(IpAddress.ofBytes(address.toBytes())).isEqualTo(address);
        if (!address.isV4()) {
            assertThat(InetAddress.getByName(address.toString()).getAddress()).isEqualTo(address.toBytes());
        }
    }

    @ParameterizedTest
    @CsvSource({
        "0, 0, ::",
        "0, 1, ::1",
        "0x20010db800000000, 1, 2001:db8::1",
        "0x20010db800000001, 0x0001000000000000, 2001:db8:0:1:1::",
        "0x20010db800000000, 0x0001000000000001, 2001:db8::1:0:0:1",
        "0x0001000200030004, 0x0005000600070000, 1:2:3:4:5:6:7:0",
        "0xfe80000000000000, 0x504612fffe3456, fe80::50:4612:fffe:3456"
    })
    void ipv6TextIsTheCanonicalOne(String high, String low, String text) {
        assertThat(new IpAddress(
                        Long.parseUnsignedLong(high.replace("0x", ""), 16),
                        Long.parseUnsignedLong(low.replace("0x", ""), 16)))
                .hasToString(text);
    }

    @ParameterizedTest
    @CsvSource({
        "223.255.255.255, false",
        "224.0.0.0, true",
        "239.255.255.255, true",
        "240.0.0.0, false",
        "255.255.255.255, false",
        "feff:ffff::1, false",
        "ff00::, true",
        "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff, true",
        "::ffff:0:1, false"
    })
    void groupsAreToldFromOthers(String text, boolean isGroup) {
        IpAddress address = IpAddress.ofBytes(InetAddress.ofLiteral(text).getAddress());
        assertThat(address.isGroup()).isEqualTo(isGroup);
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "",
                "1.2.3",
                "1.2.3.4.5",
                "1.2.3.256",
                "01.2.3.4",
                "1.2.3.4 ",
                "-1.2.3.4",
                "1..2.3",
                "a.b.c.d",
                "1.2.3.٣"
            })
    void otherTextIsNoIpv4Address(String text) {
        assertThatThrownBy(() -> IpAddress.parseV4(text))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("'" + text + "'");
    }

    @Property
    void macTextIsReadBack(@ForAll @LongRange(max = 0xFFFF_FFFF_FFFFL) long mac) {
        assertThat(MacAddress.parse(MacAddress.toString(mac))).isEqualTo(mac);
    }

    @Test
    void macTextMayHaveCapitalsAndHyphens() {
        assertThat(MacAddress.parse("5A-94-EF-E4-0C-DD")).isEqualTo(0x5A94_EFE4_0CDDL);
        for (String no :
                new String[] {"", "5a:94:ef:e4:0c", "5a:94:ef:e4:0c:dd:00", "5a94efe40cdd", "5g:94:ef:e4:0c:dd"}) {
            assertThatThrownBy(() -> MacAddress.parse(no)).hasMessageContaining("'" + no + "'");
        }
        assertThat(MacAddress.isGroup(0x3333_0000_0001L)).isTrue();
        assertThat(MacAddress.isGroup(0x5A94_EFE4_0CDDL)).isFalse();
    }
}
