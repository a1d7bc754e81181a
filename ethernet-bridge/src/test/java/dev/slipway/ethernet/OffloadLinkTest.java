package dev.slipway.ethernet;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.slipway.wire.BigEndian;
import dev.slipway.wire.EthernetFrame;
import dev.slipway.wire.Frame;
import dev.slipway.wire.Frame.ChecksumState;
import io.netty.channel.EventLoop;
import io.netty.channel.MultiThreadIoEventLoopGroup;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Random;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Sockets to guests whose cards have offload, behind a virtio-net header or untold. */
@Timeout(60)
class OffloadLinkTest {

    private static final int MTU = 1500;
    private static final int LONGEST_PLAIN = MTU + EthernetFrame.HEADER_LENGTH;
    private static final String NOTHING_TO_DO = "00 00 00 00 00 00 00 00 00 00 00 00";
    private static final String LARGE_UNIT = "01 01 36 00 b4 05 22 00 10 00 00 00";

    /** What the frames stand in. */
    private enum Wire {
        DATAGRAMS,
        CONNECTIONS,
        STREAM
    }

    @TempDir
    Path folder;

    private final RecordingReceiver receiver = new RecordingReceiver();
    private final BlockingQueue<String> offloads = new LinkedBlockingQueue<>();
    private MultiThreadIoEventLoopGroup group;
    private EventLoop loop;
    private GuestLink link;
    private FakePacketGuest packets;
    private FakeGuest stream;

    @BeforeEach
    void makeLoop() {
        assumeTrue(Transport.NATIVE.isAvailable(), "Linux on x86-64 or aarch64");
        group = new MultiThreadIoEventLoopGroup(1, Transport.NATIVE.ioHandlerFactory());
        loop = group.next();
        receiver.onFrame = frame -> offloads.add(told(frame));
    }

    @AfterEach
    void stop() throws Exception {
        if (packets != null) {
            packets.close();
        }
        if (stream != null) {
            stream.close();
        }
        if (link != null) {
            link.close();
        }
        if (group != null) {
            group.shutdownGracefully(0, 5, TimeUnit.SECONDS).sync();
        }
    }

    private static String told(Frame frame) {
        return frame.checksum() + " " + frame.checksumStart() + " " + frame.checksumOffset() + " "
                + frame.segmentSize();
    }

    /** A guest that has sent a first frame. */
    private void attach(Wire wire, Offload offload) throws Exception {
        Path path = folder.resolve("vm.sock");
        if (wire == Wire.STREAM) {
            StreamLink made = StreamLink.qemu(loop, Transport.NATIVE, offload, MTU);
            made.listen(path, receiver);
            stream = new FakeGuest(path);
            link = made;
        } else {
            PacketLink made = new PacketLink(loop, PacketLink.Kind.valueOf(wire.name()), offload, MTU);
            made.listen(path, receiver);
            packets = wire == Wire.CONNECTIONS
                    ? FakePacketGuest.connection(path)
                    : FakePacketGuest.datagrams(folder.resolve("guest"), path);
            link = made;
        }
        fromGuest(offload == Offload.VNET_HDR ? NOTHING_TO_DO : "", tcp(0));
        assertThat(receiver.nextEvent()).isEqualTo("attached");
        assertThat(receiver.nextFrame()).isEqualTo(tcp(0));
        offloads.take();
    }

    private void fromGuest(String header, byte[] frame) throws IOException {
        byte[] bytes = joined(header, frame);
        if (stream != null) {
            stream.send(bytes);
        } else {
            packets.send(bytes);
        }
    }

    private byte[] toGuest() throws Exception {
        return stream != null ? stream.receive() : packets.receive();
    }

    private static byte[] joined(String header, byte[] frame) {
        byte[] first =
                header.isEmpty() ? new byte[0] : HexFormat.ofDelimiter(" ").parseHex(header);
        byte[] all = new byte[first.length + frame.length];
        System.arraycopy(first, 0, all, 0, first.length);
        System.arraycopy(frame, 0, all, first.length, frame.length);
        return all;
    }

    /** TCP over IPv4 in a frame, with so many bytes of payload, its checksum not there. */
    private static byte[] tcp(int payload) {
        byte[] bytes = new byte[54 + payload];
        new Random(payload).nextBytes(bytes);
        MemorySegment frame = MemorySegment.ofArray(bytes);
        BigEndian.putU16(frame, 12, EthernetFrame.TYPE_IPV4);
        BigEndian.putU16(frame, 14, 0x4500);
        BigEndian.putU16(frame, 16, bytes.length - 14);
        BigEndian.putU16(frame, 20, 0x4000);
        BigEndian.putU16(frame, 22, 0x4006);
        BigEndian.putU16(frame, 46, 0x5010);
        return bytes;
    }

