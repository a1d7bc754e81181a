package dev.slipway;

import static org.assertj.core.api.Assertions.assertThat;

import dev.slipway.ethernet.VmChannel;
import dev.slipway.wire.IpAddress;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The command lines of gvproxy and VPNKit: what each flag becomes, and what is refused. */
class DropInTest {

    @TempDir
    Path folder;

    private static Settings gvproxy(String... args) throws SettingsException {
        return Settings.from(GvproxyCommand.settings(GvproxyCommand.parse(args)));
    }

    private static Settings vpnkit(String... args) throws SettingsException {
        return Settings.from(VpnkitCommand.settings(VpnkitCommand.parse(args)));
    }

    private static String said(String... args) {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        PrintStream stream = new PrintStream(bytes, true, StandardCharsets.UTF_8);
        int code = Main.run(args, stream, stream);
        return code + " " + bytes.toString(StandardCharsets.UTF_8);
    }

    @Test
    void gvproxysDefaultsHold() throws SettingsException {
        Settings settings = gvproxy("-listen-vfkit", "unixgram:///tmp/vm.sock");
        assertThat(settings.vms().toString()).isEqualTo("[vfkit:/tmp/vm.sock]");
        assertThat(settings.vms()).allMatch(VmChannel::once);
        assertThat(Settings.cidr(settings.stack())).isEqualTo("192.168.127.0/24");
        assertThat(IpAddress.toString(settings.stack().gateway())).isEqualTo("192.168.127.1");
        assertThat(IpAddress.toString(settings.stack().host())).isEqualTo("192.168.127.254");
        assertThat(settings.stack().gatewayMac()).isEqualTo(0x5A94_EFE4_0CDDL);
        assertThat(settings.stack().mtu()).isEqualTo(1500);
        assertThat(settings.dhcp().reserved()).isEqualTo(Map.of(IpAddress.parseV4("192.168.127.2"), 0x5A94_EFE4_0CEEL));
        assertThat(settings.published().toString()).isEqualTo("[127.0.0.1:2222:22@192.168.127.2]");
        assertThat(settings.preserveSource()).isFalse();
        assertThat(settings.allowLinkLocal()).isFalse();
    }

    @Test
    void gvproxysFlagsAreTakenWithOneHyphenOrTwoAndWithEqualsSigns() throws SettingsException {
        Settings settings = gvproxy(
                "--listen-qemu=unix:///tmp/q.sock",
                "-mtu=4000",
                "-ssh-port",
                "-1",
                "-subnet",
                "10.9.0.0/24",
                "--gatewayIP",
                "10.9.0.7",
                "-hostIP=10.9.0.9",
                "-deviceIP",
                "10.9.0.8",
                "-ec2-metadata-access",
                "-debug=true",
                "-pcap",
                folder.resolve("c.pcap").toString());
        assertThat(settings.vms().toString()).isEqualTo("[qemu:/tmp/q.sock]");
        assertThat(settings.stack().mtu()).isEqualTo(4000);
        assertThat(IpAddress.toString(settings.stack().gateway())).isEqualTo("10.9.0.7");
        assertThat(IpAddress.toString(settings.stack().host())).isEqualTo("10.9.0.9");
        assertThat(settings.dhcp().reserved()).containsOnlyKeys(IpAddress.parseV4("10.9.0.8"));
        assertThat(settings.published()).isEmpty();
        assertThat(settings.allowLinkLocal()).isTrue();
        assertThat(settings.logLevel()).isEqualTo("debug");
        assertThat(settings.capture()).contains(folder.resolve("c.pcap"));
    }

    @Test
    void withItsApiAloneGvproxysVmComesByConnect() throws SettingsException {
        Settings settings = gvproxy("-listen", "unix:///tmp/api");
        assertThat(settings.vms().toString()).isEqualTo("[connect:]");
        assertThat(settings.vms()).as("waits for the next VM").noneMatch(VmChannel::once);
        assertThat(gvproxy("-listen", "unix:///a", "-listen-vfkit", "unixgram:///v")
                        .vms()
                        .toString())
                .isEqualTo("[vfkit:/v]");
    }

