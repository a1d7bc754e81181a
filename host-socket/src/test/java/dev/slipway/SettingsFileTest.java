package dev.slipway;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.slipway.seam.Ipv6Settings;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

class SettingsFileTest {

    @TempDir
    Path folder;

    private Settings read(String text) throws IOException, SettingsException {
        return Settings.from(SettingsFile.read(write(text.getBytes(StandardCharsets.UTF_8))));
    }

    private Path write(byte[] bytes) throws IOException {
        return Files.write(folder.resolve("slipway.yml"), bytes);
    }

    @Test
    void everyKeyOfTheFlagsWorksInAFile() throws Exception {
        Settings settings = read("""
            # A network for two machines
            vm:
              - qemu:/run/a.sock
              - qemu:/run/b.sock
            api: /run/api.sock
            publish: ["8000:80@192.168.70.9", "5353:53/udp@web"]
            mtu: 9000
            subnet: 192.168.70.0/24
            gateway-ip: 192.168.70.7
            host-ip: 192.168.70.8
            allow-link-local: true
            no-host-access: false
            domain: example.test
            search-domain: [a.test, b.test]
            transport: nio
            log-level: debug
            """);
        assertThat(settings.vms()).extracting(Object::toString).containsExactly("qemu:/run/a.sock", "qemu:/run/b.sock");
        assertThat(settings.api()).contains(Path.of("/run/api.sock"));
        assertThat(settings.published()).hasSize(2);
        assertThat(settings.stack().mtu()).isEqualTo(9000);
        assertThat(Settings.cidr(settings.stack())).isEqualTo("192.168.70.0/24");
        assertThat(settings.stack().gateway() & 0xFF).isEqualTo(7);
        assertThat(settings.stack().host() & 0xFF).isEqualTo(8);
        assertThat(settings.stack().domain()).isEqualTo("example.test");
        assertThat(settings.stack().searchDomains()).containsExactly("a.test", "b.test");
        assertThat(settings.allowLinkLocal()).isTrue();
        assertThat(settings.hostAccess()).isTrue();
        assertThat(settings.logLevel()).isEqualTo("debug");
    }

    @Test
    void aSingleVmNeedsNoList() throws Exception {
        assertThat(read("vm: qemu:/run/a.sock\n").vms()).hasSize(1);
    }

    @Test
    void ipv6FollowsTheHostUnlessSomethingElseIsSaidOrTheMtuIsTooSmall() throws Exception {
        assertThat(read("vm: qemu:/a\n").stack().ipv6()).isEqualTo(Ipv6Settings.AUTO);
        assertThat(read("vm: qemu:/a\nipv6: auto\n").stack().ipv6()).isEqualTo(Ipv6Settings.AUTO);
        assertThat(read("vm: qemu:/a\nipv6: 'on'\n").stack().ipv6()).isEqualTo(Ipv6Settings.DEFAULTS);
        assertThat(read("vm: qemu:/a\nipv6: 'off'\n").stack().ipv6()).isEqualTo(Ipv6Settings.OFF);
        assertThat(read("vm: qemu:/a\nmtu: 1279\n").stack().ipv6()).isEqualTo(Ipv6Settings.OFF);
        assertThatThrownBy(() -> read("vm: qemu:/a\nmtu: 1279\nipv6: 'on'\n").stack())
                .hasMessageContaining("IPv6 needs an MTU of 1280");
    }

    @Test
    void vmsSeeEachOtherUnlessSomethingElseIsSaid() throws Exception {
        assertThat(read("vm: [qemu:/a, qemu:/b]\n").isolated()).isFalse();
        assertThat(read("vm: [qemu:/a, qemu:/b]\nisolate: true\n").isolated()).isTrue();
    }

    @Test
    void hostAccessCanBeClosed() throws Exception {
        assertThat(read("vm: qemu:/a\nno-host-access: true\n").hostAccess()).isFalse();
    }

    @Test
    void flagsWinOverTheFile() throws Exception {
        SettingSource source = SettingsFile.read(write("vm: qemu:/a\nmtu: 1400\n".getBytes(StandardCharsets.UTF_8)));
        SettingSource flags = new SettingSource();
        flags.put("mtu", List.of(new SettingSource.Value("--mtu", "1300")));
        source.override(flags);
        assertThat(Settings.from(source).stack().mtu()).isEqualTo(1300);
    }

