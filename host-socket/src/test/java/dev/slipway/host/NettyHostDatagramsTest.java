package dev.slipway.host;

import static org.assertj.core.api.Assertions.assertThat;

import dev.slipway.seam.HostDatagrams;
import dev.slipway.seam.HostDatagrams.Verdict;
import dev.slipway.wire.IpAddress;
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

@Tag("transport")
@Timeout(30)
final class NettyHostDatagramsTest implements HostDatagrams.Listener {

    private record Received(IpAddress source, int port, byte[] bytes) {}

    private final BlockingQueue<Received> received = new LinkedBlockingQueue<>();
    private final BlockingQueue<String> refused = new LinkedBlockingQueue<>();
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
    public void refused(IpAddress destination, int port) {
        refused.add(destination + ":" + port);
    }

    private NettyHostDatagrams open(int port) throws Exception {
        return (NettyHostDatagrams) rig.call(() -> rig.sockets.openDatagrams(port, this));
    }

    private Verdict send(HostDatagrams socket, IpAddress to, int port, byte[] bytes) throws Exception {
        return rig.call(() -> {
            Verdict verdict = socket.send(to, port, MemorySegment.ofArray(bytes), 0, bytes.length);
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
        NettyHostDatagrams socket = open(0);
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
        NettyHostDatagrams socket = open(0);
        int port = rig.call(socket::localPort);
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
        NettyHostDatagrams first = open(port);
        assertThat(rig.call(first::localPort)).isEqualTo(port);
        NettyHostDatagrams second = open(port);
        assertThat(rig.call(second::localPort)).isNotEqualTo(port).isPositive();
        assertThat(send(second, HostRig.HOST, peer.getLocalPort(), pattern(3))).isEqualTo(Verdict.SENT);
        rig.run(first::close);
        rig.run(second::close);
    }

    @Test
    void forbiddenDestinationsSaySo() throws Exception {
        NettyHostDatagrams socket = open(0);
        IpAddress loopback = IpAddress.ofV4(IpAddress.parseV4("127.0.0.1"));
        IpAddress metadata = IpAddress.ofV4(IpAddress.parseV4("169.254.169.254"));
        IpAddress gateway = IpAddress.ofV4(IpAddress.parseV4("192.168.65.1"));
        assertThat(send(socket, loopback, 9, pattern(1))).isEqualTo(Verdict.HOST_UNREACHABLE);
        assertThat(send(socket, metadata, 80, pattern(1))).isEqualTo(Verdict.PROHIBITED);
        assertThat(send(socket, new IpAddress(1, 1), 80, pattern(1))).isEqualTo(Verdict.NETWORK_UNREACHABLE);
        assertThat(send(socket, gateway, 99, pattern(1))).isEqualTo(Verdict.SENT);
        assertThat(refused.poll(10, TimeUnit.SECONDS)).isEqualTo("192.168.65.1:99");
        assertThat(send(socket, HostRig.HOST, 9, pattern(65_508))).isEqualTo(Verdict.TOO_BIG);
        assertThat(rig.counters.datagramsRefusedByPolicy()).isEqualTo(4);
        assertThat(rig.counters.datagramsToHost()).isZero();
    }

    @Test
    void nothingIsDeliveredAfterClose() throws Exception {
        NettyHostDatagrams socket = open(0);
        int port = rig.call(socket::localPort);
        rig.run(socket::close);
        peer.send(new DatagramPacket(pattern(5), 5, InetAddress.getLoopbackAddress(), port));
        assertThat(send(socket, HostRig.HOST, peer.getLocalPort(), pattern(1))).isEqualTo(Verdict.LOST);
        rig.run(() -> {});
        assertThat(received).isEmpty();
    }
}
