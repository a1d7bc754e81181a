package dev.slipway.host;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class ResolvConfTest {

    private static final long STEP = FollowedFile.CHECK_MILLIS * 1_000_000L;

    @TempDir
    Path folder;

    private static InetSocketAddress server(String address) {
        return new InetSocketAddress(InetAddress.ofLiteral(address), 53);
    }

    @Test
    void serversAndOptionsAreReadAndNonsenseIsSkipped() {
        ResolvConf conf = ResolvConf.parse("""
            # nameserver 9.9.9.9
            ; nameserver 9.9.9.8
            search corp.example
            nameserver 10.0.0.53
            nameserver\t2001:db8::53   # a comment behind it
            nameserver
            nameserver not.an.address
            nameserver 300.1.1.1
            nameserver 10.0.0.53
            options ndots:2 timeout:1 attempts:9 rotate timeout:x
            """, 53);
        assertThat(conf.servers()).containsExactly(server("10.0.0.53"), server("2001:db8::53"));
        assertThat(conf.timeoutSeconds()).isEqualTo(1);
        assertThat(conf.attempts()).isEqualTo(5);
        assertThat(conf.rotate()).isTrue();
        assertThat(ResolvConf.parse("", 53)).isEqualTo(ResolvConf.EMPTY);
        assertThat(ResolvConf.parse("options timeout:0\r\nnameserver 1.1.1.1", 53)
                        .timeoutSeconds())
                .isEqualTo(1);
        assertThat(ResolvConf.parse("nameserver 1.1.1.\0 1", 53).servers()).isEmpty();
    }

    @Test
    void moreServersThanTheLimitAreLeftOut() {
        StringBuilder text = new StringBuilder();
        for (int i = 1; i < 100; i++) {
            text.append("nameserver 10.0.0.").append(i).append('\n');
        }
        assertThat(ResolvConf.parse(text.toString(), 53).servers()).hasSize(ResolvConf.MAX_SERVERS);
    }

    @Test
    void everyKindOfChangeIsFollowed() throws IOException {
        Path path = folder.resolve("resolv.conf");
        FollowedFile<ResolvConf> file = FollowedFile.resolvConf(path, 53);
        long now = 0;
        assertThat(file.current(now)).isEqualTo(ResolvConf.EMPTY);
        Files.writeString(path, "nameserver 10.0.0.1");
        assertThat(file.current(now)).isEqualTo(ResolvConf.EMPTY);
        assertThat(file.current(now += STEP).servers()).containsExactly(server("10.0.0.1"));
        // In place, of the same length, within one tick of the file system's clock.
        Files.writeString(path, "nameserver 10.0.0.2");
        assertThat(file.current(now += STEP).servers()).containsExactly(server("10.0.0.2"));
        Path next = Files.writeString(folder.resolve("next"), "nameserver 10.0.0.3");
        Files.move(next, path, StandardCopyOption.REPLACE_EXISTING, StandardCopyOption.ATOMIC_MOVE);
        assertThat(file.current(now += STEP).servers()).containsExactly(server("10.0.0.3"));
        Files.delete(path);
        assertThat(file.current(now += STEP).servers()).isEmpty();
        Path office = Files.writeString(folder.resolve("office"), "nameserver 10.0.0.4");
        Path tunnel = Files.writeString(folder.resolve("tunnel"), "nameserver 10.0.0.5");
        Files.createSymbolicLink(path, office);
        assertThat(file.current(now += STEP).servers()).containsExactly(server("10.0.0.4"));
        Files.delete(path);
        Files.createSymbolicLink(path, tunnel);
        assertThat(file.current(now += STEP).servers()).containsExactly(server("10.0.0.5"));
        Files.delete(tunnel);
        assertThat(file.current(now += STEP).servers()).isEmpty();
        Files.createDirectory(tunnel);
        assertThat(file.current(now += STEP).servers()).isEmpty();
    }

    @Test
    void anUnchangedFileStaysTheSameObject() throws IOException {
        Path path = Files.writeString(folder.resolve("resolv.conf"), "nameserver 10.0.0.1");
        FollowedFile<ResolvConf> file = FollowedFile.resolvConf(path, 53);
        ResolvConf first = file.current(0);
        assertThat(file.current(STEP)).isSameAs(first);
        assertThat(file.current(10 * STEP)).isSameAs(first);
    }
}