    static Stream<Arguments> wrongFiles() {
        return Stream.of(
                Arguments.of("unknown key", "vm: qemu:/a\nmut: 1500\n", ":2: mut: unknown key"),
                Arguments.of("almost a key", "vm: qemu:/a\nmtus: 1500\n", ":2: mtus: unknown key, did you mean mtu?"),
                Arguments.of(
                        "duplicate key",
                        "mtu: 1500\nvm: qemu:/a\nmtu: 1400\n",
                        ":3: mtu: given twice, first in line 1"),
                Arguments.of("tab", "vm:\n\t- qemu:/a\n", ":2: vm: a tab in the indentation"),
                Arguments.of("tab before a key", "vm: qemu:/a\n\tmtu: 1500\n", ":2: mtu: a tab in the indentation"),
                Arguments.of("byte order mark", "\uFEFFvm: qemu:/a\n", ":1: begins with a byte order mark"),
                Arguments.of("empty", "", ":1: the file has no settings"),
                Arguments.of("blank", "\n  \n", ":1: the file has no settings"),
                Arguments.of("comments only", "# nothing yet\n", ":1: the file has no settings"),
                Arguments.of("a list", "- vm\n", ":1: must be lines like"),
                Arguments.of("a word", "hello\n", ":1: must be lines like"),
                Arguments.of(
                        "list for one value",
                        "vm: qemu:/a\nmtu: [1500, 1400]\n",
                        ":2: mtu: takes one value, not a list"),
                Arguments.of(
                        "group for one value", "vm: qemu:/a\nmtu:\n  size: 1500\n", ":3: mtu: must be a single value"),
                Arguments.of("no value", "vm: qemu:/a\nmtu:\n", ":2: mtu: has no value"),
                Arguments.of("empty list", "vm: []\n", ":1: vm: the list is empty"),
                Arguments.of("wrong type", "vm: qemu:/a\nmtu: fast\n", ":2: mtu: 'fast' is not a whole number"),
                Arguments.of("fraction", "vm: qemu:/a\nmtu: 1500.5\n", ":2: mtu: '1500.5' is not a whole number"),
                Arguments.of("out of range", "vm: qemu:/a\nmtu: 67\n", ":2: mtu: 67 is out of range"),
                Arguments.of(
                        "not a switch",
                        "vm: qemu:/a\nno-host-access: maybe\n",
                        ":2: no-host-access: must be true or false"),
                Arguments.of(
                        "switch in quotes",
                        "vm: qemu:/a\nno-host-access: 'true'\n",
                        ":2: no-host-access: must be true or false"),
                Arguments.of("element of a list", "vm:\n  - qemu:/a\n  - qemu:/a\n", ":3: vm: two VMs on one socket"),
                Arguments.of("scheme", "vm:\n  - qemu:/a\n  - vhost-net:/b\n", ":3: vm: unknown scheme 'vhost-net'"),
                Arguments.of("subnet", "vm: qemu:/a\nsubnet: 10.0.0.0/31\n", ":2: subnet: a prefix of /31"),
                Arguments.of(
                        "gateway",
                        "vm: qemu:/a\ngateway-ip: 10.0.0.1\n",
                        ":2: gateway-ip: 10.0.0.1 is outside the subnet"),
                Arguments.of(
                        "port outside",
                        "vm: qemu:/a\npublish: [\"1:2@10.0.0.1\"]\n",
                        ":2: publish: 10.0.0.1 is outside"),
                Arguments.of("not YAML", "vm: [qemu:/a\nmtu: 1500\n", ": not YAML: "),
                Arguments.of("two documents", "vm: qemu:/a\n---\nmtu: 1500\n", ": not YAML: "),
                Arguments.of("key that is none", "? [a, b]\n: 1\n", ":1: not YAML: Non scalar key"));
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("wrongFiles")
    void aWrongFileIsRefusedWithLineAndKey(String what, String text, String message) {
        assertThatThrownBy(() -> read(text))
                .isInstanceOf(SettingsException.class)
                .hasMessageStartingWith(folder.resolve("slipway.yml") + ":")
                .hasMessageContaining(message);
    }

    @Test
    void bytesThatAreNotUtf8AreRefusedWithTheLine() throws IOException {
        Path file = write(new byte[] {'v', 'm', ':', ' ', 'q', '\n', (byte) 0xC3, 0x28, '\n'});
        assertThatThrownBy(() -> SettingsFile.read(file)).hasMessage(file + ":2: not UTF-8");
    }

    @Test
    void aFileThatIsTooLongIsRefused() throws IOException {
        Path file = write(new byte[(1 << 20) + 1]);
        assertThatThrownBy(() -> SettingsFile.read(file)).hasMessageContaining("longer than");
    }

    @Test
    void aMillionAliasesAreNotExpanded() throws IOException {
        StringBuilder bomb = new StringBuilder("a: &a [x, x, x, x, x, x, x, x, x]\n");
        for (char c = 'b'; c < 'z'; c++) {
            bomb.append(c).append(": &").append(c).append(" [");
            bomb.append(("*" + (char) (c - 1) + ", ").repeat(8)).append("x]\n");
        }
        assertThatThrownBy(() -> read(bomb.toString())).isInstanceOf(SettingsException.class);
    }
}
