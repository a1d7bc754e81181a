package dev.slipway.ethernet;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.slipway.posix.Errno;
import dev.slipway.posix.PassedDescriptors;
import dev.slipway.posix.Sockets;
import dev.slipway.wire.Frame;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedClass;
import org.junit.jupiter.params.provider.MethodSource;

/** Who connects to a stream link, and frames from there. */
@Tag("transport")
@Timeout(60)
@ParameterizedClass
@MethodSource("transports")
class StreamLinkTest extends StreamLinkCase {

    @Test
    void framesGoBothWays() throws Exception {
        try (FakeGuest guest = attach()) {
            byte[] hello = random(60, 1);
            guest.send(hello);
            assertThat(receiver.nextFrame()).isEqualTo(hello);

            byte[] answer = random(1514, 2);
            send(answer);
            assertThat(guest.receive()).isEqualTo(answer);
            assertThat(link.counters().framesFromGuest()).isEqualTo(1);
            assertThat(link.counters().bytesFromGuest()).isEqualTo(60);
            assertThat(link.counters().framesToGuest()).isEqualTo(1);
            assertThat(link.counters().bytesToGuest()).isEqualTo(1514);
        }
    }

    @Test
    void aReadWithManyFramesIsOneBatchInOrder() throws Exception {
        try (FakeGuest guest = attach()) {
            byte[][] frames = new byte[50][];
            for (int i = 0; i < frames.length; i++) {
                frames[i] = random(100 + i, i);
            }
            guest.send(frames);
            for (byte[] frame : frames) {
                assertThat(receiver.nextFrame()).isEqualTo(frame);
            }
            assertThat(receiver.batches.poll(20, TimeUnit.SECONDS)).isEqualTo(50);
        }
    }

    @Test
    void megabytesOfFramesOfAllSizesArriveWholeAlsoWhenTheGuestLeavesAtOnce() throws Exception {
        Random sizes = new Random(7);
        byte[][] frames = new byte[600][];
        for (int i = 0; i < frames.length; i++) {
            frames[i] = random(i % 20 == 0 ? sizes.nextInt(Frame.MAX_LENGTH + 1) : sizes.nextInt(1600), i);
        }
        try (FakeGuest guest = attach()) {
            guest.send(frames);
        }
        for (byte[] frame : frames) {
            assertThat(receiver.nextFrame()).isEqualTo(frame);
        }
        assertThat(receiver.nextEvent()).isEqualTo("detached: the guest closed the connection");
    }

    @Test
    void oneBytePerWriteWorks() throws Exception {
        byte[] frame = random(61, 3);
        try (FakeGuest guest = attach()) {
            for (int i = 0; i < 2; i++) {
                guest.sendSlowly((byte) 0, (byte) 0, (byte) 0, (byte) frame.length);
                guest.sendSlowly(frame);
                assertThat(receiver.nextFrame()).isEqualTo(frame);
            }
        }
    }

    @Test
    void emptyAndShortFramesAreDeliveredAndTheChannelStays() throws Exception {
        try (FakeGuest guest = attach()) {
            guest.send(new byte[0], new byte[13], random(60, 4));
            assertThat(receiver.nextFrame()).isEmpty();
            assertThat(receiver.nextFrame()).hasSize(13);
            assertThat(receiver.nextFrame()).hasSize(60);
        }
    }

    @Test
    void aFrameLongerThanTheMtuIsDeliveredForTheStackToCount() throws Exception {
        try (FakeGuest guest = attach()) {
            guest.send(new byte[MTU + 15], new byte[Frame.MAX_LENGTH]);
            assertThat(receiver.nextFrame()).hasSize(MTU + 15);
            assertThat(receiver.nextFrame()).hasSize(Frame.MAX_LENGTH);
        }
    }

    @Test
    void aFrameLongerThanAnyCanBeIsSteppedOver() throws Exception {
        try (FakeGuest guest = attach()) {
            guest.send(
                    new byte[Frame.MAX_LENGTH + 1],
                    random(60, 5),
                    new byte[128 * 1024],
                    new byte[128 * 1024],
                    random(61, 6));
            assertThat(receiver.nextFrame()).isEqualTo(random(60, 5));
            assertThat(receiver.nextFrame()).isEqualTo(random(61, 6));
            assertThat(link.counters().oversizeFromGuest()).isEqualTo(3);
            assertThat(link.counters().framesFromGuest()).isEqualTo(2);
        }
    }

    @Test
    void aLengthThatCannotBeEndsTheConnectionAndTheNextOneIsServed() throws Exception {
        long[] lengths = {0xFFFF_FFFFL, 0x8000_0000L, 0x7FFF_FFFFL, 128 * 1024 + 1};
        for (long length : lengths) {
            try (FakeGuest guest = attach()) {
                byte[] good = random(60, length);
                guest.send(good);
                guest.sendRaw(ByteBuffer.allocate(4).putInt((int) length).array());
                assertThat(receiver.nextFrame()).isEqualTo(good);
                assertThat(receiver.nextEvent())
                        .isEqualTo(
                                "detached: the guest sent a frame length of " + length + " bytes, the limit is 131072");
                assertThat(guest.isAtEnd()).isTrue();
            }
        }
        assertThat(link.counters().badLengthsFromGuest()).isEqualTo(lengths.length);
        try (FakeGuest guest = attach()) {
            guest.send(random(60, 1));
            assertThat(receiver.nextFrame()).hasSize(60);
        }
    }

