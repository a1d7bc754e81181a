package dev.slipway.vhost;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.slipway.dhcp.LeaseTable;
import dev.slipway.ethernet.RecordingReceiver;
import dev.slipway.ethernet.StreamFraming;
import dev.slipway.ethernet.StreamLink;
import dev.slipway.ethernet.Transport;
import dev.slipway.lan.SwitchPort;
import dev.slipway.lan.VmSwitch;
import dev.slipway.posix.Sockets;
import dev.slipway.seam.DropCounters;
import dev.slipway.seam.StackSettings;
import dev.slipway.testing.PacketBuilder;
import dev.slipway.vhost.ModelDriver.Piece;
import dev.slipway.wire.Checksum;
import dev.slipway.wire.DropReason;
import io.netty.channel.EventLoop;
import io.netty.channel.MultiThreadIoEventLoopGroup;
import java.io.EOFException;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.SocketChannel;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** A VM with offload, by a model of its driver, beside one on a stream that has none; a thread for each. */
@Timeout(60)
class VhostSwitchTest {

    private static final int MTU = 1500;
    private static final int HEADER = 12;
    private static final int TCP = 34;
    private static final long RECEIVE_AREA = 2 << 20;
    private static final long SEND_AREA = 6 << 20;
    private static final int BUFFER = 64 << 10;
    private static final PacketBuilder VHOST = PacketBuilder.guest()
            .mac(0x5254_0000_000AL)
            .address("192.168.65.10")
            .to(0x5254_0000_000BL);
    private static final PacketBuilder STREAM = PacketBuilder.guest()
            .mac(0x5254_0000_000BL)
            .address("192.168.65.11")
            .to(0x5254_0000_000AL);

    private static final MemorySegment TO_GATEWAY = STREAM.to(
                    StackSettings.defaults().gatewayMac())
            .udp("192.168.65.1", 53)
            .build();

    @TempDir
    Path folder;

    private final DropCounters vhostDrops = new DropCounters();
    private final DropCounters streamDrops = new DropCounters();
    private final RecordingReceiver vhostStack = new RecordingReceiver();
    private final RecordingReceiver streamStack = new RecordingReceiver();
    private MultiThreadIoEventLoopGroup loops;
    private EventLoop vhostLoop;
    private VhostLink vhostLink;
    private StreamLink streamLink;
    private SwitchPort vhostPort;
    private SwitchPort streamPort;
    private FakeFrontEnd vhost;
    private SocketChannel stream;

    @BeforeEach
    void start() throws Exception {
        assumeTrue(Transport.NATIVE.isAvailable(), "Linux on x86-64 or aarch64");
        Sockets.prepare();
        LeaseTable leases = new LeaseTable(StackSettings.defaults());
        VmSwitch lan = new VmSwitch(StackSettings.defaults(), leases, 2);
        loops = new MultiThreadIoEventLoopGroup(2, Transport.NATIVE.ioHandlerFactory());
        vhostLoop = loops.next();
        vhostLink = new VhostLink(vhostLoop, MTU);
        vhostPort = lan.port("vhost", vhostLoop, vhostLink);
        EventLoop streamLoop = loops.next();
        streamLink = new StreamLink(streamLoop, Transport.NATIVE, StreamFraming.QEMU, MTU);
        streamPort = lan.port("stream", streamLoop, streamLink);
        Path first = folder.resolve("vhost.sock");
        Path second = folder.resolve("stream.sock");
        vhostLink.listen(first, vhostPort.receiver(vhostStack, leases.join(), vhostDrops));
        streamLink.listen(second, streamPort.receiver(streamStack, leases.join(), streamDrops));
        vhost = new FakeFrontEnd(first, true);
        vhost.start(Features.OFFERED);
        assertThat(vhostStack.nextEvent()).isEqualTo("attached");
        stream = SocketChannel.open(UnixDomainSocketAddress.of(second));
        assertThat(streamStack.nextEvent()).isEqualTo("attached");
    }

    @AfterEach
    void stop() throws Exception {
        if (loops != null) {
            stream.close();
            vhost.close();
            vhostPort.close();
            streamPort.close();
            loops.shutdownGracefully(0, 5, TimeUnit.SECONDS).sync();
        }
    }

    private void sendByVhost(byte[] header, byte[] frame) {
        MemorySegment.copy(header, 0, vhost.memory, ValueLayout.JAVA_BYTE, SEND_AREA, HEADER);
        MemorySegment.copy(frame, 0, vhost.memory, ValueLayout.JAVA_BYTE, SEND_AREA + HEADER, frame.length);
        vhost.fromGuest.offer(new Piece[] {new Piece(SEND_AREA, HEADER + frame.length)}, false, false);
        if (vhost.fromGuest.tell()) {
            vhost.kick(1);
        }
        vhost.awaitUsed(1);
    }

    private void offerBuffer(int index) {
        vhost.toGuest.offer(new Piece[] {new Piece(RECEIVE_AREA + (long) index * BUFFER, BUFFER)}, true, false);
        if (vhost.toGuest.tell()) {
            vhost.kick(0);
        }
    }

    /** Header and frame in the one buffer that was offered. */
    private byte[] receiveByVhost(int index) {
        byte[] whole = new byte[vhost.awaitUsed(0)[1]];
        MemorySegment.copy(
                vhost.memory, ValueLayout.JAVA_BYTE, RECEIVE_AREA + (long) index * BUFFER, whole, 0, whole.length);
        return whole;
    }

    private void sendByStream(MemorySegment frame) throws IOException {
        ByteBuffer bytes = ByteBuffer.allocate(4 + (int) frame.byteSize());
        bytes.putInt((int) frame.byteSize()).put(PacketBuilder.bytes(frame)).flip();
        while (bytes.hasRemaining()) {
            stream.write(bytes);
        }
    }

