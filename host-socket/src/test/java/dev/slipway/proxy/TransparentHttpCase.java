package dev.slipway.proxy;

import java.io.IOException;
import java.util.Optional;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;

/** A guest whose programs know of no proxy, a proxy that answers as it is told, and no other way to the origin. */
abstract class TransparentHttpCase {

    final Queue<String> heads = new ConcurrentLinkedQueue<>();
    ProxyRig rig;

    @BeforeEach
    void start() {
        rig = new ProxyRig();
    }

    @AfterEach
    void stop() throws Exception {
        rig.close();
    }

    void use(ScriptedServer proxy) {
        use("http://127.0.0.1:" + proxy.port());
    }

    void use(String url) {
        rig.settings.set(ProxySettings.none()
                .withProxies(Optional.of(ProxyAddress.parse(url)), Optional.empty(), Optional.empty()));
    }

    void exclude(String patterns) {
        rig.settings.updateAndGet(settings -> settings.withExclude(HostPatterns.parse(patterns)));
    }

    /** Notes each head and answers in one way. */
    ScriptedServer proxy(String response) throws IOException {
        return ScriptedServer.start(connection -> {
            for (String head = connection.readHead(); !head.isEmpty(); head = connection.readHead()) {
                heads.add(head);
                connection.write(response);
            }
        });
    }

    String fetch(String request) throws Exception {
        try (GuestSocket guest = rig.connect(ProxyRig.ORIGIN, 80)) {
            return guest.send(request).readResponse();
        }
    }

    GuestSocket connectWith(ScriptedServer proxy) throws Exception {
        use(proxy);
        return rig.connect(ProxyRig.ORIGIN, 80);
    }
}
