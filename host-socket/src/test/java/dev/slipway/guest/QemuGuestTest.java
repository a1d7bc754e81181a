package dev.slipway.guest;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.sun.net.httpserver.HttpServer;
import dev.slipway.guest.QemuMachine.Attachment;
import dev.slipway.guest.QemuMachine.Console;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Duration;
import java.util.HexFormat;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.ConditionEvaluationResult;
import org.junit.jupiter.api.extension.ExecutionCondition;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.junit.jupiter.api.io.TempDir;

/**
 * A real virtual machine is online: address, names, 64 MiB down and up, power-off, and again. As root on namespaces
 * with an internet; otherwise on this machine's localhost alone.
 */
@Tag("guest")
@ExtendWith(QemuGuestTest.Condition.class)
class QemuGuestTest {

    private static final Backend BACKEND = Backend.chosen();
    private static final int BULK = 64 << 20;
    private static final Duration FIRST_RUN = Duration.ofSeconds(80);
    private static final Duration SECOND_RUN = Duration.ofSeconds(30);

    @Test
    @Timeout(120)
    void machineIsOnlineAndSoItIsWhenItStartsAgain(@TempDir Path directory) throws IOException {
        boolean privileged = Prerequisites.missingForNamespaces().isEmpty();
        try (HostMachine host = privileged ? HostMachine.start(BACKEND) : HostMachine.startWithoutPrivileges(BACKEND);
                Servers servers = Servers.start(host)) {
            QemuMachine machine = new QemuMachine(directory, Attachment.STREAM);
            Console first = machine.run(host.host(), host.socket(), servers.commands(), FIRST_RUN);
            assertThat(first.said("exit")).as("exit status of %s", first).isEqualTo("0");
            String lease = first.said("lease");
            assertThat(lease).matches("\\Q" + BACKEND.subnet() + "\\E\\d+ \\Q" + BACKEND.gateway() + "\\E \\S+ 1500");
            assertThat(first.said("down")).isEqualTo(servers.digest());
            assertThat(first.said("up")).isEqualTo(servers.digest());

            Console second = machine.run(
                    host.host(), host.socket(), FirstFiles.LEASE + "ping -c 2 " + BACKEND.host(), SECOND_RUN);
            assertThat(second.said("exit")).as("exit status of %s", second).isEqualTo("0");
            assertThat(second.said("lease")).as("the lease after a restart").isEqualTo(lease);
        }
    }

    /** By vhost-user: 64 MiB each way, the driver unloaded and loaded again, the machine reset, and the next machine. */
    @Test
    @Timeout(120)
    void machineOnItsOwnMemoryIsOnlineAndSoItIsAfterEachReset(@TempDir Path directory) throws IOException {
        assumeTrue(BACKEND == Backend.SLIPWAY, "one socket of a peer's is for one kind of guest");
        try (HostMachine host = HostMachine.startWithoutPrivileges(BACKEND, "--vm", "vhost-user:{folder}/vhost.sock");
                Servers servers = Servers.start(host)) {
            Path socket = host.directory().resolve("vhost.sock");
            Await.until("the backend listens on " + socket, SECOND_RUN, () -> Files.exists(socket));
            QemuMachine machine = new QemuMachine(directory, Attachment.VHOST_USER);
            Console console = machine.run(host.host(), socket, servers.commandsWithResets(), FIRST_RUN);
            assertThat(console.said("exit")).as("exit status of %s", console).isEqualTo("0");
            assertThat(console.said("lease")).startsWith(BACKEND.subnet());
            assertThat(console.said("down")).isEqualTo(servers.digest());
            assertThat(console.said("up")).isEqualTo(servers.digest());
            assertThat(console.said("driver")).isEqualTo("again");
            assertThat(console.said("boot")).isEqualTo("again");
            BackendStatus status = host.status();
            assertThat(status.count("ringsBroken")).isZero();
            assertThat(status.count("badOffloadsFromGuest")).isZero();
            assertThat(host.backendOutput()).contains("guest attached").doesNotContain("ERROR");
        }
    }