    @ParameterizedTest
    @CsvSource({
        "-listen-qemu, unix:///tmp/x, qemu:/tmp/x",
        "-listen-qemu, tcp://127.0.0.1:4000, qemu-tcp:127.0.0.1:4000",
        "-listen-bess, unixpacket:///tmp/x, bess:/tmp/x",
        "-listen-vfkit, unixgram:///tmp/x, vfkit:/tmp/x",
        "-listen-stdio, anything, stdio:gvproxy",
        "-listen-vpnkit, unix:///tmp/x, hyperkit:/tmp/x"
    })
    void eachOfGvproxysListenersIsAChannel(String flag, String url, String channel) throws SettingsException {
        assertThat(gvproxy(flag, url).vms().toString()).isEqualTo("[" + channel + "]");
        assertThat(gvproxy(flag, url).vms().getFirst().once())
                .as("whether it ends with its session")
                .isEqualTo(!flag.equals("-listen-vpnkit"));
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "gvproxy | -listen, -listen-qemu, -listen-vfkit, -listen-bess, -listen-vpnkit, -listen-stdio: one of"
                        + " them is needed",
                "gvproxy -frobnicate | -frobnicate: unknown flag",
                "gvproxy extra | extra: is no flag",
                "gvproxy -mtu | -mtu: needs a value",
                "gvproxy -debug=maybe | -debug: 'maybe' is neither true nor false",
                "gvproxy -listen-qemu /tmp/x | -listen-qemu: '/tmp/x' is not unix:///PATH",
                "gvproxy -listen-qemu unix:///tmp/x -listen-bess unixpacket:///tmp/y | -listen-qemu: cannot be used"
                        + " together with -listen-bess",
                "gvproxy -listen-vpnkit unix:///a -listen-qemu unix:///b | -listen-vpnkit: cannot be used together",
                "gvproxy -listen-qemu unix:///x -mtu 67 | -mtu: 67 is out of range",
                "gvproxy -listen-qemu unix:///x -subnet 10.0.0.0/31 | -subnet: a prefix of /31 cannot be used",
                "gvproxy -listen-qemu unix:///x -ssh-port 22 | -ssh-port: '22' is neither -1 nor a port of 1024",
                "gvproxy -listen-qemu unix:///x -deviceIP 1.2.3.4 | -deviceIP: 1.2.3.4 is outside the guest's network",
                "gvproxy -listen-qemu unix:///x -forward-sock /tmp/s | -forward-sock: not supported: there is no SSH",
                "gvproxy -listen-qemu unix:///x -forward-identity /k | -forward-identity: not supported",
                "gvproxy -listen-qemu unix:///x -config /c.yml | -config: not supported",
                "gvproxy -listen-qemu unix:///x -notification tcp://n | -notification: 'tcp://n' is not unix:///PATH",
                "gvproxy -listen-qemu unix:///x -listen vsock://:1024 | -listen: 'vsock://:1024' is not unix:///PATH",
                "gvproxy -listen-qemu unix:///x -services tcp://:80 | -services: 'tcp://:80' is not unix:///PATH",
                "vpnkit | --ethernet: is needed",
                "vpnkit --ethernet hyperv-connect://x | --ethernet: 'hyperv-connect://x' is not PATH, unix:PATH or"
                        + " fd:N",
                "vpnkit --ethernet /x --frobnicate | --frobnicate: unknown flag",
                "vpnkit --ethernet /x --port unix:/p | --port: not supported",
                "vpnkit --ethernet /x --vsock-path /p | --vsock-path: not supported",
                "vpnkit --ethernet /x --tcpv4-forwards 80:1.2.3.4:80 | --tcpv4-forwards: not supported",
                "vpnkit --ethernet /x --hosts /other | --hosts: not supported",
                "vpnkit --ethernet /x --mtu fast | --mtu: 'fast' is not a whole number",
                "vpnkit --ethernet /x --gateway-ip 1.2.3 | --gateway-ip: not an IPv4 address",
                "vpnkit --ethernet /x --server-macaddr 01:00:00:00:00:00 | --server-macaddr: 01:00:00:00:00:00 is no"
                        + " card's",
                "vpnkit --ethernet /x --dns /no/such/file | --dns: cannot be read",
                "vpnkit --ethernet /nowhere/at/all/x | --ethernet: /nowhere/at/all/x: there is no folder"
            })
    void whatCannotBeIsAnErrorThatNamesTheFlag(String line, String message) {
        assertThat(said(line.split(" ")))
                .startsWith("2 " + line.split(" ")[0] + ": ")
                .contains(message);
    }

    @Test
    void vpnkitsDefaultsHold() throws SettingsException {
        Settings settings = vpnkit("--ethernet", "/tmp/vm.sock");
        assertThat(settings.vms().toString()).isEqualTo("[vpnkit:/tmp/vm.sock]");
        assertThat(settings.vms()).noneMatch(VmChannel::once);
        assertThat(Settings.cidr(settings.stack())).isEqualTo("192.168.65.0/24");
        assertThat(IpAddress.toString(settings.stack().gateway())).isEqualTo("192.168.65.1");
        assertThat(IpAddress.toString(settings.stack().host())).isEqualTo("192.168.65.2");
        assertThat(IpAddress.toString(settings.stack().firstGuest())).isEqualTo("192.168.65.3");
        assertThat(settings.stack().gatewayMac()).isEqualTo(0xF616_36BC_F9C6L);
        assertThat(settings.stack().domain()).isEqualTo("localdomain");
        assertThat(settings.hostAccess()).isTrue();
    }

    @Test
    void vpnkitsFlagsBecomeSettings() throws Exception {
        Path dns = Files.writeString(folder.resolve("dns"), """
            # made by a launcher
            nameserver 10.0.0.53
            zone corp.test lab.test
            timeout 500
            nameserver 10.0.0.54#5353
            nameserver 10.0.0.55
            search corp.test
            """);
        Settings settings = vpnkit(
                "--ethernet",
                "unix:/tmp/vm.sock",
                "--mtu=9000",
                "--host-ip",
                "0.0.0.0",
                "--gateway-ip",
                "10.1.0.1",
                "--lowest-ip",
                "10.1.0.3",
                "--highest-ip",
                "10.1.3.254",
                "--domain",
                "lab.test",
                "--dns",
                dns.toString(),
                "--gateway-names",
                "gw.test,gateway.internal",
                "--max-connections",
                "77");
        assertThat(settings.vms().toString()).isEqualTo("[vpnkit:/tmp/vm.sock]");
        assertThat(Settings.cidr(settings.stack())).isEqualTo("10.1.0.0/22");
        assertThat(settings.stack().mtu()).isEqualTo(9000);
        assertThat(settings.stack().domain()).isEqualTo("lab.test");
        assertThat(settings.stack().searchDomains()).containsExactly("corp.test");
        assertThat(settings.stack().limits().tcpFlows()).isEqualTo(77);
        assertThat(settings.hostAccess()).isFalse();
        assertThat(
                        VpnkitCommand.settings(VpnkitCommand.parse("--ethernet", "/x", "--dns", dns.toString()))
                                .all("dns-for")
                                .stream()
                                .map(SettingSource.Value::text))
                .containsExactlyInAnyOrder(
                        ".=10.0.0.53,10.0.0.55", "corp.test=10.0.0.54#5353", "lab.test=10.0.0.54#5353");
    }

    @Test
    void descriptorOfALauncherIsVpnkitsChannel() throws SettingsException {
        assertThat(vpnkit("--ethernet", "fd:5").vms().toString()).isEqualTo("[fd:5/vpnkit]");
    }

    @Test
    void whatOnlyLooksOnIsPassedOverWithAWord() {
        assertThat(said(
                        "vpnkit",
                        "--ethernet",
                        "/nowhere/at/all/x",
                        "--introspection",
                        "/tmp/i",
                        "--listen-backlog",
                        "8"))
                .contains("vpnkit: --introspection: not supported, passed over")
                .contains("vpnkit: --listen-backlog: not supported, passed over");
    }

    @ParameterizedTest
    @CsvSource({
        "gvproxy, -version, gvproxy version",
        "gvproxy, --help, Usage: slipway gvproxy",
        "vpnkit, --help, Usage: slipway vpnkit"
    })
    void versionAndHelpAreThere(String program, String flag, String expected) {
        assertThat(said(program, flag)).startsWith("0 " + expected);
    }
}
