package dev.slipway.stack;

import static dev.slipway.stack.Ipv6Packets.GATEWAY;
import static dev.slipway.stack.Ipv6Packets.GUEST;
import static dev.slipway.stack.Ipv6Packets.ICMP;
import static dev.slipway.stack.Ipv6Packets.OUTSIDE;
import static dev.slipway.stack.Ipv6Packets.checked;
import static dev.slipway.stack.Ipv6Packets.echo;
import static dev.slipway.stack.Ipv6Packets.ip;
import static dev.slipway.stack.Ipv6Packets.packet;
import static dev.slipway.stack.Ipv6Packets.read;
import static org.assertj.core.api.Assertions.assertThat;

import dev.slipway.icmp.EchoTable;
import dev.slipway.seam.HostDatagrams.Verdict;
import dev.slipway.seam.IcmpError;
import dev.slipway.seam.Ipv6Settings;
import dev.slipway.seam.StackSettings;
import dev.slipway.testing.SentFrame;
import dev.slipway.wire.DropReason;
import dev.slipway.wire.EthernetFrame;
import dev.slipway.wire.Icmpv6Packet;
import dev.slipway.wire.IpAddress;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.pcap4j.packet.IpV6Packet;

/** Echo requests of a guest over IPv6 to the outside. */
class StackEchoIpv6Test {

    private static final String ROUTER = "2001:db8:9::1";
    private static final byte[] PAYLOAD = "0123456789".getBytes();

    private final StackSettings settings = StackSettings.defaults().withIpv6(Ipv6Settings.DEFAULTS);
    private final StackRig rig = new StackRig(settings);

    private void ping(int hops, int identifier, int sequence) {
        byte[] packet = packet(GUEST, OUTSIDE, hops, ICMP, echo(identifier, sequence, PAYLOAD));
        rig.input(rig.guest.ethernet(settings.gatewayMac(), EthernetFrame.TYPE_IPV6, packet));
    }

    private StackRig.FakeHost.Echo flow() {
        return rig.host.echoes.getFirst();
    }

    private static IpV6Packet.IpV6Header header(SentFrame sent) {
        return read(sent).get(IpV6Packet.class).getHeader();
    }

    @Test
    void pingIsAnsweredByWhoWasPingedAndWithItsHopLimit() {
        ping(9, 77, 5);
        assertThat(rig.sent.take()).as("no answer before there is one").isEmpty();
        assertThat(flow().ipv6).isTrue();
        assertThat(flow().preferredIdentifier).isEqualTo(77);
        assertThat(flow().sent.getLast().hopLimit()).isEqualTo(8);
        assertThat(flow().sent.getLast().destination()).isEqualTo(OUTSIDE);
        flow().answer(OUTSIDE, 61);
        SentFrame reply = rig.sent.only();
        byte[] message = checked(reply, ICMP);
        assertThat(message[0]).isEqualTo((byte) Icmpv6Packet.ECHO_REPLY);
        assertThat(Arrays.copyOfRange(message, 4, 18)).isEqualTo(Arrays.copyOfRange(echo(77, 5, PAYLOAD), 4, 18));
        assertThat(header(reply).getHopLimitAsInt()).isEqualTo(61);
        assertThat(IpAddress.ofBytes(header(reply).getSrcAddr().getAddress())).isEqualTo(ip(OUTSIDE));
    }

    @Test
    void answerOfAnotherFamilyIsNone() {
        ping(64, 77, 5);
        flow().answer("198.51.100.7", 61);
        assertThat(rig.sent.take()).isEmpty();
        assertThat(rig.drops.get(DropReason.ICMP_HOST)).isEqualTo(1);
    }

    @Test
    void whatARouterSaysIsAboutTheGuestsOwnRequest() {
        ping(2, 77, 5);
        byte[] onTheWire = flow().lastOnTheWire();
        IcmpError error = new IcmpError(ip(ROUTER), Icmpv6Packet.TIME_EXCEEDED, 0, 0);
        flow().listener.failed(ip(OUTSIDE), error, MemorySegment.ofArray(onTheWire), 0, onTheWire.length);
        SentFrame sent = rig.sent.only();
        byte[] message = checked(sent, ICMP);
        assertThat(message[0]).isEqualTo((byte) Icmpv6Packet.TIME_EXCEEDED);
        assertThat(IpAddress.ofBytes(header(sent).getSrcAddr().getAddress())).isEqualTo(ip(ROUTER));
        assertThat(Arrays.copyOfRange(message, 8, message.length))
                .as("its addresses, identifier and checksum")
                .isEqualTo(packet(GUEST, OUTSIDE, 1, ICMP, echo(77, 5, PAYLOAD)));
    }

    @Test
    void requestOfWhichLittleIsQuotedKeepsTheGuestsChecksum() {
        ping(2, 77, 5);
        byte[] onTheWire = Arrays.copyOf(flow().lastOnTheWire(), 8);
        IcmpError error = new IcmpError(ip(ROUTER), Icmpv6Packet.UNREACHABLE, 0, 0);
        flow().listener.failed(ip(OUTSIDE), error, MemorySegment.ofArray(onTheWire), 0, 8);
        byte[] message = checked(rig.sent.only(), ICMP);
        byte[] packet = packet(GUEST, OUTSIDE, 64, ICMP, echo(77, 5, PAYLOAD));
        assertThat(Arrays.copyOfRange(message, 48, 56)).isEqualTo(Arrays.copyOfRange(packet, 40, 48));
    }

    @ParameterizedTest
    @CsvSource({"HOST_UNREACHABLE,1,3,0", "NETWORK_UNREACHABLE,1,0,0", "PROHIBITED,1,1,0", "TOO_BIG,2,0,1280"})
    void requestThatTheHostCannotSendIsSaidToBe(Verdict verdict, int type, int code, int mtu) {
        rig.host.verdict = verdict;
        rig.host.pathMtu = 1_280;
        ping(64, 77, 5);
        SentFrame sent = rig.sent.only();
        byte[] message = checked(sent, ICMP);
        assertThat(message[0]).isEqualTo((byte) type);
        assertThat(message[1]).isEqualTo((byte) code);
        assertThat(message[6] << 8 | message[7] & 0xFF).isEqualTo(mtu);
        assertThat(IpAddress.ofBytes(header(sent).getSrcAddr().getAddress())).isEqualTo(ip(GATEWAY));
        assertThat(rig.drops.get(DropReason.ICMP_HOST)).isEqualTo(1);
    }

    @Test
    void socketIsLetGoWhenIdle() {
        ping(64, 77, 5);
        rig.advance(EchoTable.TIMEOUT);
        assertThat(flow().closed).isTrue();
        assertThat(rig.stack.echo().size()).isZero();
    }
}
