package dev.slipway.host;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Rules of the settings, and those of macOS read on any system. */
@Timeout(30)
final class SystemRulesTest {

    /** As scutil of macOS prints it, with a VPN for one domain. */
    private static final String SCUTIL = """
        DNS configuration

        resolver #1
          search domain[0] : home.test
          nameserver[0] : 192.0.2.53
          nameserver[1] : 2001:db8::53
          if_index : 6 (en0)
          flags    : Request A records
          reach    : 0x00020002 (Reachable,Directly Reachable Address)

        resolver #2
          domain   : Corp.Test
          nameserver[0] : 10.99.0.10
          nameserver[1] : fd99::10
          if_index : 18 (utun4)
          flags    : Supplemental, Request A records
          reach    : 0x00000003 (Reachable,Transient Connection)
          order    : 102600

        resolver #3
          domain   : local
          options  : mdns
          timeout  : 5
          flags    : Request A records
          reach    : 0x00000000 (Not Reachable)
          order    : 300000

        resolver #4
          domain   : lab.test
          nameserver[0] : 127.0.0.1
          port     : 5300
          reach    : 0x00030002 (Reachable,Local Address,Directly Reachable Address)

        DNS configuration (for scoped queries)

        resolver #1
          domain   : scoped.test
          nameserver[0] : 192.0.2.99
          if_index : 6 (en0)
          flags    : Scoped, Request A records
        """;

    private static final long STEP = FollowedFile.CHECK_MILLIS * 1_000_000L;

    @TempDir
    Path folder;

    private static InetSocketAddress server(String address, int port) {
        return new InetSocketAddress(InetAddress.ofLiteral(address), port);
    }

    @Test
    void resolversOfScutilThatHaveADomainAreRules() {
        List<DnsRule> rules = ScutilRules.parse(SCUTIL);
        assertThat(rules).extracting(DnsRule::domain).containsExactly("corp.test", "lab.test");
        assertThat(rules.get(0).conf().servers()).containsExactly(server("10.99.0.10", 53), server("fd99::10", 53));
        assertThat(rules.get(1).conf().servers()).containsExactly(server("127.0.0.1", 5300));
        assertThat(ScutilRules.parse("")).isEmpty();
        assertThat(ScutilRules.parse("resolver #1\n domain : a.test\n nameserver[0] : rubbish\n port : 99999"))
                .isEmpty();
    }

    @Test
    void programIsRunBesideTheEventLoopAndItsAnswerSeenLater() throws Exception {
        Path output = Files.writeString(folder.resolve("output"), SCUTIL);
        Path program = Files.writeString(folder.resolve("scutil"), "#!/bin/sh\ncat '" + output + "'\n");
        Files.setPosixFilePermissions(program, PosixFilePermissions.fromString("rwx------"));
        ScutilRules rules = new ScutilRules(List.of("/bin/sh", program.toString()));
        long[] now = {0};
        Waiting.until(() -> rules.current(now[0]).size() == 2);
        Files.writeString(output, "");
        now[0] += ScutilRules.INTERVAL_MILLIS * 1_000_000L;
        Waiting.until(() -> rules.current(now[0] += STEP).isEmpty());
        ScutilRules none = new ScutilRules(List.of(folder.resolve("nothing").toString()));
        assertThat(none.current(0)).isEmpty();
    }

    @Test
    void filesOfTheResolverFolderAreRulesAndFollowed() throws Exception {
        Path resolvers = folder.resolve("resolver");
        ResolverFolder rules = new ResolverFolder(resolvers);
        long now = 0;
        assertThat(rules.current(now)).isEmpty();
        Files.createDirectory(resolvers);
        Files.writeString(resolvers.resolve("corp.test"), "# VPN\nnameserver 10.99.0.10\nnameserver 10.99.0.11\n");
        Files.writeString(resolvers.resolve("other"), "domain lab.test\nport 5300\nnameserver 127.0.0.1\ntimeout 2\n");
        Files.writeString(resolvers.resolve("dotted.test"), "nameserver 10.0.0.1.5353\nnameserver fd00::1.54\n");
        Files.writeString(resolvers.resolve("empty.test"), "");
        List<DnsRule> read = rules.current(now += STEP);
        assertThat(read).extracting(DnsRule::domain).containsExactlyInAnyOrder("corp.test", "lab.test", "dotted.test");
        for (DnsRule rule : read) {
            switch (rule.domain()) {
                case "corp.test" ->
                    assertThat(rule.conf().servers())
                            .containsExactly(server("10.99.0.10", 53), server("10.99.0.11", 53));
                case "lab.test" -> {
                    assertThat(rule.conf().servers()).containsExactly(server("127.0.0.1", 5300));
                    assertThat(rule.conf().timeoutSeconds()).isEqualTo(2);
                }
                default ->
                    assertThat(rule.conf().servers()).containsExactly(server("10.0.0.1", 5353), server("fd00::1", 54));
            }
        }
        assertThat(rules.current(now += STEP)).isSameAs(read);
        Files.delete(resolvers.resolve("other"));
        assertThat(rules.current(now += STEP)).hasSize(2);
    }

    @Test
    void amongSeveralFilesForADomainTheLeastOrderHolds() throws Exception {
        Files.writeString(folder.resolve("a"), "domain corp.test\nsearch_order 2\nnameserver 10.0.0.2");
        Files.writeString(folder.resolve("b"), "domain corp.test\nsearch_order 1\nnameserver 10.0.0.1");
        ResolverPlan plan = new ResolverPlan(ResolvConf.EMPTY, new ResolverFolder(folder).current(0));
        assertThat(plan.serversFor("www.corp.test").servers()).containsExactly(server("10.0.0.1", 53));
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = ';',
            quoteCharacter = '"',
            value = {
                "corp.test; is not DOMAIN=SERVER",
                "=10.0.0.1; is not DOMAIN=SERVER",
                "a..b=10.0.0.1; 'a..b' is not a domain name",
                "a b=10.0.0.1; 'a b' is not a domain name",
                "corp.test=; '' is not an IP address",
                "corp.test=dns.corp.test; 'dns.corp.test' is not an IP address",
                "corp.test=10.0.0.1,; '' is not an IP address",
                "corp.test=10.0.0.1#0; '0' is not a port",
                "corp.test=10.0.0.1#65536; '65536' is not a port",
                "corp.test=10.0.0.1#x; 'x' is not a port",
                "corp.test=10.0.0.1,10.0.0.1; named twice",
                "c.test=1.0.0.1,1.0.0.2,1.0.0.3,1.0.0.4,1.0.0.5,1.0.0.6,1.0.0.7,1.0.0.8,1.0.0.9; 9 servers"
            })
    void ruleThatCannotBeSaysWhatIsWrong(String rule, String message) {
        assertThatThrownBy(() -> DnsRule.parse(rule))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining(message);
    }
}
