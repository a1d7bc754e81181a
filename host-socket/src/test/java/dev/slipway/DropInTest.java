package dev.slipway;

import static org.assertj.core.api.Assertions.assertThat;

import dev.slipway.dns.Zone;
import dev.slipway.ethernet.VmChannel;
import dev.slipway.wire.IpAddress;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
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
        assertThat(settings.vms().toString()).isEqualTo("[vfkit+offload:/tmp/vm.sock]");
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

    private Path config(String... lines) throws IOException {
        return Files.writeString(folder.resolve("gvproxy.yml"), String.join("\n", lines) + "\n");
    }

    @Test
    void gvproxysFileIsTaken() throws SettingsException, IOException {
        Path file = config(
                "log-level: warning",
                "notification: /tmp/n.sock",
                "ec2-metadata-access: true",
                "interfaces:",
                "  qemu: unix:///tmp/q.sock",
                "forwards: []",
                "stack:",
                "  mtu: 4000",
                "  subnet: 10.9.0.0/24",
                "  gatewayIP: 10.9.0.1",
                "  hostIP: 10.9.0.9",
                "  deviceIP: 10.9.0.2",
                "  gatewayMacAddress: 5a:94:ef:e4:0c:01",
                "  nat: {10.9.0.9: 127.0.0.1}",
                "  gatewayVirtualIPs: [10.9.0.9]",
                "  dnsSearchDomains: [corp.test, lab.test]",
                "  dhcpStaticLeases:",
                "    10.9.0.7: 5a:94:ef:e4:0c:07",
                "  forwards:",
                "    ':2222': 10.9.0.7:22",
                "    'udp:127.0.0.1:5353': 10.9.0.7:53",
                "  dns:",
                "  - name: corp.test.",
                "    records:",
                "    - {name: db, ip: 10.1.1.1}",
                "    - {regexp: '^n[0-9]+$', ip: 10.1.1.2}",
                "    - {regexp: 'web', ip: 10.1.1.3}",
                "  - name: lab.test",
                "    defaultIP: 10.1.1.9");
        Settings settings = gvproxy("-config", file.toString());
        assertThat(settings.vms().toString()).isEqualTo("[qemu:/tmp/q.sock]");
        assertThat(settings.vms()).allMatch(VmChannel::once);
        assertThat(settings.logLevel()).isEqualTo("warn");
        assertThat(settings.notification()).contains(Path.of("/tmp/n.sock"));
        assertThat(settings.allowLinkLocal())
                .as("said at the wrong place, as there")
                .isFalse();
        assertThat(Settings.cidr(settings.stack())).isEqualTo("10.9.0.0/24");
        assertThat(settings.stack().mtu()).isEqualTo(4000);
        assertThat(IpAddress.toString(settings.stack().host())).isEqualTo("10.9.0.9");
        assertThat(settings.stack().gatewayMac()).isEqualTo(0x5A94_EFE4_0C01L);
        assertThat(settings.stack().searchDomains()).containsExactly("corp.test", "lab.test");
        assertThat(settings.dhcp().reserved()).isEqualTo(Map.of(IpAddress.parseV4("10.9.0.7"), 0x5A94_EFE4_0C07L));
        assertThat(settings.published().toString())
                .isEqualTo("[0.0.0.0:2222:22@10.9.0.7, 127.0.0.1:5353:53/udp@10.9.0.7]");
        Zone records = settings.resolver().zones().getFirst();
        assertThat(records.records().getFirst().name()).isEqualTo("db.corp.test");
        assertThat(records.records().get(1).pattern())
                .accepts("n12.corp.test")
                .rejects("xn12.corp.test", "n1x.corp.test");
        assertThat(records.records().get(2).pattern())
                .accepts("a.web1.corp.test")
                .rejects("a.web1.corp.testing", "corp.test");
        assertThat(settings.resolver().zones()).extracting(Zone::name).containsExactly(".", "corp.test.", "lab.test.");
        assertThat(settings.resolver().zones().get(2).defaultAddress())
                .contains(IpAddress.ofV4(IpAddress.parseV4("10.1.1.9")));
    }

    @Test
    void flagsWinOverGvproxysFileWhichSaysWhatTheyDoNot() throws SettingsException, IOException {
        Path file = config(
                "interfaces:", "  vfkit: unixgram:///tmp/v.sock", "stack:", "  mtu: 4000", "  subnet: 10.9.0.0/24");
        Settings settings = gvproxy("-config", file.toString(), "-mtu", "1400", "-debug");
        assertThat(settings.vms().toString()).isEqualTo("[vfkit+offload:/tmp/v.sock]");
        assertThat(settings.stack().mtu()).isEqualTo(1400);
        assertThat(settings.logLevel()).isEqualTo("debug");
        assertThat(Settings.cidr(settings.stack())).isEqualTo("10.9.0.0/24");
        assertThat(settings.dhcp().reserved())
                .as("no address is kept but by the file")
                .isEmpty();
        assertThat(settings.published()).as("no way to SSH but by the file").isEmpty();
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "frob: 1 | :1: frob: unknown key",
                "stack: {frob: 1} | :1: stack.frob: unknown key",
                "interfaces: {tap: x} | :1: interfaces.tap: unknown key",
                "stack: 5 | :1: stack: must be a group of keys",
                "listen: unix:///x | :1: listen: must be a list",
                "listen: [tcp://x] | :1: listen: 'tcp://x' is not unix:///PATH",
                "stack: {mtu: 67} | :1: stack.mtu: 67 is out of range",
                "stack: {mtu: [1]} | :1: stack.mtu: must be a single value",
                "stack: {mtu: 1500, mtu: 1501} | :1: mtu: given twice",
                "stack: {subnet: 10.0.0.0/31} | :1: stack.subnet: a prefix of /31",
                "stack: {forwards: {':80': nowhere}} | :1: stack.forwards: ':80: nowhere' is not",
                "stack: {forwards: {':99999': '192.168.127.2:80'}} | :1: stack.forwards: '99999' is not a port",
                "stack: {nat: {1.2.3.4: 127.0.0.1}} | :1: stack.nat: '1.2.3.4: 127.0.0.1' is not supported",
                "stack: {gatewayVirtualIPs: [1.2.3.4]} | :1: stack.gatewayVirtualIPs: '1.2.3.4' is not supported",
                "stack: {vpnKitUUIDMacAddresses: {a: b}} | :1: stack.vpnKitUUIDMacAddresses: not supported",
                "stack: {dns: [{records: []}]} | :1: stack.dns: a zone needs a name",
                "stack: {dns: [{name: a., records: [{ip: 1.2.3.4}]}]} | :1: stack.dns.records: a record has either",
                "stack: {dns: [{name: a., records: [{name: b, ip: x}]}]} | :1: stack.dns.records: 'x' is not an IP",
                "stack: {dns: [{name: a., records: [{regexp: 'x$y', ip: 1.2.3.4}]}]} | :1: stack.dns.records: regexp",
                "stack: {dhcpStaticLeases: {1.2.3.4: 5a:94:ef:e4:0c:07}} | :1: stack.dhcpStaticLeases: cannot reserve",
                "forwards: [{socket: /s}] | :1: forwards: not supported: there is no SSH client",
                "ec2-metadata-access: maybe | :1: ec2-metadata-access: must be true or false",
                "log-level: loud | :1: log-level: 'loud' is none of"
            })
    void whatCannotBeInGvproxysFileIsAnErrorThatNamesTheLine(String line, String message) throws IOException {
        Path file = config(line, "pid-file: " + folder.resolve("pid"));
        assertThat(said("gvproxy", "-listen-qemu", "unix:///nowhere/at/all/x", "-config", file.toString()))
                .startsWith("2 ")
                .contains(file + message.strip());
    }

    @Test
    void withItsApiAloneGvproxysVmComesByConnect() throws SettingsException {
        Settings settings = gvproxy("-listen", "unix:///tmp/api");
        assertThat(settings.vms().toString()).isEqualTo("[connect:]");
        assertThat(settings.vms()).as("waits for the next VM").noneMatch(VmChannel::once);
        assertThat(gvproxy("-listen", "unix:///a", "-listen-vfkit", "unixgram:///v")
                        .vms()
                        .toString())
                .isEqualTo("[vfkit+offload:/v]");
    }

    @ParameterizedTest
    @CsvSource({
        "-listen-qemu, unix:///tmp/x, qemu:/tmp/x",
        "-listen-qemu, tcp://127.0.0.1:4000, qemu-tcp:127.0.0.1:4000",
        "-listen-bess, unixpacket:///tmp/x, bess:/tmp/x",
        "-listen-vfkit, unixgram:///tmp/x, vfkit+offload:/tmp/x",
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
                "gvproxy -listen-qemu unix:///x -config /no/such.yml | /no/such.yml: there is no such file",
                "gvproxy -config /c.yml -ssh-port 2222 | -ssh-port: cannot be used together with -config",
                "gvproxy -config /c.yml -pcap /c.pcap | -pcap: cannot be used together with -config",
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
