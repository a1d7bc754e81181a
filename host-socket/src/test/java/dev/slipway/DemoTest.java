package dev.slipway;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Tag("transport")
@Timeout(value = 120, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class DemoTest {

    @Test
    void theBuiltInGuestDoesEverythingThatAVmDoes() {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        ByteArrayOutputStream err = new ByteArrayOutputStream();
        int code = Main.run(
                new String[] {"demo", "--quick"},
                new PrintStream(out, true, StandardCharsets.UTF_8),
                new PrintStream(err, true, StandardCharsets.UTF_8));
        String text = out.toString(StandardCharsets.UTF_8);
        assertThat(err.toString(StandardCharsets.UTF_8)).isEmpty();
        assertThat(text).doesNotContain("FAIL");
        assertThat(text.lines()
                        .filter(line -> line.startsWith("  ok "))
                        .map(line -> line.substring(8, 32).strip()))
                .containsExactly(
                        "DHCP lease",
                        "ARP of the gateway",
                        "ping the gateway",
                        "DNS gateway name",
                        "DNS host.docker.internal",
                        "web page of this host",
                        "download",
                        "upload",
                        "frames well formed",
                        "nothing dropped");
        assertThat(text).contains("bit/s, every byte compared", "-netdev stream,id=n0,server=off,addr.type=unix");
        assertThat(code).isZero();
    }
}