    private void send(byte[] bytes, boolean large) throws Exception {
        loop.submit(() -> {
                    Frame frame = link.begin(bytes.length);
                    MemorySegment.copy(bytes, 0, frame.bytes(), ValueLayout.JAVA_BYTE, frame.offset(), bytes.length);
                    if (large) {
                        frame.checksumPartial(34, 16).largeUnit(1460);
                    }
                    link.send(frame);
                    link.flush();
                })
                .get(20, TimeUnit.SECONDS);
    }

    @ParameterizedTest
    @EnumSource
    void unitsOfUpTo64KibGoBothWaysBehindTheirHeaders(Wire wire) throws Exception {
        attach(wire, Offload.VNET_HDR);
        for (int payload : new int[] {1461, 40_000, Frame.MAX_LENGTH - 54}) {
            fromGuest(LARGE_UNIT, tcp(payload));
            assertThat(receiver.nextFrame()).isEqualTo(tcp(payload));
            assertThat(offloads.take()).isEqualTo("PARTIAL 34 16 1460");
            send(tcp(payload), true);
            assertThat(toGuest()).isEqualTo(joined("01 01 36 00 b4 05 22 00 10 00 01 00", tcp(payload)));
        }
        fromGuest("02 00 00 00 00 00 00 00 00 00 01 00", tcp(9));
        assertThat(receiver.nextFrame()).isEqualTo(tcp(9));
        assertThat(offloads.take()).startsWith("VERIFIED ");
        send(tcp(100), false);
        assertThat(toGuest()).isEqualTo(joined("00 00 00 00 00 00 00 00 00 00 01 00", tcp(100)));
        assertThat(link.counters().framesFromGuest()).isEqualTo(5);
        assertThat(link.counters().framesToGuest()).isEqualTo(4);
        assertThat(link.counters().bytesToGuest())
                .as("headers are none of the frames'")
                .isEqualTo(4 * 54 + 1461 + 40_000 + Frame.MAX_LENGTH - 54 + 100);
        assertThat(link.counters().dropsToGuest()).isZero();
        assertThat(link.counters().badOffloadsFromGuest()).isZero();
    }

    @Test
    void oneBytePerWriteWorksWithAHeaderToo() throws Exception {
        attach(Wire.STREAM, Offload.VNET_HDR);
        stream.sendSlowly(framed(joined(LARGE_UNIT, tcp(60)), joined(NOTHING_TO_DO, tcp(61))));
        assertThat(receiver.nextFrame()).isEqualTo(tcp(60));
        assertThat(offloads.take()).isEqualTo("PARTIAL 34 16 1460");
        assertThat(receiver.nextFrame()).isEqualTo(tcp(61));
        assertThat(link.counters().badOffloadsFromGuest()).isZero();
    }

    private static byte[] framed(byte[]... frames) {
        ByteBuffer bytes = ByteBuffer.allocate(1 << 10);
        for (byte[] frame : frames) {
            bytes.putInt(frame.length).put(frame);
        }
        return Arrays.copyOf(bytes.array(), bytes.position());
    }

    @ParameterizedTest
    @EnumSource
    void headersThatCannotBeAreDroppedAndCountedAndTheChannelStays(Wire wire) throws Exception {
        attach(wire, Offload.VNET_HDR);
        List<String> hostile = List.of(
                "01 77 36 00 b4 05 22 00 10 00 00 00", // a kind of unit that nobody knows
                "01 03 36 00 b4 05 22 00 06 00 00 00", // of UDP
                "01 04 36 00 b4 05 22 00 10 00 00 00", // of the other IP
                "01 01 36 00 00 00 22 00 10 00 00 00", // segments of nothing
                "00 01 36 00 b4 05 22 00 10 00 00 00", // without a sum to complete
                "01 00 00 00 00 00 ff ff ff ff 00 00", // sums beyond the frame
                "01 00 00 00 00 00 d0 07 10 00 00 00",
                "01 00 00 00 00 00 00 00 10 00 00 00"); // and before its payload
        for (String header : hostile) {
            fromGuest(header, tcp(1461));
        }
        // Shorter than a header, nothing behind it, and not all of an Ethernet header.
        for (int length : new int[] {0, 1, 11, 12, 25}) {
            fromGuest("", new byte[length]);
        }
        fromGuest(NOTHING_TO_DO, new byte[Frame.MAX_LENGTH + 1]);
        // What is said of the headers' length is not believed anyway.
        for (String lie : List.of("00 00", "01 00", "ff ff")) {
            fromGuest("01 01 " + lie + " b4 05 22 00 10 00 ff ff", tcp(3000));
            assertThat(receiver.nextFrame()).isEqualTo(tcp(3000));
        }
        assertThat(link.counters().badOffloadsFromGuest()).isEqualTo(hostile.size() + 5);
        assertThat(link.counters().oversizeFromGuest()).isEqualTo(1);
        assertThat(link.counters().framesFromGuest()).isEqualTo(4);
        assertThat(link.isAttached()).isTrue();
    }

