package dev.slipway;

import static org.assertj.core.api.Assertions.assertThat;

import dev.slipway.Ipv6Prefix.Network;
import dev.slipway.seam.Ipv6Settings;
import dev.slipway.wire.IpAddress;
import java.net.InetAddress;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class Ipv6PrefixTest {

    private static IpAddress address(String text) {
        return IpAddress.ofBytes(InetAddress.ofLiteral(text).getAddress());
    }

    private static Network network(String text) {
        String[] parts = text.split("/");
        return new Network(address(parts[0]), Integer.parseInt(parts[1]));
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "2001:db8::7/64 | fd65::",
                "fd65:0:0:1::7/64 | fd65::",
                "fd65::5054:ff:fe12:3456/64 | fd66::",
                "fd65::7/128 | fd66::",
                "fd65::7/48 | fd66::",
                "fd65::7/64 fd66::1/64 fd67::/32 | fd68::",
                "fd64::/15 | fd66::",
                "fd60::/11 | fd80::",
                "fd40::/10 fd80::/9 | fd00::",
                "fd00::/8 | fd65::",
                "::7/0 | fd65::"
            })
    void networkOfTheHostsIsNotTheGuests(String taken, String expected) {
        List<Network> networks =
                Arrays.stream(taken.split(" ")).map(Ipv6PrefixTest::network).toList();
        assertThat(new IpAddress(Ipv6Prefix.free(networks), 0)).isEqualTo(address(expected));
    }

    @Test
    void addressesMoveWithTheNetwork() {
        Ipv6Settings moved = Ipv6Settings.AUTO.at(0xFD66L << 48);
        assertThat(moved.gateway()).isEqualTo(address("fd66::1"));
        assertThat(moved.host()).isEqualTo(address("fd66::254"));
        assertThat(moved.followsHost()).isTrue();
        assertThat(moved.isOwn(address("fd66::1").high(), 1)).isTrue();
        assertThat(moved.isOwn(address("fd65::1").high(), 1)).isFalse();
    }
}
