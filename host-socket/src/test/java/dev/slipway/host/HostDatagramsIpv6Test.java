package dev.slipway.host;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.slipway.ethernet.Transport;
import dev.slipway.seam.HostDatagrams;
import dev.slipway.seam.HostDatagrams.Verdict;
import dev.slipway.seam.IcmpError;
import dev.slipway.wire.IpAddress;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.net.DatagramPacket;
import java.net.DatagramSocket;
import java.net.InetAddress;
import java.util.Arrays;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** UDP sockets of the host for IPv6: what differs from {@link HostDatagramsTest}. */
@Tag("transport")
@Timeout(30)
final class HostDatagramsIpv6Test implements HostDatagrams.Listener {

    private record Received(IpAddress source, int port, byte[] bytes) {}

    private final BlockingQueue<Received> received = new LinkedBlockingQueue<>();
    private final BlockingQueue<String> failed = new LinkedBlockingQueue<>();
    private HostRig rig;
    private DatagramSocket peer;

    @BeforeEach
    void start() throws Exception {
        rig = HostRig.withIpv6();
        peer = new DatagramSocket(0, InetAddress.getByName("::1"));
        peer.setSoTimeout(10_000);
        peer.setReceiveBufferSize(1 << 20);
    }

    @AfterEach
    void stop() throws Exception {
        peer.close();
        rig.close();
        assertThat(rig.counters.openDatagrams()).isZero();
    }

    @Override
    public void received(IpAddress source, int port, MemorySegment payload, long offset, int length) {
        received.add(new Received(source, port, payload.asSlice(offset, length).toArray(ValueLayout.JAVA_BYTE)));
    }

    @Override
    public void failed(
            IpAddress destination, int port, IcmpError error, MemorySegment quoted, long offset, int length) {
        failed.add(destination + "." + port + " " + error.type() + "/" + error.code() + " by " + error.reporter()
                + " of " + length + " bytes");
    }

    private HostDatagrams open(int port, boolean ipv6) throws Exception {
        return rig.call(() -> rig.sockets.openDatagrams(port, ipv6, this));
    }

    private int portOf(HostDatagrams socket) throws Exception {
        return rig.call(() -> switch (socket) {
            case NettyHostDatagrams portable -> portable.localPort();
            case NativeHostDatagrams byCalls -> byCalls.localPort();
            default -> throw new AssertionError("an unknown kind of socket: " + socket);
        });
    }

    private Verdict send(HostDatagrams socket, IpAddress to, int port, byte[] bytes) throws Exception {
        return rig.call(() -> {
            Verdict verdict = socket.send(to, port, 64, false, MemorySegment.ofArray(bytes), 0, bytes.length);
            socket.flush();
            return verdict;
        });
    }

    private static byte[] pattern(int length) {
        byte[] bytes = new byte[length];
        for (int i = 0; i < length; i++) {
            bytes[i] = FakeGuest.pattern(i);
        }
        return bytes;
    }

    @Test
    void everySizeGoesBothWaysByTheHostAddress() throws Exception {
        HostDatagrams socket = open(0, true);
        for (int length : new int[] {0, 1, 1452, 9000, 65_507}) {
            assertThat(send(socket, HostRig.HOST_V6, peer.getLocalPort(), pattern(length)))
                    .isEqualTo(Verdict.SENT);
            DatagramPacket packet = new DatagramPacket(new byte[65_535], 65_535);
            peer.receive(packet);
            assertThat(packet.getLength()).isEqualTo(length);
            assertThat(Arrays.copyOf(packet.getData(), length)).isEqualTo(pattern(length));
            peer.send(packet);
            Received back = received.poll(10, TimeUnit.SECONDS);
            assertThat(back).isNotNull();
            assertThat(back.bytes).isEqualTo(pattern(length));
            assertThat(back.source).isEqualTo(HostRig.HOST_V6);
            assertThat(back.port).isEqualTo(peer.getLocalPort());
        }
    }

