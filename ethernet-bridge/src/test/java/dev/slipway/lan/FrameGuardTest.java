package dev.slipway.lan;

import static dev.slipway.lan.SwitchRig.from;
import static dev.slipway.lan.SwitchRig.ip;
import static dev.slipway.lan.SwitchRig.mac;
import static org.assertj.core.api.Assertions.assertThat;

import dev.slipway.dhcp.DhcpSettings;
import dev.slipway.dhcp.DhcpSettings.Route;
import dev.slipway.testing.PacketBuilder;
import dev.slipway.wire.DropReason;
import dev.slipway.wire.EthernetFrame;
import dev.slipway.wire.Frame;
import dev.slipway.wire.IpAddress;
import dev.slipway.wire.MacAddress;
import java.lang.foreign.MemorySegment;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.nio.ByteBuffer;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;

/** What a VM may say to another: VM 0 says it, VM 1 hears it, or not. */
final class FrameGuardTest {

    private static final String GATEWAY = "192.168.65.1";
    private static final String HOST = "192.168.65.254";
    private static final long ALL_NODES = 0x3333_0000_0001L;
    private static final int UDP = 17;
    private static final int ICMPV6 = 58;

    private SwitchRig rig = new SwitchRig(2).introduced();

    private void passes(MemorySegment frame) {
        String before = rig.vm(0).drops.toString();
        rig.vm(0).send(frame);
        rig.run();
        assertThat(rig.vm(0).drops).hasToString(before);
        assertThat(rig.vm(1).toGuest).hasSize(1);
        rig.vms.forEach(SwitchRig.Vm::clear);
    }

    private void dropped(DropReason reason, MemorySegment frame) {
        dropped(reason, PacketBuilder.frame(frame));
    }

    private void dropped(DropReason reason, Frame frame) {
        long before = rig.vm(0).dropped(reason);
        long all = rig.vm(0).drops.total();
        rig.vm(0).sendOne(frame);
        rig.run();
        assertThat(rig.vm(0).dropped(reason))
                .as("%s among %s", reason, rig.vm(0).drops)
                .isEqualTo(before + 1);
        assertThat(rig.vm(0).drops.total()).isEqualTo(all + 1);
        assertThat(rig.vm(1).toGuest).isEmpty();
        assertThat(rig.vm(0).toStack).isEmpty();
    }

    private void forTheGatewayOnly(MemorySegment frame) {
        String before = rig.vm(0).drops.toString();
        rig.vm(0).clear();
        rig.vm(0).send(frame);
        rig.run();
        assertThat(rig.vm(0).toStack).hasSize(1);
        assertThat(rig.vm(0).drops).hasToString(before);
        rig.vm(0).clear();
        assertThat(rig.vm(1).toGuest).isEmpty();
    }

    // --- ARP

    @Test
    void arpThatClaimsWhatIsOnesOwnPasses() {
        passes(from(0, 1).arpRequest(ip(1)));
        passes(arp(mac(1), 2, mac(0), ip(0)));
        // Is that address free? (RFC 5227)
        passes(arp(MacAddress.BROADCAST, 1, mac(0), "0.0.0.0"));
    }

    @Test
    void arpThatClaimsTheGatewaysTheHostsOrAnotherVmsAddressIsDropped() {
        for (String claimed : List.of(GATEWAY, HOST, ip(1))) {
            for (int operation : new int[] {1, 2}) {
                dropped(DropReason.SPOOF, arp(mac(1), operation, mac(0), claimed));
                dropped(DropReason.SPOOF, arp(MacAddress.BROADCAST, operation, mac(0), claimed));
            }
        }
        dropped(DropReason.SPOOF, arp(mac(1), 2, SwitchRig.GATEWAY, ip(0)));
        dropped(DropReason.SPOOF, arp(mac(1), 2, mac(0), "10.1.2.3"));
        dropped(DropReason.SPOOF, arp(mac(1), 2, mac(0), "192.168.65.255"));
        dropped(DropReason.ARP, PacketBuilder.truncate(from(0, 1).arpRequest(ip(1)), 30));
    }

