package dev.slipway.ethernet;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.slipway.ethernet.PacketLink.Kind;
import dev.slipway.posix.Errno;
import dev.slipway.posix.PassedDescriptors;
import dev.slipway.posix.ReceiveBatch;
import dev.slipway.posix.Sockets;
import dev.slipway.wire.Frame;
import dev.slipway.wire.TcpSegment;
import io.netty.channel.EventLoop;
import io.netty.channel.MultiThreadIoEventLoopGroup;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.net.StandardProtocolFamily;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Random;
import java.util.concurrent.Callable;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Packets on Unix sockets, from the side of a VM manager. */
@Timeout(60)
class PacketLinkTest {

    private static final int MTU = 1500;
    private static final byte[] GREETING = "VFKT".getBytes(StandardCharsets.US_ASCII);

    @TempDir
    Path folder;

    private final RecordingReceiver receiver = new RecordingReceiver();
    private MultiThreadIoEventLoopGroup group;
    private EventLoop loop;
    private PacketLink link;
    private Path path;
    private long descriptors;

    /** The JDK keeps a descriptor for itself from its first socket on. */
    @BeforeAll
    static void openTheFirstSocket() throws IOException {
        SocketChannel.open(StandardProtocolFamily.UNIX).close();
    }

    @BeforeEach
    void makeLoop() throws IOException {
        assumeTrue(Transport.NATIVE.isAvailable(), "Linux on x86-64 or aarch64");
        descriptors = openDescriptors();
        group = new MultiThreadIoEventLoopGroup(1, Transport.NATIVE.ioHandlerFactory());
        loop = group.next();
        path = folder.resolve("vm.sock");
    }

    @AfterEach
    void everyDescriptorIsClosed() throws Exception {
        if (group == null) {
            return;
        }
        if (link != null) {
            link.close();
        }
        group.shutdownGracefully(0, 5, TimeUnit.SECONDS).sync();
        assertThat(path).doesNotExist();
        assertThat(openDescriptors()).isEqualTo(descriptors);
    }

    private static long openDescriptors() throws IOException {
        try (Stream<Path> open = Files.list(Path.of("/proc/self/fd"))) {
            // Jars that the JVM opens as it likes are none of ours.
            return open.filter(PacketLinkTest::isSocketOrEvent).count();
        }
    }

    private static boolean isSocketOrEvent(Path fd) {
        try {
            return Files.readSymbolicLink(fd).toString().matches("(socket|anon_inode).*");
        } catch (IOException gone) {
            return false;
        }
    }

    private void listen(Kind kind) throws SocketPathException {
        link = new PacketLink(loop, kind, MTU);
        link.listen(path, receiver);
    }

    /** A guest of that kind, which has sent its first frame. */
    private FakePacketGuest attach(Kind kind, String name) throws Exception {
        FakePacketGuest guest = kind == Kind.CONNECTIONS
                ? FakePacketGuest.connection(path)
                : FakePacketGuest.datagrams(folder.resolve(name), path);
        guest.send(random(60, 99));
        assertThat(receiver.nextEvent()).isEqualTo("attached");
        assertThat(receiver.nextFrame()).isEqualTo(random(60, 99));
        return guest;
    }

    @ParameterizedTest
    @EnumSource
    void framesGoBothWaysOneInEachPacket(Kind kind) throws Exception {
        listen(kind);
        try (FakePacketGuest guest = attach(kind, "guest")) {
            guest.send(random(61, 1), random(1514, 2), random(65_535, 3));
            assertThat(receiver.nextFrame()).isEqualTo(random(61, 1));
            assertThat(receiver.nextFrame()).isEqualTo(random(1514, 2));
            assertThat(receiver.nextFrame()).isEqualTo(random(65_535, 3));
            send(random(1514, 4));
            send(random(60, 5));
            assertThat(guest.receive()).isEqualTo(random(1514, 4));
            assertThat(guest.receive()).isEqualTo(random(60, 5));
            assertThat(link.counters().framesFromGuest()).isEqualTo(4);
            assertThat(link.counters().framesToGuest()).isEqualTo(2);
            assertThat(link.counters().bytesToGuest()).isEqualTo(1574);
            assertThat(link.isAttached()).isTrue();
        }
    }

