package dev.slipway.guest;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Names asked by {@code dig} in the guest, answered by a real name server of the internet. */
@Tag("guest")
@Timeout(30)
@ExtendWith(NamespaceGuestExtension.class)
class GuestNamesTest {

    private static final Backend BACKEND = Backend.chosen();

    @ParameterizedTest(name = "{0} {1} {2}")
    @CsvSource({
        "+notcp, www.example.test, A, 198.18.0.1",
        "+tcp, www.example.test, A, 198.18.0.1",
        "+notcp, six.example.test, AAAA, fd18::1",
        "+notcp, txt.example.test, TXT, '\"hello txt\"'",
        "+tcp, txt.example.test, TXT, '\"hello txt\"'",
        "+notcp, example.test, MX, 10 mail.example.test.",
        "+tcp, example.test, MX, 10 mail.example.test.",
        "+notcp, _sip._tcp.example.test, SRV, 0 0 5060 www.example.test.",
    })
    void recordIsWhatTheNameServerOfTheHostSays(
            String transport, String name, String type, String answer, NamespaceGuest machines) throws IOException {
        String asked = dig(machines, transport, "+short", name, type);
        assertThat(asked.strip()).isEqualTo(answer);
    }

    @ParameterizedTest
    @CsvSource({"+notcp", "+tcp"})
    void nameThatDoesNotExistIsNxdomain(String transport, NamespaceGuest machines) throws IOException {
        assertThat(dig(machines, transport, "no.such.example.test", "A")).contains("status: NXDOMAIN");
    }

    @Test
    void nameWithoutThatTypeIsAnEmptyAnswer(NamespaceGuest machines) throws IOException {
        assertThat(dig(machines, "txt.example.test", "MX"))
                .contains("status: NOERROR")
                .contains("ANSWER: 0");
    }

    @Test
    void answerTooLongForUdpIsMarkedAndComesWholeByTcp(NamespaceGuest machines) throws IOException {
        assertThat(dig(machines, "+noedns", "+ignore", "long.example.test", "TXT"))
                .containsPattern("flags: [a-z ]*\\btc\\b");
        assertThat(dig(machines, "+noedns", "+short", "long.example.test", "TXT"))
                .hasSizeGreaterThan(800);
        assertThat(dig(machines, "+bufsize=1232", "+notcp", "+ignore", "long.example.test", "TXT"))
                .as("with EDNS it fits into one datagram")
                .contains("ANSWER: 1");
    }

    @ParameterizedTest
    @CsvSource({"host.docker.internal", "host.containers.internal", "host.internal"})
    void hostNamesAreTheHostAddress(String name, NamespaceGuest machines) throws IOException {
        assertThat(dig(machines, "+short", name, "A").strip()).isEqualTo(BACKEND.host());
    }

    @ParameterizedTest
    @CsvSource({"gateway.docker.internal", "gateway.containers.internal", "gateway.internal"})
    void gatewayNamesAreTheGateway(String name, NamespaceGuest machines) throws IOException {
        assertThat(dig(machines, "+short", name, "A").strip()).isEqualTo(BACKEND.gateway());
    }

    @Test
    void changeOfTheHostsResolverIsFollowed(NamespaceGuest machines) throws IOException {
        machines.host().nameServers(HostMachine.OTHER_NAME_SERVER);
        try {
            awaitAnswer(machines, HostMachine.OTHER_NAME_SERVER);
        } finally {
            machines.host().nameServers(HostMachine.INTERNET);
        }
        awaitAnswer(machines, HostMachine.INTERNET);
    }

    private static void awaitAnswer(NamespaceGuest machines, String address) throws IOException {
        Await.until(
                "www.example.test is " + address,
                Duration.ofSeconds(5),
                () -> dig(machines, "+short", "www.example.test", "A").strip().equals(address));
    }

    private static String dig(NamespaceGuest machines, String... words) throws IOException {
        List<String> command = new ArrayList<>(List.of("dig", "+tries=1", "+time=3", "@" + BACKEND.gateway()));
        command.addAll(List.of(words));
        return machines.guest().run(command.toArray(String[]::new)).output();
    }
}