    private static MemorySegment arp(long to, int operation, long senderMac, String senderIp) {
        return from(0, 1).arp(to, operation, senderMac, IpAddress.parseV4(senderIp), mac(1), IpAddress.parseV4(ip(1)));
    }

    // --- IPv4

    @Test
    void sourceAddressOfSomebodyElseIsDropped() {
        for (String source : List.of(GATEWAY, HOST, ip(1))) {
            dropped(DropReason.SPOOF, from(0, 1).udp(ip(1), 7).source(source).build());
            dropped(DropReason.SPOOF, from(0, 1).tcp(ip(1), 7).source(source).build());
        }
        for (String source : List.of("8.8.8.8", "127.0.0.1", "0.0.0.0", "224.0.0.1", "255.255.255.255")) {
            dropped(DropReason.MARTIAN, from(0, 1).udp(ip(1), 7).source(source).build());
        }
        passes(from(0, 1).udp(ip(1), 7).build());
        passes(from(0, 1).udp(ip(1), 7).source("192.168.65.77").build());
    }

    @Test
    void vmThatDhcpNamesAsARouterPassesOnForWhatLiesBehindIt() {
        Route route = new Route(IpAddress.parseV4("10.8.0.0"), 16, IpAddress.parseV4(ip(0)));
        rig = new SwitchRig(2, new DhcpSettings(List.of(), List.of(route), Map.of())).introduced();
        passes(from(0, 1).udp(ip(1), 7).source("10.8.3.4").build());
        rig.vm(0).send(from(0, 1).udp(ip(1), 7).source("10.9.3.4").build());
        assertThat(rig.vm(0).dropped(DropReason.MARTIAN)).isEqualTo(1);
        rig.vm(1).send(from(1, 0).udp(ip(0), 7).source("10.8.3.4").build());
        assertThat(rig.vm(1).dropped(DropReason.MARTIAN)).isEqualTo(1);
    }

    @Test
    void nobodyButTheGatewayServesDhcp() {
        PacketBuilder all = PacketBuilder.guest().mac(mac(0)).address(ip(0)).to(MacAddress.BROADCAST);
        for (PacketBuilder to : List.of(from(0, 1), all)) {
            for (String destination : List.of(ip(1), "255.255.255.255")) {
                dropped(
                        DropReason.ROGUE_DHCP,
                        to.udp(destination, 68).port(67).payload(new byte[300]).build());
                // Clients look at their own port only.
                dropped(
                        DropReason.ROGUE_DHCP,
                        to.udp(destination, 68)
                                .port(4011)
                                .payload(new byte[300])
                                .build());
                dropped(
                        DropReason.ROGUE_DHCP,
                        to.udp(destination, 1000).port(67).build());
                for (int size : new int[] {8, 64}) {
                    MemorySegment whole = to.udp(destination, 68)
                            .port(67)
                            .payload(new byte[300])
                            .build();
                    dropped(
                            DropReason.ROGUE_DHCP,
                            PacketBuilder.fragments(whole, size).getFirst());
                }
            }
        }
        dropped(DropReason.ROGUE_DHCP, from(0, 1).udp(ip(1), 67).port(68).build());
        MemorySegment ports =
                from(0, 1).udp(ip(1), 68).port(67).payload(new byte[30]).build();
        dropped(DropReason.UDP, PacketBuilder.fragment(ports, 0, 4, false));
        dropped(DropReason.FRAGMENT, PacketBuilder.fragment(ports, 0, 0, true));
    }

    @Test
    void questionForAnAddressIsTheGatewaysOnly() {
        forTheGatewayOnly(PacketBuilder.guest().mac(mac(0)).dhcp(1).build());
        forTheGatewayOnly(ipv6("fe80::1:0", "ff02::1:2", 0x3333_0001_0002L, UDP, udp(546, 547)));
    }

    @Test
    void redirectsAndRoutersThatAdvertiseThemselvesAreDropped() {
        MemorySegment echo = from(0, 1).icmp(ip(1)).build();
        dropped(DropReason.ICMP, PacketBuilder.patch(echo, 34, 5));
        dropped(DropReason.ICMP, PacketBuilder.patch(echo, 34, 9));
        passes(echo);
    }