    @ParameterizedTest
    @EnumSource
    void thousandsOfFramesArriveInOrder(Kind kind) throws Exception {
        listen(kind);
        try (FakePacketGuest guest = attach(kind, "guest")) {
            for (int i = 0; i < 5_000; i++) {
                guest.send(numbered(i, 60 + i % 1400));
            }
            for (int i = 0; i < 5_000; i++) {
                assertThat(receiver.nextFrame()).isEqualTo(numbered(i, 60 + i % 1400));
            }
        }
    }

    @ParameterizedTest
    @EnumSource
    void emptyPacketIsAFrameOfNoBytesAndTheChannelStays(Kind kind) throws Exception {
        listen(kind);
        try (FakePacketGuest guest = attach(kind, "guest")) {
            guest.send(new byte[0], new byte[13], random(60, 1));
            assertThat(receiver.nextFrame()).isEmpty();
            assertThat(receiver.nextFrame()).hasSize(13);
            assertThat(receiver.nextFrame()).isEqualTo(random(60, 1));
        }
    }

    @ParameterizedTest
    @EnumSource
    void packetLongerThanAnyFrameIsDroppedAndCounted(Kind kind) throws Exception {
        listen(kind);
        try (FakePacketGuest guest = attach(kind, "guest")) {
            guest.send(new byte[ReceiveBatch.SLOT_BYTES + 1], random(61, 1), new byte[100_000], random(62, 2));
            assertThat(receiver.nextFrame()).isEqualTo(random(61, 1));
            assertThat(receiver.nextFrame()).isEqualTo(random(62, 2));
            assertThat(link.counters().oversizeFromGuest()).isEqualTo(2);
            assertThat(link.counters().framesFromGuest()).isEqualTo(3);
        }
    }

    @ParameterizedTest
    @EnumSource
    void guestThatDoesNotReadFillsABoundedQueueAndRecovers(Kind kind) throws Exception {
        listen(kind);
        try (FakePacketGuest guest = attach(kind, "guest")) {
            int sent = onLoop(() -> {
                int frames = 0;
                while (link.room() > 0) {
                    send(numbered(frames++, 1500));
                }
                // What cannot wait goes beyond; what goes beyond even that is dropped.
                for (int i = 0; i < 1000; i++) {
                    send(numbered(frames++, 1500));
                }
                return frames;
            });
            long dropped = link.counters().dropsToGuest();
            assertThat(dropped).isGreaterThan(300);
            assertThat(onLoop(() -> link.room())).isLessThanOrEqualTo(0);
            // Frames of the guest's own are served meanwhile.
            guest.send(random(60, 7));
            assertThat(receiver.nextFrame()).isEqualTo(random(60, 7));
            assertThat(receiver.events).isEmpty();

            int expected = 0;
            for (long i = 0; i < sent - dropped; i++) {
                int number = ByteBuffer.wrap(guest.receive()).getInt();
                assertThat(number).isGreaterThanOrEqualTo(expected);
                expected = number + 1;
            }
            assertThat(receiver.nextEvent()).isEqualTo("ready");
            send(random(60, 1));
            assertThat(guest.receive()).isEqualTo(random(60, 1));
            assertThat(link.counters().dropsToGuest()).isEqualTo(dropped);
            assertThat(onLoop(() -> link.room())).isEqualTo(PacketOutput.LIMIT);
        }
    }

