package dev.slipway.guest;

import static org.assertj.core.api.Assertions.assertThat;

import dev.slipway.guest.Payload.Background;
import dev.slipway.guest.QemuMachine.Console;
import java.io.IOException;
import java.net.ConnectException;
import java.net.InetSocketAddress;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.ConditionEvaluationResult;
import org.junit.jupiter.api.extension.ExecutionCondition;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.extension.ExtensionContext;

/** Two kernels on one network: one in a machine of its own, on its own memory by vhost-user, and one on a stream. */
@Tag("guest")
@Timeout(120)
@ExtendWith({NeedsNamespaces.class, GuestVhostSwitchTest.Condition.class})
class GuestVhostSwitchTest {

    private static final long BULK = 2 << 20;
    private static final Duration SOON = Duration.ofSeconds(30);
    private static final String GATEWAY = Backend.SLIPWAY.gateway();
    private static final String GATEWAY_MAC = "5a:94:ef:e4:0c:dd";
    private static final String VHOST = "vhost-user:";

    /** What the machine does: %1$s is the other guest, %2$s the gateway, %3$d and %4$d ports of the other. */
    private static final String COMMANDS = FirstFiles.LEASE + """
        ping -c 1 -W 5 %1$s
        nc %1$s %3$d < /dev/null > /tmp/bulk
        nc %1$s %4$d < /tmp/bulk
        nc -l -p 5000 < /tmp/bulk
        ip address add %1$s/32 dev eth0
        arping -U -c 1 -I eth0 -s %1$s %1$s &
        ! ping -c 1 -W 1 -I %1$s %2$s || echo "@@ took %1$s"
        ip address del %1$s/32 dev eth0
        ip address add %2$s/32 dev eth0
        arping -U -c 1 -I eth0 -s %2$s %2$s || true
        ip address del %2$s/32 dev eth0
        mkdir -p /tmp/udhcpd
        : > /tmp/udhcpd/leases
        printf 'interface eth0\\nstart 192.168.65.150\\nend 192.168.65.160\\nlease_file /tmp/udhcpd/leases\\n' > /tmp/udhcpd/conf
        udhcpd -S /tmp/udhcpd/conf
        echo "@@ claimed all"
        nc -l -p 5001 < /dev/null
        ping -c 1 -W 5 %1$s
        ping -c 1 -W 5 %2$s
        for a in %1$s %2$s; do echo "@@ arp-$a $(grep "^$a " /proc/net/arp)"; done
        """;