    @Test
    void packetsThatCannotBeAreDropped() {
        dropped(DropReason.CHECKSUM, from(0, 1).udp(ip(1), 7).badIpChecksum().build());
        dropped(DropReason.IP_HEADER, from(0, 1).udp(ip(1), 7).totalLength(8).build());
        dropped(
                DropReason.SOURCE_ROUTE,
                from(0, 1).udp(ip(1), 7).ipOptions(131, 7, 4, 1, 2, 3, 4, 0).build());
        dropped(
                DropReason.OVERSIZE,
                from(0, 1).udp(ip(1), 7).payload(new byte[1473]).build());
    }

    @Test
    void whatCannotBeLookedIntoIsDropped() {
        byte[] packet = PacketBuilder.bytes(from(0, 1).arpRequest(ip(1)));
        for (int type : new int[] {0x8100, 0x88A8, 0x88CC, 0x0806 - 0x800, 46}) {
            dropped(DropReason.ETHERTYPE, from(0, 1).ethernet(mac(1), type, packet));
        }
    }

    // --- IPv6

    @Test
    void neighboursSpeakForThemselvesOnly() {
        String own = "fd65::a";
        String local = "fe80::a";
        passes(ipv6(local, "ff02::1:ff00:b", 0x3333_FF00_000BL, ICMPV6, neighbour(135, "fd65::b", 1, mac(0))));
        passes(ipv6("::", "ff02::1:ff00:a", 0x3333_FF00_000AL, ICMPV6, neighbour(135, own, 0, 0)));
        passes(ipv6(own, "fd65::b", mac(1), ICMPV6, neighbour(136, own, 2, mac(0))));
        rig.vm(1)
                .send(ipv6Of(mac(1), "fd65::b", "fd65::1", SwitchRig.GATEWAY, ICMPV6, neighbour(136, "fd65::b", 0, 0)));
        rig.vm(1).send(ipv6Of(mac(1), "fd65::b", own, mac(0), ICMPV6, neighbour(136, "fd65::b", 2, mac(1))));
        rig.vm(1).send(ipv6Of(mac(1), "fe80::b", own, mac(0), ICMPV6, neighbour(136, "fe80::b", 2, mac(1))));
        rig.run();
        rig.vms.forEach(SwitchRig.Vm::clear);
        for (String claimed : List.of("fd65::1", "fd65::254", "fe80::1", "fd65::b", "fe80::b")) {
            dropped(DropReason.SPOOF, ipv6(own, "fd65::b", mac(1), ICMPV6, neighbour(136, claimed, 2, mac(0))));
            dropped(DropReason.SPOOF, ipv6(own, "ff02::1", ALL_NODES, ICMPV6, neighbour(136, claimed, 2, mac(0))));
            dropped(DropReason.SPOOF, ipv6(claimed, "fd65::b", mac(1), UDP, udp(7, 7)));
        }
        dropped(DropReason.SPOOF, ipv6(own, "fd65::b", mac(1), ICMPV6, neighbour(136, own, 2, mac(1))));
        dropped(
                DropReason.SPOOF,
                ipv6(own, "fd65::b", mac(1), ICMPV6, neighbour(135, "fd65::b", 1, SwitchRig.GATEWAY)));
        dropped(DropReason.MARTIAN, ipv6("::", "fd65::b", mac(1), ICMPV6, neighbour(136, own, 2, mac(0))));
        dropped(DropReason.MARTIAN, ipv6("2001:db8::1", "fd65::b", mac(1), UDP, udp(7, 7)));
        dropped(DropReason.MARTIAN, ipv6("::", "ff02::1", ALL_NODES, ICMPV6, message(128, 16)));
        byte[] endless = neighbour(136, own, 2, mac(0));
        endless[25] = 0;
        dropped(DropReason.NEIGHBOUR, ipv6(own, "fd65::b", mac(1), ICMPV6, endless));
        dropped(DropReason.NEIGHBOUR, ipv6(own, "fd65::b", mac(1), ICMPV6, message(136, 20)));
    }

