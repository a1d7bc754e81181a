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
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Tag("transport")
@Timeout(30)
final class HostDatagramsTest implements HostDatagrams.Listener {

    private static final int BURST = 20_000;
    private static final int TURN = 200;
    private static final int NUMBERED_MAX = 1_400;

    private record Received(IpAddress source, int port, byte[] bytes) {}

    private final BlockingQueue<Received> received = new LinkedBlockingQueue<>();
    private final BlockingQueue<String> failed = new LinkedBlockingQueue<>();
    private HostRig rig;
    private DatagramSocket peer;

    @BeforeEach
    void start() throws Exception {
        rig = new HostRig();
        peer = new DatagramSocket(0, InetAddress.getLoopbackAddress());
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
        failed.add(destination + ":" + port + " " + error.type() + "/" + error.code() + " by " + error.reporter()
                + " of " + length + " bytes");
    }

    private HostDatagrams open(int port) throws Exception {
        return rig.call(() -> rig.sockets.openDatagrams(port, false, this));
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
        HostDatagrams socket = open(0);
        for (int length : new int[] {0, 1, 1472, 9000, 65_507}) {
            assertThat(send(socket, HostRig.HOST, peer.getLocalPort(), pattern(length)))
                    .isEqualTo(Verdict.SENT);
            DatagramPacket packet = new DatagramPacket(new byte[65_535], 65_535);
            peer.receive(packet);
            assertThat(packet.getLength()).isEqualTo(length);
            assertThat(Arrays.copyOf(packet.getData(), length)).isEqualTo(pattern(length));
            peer.send(packet);
            Received back = received.poll(10, TimeUnit.SECONDS);
            assertThat(back).isNotNull();
            assertThat(back.bytes).isEqualTo(pattern(length));
            assertThat(back.source).isEqualTo(HostRig.HOST);
            assertThat(back.port).isEqualTo(peer.getLocalPort());
        }
        assertThat(rig.counters.datagramsFromHost()).isEqualTo(5);
    }

    @Test
    void aBurstIsDeliveredInOrderAndWhole() throws Exception {
        HostDatagrams socket = open(0);
        int port = portOf(socket);
        for (int i = 0; i < 100; i++) {
            peer.send(new DatagramPacket(pattern(i), i, InetAddress.getLoopbackAddress(), port));
        }
        for (int i = 0; i < 100; i++) {
            assertThat(received.poll(10, TimeUnit.SECONDS).bytes).isEqualTo(pattern(i));
        }
    }

    @Test
    void theGuestsPortIsKeptIfItIsFree() throws Exception {
        int port;
        try (DatagramSocket probe = new DatagramSocket()) {
            port = probe.getLocalPort();
        }
        HostDatagrams first = open(port);
        assertThat(portOf(first)).isEqualTo(port);
        HostDatagrams second = open(port);
        assertThat(portOf(second)).isNotEqualTo(port).isPositive();
        assertThat(send(second, HostRig.HOST, peer.getLocalPort(), pattern(3))).isEqualTo(Verdict.SENT);
        rig.run(first::close);
        rig.run(second::close);
    }

    @Test
    void forbiddenDestinationsSaySo() throws Exception {
        HostDatagrams socket = open(0);
        IpAddress loopback = IpAddress.ofV4(IpAddress.parseV4("127.0.0.1"));
        IpAddress metadata = IpAddress.ofV4(IpAddress.parseV4("169.254.169.254"));
        IpAddress gateway = IpAddress.ofV4(IpAddress.parseV4("192.168.65.1"));
        assertThat(send(socket, loopback, 9, pattern(1))).isEqualTo(Verdict.HOST_UNREACHABLE);
        assertThat(send(socket, metadata, 80, pattern(1))).isEqualTo(Verdict.PROHIBITED);
        assertThat(send(socket, new IpAddress(1, 1), 80, pattern(1))).isEqualTo(Verdict.NETWORK_UNREACHABLE);
        assertThat(send(socket, gateway, 99, pattern(1))).isEqualTo(Verdict.PORT_UNREACHABLE);
        assertThat(send(socket, HostRig.HOST, 9, pattern(65_508))).isEqualTo(Verdict.TOO_BIG);
        assertThat(rig.counters.datagramsRefusedByPolicy()).isEqualTo(4);
        assertThat(rig.counters.datagramsToHost()).isZero();
    }

