package dev.slipway;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.slipway.egress.Egress;
import dev.slipway.egress.EgressPolicy;
import dev.slipway.egress.EgressPolicy.Protocol;
import dev.slipway.ethernet.VmChannel;
import dev.slipway.wire.IpAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class PolicyFileTest {

    private static final List<VmChannel> VMS =
            List.of(VmChannel.qemu(Path.of("/tmp/a.sock")), VmChannel.qemu(Path.of("/tmp/b.sock")));

    @TempDir
    Path folder;

    private EgressPolicy policy(String text) throws Exception {
        return PolicyFile.read(Files.writeString(folder.resolve("policy.yml"), text), VMS);
    }

    @Test
    void theFirstRuleThatFitsDecidesAndTheDefaultTheRest() throws Exception {
        EgressPolicy policy = policy("""
            default: deny
            rules:
              - deny: 198.51.100.7
              - allow: [198.51.100.0/24, 203.0.113.9]
                ports: 443, 8000-8010
                protocol: tcp
              - allow: 203.0.113.0/24
                vm: qemu:/tmp/b.sock
              - allow: 192.0.2.1
                protocol: [udp, icmp]
            """);
        Egress a = new Egress("qemu:/tmp/a.sock", () -> policy, () -> 0);
        Egress b = new Egress("qemu:/tmp/b.sock", () -> policy, () -> 0);
        assertThat(admits(a, "198.51.100.7", Protocol.TCP, 443)).isFalse();
        assertThat(admits(a, "198.51.100.8", Protocol.TCP, 443)).isTrue();
        assertThat(admits(a, "198.51.100.8", Protocol.TCP, 8_010)).isTrue();
        assertThat(admits(a, "198.51.100.8", Protocol.TCP, 8_011)).isFalse();
        assertThat(admits(a, "198.51.100.8", Protocol.UDP, 443)).isFalse();
        assertThat(admits(a, "203.0.113.9", Protocol.TCP, 443)).isTrue();
        assertThat(admits(a, "203.0.113.8", Protocol.TCP, 443)).isFalse();
        assertThat(admits(b, "203.0.113.8", Protocol.TCP, 1)).isTrue();
        assertThat(admits(a, "192.0.2.1", Protocol.ICMP, 0)).isTrue();
        assertThat(admits(a, "192.0.2.1", Protocol.UDP, 53)).isTrue();
        assertThat(admits(a, "192.0.2.1", Protocol.TCP, 53)).isFalse();
        assertThat(a.allowed()).isEqualTo(5);
        assertThat(a.denied()).isEqualTo(5);
    }

    private static boolean admits(Egress egress, String address, Protocol protocol, int port) {
        return egress.admits(IpAddress.ofV4(IpAddress.parseV4(address)), protocol, port);
    }

    @Test
    void whetherConnectionsOfTheWebAreLookedIntoIsSaid() throws Exception {
        assertThat(policy("default: deny").webNames()).isFalse();
        assertThat(policy("default: deny\nweb: any").webNames()).isFalse();
        assertThat(policy("default: deny\nweb: listed").webNames()).isTrue();
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            quoteCharacter = '`',
            value = {
                "rules: []                                           | :1 | default: is missing",
                "default: maybe                                      | :1 | 'maybe' is none of allow, deny",
                "default: deny\\nrule: []                            | :2 | rule: unknown key",
                "default: deny\\ndefault: allow                      | :2 | given twice",
                "default: deny\\nweb: names                          | :2 | 'names' is none of any, listed",
                "default: deny\\nrules: 5                            | :2 | must be a list",
                "default: deny\\nrules: [7]                          | :2 | a rule must be like",
                "default: deny\\nrules:\\n  - ports: 5               | :3 | either allow or deny",
                "default: deny\\nrules:\\n  - {allow: a, deny: b}    | :3 | either allow or deny",
                "default: deny\\nrules:\\n  - allow:                 | :3 | must be a value",
                "default: deny\\nrules:\\n  - allow: 1.2.3.4/33      | :3 | no prefix",
                "default: deny\\nrules:\\n  - allow: a_b!            | :3 | is no host",
                "default: deny\\nrules:\\n  - allow: example.com:443 | :3 | has a port",
                "default: deny\\nrules:\\n  - allow: '*'\\n    ports: 0     | :4 | no port",
                "default: deny\\nrules:\\n  - allow: '*'\\n    ports: 9-8   | :4 | no port",
                "default: deny\\nrules:\\n  - allow: '*'\\n    ports: 65536 | :4 | no port",
                "default: deny\\nrules:\\n  - allow: '*'\\n    protocol: sctp | :4 | none of tcp, udp, icmp",
                "default: deny\\nrules:\\n  - allow: '*'\\n    vm: qemu:/tmp/c.sock | :4 | there is no VM",
                "default: [deny                                      | :1 | not YAML",
                "# nothing                                           | :1 | has no settings"
            })
    void aFileThatCannotBeIsRefusedWithLineAndKey(String text, String line, String problem) {
        assertThatThrownBy(() -> policy(text.replace("\\n", "\n")))
                .isInstanceOf(SettingsException.class)
                .hasMessageContaining("policy.yml" + line)
                .hasMessageContaining(problem);
    }
}
