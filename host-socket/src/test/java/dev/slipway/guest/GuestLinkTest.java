package dev.slipway.guest;

import static org.assertj.core.api.Assertions.assertThat;

import dev.slipway.guest.NamespaceGuest.Connection;
import dev.slipway.guest.Payload.Background;
import java.io.IOException;
import java.net.DatagramPacket;
import java.nio.channels.DatagramChannel;
import java.nio.channels.SocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.pcap4j.packet.EthernetPacket;
import org.pcap4j.packet.IllegalRawDataException;
import org.pcap4j.packet.IpV4Packet;
import org.pcap4j.packet.TcpPacket;
import org.pcap4j.packet.UdpPacket;

/** The link of the guest: it goes and comes back, and what is on it would please any kernel. */
@Tag("guest")
@Timeout(30)
@ExtendWith(NamespaceGuestExtension.class)
class GuestLinkTest {

    private static final int MIB = 1 << 20;

    @Test
    void guestWhoseInterfaceWentDownAndUpGetsTheSameLeaseAndWorks(NamespaceGuest machines) throws IOException {
        Lease before = machines.online();
        machines.guest().ip("link set eth0 down");
        machines.guest().ip("link set eth0 up");
        assertThat(machines.lease().address()).isEqualTo(before.address());
        assertWorks(machines);
    }

    @Test
    void guestThatGoesAndComesBackGetsTheSameLeaseAndWorks(NamespaceGuest machines) throws IOException {
        Lease before = machines.online();
        for (int i = 0; i < 3; i++) {
            machines.reconnect();
            assertThat(machines.lease().address()).isEqualTo(before.address());
            assertWorks(machines);
        }
        assertThat(machines.relay().isConnected()).isTrue();
    }

    @Test
    void transferOfAGuestThatWentInItsMiddleLeavesNothingBehind(NamespaceGuest machines) throws IOException {
        int before = machines.backend().descriptors();
        try (Connection connection = machines.connectToInternet()) {
            Payload payload = Payload.next();
            Background<Long> sending = payload.sendInBackground(connection.server(), 256L * MIB);
            payload.receive(connection.guest(), MIB);
            machines.reconnect();
            machines.lease();
            assertWorks(machines);
            assertThat(sending.task().state())
                    .as("the sending of what the guest has not read")
                    .isNotEqualTo(Future.State.SUCCESS);
        }
        Await.until(
                "the backend has as few descriptors as before, " + before,
                Duration.ofSeconds(10),
                () -> machines.backend().descriptors() <= before);
    }

    /** The cable is out for a moment only, and the guest does not notice: it asks for no address. */
    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void transferGoesOnWhenTheChannelIsOpenedAnewInItsMiddle(boolean fromGuest, NamespaceGuest machines)
            throws IOException {
        machines.online();
        try (Connection connection = machines.connectToInternet()) {
            SocketChannel sender = fromGuest ? connection.guest() : connection.server();
            SocketChannel receiver = fromGuest ? connection.server() : connection.guest();
            Payload payload = Payload.next();
            Background<Long> sending = payload.sendInBackground(sender, 96L * MIB);
            Background<Long> receiving = Background.start(sending.progress(), () -> {
                payload.receive(receiver, 96L * MIB);
                return 96L * MIB;
            });
            for (long sent = 16L * MIB; sent < 80L * MIB; sent += 24L * MIB) {
                long until = sent;
                Await.until(
                        "the transfer goes on",
                        Duration.ofSeconds(10),
                        () -> sending.progress().get() >= until);
                assertThat(receiving.task().isDone()).isFalse();
                machines.reconnect();
            }
            receiving.join();
            sending.join();
        }
        assertThat(machines.status().count("stackFailures")).isZero();
    }

    @Test
    void everyFrameHasRightChecksumsByTheMeasureOfPcap4j(NamespaceGuest machines) throws Exception {
        int[] judged = {0};
        for (byte[] frame : capturedTraffic(machines).frames()) {
            judged[0] += assertChecksums(frame);
        }
        assertThat(judged[0]).as("TCP and UDP packets judged").isGreaterThan(1_000);
    }

    @Test
    void everyFrameIsWellFormedByTheMeasureOfTshark(NamespaceGuest machines, @TempDir Path directory)
            throws IOException {
        GuestTests.needs("tshark");
        Path file = directory.resolve("frames.pcap");
        capturedTraffic(machines).writeTo(file);
        Tshark.assertNothingIsWrong(file, "frame");
        assertThat(Files.size(file)).isGreaterThan(4L * MIB);
    }

    /** Some of everything: DHCP, ARP, DNS, ping, TCP both ways, a datagram in fragments. */
    private static FrameCapture capturedTraffic(NamespaceGuest machines) throws IOException {
        FrameCapture capture = new FrameCapture();
        machines.relay().captureTo(capture);
        try {
            machines.lease();
            machines.guest()
                    .run(
                            "ping",
                            "-c",
                            "1",
                            "-W",
                            "1",
                            "-s",
                            "3000",
                            Backend.chosen().gateway());
            machines.guest()
                    .run("dig", "+tries=1", "+time=2", "@" + Backend.chosen().gateway(), "txt.example.test", "TXT");
            assertWorks(machines);
            try (DatagramChannel server = machines.internet().datagrams(HostMachine.INTERNET);
                    DatagramChannel guest = machines.guest().datagrams("0.0.0.0")) {
                guest.send(Payload.next().first(20_001), server.getLocalAddress());
                server.socket().setSoTimeout(3_000);
                DatagramPacket packet = new DatagramPacket(new byte[20_001], 20_001);
                server.socket().receive(packet);
                server.send(Payload.next().first(20_001), packet.getSocketAddress());
                guest.socket().setSoTimeout(3_000);
                guest.socket().receive(packet);
            }
        } finally {
            machines.relay().captureTo(null);
        }
        return capture;
    }

    private static int assertChecksums(byte[] frame) throws IllegalRawDataException {
        EthernetPacket ethernet = EthernetPacket.newPacket(frame, 0, frame.length);
        IpV4Packet ip = ethernet.get(IpV4Packet.class);
        if (ip == null) {
            return 0;
        }
        IpV4Packet.IpV4Header header = ip.getHeader();
        assertThat(header.hasValidChecksum(false)).as("IP checksum of %s", ip).isTrue();
        TcpPacket tcp = ip.get(TcpPacket.class);
        UdpPacket udp = ip.get(UdpPacket.class);
        if (tcp != null) {
            assertThat(tcp.hasValidChecksum(header.getSrcAddr(), header.getDstAddr(), false))
                    .as("TCP checksum of %s", ip)
                    .isTrue();
        } else if (udp != null) {
            assertThat(udp.hasValidChecksum(header.getSrcAddr(), header.getDstAddr(), true))
                    .as("UDP checksum of %s", ip)
                    .isTrue();
        }
        return tcp == null && udp == null ? 0 : 1;
    }

    private static void assertWorks(NamespaceGuest machines) throws IOException {
        try (Connection connection = machines.connectToInternet()) {
            Payload up = Payload.next();
            Background<Long> sending = up.sendInBackground(connection.guest(), 2 * MIB);
            up.receive(connection.server(), 2 * MIB);
            sending.join();
            Payload down = Payload.next();
            sending = down.sendInBackground(connection.server(), 2 * MIB);
            down.receive(connection.guest(), 2 * MIB);
            sending.join();
        }
    }
}