    @Test
    void nobodyButTheGatewayIsARouterByIpv6() {
        for (long to : new long[] {mac(1), ALL_NODES}) {
            for (int type : new int[] {134, 137}) {
                dropped(DropReason.ROGUE_RA, ipv6("fe80::a", "ff02::1", to, ICMPV6, message(type, 40)));
                // Behind options, and in a fragment that is none.
                dropped(
                        DropReason.ROGUE_RA,
                        behind(60, new byte[] {ICMPV6, 0, 1, 4, 0, 0, 0, 0}, to, message(type, 40)));
                dropped(
                        DropReason.ROGUE_RA,
                        behind(44, new byte[] {ICMPV6, 0, 0, 0, 0, 0, 0, 1}, to, message(type, 40)));
                // In a first fragment, and behind options that begin in one.
                dropped(
                        DropReason.ROGUE_RA,
                        behind(44, new byte[] {ICMPV6, 0, 0, 1, 0, 0, 0, 1}, to, message(type, 40)));
                dropped(
                        DropReason.IP_EXTENSIONS,
                        behind(44, new byte[] {60, 0, 0, 1, 0, 0, 0, 1}, to, message(type, 40)));
                dropped(DropReason.FRAGMENT, behind(44, new byte[] {ICMPV6, 0, 0, 1, 0, 0, 0, 1}, to, new byte[] {}));
            }
        }
        forTheGatewayOnly(ipv6("fe80::a", "ff02::2", 0x3333_0000_0002L, ICMPV6, message(133, 8)));
        dropped(DropReason.ROGUE_DHCP, ipv6("fe80::a", "fe80::b", mac(1), UDP, udp(547, 546)));
        dropped(DropReason.ROGUE_DHCP, ipv6("fe80::a", "fe80::b", mac(1), UDP, udp(1000, 546)));
    }

    private static MemorySegment behind(int header, byte[] extension, long to, byte[] payload) {
        return ipv6("fe80::a", "ff02::1", to, header, PacketBuilder.join(extension, payload));
    }

    private static MemorySegment ipv6(String from, String to, long toMac, int protocol, byte[] payload) {
        return ipv6Of(mac(0), from, to, toMac, protocol, payload);
    }

    private static MemorySegment ipv6Of(
            long fromMac, String from, String to, long toMac, int protocol, byte[] payload) {
        ByteBuffer packet = ByteBuffer.allocate(40 + payload.length);
        packet.putInt(6 << 28)
                .putShort((short) payload.length)
                .put((byte) protocol)
                .put((byte) 255);
        packet.put(address(from)).put(address(to)).put(payload);
        return PacketBuilder.guest().mac(fromMac).ethernet(toMac, EthernetFrame.TYPE_IPV6, packet.array());
    }

    private static byte[] address(String text) {
        try {
            return InetAddress.getByName(text).getAddress();
        } catch (UnknownHostException e) {
            throw new IllegalArgumentException(e);
        }
    }

    private static byte[] message(int type, int length) {
        byte[] bytes = new byte[length];
        bytes[0] = (byte) type;
        return bytes;
    }

    private static byte[] udp(int from, int to) {
        return ByteBuffer.allocate(40)
                .putShort((short) from)
                .putShort((short) to)
                .putShort((short) 40)
                .array();
    }

    private static byte[] neighbour(int type, String target, int option, long linkAddress) {
        ByteBuffer bytes = ByteBuffer.allocate(option == 0 ? 24 : 32);
        bytes.put((byte) type).position(8).put(address(target));
        if (option != 0) {
            bytes.putShort((short) (option << 8 | 1))
                    .putShort((short) (linkAddress >>> 32))
                    .putInt((int) linkAddress);
        }
        return bytes.array();
    }

    // --- offload

