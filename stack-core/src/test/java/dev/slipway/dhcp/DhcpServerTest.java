package dev.slipway.dhcp;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.slipway.seam.StackSettings;
import dev.slipway.testing.DhcpAssert;
import dev.slipway.testing.DhcpBuilder;
import dev.slipway.testing.PacketBuilder;
import dev.slipway.wire.DhcpMessage;
import dev.slipway.wire.DropReason;
import dev.slipway.wire.IpAddress;
import dev.slipway.wire.MacAddress;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

final class DhcpServerTest {

    private static final String GATEWAY = "192.168.65.1";
    private static final int THREE = IpAddress.parseV4("192.168.65.3");

    private final PacketBuilder guest = PacketBuilder.guest();
    private final StackSettings settings = settings(List.of());
    private LeaseTable leases = new LeaseTable(settings);
    private DhcpServer server = new DhcpServer(settings, leases);

    private static StackSettings settings(List<String> searchDomains) {
        StackSettings d = StackSettings.defaults();
        return new StackSettings(
                d.network(),
                d.prefixLength(),
                d.gateway(),
                d.host(),
                d.firstGuest(),
                d.gatewayMac(),
                9_000,
                "internal",
                searchDomains,
                d.limits());
    }

    private DropReason send(DhcpBuilder request) {
        MemorySegment message = request.segment();
        return server.answer(message, 0, (int) message.byteSize(), 0);
    }

    private DhcpAssert answerTo(DhcpBuilder request) {
        assertThat(send(request)).isEqualTo(DropReason.NONE);
        assertThat(server.replyLength()).isGreaterThanOrEqualTo(DhcpMessage.MIN_LENGTH);
        MemorySegment reply = PacketBuilder.segment(new byte[server.replyLength()]);
        server.copyReply(reply, 0);
        return DhcpAssert.of(PacketBuilder.bytes(reply)).hasXid(0x3903_F326).hasChaddr(guest.mac());
    }

    private void silence(DhcpBuilder request) {
        assertThat(send(request)).isEqualTo(DropReason.NONE);
        assertThat(server.replyLength()).isZero();
    }

    private DhcpBuilder request() {
        return guest.dhcp(DhcpMessage.REQUEST);
    }

    private void lease() {
        answerTo(request().requested("192.168.65.3")).hasType(DhcpMessage.ACK);
    }

    @Test
    void discoverIsOfferedEverythingTheGuestNeeds() {
        answerTo(guest.dhcp(DhcpMessage.DISCOVER))
                .hasType(DhcpMessage.OFFER)
                .hasYiaddr("192.168.65.3")
                .hasCiaddr("0.0.0.0")
                .hasAddress(54, GATEWAY)
                .hasAddress(1, "255.255.255.0")
                .hasAddress(3, GATEWAY)
                .hasAddress(6, GATEWAY)
                .hasAddress(28, "192.168.65.255")
                .hasOption(26, 9_000 >> 8, 9_000 & 0xFF)
                .hasText(15, "internal")
                .hasOption(51, 0x00, 0x27, 0x8D, 0x00)
                .hasOption(58, 0x00, 0x13, 0xC6, 0x80)
                .hasOption(59, 0x00, 0x22, 0x9B, 0x60)
                .hasNoOption(119)
                .hasNoOption(80)
                .hasNoOption(82);
        assertThat(server.replyDestination()).isEqualTo(THREE);
        assertThat(server.replyMac()).isEqualTo(guest.mac());
        assertThat(server.replyPort()).isEqualTo(68);
        assertThat(leases.ownerOf(THREE)).isZero();
    }

    @Test
    void selectingBindsTheAddress() {
        answerTo(guest.dhcp(DhcpMessage.DISCOVER));
        answerTo(request().requested("192.168.65.3").server(GATEWAY))
                .hasType(DhcpMessage.ACK)
                .hasYiaddr("192.168.65.3");
        assertThat(leases.ownerOf(THREE)).isEqualTo(guest.mac());
    }