    /** Only Linux's own calls tell; elsewhere an unconnected socket does not hear of it. */
    @Test
    void aClosedPortIsToldAtOnceAndCostsNoOtherDatagram() throws Exception {
        assumeTrue(rig.transport == Transport.NATIVE, "needs the error queue");
        int closed;
        try (DatagramSocket probe = new DatagramSocket(0, InetAddress.getLoopbackAddress())) {
            closed = probe.getLocalPort();
        }
        HostDatagrams socket = open(0);
        for (int i = 0; i < 50; i++) {
            assertThat(send(socket, HostRig.HOST, closed, pattern(10))).isEqualTo(Verdict.SENT);
            assertThat(send(socket, HostRig.HOST, peer.getLocalPort(), pattern(i)))
                    .isEqualTo(Verdict.SENT);
        }
        for (int i = 0; i < 50; i++) {
            assertThat(failed.poll(10, TimeUnit.SECONDS))
                    .isEqualTo("192.168.65.254:" + closed + " 3/3 by 192.168.65.254 of 10 bytes");
            DatagramPacket packet = new DatagramPacket(new byte[100], 100);
            peer.receive(packet);
            assertThat(packet.getLength()).isEqualTo(i);
        }
        assertThat(rig.counters.datagramsLost()).isZero();
    }

    /** The same for datagrams of one turn, which go out by one call. */
    @Test
    void aClosedPortCostsNoDatagramOfABatch() throws Exception {
        assumeTrue(rig.transport == Transport.NATIVE, "needs the error queue");
        int closed;
        try (DatagramSocket probe = new DatagramSocket(0, InetAddress.getLoopbackAddress())) {
            closed = probe.getLocalPort();
        }
        HostDatagrams socket = open(0);
        rig.run(() -> {
            try (Arena arena = Arena.ofConfined()) {
                MemorySegment memory = arena.allocate(100);
                for (int round = 0; round < 20; round++) {
                    for (int i = 0; i < 5; i++) {
                        socket.send(HostRig.HOST, closed, 64, false, memory, 0, 10);
                    }
                    for (int i = 0; i < 5; i++) {
                        socket.send(HostRig.HOST, peer.getLocalPort(), 64, false, memory, 0, round * 5 + i);
                    }
                    socket.flush();
                }
            }
        });
        for (int i = 0; i < 100; i++) {
            DatagramPacket packet = new DatagramPacket(new byte[200], 200);
            peer.receive(packet);
            assertThat(packet.getLength()).isEqualTo(i);
        }
        assertThat(failed.poll(10, TimeUnit.SECONDS)).startsWith("192.168.65.254:" + closed + " 3/3");
        assertThat(rig.counters.datagramsLost()).isZero();
    }

    @Test
    void nothingIsDeliveredAfterClose() throws Exception {
        HostDatagrams socket = open(0);
        int port = portOf(socket);
        rig.run(socket::close);
        peer.send(new DatagramPacket(pattern(5), 5, InetAddress.getLoopbackAddress(), port));
        assertThat(send(socket, HostRig.HOST, peer.getLocalPort(), pattern(1))).isEqualTo(Verdict.LOST);
        rig.run(() -> {});
        assertThat(received).isEmpty();
    }

    /** Twenty thousand each way, in turns of some hundred; the kernel may drop some, which is counted or seen nowhere. */
    @Test
    void burstsArriveWholeAndInOrderOrNotAtAll() throws Exception {
        HostDatagrams socket = open(0);
        int port = portOf(socket);
        CompletableFuture<Integer> counted = Waiting.async(() -> countInOrder(peer));
        for (int turn = 0; turn < BURST / TURN; turn++) {
            sendTurn(socket, turn * TURN);
        }
        assertThat(rig.counters.datagramsToHost() + rig.counters.datagramsLost())
                .isEqualTo(BURST);
        assertThat(rig.counters.datagramsToHost()).isPositive();
        sendLast(socket, counted);
        assertThat(counted.get(20, TimeUnit.SECONDS)).isBetween(TURN, BURST);

        received.clear();
        for (int i = 0; i < BURST; i++) {
            byte[] bytes = numbered(i);
            peer.send(new DatagramPacket(bytes, bytes.length, InetAddress.getLoopbackAddress(), port));
        }
        Waiting.settle(rig.counters::datagramsFromHost);
        // On the loop, where none comes between the two.
        long uncounted = rig.call(() -> received.size() - rig.counters.datagramsFromHost());
        assertThat(uncounted).isZero();
        assertThat(received).hasSizeBetween(TURN, BURST);
        int last = -1;
        for (Received each : received) {
            last = checkNumbered(each.bytes, each.bytes.length, last);
            assertThat(each.source).isEqualTo(HostRig.HOST);
            assertThat(each.port).isEqualTo(peer.getLocalPort());
        }
    }