    @Test
    void anEndInsideAPrefixOrAFrameDeliversNothingOfIt() throws Exception {
        String[] where = {
            "in the middle of a frame's length (2 of 4 bytes)",
            "in the middle of a frame (0 of 60 bytes)",
            "in the middle of a frame (59 of 60 bytes)",
            "in the middle of a frame (100 of 131072 bytes)"
        };
        byte[][] beginnings = {
            {0, 0},
            {0, 0, 0, 60},
            Arrays.copyOf(new byte[] {0, 0, 0, 60}, 63),
            Arrays.copyOf(new byte[] {0, 2, 0, 0}, 104)
        };
        for (int i = 0; i < where.length; i++) {
            try (FakeGuest guest = attach()) {
                guest.sendRaw(beginnings[i]);
            }
            assertThat(receiver.nextEvent()).isEqualTo("detached: the guest closed the connection " + where[i]);
        }
        assertThat(receiver.frames).isEmpty();
    }

    @Test
    void aGuestThatComesBackIsServedAgain() throws Exception {
        for (int i = 0; i < 20; i++) {
            try (FakeGuest guest = attach()) {
                guest.send(random(60, i));
                assertThat(receiver.nextFrame()).isEqualTo(random(60, i));
                send(random(70, i));
                assertThat(guest.receive()).isEqualTo(random(70, i));
            }
            assertThat(receiver.nextEvent()).startsWith("detached: ");
        }
        assertThat(link.counters().connections()).isEqualTo(20);
    }

    @Test
    void aSecondGuestIsTurnedAwayWhileTheFirstIsThere() throws Exception {
        try (FakeGuest first = attach();
                FakeGuest second = new FakeGuest(path);
                FakeGuest third = new FakeGuest(path)) {
            assertThat(third.isAtEnd()).isTrue();
            assertThat(second.isAtEnd()).isTrue();
            first.send(random(60, 1));
            assertThat(receiver.nextFrame()).hasSize(60);
            assertThat(link.counters().refusedConnections()).isEqualTo(2);
            assertThat(link.counters().connections()).isEqualTo(1);
        }
    }