    @Test
    void nobodyGivesBackAnAddressInAnothersName() {
        lease();
        server.serveOnly(mac -> mac != guest.mac());
        for (int type : new int[] {DhcpMessage.RELEASE, DhcpMessage.DECLINE, DhcpMessage.DISCOVER}) {
            DhcpBuilder message =
                    guest.dhcp(type).ciaddr("192.168.65.3", GATEWAY).server(GATEWAY);
            assertThat(send(message.requested("192.168.65.3"))).isEqualTo(DropReason.DHCP);
            assertThat(server.replyLength()).isZero();
        }
        assertThat(leases.ownerOf(THREE)).isEqualTo(guest.mac());
    }

    @Test
    void nameThatTheGuestGivesItselfIsNotedUpToTheFirstDot() {
        answerTo(request().requested("192.168.65.3").hostName("Build-1.lan")).hasType(DhcpMessage.ACK);
        assertThat(leases.addressOf("build-1")).isEqualTo(THREE);
        answerTo(request().requested("192.168.65.3").hostName("other")).hasType(DhcpMessage.ACK);
        assertThat(leases.nameOf(THREE)).isEqualTo("other");
        assertThat(leases.addressOf("build-1")).isZero();
    }

    @Test
    void fullyQualifiedNameInEitherEncodingServesAsWell() {
        answerTo(request().requested("192.168.65.3").option(81, 0x01, 0, 0, 'v', 'm', '1', '.', 'x'))
                .hasType(DhcpMessage.ACK);
        assertThat(leases.nameOf(THREE)).isEqualTo("vm1");
        answerTo(request().requested("192.168.65.3").option(81, 0x05, 0, 0, 3, 'v', 'm', '2', 1, 'x', 0))
                .hasType(DhcpMessage.ACK);
        assertThat(leases.nameOf(THREE)).isEqualTo("vm2");
        for (int[] bad : new int[][] {{}, {4}, {4, 0, 0}, {4, 0, 0, 63, 'a', 'b'}, {4, 0, 0, 0}, {0, 0, 0}}) {
            answerTo(request().requested("192.168.65.3").option(81, bad)).hasType(DhcpMessage.ACK);
        }
    }

    @Test
    void nameThatIsNoneIsNotNoted() {
        for (String bad : List.of("a b", "-a", "a-", ".a", "a".repeat(64), "localhost", "caf\u00e9", "*")) {
            answerTo(request().requested("192.168.65.3").hostName(bad)).hasType(DhcpMessage.ACK);
            assertThat(leases.nameOf(THREE)).as(bad).isEmpty();
        }
    }

    @Test
    void timeServersAndRoutesAreAnnouncedWithTheDefaultRouteAmongThem() {
        DhcpSettings.Route route =
                new DhcpSettings.Route(IpAddress.parseV4("10.1.0.0"), 16, IpAddress.parseV4("192.168.65.9"));
        DhcpSettings.Route host =
                new DhcpSettings.Route(IpAddress.parseV4("10.2.3.4"), 32, IpAddress.parseV4("192.168.65.9"));
        List<Integer> times = List.of(IpAddress.parseV4("10.0.0.1"), IpAddress.parseV4("10.0.0.2"));
        leases = new LeaseTable(settings, new DhcpSettings(times, List.of(route, host), Map.of()));
        server = new DhcpServer(settings, leases);
        answerTo(guest.dhcp(DhcpMessage.DISCOVER))
                .hasOption(42, 10, 0, 0, 1, 10, 0, 0, 2)
                .hasOption(121, 16, 10, 1, 192, 168, 65, 9, 32, 10, 2, 3, 4, 192, 168, 65, 9, 0, 192, 168, 65, 1);
        server = new DhcpServer(settings, new LeaseTable(settings));
        answerTo(guest.dhcp(DhcpMessage.DISCOVER)).hasNoOption(42).hasNoOption(121);
    }

    @Test
    void choiceOfAnotherServerIsSilentlyAccepted() {
        answerTo(guest.dhcp(DhcpMessage.DISCOVER));
        silence(request().requested("192.168.65.3").server("192.168.65.9"));
        assertThat(leases.leases()).isEmpty();
    }

    @Test
    void initRebootAfterOurRestartConfirmsAFreeAddress() {
        answerTo(request().requested("192.168.65.42")).hasType(DhcpMessage.ACK).hasYiaddr("192.168.65.42");
    }

