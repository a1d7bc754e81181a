package dev.slipway.stack;

import static dev.slipway.stack.Ipv6Packets.GATEWAY;
import static dev.slipway.stack.Ipv6Packets.GUEST;
import static dev.slipway.stack.Ipv6Packets.HOST;
import static dev.slipway.stack.Ipv6Packets.ICMP;
import static dev.slipway.stack.Ipv6Packets.LINK_LOCAL;
import static dev.slipway.stack.Ipv6Packets.OUTSIDE;
import static dev.slipway.stack.Ipv6Packets.TCP;
import static dev.slipway.stack.Ipv6Packets.UDP;
import static dev.slipway.stack.Ipv6Packets.checked;
import static dev.slipway.stack.Ipv6Packets.ip;
import static dev.slipway.stack.Ipv6Packets.message;
import static dev.slipway.stack.Ipv6Packets.packet;
import static dev.slipway.stack.Ipv6Packets.read;
import static org.assertj.core.api.Assertions.assertThat;

import dev.slipway.ip.Ipv6Neighbours;
import dev.slipway.seam.Ipv6Settings;
import dev.slipway.seam.StackSettings;
import dev.slipway.testing.SentFrame;
import dev.slipway.wire.DropReason;
import dev.slipway.wire.EthernetFrame;
import dev.slipway.wire.Icmpv6Packet;
import dev.slipway.wire.IpAddress;
import dev.slipway.wire.TcpSegment;
import dev.slipway.wire.UdpDatagram;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.pcap4j.packet.EthernetPacket;
import org.pcap4j.packet.IcmpV6NeighborAdvertisementPacket;
import org.pcap4j.packet.IcmpV6NeighborAdvertisementPacket.IcmpV6NeighborAdvertisementHeader;
import org.pcap4j.packet.IcmpV6RouterAdvertisementPacket;
import org.pcap4j.packet.IpV6Packet;
import org.pcap4j.packet.TcpPacket;
import org.pcap4j.packet.UdpPacket;

/** A guest with IPv6: what a router and neighbour is asked, connections, names, and what must not get through. */
class StackIpv6Test {

    private final StackSettings settings = StackSettings.defaults().withIpv6(Ipv6Settings.DEFAULTS);
    private final StackRig rig = new StackRig(settings);

    private MemorySegment frame(byte[] packet) {
        return rig.guest.ethernet(settings.gatewayMac(), EthernetFrame.TYPE_IPV6, packet);
    }

    private MemorySegment group(byte[] packet) {
        return rig.guest.ethernet(0x3333_0000_0002L, EthernetFrame.TYPE_IPV6, packet);
    }

    private static byte[] solicitation(String target) {
        byte[] bytes = message(Icmpv6Packet.NEIGHBOUR_SOLICITATION, 24);
        System.arraycopy(ip(target).toBytes(), 0, bytes, 8, 16);
        return bytes;
    }

    private MemorySegment syn(String to, int port, int flags, int sequence, int acknowledgement) {
        byte[] segment = new byte[20];
        MemorySegment bytes = MemorySegment.ofArray(segment);
        TcpSegment.write(bytes, 0, 0, 40_000, 0, port, sequence, acknowledgement, flags, 65_535, 20, 20);
        segment[16] = 0;
        segment[17] = 0;
        return frame(packet(GUEST, to, 64, TCP, segment));
    }

