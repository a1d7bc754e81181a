package dev.slipway;

import static org.assertj.core.api.Assertions.assertThat;

import dev.slipway.seam.StackSettings;
import dev.slipway.wire.IpAddress;
import java.util.List;
import org.junit.jupiter.api.Test;

/** The network of the host that every machine has is that of its loopback. */
class SubnetOverlapTest {

    private static List<String> overlaps(String network, int prefix) {
        StackSettings defaults = StackSettings.defaults();
        int at = IpAddress.parseV4(network);
        return SubnetOverlap.find(new StackSettings(
                at,
                prefix,
                at + 1,
                at + 2,
                at + 3,
                defaults.gatewayMac(),
                defaults.mtu(),
                defaults.domain(),
                List.of(),
                defaults.limits()));
    }

    @Test
    void aNetworkWithinOneOfTheHostsOverlapsIt() {
        assertThat(overlaps("127.7.0.0", 16)).anyMatch(each -> each.endsWith(" 127.0.0.1/8"));
    }

    @Test
    void aNetworkAroundOneOfTheHostsOverlapsIt() {
        assertThat(overlaps("126.0.0.0", 7)).anyMatch(each -> each.endsWith(" 127.0.0.1/8"));
    }

    @Test
    void aNetworkBesideItDoesNot() {
        assertThat(overlaps("126.0.0.0", 8)).noneMatch(each -> each.endsWith(" 127.0.0.1/8"));
    }
}
