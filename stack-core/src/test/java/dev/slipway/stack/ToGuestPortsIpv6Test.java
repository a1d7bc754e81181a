package dev.slipway.stack;

import static dev.slipway.stack.Ipv6Packets.GATEWAY;
import static dev.slipway.stack.Ipv6Packets.GUEST;
import static dev.slipway.stack.Ipv6Packets.HOST;
import static dev.slipway.stack.Ipv6Packets.ICMP;
import static dev.slipway.stack.Ipv6Packets.LINK_LOCAL;
import static dev.slipway.stack.Ipv6Packets.OUTSIDE;
import static dev.slipway.stack.Ipv6Packets.UDP;
import static dev.slipway.stack.Ipv6Packets.checked;
import static dev.slipway.stack.Ipv6Packets.datagram;
import static dev.slipway.stack.Ipv6Packets.ip;
import static dev.slipway.stack.Ipv6Packets.message;
import static dev.slipway.stack.Ipv6Packets.packet;
import static dev.slipway.stack.Ipv6Packets.read;
import static org.assertj.core.api.Assertions.assertThat;

import dev.slipway.seam.Ipv6Settings;
import dev.slipway.seam.StackSettings;
import dev.slipway.testing.PacketBuilder;
import dev.slipway.testing.SentFrame;
import dev.slipway.udp.UdpForwards;
import dev.slipway.wire.EthernetFrame;
import dev.slipway.wire.Icmpv6Packet;
import dev.slipway.wire.IpAddress;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.pcap4j.packet.EthernetPacket;
import org.pcap4j.packet.IpV6Packet;

/** What clients of the host send to ports of a guest by its IPv6 address. */
class ToGuestPortsIpv6Test {

    private static final String CONTAINER = "fd99::2";

    private final StackSettings settings = StackSettings.defaults().withIpv6(Ipv6Settings.DEFAULTS);
    private final StackRig rig = new StackRig(settings);
    private final Client client = new Client();

    private static final class Client implements UdpForwards.Client {
        final List<String> answers = new ArrayList<>();

        @Override
        public void answered(MemorySegment payload, long offset, int length) {
            answers.add(new String(payload.asSlice(offset, length).toArray(ValueLayout.JAVA_BYTE)));
        }

        @Override
        public void forgotten() {
            answers.add("forgotten");
        }
    }

    private MemorySegment frame(byte[] packet) {
        return rig.guest.ethernet(settings.gatewayMac(), EthernetFrame.TYPE_IPV6, packet);
    }

    private void guestIsUp() {
        rig.input(frame(packet(GUEST, GATEWAY, 64, ICMP, message(Icmpv6Packet.ECHO_REQUEST, 16))));
        rig.sent.take();
    }

    private boolean deliver(String guest, String seenAs, String text) {
        byte[] bytes = text.getBytes();
        boolean delivered = rig.stack
                .ports()
                .deliver(
                        ip(guest),
                        53,
                        ip(seenAs),
                        40_000,
                        client,
                        MemorySegment.ofArray(bytes),
                        0,
                        bytes.length,
                        rig.now);
        rig.stack.endTurn(rig.now);
        return delivered;
    }

    private void isDatagram(SentFrame sent, String from, String to) {
        byte[] datagram = checked(sent, UDP);
        EthernetPacket frame = read(sent);
        assertThat(frame.getHeader().getDstAddr().toString()).isEqualTo("52:54:00:12:34:56");
        IpV6Packet.IpV6Header header = frame.get(IpV6Packet.class).getHeader();
        assertThat(IpAddress.ofBytes(header.getSrcAddr().getAddress())).isEqualTo(ip(from));
        assertThat(IpAddress.ofBytes(header.getDstAddr().getAddress())).isEqualTo(ip(to));
        assertThat(new String(Arrays.copyOfRange(datagram, 8, datagram.length))).isEqualTo("ping");
    }

    private void answer(String guest, String to) {
        rig.input(frame(packet(guest, to, 64, UDP, datagram(53, 40_000, "pong".getBytes()))));
        assertThat(client.answers).containsExactly("pong");
        assertThat(rig.host.datagrams).as("sockets of the guest's own").isEmpty();
        assertThat(rig.sent.take()).isEmpty();
    }