    @Test
    void routerIsAdvertisedWithPrefixNameServerAndMtu() {
        rig.input(group(packet(LINK_LOCAL, "ff02::2", 255, ICMP, message(Icmpv6Packet.ROUTER_SOLICITATION, 8))));
        // The timer's first one, and the answer.
        SentFrame sent = rig.sent.next();
        byte[] message = checked(sent, ICMP);
        EthernetPacket frame = read(sent);
        IpV6Packet.IpV6Header header = frame.get(IpV6Packet.class).getHeader();
        assertThat(header.getSrcAddr().getHostAddress()).isEqualTo("fe80:0:0:0:0:0:0:1");
        assertThat(header.getHopLimitAsInt()).isEqualTo(255);
        var router = frame.get(IcmpV6RouterAdvertisementPacket.class).getHeader();
        assertThat(router.getRouterLifetimeAsInt()).isEqualTo(65_535);
        assertThat(router.getManagedAddressConfigurationFlag()).isFalse();
        ByteBuffer options = ByteBuffer.wrap(message, 16, message.length - 16);
        boolean prefix = false;
        boolean names = false;
        boolean mtu = false;
        boolean search = false;
        while (options.hasRemaining()) {
            int at = options.position();
            int type = message[at];
            int length = 8 * message[at + 1];
            prefix |= type == 3
                    && message[at + 2] == 64
                    && Arrays.equals(ip("fd65::").toBytes(), Arrays.copyOfRange(message, at + 16, at + 32));
            names |= type == 25 && Arrays.equals(ip(GATEWAY).toBytes(), Arrays.copyOfRange(message, at + 8, at + 24));
            search |= type == 31
                    && new String(message, at + 8, 10, java.nio.charset.StandardCharsets.ISO_8859_1)
                            .equals("\10internal\0");
            mtu |= type == 5 && options.getInt(at + 4) == 1500;
            options.position(at + length);
        }
        assertThat(prefix).isTrue();
        assertThat(names).isTrue();
        assertThat(mtu).isTrue();
        assertThat(search).isTrue();
    }

    @Test
    void routerIsAdvertisedAgainWhileTheGuestIsThere() {
        rig.input(group(packet(LINK_LOCAL, "ff02::2", 255, ICMP, message(Icmpv6Packet.ROUTER_SOLICITATION, 8))));
        rig.advance(1_000_000_000L);
        rig.sent.take();
        rig.advance(2 * Advertisements.INTERVAL);
        assertThat(rig.sent.take()).hasSize(2);
    }

    private static int lifetime(byte[] advertisement) {
        return (advertisement[6] & 0xFF) << 8 | advertisement[7] & 0xFF;
    }

    @Test
    void routerIsOneOnlyWhileTheHostHasAWayOut() {
        StackRig following = new StackRig(StackSettings.defaults().withIpv6(Ipv6Settings.AUTO));
        following.stack.ipv6Router(true);
        following.stack.ipv6Router(false);
        assertThat(following.sent.take()).as("nobody is there to be told").isEmpty();
        following.input(group(packet(LINK_LOCAL, "ff02::2", 255, ICMP, message(Icmpv6Packet.ROUTER_SOLICITATION, 8))));
        assertThat(lifetime(checked(following.sent.next(), ICMP))).isZero();
        following.stack.ipv6Router(true);
        assertThat(lifetime(checked(following.sent.next(), ICMP))).isEqualTo(65_535);
        following.stack.ipv6Router(false);
        byte[] withdrawn = checked(following.sent.next(), ICMP);
        assertThat(lifetime(withdrawn)).isZero();
        assertThat(withdrawn[16 + 8 + 8 + 3] & 0xC0)
                .as("the prefix stays: the host is there")
                .isEqualTo(0xC0);
    }

    @ParameterizedTest
    @CsvSource({"fd65::1", "fd65::254", "fe80::1"})
    void ourAddressesAreSaidToBeHere(String ours) {
        rig.input(frame(packet(LINK_LOCAL, ours, 255, ICMP, solicitation(ours))));
        SentFrame sent = rig.sent.next();
        checked(sent, ICMP);
        IcmpV6NeighborAdvertisementHeader said =
                read(sent).get(IcmpV6NeighborAdvertisementPacket.class).getHeader();
        assertThat(IpAddress.ofBytes(said.getTargetAddress().getAddress())).isEqualTo(ip(ours));
        assertThat(said.getSolicitedFlag()).isTrue();
        assertThat(said.getRouterFlag()).isTrue();
    }

