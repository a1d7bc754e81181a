package dev.slipway.guest;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.slipway.probe.Probe;
import dev.slipway.testing.PacketBuilder;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.Arrays;
import java.util.Random;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * What no guest should send, to the socket of a running process. It costs the frame or the connection it came on, is
 * counted, and the next guest is served as if nothing had been.
 */
@Tag("guest")
@EnabledOnOs(OS.LINUX)
@Timeout(30)
class BadChannelInputTest {

    private static final String GATEWAY = "192.168.65.1";
    private static final PacketBuilder GUEST = PacketBuilder.guest().address("192.168.65.100");
    /** Loses its lease and takes others, by the way; what it does to them is not to be the other tests' concern. */
    private static final PacketBuilder RANDOM_GUEST =
            PacketBuilder.guest().mac(0x5254_00DD_EEFFL).address("192.168.65.180");

    private static final long MIB = 1 << 20;

    /** Below the limits of heap and queues together; a frame of the length that was announced would be 64 times that. */
    private static final long MAY_GROW = 32 * MIB;

    private static HostMachine machine;

    private RawGuest raw;
    private BackendStatus before;

    @BeforeAll
    static void start() throws IOException {
        assumeTrue(Backend.chosen() == Backend.SLIPWAY, "peers do not tell what they count");
        machine = Prerequisites.missingForNamespaces().isEmpty()
                ? HostMachine.start(Backend.SLIPWAY)
                : HostMachine.startWithoutPrivileges(Backend.SLIPWAY);
        serveAFreshGuest();
    }

    @AfterAll
    static void stop() {
        if (machine != null) {
            machine.close();
        }
    }

    @BeforeEach
    void attach() throws IOException {
        raw = RawGuest.attach(machine.socket());
        askForGateway();
        before = machine.status();
    }

    @AfterEach
    void nobodyElseIsHarmed() throws IOException {
        raw.close();
        serveAFreshGuest();
        BackendStatus after = machine.status();
        assertThat(after.count("stackFailures")).as("defects that were met").isZero();
        assertThat(after.count("linkFailures")).as("failures of the link").isZero();
    }

    /** Lease, neighbour, ping: the steps of a guest that is new here. */
    private static void serveAFreshGuest() throws IOException {
        try (Probe fresh = Probe.attach(machine.socket(), 1500)) {
            fresh.acquireLease();
            fresh.resolveGateway();
            fresh.pingGateway();
            fresh.checkFrames();
        }
    }

    /** Asks who has the gateway's address. Flows of the guest before live on for a while and may say something first. */
    private void askForGateway() throws IOException {
        raw.send(GUEST.arpRequest(GATEWAY));
        byte[] answer = raw.receive();
        for (int others = 0; others < 1_000 && answer != null && !RawGuest.isArp(answer); others++) {
            answer = raw.receive();
        }
        assertThat(answer).as("the connection").isNotNull();
        assertThat(RawGuest.isArp(answer))
                .as("an answer within a thousand frames")
                .isTrue();
    }

    /** The connection ends. Until then there may be answers to the guest before, but to no question about the gateway. */
    private void assertUnansweredToTheEnd() throws IOException {
        for (byte[] frame = raw.receive(); frame != null; frame = raw.receive()) {
            assertThat(RawGuest.isArp(frame))
                    .as("an answer to what did not come whole")
                    .isFalse();
        }
    }

    private void assertCounted(String counter, long more) throws IOException {
        Await.until(
                counter + " grows by " + more + " from " + before.count(counter),
                Duration.ofSeconds(20),
                () -> machine.status().count(counter) == before.count(counter) + more);
    }

    static Stream<Arguments> badFrames() {
        long gateway = 0x5A94_EFE4_0CDDL;
        MemorySegment arp = GUEST.arpRequest(GATEWAY);
        MemorySegment ping = GUEST.icmp(GATEWAY).build();
        return Stream.of(
                Arguments.of("of no bytes", "runt", PacketBuilder.truncate(arp, 0)),
                Arguments.of("of 13 bytes", "runt", PacketBuilder.truncate(arp, 13)),
                Arguments.of("of a header that announces IPv4", "ip-truncated", PacketBuilder.truncate(ping, 14)),
                Arguments.of(
                        "of one byte more than the link carries",
                        "oversize",
                        PacketBuilder.pad(ping, 1515 - (int) ping.byteSize(), 0)),
                Arguments.of("with an 802.1Q tag", "ethertype", GUEST.ethernet(gateway, 0x8100, new byte[50])),
                Arguments.of("of 802.3 with a length", "ethertype", GUEST.ethernet(gateway, 50, new byte[50])),
                Arguments.of("of LLDP", "ethertype", GUEST.ethernet(gateway, 0x88CC, new byte[50])),
                Arguments.of("from a group", "source-mac", PacketBuilder.patch(ping, 6, 0x01)),
                Arguments.of(
                        "from another card with the guest's address",
                        "spoof",
                        GUEST.mac(0x5254_00AA_BBCCL).icmp(GATEWAY).build()),
                Arguments.of(
                        "to a card that is not there",
                        "not-for-us",
                        GUEST.to(0x5254_00AA_BBCCL).icmp(GATEWAY).build()),
                Arguments.of("of ARP for other addresses", "arp", PacketBuilder.patch(arp, 18, 8, 16)),
                Arguments.of("of 8 bytes of ARP", "arp", PacketBuilder.truncate(arp, 14 + 8)),
                Arguments.of("that claims the gateway's address", "spoof", GUEST.arpReply(GATEWAY, GATEWAY)));
    }

