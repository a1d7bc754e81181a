package dev.slipway.stack;

import static dev.slipway.stack.StackRig.GATEWAY;
import static dev.slipway.stack.StackRig.OUTSIDE;
import static dev.slipway.testing.PacketMatchers.assertThat;
import static org.assertj.core.api.Assertions.assertThat;

import dev.slipway.testing.PacketBuilder;
import dev.slipway.udp.UdpForwards;
import dev.slipway.udp.UdpTable;
import dev.slipway.wire.DropReason;
import dev.slipway.wire.IpAddress;
import dev.slipway.wire.MacAddress;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

/** What clients of the host send to ports of the guest. */
class ToGuestPortsTest {

    private static final IpAddress GUEST = IpAddress.ofV4(IpAddress.parseV4(PacketBuilder.GUEST_IP));
    private static final IpAddress CONTAINER = IpAddress.ofV4(IpAddress.parseV4("172.17.0.2"));
    private static final IpAddress SEEN_AS_GATEWAY = IpAddress.ofV4(IpAddress.parseV4(GATEWAY));

    private final StackRig rig = new StackRig();
    private final Client client = new Client();

    private static final class Client implements UdpForwards.Client {
        final List<String> answers = new ArrayList<>();
        boolean forgotten;

        @Override
        public void answered(MemorySegment payload, long offset, int length) {
            answers.add(new String(payload.asSlice(offset, length).toArray(ValueLayout.JAVA_BYTE)));
        }

        @Override
        public void forgotten() {
            forgotten = true;
        }
    }

    private boolean deliver(IpAddress guest, int port, Client from, String text) {
        byte[] bytes = text.getBytes();
        boolean delivered = rig.stack
                .ports()
                .deliver(
                        guest, 53, SEEN_AS_GATEWAY, port, from, MemorySegment.ofArray(bytes), 0, bytes.length, rig.now);
        rig.stack.endTurn(rig.now);
        return delivered;
    }

    private void guestIsUp() {
        rig.input(rig.guest.arpRequest(GATEWAY));
        rig.sent.take();
    }

    @Test
    void theGuestIsKnownByWhatItSends() {
        List<IpAddress> heard = new ArrayList<>();
        rig.stack.ports().whenGuestAddress(heard::add);
        assertThat(rig.stack.ports().guestAddress()).isEmpty();
        guestIsUp();
        assertThat(rig.stack.ports().guestAddress()).contains(GUEST);
        assertThat(heard).containsExactly(GUEST);
        rig.stack.reset();
        assertThat(rig.stack.ports().guestAddress()).isEmpty();
    }

    @Test
    void aClientsDatagramReachesTheGuestAndTheAnswerTheClient() {
        guestIsUp();
        assertThat(deliver(GUEST, 40_000, client, "ping")).isTrue();
        assertThat(rig.sent.only())
                .toMac(PacketBuilder.GUEST_MAC)
                .isUdp()
                .from(GATEWAY, 40_000)
                .to(PacketBuilder.GUEST_IP, 53)
                .hasPayload("ping");
        rig.input(rig.guest.udp(GATEWAY, 40_000).port(53).payload("pong").build());
        assertThat(client.answers).containsExactly("pong");
        assertThat(rig.host.datagrams).as("sockets of the guest's own").isEmpty();
    }

    @Test
    void whatIsNoAnswerGoesWhereItWentBefore() {
        guestIsUp();
        deliver(GUEST, 40_000, client, "ping");
        rig.sent.take();
        rig.input(rig.guest.udp(OUTSIDE, 40_000).port(53).payload("other").build());
        assertThat(rig.host.datagrams).hasSize(1);
        rig.isAnswered(rig.guest.udp(GATEWAY, 40_001).port(53).payload("x").build(), DropReason.DESTINATION, 1);
        assertThat(client.answers).isEmpty();
    }

    @Test
    void anAddressThatTheGuestRoutesToIsReachedByItsCard() {
        assertThat(deliver(CONTAINER, 40_000, client, "early"))
                .as("no guest yet")
                .isFalse();
        guestIsUp();
        assertThat(deliver(CONTAINER, 40_000, client, "ping")).isTrue();
        assertThat(rig.sent.only()).toMac(PacketBuilder.GUEST_MAC).isUdp().to("172.17.0.2", 53);
        rig.input(rig.guest
                .address("172.17.0.2")
                .udp(GATEWAY, 40_000)
                .port(53)
                .payload("pong")
                .build());
        assertThat(client.answers).containsExactly("pong");
    }

    @Test
    void aGuestThatWasNotHeardOfIsAskedFor() {
        IpAddress silent = IpAddress.ofV4(IpAddress.parseV4("192.168.65.9"));
        assertThat(deliver(silent, 40_000, client, "ping")).isTrue();
        assertThat(rig.sent.next()).toMac(MacAddress.BROADCAST).isArp();
    }

    @Test
    void ourOwnAddressesAreNoGuests() {
        guestIsUp();
        assertThat(deliver(SEEN_AS_GATEWAY, 40_000, client, "ping")).isFalse();
        assertThat(deliver(IpAddress.ofV4(0), 40_000, client, "ping")).isFalse();
        assertThat(rig.sent.take()).isEmpty();
    }

    @Test
    void twoClientsWithOnePortAreShownAtTwo() {
        guestIsUp();
        ToGuestPorts ports = rig.stack.ports();
        assertThat(ports.shownPort(GUEST, 53, SEEN_AS_GATEWAY, 40_000)).isEqualTo(40_000);
        deliver(GUEST, 40_000, client, "ping");
        int other = ports.shownPort(GUEST, 53, SEEN_AS_GATEWAY, 40_000);
        assertThat(other).isNotEqualTo(40_000).isBetween(49_152, 65_535);
    }

    @Test
    void aSilentConversationIsForgottenAndABusyOneIsNot() {
        guestIsUp();
        Client busy = new Client();
        deliver(GUEST, 40_000, client, "ping");
        for (int i = 0; i < 4; i++) {
            deliver(GUEST, 40_001, busy, "ping");
            rig.advance(UdpTable.TIMEOUT / 3);
        }
        assertThat(client.forgotten).isTrue();
        assertThat(busy.forgotten).isFalse();
    }

    @Test
    void atTheLimitTheLongestIdleMakesRoom() {
        StackRig small = new StackRig(StackRig.limited(2, 1 << 20));
        small.input(small.guest.arpRequest(GATEWAY));
        List<Client> clients = List.of(new Client(), new Client(), new Client());
        for (int i = 0; i < 3; i++) {
            byte[] bytes = {1};
            small.stack
                    .ports()
                    .deliver(
                            GUEST,
                            53,
                            SEEN_AS_GATEWAY,
                            40_000 + i,
                            clients.get(i),
                            MemorySegment.ofArray(bytes),
                            0,
                            1,
                            small.now);
        }
        assertThat(clients).extracting(each -> each.forgotten).containsExactly(true, false, false);
        assertThat(small.drops.get(DropReason.UDP_FLOW_LIMIT)).isEqualTo(1);
    }
}
