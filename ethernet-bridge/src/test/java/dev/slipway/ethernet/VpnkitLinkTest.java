package dev.slipway.ethernet;

import static org.assertj.core.api.Assertions.assertThat;

import dev.slipway.ethernet.VpnkitHandshake.Identity;
import dev.slipway.wire.Frame;
import io.netty.channel.EventLoop;
import io.netty.channel.MultiThreadIoEventLoopGroup;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.concurrent.Callable;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.Parameter;
import org.junit.jupiter.params.ParameterizedClass;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** VPNKit's protocol byte for byte, from the side of a VM. */
@Tag("transport")
@Timeout(60)
@ParameterizedClass
@MethodSource("dev.slipway.ethernet.StreamLinkCase#transports")
class VpnkitLinkTest {

    private static final int MTU = 1500;
    private static final String UUID = "8d3a1c52-9f0e-4b7d-a6c1-2e5f90b7d413";
    private static final byte[] VERSION_22 = {22, 0, 0, 0};

    @Parameter
    Transport transport;

    @TempDir
    Path folder;

    private final RecordingReceiver receiver = new RecordingReceiver();
    private final List<String> asked = new CopyOnWriteArrayList<>();
    private volatile Identity identity = new Identity(0x0250_0000_0001L, null);
    private MultiThreadIoEventLoopGroup group;
    private EventLoop loop;
    private StreamLink link;
    private Path path;

    @BeforeEach
    void makeLoop() {
        group = new MultiThreadIoEventLoopGroup(1, transport.ioHandlerFactory());
        loop = group.next();
        path = folder.resolve("vm.sock");
    }

    @AfterEach
    void everyBufferComesBack() throws Exception {
        onLoop(() -> {
            link.close();
            return null;
        });
        assertThat(onLoop(() -> link.isReleased())).isTrue();
        group.shutdownGracefully(0, 5, TimeUnit.SECONDS).sync();
        assertThat(path).doesNotExist();
    }

    private void vpnkit() throws Exception {
        link = StreamLink.vpnkit(loop, transport, (uuid, preferred) -> answer(uuid.toString(), preferred), MTU);
        link.listen(path, receiver);
    }

    private void hyperkit() throws Exception {
        link = StreamLink.hyperkit(loop, transport, (uuid, preferred) -> answer(uuid.toString(), preferred), MTU);
        link.listen(path, receiver);
    }

    private Identity answer(String uuid, int preferred) {
        asked.add(uuid + " " + Integer.toHexString(preferred));
        return identity;
    }

    @Test
    void handshakeTellsMtuAndMacAndThenFramesGoBothWays() throws Exception {
        vpnkit();
        try (FakeGuest guest = new FakeGuest(path)) {
            guest.sendRaw(init(VERSION_22));
            byte[] init = guest.read(49);
            assertThat(new String(init, 0, 5, StandardCharsets.US_ASCII)).isEqualTo("VMN3T");
            assertThat(Arrays.copyOfRange(init, 5, 9)).isEqualTo(VERSION_22);
            assertThat(new String(init, 9, 40, StandardCharsets.US_ASCII)).isEqualTo("0123456789".repeat(4));
            assertThat(link.isAttached()).isFalse();

            guest.sendRaw(command(1, UUID, 0));
            byte[] vif = guest.read(258);
            assertThat(Arrays.copyOf(vif, 11))
                    .isEqualTo(new byte[] {1, (byte) 0xDC, 5, 0x0E, 6, 0x02, 0x50, 0, 0, 0, 1});
            assertThat(Arrays.copyOfRange(vif, 11, 258)).containsOnly(0);
            assertThat(receiver.nextEvent()).isEqualTo("attached");
            assertThat(asked).containsExactly("Optional[" + UUID + "] 0");

            guest.sendRaw(framed(random(60, 1), random(1514, 2), new byte[0], random(0xFFFF, 3)));
            assertThat(receiver.nextFrame()).isEqualTo(random(60, 1));
            assertThat(receiver.nextFrame()).isEqualTo(random(1514, 2));
            assertThat(receiver.nextFrame()).isEmpty();
            assertThat(receiver.nextFrame()).isEqualTo(random(0xFFFF, 3));

            send(random(1514, 4));
            assertThat(guest.read(2)).isEqualTo(new byte[] {(byte) 0xEA, 5});
            assertThat(guest.read(1514)).isEqualTo(random(1514, 4));
        }
        assertThat(receiver.nextEvent()).isEqualTo("detached: the guest closed the connection");
        assertThat(link.counters().connections()).isEqualTo(1);
        assertThat(link.counters().failedHandshakes()).isZero();
    }