    @Test
    void whoAsksWhetherOurAddressIsFreeHearsThatItIsNot() {
        rig.input(group(packet("::", "ff02::1:ff00:1", 255, ICMP, solicitation(GATEWAY))));
        SentFrame sent = rig.sent.next();
        checked(sent, ICMP);
        EthernetPacket frame = read(sent);
        assertThat(frame.get(IpV6Packet.class).getHeader().getDstAddr().getHostAddress())
                .isEqualTo("ff02:0:0:0:0:0:0:1");
        assertThat(frame.get(IcmpV6NeighborAdvertisementPacket.class)
                        .getHeader()
                        .getSolicitedFlag())
                .isFalse();
    }

    @Test
    void nobodyIsToldOfTheGuestsOwnAddresses() {
        rig.input(group(packet("::", "ff02::1:ff12:3456", 255, ICMP, solicitation(GUEST))));
        assertThat(rig.sent.take()).isEmpty();
    }

    @Test
    void addressIsLeasedToWhoAsksAllServers() {
        byte[] solicit = {1, 1, 2, 3, 0, 1, 0, 4, 0, 4, 1, 1, 0, 3, 0, 12, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0};
        byte[] datagram = Ipv6Packets.datagram(546, 547, solicit);
        rig.input(group(packet(LINK_LOCAL, "ff02::1:2", 1, UDP, datagram)));
        SentFrame sent = rig.sent.only();
        byte[] offer = checked(sent, UDP);
        assertThat(Arrays.copyOfRange(offer, 8, 12)).isEqualTo(new byte[] {2, 1, 2, 3});
        EthernetPacket frame = read(sent);
        assertThat(frame.get(UdpPacket.class).getHeader().getDstPort().valueAsInt())
                .isEqualTo(546);
        assertThat(frame.get(UdpPacket.class).getHeader().getSrcPort().valueAsInt())
                .isEqualTo(547);
        IpV6Packet.IpV6Header header = frame.get(IpV6Packet.class).getHeader();
        assertThat(header.getSrcAddr().getHostAddress()).isEqualTo("fe80:0:0:0:0:0:0:1");
        assertThat(IpAddress.ofBytes(header.getDstAddr().getAddress())).isEqualTo(ip(LINK_LOCAL));
    }

    @Test
    void whatIsNoQuestionToServersIsDropped() {
        byte[] solicit = {1, 1, 2, 3, 0, 1, 0, 4, 0, 4, 1, 1};
        byte[] good = Ipv6Packets.datagram(546, 547, solicit);
        isDropped(group(packet(GUEST, "ff02::1:2", 1, UDP, good)), DropReason.DESTINATION);
        isDropped(group(packet(LINK_LOCAL, "ff02::1:3", 1, UDP, good)), DropReason.DESTINATION);
        byte[] elsewhere = Ipv6Packets.datagram(546, 548, solicit);
        isDropped(group(packet(LINK_LOCAL, "ff02::1:2", 1, UDP, elsewhere)), DropReason.DESTINATION);
        byte[] advertise = Ipv6Packets.datagram(547, 547, new byte[] {2, 1, 2, 3, 0, 1, 0, 4, 0, 4, 1, 1});
        isDropped(group(packet(LINK_LOCAL, "ff02::1:2", 1, UDP, advertise)), DropReason.DHCP);
    }

    @Test
    void gatewayAnswersPing() {
        byte[] echo = message(Icmpv6Packet.ECHO_REQUEST, 64);
        echo[5] = 7;
        rig.input(frame(packet(GUEST, GATEWAY, 64, ICMP, echo)));
        byte[] reply = checked(rig.sent.next(), ICMP);
        assertThat(reply[0] & 0xFF).isEqualTo(Icmpv6Packet.ECHO_REPLY);
        assertThat(Arrays.copyOfRange(reply, 4, 64)).isEqualTo(Arrays.copyOfRange(echo, 4, 64));
    }