    @ParameterizedTest
    @EnumSource
    void manySmallFramesAreBoundedToo(Kind kind) throws Exception {
        listen(kind);
        try (FakePacketGuest guest = attach(kind, "guest")) {
            int sent = onLoop(() -> {
                int frames = 0;
                for (; link.counters().dropsToGuest() == 0; frames++) {
                    send(numbered(frames, 4));
                }
                return frames - 1;
            });
            assertThat(sent).isLessThan(20_000);
            for (int i = 0; i < sent; i++) {
                assertThat(ByteBuffer.wrap(guest.receive()).getInt()).isEqualTo(i);
            }
        }
    }

    @ParameterizedTest
    @EnumSource
    void descriptorsSentAlongAreLetGoOf(Kind kind) throws Exception {
        listen(kind);
        Sockets sockets = new Sockets();
        int[] pair = PassedDescriptors.pair(Sockets.SOCK_STREAM);
        try (FakePacketGuest guest = attach(kind, "guest")) {
            PassedDescriptors.send(guest.fd, random(60, 1), pair[0]);
            assertThat(receiver.nextFrame()).isEqualTo(random(60, 1));
            sockets.close(pair[0]);
            // The other end sees the end: nobody else has it.
            MemorySegment one = Arena.ofAuto().allocate(1);
            long patience = System.nanoTime() + TimeUnit.SECONDS.toNanos(20);
            int read = sockets.read(pair[1], one, 0, 1);
            while (read == -Errno.EAGAIN && System.nanoTime() < patience) {
                Thread.onSpinWait();
                read = sockets.read(pair[1], one, 0, 1);
            }
            assertThat(read).isZero();
        } finally {
            sockets.close(pair[1]);
        }
    }

    @ParameterizedTest
    @EnumSource
    void guestThatGoesIsDetachedAndTheNextIsServed(Kind kind) throws Exception {
        listen(kind);
        for (int i = 0; i < 5; i++) {
            try (FakePacketGuest guest = attach(kind, "guest" + i)) {
                send(random(70, i));
                assertThat(guest.receive()).isEqualTo(random(70, i));
            }
            assertThat(receiver.nextEvent())
                    .startsWith("detached: ")
                    .contains(kind == Kind.CONNECTIONS ? "the guest closed the connection" : "guest" + i + " is gone");
            onLoop(() -> {
                send(random(71, 1));
                return null;
            });
        }
        assertThat(link.counters().connections()).isEqualTo(5);
        assertThat(link.counters().dropsToGuest()).isEqualTo(5);
    }

    @ParameterizedTest
    @EnumSource(names = "CONNECTIONS", mode = EnumSource.Mode.EXCLUDE)
    void frameForASocketThatIsGoneDetachesAtOnce(Kind kind) throws Exception {
        listen(kind);
        FakePacketGuest guest = attach(kind, "guest");
        guest.close();
        send(random(60, 1));
        assertThat(receiver.nextEvent()).startsWith("detached: ");
    }

    @ParameterizedTest
    @EnumSource(names = "CONNECTIONS", mode = EnumSource.Mode.EXCLUDE)
    void guestThatIsBackUnderTheSameNameIsServed(Kind kind) throws Exception {
        listen(kind);
        attach(kind, "guest").close();
        try (FakePacketGuest back = FakePacketGuest.bound(folder.resolve("guest"), path)) {
            // Refused as a stranger as long as the old socket is taken for the guest.
            long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(20);
            int result = back.trySend(random(60, 1));
            while (result == -Errno.EPERM && System.nanoTime() < end) {
                Thread.onSpinWait();
                result = back.trySend(random(60, 1));
            }
            assertThat(result).isEqualTo(60);
            // What comes while the kernel changes peers is thrown away with what the old one sent.
            byte[] frame = receiver.frames.poll(1, TimeUnit.SECONDS);
            if (frame == null) {
                assertThat(back.trySend(random(60, 1))).isEqualTo(60);
                frame = receiver.nextFrame();
            }
            assertThat(frame).isEqualTo(random(60, 1));
            send(random(61, 1));
            assertThat(back.receive()).isEqualTo(random(61, 1));
        }
    }

