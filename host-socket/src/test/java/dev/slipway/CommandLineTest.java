package dev.slipway;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class CommandLineTest {

    private record Outcome(int code, String out, String err) {}

    private static Outcome slipway(String... args) {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        ByteArrayOutputStream err = new ByteArrayOutputStream();
        int code = Main.run(args, print(out), print(err));
        return new Outcome(code, out.toString(StandardCharsets.UTF_8), err.toString(StandardCharsets.UTF_8));
    }

    private static PrintStream print(ByteArrayOutputStream to) {
        return new PrintStream(to, true, StandardCharsets.UTF_8);
    }

    @ParameterizedTest
    @ValueSource(strings = {"--help", "-h", "help"})
    void helpGoesToStdoutAndShowsHowToAttachQemu(String flag) {
        Outcome outcome = slipway(flag);
        assertThat(outcome.code()).isZero();
        assertThat(outcome.err()).isEmpty();
        assertThat(outcome.out())
                .contains("slipway run --vm qemu:/tmp/vm.sock", "addr.path=/tmp/vm.sock", "demo", "probe");
    }

    @Test
    void noCommandIsWrongUsage() {
        Outcome outcome = slipway();
        assertThat(outcome.code()).isEqualTo(2);
        assertThat(outcome.out()).isEmpty();
        assertThat(outcome.err()).contains("Usage: slipway COMMAND");
    }

    @Test
    void versionIsOneLine() {
        Outcome outcome = slipway("--version");
        assertThat(outcome.code()).isZero();
        assertThat(outcome.out()).matches("slipway \\S+\\R");
    }

    @ParameterizedTest
    @ValueSource(strings = {"run", "demo", "probe"})
    void everyCommandExplainsItself(String command) {
        Outcome outcome = slipway("help", command);
        assertThat(outcome.code()).isZero();
        assertThat(outcome.out()).contains("slipway " + command, "Exit codes:");
        assertThat(slipway(command, "--help").out()).isEqualTo(outcome.out());
    }

    @Test
    void theHelpOfRunNamesEverySettingButTheHiddenOne() {
        String help = slipway("help", "run").out();
        for (SettingKey key : SettingKey.values()) {
            if (key.kind() == SettingKey.Kind.HIDDEN) {
                assertThat(help).doesNotContain(key.flag());
            } else {
                assertThat(help).contains(key.flag());
            }
        }
    }

    @ParameterizedTest(name = "{0}")
    @CsvSource(
            delimiter = '|',
            value = {
                "frobnicate | frobnicate: unknown command",
                "--frobnicate | --frobnicate: unknown option",
                "help frobnicate | unknown command 'frobnicate'",
                "run | --vm: at least one VM is needed",
                "run --frobnicate | --frobnicate: unknown option",
                "run extra --vm qemu:/x | extra: one argument too many",
                "run --vm | --vm: needs a value",
                "run --vm nothing | --vm: 'nothing' is not SCHEME:PATH",
                "run --vm /a:b | --vm: '/a:b' is not SCHEME:PATH",
                "run --vm qemu: | --vm: the path is empty",
                "run --vm vfkit:/nowhere/at/all/x | --vm: /nowhere/at/all/x: there is no folder",
                "run --vm vfkit+tso:/x | --vm: 'tso' is none of vnet_hdr, offload",
                "run --vm vfkit+:/x | --vm: '' is none of vnet_hdr, offload",
                "run --vm vpnkit+vnet_hdr:/x | --vm: '+vnet_hdr' needs packets or QEMU's framing",
                "run --vm fd+offload:7/gvproxy | --vm: '+offload' needs packets or QEMU's framing",
                "run --vm vfkit+offload:/x --vm dgram:/x | --vm: two VMs on one socket",
                "run --vm dgram:/x --transport nio | --vm: /x: dgram needs system calls of Linux",
                "run --vm vhost-user:/x --transport nio | --vm: /x: vhost-user needs system calls of Linux",
                "run --vm vhost-user:/nowhere/at/all/x | --vm: /nowhere/at/all/x: there is no folder",
                "run --vm vhost-user:/x --vm qemu:/x | --vm: two VMs on one socket",
                "run --vm carrier-pigeon:/x | --vm: unknown scheme 'carrier-pigeon' (supported: qemu, qemu-tcp",
                "run --vm qemu-tcp: | --vm: '' is not [HOST:]PORT",
                "run --vm qemu-tcp:example.com:80 | --vm: 'example.com' is not an IP address",
                "run --vm qemu-tcp:0 | --vm: '0' is not [HOST:]PORT with a port of 1 to 65535",
                "run --vm qemu-tcp:80 --vm qemu-tcp:127.0.0.1:80 | --vm: two VMs on one port",
                "run --vm qemu:/x --vm vpnkit:/x | --vm: two VMs on one socket",
                "run --vm vpnkit:/x --api /x | --api: is a VM's socket as well",
                "run --vm tap:a/b/c | --vm: 'b/c' is no interface's name",
                "run --vm tap:ns/abcdefghijklmnop | --vm: 'abcdefghijklmnop' is no interface's name",
                "run --vm tap:ns --vm tap:ns/tap0 | --vm: two VMs on one device",
                "run --vm tap:no-such-namespace | --vm: no-such-namespace: no network namespace",
                "run --vm qemu:/x --vm qemu:/./x | --vm: two VMs on one socket",
                "run --vm qemu:/x --api /x | --api: is a VM's socket as well",
                "run --vm qemu:/nowhere/at/all/x | --vm: /nowhere/at/all/x: there is no folder",
                "run --vm qemu:/x --mtu 67 | --mtu: 67 is out of range, it must be 576 to 65520",
                "run --vm qemu:/x --mtu 575 | --mtu: 575 is out of range",
                "run --vm qemu:/x --mtu 65521 | --mtu: 65521 is out of range",
                "run --vm qemu:/x --mtu 65536 | --mtu: 65536 is out of range",
                "run --vm qemu:/x --mtu -1 | --mtu: -1 is out of range",
                "run --vm qemu:/x --mtu 99999999999999999999 | --mtu: '99999999999999999999' is not a whole number",
                "run --vm qemu:/x --mtu fast | --mtu: 'fast' is not a whole number",
                "run --vm qemu:/x --mtu 1500 --mtu 1400 | --mtu: given twice",
                "run --vm qemu:/x --subnet 10.0.0.0/31 | --subnet: a prefix of /31 cannot be used",
                "run --vm qemu:/x --subnet 10.0.0.0/0 | --subnet: a prefix of /0 cannot be used",
                "run --vm qemu:/x --subnet 10.0.0.0 | --subnet: '10.0.0.0' is not a network",
                "run --vm qemu:/x --subnet 10.0.0.7/24 | --subnet: '10.0.0.7/24' is an address in a network; the"
                        + " network is 10.0.0.0/24",
                "run --vm qemu:/x --subnet 10.0.256.0/24 | --subnet: not an IPv4 address: '10.0.256.0'",
                "run --vm qemu:/x --subnet 127.0.0.0/8 | --subnet: '127.0.0.0/8' is reserved",
                "run --vm qemu:/x --subnet 224.0.0.0/8 | --subnet: '224.0.0.0/8' is reserved",
                "run --vm qemu:/x --subnet 169.254.0.0/16 | --subnet: '169.254.0.0/16' is reserved",
                "run --vm qemu:/x --gateway-ip 10.0.0.1 | --gateway-ip: 10.0.0.1 is outside the subnet",
                "run --vm qemu:/x --gateway-ip 192.168.65.0 | --gateway-ip: 192.168.65.0 is the subnet's own address",
                "run --vm qemu:/x --host-ip 192.168.65.255 | --host-ip: 192.168.65.255 is the subnet's broadcast"
                        + " address",
                "run --vm qemu:/x --host-ip 192.168.65.1 | --host-ip: gateway and host cannot both be 192.168.65.1",
                "run --vm qemu:/x --gateway-ip 192.168.65.254 | --gateway-ip: gateway and host cannot both be",
                "run --vm qemu:/x --domain -no- | --domain: '-no-' is not a domain name",
                "run --vm qemu:/x --search-domain a..b | --search-domain: 'a..b' is not a domain name",
                "run --vm qemu:/x --udp-nat cone | --udp-nat: 'cone' is none of full-cone, symmetric",
                "run --vm qemu:/x --relay lldp | --relay: 'lldp' is none of mdns, ssdp",
                "run --vm qemu:/x --relay mdns --udp-nat symmetric | --relay: answers come from whom",
                "run --vm qemu:/x --transport carrier | --transport: 'carrier' is none of auto, native, epoll, kqueue,"
                        + " nio",
                "run --vm qemu:/x --log-level loud | --log-level: 'loud' is none of",
                "run --vm qemu:/x --fault loss=2 | --fault: loss=2.0",
                "run --vm qemu:/x --capture /no/such/folder/c | --capture: the folder /no/such/folder is not there",
                "run --vm qemu:/x --vm qemu:/y --capture /z | --capture: one file cannot hold the frames of 2 VMs",
                "run --vm qemu:/x -p 80 | --publish: '80' is not [ADDR:]HOST:GUEST",
                "run --vm qemu:/x --config /nowhere/at/all | /nowhere/at/all: there is no such file",
                "run --vm qemu:/x --config / | /: is a folder",
                "probe | SOCKET: is missing",
                "probe /x https://example.com/ | URL: 'https://example.com/' is not like http://host/path",
                "probe /x http://example.com:70000/ | URL: 'http://example.com:70000/' has no possible port",
                "probe /x --mtu 67 | --mtu: 67 is out of range",
                "probe /x --upload 5 | --upload: needs a URL",
                "demo --seconds soon | --seconds: 'soon' is not a number",
                "demo --seconds 0 | --seconds: 0 is out of range",
                "demo --seconds 1 --quick | --seconds: cannot go with --quick"
            })
    void wrongUsageNamesTheFlagAndTheValue(String commandLine, String message) {
        Outcome outcome = slipway(commandLine.split(" "));
        assertThat(outcome.err()).contains("slipway: ").contains(message);
        assertThat(outcome.code()).isEqualTo(2);
        assertThat(outcome.out()).isEmpty();
    }

    @Test
    void aProbeOfASocketWhereNobodyListensFails() {
        Outcome outcome = slipway("probe", "/nowhere/at/all");
        assertThat(outcome.code()).isEqualTo(1);
        assertThat(outcome.err()).contains("cannot connect to /nowhere/at/all");
    }
}