    @ParameterizedTest(name = "a frame {0} is a drop called {1}")
    @MethodSource("badFrames")
    void aBadFrameIsDroppedCountedAndNotAnswered(String what, String counter, MemorySegment frame) throws IOException {
        raw.send(frame);
        askForGateway();
        assertCounted(counter, 1);
        assertThat(machine.status().count("connections")).isEqualTo(before.count("connections"));
    }

    @ParameterizedTest
    @ValueSource(ints = {0xFFFF_FFFF, 0x8000_0000, 0x7FFF_FFFF, 0x0002_0001})
    void aLengthThatCannotBeEndsTheConnection(int length) throws IOException {
        long memory = machine.backend().residentBytes();
        raw.write(ByteBuffer.allocate(100).putInt(0, length));
        assertUnansweredToTheEnd();
        assertCounted("badFrameLengths", 1);
        assertThat(machine.backend().residentBytes() - memory).isLessThan(MAY_GROW);
    }

    @Test
    void aFrameLongerThanAnyIsSteppedOver() throws IOException {
        raw.write(RawGuest.framed(new byte[100_000]));
        askForGateway();
        assertCounted("framesOversize", 1);
    }

    @ParameterizedTest(name = "after {0} bytes")
    @ValueSource(ints = {1, 3, 4, 5, 45})
    void theEndInTheMiddleOfAFrameDeliversNothing(int bytes) throws IOException {
        byte[] whole = RawGuest.framed(PacketBuilder.bytes(GUEST.arpRequest(GATEWAY)));
        raw.write(Arrays.copyOf(whole, bytes));
        raw.shutdownOutput();
        assertUnansweredToTheEnd();
        assertThat(machine.status().count("framesFromGuest")).isEqualTo(before.count("framesFromGuest"));
    }

    @Test
    void theEndInTheMiddleOfAFrameThatIsSteppedOverDeliversNothing() throws IOException {
        raw.write(Arrays.copyOf(RawGuest.framed(new byte[100_000]), 50_000));
        raw.shutdownOutput();
        assertUnansweredToTheEnd();
        assertThat(machine.status().count("framesFromGuest")).isEqualTo(before.count("framesFromGuest"));
    }

    @Test
    void oneByteAtATimeAFrameArrives() throws IOException {
        for (byte each : RawGuest.framed(PacketBuilder.bytes(GUEST.arpRequest(GATEWAY)))) {
            raw.write(each);
            LockSupport.parkNanos(1_000_000);
        }
        assertThat(RawGuest.isArp(raw.receive())).isTrue();
        assertThat(machine.status().count("framesFromGuest")).isEqualTo(before.count("framesFromGuest") + 1);
    }

    /** 28 MiB of pings, none of whose answers is read: more than the kernel and the queue hold. */
    @Test
    void aGuestThatDoesNotReadCostsItsOwnFramesAndIsAnsweredWhenItReadsAgain() throws IOException {
        long memory = machine.backend().residentBytes();
        byte[] ping = RawGuest.framed(
                PacketBuilder.bytes(GUEST.icmp(GATEWAY).payload(new byte[1_400]).build()));
        for (int i = 0; i < 20_000; i++) {
            raw.write(ping);
        }
        // A question that is not dropped for want of room would be answered behind all that lies there.
        Await.until("every ping is read by the backend", Duration.ofSeconds(30), () -> {
            BackendStatus now = machine.status();
            return now.count("framesFromGuest") >= before.count("framesFromGuest") + 20_000;
        });
        BackendStatus now = machine.status();
        long dropped = now.count("guest-queue-full") - before.count("guest-queue-full");
        long sent = now.count("framesToGuest") - before.count("framesToGuest");
        assertThat(dropped).as("answers that found the queue full").isPositive();
        assertThat(machine.backend().residentBytes() - memory).isLessThan(MAY_GROW);
        for (long i = sent; i < 20_000 - dropped; i++) {
            raw.receive(RawGuest::isIcmp);
        }
        raw.send(GUEST.arpRequest(GATEWAY));
        raw.receive(RawGuest::isArp);
        assertThat(machine.backend().residentBytes() - memory).isLessThan(MAY_GROW);
    }

    @Test
    void aHundredThousandRandomFramesDoNoHarm() throws IOException {
        long seed = Long.getLong("slipway.seed", new Random().nextLong());
        System.out.println("random frames: seed " + seed);
        RandomFrames frames = new RandomFrames(RANDOM_GUEST, GATEWAY, machine.hasInternet(), seed);
        long memory = machine.backend().residentBytes();
        AtomicLong answers = new AtomicLong();
        Payload.Background<Long> reading = Payload.Background.start(answers, () -> {
            while (raw.receive() != null) {
                answers.incrementAndGet();
            }
            return answers.get();
        });
        ByteBuffer batch = ByteBuffer.allocate(1 << 18);
        for (int i = 0; i < 100_000; i++) {
            byte[] frame = frames.next();
            if (batch.remaining() < 4 + frame.length) {
                raw.write(batch.flip());
                batch.clear();
            }
            batch.putInt(frame.length).put(frame);
        }
        raw.write(batch.flip());
        assertCounted("framesFromGuest", 100_000);
        raw.shutdownOutput();
        assertThat(reading.join()).as("answers").isPositive();
        assertThat(machine.backend().residentBytes() - memory)
                .as("growth of the backend's memory, seed %d", seed)
                .isLessThan(MAY_GROW);
    }
}
