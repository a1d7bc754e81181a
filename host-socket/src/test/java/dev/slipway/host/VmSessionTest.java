package dev.slipway.host;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.slipway.ethernet.Transport;
import dev.slipway.guest.RawGuest;
import dev.slipway.seam.Ipv6Settings;
import dev.slipway.seam.StackSettings;
import dev.slipway.testing.PacketBuilder;
import dev.slipway.testing.TcpBuilder;
import dev.slipway.wire.EthernetFrame;
import java.io.IOException;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** What becomes of a guest's connections when the guest goes, and when it comes back. */
@Timeout(30)
final class VmSessionTest {

    private static final int GUEST_PORT = 40_123;
    private static final String HOST = "192.168.65.254";
    private static final int FLAGS = 47;
    private static final int SYN = 2;
    private static final int SYN_ACK = 0x12;
    private static final int RST = 4;
    private static final int ICMPV6_TYPE = 54;
    private static final byte ROUTER_ADVERTISEMENT = (byte) 134;
    private static final Duration GRACE = Duration.ofMillis(VmSession.GRACE_MILLIS);

    private final PacketBuilder addresses = PacketBuilder.guest();

    @TempDir
    Path folder;

    private Path socket;
    private VmNetwork network;
    private VmSession session;
    private ServerSocket server;

    /** The guest's end of its one connection: the next byte to send, and the next one it expects. */
    private long sequence;

    private long expected;

    @BeforeEach
    void start() throws Exception {
        server = HostRig.listen();
        socket = folder.resolve("vm.sock");
        network = VmNetwork.start(new NetworkSettings(
                StackSettings.defaults().withIpv6(Ipv6Settings.DEFAULTS),
                HostPolicy.defaults(),
                folder.resolve("resolv.conf"),
                Transport.best(),
                List.of(socket)));
        session = network.sessions().getFirst();
    }

    @AfterEach
    void stop() throws IOException {
        network.close();
        server.close();
        assertThat(session.hostCounters().stackFailures()).isZero();
        assertThat(session.hostCounters().openStreams()).isZero();
    }

    /** The first deadline of IPv6 is before all time: it comes at once, and those behind it come in theirs. */
    @Test
    void timersRunForAGuestThatSpeaksIpv6() throws IOException {
        try (RawGuest guest = RawGuest.attach(socket)) {
            guest.send(
                    addresses.ethernet(StackSettings.defaults().gatewayMac(), EthernetFrame.TYPE_IPV6, new byte[40]));
            guest.receive(frame -> frame[12] == (byte) 0x86 && frame[ICMPV6_TYPE] == ROUTER_ADVERTISEMENT);
            sequence = 1_000;
            guest.send(segment().flags(SYN).mss(1_460).build());
            for (int i = 0; i < 2; i++) {
                byte[] answer = guest.receive(RawGuest::isTcp);
                assertThat(answer[FLAGS])
                        .as("flags of the answer, which is repeated as it is not acknowledged")
                        .isEqualTo((byte) SYN_ACK);
            }
            guest.send(segment().seq(1_001).flags(RST).build());
        }
    }

    private TcpBuilder segment() {
        return addresses.tcp(HOST, server.getLocalPort()).port(GUEST_PORT).seq(sequence);
    }

    private Socket connect(RawGuest guest) throws IOException {
        sequence = 1_000;
        guest.send(segment().flags(SYN).mss(1_460).build());
        byte[] answer = guest.receive(RawGuest::isTcp);
        assertThat(answer[FLAGS]).as("flags of the answer").isEqualTo((byte) SYN_ACK);
        sequence++;
        expected = number(answer, 38) + 1;
        guest.send(segment().ack(expected).build());
        Socket accepted = HostRig.accept(server);
        exchange(guest, accepted, "before");
        return accepted;
    }

    private void exchange(RawGuest guest, Socket host, String text) throws IOException {
        say(guest, text);
        assertThat(new String(host.getInputStream().readNBytes(text.length()), StandardCharsets.US_ASCII))
                .isEqualTo(text);
        host.getOutputStream().write(text.getBytes(StandardCharsets.US_ASCII));
        hear(guest, text);
    }