    @ParameterizedTest
    @ValueSource(strings = {"10.0.0.7", "192.168.65.1", "192.168.65.2", "192.168.65.255"})
    void initRebootWithWhatNobodyMayHaveIsRefusedByBroadcast(String address) {
        answerTo(request().requested(address))
                .hasType(DhcpMessage.NAK)
                .hasYiaddr("0.0.0.0")
                .hasAddress(54, GATEWAY)
                .hasNoOption(51)
                .hasNoOption(1);
        assertThat(server.replyDestination()).isEqualTo(-1);
        assertThat(server.replyMac()).isEqualTo(MacAddress.BROADCAST);
    }

    @Test
    void anothersAddressIsRefused() {
        lease();
        PacketBuilder other = guest.mac(0x5254_0000_0099L);
        assertThat(send(other.dhcp(DhcpMessage.REQUEST).requested("192.168.65.3")))
                .isEqualTo(DropReason.NONE);
        MemorySegment reply = PacketBuilder.segment(new byte[server.replyLength()]);
        server.copyReply(reply, 0);
        DhcpAssert.of(PacketBuilder.bytes(reply)).hasType(DhcpMessage.NAK);
        assertThat(leases.ownerOf(THREE)).isEqualTo(guest.mac());
    }

    @Test
    void renewalIsAnsweredToTheClientsAddress() {
        lease();
        answerTo(request().ciaddr("192.168.65.3", GATEWAY).broadcastFlag())
                .hasType(DhcpMessage.ACK)
                .hasYiaddr("192.168.65.3")
                .hasCiaddr("192.168.65.3");
        assertThat(server.replyDestination()).isEqualTo(THREE);
        assertThat(server.replyMac()).isEqualTo(guest.mac());
    }

    @Test
    void renewalOfAnAddressLostToAnotherIsRefused() {
        leases.commit(0x5254_0000_0099L, THREE, 0);
        answerTo(request().ciaddr("192.168.65.3", GATEWAY))
                .hasType(DhcpMessage.NAK)
                .hasCiaddr("0.0.0.0");
        assertThat(server.replyDestination()).isEqualTo(-1);
    }

    @Test
    void broadcastFlagIsHonoured() {
        answerTo(guest.dhcp(DhcpMessage.DISCOVER).broadcastFlag()).hasFlags(0x8000);
        assertThat(server.replyDestination()).isEqualTo(-1);
        assertThat(server.replyMac()).isEqualTo(MacAddress.BROADCAST);
    }

    @Test
    void relayGetsTheReplyAndItsInformationBack() {
        answerTo(guest.dhcp(DhcpMessage.DISCOVER).giaddr("192.168.65.9").option(82, 1, 2, 'e', '0'))
                .hasGiaddr("192.168.65.9")
                .hasOption(82, 1, 2, 'e', '0');
        assertThat(server.replyDestination()).isEqualTo(IpAddress.parseV4("192.168.65.9"));
        assertThat(server.replyPort()).isEqualTo(67);
        answerTo(request().requested("10.1.1.1").giaddr("192.168.65.9"))
                .hasType(DhcpMessage.NAK)
                .hasFlags(0x8000);
        assertThat(server.replyDestination()).isEqualTo(IpAddress.parseV4("192.168.65.9"));
        assertThat(send(guest.dhcp(DhcpMessage.DISCOVER).giaddr("10.9.9.9")))
                .as("a relay of a subnet that has no pool")
                .isEqualTo(DropReason.DHCP);
    }

    @Test
    void clientIdentifierAndHostNameComeBack() {
        answerTo(guest.dhcp(DhcpMessage.DISCOVER).option(61, 255, 1, 2, 3).hostName("box-1"))
                .hasOption(61, 255, 1, 2, 3)
                .hasText(12, "box-1");
        answerTo(guest.dhcp(DhcpMessage.DISCOVER).hostName("a b;c")).hasNoOption(12);
        answerTo(request().requested("10.1.1.1").option(61, 1, 9))
                .hasType(DhcpMessage.NAK)
                .hasOption(61, 1, 9);
    }