    @Test
    void framesThatComeInOneReadWithTheHandshakeAreNotLost() throws Exception {
        vpnkit();
        try (FakeGuest guest = new FakeGuest(path)) {
            guest.sendRaw(join(init(VERSION_22), command(1, UUID, 0), framed(random(60, 1), random(61, 2))));
            assertThat(receiver.nextEvent()).isEqualTo("attached");
            assertThat(receiver.nextFrame()).isEqualTo(random(60, 1));
            assertThat(receiver.nextFrame()).isEqualTo(random(61, 2));
            guest.read(49 + 258);
        }
    }

    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void oneByteAtATimeTheHandshakeWorks(boolean vpnkit) throws Exception {
        if (vpnkit) {
            vpnkit();
        } else {
            hyperkit();
        }
        try (FakeGuest guest = new FakeGuest(path)) {
            guest.sendSlowly(join(init(VERSION_22), command(1, UUID, 0), framed(random(60, 1), random(61, 2))));
            guest.read(49 + 258);
            assertThat(receiver.nextEvent()).isEqualTo("attached");
            assertThat(receiver.nextFrame()).isEqualTo(random(60, 1));
            assertThat(receiver.nextFrame()).isEqualTo(random(61, 2));
        }
    }

    @Test
    void anotherVersionIsToldOursAndHungUpOn() throws Exception {
        vpnkit();
        byte[][] versions = {{0, 0, 0, 0}, {1, 0, 0, 0}, {21, 0, 0, 0}, {22, 1, 0, 0}, {-1, -1, -1, -1}};
        for (byte[] version : versions) {
            try (FakeGuest guest = new FakeGuest(path)) {
                guest.sendRaw(init(version));
                byte[] init = guest.read(49);
                assertThat(Arrays.copyOfRange(init, 5, 9)).isEqualTo(VERSION_22);
                assertThat(guest.isAtEnd()).isTrue();
            }
        }
        awaitFailedHandshakes(versions.length);
        assertNobodyWasAttachedAndTheNextIs();
    }

    @Test
    void anotherMagicEndsTheConnection() throws Exception {
        vpnkit();
        try (FakeGuest guest = new FakeGuest(path)) {
            guest.sendRaw(join("VMNET".getBytes(StandardCharsets.US_ASCII), new byte[44]));
            assertThat(guest.isAtEnd()).isTrue();
        }
        assertNobodyWasAttachedAndTheNextIs();
    }

    @Test
    void unknownCommandsAndUuidsThatAreNoneEndTheConnectionWithoutAnAnswer() throws Exception {
        vpnkit();
        byte[][] commands = {
            command(0, UUID, 0),
            command(6, UUID, 0),
            command(9, UUID, 0),
            command(255, UUID, 0),
            command(1, "not-a-uuid-not-a-uuid-not-a-uuid-not", 0),
            command(1, UUID.substring(0, 35) + "g", 0),
            command(1, UUID.replace('-', 'a'), 0),
            command(8, "\0".repeat(35) + "1", 0)
        };
        for (byte[] command : commands) {
            try (FakeGuest guest = new FakeGuest(path)) {
                guest.sendRaw(init(VERSION_22));
                guest.read(49);
                guest.sendRaw(command);
                assertThat(guest.isAtEnd()).isTrue();
            }
        }
        awaitFailedHandshakes(commands.length);
        assertThat(asked).isEmpty();
        assertNobodyWasAttachedAndTheNextIs();
    }

    @Test
    void preferredAddressComesWithItsLowestByteFirst() throws Exception {
        vpnkit();
        try (FakeGuest guest = shakeHands(8, UUID, 0x0A41_A8C0)) {
            assertThat(asked).containsExactly("Optional[" + UUID + "] c0a8410a");
        }
    }