    @ParameterizedTest
    @EnumSource
    void guestThatDoesNotReadLosesWholeUnitsAndNoHeader(Wire wire) throws Exception {
        attach(wire, Offload.VNET_HDR);
        for (int i = 0; i < 300; i++) {
            send(tcp(60_000), true);
        }
        long sent = 300 - link.counters().dropsToGuest();
        assertThat(sent).isBetween(16L, 299L);
        byte[] expected = joined("01 01 36 00 b4 05 22 00 10 00 01 00", tcp(60_000));
        for (int i = 0; i < sent; i++) {
            assertThat(toGuest()).isEqualTo(expected);
        }
    }

    @ParameterizedTest
    @EnumSource
    void untoldUnitsAreKnownByTheirLengthAndCutOnTheWayBack(Wire wire) throws Exception {
        attach(wire, Offload.UNTOLD);
        fromGuest("", tcp(1446));
        assertThat(receiver.nextFrame()).isEqualTo(tcp(1446));
        assertThat(offloads.take()).startsWith("VERIFIED ").endsWith(" 0");
        fromGuest("", tcp(20_000));
        assertThat(receiver.nextFrame()).isEqualTo(tcp(20_000));
        assertThat(offloads.take()).isEqualTo("PARTIAL 34 16 1460");
        send(tcp(2920), true);
        assertThat(toGuest()).hasSize(LONGEST_PLAIN);
        assertThat(toGuest()).hasSize(LONGEST_PLAIN);
        assertThat(link.counters().badOffloadsFromGuest()).isZero();
    }

    @Test
    void whatIsLongAndNoTcpIsNoUnit() {
        byte[] udp = tcp(3000);
        udp[23] = 17;
        byte[] fragment = tcp(3000);
        fragment[20] = 0x20;
        byte[] arp = tcp(3000);
        arp[13] = 6;
        byte[] longHeader = tcp(3000);
        longHeader[14] = 0x4F;
        for (byte[] bytes : List.of(udp, fragment, arp)) {
            assertThat(inferred(bytes).segmentSize()).isZero();
            assertThat(inferred(bytes).checksum()).isEqualTo(ChecksumState.VERIFIED);
        }
        assertThat(inferred(longHeader).checksumStart()).isEqualTo(14 + 60);
    }

    private static Frame inferred(byte[] bytes) {
        Frame frame = new Frame();
        assertThat(Offload.UNTOLD.read(MemorySegment.ofArray(bytes), 0, bytes.length, frame, LONGEST_PLAIN))
                .isTrue();
        return frame;
    }

    @Test
    void anyBytesAreAFrameAndASumThatIsLeftOutLiesWithinIt() {
        long seed = System.nanoTime();
        Random random = new Random(seed);
        MemorySegment bytes = Arena.ofAuto().allocate(200);
        Frame frame = new Frame();
        for (int i = 0; i < 50_000; i++) {
            int length = random.nextInt(200);
            byte[] plausible = tcp(146);
            for (int change = random.nextInt(6); change > 0; change--) {
                plausible[12 + random.nextInt(60)] = (byte) random.nextInt();
            }
            if (random.nextInt(4) == 0) {
                plausible[14] = 0x4F; // the longest IP header, so that TCP begins late
            }
            MemorySegment.copy(plausible, 0, bytes, ValueLayout.JAVA_BYTE, 0, 200);
            assertThat(Offload.UNTOLD.read(bytes.asSlice(0, length), 0, length, frame, 70))
                    .isTrue();
            if (frame.checksum() == ChecksumState.PARTIAL) {
                assertThat(frame.checksumStart() + frame.checksumOffset() + 2)
                        .as("seed %d", seed)
                        .isLessThanOrEqualTo(length);
                assertThat(frame.segmentSize()).isPositive();
            }
        }
    }
}