    @Test
    void rapidCommitBindsAtOnce() {
        answerTo(guest.dhcp(DhcpMessage.DISCOVER).option(80))
                .hasType(DhcpMessage.ACK)
                .hasOption(80);
        assertThat(leases.ownerOf(THREE)).isEqualTo(guest.mac());
        answerTo(request().requested("192.168.65.3")).hasNoOption(80);
    }

    @Test
    void informGetsTheSettingsWithoutALease() {
        answerTo(guest.dhcp(DhcpMessage.INFORM).ciaddr("192.168.65.200", GATEWAY))
                .hasType(DhcpMessage.ACK)
                .hasYiaddr("0.0.0.0")
                .hasCiaddr("192.168.65.200")
                .hasAddress(6, GATEWAY)
                .hasNoOption(51)
                .hasNoOption(58);
        assertThat(server.replyDestination()).isEqualTo(IpAddress.parseV4("192.168.65.200"));
        assertThat(leases.leases()).isEmpty();
    }

    @Test
    void releaseAndDeclineAreSilent() {
        lease();
        silence(guest.dhcp(DhcpMessage.RELEASE).ciaddr("192.168.65.4", GATEWAY).server(GATEWAY));
        assertThat(leases.ownerOf(THREE)).as("not its address").isEqualTo(guest.mac());
        silence(guest.dhcp(DhcpMessage.RELEASE).ciaddr("192.168.65.3", GATEWAY).server(GATEWAY));
        assertThat(leases.ownerOf(THREE)).isZero();
        lease();
        silence(guest.dhcp(DhcpMessage.DECLINE).requested("192.168.65.3").server(GATEWAY));
        answerTo(guest.dhcp(DhcpMessage.DISCOVER)).hasYiaddr("192.168.65.4");
    }

    @Test
    void searchListIsSentAsFarAsTheClientTakesIt() {
        server = new DhcpServer(settings(List.of("corp.example", "lab.example.")), leases);
        answerTo(guest.dhcp(DhcpMessage.DISCOVER))
                .hasOption(
                        119,
                        IntStream.concat("\4corp\7example\0".chars(), "\3lab\7example\0".chars())
                                .toArray());
        List<String> many = IntStream.range(0, 40)
                .mapToObj(i -> "department-" + i + ".corp.example")
                .toList();
        server = new DhcpServer(settings(many), leases);
        answerTo(guest.dhcp(DhcpMessage.DISCOVER)).hasNoOption(119);
        assertThat(server.replyLength()).isLessThanOrEqualTo(548);
        DhcpAssert large = answerTo(guest.dhcp(DhcpMessage.DISCOVER).option(57, 0x05, 0xDC));
        assertThat(large.option(119)).as("split and joined again").hasSizeGreaterThan(900);
        assertThatThrownBy(() -> new DhcpServer(settings(List.of("a..b")), leases))
                .hasMessageContaining("'a..b'");
    }

    @Test
    void longestEchoesNeverOverrunTheReply() {
        int[] full = new int[255];
        DhcpBuilder greedy = guest.dhcp(DhcpMessage.DISCOVER)
                .option(61, full)
                .option(82, full)
                .option(12, full);
        answerTo(greedy).hasType(DhcpMessage.OFFER);
        assertThat(server.replyLength()).isLessThanOrEqualTo(DhcpMessage.MAX_UNNEGOTIATED_LENGTH);
    }

    @Test
    void everyReplyIsTheSameBytesWhateverCameBefore() {
        byte[] first = reply(guest.dhcp(DhcpMessage.DISCOVER));
        reply(guest.dhcp(DhcpMessage.DISCOVER).option(61, new int[200]).hostName("aaaaaaaaaaaaaaaaaaaaaaaa"));
        assertThat(reply(guest.dhcp(DhcpMessage.DISCOVER))).isEqualTo(first);
    }

    private byte[] reply(DhcpBuilder request) {
        assertThat(send(request)).isEqualTo(DropReason.NONE);
        MemorySegment reply = PacketBuilder.segment(new byte[server.replyLength()]);
        server.copyReply(reply, 0);
        return PacketBuilder.bytes(reply);
    }