    /** Those after the first of a turn go out together. */
    @Test
    void datagramsOfOneTurnArriveInOrder() throws Exception {
        HostDatagrams socket = open(0, true);
        rig.run(() -> {
            try (Arena arena = Arena.ofConfined()) {
                MemorySegment memory = arena.allocate(4_000);
                for (int i = 0; i < 40; i++) {
                    memory.set(ValueLayout.JAVA_BYTE, i * 100, (byte) i);
                    int length = i < 20 ? 100 : 100 - i;
                    assertThat(socket.send(HostRig.HOST_V6, peer.getLocalPort(), 64, true, memory, i * 100, length))
                            .isEqualTo(Verdict.SENT);
                }
                socket.flush();
            }
        });
        for (int i = 0; i < 40; i++) {
            DatagramPacket packet = new DatagramPacket(new byte[200], 200);
            peer.receive(packet);
            assertThat(packet.getLength()).isEqualTo(i < 20 ? 100 : 100 - i);
            assertThat(packet.getData()[0]).isEqualTo((byte) i);
        }
    }

    /** On NIO an IPv6 socket is one of both families, so there a port is had once only. */
    @Test
    void portIsKeptForBothFamilies() throws Exception {
        assumeTrue(rig.transport != Transport.NIO, "needs sockets of IPv6 alone");
        int port;
        try (DatagramSocket probe = new DatagramSocket()) {
            port = probe.getLocalPort();
        }
        HostDatagrams four = open(port, false);
        HostDatagrams six = open(port, true);
        assertThat(portOf(four)).isEqualTo(port);
        assertThat(portOf(six)).isEqualTo(port);
        assertThat(send(six, HostRig.HOST_V6, peer.getLocalPort(), pattern(6))).isEqualTo(Verdict.SENT);
        DatagramPacket packet = new DatagramPacket(new byte[100], 100);
        peer.receive(packet);
        assertThat(packet.getPort()).isEqualTo(port);
    }

    @Test
    void socketOfIpv6HearsNothingByIpv4() throws Exception {
        HostDatagrams socket = open(0, true);
        try (DatagramSocket four = new DatagramSocket(0, InetAddress.getByName("127.0.0.1"))) {
            four.send(new DatagramPacket(pattern(4), 4, InetAddress.getByName("127.0.0.1"), portOf(socket)));
        }
        peer.send(new DatagramPacket(pattern(6), 6, InetAddress.getByName("::1"), portOf(socket)));
        assertThat(received.poll(10, TimeUnit.SECONDS).bytes).hasSize(6);
        assertThat(received).isEmpty();
    }

    @Test
    void forbiddenDestinationsSaySo() throws Exception {
        HostDatagrams socket = open(0, true);
        assertThat(send(socket, new IpAddress(0, 1), 9, pattern(1))).isEqualTo(Verdict.HOST_UNREACHABLE);
        assertThat(send(socket, new IpAddress(0xFE80L << 48, 9), 80, pattern(1)))
                .isEqualTo(Verdict.PROHIBITED);
        assertThat(send(socket, new IpAddress(0xFD65L << 48, 9), 80, pattern(1)))
                .isEqualTo(Verdict.HOST_UNREACHABLE);
        assertThat(send(socket, new IpAddress(0xFD65L << 48, 1), 99, pattern(1)))
                .isEqualTo(Verdict.PORT_UNREACHABLE);
        assertThat(send(socket, HostRig.HOST_V6, 9, pattern(65_528))).isEqualTo(Verdict.TOO_BIG);
        assertThat(rig.counters.datagramsRefusedByPolicy()).isEqualTo(4);
        assertThat(rig.counters.datagramsToHost()).isZero();
    }

    /** Only Linux's own calls tell; elsewhere an unconnected socket does not hear of it. */
    @Test
    void closedPortIsToldAtOnceAndCostsNoOtherDatagram() throws Exception {
        assumeTrue(rig.transport == Transport.NATIVE, "needs the error queue");
        int closed;
        try (DatagramSocket probe = new DatagramSocket(0, InetAddress.getByName("::1"))) {
            closed = probe.getLocalPort();
        }
        HostDatagrams socket = open(0, true);
        for (int i = 0; i < 20; i++) {
            assertThat(send(socket, HostRig.HOST_V6, closed, pattern(10))).isEqualTo(Verdict.SENT);
            assertThat(send(socket, HostRig.HOST_V6, peer.getLocalPort(), pattern(i)))
                    .isEqualTo(Verdict.SENT);
        }
        for (int i = 0; i < 20; i++) {
            assertThat(failed.poll(10, TimeUnit.SECONDS))
                    .isEqualTo("fd65::254." + closed + " 1/4 by fd65::254 of 10 bytes");
            DatagramPacket packet = new DatagramPacket(new byte[100], 100);
            peer.receive(packet);
            assertThat(packet.getLength()).isEqualTo(i);
        }
        assertThat(rig.counters.datagramsLost()).isZero();
    }
}