    private byte[] receiveByStream() throws IOException {
        return read(ByteBuffer.wrap(read(4)).getInt());
    }

    private byte[] read(int length) throws IOException {
        ByteBuffer bytes = ByteBuffer.allocate(length);
        while (bytes.hasRemaining()) {
            if (stream.read(bytes) < 0) {
                throw new EOFException();
            }
        }
        return bytes.array();
    }

    private static byte[] header(int flags, int gso, int headerLength, int size, int start, int field) {
        ByteBuffer header = ByteBuffer.allocate(HEADER).order(ByteOrder.LITTLE_ENDIAN);
        header.put((byte) flags).put((byte) gso).putShort((short) headerLength).putShort((short) size);
        return header.putShort((short) start).putShort((short) field).array();
    }

    /** A frame as a driver leaves it to its device: with the sum of the pseudo-header where the checksum goes. */
    private static byte[] partial(MemorySegment frame, int protocol, int field) {
        byte[] bytes = PacketBuilder.bytes(frame);
        ByteBuffer at = ByteBuffer.wrap(bytes);
        int pseudo = Checksum.pseudoHeader(at.getInt(26), at.getInt(30), protocol, bytes.length - TCP);
        at.putShort(TCP + field, (short) Checksum.fold(pseudo));
        return bytes;
    }

    /** Both say who they are, and hear the other. */
    private void introduce() throws Exception {
        MemorySegment ofStream = STREAM.arpRequest("192.168.65.10");
        offerBuffer(0);
        sendByStream(ofStream);
        byte[] plain = new byte[HEADER];
        plain[10] = 1;
        assertThat(receiveByVhost(0)).isEqualTo(PacketBuilder.join(plain, PacketBuilder.bytes(ofStream)));
        MemorySegment ofVhost = VHOST.arpRequest("192.168.65.11");
        sendByVhost(new byte[HEADER], PacketBuilder.bytes(ofVhost));
        assertThat(receiveByStream()).isEqualTo(PacketBuilder.bytes(ofVhost));
        assertThat(vhostStack.nextFrame()).isEqualTo(PacketBuilder.bytes(ofVhost));
        assertThat(streamStack.nextFrame()).isEqualTo(PacketBuilder.bytes(ofStream));
    }

    @Test
    void largeUnitIsCutForTheVmWithoutOffloadByteForByte() throws Exception {
        introduce();
        byte[] payload = new byte[20_000];
        new Random(7).nextBytes(payload);
        MemorySegment unit = VHOST.tcp("192.168.65.11", 80)
                .port(4_000)
                .seq(1_000)
                .ack(5)
                .flags(0x10)
                .identification(0x1234)
                .payload(payload)
                .build();
        sendByVhost(header(1, 1, 54, 1448, TCP, 16), partial(unit, 6, 16));
        for (int at = 0, i = 0; at < payload.length; at += 1448, i++) {
            MemorySegment segment = VHOST.tcp("192.168.65.11", 80)
                    .port(4_000)
                    .seq(1_000 + at)
                    .ack(5)
                    .flags(0x10)
                    .identification(0x1234 + i)
                    .payload(Arrays.copyOfRange(payload, at, Math.min(payload.length, at + 1448)))
                    .build();
            assertThat(receiveByStream()).as("segment %d", i).isEqualTo(PacketBuilder.bytes(segment));
        }
        assertThat(vhostDrops).hasToString("");
    }

    @Test
    void checksumLeftToTheDeviceIsCompletedForTheVmWithoutOffload() throws Exception {
        introduce();
        MemorySegment datagram = VHOST.udp("192.168.65.11", 7).payload("hello").build();
        sendByVhost(header(1, 0, 0, 0, TCP, 6), partial(datagram, 17, 6));
        assertThat(receiveByStream()).isEqualTo(PacketBuilder.bytes(datagram));
    }

    @Test
    void vmWithoutBuffersLosesWhatItsNeighbourSendsAndTheNeighbourGoesOn() throws Exception {
        introduce();
        byte[] large = new byte[1_400];
        MemorySegment datagram = STREAM.udp("192.168.65.10", 7).payload(large).build();
        for (int i = 0; i < 3_000; i++) {
            sendByStream(datagram);
        }
        sendByStream(TO_GATEWAY);
        // What is for the stack has come, behind all that is not.
        assertThat(streamStack.nextFrame()).isEqualTo(PacketBuilder.bytes(TO_GATEWAY));
        assertThat(streamDrops.get(DropReason.SWITCH_FULL)).isBetween(2_000L, 2_900L);
        offerBuffer(1);
        assertThat(receiveByVhost(1)).endsWith(PacketBuilder.bytes(datagram));
    }

    @Test
    void vmThatGoesWithFramesUnderWayLeavesTheOthersAndItsSuccessorAlone() throws Exception {
        introduce();
        MemorySegment old =
                STREAM.udp("192.168.65.10", 7).payload("for the old one").build();
        for (int i = 0; i < 100; i++) {
            sendByStream(old);
        }
        sendByStream(TO_GATEWAY);
        assertThat(streamStack.nextFrame()).isEqualTo(PacketBuilder.bytes(TO_GATEWAY));
        vhost.close();
        assertThat(vhostStack.nextEvent()).startsWith("detached");
        vhost = new FakeFrontEnd(folder.resolve("vhost.sock"), true);
        vhost.start(Features.OFFERED);
        assertThat(vhostStack.nextEvent()).isEqualTo("attached");
        introduce();
        assertThat(streamLink.isAttached()).isTrue();
    }
}
