package dev.slipway.proxy;

import static org.assertj.core.api.Assertions.assertThat;

import dev.slipway.seam.HostStream.ConnectFailure;
import java.io.IOException;
import java.util.Queue;
import java.util.Set;
import java.util.concurrent.ConcurrentLinkedQueue;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * A policy that allows a name of an address which serves others, too: what a connection says that it is for decides, and
 * there is no proxy.
 */
@Tag("transport")
@Timeout(120)
final class NamesOfTheWebTest {

    private final Queue<String> heads = new ConcurrentLinkedQueue<>();
    private ProxyRig rig;
    private ScriptedServer server;

    @BeforeEach
    void start() throws IOException {
        rig = new ProxyRig();
        rig.askedForNames.add(ProxyRig.ORIGIN);
        rig.refused.put("other.example.com", ConnectFailure.PROHIBITED);
        server = ScriptedServer.start(connection -> {
            for (String head = connection.readHead(); !head.isEmpty(); head = connection.readHead()) {
                heads.add(head);
                connection.answer("200 OK", "here");
            }
        });
    }

    @AfterEach
    void stop() throws Exception {
        rig.close();
        server.close();
    }

    private void look(Set<Integer> http, Set<Integer> https) {
        rig.settings.set(ProxySettings.none().withPorts(http, https, ProxySettings.Opaque.PROXY));
    }

    private GuestSocket dial(ScriptedServer to) throws Exception {
        return rig.connect(ProxyRig.ORIGIN, to.port());
    }

    @Test
    void tlsForAHostThatIsAllowedGoesToTheAddressThatWasDialled() throws Exception {
        byte[] hello = ClientHelloTest.hello("www.example.com");
        try (ScriptedServer echo = ScriptedServer.start(ScriptedServer.Connection::echo)) {
            look(Set.of(), Set.of(echo.port()));
            try (GuestSocket guest = dial(echo)) {
                assertThat(guest.send(hello).read(hello.length)).isEqualTo(hello);
                assertThat(guest.sendEnd().readAll()).isEmpty();
            }
            assertThat(rig.asked).as("names that were resolved for it").isEmpty();
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"other.example.com", ""})
    void tlsForAnotherHostOrForNoneIsReset(String name) throws Exception {
        look(Set.of(), Set.of(server.port()));
        try (GuestSocket guest = dial(server)) {
            assertThat(guest.send(ClientHelloTest.hello(name)).awaitReset()).isTrue();
        }
        assertThat(server.connections).hasValue(0);
    }

    @Test
    void whatIsNeitherTlsNorHttpIsReset() throws Exception {
        look(Set.of(server.port()), Set.of());
        try (GuestSocket guest = dial(server)) {
            assertThat(guest.send("SSH-2.0-x\r\n\r\n").awaitReset()).isTrue();
        }
        assertThat(server.connections).hasValue(0);
    }

    @Test
    void eachRequestOfAConnectionIsJudged() throws Exception {
        look(Set.of(server.port()), Set.of());
        try (GuestSocket guest = dial(server)) {
            guest.send("GET / HTTP/1.1\r\nHost: www.example.com\r\n\r\n");
            assertThat(guest.readHead()).startsWith("HTTP/1.1 200");
            assertThat(guest.readText(4)).isEqualTo("here");
            guest.send("GET / HTTP/1.1\r\nHost: other.example.com\r\n\r\n");
            assertThat(guest.readHead()).startsWith("HTTP/1.1 403");
        }
        assertThat(heads).singleElement().asString().contains("Host: www.example.com");
    }

    /** What is judged is the URL, so that is what the server has to read. */
    @Test
    void anotherHostBesideAUrlDoesNotReachTheServer() throws Exception {
        look(Set.of(server.port()), Set.of());
        rig.names.put("www.example.com", ProxyRig.ORIGIN);
        String url = "http://www.example.com:" + server.port() + "/";
        try (GuestSocket guest = dial(server)) {
            guest.send("GET " + url + " HTTP/1.1\r\nHost: other.example.com\r\n\r\n");
            assertThat(guest.readHead()).startsWith("HTTP/1.1 200");
        }
        assertThat(heads)
                .singleElement()
                .asString()
                .contains("Host: www.example.com:" + server.port())
                .doesNotContain("other");
    }

    @Test
    void aRequestForNoHostIsRefused() throws Exception {
        look(Set.of(server.port()), Set.of());
        try (GuestSocket guest = dial(server)) {
            guest.send("GET / HTTP/1.0\r\n\r\n");
            assertThat(guest.readHead()).startsWith("HTTP/1.1 403");
        }
        assertThat(server.connections).hasValue(0);
    }

    @Test
    void anAddressThatIsAllowedByItselfIsNotLookedInto() throws Exception {
        rig.askedForNames.clear();
        look(Set.of(server.port()), Set.of());
        rig.dial(ProxyRig.ORIGIN, server.port()).failure.get();
        assertThat(rig.direct).containsExactly(ProxyRig.ORIGIN + ":" + server.port());
    }
}
