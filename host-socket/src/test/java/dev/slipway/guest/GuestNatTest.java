package dev.slipway.guest;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.net.DatagramPacket;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.NetworkInterface;
import java.net.StandardProtocolFamily;
import java.net.StandardSocketOptions;
import java.nio.ByteBuffer;
import java.nio.channels.DatagramChannel;
import java.time.Duration;
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

    /** A responder of the host's network hears the question and answers it to the port that asked. */
    @Test
    void servicesOfTheHostsNetworkAreFoundIfTheyMayBeLookedFor() throws IOException {
        try (NamespaceGuest machines = NamespaceGuest.start(Backend.SLIPWAY, "--relay", "mdns")) {
            machines.online();
            try (DatagramChannel responder = machines.internet().call(() -> member("224.0.0.251", 5_353));
                    DatagramChannel guest = machines.guest().datagrams("0.0.0.0")) {
                guest.send(ByteBuffer.wrap(new byte[12]), new InetSocketAddress("224.0.0.251", 5_353));
                DatagramPacket question = receive(responder);
                assertThat(question.getLength()).isEqualTo(12);
                assertThat(question.getAddress().getHostAddress()).isEqualTo(HostMachine.HOST_SEEN_FROM_INTERNET);
                responder.send(ByteBuffer.wrap(new byte[20]), question.getSocketAddress());
                DatagramPacket answer = receive(guest);
                assertThat(answer.getLength()).isEqualTo(20);
                assertThat(answer.getPort()).isEqualTo(5_353);
            }
        }
    }

    /** The same by IPv6, where a responder answers by its link-local address. */
    @Test
    void servicesOfTheHostsNetworkAreFoundByIpv6IfTheyMayBeLookedFor() throws IOException {
        try (NamespaceGuest machines =
                NamespaceGuest.start(Backend.SLIPWAY, "--relay", "mdns", "--relay", "ssdp", "--ipv6", "on")) {
            Await.until(
                    "an address of the link",
                    Duration.ofSeconds(30),
                    () -> machines.guest()
                            .run("ip", "-6", "addr", "show", "dev", "eth0", "scope", "link", "-tentative")
                            .output()
                            .contains("fe80::"));
            isAnswered(machines, "ff02::fb", 5_353);
            isAnswered(machines, "ff02::c", 1_900);
            isAnswered(machines, "ff05::c", 1_900);
        }
    }

    private static void isAnswered(NamespaceGuest machines, String group, int port) throws IOException {
        try (DatagramChannel responder = machines.internet().call(() -> member6(group, port, "i0"));
                DatagramChannel guest = machines.guest().call(() -> member6(group, 0, "eth0"))) {
            guest.send(ByteBuffer.wrap(new byte[12]), new InetSocketAddress(group, port));
            DatagramPacket question = receive(responder);
            assertThat(question.getLength()).isEqualTo(12);
            assertThat(question.getPort())
                    .as("a port of its own")
                    .isNotIn(port, ((InetSocketAddress) guest.getLocalAddress()).getPort());
            responder.send(ByteBuffer.wrap(new byte[20]), question.getSocketAddress());
            DatagramPacket answer = receive(guest);
            assertThat(answer.getLength()).isEqualTo(20);
            assertThat(answer.getPort()).isEqualTo(port);
        }
    }

    private static DatagramChannel member6(String group, int port, String name) throws IOException {
        DatagramChannel channel = DatagramChannel.open(StandardProtocolFamily.INET6);
        channel.setOption(StandardSocketOptions.SO_REUSEADDR, true);
        channel.setOption(StandardSocketOptions.IP_MULTICAST_IF, NetworkInterface.getByName(name));
        channel.bind(new InetSocketAddress("::", port));
        if (port > 0) {
            channel.join(InetAddress.getByName(group), NetworkInterface.getByName(name));
        }
        return channel;
    }

    /** A socket at a port of a group, on the internet's link to the host. */
    private static DatagramChannel member(String group, int port) throws IOException {
        DatagramChannel channel = DatagramChannel.open(StandardProtocolFamily.INET);
        channel.setOption(StandardSocketOptions.SO_REUSEADDR, true);
        channel.bind(new InetSocketAddress("0.0.0.0", port));
        channel.join(InetAddress.getByName(group), NetworkInterface.getByName("i0"));
        return channel;
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
