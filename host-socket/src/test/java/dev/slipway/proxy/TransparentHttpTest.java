package dev.slipway.proxy;

import static org.assertj.core.api.Assertions.assertThat;

import dev.slipway.proxy.ScriptedServer.Connection;
import java.util.Set;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Programs of the guest that know of no proxy speak HTTP to servers of the web: what is asked of whom. */
@Tag("transport")
@Timeout(120)
final class TransparentHttpTest extends TransparentHttpCase {

    @Test
    void aRequestGoesToTheProxyInAbsoluteFormByTheNameInHost() throws Exception {
        try (ScriptedServer proxy = ScriptedServer.mirror()) {
            use(proxy);
            assertThat(fetch("GET /a/b?c=d HTTP/1.1\r\nHost: www.example.com\r\nUser-Agent: me\r\n\r\n"))
                    .startsWith("HTTP/1.1 200 OK\r\n")
                    .endsWith("GET http://www.example.com/a/b?c=d HTTP/1.1\r\nHost: www.example.com\r\n"
                            + "User-Agent: me\r\n\r\n");
            assertThat(rig.asked).isEmpty();
        }
    }

    @Test
    void whatTheClientSaysOfItselfIsKeptAndWhatIsForThisHopIsNot() throws Exception {
        try (ScriptedServer proxy = ScriptedServer.mirror()) {
            use(proxy);
            assertThat(fetch("GET / HTTP/1.1\r\nHost: a.b\r\nAuthorization: Basic dTpw\r\nX-Mine: 1\r\n"
                            + "Connection: X-Hop\r\nX-Hop: 2\r\nProxy-Connection: keep-alive\r\nTE: trailers\r\n"
                            + "Proxy-Authorization: Basic eDp5\r\n\r\n"))
                    .contains("\r\nAuthorization: Basic dTpw\r\n", "\r\nX-Mine: 1\r\n")
                    .doesNotContain("X-Hop", "Proxy-Connection", "TE:", "Proxy-Authorization");
        }
    }

    @Test
    void withoutAHostFieldTheAddressIsAskedFor() throws Exception {
        try (ScriptedServer proxy = ScriptedServer.mirror()) {
            use(proxy);
            assertThat(fetch("GET /x HTTP/1.0\r\n\r\n"))
                    .contains("GET http://203.0.113.7/x HTTP/1.0\r\nHost: 203.0.113.7\r\n");
            assertThat(fetch("GET /x HTTP/1.1\r\n\r\n")).contains("GET http://203.0.113.7/x HTTP/1.1\r\n");
        }
    }

    @Test
    void theDialledPortCountsWhateverTheHostFieldSays() throws Exception {
        try (ScriptedServer proxy = ScriptedServer.mirror()) {
            use(proxy);
            rig.settings.updateAndGet(
                    settings -> settings.withPorts(Set.of(80, 8080), Set.of(443), ProxySettings.Opaque.PROXY));
            try (GuestSocket guest = rig.connect(ProxyRig.ORIGIN, 8080)) {
                assertThat(guest.send("GET / HTTP/1.1\r\nHost: a.b:22\r\n\r\n").readResponse())
                        .contains("GET http://a.b:8080/ HTTP/1.1\r\nHost: a.b:8080\r\n");
            }
        }
    }

    @Test
    void anAbsoluteUrlOfTheClientCountsBeforeItsHostField() throws Exception {
        try (ScriptedServer proxy = ScriptedServer.mirror()) {
            use(proxy);
            assertThat(fetch("GET http://real.example/x HTTP/1.1\r\nHost: other.example\r\n\r\n"))
                    .contains("GET http://real.example/x HTTP/1.1\r\nHost: real.example\r\n")
                    .doesNotContain("other.example");
        }
    }

    @Test
    void theProxyGetsItsCredentialsAndTheGuestNeverSeesThem() throws Exception {
        try (ScriptedServer proxy = proxy("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")) {
            use("http://corp:secret@127.0.0.1:" + proxy.port());
            assertThat(fetch("GET / HTTP/1.1\r\nHost: a.b\r\n\r\n")).endsWith("ok");
            assertThat(heads.poll()).contains("\r\nProxy-Authorization: Basic Y29ycDpzZWNyZXQ=\r\n");
        }
    }