    @Test
    void connectionOfTheGuestBecomesOneOfTheHost() {
        rig.input(syn(OUTSIDE, 80, TcpSegment.SYN, 100, 0));
        assertThat(rig.sent.take()).isEmpty();
        StackRig.FakeHost.Stream stream = rig.host.streams.getLast();
        assertThat(stream.destination).isEqualTo(ip(OUTSIDE));
        stream.listener.connected();
        rig.stack.endTurn(rig.now);
        TcpPacket.TcpHeader answer = read(rig.sent.next()).get(TcpPacket.class).getHeader();
        assertThat(answer.getSyn() && answer.getAck()).isTrue();
        assertThat(answer.getAcknowledgmentNumber()).isEqualTo(101);
        assertThat(answer.getDstPort().valueAsInt()).isEqualTo(40_000);
    }

    @Test
    void refusedConnectionIsResetAndUnreachableOneIsSaidToBe() {
        rig.input(syn(OUTSIDE, 81, TcpSegment.SYN, 100, 0));
        rig.host.streams.getLast().listener.failed(dev.slipway.seam.HostStream.ConnectFailure.REFUSED);
        rig.stack.endTurn(rig.now);
        assertThat(read(rig.sent.next()).get(TcpPacket.class).getHeader().getRst())
                .isTrue();
        rig.input(syn(OUTSIDE, 82, TcpSegment.SYN, 100, 0));
        rig.host.streams.getLast().listener.failed(dev.slipway.seam.HostStream.ConnectFailure.NETWORK_UNREACHABLE);
        rig.stack.endTurn(rig.now);
        byte[] error = checked(rig.sent.next(), ICMP);
        assertThat(error[0]).isEqualTo((byte) Icmpv6Packet.UNREACHABLE);
        assertThat(error[1]).isEqualTo((byte) Icmpv6Packet.CODE_NO_ROUTE);
        assertThat(IpAddress.ofBytes(Arrays.copyOfRange(error, 32, 48))).isEqualTo(ip(OUTSIDE));
    }

    @Test
    void nameServerAnswersOverIpv6WithIpv6Addresses() {
        byte[] name = "\4host\6docker\10internal\0".getBytes(java.nio.charset.StandardCharsets.ISO_8859_1);
        byte[] datagram = new byte[8 + 12 + name.length + 4];
        ByteBuffer bytes = ByteBuffer.wrap(datagram);
        bytes.putShort((short) 5353)
                .putShort((short) 53)
                .putShort((short) datagram.length)
                .putShort((short) 0);
        bytes.putShort((short) 77)
                .putShort((short) 0x0100)
                .putShort((short) 1)
                .putInt(0)
                .putShort((short) 0);
        bytes.put(name).putShort((short) 28).putShort((short) 1);
        rig.input(frame(packet(GUEST, GATEWAY, 64, UDP, datagram)));
        byte[] answer = checked(rig.sent.next(), UDP);
        assertThat(Arrays.copyOfRange(answer, answer.length - 16, answer.length))
                .isEqualTo(ip(HOST).toBytes());
        assertThat(UdpDatagram.HEADER_LENGTH + 12).isLessThan(answer.length);
    }

    @ParameterizedTest
    @CsvSource({
        "fd65::77, 64, UNREACHABLE",
        "2001:db8::9, 1, TIME_EXCEEDED",
    })
    void whyAPacketGoesNoFurtherIsSaid(String to, int hops, String what) {
        rig.input(frame(packet(GUEST, to, hops, UDP, new byte[] {0, 9, 0, 9, 0, 9, 0, 0, 1})));
        byte[] error = checked(rig.sent.next(), ICMP);
        int type = what.equals("UNREACHABLE") ? Icmpv6Packet.UNREACHABLE : Icmpv6Packet.TIME_EXCEEDED;
        assertThat(error[0]).isEqualTo((byte) type);
    }