    /** All datagrams of a turn lie beside each other and stay there until the flush. */
    private void sendTurn(HostDatagrams socket, int first) throws Exception {
        rig.run(() -> {
            try (Arena arena = Arena.ofConfined()) {
                MemorySegment memory = arena.allocate((long) TURN * NUMBERED_MAX);
                for (int i = 0; i < TURN; i++) {
                    byte[] bytes = numbered(first + i);
                    long at = (long) i * NUMBERED_MAX;
                    MemorySegment.copy(bytes, 0, memory, ValueLayout.JAVA_BYTE, at, bytes.length);
                    assertThat(socket.send(HostRig.HOST, peer.getLocalPort(), 64, false, memory, at, bytes.length))
                            .isIn(Verdict.SENT, Verdict.LOST);
                }
                socket.flush();
                memory.fill((byte) 0x55);
            }
        });
    }

    private void sendLast(HostDatagrams socket, CompletableFuture<Integer> until) throws Exception {
        Waiting.until(() -> {
            send(socket, HostRig.HOST, peer.getLocalPort(), new byte[0]);
            return until.isDone();
        });
    }

    private static int countInOrder(DatagramSocket socket) throws Exception {
        DatagramPacket packet = new DatagramPacket(new byte[65_535], 65_535);
        int last = -1;
        for (int count = 0; ; count++) {
            socket.receive(packet);
            if (packet.getLength() == 0) {
                return count;
            }
            last = checkNumbered(packet.getData(), packet.getLength(), last);
        }
    }

    private static byte[] numbered(int number) {
        byte[] bytes = new byte[4 + number % (NUMBERED_MAX - 3)];
        ByteBuffer.wrap(bytes).putInt(number);
        Arrays.fill(bytes, 4, bytes.length, (byte) number);
        return bytes;
    }

    private static int checkNumbered(byte[] bytes, int length, int last) {
        int number = ByteBuffer.wrap(bytes).getInt();
        assertThat(number).isGreaterThan(last);
        assertThat(Arrays.equals(bytes, 0, length, numbered(number), 0, numbered(number).length))
                .as("bytes of datagram %d", number)
                .isTrue();
        return number;
    }

    @Test
    void twoDestinationsInOneTurnEachGetTheirOwn() throws Exception {
        HostDatagrams socket = open(0);
        try (DatagramSocket other = new DatagramSocket(0, InetAddress.getLoopbackAddress());
                Arena arena = Arena.ofShared()) {
            other.setSoTimeout(10_000);
            MemorySegment memory = arena.allocate(60);
            for (int i = 0; i < 60; i++) {
                memory.set(ValueLayout.JAVA_BYTE, i, (byte) i);
            }
            rig.run(() -> {
                for (int i = 0; i < 60; i++) {
                    int port = i % 6 < 3 ? peer.getLocalPort() : other.getLocalPort();
                    assertThat(socket.send(HostRig.HOST, port, 64, false, memory, i, 1))
                            .isEqualTo(Verdict.SENT);
                }
                socket.close();
            });
            DatagramPacket packet = new DatagramPacket(new byte[10], 10);
            for (int i = 0; i < 60; i++) {
                (i % 6 < 3 ? peer : other).receive(packet);
                assertThat(packet.getLength()).isEqualTo(1);
                assertThat(packet.getData()[0]).isEqualTo((byte) i);
            }
        }
    }

    @Test
    void aListenerThatThrowsLosesOneDatagramOnly() throws Exception {
        HostDatagrams socket = rig.call(() -> rig.sockets.openDatagrams(0, false, new HostDatagrams.Listener() {
            @Override
            public void received(IpAddress source, int port, MemorySegment payload, long offset, int length) {
                HostDatagramsTest.this.received(source, port, payload, offset, length);
                if (length == 1) {
                    throw new IllegalStateException("for the test");
                }
            }

            @Override
            public void failed(
                    IpAddress destination, int port, IcmpError error, MemorySegment quoted, long offset, int length) {
                throw new AssertionError("nothing was sent");
            }
        }));
        int port = portOf(socket);
        for (int i = 0; i < 3; i++) {
            peer.send(new DatagramPacket(pattern(i), i, InetAddress.getLoopbackAddress(), port));
        }
        for (int i = 0; i < 3; i++) {
            assertThat(received.poll(10, TimeUnit.SECONDS).bytes).hasSize(i);
        }
        rig.run(() -> {});
        assertThat(rig.failures).hasSize(1);
        rig.failures.clear();
    }
}
