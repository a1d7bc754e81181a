package dev.slipway.guest;

import static org.assertj.core.api.Assertions.assertThat;

import dev.slipway.guest.Payload.Background;
import dev.slipway.guest.TwoGuests.Guest;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.StandardProtocolFamily;
import java.nio.ByteBuffer;
import java.nio.channels.DatagramChannel;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import java.util.regex.Pattern;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.ExtendWith;

/** What two guests on one network can do with each other, and what neither can do to the other. */
@Tag("guest")
@Timeout(120)
@ExtendWith(NeedsNamespaces.class)
class GuestSwitchTest {

    private static final int MIB = 1 << 20;
    private static final Duration SOON = Duration.ofSeconds(10);
    private static final String GATEWAY_MAC = "5a:94:ef:e4:0c:dd";
    private static final String GATEWAY_IPV6 = "fe80::1";
    private static final String GATEWAY_IPV6_OF_THE_NETWORK = "fd65::1";

    /** Far more than all that may be queued takes, on a busy machine too. */
    private static final double LONG_MILLIS = 1_000;

    private static TwoGuests guests;

    @BeforeAll
    static void start() throws IOException {
        guests = TwoGuests.start("--ipv6", "on");
    }

    @AfterAll
    static void stop() {
        if (guests != null) {
            guests.close();
        }
    }

    private static boolean pings(Guest from, String... to) throws IOException {
        return pings("2", from, to);
    }

    /** For what is not to be answered, and would be at once. */
    private static boolean pingsInVain(Guest from, String... to) throws IOException {
        return !pings("0.2", from, to);
    }

    private static boolean pings(String seconds, Guest from, String... to) throws IOException {
        List<String> words = new ArrayList<>(List.of("ping", "-c", "1", "-n", "-W", seconds));
        words.addAll(List.of(to));
        return from.namespace().run(words.toArray(String[]::new)).exit() == 0;
    }

    @Test
    void theyTalkByEachKindOfChannelAndTheOneWithOffloadKeepsItsLargeUnits() throws IOException {
        Guest tap = guests.tap();
        Guest stream = guests.stream();
        long spoofed = guests.count(tap, "spoof") + guests.count(stream, "spoof");
        assertThat(pings(tap, stream.address())).isTrue();
        assertThat(pings(stream, tap.address())).isTrue();
        assertThat(pings(stream, "-s", "20000", tap.address()))
                .as("in fragments")
                .isTrue();
        Await.until("link-local addresses are usable", SOON, () -> pings(tap, "-6", stream.ipv6() + "%eth0"));
        assertThat(pings(stream, "-6", tap.ipv6() + "%eth0")).isTrue();
        assertThat(pingsInVain(tap, "-b", "192.168.65.255")).isTrue();

        transfer(tap, stream);
        transfer(stream, tap);
        // And the gateway is there for both, still.
        assertThat(pings(tap, Backend.SLIPWAY.gateway())).isTrue();
        assertThat(pings(stream, Backend.SLIPWAY.gateway())).isTrue();

        long unit = guests.count(tap, "bytesToVms") / guests.count(tap, "framesToVms");
        assertThat(unit).as("bytes of a frame from the VM with offload").isGreaterThan(4_000);
        assertThat(guests.count(stream, "bytesToVms") / guests.count(stream, "framesToVms"))
                .as("bytes of a frame from the VM without")
                .isLessThan(1_515);
        assertThat(guests.count(stream, "bytesToGuest") / guests.count(stream, "framesToGuest"))
                .as("bytes of a frame that was cut")
                .isLessThan(1_515);
        for (Guest guest : guests.both()) {
            assertThat(guests.count(guest, "stackFailures")).isZero();
            assertThat(guests.count(guest, "linkFailures")).isZero();
            assertThat(guests.count(guest, "offload")).isZero();
        }
        assertThat(guests.count(tap, "spoof") + guests.count(stream, "spoof")).isEqualTo(spoofed);
        assertThat(guests.machine().backendOutput()).doesNotContain("LEAK:");
    }