    private void isDropped(MemorySegment frame, DropReason reason) {
        rig.input(frame(packet(GUEST, GATEWAY, 64, ICMP, message(129, 8))));
        rig.sent.take();
        long before = rig.drops.get(reason);
        rig.input(frame);
        assertThat(rig.drops.get(reason) - before)
                .as("%s of %s", reason, rig.drops)
                .isEqualTo(1);
        assertThat(rig.sent.take()).isEmpty();
        assertThat(rig.host.opened()).isZero();
        assertThat(rig.failures).isEmpty();
    }

    @Test
    void badPacketsAreDroppedByName() {
        byte[] echo = message(Icmpv6Packet.ECHO_REQUEST, 16);
        byte[] good = packet(GUEST, GATEWAY, 64, ICMP, echo);
        isDropped(frame(Arrays.copyOf(good, 39)), DropReason.IP_TRUNCATED);
        isDropped(frame(Arrays.copyOf(good, 50)), DropReason.IP_TRUNCATED);
        byte[] version = good.clone();
        version[0] = 0x50;
        isDropped(frame(version), DropReason.IP_VERSION);
        byte[] jumbo = good.clone();
        jumbo[4] = 0;
        jumbo[5] = 0;
        isDropped(frame(jumbo), DropReason.IP_HEADER);
        byte[] sum = good.clone();
        sum[50] ^= 1;
        isDropped(frame(sum), DropReason.CHECKSUM);
        isDropped(frame(packet("2001:db8::1", GATEWAY, 64, ICMP, echo)), DropReason.MARTIAN);
        isDropped(frame(packet("ff02::1", GATEWAY, 64, ICMP, echo)), DropReason.MARTIAN);
        isDropped(frame(packet("::", GATEWAY, 64, ICMP, echo)), DropReason.MARTIAN);
        isDropped(frame(packet(GATEWAY, HOST, 64, ICMP, echo)), DropReason.SPOOF);
        isDropped(frame(packet(GUEST, "::1", 64, ICMP, echo)), DropReason.DESTINATION);
        isDropped(frame(packet(GUEST, "fe80::9", 64, ICMP, echo)), DropReason.DESTINATION);
        isDropped(frame(packet(GUEST, GATEWAY, 0, ICMP, echo)), DropReason.TTL);
        isDropped(group(packet(GUEST, "ff02::fb", 255, UDP, new byte[8])), DropReason.DESTINATION);
        isDropped(group(packet(LINK_LOCAL, "ff02::1", 255, ICMP, message(134, 16))), DropReason.ROGUE_RA);
        isDropped(frame(packet(LINK_LOCAL, GATEWAY, 255, ICMP, message(137, 40))), DropReason.ROGUE_RA);
        isDropped(frame(packet(GUEST, GATEWAY, 64, ICMP, solicitation(GATEWAY))), DropReason.NEIGHBOUR);
        byte[] endless = Arrays.copyOf(solicitation(GATEWAY), 32);
        isDropped(frame(packet(GUEST, GATEWAY, 255, ICMP, endless)), DropReason.NEIGHBOUR);
        byte[] claim = solicitation(GATEWAY);
        claim[0] = (byte) Icmpv6Packet.NEIGHBOUR_ADVERTISEMENT;
        isDropped(group(packet(GUEST, "ff02::1", 255, ICMP, claim)), DropReason.SPOOF);
    }

