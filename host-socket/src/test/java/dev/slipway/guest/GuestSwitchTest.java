package dev.slipway.guest;

import static org.assertj.core.api.Assertions.assertThat;

import dev.slipway.guest.Payload.Background;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.ExtendWith;

/** Two guests with real kernels on one network: one with offload, by a TAP device, and one without, by a stream. */
@Tag("guest")
@Timeout(120)
@ExtendWith(NeedsNamespaces.class)
class GuestSwitchTest {

    private static final int MIB = 1 << 20;
    private static final Duration SOON = Duration.ofSeconds(10);
    private static final String TAP_MAC = "52:54:00:00:00:0a";
    private static final String STREAM_MAC = "52:54:00:00:00:0b";

    private HostMachine machine;
    private Namespace tap;
    private Namespace stream;
    private String ofTap;
    private String ofStream;

    private void start(String... options) throws IOException {
        tap = Namespace.create("tap");
        String[] all = new String[options.length + 2];
        all[0] = "--vm";
        all[1] = "tap:" + tap.name() + "/eth0";
        System.arraycopy(options, 0, all, 2, options.length);
        machine = HostMachine.start(Backend.SLIPWAY, all);
        machine.add(tap);
        stream = machine.add(Namespace.create("stream"));
        TapRelay relay = machine.add(new TapRelay(stream.call(() -> LinuxCalls.openTap("eth0"))));
        stream.ip("link set eth0 address " + STREAM_MAC + " txqueuelen 20000");
        for (Namespace guest : List.of(tap, stream)) {
            // Addresses of IPv6 are usable at once.
            guest.sysctl("ipv6/conf/eth0/accept_dad", "0");
        }
        tap.ip("link set eth0 down");
        tap.ip("link set eth0 address " + TAP_MAC);
        tap.ip("link set eth0 up");
        stream.ip("link set eth0 up");
        relay.connect(machine.socket());
        ofTap = lease(tap);
        ofStream = lease(stream);
        assertThat(ofTap).isNotEqualTo(ofStream);
    }

    @AfterEach
    void stop() {
        if (machine != null) {
            machine.close();
        }
    }

    private String lease(Namespace guest) throws IOException {
        String script = Lease.writeScript(machine.directory()).toString();
        guest.run("busybox", "udhcpc", "-i", "eth0", "-f", "-n", "-q", "-t", "10", "-T", "1", "-s", script)
                .orFail();
        return Lease.take(machine.directory()).address();
    }

    private static boolean pings(Namespace from, String... to) throws IOException {
        return pings("2", from, to);
    }

    /** For what is not to be answered, and would be at once. */
    private static boolean pingsInVain(Namespace from, String... to) throws IOException {
        return !pings("0.2", from, to);
    }

    private static boolean pings(String seconds, Namespace from, String... to) throws IOException {
        List<String> words = new ArrayList<>(List.of("ping", "-c", "1", "-n", "-W", seconds));
        words.addAll(List.of(to));
        return from.run(words.toArray(String[]::new)).exit() == 0;
    }

    @Test
    void theyTalkByEachKindOfChannelAndTheOneWithOffloadKeepsItsLargeUnits() throws IOException {
        start("--ipv6", "on");
        assertThat(pings(tap, ofStream)).isTrue();
        assertThat(pings(stream, ofTap)).isTrue();
        assertThat(pings(stream, "-s", "20000", ofTap)).as("in fragments").isTrue();
        Await.until("link-local addresses are usable", SOON, () -> pings(tap, "-6", "fe80::5054:ff:fe00:b%eth0"));
        assertThat(pings(stream, "-6", "fe80::5054:ff:fe00:a%eth0")).isTrue();
        assertThat(pingsInVain(tap, "-b", "192.168.65.255")).isTrue();

        transfer(tap, stream, ofStream);
        transfer(stream, tap, ofTap);
        // And the gateway is there for both, still.
        assertThat(pings(tap, Backend.SLIPWAY.gateway())).isTrue();
        assertThat(pings(stream, Backend.SLIPWAY.gateway())).isTrue();

        long unit = value(tap, "bytesToVms") / value(tap, "framesToVms");
        assertThat(unit).as("bytes of a frame from the VM with offload").isGreaterThan(4_000);
        assertThat(value(stream, "bytesToVms") / value(stream, "framesToVms"))
                .as("bytes of a frame from the VM without")
                .isLessThan(1_515);
        assertThat(value(stream, "bytesToGuest") / value(stream, "framesToGuest"))
                .as("bytes of a frame that was cut")
                .isLessThan(1_515);
        for (Namespace guest : List.of(tap, stream)) {
            assertThat(value(guest, "stackFailures")).isZero();
            assertThat(value(guest, "linkFailures")).isZero();
            assertThat(status(guest)).doesNotContain("\"spoof\"", "\"offload\"");
        }
        assertThat(machine.backendOutput()).doesNotContain("LEAK:");
    }