    @Test
    void guestWithIpv6AloneIsKnownByItAndReached() {
        List<IpAddress> heard = new ArrayList<>();
        rig.stack.ports().whenGuestAddress(heard::add);
        rig.input(frame(packet(LINK_LOCAL, GATEWAY, 64, ICMP, message(Icmpv6Packet.ECHO_REQUEST, 16))));
        assertThat(rig.stack.ports().guestAddress()).isEmpty();
        guestIsUp();
        assertThat(heard).containsExactly(ip(GUEST));
        assertThat(rig.stack.ports().guestAddress()).contains(ip(GUEST));
        assertThat(deliver(GUEST, GATEWAY, "ping")).isTrue();
        isDatagram(rig.sent.only(), GATEWAY, GUEST);
        answer(GUEST, GATEWAY);
        rig.stack.reset();
        assertThat(rig.stack.ports().guestAddress()).isEmpty();
    }

    @Test
    void guestWithBothIsKnownByIpv4() {
        guestIsUp();
        rig.input(rig.guest.arpRequest(StackRig.GATEWAY));
        assertThat(rig.stack.ports().guestAddress()).contains(ip(PacketBuilder.GUEST_IP));
    }

    @Test
    void clientIsSeenByItsOwnAddress() {
        guestIsUp();
        assertThat(deliver(GUEST, OUTSIDE, "ping")).isTrue();
        isDatagram(rig.sent.only(), OUTSIDE, GUEST);
        answer(GUEST, OUTSIDE);
    }

    @Test
    void guestThatWasNotHeardOfIsAskedForAndFound() {
        assertThat(deliver(GUEST, GATEWAY, "lost")).isTrue();
        SentFrame asked = rig.sent.next();
        byte[] solicitation = checked(asked, ICMP);
        assertThat(solicitation[0] & 0xFF).isEqualTo(Icmpv6Packet.NEIGHBOUR_SOLICITATION);
        assertThat(IpAddress.ofBytes(Arrays.copyOfRange(solicitation, 8, 24))).isEqualTo(ip(GUEST));
        IpV6Packet.IpV6Header header = read(asked).get(IpV6Packet.class).getHeader();
        assertThat(IpAddress.ofBytes(header.getDstAddr().getAddress())).isEqualTo(ip("ff02::1:ff12:3456"));
        assertThat(header.getHopLimitAsInt()).isEqualTo(255);
        rig.sent.take();
        byte[] advertisement = message(Icmpv6Packet.NEIGHBOUR_ADVERTISEMENT, 24);
        System.arraycopy(ip(GUEST).toBytes(), 0, advertisement, 8, 16);
        rig.input(frame(packet(GUEST, "fe80::1", 255, ICMP, advertisement)));
        rig.sent.take();
        assertThat(deliver(GUEST, GATEWAY, "ping")).isTrue();
        isDatagram(rig.sent.only(), GATEWAY, GUEST);
    }

    @Test
    void addressThatTheGuestRoutesToIsReachedByItsCard() {
        assertThat(deliver(CONTAINER, GATEWAY, "early")).as("no guest yet").isFalse();
        guestIsUp();
        assertThat(deliver(CONTAINER, GATEWAY, "ping")).isTrue();
        isDatagram(rig.sent.only(), GATEWAY, CONTAINER);
        answer(CONTAINER, GATEWAY);
    }

    @ParameterizedTest
    @ValueSource(strings = {GATEWAY, HOST, "fe80::1", "::", "::1", "ff02::1", "fd65::"})
    void whatIsNoGuestsAddressIsNotTried(String address) {
        guestIsUp();
        assertThat(deliver(address, GATEWAY, "ping")).isFalse();
        assertThat(rig.sent.take()).isEmpty();
    }

    @Test
    void whileIpv6IsOffNobodyIsThere() {
        StackRig off = new StackRig();
        off.input(off.guest.arpRequest(StackRig.GATEWAY));
        off.sent.take();
        byte[] bytes = {1};
        assertThat(off.stack
                        .ports()
                        .deliver(
                                ip(GUEST),
                                53,
                                ip(GATEWAY),
                                40_000,
                                client,
                                MemorySegment.ofArray(bytes),
                                0,
                                1,
                                off.now))
                .isFalse();
        assertThat(off.sent.take()).isEmpty();
    }
}