    @Test
    void strangersAreKeptOutByTheKernel() throws Exception {
        listen(Kind.DATAGRAMS);
        try (FakePacketGuest guest = attach(Kind.DATAGRAMS, "guest");
                FakePacketGuest stranger = FakePacketGuest.bound(folder.resolve("stranger"), path)) {
            assertThat(stranger.trySend(random(60, 1))).isEqualTo(-Errno.EPERM);
            guest.send(random(60, 2));
            assertThat(receiver.nextFrame()).isEqualTo(random(60, 2));
        }
    }

    @Test
    void ofTwoWhoSendAtOnceTheFirstIsTheGuest() throws Exception {
        listen(Kind.DATAGRAMS);
        try (FakePacketGuest first = FakePacketGuest.bound(folder.resolve("first"), path);
                FakePacketGuest second = FakePacketGuest.bound(folder.resolve("second"), path)) {
            onLoop(() -> {
                // The loop is busy while both send.
                first.send(random(60, 1));
                second.send(random(61, 2));
                first.send(random(62, 3));
                return null;
            });
            assertThat(receiver.nextFrame()).isEqualTo(random(60, 1));
            assertThat(receiver.nextFrame()).isEqualTo(random(62, 3));
            assertThat(onLoop(() -> link.counters().refusedConnections())).isEqualTo(1);
        }
    }

    @Test
    void senderWithoutANameIsNobodyAndTheNextIsServed() throws Exception {
        listen(Kind.DATAGRAMS);
        try (FakePacketGuest nameless = FakePacketGuest.withoutAName(path)) {
            nameless.send(random(60, 1), random(60, 2));
            try (FakePacketGuest guest = attach(Kind.DATAGRAMS, "guest")) {
                assertThat(link.counters().refusedConnections()).isEqualTo(2);
                assertThat(link.counters().framesFromGuest()).isEqualTo(1);
            }
        }
    }

    @Test
    void greetingOfVfkitIsNoFrame() throws Exception {
        listen(Kind.GREETED_DATAGRAMS);
        try (FakePacketGuest guest = FakePacketGuest.datagrams(folder.resolve("guest"), path)) {
            byte[] longGreeting = "VFKT and whatever else an old one may say".getBytes(StandardCharsets.US_ASCII);
            guest.send(longGreeting, random(60, 1));
            assertThat(receiver.nextEvent()).isEqualTo("attached");
            assertThat(receiver.nextFrame()).isEqualTo(random(60, 1));
            // Later it is a greeting only if it cannot be a frame: to a card whose address begins with these letters.
            byte[] frame = random(60, 2);
            System.arraycopy(GREETING, 0, frame, 0, 4);
            guest.send(GREETING, frame);
            assertThat(receiver.nextFrame()).isEqualTo(frame);
            send(random(61, 3));
            assertThat(guest.receive()).isEqualTo(random(61, 3));
        }
    }

    @Test
    void withoutVfkitAGreetingIsAFrameLikeAnother() throws Exception {
        listen(Kind.DATAGRAMS);
        try (FakePacketGuest guest = FakePacketGuest.datagrams(folder.resolve("guest"), path)) {
            guest.send(GREETING);
            assertThat(receiver.nextFrame()).isEqualTo(GREETING);
        }
    }

    @Test
    void guestThatIsNotConnectedGetsMoreThanItsQueueHolds() throws Exception {
        listen(Kind.DATAGRAMS);
        try (FakePacketGuest guest = FakePacketGuest.bound(folder.resolve("guest"), path)) {
            guest.send(random(60, 1));
            receiver.nextFrame();
            onLoop(() -> {
                for (int i = 0; i < 500; i++) {
                    send(numbered(i, 60));
                }
                return null;
            });
            for (int i = 0; i < 500; i++) {
                assertThat(ByteBuffer.wrap(guest.receive()).getInt()).isEqualTo(i);
            }
        }
    }