    @Test
    void badMessagesAreDroppedAndTheNextIsServed() {
        for (DhcpBuilder bad : List.of(
                guest.dhcp(0),
                guest.dhcp(DhcpMessage.DISCOVER).hardware(1, 0),
                guest.dhcp(DhcpMessage.DISCOVER).hardware(1, 17),
                guest.dhcp(DhcpMessage.DISCOVER).hardware(6, 6),
                guest.dhcp(DhcpMessage.DISCOVER).magic(0),
                guest.dhcp(DhcpMessage.DISCOVER).option(53, DhcpMessage.REQUEST),
                guest.dhcp(DhcpMessage.DISCOVER).raw(50, 200, 1),
                guest.dhcp(DhcpMessage.DISCOVER).raw(50).withoutEnd(),
                guest.dhcp(DhcpMessage.DISCOVER).option(50, 1, 2, 3),
                guest.dhcp(DhcpMessage.DISCOVER).raw(new int[1_200]),
                guest.dhcp(0).raw(new int[1_200]),
                guest.dhcp(DhcpMessage.DISCOVER).operation(2),
                guest.dhcp(DhcpMessage.DISCOVER).operation(0),
                guest.dhcp(DhcpMessage.OFFER),
                guest.dhcp(DhcpMessage.ACK),
                guest.dhcp(DhcpMessage.NAK),
                guest.dhcp(9),
                guest.dhcp(DhcpMessage.REQUEST),
                guest.dhcp(DhcpMessage.DISCOVER).chaddr(0),
                guest.dhcp(DhcpMessage.DISCOVER).chaddr(MacAddress.BROADCAST),
                guest.dhcp(DhcpMessage.DISCOVER).chaddr(settings.gatewayMac()))) {
            assertThat(send(bad)).isEqualTo(DropReason.DHCP);
            assertThat(server.replyLength()).isZero();
        }
        answerTo(guest.dhcp(DhcpMessage.DISCOVER)).hasType(DhcpMessage.OFFER);
    }

    @Test
    void optionsInFileAndServerNameAreRead() {
        byte[] message = guest.dhcp(0).option(52, 3).message();
        message[108] = 53;
        message[109] = 1;
        message[110] = DhcpMessage.DISCOVER;
        message[111] = (byte) 255;
        message[44] = 80;
        message[45] = 0;
        message[46] = (byte) 255;
        assertThat(server.answer(PacketBuilder.segment(message), 0, message.length, 0))
                .isEqualTo(DropReason.NONE);
        assertThat(leases.ownerOf(THREE)).as("rapid commit from sname").isEqualTo(guest.mac());
        message[109] = (byte) 200;
        assertThat(server.answer(PacketBuilder.segment(message), 0, message.length, 0))
                .isEqualTo(DropReason.DHCP);
    }

    @Test
    void emptyPoolIsItsOwnDrop() {
        for (int i = 0; i < 251; i++) {
            leases.commit(0x1000 + i, THREE + i, 0);
        }
        assertThat(send(guest.dhcp(DhcpMessage.DISCOVER))).isEqualTo(DropReason.DHCP_POOL);
    }

    @Test
    void damagedMessagesNeverThrow() {
        long seed = 57;
        Random random = new Random(seed);
        byte[] good = request()
                .requested("192.168.65.3")
                .server(GATEWAY)
                .option(61, 1, 2, 3, 4, 5, 6, 7)
                .option(82, 1, 1, 1)
                .option(57, 5, 220)
                .parameters(1, 3, 6)
                .message();
        for (int i = 0; i < 50_000; i++) {
            byte[] bad = Arrays.copyOf(good, random.nextInt(4) == 0 ? random.nextInt(good.length) : good.length);
            for (int j = random.nextInt(6); j >= 0 && bad.length > 0; j--) {
                int at = random.nextBoolean() && bad.length > 236
                        ? 236 + random.nextInt(bad.length - 236)
                        : random.nextInt(bad.length);
                bad[at] = (byte) random.nextInt(256);
            }
            MemorySegment message = MemorySegment.ofArray(bad);
            assertThat(server.answer(message, 0, bad.length, i))
                    .as("seed %d, %d", seed, i)
                    .isNotNull();
        }
    }
}