    @Test
    void theyTalkAndNeitherPassesForTheOtherTheGatewayOrADhcpServer() throws IOException {
        try (HostMachine machine =
                HostMachine.start(Backend.SLIPWAY, "--vm", VHOST + HostMachine.IN_FOLDER + "/vhost.sock")) {
            Namespace stream = machine.add(Namespace.create("stream"));
            TapRelay relay = machine.add(new TapRelay(stream.call(() -> LinuxCalls.openTap("eth0"))));
            FrameCapture seen = new FrameCapture();
            stream.ip("link set eth0 txqueuelen 20000");
            stream.ip("link set eth0 up");
            relay.connect(machine.socket());
            String address = TwoGuests.lease(machine, stream).address();
            Payload payload = Payload.next();
            try (ServerSocketChannel down = stream.listen(address, 0);
                    ServerSocketChannel up = stream.listen(address, 0)) {
                Background<Long> sending = Background.start(new AtomicLong(), () -> {
                    try (SocketChannel guest = down.accept()) {
                        payload.send(guest, BULK);
                    }
                    return BULK;
                });
                Background<Long> receiving = Background.start(new AtomicLong(), () -> {
                    try (SocketChannel guest = up.accept()) {
                        payload.receiveAll(guest, BULK);
                    }
                    return BULK;
                });
                Path socket = machine.directory().resolve("vhost.sock");
                Await.until("the backend listens on " + socket, SOON, () -> Files.exists(socket));
                Subprocess vm = UserModeMachine.start(
                        machine, socket, COMMANDS.formatted(address, GATEWAY, port(down), port(up)));
                sending.join();
                receiving.join();
                String ofVm = said(vm, "lease").split(" ")[0];
                assertThat(ofVm).isNotEqualTo(address);
                try (SocketChannel connection = connect(stream, ofVm, 5_000)) {
                    payload.receiveAll(connection, BULK);
                }
                said(vm, "claimed");
                relay.captureTo(seen);
                stream.run("ping", "-c", "1", "-n", "-W", "2", GATEWAY).orFail();
                assertThat(neighbour(stream, GATEWAY)).isEqualTo(GATEWAY_MAC);
                Lease again = TwoGuests.lease(machine, stream);
                assertThat(again.values().get("serverid")).isEqualTo(GATEWAY);
                assertThat(again.address()).isEqualTo(address);
                assertThat(seen.frames().stream()
                                .filter(GuestVhostSwitchTest::isFromDhcpServer)
                                .map(frame -> HexFormat.ofDelimiter(":").formatHex(frame, 6, 12))
                                .distinct())
                        .as("who serves DHCP")
                        .containsExactly(GATEWAY_MAC);
                for (String claimed : List.of(ofVm, GATEWAY)) {
                    stream.ip("address add " + claimed + "/32 dev eth0");
                    stream.run("busybox", "arping", "-U", "-c", "1", "-I", "eth0", "-s", claimed, claimed);
                    assertThat(pings(stream, "-I", claimed, claimed.equals(ofVm) ? GATEWAY : ofVm))
                            .isFalse();
                    stream.ip("address del " + claimed + "/32 dev eth0");
                }
                connect(stream, ofVm, 5_001).close();
                assertThat(vm.awaitExit(SOON)).as("it powers off").isTrue();
                Console console = new Console(vm.output());
                assertThat(console.said("exit"))
                        .as("exit status of %s", console)
                        .isEqualTo("0");
                assertThat(console.text()).doesNotContain("@@ took");
                String mac = stream.run("cat", "/sys/class/net/eth0/address")
                        .orFail()
                        .output()
                        .strip();
                assertThat(console.said("arp-" + address)).contains(mac);
                assertThat(console.said("arp-" + GATEWAY)).contains(GATEWAY_MAC);
            }
            BackendStatus ofVhost = machine.status(VHOST);
            assertThat(ofVhost.count("spoof")).isGreaterThanOrEqualTo(3);
            assertThat(ofVhost.count("ringsBroken")).isZero();
            assertThat(ofVhost.count("badOffloadsFromGuest")).isZero();
            assertThat(machine.status("qemu:").count("spoof")).isGreaterThanOrEqualTo(4);
            assertThat(machine.backendOutput()).doesNotContain("ERROR", "LEAK:");
        }
    }

    /** IPv4 without options, UDP, from port 67. */
    private static boolean isFromDhcpServer(byte[] frame) {
        return frame.length > 36
                && frame[12] == 8
                && frame[13] == 0
                && frame[23] == 17
                && frame[34] == 0
                && frame[35] == 67;
    }

    private static int port(ServerSocketChannel listener) throws IOException {
        return ((InetSocketAddress) listener.getLocalAddress()).getPort();
    }

    private static SocketChannel connect(Namespace from, String address, int port) throws IOException {
        SocketChannel[] connection = new SocketChannel[1];
        Await.until("something listens at " + port, SOON, () -> {
            try {
                connection[0] = from.connect(new InetSocketAddress(address, port), NamespaceGuest.CONNECT);
                return true;
            } catch (ConnectException e) {
                return false;
            }
        });
        return connection[0];
    }

    private static boolean pings(Namespace from, String... to) throws IOException {
        List<String> words = new ArrayList<>(List.of("ping", "-c", "1", "-n", "-W", "0.2"));
        words.addAll(List.of(to));
        return from.run(words.toArray(String[]::new)).exit() == 0;
    }

    private static String neighbour(Namespace guest, String address) throws IOException {
        return guest.run("ip", "neigh", "show", "to", address)
                .orFail()
                .output()
                .replaceAll("(?s).*lladdr (\\S+).*", "$1");
    }

    private static String said(Subprocess vm, String keyword) throws IOException {
        Await.until(
                "the machine says " + keyword,
                SOON,
                () -> !vm.isAlive() || !new Console(vm.output()).said(keyword).startsWith("not said: "));
        return new Console(vm.output()).said(keyword);
    }

    /** Skips where User Mode Linux is missing. */
    static final class Condition implements ExecutionCondition {
        @Override
        public ConditionEvaluationResult evaluateExecutionCondition(ExtensionContext context) {
            return GuestTests.condition(Prerequisites.missingForUserModeLinux(), context);
        }
    }
}
