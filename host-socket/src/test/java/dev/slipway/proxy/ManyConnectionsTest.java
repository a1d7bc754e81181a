package dev.slipway.proxy;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** A thousand proxied connections at a time, and nothing left of them. */
@Timeout(300)
final class ManyConnectionsTest {

    private static final int CONNECTIONS = 1_000;

    private static long descriptors() throws IOException {
        Path folder = Path.of("/proc/self/fd");
        if (!Files.isDirectory(folder)) {
            return 0;
        }
        try (Stream<Path> all = Files.list(folder)) {
            return all.count();
        }
    }

    @Test
    void aThousandAtATimeAndNothingLeaks() throws Exception {
        byte[] hello = ClientHelloTest.hello("www.example.com");
        try (ProxyRig rig = new ProxyRig();
                ScriptedServer web = ScriptedServer.mirror();
                ScriptedServer tunnels = ScriptedServer.start(connection -> {
                    connection.readHead();
                    connection.write("HTTP/1.1 200 OK\r\n\r\n");
                    connection.echo();
                })) {
            rig.settings.set(ProxySettings.none()
                    .withProxies(
                            Optional.of(ProxyAddress.parse(web.url())),
                            Optional.of(ProxyAddress.parse(tunnels.url())),
                            Optional.empty()));
            rig.connect(ProxyRig.ORIGIN, 80).close();
            long before = descriptors();
            for (boolean inOrder : new boolean[] {true, false}) {
                round(rig, hello, inOrder);
            }
            // The scripts' own ends close on their threads.
            long begin = System.nanoTime();
            while (descriptors() > before + 20 && System.nanoTime() - begin < 30_000_000_000L) {
                Thread.onSpinWait();
            }
            assertThat(descriptors()).isLessThanOrEqualTo(before + 20);
            assertThat(rig.counters().failures()).isZero();
            assertThat(rig.call(rig.budget::held)).isZero();
        }
    }

    /** Each ends in order, or is reset by the guest with bytes under way. */
    private static void round(ProxyRig rig, byte[] hello, boolean inOrder) throws Exception {
        List<GuestSocket> guests = new ArrayList<>();
        for (int i = 0; i < CONNECTIONS; i++) {
            boolean tls = i % 2 == 0;
            GuestSocket guest = rig.connect(ProxyRig.ORIGIN, tls ? 443 : 80);
            guests.add(guest);
            guest.send(tls ? hello : ("GET /" + i + " HTTP/1.1\r\nHost: a.b\r\n\r\n").getBytes());
        }
        for (int i = 0; i < CONNECTIONS; i++) {
            GuestSocket guest = guests.get(i);
            if (i % 2 == 0) {
                assertThat(guest.read(hello.length)).isEqualTo(hello);
            } else {
                assertThat(guest.readResponse()).contains("GET http://a.b/" + i + " HTTP/1.1");
            }
        }
        assertThat(rig.call(() -> rig.counters().open())).isEqualTo(CONNECTIONS);
        for (GuestSocket guest : guests) {
            if (inOrder) {
                guest.sendEnd();
            } else {
                guest.send(new byte[20_000]);
            }
        }
        for (GuestSocket guest : guests) {
            if (inOrder) {
                assertThat(guest.readAll()).isEmpty();
            }
            guest.close();
        }
        rig.until("all are gone", () -> rig.counters().open() == 0 && rig.budget.held() == 0);
    }
}