    @Test
    void checksumIsCompletedWhereItBelongsAndNowhereElse() {
        MemorySegment udp = from(0, 1).udp(ip(1), 7).payload(new byte[100]).build();
        MemorySegment tcp = from(0, 1).tcp(ip(1), 7).payload(new byte[100]).build();
        sound(PacketBuilder.frame(udp).checksumPartial(34, 6));
        sound(PacketBuilder.frame(tcp).checksumPartial(34, 16));
        // Of what UDP carries, as in a tunnel.
        sound(PacketBuilder.frame(udp).checksumPartial(60, 16));
        for (int[] lie : new int[][] {{34, 0}, {34, 2}, {30, 4}, {14, 12}, {14, 26}, {38, 2}}) {
            dropped(DropReason.OFFLOAD, PacketBuilder.frame(udp).checksumPartial(lie[0], lie[1]));
        }
        dropped(DropReason.OFFLOAD, PacketBuilder.frame(tcp).checksumPartial(34, 18));
        dropped(DropReason.OFFLOAD, PacketBuilder.frame(tcp).checksumPartial(60, 16));
        dropped(
                DropReason.OFFLOAD,
                PacketBuilder.frame(from(0, 1).arpRequest(ip(1))).checksumPartial(14, 14));
        MemorySegment fragment = PacketBuilder.fragments(tcp, 64).getFirst();
        dropped(DropReason.OFFLOAD, PacketBuilder.frame(fragment).checksumPartial(34, 16));
    }

    private void sound(Frame frame) {
        rig.vm(0).sendOne(frame);
        rig.run();
        assertThat(rig.vm(0).drops).hasToString("");
        assertThat(rig.vm(1).toGuest).hasSize(1);
        rig.vm(1).clear();
    }

    @Test
    void largeUnitMustFitTheLinkOnceItIsCut() {
        MemorySegment tcp = from(0, 1).tcp(ip(1), 7).payload(new byte[20_000]).build();
        sound(PacketBuilder.frame(tcp).checksumPartial(34, 16).largeUnit(1460));
        sound(PacketBuilder.frame(tcp).checksumPartial(34, 16).largeUnit(20));
        dropped(
                DropReason.OFFLOAD,
                PacketBuilder.frame(tcp).checksumPartial(34, 16).largeUnit(1461));
        dropped(
                DropReason.OFFLOAD,
                PacketBuilder.frame(tcp).checksumPartial(34, 16).largeUnit(19));
        dropped(DropReason.OFFLOAD, PacketBuilder.frame(tcp).largeUnit(1460));
        dropped(
                DropReason.OFFLOAD,
                PacketBuilder.frame(
                                from(0, 1).udp(ip(1), 7).payload(new byte[100]).build())
                        .checksumPartial(34, 6)
                        .largeUnit(50));
        dropped(
                DropReason.OFFLOAD,
                PacketBuilder.frame(PacketBuilder.patch(tcp, 46, 0xF0, 0, 0, 0))
                        .checksumPartial(34, 16)
                        .largeUnit(1460));
    }

    @Test
    void anyBytesHarmNobody() {
        long seed = new Random().nextLong();
        System.out.println("seed " + seed);
        Random random = new Random(seed);
        List<MemorySegment> good = List.of(
                from(0, 1).udp(ip(1), 7).payload(new byte[100]).build(),
                from(0, 1).tcp(ip(1), 7).payload(new byte[100]).build(),
                from(0, 1).arpRequest(ip(1)),
                ipv6("fd65::a", "fd65::b", mac(1), ICMPV6, neighbour(136, "fd65::a", 2, mac(0))),
                behind(44, new byte[] {UDP, 0, 0, 1, 0, 0, 0, 1}, mac(1), udp(7, 7)));
        for (int i = 0; i < 50_000; i++) {
            byte[] bytes = PacketBuilder.bytes(good.get(random.nextInt(good.size())));
            for (int changes = random.nextInt(4); changes > 0; changes--) {
                bytes[random.nextInt(bytes.length)] = (byte) random.nextInt();
            }
            MemorySegment cut = PacketBuilder.segment(
                    random.nextInt(4) == 0 ? java.util.Arrays.copyOf(bytes, random.nextInt(bytes.length) + 1) : bytes);
            Frame frame = PacketBuilder.frame(cut);
            if (random.nextBoolean() && frame.length() > 16) {
                frame.checksumPartial(14 + random.nextInt(frame.length() - 15), random.nextInt(2));
                frame.largeUnit(random.nextInt(3) == 0 ? random.nextInt(2000) : 0);
            }
            rig.vm(0).sendOne(frame);
            rig.run();
            rig.vms.forEach(SwitchRig.Vm::clear);
            rig.vm(1).room = 1 << 20;
        }
        rig.vm(0).send(from(0, 1).udp(ip(1), 7).build());
        rig.run();
        assertThat(rig.vm(1).toGuest).hasSize(1);
    }
}