    @Test
    void secondConnectionIsTurnedAwayWhileTheFirstIsThere() throws Exception {
        listen(Kind.CONNECTIONS);
        try (FakePacketGuest first = attach(Kind.CONNECTIONS, "");
                FakePacketGuest second = FakePacketGuest.connection(path);
                FakePacketGuest third = FakePacketGuest.connection(path)) {
            assertThat(third.isAtEnd()).isTrue();
            assertThat(second.isAtEnd()).isTrue();
            first.send(random(60, 1));
            assertThat(receiver.nextFrame()).isEqualTo(random(60, 1));
            assertThat(link.counters().refusedConnections()).isEqualTo(2);
        }
    }

    @Test
    void endThatComesWhileItsLastPacketsAreReadIsNoFrame() throws Exception {
        listen(Kind.CONNECTIONS);
        FakePacketGuest guest = attach(Kind.CONNECTIONS, "");
        onLoop(() -> {
            receiver.onFrame = first -> {
                receiver.onFrame = frame -> {};
                guest.send(new byte[0], random(61, 0));
                close(guest);
            };
            // A full batch, so that the link reads on without a look at what else has happened.
            for (int i = 0; i < ReceiveBatch.SLOTS; i++) {
                guest.send(random(60, i));
            }
            return guest;
        });
        assertThat(receiver.nextEvent()).startsWith("detached: ");
        assertThat(receiver.frames.stream().map(frame -> frame.length))
                .hasSize(ReceiveBatch.SLOTS + 2)
                .endsWith(60, 0, 61);
    }

    private static void close(FakePacketGuest guest) {
        try {
            guest.close();
        } catch (Exception e) {
            throw new AssertionError(e);
        }
    }

    @Test
    void connectionThatIsBackBeforeItsOldEndWasReadIsAttached() throws Exception {
        listen(Kind.CONNECTIONS);
        FakePacketGuest old = attach(Kind.CONNECTIONS, "");
        FakePacketGuest back = onLoop(() -> {
            FakePacketGuest guest = FakePacketGuest.connection(path);
            old.close();
            return guest;
        });
        assertThat(receiver.nextEvent()).startsWith("detached: ");
        assertThat(receiver.nextEvent()).isEqualTo("attached");
        try (back) {
            back.send(random(60, 2));
            assertThat(receiver.nextFrame()).isEqualTo(random(60, 2));
        }
    }

    @Test
    void connectionThatIsBackAfterTwoOthersWhoseEndsWereNotReadIsAttached() throws Exception {
        listen(Kind.CONNECTIONS);
        FakePacketGuest old = attach(Kind.CONNECTIONS, "");
        FakePacketGuest back = onLoop(() -> {
            old.close();
            FakePacketGuest.connection(path).close();
            return FakePacketGuest.connection(path);
        });
        try (back) {
            back.send(random(60, 2));
            assertThat(receiver.nextFrame()).isEqualTo(random(60, 2));
        }
    }

    @ParameterizedTest
    @EnumSource
    void largeUnitsAreCut(Kind kind) throws Exception {
        listen(kind);
        try (FakePacketGuest guest = attach(kind, "guest")) {
            byte[] payload = random(60_000, 9);
            onLoop(() -> {
                Frame unit = SegmenterTest.unit(payload, 0, 12, 1000, 7, TcpSegment.ACK | TcpSegment.PSH, 1)
                        .largeUnit(1448);
                Frame built = link.begin(unit.length());
                MemorySegment.copy(unit.bytes(), unit.offset(), built.bytes(), built.offset(), unit.length());
                built.checksumPartial(unit.checksumStart(), unit.checksumOffset())
                        .largeUnit(unit.segmentSize());
                link.send(built);
                link.flush();
                return null;
            });
            int at = 0;
            while (at < payload.length) {
                byte[] frame = guest.receive();
                assertThat(frame.length).isLessThanOrEqualTo(MTU + 14);
                for (int i = 66; i < frame.length; i++) {
                    assertThat(frame[i]).isEqualTo(payload[at++]);
                }
            }
        }
    }

