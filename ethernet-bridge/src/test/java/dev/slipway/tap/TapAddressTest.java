package dev.slipway.tap;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TapAddressTest {

    @Test
    void nameIsOneThatIpNetnsKnows() {
        assertThat(TapAddress.parse(Path.of("blue"))).isEqualTo(new TapAddress(Path.of("/run/netns/blue"), "tap0"));
        assertThat(TapAddress.parse(Path.of("blue/eth0")))
                .isEqualTo(new TapAddress(Path.of("/run/netns/blue"), "eth0"));
    }

    @Test
    void numberIsAProcess() {
        assertThat(TapAddress.parse(Path.of("123456/eth0")))
                .isEqualTo(new TapAddress(Path.of("/proc/123456/ns/net"), "eth0"));
    }

    @Test
    void pathOfAFileIsTheNamespaceAndWhatFollowsItTheInterface(@TempDir Path folder) throws IOException {
        Path file = Files.createFile(folder.resolve("ns"));
        assertThat(TapAddress.parse(file)).isEqualTo(new TapAddress(file, "tap0"));
        assertThat(TapAddress.parse(file.resolve("eth0"))).isEqualTo(new TapAddress(file, "eth0"));
    }
}