    private static void transfer(Guest from, Guest to) throws IOException {
        try (ServerSocketChannel listener = to.namespace().listen(to.address(), 0);
                SocketChannel client = from.namespace()
                        .connect((InetSocketAddress) listener.getLocalAddress(), NamespaceGuest.CONNECT);
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
        for (Guest thief : guests.both()) {
            Guest other = guests.otherThan(thief);
            assertThat(pings(other, thief.address())).isTrue();
            assertThat(pings(other, Backend.SLIPWAY.gateway())).isTrue();
            long dropped = guests.count(thief, "spoof");
            for (String claimed : List.of(Backend.SLIPWAY.gateway(), Backend.SLIPWAY.host(), other.address())) {
                thief.namespace().ip("address add " + claimed + "/32 dev eth0");
                thief.namespace().run("busybox", "arping", "-U", "-c", "1", "-I", "eth0", "-s", claimed, claimed);
                String to = claimed.equals(other.address()) ? Backend.SLIPWAY.gateway() : other.address();
                assertThat(pingsInVain(thief, "-I", claimed, to)).isTrue();
                thief.namespace().ip("address del " + claimed + "/32 dev eth0");
            }
            assertThat(guests.count(thief, "spoof") - dropped).isGreaterThanOrEqualTo(6);
            assertThat(neighbour(other, Backend.SLIPWAY.gateway())).contains(GATEWAY_MAC);
            assertThat(neighbour(other, thief.address())).contains(thief.mac());
            assertThat(pings(other, Backend.SLIPWAY.gateway())).isTrue();
        }
    }

    @Test
    void neitherTakesTheOthersIpv6AddressOrTheRouters() throws IOException {
        for (Guest thief : guests.both()) {
            Guest other = guests.otherThan(thief);
            Await.until("the router is known", SOON, () -> pings(other, "-6", GATEWAY_IPV6 + "%eth0"));
            assertThat(pings(other, "-6", thief.ipv6() + "%eth0")).isTrue();
            // An address is whose used it first.
            assertThat(pings(other, "-6", "-I", other.ipv6OfTheNetwork(), GATEWAY_IPV6_OF_THE_NETWORK))
                    .isTrue();
            RogueSender rogue = new RogueSender(thief.namespace());
            Map<String, String> claims = Map.of(
                    GATEWAY_IPV6,
                    other.ipv6(),
                    other.ipv6OfTheNetwork(),
                    GATEWAY_IPV6,
                    // Asks all for an address that nobody has.
                    other.ipv6(),
                    "fe80::dead");
            for (Map.Entry<String, String> claim : claims.entrySet()) {
                long dropped = guests.count(thief, "spoof");
                thief.namespace().ip("address add " + claim.getKey() + "/64 dev eth0 nodad");
                rogue.speakFrom(claim.getKey(), claim.getValue());
                Await.until(claim + " is dropped", SOON, () -> guests.count(thief, "spoof") > dropped);
                thief.namespace().ip("address del " + claim.getKey() + "/64 dev eth0");
            }
            assertThat(neighbour(other, GATEWAY_IPV6)).contains(GATEWAY_MAC);
            assertThat(neighbour(other, thief.ipv6())).contains(thief.mac());
            assertThat(pings(other, "-6", GATEWAY_IPV6 + "%eth0")).isTrue();
        }
    }

    @Test
    void withTheOthersMacAddressNothingOfAGuestIsHeard() throws IOException {
        Guest tap = guests.tap();
        assertThat(pings(guests.stream(), Backend.SLIPWAY.gateway())).isTrue();
        tap.namespace().ip("link set eth0 address " + TwoGuests.STREAM_MAC);
        assertThat(pingsInVain(tap, Backend.SLIPWAY.gateway())).isTrue();
        tap.namespace().ip("link set eth0 address " + TwoGuests.TAP_MAC);
        assertThat(guests.machine().backendOutput()).contains("of another VM");
        Await.until("it is heard again", SOON, () -> pings(tap, guests.stream().address()));
    }

    /** By their kernels: DHCP offers, DHCPv6, router advertisements; what may be said comes through behind them. */
    @Test
    void neitherServesTheOtherAddressesOrIsItsRouter() throws IOException {
        for (Guest rogue : guests.both()) {
            Guest other = guests.otherThan(rogue);
            RogueSender sender = new RogueSender(rogue.namespace());
            long offers = guests.count(rogue, "rogue-dhcp");
            long advertisements = guests.count(rogue, "rogue-ra");
            try (DatagramChannel client = hears(other, 68);
                    DatagramChannel ipv6Client = hears(other, 546);
                    DatagramChannel greeted = hears(other, 4_000)) {
                sender.offerAddresses(other.address());
                sender.offerAddressesByIpv6(other.ipv6());
                sender.advertiseRouter();
                sender.greet(other.address(), 4_000);
                Await.until("what may be said arrives", SOON, () -> receive(greeted) != null);
                assertThat(receive(client)).as("an offer of DHCP").isNull();
                assertThat(receive(ipv6Client)).as("an offer of DHCPv6").isNull();
            }
            assertThat(guests.count(rogue, "rogue-dhcp") - offers).isGreaterThanOrEqualTo(4);
            assertThat(guests.count(rogue, "rogue-ra") - advertisements).isEqualTo(1);
            assertThat(other.namespace()
                            .run("ip", "-6", "route", "show")
                            .orFail()
                            .output())
                    .as("routes")
                    .doesNotContain(rogue.ipv6())
                    .doesNotContain("fd99:");
            Lease lease = TwoGuests.lease(guests.machine(), other.namespace());
            assertThat(lease.values().get("serverid")).isEqualTo(Backend.SLIPWAY.gateway());
            assertThat(lease.address()).isEqualTo(other.address());
        }
    }

    /** One sends all it can, to the other and to its own gateway; the other's pings are answered soon, nearly all. */
    @Test
    void floodOfOneCostsTheOtherLittleTime() throws IOException {
        for (Guest flooding : guests.both()) {
            Guest other = guests.otherThan(flooding);
            AtomicBoolean over = new AtomicBoolean();
            Background<Long> flood = Background.start(new AtomicLong(), () -> flood(flooding, other.address(), over));
            Subprocess.Result pings;
            try {
                pings = other.namespace()
                        .run("ping", "-n", "-c", "100", "-i", "0.005", "-W", "1", Backend.SLIPWAY.gateway());
            } finally {
                over.set(true);
            }
            assertThat(flood.join()).as("datagrams of the flood").isGreaterThan(10_000);
            List<Double> millis = Pattern.compile("time=([0-9.]+) ms")
                    .matcher(pings.output())
                    .results()
                    .map(result -> Double.valueOf(result.group(1)))
                    .sorted()
                    .toList();
            assertThat(millis).hasSizeGreaterThanOrEqualTo(99);
            assertThat(millis.get(49)).as("half of the round trips, in ms").isLessThan(LONG_MILLIS / 10);
            assertThat(millis.get(98)).as("the 99th of 100 round trips, in ms").isLessThan(LONG_MILLIS);
        }
    }

    private static long flood(Guest from, String other, AtomicBoolean over) throws IOException {
        ByteBuffer bytes = ByteBuffer.allocateDirect(1_400);
        InetSocketAddress[] to = {new InetSocketAddress(other, 9), new InetSocketAddress(Backend.SLIPWAY.gateway(), 9)};
        try (DatagramChannel channel = from.namespace().call(() -> DatagramChannel.open(StandardProtocolFamily.INET))) {
            long sent = 0;
            while (!over.get()) {
                channel.send(bytes.clear(), to[(int) (sent++ & 1)]);
            }
            return sent;
        }
    }

    private static DatagramChannel hears(Guest guest, int port) throws IOException {
        DatagramChannel channel =
                guest.namespace().call(() -> DatagramChannel.open().bind(new InetSocketAddress(port)));
        channel.configureBlocking(false);
        return channel;
    }

    private static Object receive(DatagramChannel channel) throws IOException {
        return channel.receive(ByteBuffer.allocate(1_500));
    }

    private static String neighbour(Guest guest, String address) throws IOException {
        return guest.namespace()
                .run("ip", "neigh", "show", "dev", "eth0", "to", address)
                .orFail()
                .output();
    }

    @Test
    void isolatedTheyDoNotSeeEachOther() throws IOException {
        try (TwoGuests apart = TwoGuests.start("--isolate")) {
            assertThat(pings(apart.tap(), Backend.SLIPWAY.gateway())).isTrue();
            assertThat(pings(apart.stream(), Backend.SLIPWAY.gateway())).isTrue();
            assertThat(pingsInVain(apart.tap(), apart.stream().address())).isTrue();
            assertThat(pingsInVain(apart.stream(), apart.tap().address())).isTrue();
            assertThat(neighbour(apart.stream(), apart.tap().address())).doesNotContain(TwoGuests.TAP_MAC);
            assertThat(apart.status(apart.tap()).counts()).doesNotContainKey("framesToVms");
        }
    }
}