    private void say(RawGuest guest, String text) throws IOException {
        guest.send(segment().ack(expected).payload(text).build());
        sequence += text.length();
    }

    /** Waits for a segment with that text in its place, and acknowledges it. */
    private void hear(RawGuest guest, String text) throws IOException {
        byte[] frame = guest.receive(each ->
                RawGuest.isTcp(each) && number(each, 38) == (expected & 0xFFFF_FFFFL) && payload(each).length > 0);
        assertThat(new String(payload(frame), StandardCharsets.US_ASCII)).isEqualTo(text);
        expected += text.length();
        guest.send(segment().ack(expected).build());
    }

    private static long number(byte[] frame, int at) {
        return Integer.toUnsignedLong(ByteBuffer.wrap(frame).getInt(at));
    }

    private static byte[] payload(byte[] frame) {
        int total = ByteBuffer.wrap(frame).getShort(16);
        return Arrays.copyOfRange(frame, 34 + (frame[46] >> 4 & 0xF) * 4, 14 + total);
    }

    private void awaitDetached() throws Exception {
        Waiting.until(() -> !session.ask((stack, link) -> link.isAttached()));
    }

    private static void assertReset(Socket host) {
        assertThatThrownBy(() -> host.getInputStream().read())
                .isInstanceOf(IOException.class)
                .hasMessageContaining("reset");
    }

    @Test
    @Tag("transport")
    void connectionsLiveOnWhenTheGuestsChannelComesBackInTime() throws Exception {
        Socket host;
        try (RawGuest guest = RawGuest.attach(socket)) {
            host = connect(guest);
        }
        awaitDetached();
        // Nobody is there to hear it; it is sent again.
        host.getOutputStream().write("meanwhile".getBytes(StandardCharsets.US_ASCII));
        try (RawGuest guest = RawGuest.attach(socket)) {
            hear(guest, "meanwhile");
            exchange(guest, host, "after");
            assertThat(session.linkCounters().connections()).isEqualTo(2);
        } finally {
            host.close();
        }
    }

    @Test
    void connectionsAreResetOnTheHostsSideWhenTheGuestDoesNotComeBackInTime() throws Exception {
        Socket host;
        try (RawGuest guest = RawGuest.attach(socket)) {
            host = connect(guest);
        }
        long left = System.nanoTime();
        assertReset(host);
        assertThat(Duration.ofNanos(System.nanoTime() - left))
                .as("how long the guest was waited for")
                .isBetween(GRACE.minusMillis(500), GRACE.plusSeconds(2));
        host.close();
        // A guest that comes later learns that its connection is no more.
        try (RawGuest guest = RawGuest.attach(socket)) {
            say(guest, "too late");
            assertThat(guest.receive(RawGuest::isTcp)[FLAGS] & RST).isEqualTo(RST);
        }
    }

    @Test
    @Tag("transport")
    void connectionsAreResetAtOnceWhenTheGuestComesBackAndAsksForAnAddressFromScratch() throws Exception {
        Socket host;
        try (RawGuest guest = RawGuest.attach(socket)) {
            host = connect(guest);
        }
        awaitDetached();
        long back = System.nanoTime();
        try (RawGuest guest = RawGuest.attach(socket)) {
            guest.send(addresses.dhcp(1).build());
            assertReset(host);
            assertThat(Duration.ofNanos(System.nanoTime() - back)).isLessThan(GRACE.dividedBy(2));
            // And nothing of the old guest is in the way of the new one.
            try (Socket again = connect(guest)) {
                exchange(guest, again, "again");
            }
        } finally {
            host.close();
        }
    }

    @Test
    @Tag("transport")
    void aDiscoverCostsNoConnectionThatBeganAfterTheGuestCame() throws Exception {
        try (RawGuest guest = RawGuest.attach(socket);
                Socket host = connect(guest)) {
            guest.send(addresses.dhcp(1).build());
            exchange(guest, host, "still here");
        }
    }
}
