package dev.slipway.proxy;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Optional;
import java.util.Set;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** With a list of allowed hosts, nothing else is reached on the ports of the web and through the gateway. */
@Timeout(60)
final class AllowListTest {

    private ProxyRig rig;
    private ScriptedServer origin;

    @BeforeEach
    void start() throws Exception {
        rig = new ProxyRig();
        origin = ScriptedServer.mirror();
        rig.names.put("good.example", "203.0.113.1");
        rig.names.put("evil.example", "203.0.113.66");
        rig.settings.set(ProxySettings.none()
                .withAllow(Optional.of(HostPatterns.parse("good.example, 203.0.113.100/30")), ProxySettings.ALLOW_ERROR)
                .withPorts(Set.of(80, origin.port()), Set.of(443), ProxySettings.Opaque.PROXY));
    }

    @AfterEach
    void stop() throws Exception {
        origin.close();
        rig.close();
    }

    private String get(String address, String host) throws Exception {
        try (GuestSocket guest = rig.connect(address, origin.port())) {
            return guest.send("GET / HTTP/1.1\r\nHost: " + host + "\r\n\r\n").readResponse();
        }
    }

    @Test
    void whatIsAllowedByNameIsReachedAtTheAddressOfThatNameWhateverWasDialled() throws Exception {
        assertThat(get("203.0.113.66", "good.example")).startsWith("HTTP/1.1 200 ");
        assertThat(rig.asked).contains("good.example");
    }

    @Test
    void whatIsAllowedByAddressIsReachedWhateverNameItIsGiven() throws Exception {
        assertThat(get("203.0.113.101", "evil.example")).startsWith("HTTP/1.1 200 ");
        assertThat(rig.asked).isEmpty();
    }

    @Test
    void everythingElseIsForbiddenInVpnkitsWords() throws Exception {
        assertThat(get("203.0.113.66", "evil.example"))
                .startsWith("HTTP/1.1 403 ")
                .contains("Connections to evil.example are forbidden by policy. Please contact your IT administrator.");
        assertThat(get("203.0.113.66", "203.0.113.66")).startsWith("HTTP/1.1 403 ");
        assertThat(get("203.0.113.66", "good.example.evil.example")).startsWith("HTTP/1.1 403 ");
        assertThat(rig.counters().refusedByList()).isEqualTo(3);
        assertThat(origin.connections).hasValue(0);
    }

    @Test
    void aProxyIsNotAskedForANameThatIsAllowedByAddressOnly() throws Exception {
        try (ScriptedServer proxy = ScriptedServer.mirror()) {
            rig.settings.updateAndGet(settings -> settings.withProxies(
                    Optional.of(ProxyAddress.parse(proxy.url())), Optional.empty(), Optional.empty()));
            assertThat(get("203.0.113.101", "evil.example"))
                    .contains("GET http://203.0.113.101:" + origin.port() + "/ HTTP/1.1\r\nHost: 203.0.113.101:")
                    .doesNotContain("evil.example");
        }
    }

    @Test
    void tlsIsJudgedByTheNameInItsHelloAndReset() throws Exception {
        for (String name : new String[] {"evil.example", ""}) {
            try (GuestSocket guest = rig.connect("203.0.113.66", 443)) {
                assertThat(guest.send(ClientHelloTest.hello(name)).awaitReset()).isTrue();
            }
        }
        assertThat(rig.counters().refusedByList()).isEqualTo(2);
    }

    @Test
    void otherBytesAreJudgedByTheAddress() throws Exception {
        try (GuestSocket guest = rig.connect("203.0.113.66", 443)) {
            assertThat(guest.send("SSH-2.0-x\r\n").awaitReset()).isTrue();
        }
        assertThat(rig.counters().refusedByList()).isEqualTo(1);
    }

    @Test
    void theGatewaysProxiesAreConfinedToo() throws Exception {
        try (GuestSocket guest = rig.connect(ProxyRig.GATEWAY, 3128)) {
            assertThat(guest.send("CONNECT evil.example:443 HTTP/1.1\r\n\r\n").readAll())
                    .startsWith("HTTP/1.1 403 ")
                    .contains("Connections to evil.example are forbidden");
        }
        try (GuestSocket guest = rig.connect(ProxyRig.GATEWAY, 1080)) {
            assertThat(guest.send("\5\1\0\5\1\0\3\14evil.example\0\120").readAll())
                    .startsWith("\5\0\5\2");
        }
        try (GuestSocket guest = rig.connect(ProxyRig.GATEWAY, 3128)) {
            assertThat(guest.send("GET http://good.example:" + origin.port() + "/ HTTP/1.1\r\n\r\n")
                            .readResponse())
                    .startsWith("HTTP/1.1 200 ");
        }
    }

    @Test
    void whatIsExcludedFromTheProxyIsNotExcludedFromTheList() throws Exception {
        rig.settings.updateAndGet(settings -> settings.withExclude(HostPatterns.parse("203.0.113.0/24")));
        assertThat(get("203.0.113.66", "evil.example")).startsWith("HTTP/1.1 403 ");
    }

    @Test
    void anEmptyListAllowsNothing() throws Exception {
        rig.settings.updateAndGet(settings -> settings.withAllow(Optional.of(HostPatterns.NONE), "no %s, %s"));
        assertThat(get("203.0.113.101", "good.example")).contains(" 403 ", "no good.example, good.example");
    }
}
