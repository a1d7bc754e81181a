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
import dev.slipway.wire.DropReason;
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

    private MemorySegment toGroup(String from, String group, byte[] message) {
        return rig.guest.ethernet(0x3333_FF00_0000L, EthernetFrame.TYPE_IPV6, packet(from, group, 255, ICMP, message));
    }

    private static byte[] about(int type, String address) {
        byte[] message = message(type, 24);
        System.arraycopy(ip(address).toBytes(), 0, message, 8, 16);
        return message;
    }

    /** What a kernel says of its own accord when it comes up: detection of both addresses, and who is a router here. */
    private void guestComesUpAndIsSilent() {
        rig.input(
                toGroup("::", "ff02::1:ff12:3456", about(Icmpv6Packet.NEIGHBOUR_SOLICITATION, LINK_LOCAL)),
                toGroup(LINK_LOCAL, "ff02::2", message(Icmpv6Packet.ROUTER_SOLICITATION, 8)),
                toGroup("::", "ff02::1:ff12:3456", about(Icmpv6Packet.NEIGHBOUR_SOLICITATION, GUEST)));
        rig.advance(1);
        rig.sent.take();
    }

    /** The addresses that the link is asked for in the time to come. */
    private List<IpAddress> askedFor(long nanos) {
        rig.sent.take();
        rig.advance(nanos);
        List<IpAddress> asked = new ArrayList<>();
        for (SentFrame sent : rig.sent.take()) {
            byte[] message = checked(sent, ICMP);
            if (message[0] == (byte) Icmpv6Packet.NEIGHBOUR_SOLICITATION) {
                asked.add(IpAddress.ofBytes(Arrays.copyOfRange(message, 8, 24)));
            }
        }
        return asked;
    }

    @Test
    void guestThatOnlyFindsOutWhetherItsAddressIsFreeIsAskedForItAndKnownByIt() {
        guestComesUpAndIsSilent();
        assertThat(rig.stack.ports().guestAddress()).isEmpty();
        assertThat(askedFor(AnnouncedAddresses.INTERVAL - 2))
                .as("while others may still object")
                .isEmpty();
        assertThat(askedFor(1)).containsExactly(ip(GUEST));
        assertThat(rig.stack.ports().guestAddress()).as("it has not answered").isEmpty();
        rig.input(frame(packet(GUEST, "fe80::1", 255, ICMP, about(Icmpv6Packet.NEIGHBOUR_ADVERTISEMENT, GUEST))));
        assertThat(rig.stack.ports().guestAddress()).contains(ip(GUEST));
        assertThat(rig.leases.ipv6().of(1, 0x5254_0012_3456L)).contains(ip(GUEST));
        assertThat(deliver(GUEST, GATEWAY, "ping")).isTrue();
        isDatagram(rig.sent.only(), GATEWAY, GUEST);
        assertThat(askedFor(60 * StackRig.SECOND)).as("it is known").isEmpty();
    }

    @Test
    void addressThatNobodyAnswersForIsAskedForThreeTimesAndIsNobodys() {
        guestComesUpAndIsSilent();
        assertThat(askedFor(3 * AnnouncedAddresses.INTERVAL)).hasSize(3);
        assertThat(askedFor(60 * StackRig.SECOND)).isEmpty();
        assertThat(rig.stack.ports().guestAddress()).isEmpty();
        StackRig other = new StackRig(settings, rig.leases);
        other.input(rig.guest
                .mac(0x5254_0099_9999L)
                .ethernet(
                        settings.gatewayMac(),
                        EthernetFrame.TYPE_IPV6,
                        packet(GUEST, GATEWAY, 64, ICMP, message(Icmpv6Packet.ECHO_REQUEST, 16))));
        assertThat(other.stack.ports().guestAddress())
                .as("an announcement claims nothing")
                .contains(ip(GUEST));
    }

    @Test
    void addressThatIsAdvertisedToAllIsAskedForToo() {
        rig.input(toGroup(LINK_LOCAL, "ff02::1", about(Icmpv6Packet.NEIGHBOUR_ADVERTISEMENT, GUEST)));
        rig.advance(1);
        assertThat(askedFor(AnnouncedAddresses.INTERVAL)).containsExactly(ip(GUEST));
        rig.stack.reset();
        assertThat(askedFor(60 * StackRig.SECOND)).as("the guest is gone").isEmpty();
    }

    @Test
    void addressOfDhcpIsAskedForOnceItIsLeasedAndNotWhileItIsOffered() {
        byte[] solicit = {1, 1, 2, 3, 0, 1, 0, 4, 0, 4, 1, 1, 0, 3, 0, 12, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0};
        rig.input(frame(packet(LINK_LOCAL, "ff02::1:2", 1, UDP, datagram(546, 547, solicit))));
        rig.advance(1);
        assertThat(askedFor(60 * StackRig.SECOND)).isEmpty();
        byte[] rapid = Arrays.copyOf(solicit, solicit.length + 4);
        rapid[solicit.length + 1] = 14;
        rig.input(frame(packet(LINK_LOCAL, "ff02::1:2", 1, UDP, datagram(546, 547, rapid))));
        List<IpAddress> asked = askedFor(AnnouncedAddresses.INTERVAL);
        assertThat(asked).hasSize(1);
        assertThat(asked.getFirst().toString()).startsWith("fd65::d");
    }

    /** Whatever a guest announces, so many wait, each is asked for so often, and an address of its own is found after it. */
    @Test
    void floodOfAnnouncedAddressesIsBoundedAndCounted() {
        guestComesUpAndIsSilent();
        for (int i = 1; i <= 10_000; i++) {
            rig.input(toGroup(
                    "::",
                    "ff02::1:ff00:0",
                    about(Icmpv6Packet.NEIGHBOUR_SOLICITATION, "fd65::7:" + Integer.toHexString(i))));
        }
        assertThat(rig.drops.get(DropReason.NEIGHBOUR_RATE)).isEqualTo(10_000 - (AnnouncedAddresses.LIMIT - 1));
        assertThat(askedFor(60 * StackRig.SECOND)).hasSize(AnnouncedAddresses.LIMIT * AnnouncedAddresses.TRIES);
        guestComesUpAndIsSilent();
        assertThat(askedFor(AnnouncedAddresses.INTERVAL)).containsExactly(ip(GUEST));
        assertThat(rig.failures).isEmpty();
    }

    @Test
    void guestThatWasThereBeforeIsCalledOnceASecondAtMostAndKnownByItsAnswer() {
        for (int i = 0; i < 100; i++) {
            rig.stack.ports().look(rig.now);
        }
        SentFrame call = rig.sent.only();
        assertThat(checked(call, ICMP)[0] & 0xFF).isEqualTo(Icmpv6Packet.ECHO_REQUEST);
        IpV6Packet.IpV6Header header = read(call).get(IpV6Packet.class).getHeader();
        assertThat(IpAddress.ofBytes(header.getDstAddr().getAddress())).isEqualTo(ip("ff02::1"));
        assertThat(IpAddress.ofBytes(header.getSrcAddr().getAddress()))
                .as("so that the answer is from an address of the network")
                .isEqualTo(ip(GATEWAY));
        rig.input(frame(packet(GUEST, GATEWAY, 64, ICMP, message(Icmpv6Packet.ECHO_REPLY, 8))));
        assertThat(rig.stack.ports().guestAddress()).contains(ip(GUEST));
        rig.sent.take();
        rig.now += StackRig.SECOND;
        rig.stack.ports().look(rig.now);
        assertThat(rig.sent.take()).hasSize(1);
        StackRig off = new StackRig();
        off.stack.ports().look(off.now);
        assertThat(off.sent.take()).isEmpty();
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