    @Test
    void vmWithoutAUuidIsServed() throws Exception {
        vpnkit();
        try (FakeGuest guest = shakeHands(1, "\0".repeat(36), 0)) {
            assertThat(asked).containsExactly("Optional.empty 0");
        }
    }

    @Test
    void refusalIsToldInAMessageOfFullLength() throws Exception {
        vpnkit();
        identity = new Identity(0, "Preferred IP address 192.168.65.3 already used.");
        try (FakeGuest guest = new FakeGuest(path)) {
            guest.sendRaw(join(init(VERSION_22), command(8, UUID, 0x0341_A8C0)));
            guest.read(49);
            byte[] response = guest.read(258);
            assertThat(response[0]).isEqualTo((byte) 2);
            assertThat(response[1]).isEqualTo((byte) 47);
            assertThat(new String(response, 2, 47, StandardCharsets.US_ASCII))
                    .isEqualTo("Preferred IP address 192.168.65.3 already used.");
            assertThat(Arrays.copyOfRange(response, 49, 258)).containsOnly(0);
            assertThat(guest.isAtEnd()).isTrue();
        }
        identity = new Identity(0x0250_0000_0002L, null);
        asked.clear();
        assertNobodyWasAttachedAndTheNextIs();
    }

    @Test
    void handshakeThatEndsInTheMiddleIsNobody() throws Exception {
        vpnkit();
        byte[] whole = join(init(VERSION_22), command(1, UUID, 0));
        int[] lengths = {0, 1, 5, 48, 49, 50, 89};
        for (int length : lengths) {
            try (FakeGuest guest = new FakeGuest(path)) {
                guest.sendRaw(Arrays.copyOf(whole, length));
                guest.socket.shutdownOutput();
                guest.read(length < 49 ? 0 : 49);
                assertThat(guest.isAtEnd()).isTrue();
            }
        }
        awaitFailedHandshakes(lengths.length);
        assertNobodyWasAttachedAndTheNextIs();
    }

    @Test
    void handshakeThatNeverFinishesHasItsTimeAndNoMore() throws Exception {
        assertThat(StreamLink.HANDSHAKE_MILLIS).isEqualTo(5_000);
        vpnkit();
        onLoop(() -> {
            link.handshakeMillis(1_500);
            return null;
        });
        try (FakeGuest guest = new FakeGuest(path)) {
            guest.sendRaw(init(VERSION_22));
            guest.read(49);
            long began = System.nanoTime();
            assertThat(guest.isAtEnd()).isTrue();
            assertThat(System.nanoTime() - began).isGreaterThan(TimeUnit.MILLISECONDS.toNanos(500));
        }
        assertNobodyWasAttachedAndTheNextIs();
    }

    @Test
    void handshakeThatIsStuckGivesWayToTheNextConnection() throws Exception {
        vpnkit();
        try (FakeGuest stuck = new FakeGuest(path)) {
            stuck.sendRaw(init(VERSION_22));
            stuck.read(49);
            assertNobodyWasAttachedAndTheNextIs();
            assertThat(stuck.isAtEnd()).isTrue();
        }
        awaitFailedHandshakes(1);
    }

    @Test
    void gvproxyRepeatsWhatItIsToldAndChecksNothing() throws Exception {
        hyperkit();
        byte[] strange = random(49, 7);
        try (FakeGuest guest = new FakeGuest(path)) {
            guest.sendRaw(strange);
            assertThat(guest.read(49)).isEqualTo(strange);
            guest.sendRaw(command(77, "not-a-uuid-not-a-uuid-not-a-uuid-not", 0x0A41_A8C0));
            byte[] vif = guest.read(258);
            // The longest frame is the MTU and the Ethernet header.
            assertThat(Arrays.copyOf(vif, 11))
                    .isEqualTo(new byte[] {1, (byte) 0xDC, 5, (byte) 0xEA, 5, 0x02, 0x50, 0, 0, 0, 1});
            assertThat(asked).containsExactly("Optional.empty 0");
            assertThat(receiver.nextEvent()).isEqualTo("attached");
            guest.sendRaw(framed(random(60, 1)));
            assertThat(receiver.nextFrame()).isEqualTo(random(60, 1));
        }
    }

