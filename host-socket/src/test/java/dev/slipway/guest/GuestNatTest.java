package dev.slipway.guest;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.net.DatagramPacket;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.DatagramChannel;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.ExtendWith;

/** What two peers on the internet see of one UDP port of the guest, as STUN asks it (RFC 5780, section 4). */
@Tag("guest")
@Timeout(60)
@ExtendWith(NeedsNamespaces.class)
class GuestNatTest {

    private static final int WAIT_MILLIS = 10_000;

    @Test
    void fullConeShowsOneMappingAndLetsAnyoneIn() throws IOException {
        try (NamespaceGuest machines = NamespaceGuest.start(Backend.SLIPWAY)) {
            machines.online();
            try (DatagramChannel one = machines.internet().datagrams(HostMachine.INTERNET);
                    DatagramChannel other = machines.internet().datagrams(HostMachine.OTHER_NAME_SERVER);
                    DatagramChannel stranger = machines.internet().datagrams(HostMachine.OTHER_NAME_SERVER);
                    DatagramChannel guest = machines.guest().datagrams("0.0.0.0")) {
                InetSocketAddress seenByOne = ask(guest, one, 1);
                InetSocketAddress seenByOther = ask(guest, other, 2);
                assertThat(seenByOther).as("mapping").isEqualTo(seenByOne);
                assertThat(seenByOne.getAddress().getHostAddress()).isEqualTo(HostMachine.HOST_SEEN_FROM_INTERNET);
                assertThat(seenByOne.getPort())
                        .as("the guest's own port, as it is free")
                        .isEqualTo(((InetSocketAddress) guest.getLocalAddress()).getPort());
                stranger.send(ByteBuffer.wrap(new byte[3]), seenByOne);
                DatagramPacket unasked = receive(guest);
                assertThat(unasked.getLength()).isEqualTo(3);
                assertThat(unasked.getSocketAddress()).isEqualTo(stranger.getLocalAddress());
            }
        }
    }

    @Test
    void symmetricShowsEachPeerAnotherMappingAndLetsNobodyElseIn() throws IOException {
        try (NamespaceGuest machines = NamespaceGuest.start(Backend.SLIPWAY, "--udp-nat", "symmetric")) {
            machines.online();
            try (DatagramChannel one = machines.internet().datagrams(HostMachine.INTERNET);
                    DatagramChannel other = machines.internet().datagrams(HostMachine.OTHER_NAME_SERVER);
                    DatagramChannel guest = machines.guest().datagrams("0.0.0.0")) {
                InetSocketAddress seenByOne = ask(guest, one, 1);
                InetSocketAddress seenByOther = ask(guest, other, 2);
                assertThat(seenByOther.getPort()).as("mapping").isNotEqualTo(seenByOne.getPort());
                other.send(ByteBuffer.wrap(new byte[3]), seenByOne);
                one.send(ByteBuffer.wrap(new byte[4]), seenByOne);
                DatagramPacket asked = receive(guest);
                assertThat(asked.getLength())
                        .as("what the stranger sent came first and nowhere")
                        .isEqualTo(4);
                assertThat(asked.getSocketAddress()).isEqualTo(one.getLocalAddress());
                assertThat(machines.status().count("udp-stranger")).isEqualTo(1);
            }
        }
    }

    /** Sends from the guest to a peer; returns whom the peer saw. */
    private static InetSocketAddress ask(DatagramChannel guest, DatagramChannel peer, int bytes) throws IOException {
        guest.send(ByteBuffer.wrap(new byte[bytes]), peer.getLocalAddress());
        DatagramPacket seen = receive(peer);
        assertThat(seen.getLength()).isEqualTo(bytes);
        return (InetSocketAddress) seen.getSocketAddress();
    }

    private static DatagramPacket receive(DatagramChannel channel) throws IOException {
        DatagramPacket packet = new DatagramPacket(new byte[100], 100);
        channel.socket().setSoTimeout(WAIT_MILLIS);
        channel.socket().receive(packet);
        return packet;
    }
}