    @Test
    void extensionHeadersAreBounded() {
        byte[] echo = message(Icmpv6Packet.ECHO_REQUEST, 16);
        byte[] chain = new byte[1 + 8 * 9];
        for (int i = 0; i < 9; i++) {
            chain[i * 8] = 60;
        }
        chain[1 + 8 * 8] = ICMP;
        isDropped(frame(packet(GUEST, GATEWAY, 64, ICMP, echo, chain)), DropReason.IP_EXTENSIONS);
        isDropped(
                frame(packet(GUEST, GATEWAY, 64, ICMP, echo, (byte) 60, (byte) ICMP, (byte) 200)),
                DropReason.IP_EXTENSIONS);
        byte[] routing = {43, ICMP, 0, 0, 1, 0, 0, 0, 0};
        isDropped(frame(packet(GUEST, GATEWAY, 64, ICMP, echo, routing)), DropReason.SOURCE_ROUTE);
        byte[] fragment = {44, ICMP, 0, 0, 1, 0, 0, 0, 9};
        rig.input(frame(packet(GUEST, GATEWAY, 64, ICMP, echo, fragment)));
        assertThat(rig.sent.take()).as("a fragment waits for the others").isEmpty();
        byte[] twice = {44, 44, 0, 0, 0, 0, 0, 0, 9, ICMP, 0, 0, 0, 0, 0, 0, 9};
        isDropped(frame(packet(GUEST, GATEWAY, 64, ICMP, echo, twice)), DropReason.IP_EXTENSIONS);
        byte[] atomic = {44, ICMP, 0, 0, 0, 0, 0, 0, 9};
        rig.input(frame(packet(GUEST, GATEWAY, 64, ICMP, echo, atomic)));
        assertThat(rig.sent.take()).as("a whole packet with a fragment header").hasSize(1);
    }

    @Test
    void datagramWithoutAChecksumIsDropped() {
        byte[] datagram = {0, 9, 0, 53, 0, 8, 0, 0};
        byte[] bytes = packet(GUEST, GATEWAY, 64, UDP, datagram);
        bytes[46] = 0;
        bytes[47] = 0;
        isDropped(frame(bytes), DropReason.CHECKSUM);
    }

    @Test
    void addressOfAnotherStationIsNotTaken() {
        byte[] echo = message(Icmpv6Packet.ECHO_REQUEST, 16);
        rig.input(frame(packet(GUEST, GATEWAY, 64, ICMP, echo)));
        rig.sent.take();
        MemorySegment thief = rig.guest
                .mac(0x5254_0099_9999L)
                .ethernet(settings.gatewayMac(), EthernetFrame.TYPE_IPV6, packet(GUEST, GATEWAY, 64, ICMP, echo));
        isDropped(thief, DropReason.SPOOF);
    }

    @Test
    void addressOfAnotherGuestIsNotTakenAndIsFreeWhenThatIsGone() {
        byte[] echo = message(Icmpv6Packet.ECHO_REQUEST, 16);
        StackRig other = new StackRig(settings, rig.leases);
        rig.input(frame(packet(GUEST, GATEWAY, 64, ICMP, echo)));
        MemorySegment thief = rig.guest
                .mac(0x5254_0099_9999L)
                .ethernet(settings.gatewayMac(), EthernetFrame.TYPE_IPV6, packet(GUEST, GATEWAY, 64, ICMP, echo));
        other.input(thief);
        assertThat(other.drops.get(DropReason.SPOOF)).isEqualTo(1);
        rig.stack.reset();
        other.sent.take();
        other.input(thief);
        assertThat(other.sent.take()).hasSize(1);
    }

    @Test
    void floodOfAddressesEndsAtTheLimitAndTheGuestIsStillServed() {
        byte[] echo = message(Icmpv6Packet.ECHO_REQUEST, 16);
        rig.input(frame(packet(GUEST, GATEWAY, 64, ICMP, echo)));
        for (int i = 0; i < 2 * Ipv6Neighbours.LIMIT; i++) {
            rig.input(frame(packet("fd65::1:" + Integer.toHexString(i + 1), GATEWAY, 64, ICMP, echo)));
        }
        assertThat(rig.drops.get(DropReason.NEIGHBOUR_LIMIT)).isEqualTo(Ipv6Neighbours.LIMIT + 1);
        rig.sent.take();
        rig.input(frame(packet(GUEST, GATEWAY, 64, ICMP, echo)));
        assertThat(rig.sent.take()).hasSize(1);
    }
}