    @Test
    void credentialsThatTheProxyDoesNotTakeAreAFailureTheGuestIsToldOf() throws Exception {
        try (ScriptedServer proxy =
                proxy("HTTP/1.1 407 Auth\r\nProxy-Authenticate: Basic realm=x\r\nContent-Length: 0\r\n\r\n")) {
            use("http://corp:secret@127.0.0.1:" + proxy.port());
            assertThat(fetch("GET / HTTP/1.1\r\nHost: a.b\r\n\r\n"))
                    .startsWith("HTTP/1.1 502 ")
                    .contains("does not take the credentials")
                    .doesNotContain("secret", "corp", "Proxy-Authenticate");
            assertThat(rig.counters().refusedByProxy()).isEqualTo(1);
        }
    }

    @Test
    void errorsOfTheProxyReachTheClient() throws Exception {
        try (ScriptedServer proxy = proxy("HTTP/1.1 403 Filtered\r\nContent-Length: 6\r\n\r\nno way")) {
            use(proxy);
            assertThat(fetch("GET / HTTP/1.1\r\nHost: a.b\r\n\r\n"))
                    .startsWith("HTTP/1.1 403 Filtered\r\n")
                    .endsWith("no way");
        }
    }

    @Test
    void aProxyThatIsGoneIsToldInHttp() throws Exception {
        ScriptedServer proxy = ScriptedServer.mirror();
        proxy.close();
        use(proxy);
        assertThat(fetch("GET / HTTP/1.1\r\nHost: a.b\r\n\r\n"))
                .startsWith("HTTP/1.1 502 ")
                .contains("Connection: close")
                .contains("refuses connections");
        assertThat(rig.counters().failures()).isEqualTo(1);
    }

    @Test
    void aProxyWhoseNameIsUnknownIsToldInHttp() throws Exception {
        use("http://proxy.corp.test:3128");
        assertThat(fetch("GET / HTTP/1.1\r\nHost: a.b\r\n\r\n"))
                .startsWith("HTTP/1.1 502 ")
                .contains("proxy.corp.test has no address");
    }

    @ParameterizedTest
    @ValueSource(strings = {"127.0.0.1", "localhost", "host.docker.internal", "host.containers.internal"})
    void aProxyOfTheHostIsFoundByItsOwnNames(String host) throws Exception {
        try (ScriptedServer proxy = ScriptedServer.mirror()) {
            use("http://corp:secret@" + host + ":" + proxy.port());
            assertThat(fetch("GET / HTTP/1.1\r\nHost: a.b\r\n\r\n"))
                    .startsWith("HTTP/1.1 200")
                    .contains("GET http://a.b/ HTTP/1.1", "Proxy-Authorization: Basic Y29ycDpzZWNyZXQ=");
        }
    }

    @Test
    void aProxyIsFoundByItsName() throws Exception {
        try (ScriptedServer proxy = ScriptedServer.mirror()) {
            rig.names.put("proxy.corp.test", "203.0.113.99");
            use("http://proxy.corp.test:" + proxy.port());
            assertThat(fetch("GET / HTTP/1.1\r\nHost: a.b\r\n\r\n")).startsWith("HTTP/1.1 200");
        }
    }

    @Test
    void aProxyThatHangsUpBeforeItAnswersIsToldInHttp() throws Exception {
        try (ScriptedServer proxy = ScriptedServer.start(Connection::readHead)) {
            use(proxy);
            assertThat(fetch("GET / HTTP/1.1\r\nHost: a.b\r\n\r\n"))
                    .startsWith("HTTP/1.1 502 ")
                    .contains("hung up");
        }
    }

    @Test
    void aProxyThatSpeaksSomethingElseIsToldInHttp() throws Exception {
        try (ScriptedServer proxy = proxy("SSH-2.0-OpenSSH_9.2\r\n\r\n")) {
            use(proxy);
            assertThat(fetch("GET / HTTP/1.1\r\nHost: a.b\r\n\r\n"))
                    .startsWith("HTTP/1.1 502 ")
                    .contains("is not HTTP")
                    .doesNotContain("OpenSSH");
        }
    }