    private static void transfer(Namespace from, Namespace to, String address) throws IOException {
        try (ServerSocketChannel listener = to.listen(address, 0);
                SocketChannel client = from.connect(
                        new InetSocketAddress(address, ((InetSocketAddress) listener.getLocalAddress()).getPort()),
                        NamespaceGuest.CONNECT);
                SocketChannel server = listener.accept()) {
            for (List<SocketChannel> way : List.of(List.of(client, server), List.of(server, client))) {
                Payload payload = Payload.next();
                Background<Long> sending = payload.sendInBackground(way.get(0), 16L * MIB);
                payload.receive(way.get(1), 16L * MIB);
                sending.join();
            }
        }
    }

    @Test
    void neitherTakesTheOthersAddressOrTheGateways() throws IOException {
        start();
        assertThat(pings(stream, ofTap)).isTrue();
        assertThat(pings(stream, Backend.SLIPWAY.gateway())).isTrue();
        for (String claimed : List.of(Backend.SLIPWAY.gateway(), Backend.SLIPWAY.host(), ofStream)) {
            tap.ip("address add " + claimed + "/32 dev eth0");
            tap.run("busybox", "arping", "-U", "-c", "1", "-I", "eth0", "-s", claimed, claimed);
            String other = claimed.equals(ofStream) ? Backend.SLIPWAY.gateway() : ofStream;
            assertThat(pingsInVain(tap, "-I", claimed, other)).isTrue();
            tap.ip("address del " + claimed + "/32 dev eth0");
        }
        assertThat(value(tap, "spoof")).isGreaterThanOrEqualTo(6);
        assertThat(neighbour(stream, Backend.SLIPWAY.gateway())).contains("5a:94:ef:e4:0c:dd");
        assertThat(neighbour(stream, ofTap)).contains(TAP_MAC);
        assertThat(pings(stream, Backend.SLIPWAY.gateway())).isTrue();
        // With the other's MAC address nothing of it is heard at all.
        tap.ip("link set eth0 address " + STREAM_MAC);
        assertThat(pingsInVain(tap, Backend.SLIPWAY.gateway())).isTrue();
        tap.ip("link set eth0 address " + TAP_MAC);
        assertThat(machine.backendOutput()).contains("of another VM");
        Await.until("it is heard again", SOON, () -> pings(tap, ofStream));
    }

    private static String neighbour(Namespace guest, String address) throws IOException {
        return guest.run("ip", "neigh", "show", address).orFail().output();
    }

    @Test
    void isolatedTheyDoNotSeeEachOther() throws IOException {
        start("--isolate");
        assertThat(pings(tap, Backend.SLIPWAY.gateway())).isTrue();
        assertThat(pings(stream, Backend.SLIPWAY.gateway())).isTrue();
        assertThat(pingsInVain(tap, ofStream)).isTrue();
        assertThat(pingsInVain(stream, ofTap)).isTrue();
        assertThat(neighbour(stream, ofTap)).doesNotContain(TAP_MAC);
        assertThat(status(tap)).doesNotContain("framesToVms");
    }

    /** What is told of one of the two VMs. */
    private String status(Namespace guest) throws IOException {
        String api = machine.apiSocket().toString();
        String all = machine.host()
                .run("curl", "-sS", "-m", "5", "--unix-socket", api, "http://x/v1/status")
                .orFail()
                .output();
        int second = all.indexOf("\"tap:");
        return guest == tap ? all.substring(second) : all.substring(0, second);
    }

    private long value(Namespace guest, String counter) throws IOException {
        return Long.parseLong(status(guest).replaceAll("(?s).*\"" + counter + "\":([0-9]+).*", "$1"));
    }
}
