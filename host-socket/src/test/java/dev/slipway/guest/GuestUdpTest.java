package dev.slipway.guest;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.net.DatagramPacket;
import java.net.InetSocketAddress;
import java.net.SocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.DatagramChannel;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Datagrams between the guest and servers of the internet and of the host's localhost. */
@Tag("guest")
@Timeout(30)
@ExtendWith(NamespaceGuestExtension.class)
class GuestUdpTest {

    private static final Backend BACKEND = Backend.chosen();
    private static final int WAIT_MILLIS = 3_000;

    @ParameterizedTest(name = "{0} bytes")
    @ValueSource(ints = {0, 1, 1_472, 1_473, 8_000, 60_000, 65_507})
    void datagramArrivesWholeAndComesBackWhole(int bytes, NamespaceGuest machines) throws IOException {
        try (DatagramChannel server = machines.internet().datagrams(HostMachine.INTERNET);
                DatagramChannel guest = machines.guest().datagrams("0.0.0.0")) {
            InetSocketAddress seen = assertEcho(guest, server, server.getLocalAddress(), bytes);
            assertThat(seen.getAddress().getHostAddress()).isEqualTo(HostMachine.HOST_SEEN_FROM_INTERNET);
        }
    }

    @Test
    void hostAddressReachesAServiceOnTheHostsLocalhost(NamespaceGuest machines) throws IOException {
        try (DatagramChannel server = machines.host().datagrams("127.0.0.1");
                DatagramChannel guest = machines.guest().datagrams("0.0.0.0")) {
            int port = ((InetSocketAddress) server.getLocalAddress()).getPort();
            InetSocketAddress seen = assertEcho(guest, server, new InetSocketAddress(BACKEND.host(), port), 1_000);
            assertThat(seen.getAddress().getHostAddress()).isEqualTo("127.0.0.1");
        }
    }

    @Test
    void portOfTheGuestIsTheSameForAllItSpeaksTo(NamespaceGuest machines) throws IOException {
        try (DatagramChannel one = machines.internet().datagrams(HostMachine.INTERNET);
                DatagramChannel other = machines.internet().datagrams(HostMachine.OTHER_NAME_SERVER);
                DatagramChannel guest = machines.guest().datagrams("0.0.0.0")) {
            InetSocketAddress seenByOne = assertEcho(guest, one, one.getLocalAddress(), 10);
            InetSocketAddress seenByOther = assertEcho(guest, other, other.getLocalAddress(), 10);
            assertThat(seenByOther)
                    .as("endpoint-independent mapping (RFC 4787 REQ-1)")
                    .isEqualTo(seenByOne);
        }
    }

    /** As WireGuard uses UDP: one port for good, a handshake, full packets both ways, keepalives, and a peer that moves. */
    @Test
    void tunnelOverDatagramsGoesOnWhenItsPeerMoves(NamespaceGuest machines) throws IOException {
        try (DatagramChannel peer = machines.internet().datagrams(HostMachine.INTERNET);
                DatagramChannel moved = machines.internet().datagrams(HostMachine.OTHER_NAME_SERVER);
                DatagramChannel guest = machines.guest().datagrams("0.0.0.0")) {
            InetSocketAddress seen = assertEcho(guest, peer, peer.getLocalAddress(), 148);
            for (int turn = 0; turn < 100; turn++) {
                for (int i = 0; i < 10; i++) {
                    guest.send(numbered(turn * 10 + i), peer.getLocalAddress());
                    peer.send(numbered(turn * 10 + i), seen);
                }
                for (int i = 0; i < 10; i++) {
                    assertThat(numberOf(receive(peer))).isEqualTo(turn * 10 + i);
                    assertThat(numberOf(receive(guest))).isEqualTo(turn * 10 + i);
                }
            }
            guest.send(ByteBuffer.allocate(32), peer.getLocalAddress());
            assertThat(receive(peer).getSocketAddress()).as("after a keepalive").isEqualTo(seen);
            moved.send(numbered(7), seen);
            DatagramPacket unasked = receive(guest);
            assertThat(numberOf(unasked)).isEqualTo(7);
            assertThat(unasked.getSocketAddress()).isEqualTo(moved.getLocalAddress());
            assertThat(assertEcho(guest, moved, moved.getLocalAddress(), 1_452))
                    .as("the guest's end stays where it was")
                    .isEqualTo(seen);
        }
    }

    private static ByteBuffer numbered(int number) {
        return ByteBuffer.allocate(1_452).putInt(number).rewind();
    }

    private static int numberOf(DatagramPacket packet) {
        assertThat(packet.getLength()).isEqualTo(1_452);
        return ByteBuffer.wrap(packet.getData()).getInt();
    }

    /** Sends there and back; returns whom the server saw. */
    private static InetSocketAddress assertEcho(
            DatagramChannel guest, DatagramChannel server, SocketAddress serverForGuest, int bytes) throws IOException {
        Payload there = Payload.next();
        Payload back = Payload.next();
        guest.send(there.first(bytes), serverForGuest);
        DatagramPacket atServer = receive(server);
        assertThat(ByteBuffer.wrap(atServer.getData(), 0, atServer.getLength())).isEqualTo(there.first(bytes));
        server.send(back.first(bytes), atServer.getSocketAddress());
        DatagramPacket atGuest = receive(guest);
        assertThat(ByteBuffer.wrap(atGuest.getData(), 0, atGuest.getLength())).isEqualTo(back.first(bytes));
        assertThat(atGuest.getSocketAddress()).as("whom the answer comes from").isEqualTo(serverForGuest);
        return (InetSocketAddress) atServer.getSocketAddress();
    }

    private static DatagramPacket receive(DatagramChannel channel) throws IOException {
        DatagramPacket packet = new DatagramPacket(new byte[65_536], 65_536);
        channel.socket().setSoTimeout(WAIT_MILLIS);
        channel.socket().receive(packet);
        return packet;
    }
}