    @Test
    void aGuestThatIsBackBeforeItsOldEndWasReadIsAttached() throws Exception {
        FakeGuest old = attach();
        // The loop is busy while the old connection ends and the new one comes: it finds both at once.
        FakeGuest back = onLoop(() -> {
            FakeGuest guest = new FakeGuest(path);
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
    void aGuestThatIsBackAfterTwoOthersWhoseEndsWereNotReadIsAttached() throws Exception {
        FakeGuest old = attach();
        FakeGuest back = onLoop(() -> {
            old.close();
            new FakeGuest(path).close();
            return new FakeGuest(path);
        });
        try (back) {
            back.send(random(60, 2));
            assertThat(receiver.nextFrame()).isEqualTo(random(60, 2));
        }
    }

    @Test
    void aDefectOfTheReceiverIsCountedAndTheNextFrameServed() throws Exception {
        AtomicInteger calls = new AtomicInteger();
        receiver.onFrame = frame -> {
            if (calls.incrementAndGet() <= 2) {
                throw new IllegalStateException("a defect, made for this test");
            }
        };
        try (FakeGuest guest = attach()) {
            guest.send(random(60, 1), random(60, 2), random(60, 3));
            for (int i = 1; i <= 3; i++) {
                assertThat(receiver.nextFrame()).isEqualTo(random(60, i));
            }
            assertThat(link.counters().failures()).isEqualTo(2);
        }
    }

    @Test
    void aReceiverMayCloseTheLinkFromWithinAFrame() throws Exception {
        receiver.onFrame = frame -> link.close();
        try (FakeGuest guest = attach()) {
            guest.send(random(60, 1), random(60, 2));
            assertThat(receiver.nextFrame()).isEqualTo(random(60, 1));
            assertThat(guest.isAtEnd()).isTrue();
        }
        assertThat(onLoop(() -> link.isAttached())).isFalse();
        assertThat(receiver.frames).isEmpty();
    }

    @Test
    void aStaleSocketIsReplacedAndOneInUseIsNot() throws Exception {
        assertThatThrownBy(() -> new StreamLink(loop, transport, StreamFraming.QEMU, MTU).listen(path, receiver))
                .isInstanceOf(SocketPathException.class)
                .hasMessageContaining("in use");
        assertThat(Files.getAttribute(path, "unix:mode").toString()).isEqualTo("" + (0140000 | 0600));
        // That check has connected, and gone.
        assertThat(receiver.nextEvent()).isEqualTo("attached");
        assertThat(receiver.nextEvent()).startsWith("detached: ");
    }

    @Test
    void inheritedSocketIsServedUntilItsPeerIsGone() throws Exception {
        assumeTrue(transport == Transport.NATIVE || transport == Transport.EPOLL, "not with this transport");
        int[] pair = PassedDescriptors.pair(Sockets.SOCK_STREAM);
        StreamLink inherited = new StreamLink(loop, transport, StreamFraming.QEMU, MTU);
        InheritedSocket socket = InheritedSocket.look(pair[0], "fd:" + pair[0], transport);
        assertThat(socket).isEqualTo(new InheritedSocket(pair[0], InheritedSocket.Kind.STREAM, false, true));
        inherited.adopt(socket, "fd:" + pair[0], receiver);
        assertThat(receiver.nextEvent()).isEqualTo("attached");
        Sockets sockets = new Sockets();
        MemorySegment bytes = Arena.ofAuto().allocate(64);
        bytes.set(ValueLayout.JAVA_BYTE, 3, (byte) 60);
        MemorySegment.copy(random(60, 1), 0, bytes, ValueLayout.JAVA_BYTE, 4, 60);
        assertThat(sockets.write(pair[1], bytes, 0, 64)).isEqualTo(64);
        assertThat(receiver.nextFrame()).isEqualTo(random(60, 1));
        onLoop(() -> {
            inherited.send(inherited.begin(60));
            inherited.flush();
            return null;
        });
        long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(20);
        int read = sockets.read(pair[1], bytes, 0, 64);
        while (read == -Errno.EAGAIN && System.nanoTime() < end) {
            Thread.onSpinWait();
            read = sockets.read(pair[1], bytes, 0, 64);
        }
        assertThat(read).isEqualTo(64);
        sockets.close(pair[1]);
        assertThat(receiver.nextEvent()).isEqualTo("detached: the guest closed the connection");
        onLoop(() -> {
            inherited.close();
            return null;
        });
        assertThat(onLoop(() -> inherited.isReleased())).isTrue();
    }

    @Test
    void inheritedSocketThatListensServesOneGuestAfterTheOther() throws Exception {
        assumeTrue(transport == Transport.NATIVE || transport == Transport.EPOLL, "not with this transport");
        Sockets sockets = new Sockets();
        Path at = folder.resolve("inherited.sock");
        int fd = sockets.open(Sockets.AF_UNIX, Sockets.SOCK_STREAM);
        assertThat(sockets.bind(fd, new dev.slipway.posix.SocketAddress().set(at)))
                .isZero();
        assertThat(sockets.listen(fd, 4)).isZero();
        StreamLink inherited = new StreamLink(loop, transport, StreamFraming.QEMU, MTU);
        inherited.adopt(InheritedSocket.look(fd, "fd:" + fd, transport), "fd:" + fd, receiver);
        for (int i = 0; i < 3; i++) {
            try (FakeGuest guest = new FakeGuest(at)) {
                guest.send(random(60, i));
                assertThat(receiver.nextEvent()).isEqualTo("attached");
                assertThat(receiver.nextFrame()).isEqualTo(random(60, i));
            }
            assertThat(receiver.nextEvent()).startsWith("detached: ");
        }
        onLoop(() -> {
            inherited.close();
            return null;
        });
        assertThat(onLoop(() -> inherited.isReleased())).isTrue();
        assertThatThrownBy(() -> InheritedSocket.look(fd, "fd:" + fd, transport))
                .hasMessageContaining("is no socket");
    }

    @Test
    void tcpConnectionIsAGuestAsWell() throws Exception {
        StreamLink tcp = new StreamLink(loop, transport, StreamFraming.QEMU, MTU);
        InetSocketAddress at = tcp.listen(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), receiver);
        try (SocketChannel guest = SocketChannel.open(at)) {
            assertThat(receiver.nextEvent()).isEqualTo("attached");
            guest.write(ByteBuffer.allocate(64).putInt(60).put(random(60, 1)).flip());
            assertThat(receiver.nextFrame()).isEqualTo(random(60, 1));
            onLoop(() -> {
                tcp.send(tcp.begin(61));
                tcp.flush();
                return null;
            });
            ByteBuffer answer = ByteBuffer.allocate(65);
            while (answer.hasRemaining()) {
                assertThat(guest.read(answer)).isPositive();
            }
            assertThat(answer.flip().getInt()).isEqualTo(61);
            assertThatThrownBy(() -> new StreamLink(loop, transport, StreamFraming.QEMU, MTU).listen(at, receiver))
                    .isInstanceOf(SocketPathException.class)
                    .hasMessageContaining("127.0.0.1:" + at.getPort());
        } finally {
            onLoop(() -> {
                tcp.close();
                return null;
            });
        }
        assertThat(onLoop(() -> tcp.isReleased())).isTrue();
    }
}