    @ParameterizedTest
    @EnumSource
    void receiverMayCloseTheLinkFromWithinAFrame(Kind kind) throws Exception {
        listen(kind);
        receiver.onFrame = frame -> link.close();
        try (FakePacketGuest guest = kind == Kind.CONNECTIONS
                ? FakePacketGuest.connection(path)
                : FakePacketGuest.datagrams(folder.resolve("guest"), path)) {
            guest.send(random(60, 1));
            assertThat(receiver.nextFrame()).isEqualTo(random(60, 1));
        }
        assertThat(onLoop(() -> link.isAttached())).isFalse();
    }

    @ParameterizedTest
    @EnumSource
    void socketIsTheOwnersOnlyAndOneInUseIsNotReplaced(Kind kind) throws Exception {
        listen(kind);
        assertThat(Files.getAttribute(path, "unix:mode").toString()).isEqualTo("" + (0140000 | 0600));
        PacketLink other = new PacketLink(loop, kind, MTU);
        assertThatThrownBy(() -> other.listen(path, receiver))
                .isInstanceOf(SocketPathException.class)
                .hasMessageContaining("in use");
        other.close();
    }

    @ParameterizedTest
    @EnumSource
    void staleSocketIsReplaced(Kind kind) throws Exception {
        try (FakePacketGuest stale = FakePacketGuest.bound(path, path)) {
            new Sockets().close(stale.fd);
            assertThat(path).exists();
            listen(kind);
            attach(kind, "guest").close();
        }
    }

    @ParameterizedTest
    @EnumSource(names = "GREETED_DATAGRAMS", mode = EnumSource.Mode.EXCLUDE)
    void inheritedSocketIsServedUntilItsPeerIsGone(Kind kind) throws Exception {
        int[] pair = PassedDescriptors.pair(kind == Kind.DATAGRAMS ? Sockets.SOCK_DGRAM : Sockets.SOCK_SEQPACKET);
        link = new PacketLink(loop, kind, MTU);
        link.adopt(pair[0], "fd:" + pair[0], receiver);
        assertThat(receiver.nextEvent()).isEqualTo("attached");
        Sockets sockets = new Sockets();
        MemorySegment bytes = Arena.ofAuto().allocate(60);
        MemorySegment.copy(random(60, 1), 0, bytes, ValueLayout.JAVA_BYTE, 0, 60);
        assertThat(sockets.write(pair[1], bytes, 0, 60)).isEqualTo(60);
        assertThat(receiver.nextFrame()).isEqualTo(random(60, 1));
        sockets.close(pair[1]);
        send(random(60, 2));
        assertThat(receiver.nextEvent()).startsWith("detached: ");
        assertThat(onLoop(() -> link.isAttached())).isFalse();
    }

    private void send(byte[] frame) throws Exception {
        onLoop(() -> {
            Frame built = link.begin(frame.length);
            MemorySegment.copy(frame, 0, built.bytes(), ValueLayout.JAVA_BYTE, built.offset(), frame.length);
            link.send(built);
            link.flush();
            return null;
        });
    }

    private <T> T onLoop(Callable<T> task) throws Exception {
        return loop.inEventLoop() ? task.call() : loop.submit(task).get(30, TimeUnit.SECONDS);
    }

    private static byte[] numbered(int number, int length) {
        return ByteBuffer.allocate(length).putInt(number).array();
    }

    private static byte[] random(int length, long seed) {
        byte[] bytes = new byte[length];
        new Random(seed).nextBytes(bytes);
        return bytes;
    }
}
