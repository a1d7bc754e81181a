package dev.slipway.control;

import static org.assertj.core.api.Assertions.assertThat;

import dev.slipway.dhcp.DhcpSettings;
import dev.slipway.ethernet.ChannelScheme;
import dev.slipway.ethernet.Transport;
import dev.slipway.ethernet.VmChannel;
import dev.slipway.guest.RawGuest;
import dev.slipway.host.HostPolicy;
import dev.slipway.host.NetworkSettings;
import dev.slipway.host.ResolverSettings;
import dev.slipway.host.VmNetwork;
import dev.slipway.proxy.ProxySettings;
import dev.slipway.seam.StackSettings;
import dev.slipway.testing.PacketBuilder;
import java.io.IOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** A connection of the API that becomes a VM's channel, on each transport. */
@Tag("transport")
@Timeout(value = 30, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class ConnectTest {

    private static final String REQUEST = "POST /connect HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n";

    /** Enough that bytes come before, while and after the connection changes its event loop. */
    private static final int ROUNDS = 200;

    @TempDir
    Path folder;

    private Path socket;
    private VmNetwork network;
    private ControlServer server;

    private void start(Transport transport, String channel) throws IOException {
        network = VmNetwork.start(new NetworkSettings(
                StackSettings.defaults(),
                HostPolicy.defaults(),
                ResolverSettings.ofThisHost(),
                transport,
                List.of(
                        channel.startsWith("connect:")
                                ? new VmChannel(ChannelScheme.CONNECT, channel.substring("connect:".length()))
                                : VmChannel.qemu(folder.resolve(channel))),
                Optional.empty(),
                Optional.empty(),
                ProxySettings.none(),
                DhcpSettings.NONE,
                Optional.empty(),
                false));
        ControlCounters counters = new ControlCounters();
        socket = folder.resolve("api");
        server = ControlServer.listen(
                socket,
                network.controlLoop(),
                transport,
                List.of(new GvproxyApi(null, network, StackSettings.defaults(), counters)),
                counters);
    }

    @AfterEach
    void stop() {
        server.close();
        network.close();
    }

    private SocketChannel ask(byte... behind) throws IOException {
        SocketChannel client = SocketChannel.open(StandardProtocolFamily.UNIX);
        client.connect(UnixDomainSocketAddress.of(socket));
        ByteBuffer all = ByteBuffer.allocate(REQUEST.length() + behind.length);
        all.put(REQUEST.getBytes(StandardCharsets.US_ASCII)).put(behind).flip();
        while (all.hasRemaining()) {
            client.write(all);
        }
        return client;
    }

    private static byte[] question(ByteOrder order, int prefix) {
        byte[] frame = PacketBuilder.bytes(PacketBuilder.guest().arpRequest("192.168.65.1"));
        ByteBuffer framed = ByteBuffer.allocate(prefix + frame.length).order(order);
        return (prefix == 2 ? framed.putShort((short) frame.length) : framed.putInt(frame.length))
                .put(frame)
                .array();
    }

    /** The first bytes of all are an answer's frame. */
    private static void isAnswered(SocketChannel guest, ByteOrder order, int prefix) throws IOException {
        ByteBuffer answer = ByteBuffer.allocate(prefix + 42).order(order);
        while (answer.hasRemaining()) {
            assertThat(guest.read(answer)).isPositive();
        }
        answer.flip();
        assertThat(prefix == 2 ? answer.getShort() : answer.getInt()).isEqualTo(prefix == 2 ? (short) 42 : 42);
        byte[] frame = new byte[42];
        answer.get(frame);
        assertThat(RawGuest.isArp(frame)).isTrue();
    }

    @ParameterizedTest
    @EnumSource(names = {"NATIVE", "EPOLL", "NIO"})
    void framesGoBothWaysFromTheRequestOnAndNothingElseDoes(Transport transport) throws IOException {
        start(transport, "connect:");
        try (SocketChannel guest = ask(question(ByteOrder.LITTLE_ENDIAN, 2))) {
            isAnswered(guest, ByteOrder.LITTLE_ENDIAN, 2);
            for (int i = 0; i < 100; i++) {
                guest.write(ByteBuffer.wrap(question(ByteOrder.LITTLE_ENDIAN, 2)));
                isAnswered(guest, ByteOrder.LITTLE_ENDIAN, 2);
            }
            try (SocketChannel second = ask()) {
                assertThat(second.read(ByteBuffer.allocate(1)))
                        .as("one guest at a time")
                        .isEqualTo(-1);
            }
            server.close();
            guest.write(ByteBuffer.wrap(question(ByteOrder.LITTLE_ENDIAN, 2)));
            isAnswered(guest, ByteOrder.LITTLE_ENDIAN, 2);
        }
        assertThat(network.sessions().getFirst().linkCounters().refusedConnections())
                .isEqualTo(1);
    }

    @ParameterizedTest
    @EnumSource(names = {"NATIVE", "NIO"})
    void oneBytePerWriteTheRequestAndItsFrameArrive(Transport transport) throws IOException {
        start(transport, "connect:");
        byte[] question = question(ByteOrder.LITTLE_ENDIAN, 2);
        try (SocketChannel guest = SocketChannel.open(StandardProtocolFamily.UNIX)) {
            guest.connect(UnixDomainSocketAddress.of(socket));
            for (byte[] part : new byte[][] {REQUEST.getBytes(StandardCharsets.US_ASCII), question}) {
                for (byte each : part) {
                    guest.write(ByteBuffer.wrap(new byte[] {each}));
                    LockSupport.parkNanos(1_000_000);
                }
            }
            isAnswered(guest, ByteOrder.LITTLE_ENDIAN, 2);
        }
    }

    @ParameterizedTest
    @EnumSource(names = {"NATIVE", "NIO"})
    void guestThatComesBackIsServedInTheFramingThatWasNamed(Transport transport) throws IOException {
        start(transport, "connect:vm/qemu");
        for (int i = 0; i < ROUNDS; i++) {
            try (SocketChannel guest = ask()) {
                guest.write(ByteBuffer.wrap(question(ByteOrder.BIG_ENDIAN, 4)));
                isAnswered(guest, ByteOrder.BIG_ENDIAN, 4);
            }
        }
        assertThat(network.sessions().getFirst().linkCounters().connections()).isEqualTo(ROUNDS);
    }

    @ParameterizedTest
    @EnumSource(names = {"NATIVE"})
    void whereNoVmComesByItItIsNotThere(Transport transport) throws IOException {
        start(transport, "vm.sock");
        try (SocketChannel guest = ask()) {
            ByteBuffer answer = ByteBuffer.allocate(1_000);
            guest.read(answer);
            assertThat(StandardCharsets.US_ASCII.decode(answer.flip()).toString())
                    .startsWith("HTTP/1.1 404 ")
                    .contains("--vm connect:");
        }
    }
}