    @Test
    void anAddressOrNetworkThatIsExcludedIsNotEvenLookedAt() throws Exception {
        try (ScriptedServer proxy = ScriptedServer.mirror()) {
            use(proxy);
            exclude("203.0.113.7, 198.51.100.0/24");
            rig.dial(ProxyRig.ORIGIN, 80).failure.get();
            rig.dial("198.51.100.200", 80).failure.get();
            assertThat(rig.direct).containsExactly("203.0.113.7:80", "198.51.100.200:80");
            assertThat(rig.counters().open()).isZero();
        }
    }

    @Test
    void aNameThatIsExcludedGoesToTheAddressThatWasDialled() throws Exception {
        try (ScriptedServer proxy = ScriptedServer.mirror();
                ScriptedServer origin = ScriptedServer.mirror()) {
            use(proxy);
            rig.settings.updateAndGet(
                    settings -> settings.withPorts(Set.of(origin.port()), Set.of(443), ProxySettings.Opaque.PROXY));
            exclude("direct.example, *.wild.example");
            for (String host : new String[] {"direct.example", "www.direct.example", "a.wild.example"}) {
                try (GuestSocket guest = rig.connect(ProxyRig.ORIGIN, origin.port())) {
                    assertThat(guest.send("GET /x HTTP/1.1\r\nHost: " + host + "\r\n\r\n")
                                    .readResponse())
                            .contains("GET /x HTTP/1.1\r\nHost: " + host + "\r\n");
                }
            }
            assertThat(proxy.connections).hasValue(0);
            try (GuestSocket guest = rig.connect(ProxyRig.ORIGIN, origin.port())) {
                assertThat(guest.send("GET /x HTTP/1.1\r\nHost: wild.example\r\n\r\n")
                                .readResponse())
                        .contains("GET http://wild.example:");
            }
            assertThat(rig.asked).isEmpty();
        }
    }

    @Test
    void ourOwnNamesAndAddressesNeverGoToTheProxy() throws Exception {
        try (ScriptedServer proxy = ScriptedServer.mirror();
                ScriptedServer origin = ScriptedServer.mirror()) {
            use(proxy);
            rig.near.add("192.168.65.254");
            rig.dial("192.168.65.254", 80).failure.get();
            assertThat(rig.direct).containsExactly("192.168.65.254:80");
            rig.settings.updateAndGet(
                    settings -> settings.withPorts(Set.of(origin.port()), Set.of(443), ProxySettings.Opaque.PROXY));
            try (GuestSocket guest = rig.connect(ProxyRig.ORIGIN, origin.port())) {
                assertThat(guest.send("GET /x HTTP/1.1\r\nHost: host.docker.internal\r\n\r\n")
                                .readResponse())
                        .contains("GET /x HTTP/1.1");
            }
            assertThat(proxy.connections).hasValue(0);
        }
    }

    @Test
    void aSocksProxyGetsTheNameAndTheRequestAsItCame() throws Exception {
        try (ScriptedServer proxy = ScriptedServer.start(connection -> {
            assertThat(connection.read(4)).isEqualTo("\5\2\0\2");
            connection.write("\5\2");
            assertThat(connection.read(10)).isEqualTo("\1\3uu%\4p@ss".substring(0, 10));
            connection.write("\1\0");
            heads.add(connection.read(4 + 1 + 11 + 2));
            connection.write("\5\0\0\1\0\0\0\0\0\0");
            connection.answer("200 OK", connection.readHead());
        })) {
            use("socks5h://uu%25:p%40ss@127.0.0.1:" + proxy.port());
            assertThat(fetch("GET /x HTTP/1.1\r\nHost: www.example\r\n\r\n"))
                    .contains("GET /x HTTP/1.1\r\nHost: www.example");
            assertThat(heads.poll()).isEqualTo("\5\1\0\3\13www.example\0P");
        }
    }
}