    /** A page of 64 MiB, and a server that answers what it was sent with its digest. */
    private record Servers(HttpServer web, ServerSocketChannel uploads, String name, String address, String digest)
            implements AutoCloseable {

        static Servers start(HostMachine host) throws IOException {
            Namespace place = host.hasInternet() ? host.internet() : host.host();
            String bind = host.hasInternet() ? HostMachine.INTERNET : "127.0.0.1";
            Payload payload = Payload.next();
            HttpServer web = place.call(() -> HttpServer.create(new InetSocketAddress(bind, 0), 16));
            web.createContext("/bulk", exchange -> {
                exchange.sendResponseHeaders(200, BULK);
                exchange.getResponseBody().write(payload.first(BULK).array(), 0, BULK);
                exchange.close();
            });
            AtomicInteger starts = new AtomicInteger();
            web.createContext("/starts", exchange -> {
                byte[] count = Integer.toString(starts.incrementAndGet()).getBytes(StandardCharsets.US_ASCII);
                exchange.sendResponseHeaders(200, count.length);
                exchange.getResponseBody().write(count);
                exchange.close();
            });
            web.start();
            ServerSocketChannel uploads = place.listen(bind, 0);
            Payload.Background.start(new AtomicLong(), () -> answerWithDigest(uploads));
            MessageDigest digest = sha256();
            digest.update(payload.first(BULK));
            String name = host.hasInternet() ? "www.example.test" : "host.docker.internal";
            String address = host.hasInternet() ? HostMachine.INTERNET : BACKEND.host();
            return new Servers(web, uploads, name, address, hex(digest));
        }

        /** At the first start all of it and a reset; at the second, which the web server tells from it, not much. */
        String commandsWithResets() throws IOException {
            String base = "http://" + BACKEND.host() + ":" + web.getAddress().getPort();
            return """
                %sif [ $(wget -q -O - %s/starts) = 2 ]; then echo "@@ boot again"; exit 0; fi
                """.formatted(FirstFiles.LEASE, base)
                    + commands().replace(FirstFiles.LEASE, "")
                    + """
                    ip link set eth0 down
                    rmmod virtio_net
                    insmod /modules/virtio_net
                    ip link set eth0 up
                    %sping -c 2 %s
                    echo "@@ driver again"
                    reboot -f
                    """.formatted(FirstFiles.LEASE, BACKEND.host());
        }

        String commands() throws IOException {
            int webPort = web.getAddress().getPort();
            int uploadPort = ((InetSocketAddress) uploads.getLocalAddress()).getPort();
            return FirstFiles.LEASE + """
                ping -c 2 %1$s
                nslookup -type=a %2$s
                wget -q -O /tmp/bulk http://%2$s:%3$d/bulk
                echo "@@ down $(sha256sum < /tmp/bulk | cut -d' ' -f1)"
                echo "@@ up $(nc %4$s %5$d < /tmp/bulk)"
                """.formatted(BACKEND.host(), name, webPort, address, uploadPort);
        }

        /** Reads to the guest's end of the stream; answers on the half that is still open. */
        private static Long answerWithDigest(ServerSocketChannel uploads) throws IOException {
            while (true) {
                try (SocketChannel guest = uploads.accept()) {
                    MessageDigest digest = sha256();
                    ByteBuffer bytes = ByteBuffer.allocateDirect(1 << 18);
                    while (guest.read(bytes) >= 0) {
                        digest.update(bytes.flip());
                        bytes.clear();
                    }
                    guest.write(ByteBuffer.wrap((hex(digest) + "\n").getBytes(StandardCharsets.US_ASCII)));
                }
            }
        }

        private static MessageDigest sha256() {
            try {
                return MessageDigest.getInstance("SHA-256");
            } catch (NoSuchAlgorithmException e) {
                throw new IllegalStateException(e);
            }
        }

        private static String hex(MessageDigest digest) {
            return HexFormat.of().formatHex(digest.digest());
        }

        @Override
        public void close() throws IOException {
            web.stop(0);
            uploads.close();
        }
    }

    /** Skips where QEMU or the kernel is missing. */
    static final class Condition implements ExecutionCondition {
        @Override
        public ConditionEvaluationResult evaluateExecutionCondition(ExtensionContext context) {
            return GuestTests.condition(Prerequisites.missingForQemu(), context);
        }
    }
}