    @Test
    void endInsideALengthOrAFrameDeliversNothingOfIt() throws Exception {
        vpnkit();
        String[] where = {
            " in the middle of a frame's length (1 of 2 bytes)",
            " in the middle of a frame (0 of 60 bytes)",
            " in the middle of a frame (59 of 60 bytes)"
        };
        int[] lengths = {1, 2, 61};
        for (int i = 0; i < where.length; i++) {
            try (FakeGuest guest = shakeHands(1, UUID, 0)) {
                guest.sendRaw(Arrays.copyOf(framed(random(60, 1)), lengths[i]));
            }
            assertThat(receiver.nextEvent()).isEqualTo("detached: the guest closed the connection" + where[i]);
        }
        assertThat(receiver.frames).isEmpty();
    }

    @Test
    void guestThatDoesNotReadFillsABoundedQueueAndRecovers() throws Exception {
        vpnkit();
        try (FakeGuest guest = shakeHands(1, UUID, 0)) {
            int sent = onLoop(() -> {
                int frames = 0;
                for (; link.counters().dropsToGuest() == 0; frames++) {
                    send(ByteBuffer.allocate(1500).putInt(frames).array());
                }
                return frames;
            });
            for (int i = 0; i < sent - 1; i++) {
                assertThat(guest.read(2)).isEqualTo(new byte[] {(byte) 0xDC, 5});
                assertThat(ByteBuffer.wrap(guest.read(1500)).getInt()).isEqualTo(i);
            }
            send(random(60, 1));
            assertThat(guest.read(62)).isEqualTo(framed(random(60, 1)));
        }
    }

    private void assertNobodyWasAttachedAndTheNextIs() throws Exception {
        assertThat(receiver.events).isEmpty();
        assertThat(link.isAttached()).isFalse();
        try (FakeGuest guest = shakeHands(1, UUID, 0)) {
            guest.sendRaw(framed(random(60, 9)));
            assertThat(receiver.nextFrame()).isEqualTo(random(60, 9));
        }
        assertThat(receiver.nextEvent()).startsWith("detached: ");
    }

    /** A connection is closed before it is counted, so the loop is asked until it has done both. */
    private void awaitFailedHandshakes(int count) throws Exception {
        long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(20);
        while (onLoop(() -> link.counters().failedHandshakes()) < count && System.nanoTime() < end) {
            Thread.onSpinWait();
        }
        assertThat(link.counters().failedHandshakes()).isEqualTo(count);
    }

    private FakeGuest shakeHands(int command, String uuid, int preferred) throws Exception {
        FakeGuest guest = new FakeGuest(path);
        guest.sendRaw(init(VERSION_22));
        guest.read(49);
        guest.sendRaw(command(command, uuid, preferred));
        assertThat(guest.read(258)[0]).isEqualTo((byte) 1);
        assertThat(receiver.nextEvent()).isEqualTo("attached");
        return guest;
    }

    private static byte[] init(byte[] version) {
        return join("VMN3T".getBytes(StandardCharsets.US_ASCII), version, new byte[40]);
    }

    /** @param preferred the four bytes as they are sent */
    private static byte[] command(int command, String uuid, int preferred) {
        return ByteBuffer.allocate(41)
                .put((byte) command)
                .put(uuid.getBytes(StandardCharsets.US_ASCII))
                .putInt(preferred)
                .array();
    }

    private static byte[] framed(byte[]... frames) {
        int length = 0;
        for (byte[] frame : frames) {
            length += 2 + frame.length;
        }
        ByteBuffer bytes = ByteBuffer.allocate(length).order(ByteOrder.LITTLE_ENDIAN);
        for (byte[] frame : frames) {
            bytes.putShort((short) frame.length).put(frame);
        }
        return bytes.array();
    }

    private static byte[] join(byte[]... parts) {
        ByteBuffer bytes = ByteBuffer.allocate(
                Stream.of(parts).mapToInt(part -> part.length).sum());
        Stream.of(parts).forEach(bytes::put);
        return bytes.array();
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

    private static byte[] random(int length, long seed) {
        byte[] bytes = new byte[length];
        new Random(seed).nextBytes(bytes);
        return bytes;
    }
}
