package dev.slipway.vhost;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.slipway.ethernet.Transport;
import dev.slipway.vhost.ModelDriver.Piece;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.Random;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Guests that write into their rings what cannot be: that ring is broken, and nothing else is. */
@Timeout(60)
class HostileGuestTest {

    private static final long PLACE = 5 << 20;
    private static final int FRAME = 200;

    @TempDir
    Path folder;

    private VhostRig rig;
    private FakeFrontEnd guest;

    @BeforeEach
    void start() throws IOException {
        assumeTrue(Transport.NATIVE.isAvailable(), "Linux on x86-64 or aarch64");
        rig = new VhostRig(folder);
        guest = new FakeFrontEnd(rig.path, true);
    }

    @AfterEach
    void nothingIsLeft() throws Exception {
        if (rig != null) {
            guest.close();
            rig.close();
        }
    }

    private void attach(long features) throws Exception {
        guest.start(features);
        assertThat(rig.receiver.nextEvent()).isEqualTo("attached");
    }

    /** What a guest does to a ring. */
    private interface Deed {
        void to(FakeFrontEnd guest, ModelDriver driver);
    }

    private static void describe(ModelDriver driver, int index, long at, int length, int flags, int next) {
        driver.describe(driver.descriptors + index * 16L, FakeFrontEnd.GUEST + at, length, flags, next);
    }

    private static void one(ModelDriver driver, long address, int length, int flags, int next) {
        driver.describe(driver.descriptors, address, length, flags, next);
        driver.makeAvailable(0);
    }

    private static Arguments deed(String name, int ring, String reason, Deed deed) {
        return Arguments.of(name, ring, reason, deed);
    }

    static Stream<Arguments> violations() {
        long place = FakeFrontEnd.GUEST + PLACE;
        int next = ModelDriver.NEXT;
        int write = ModelDriver.WRITE;
        int indirect = ModelDriver.INDIRECT;
        return Stream.of(
                deed("index far ahead", 1, "the available index is", (g, d) -> d.availableIndex = 300),
                deed("index that went back", 1, "the available index is", (g, d) -> d.availableIndex = 0xFFFF),
                deed("head beyond the ring", 1, "descriptor 256 of 256", (g, d) -> d.makeAvailable(256)),
                deed("next beyond the ring", 1, "descriptor 65535 of 256", (g, d) -> one(d, place, 64, next, 0xFFFF)),
                deed("chain that loops", 1, "more than 256 descriptors", (g, d) -> one(d, place, 64, next, 0)),
                deed("address of nobody", 1, "no memory of the guest's", (g, d) -> one(d, 0x10, 64, 0, 0)),
                deed(
                        "buffer beyond the end of memory",
                        1,
                        "no memory of the guest's",
                        (g, d) -> one(d, FakeFrontEnd.GUEST + FakeFrontEnd.MEMORY - 32, 64, 0, 0)),
                deed("address that wraps", 1, "no memory of the guest's", (g, d) -> one(d, -32L, 64, 0, 0)),
                deed("4 GiB", 1, "a chain of more than", (g, d) -> one(d, place, -1, 0, 0)),
                deed("write-only to send", 1, "write-only", (g, d) -> one(d, place, 64, write, 0)),
                deed("read-only to receive", 0, "read-only", (g, d) -> one(d, place, 2000, 0, 0)),
                deed("readable behind writable", 0, "read-only", (g, d) -> {
                    describe(d, 1, PLACE, 64, 0, 0);
                    one(d, place, 64, write | next, 1);
                }),
                deed("table of no bytes", 1, "an indirect table of 0 bytes", (g, d) -> one(d, place, 0, indirect, 0)),
                deed("table of odd length", 1, "table of 24 bytes", (g, d) -> one(d, place, 24, indirect, 0)),
                deed("huge table", 1, "an indirect table of", (g, d) -> one(d, place, 1 << 20, indirect, 0)),
                deed("table of negative length", 1, "of 4294967280 bytes", (g, d) -> one(d, place, -16, indirect, 0)),
                deed("table of nobody", 1, "no memory of the guest's", (g, d) -> one(d, 0x10, 32, indirect, 0)),
                deed("table and next", 1, "behind it", (g, d) -> one(d, place, 32, indirect | next, 1)),
                deed("table in a table", 1, "within an indirect table", (g, d) -> {
                    d.describe(PLACE, place, 16, indirect, 0);
                    one(d, place, 16, indirect, 0);
                }),
                deed("table that loops", 1, "more than 2 descriptors", (g, d) -> {
                    d.describe(PLACE, place, 64, next, 1);
                    d.describe(PLACE + 16, place, 64, next, 0);
                    one(d, place, 32, indirect, 0);
                }),
                deed("next beyond the table", 1, "descriptor 7 of 2", (g, d) -> {
                    d.describe(PLACE, place, 64, next, 7);
                    one(d, place, 32, indirect, 0);
                }),
                deed("more pieces than any chain has", 1, "more than 1024 pieces", (g, d) -> {
                    for (int i = 0; i < 1_024; i++) {
                        // Each lies in two regions of memory.
                        d.describe(PLACE + i * 16, FakeFrontEnd.GUEST + FakeFrontEnd.BORDER - 1, 2, next, i + 1);
                    }
                    one(d, place, 1_024 * 16, indirect, 0);
                }),
                deed(
                        "loop with a buffer to receive",
                        0,
                        "more than 256",
                        (g, d) -> one(d, place, 64, write | next, 0)));
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("violations")
    void ringThatCannotBeIsBrokenAndTheGuestMayStartItAnew(String name, int ring, String reason, Deed deed)
            throws Exception {
        attach(Features.OFFERED);
        ModelDriver driver = ring == 0 ? guest.toGuest : guest.fromGuest;
        deed.to(guest, driver);
        driver.tell();
        guest.kick(ring);
        if (ring == 0) {
            rig.room();
        }
        assertThat(rig.receiver.nextEvent())
                .startsWith("detached: the guest broke ring " + ring)
                .contains(reason);
        guest.awaitSignal(guest.errors[ring], "the error");
        assertThat(rig.link.counters().brokenRings()).isEqualTo(1);
        assertThat(driver.usedIndex()).isZero();
        rig.send(new byte[60]);
        serves();
    }

    /** The guest starts its rings anew, and frames go both ways. */
    private void serves() throws Exception {
        guest.stop(0);
        guest.stop(1);
        guest.makeDrivers(Features.OFFERED, FakeFrontEnd.RING);
        guest.startRings(0, 0);
        assertThat(rig.receiver.nextEvent()).isEqualTo("attached");
        goesBothWays();
    }

    private void goesBothWays() throws Exception {
        rig.receiver.frames.clear();
        Piece[] frame = {new Piece(PLACE, 12 + FRAME)};
        guest.memory.asSlice(PLACE, 12 + FRAME).fill((byte) 0);
        guest.fromGuest.offer(frame, false, false);
        guest.fromGuest.tell();
        guest.kick(1);
        assertThat(rig.receiver.nextFrame()).hasSize(FRAME);
        guest.toGuest.offer(new Piece[] {new Piece(PLACE + 4096, 2000)}, true, true);
        guest.toGuest.tell();
        guest.kick(0);
        rig.send(new byte[FRAME]);
        assertThat(guest.awaitUsed(0)[1]).isEqualTo(12 + FRAME);
    }

    @Test
    void indirectTableThatWasNotAgreedOnBreaksTheRing() throws Exception {
        attach(Features.OFFERED & ~Features.INDIRECT_DESC);
        guest.fromGuest.offer(new Piece[] {new Piece(PLACE, 64)}, false, true);
        guest.fromGuest.tell();
        guest.kick(1);
        assertThat(rig.receiver.nextEvent()).contains("an indirect table, which was not agreed on");
    }

    /** Of no bytes, too short for a header, for a frame, too long for any: given back, and the next one is served. */
    @Test
    void chainsThatHoldNoFrameAreGivenBack() throws Exception {
        attach(Features.OFFERED);
        guest.memory.asSlice(PLACE, 1 << 17).fill((byte) 0);
        for (int length : new int[] {0, 1, 11, 12, 25, 12 + 65_550, 1 << 17}) {
            guest.fromGuest.offer(new Piece[] {new Piece(PLACE, length)}, false, length % 2 == 0);
            guest.fromGuest.tell();
            guest.kick(1);
            assertThat(guest.awaitUsed(1)[1]).isZero();
        }
        guest.fromGuest.offer(
                new Piece[] {new Piece(PLACE, 0), new Piece(PLACE, 12), new Piece(PLACE, 0), new Piece(PLACE, 60)},
                false,
                true);
        guest.fromGuest.tell();
        guest.kick(1);
        assertThat(rig.receiver.nextFrame()).hasSize(60);
        assertThat(rig.receiver.frames).isEmpty();
        assertThat(rig.link.counters().badLengthsFromGuest()).isEqualTo(5);
        assertThat(rig.link.counters().oversizeFromGuest()).isEqualTo(2);
        assertThat(rig.link.counters().brokenRings()).isZero();
    }

    /** The offload header: sums beyond the frame, units that are none, and what was not agreed on. */
    @Test
    void offloadThatCannotBeIsDroppedAndCounted() throws Exception {
        long agreed = Features.OFFERED & ~Features.HOST_TSO6;
        attach(agreed);
        int[][] headers = {
            // flags, kind, segment size, start of the sum, its field, EtherType
            {1, 0, 0, 190, 16, 0x0800},
            {1, 0, 0, 0xFFFF, 0xFFFF, 0x0800},
            {0, 1, 1_000, 0, 0, 0x0800},
            {1, 1, 0, 34, 16, 0x0800},
            {1, 1, 1_000, 34, 16, 0x86DD},
            {1, 3, 1_000, 34, 16, 0x0800},
            {1, 0x7F, 1_000, 34, 16, 0x0800},
            // Large units of IPv6 were not agreed on.
            {1, 4, 1_000, 54, 16, 0x86DD},
        };
        assertAreDropped(headers);
        goesBothWays();
    }

    /** What could be, had it been agreed on: a sum left out, large units of either IP. */
    @Test
    void offloadThatWasNotAgreedOnIsDroppedAndCounted() throws Exception {
        attach(Features.OFFERED & ~Features.CSUM & ~Features.HOST_TSO4 & ~Features.HOST_TSO6);
        assertAreDropped(new int[][] {
            {1, 0, 0, 34, 16, 0x0800},
            {1, 1, 1_000, 34, 16, 0x0800},
            {1, 4, 1_000, 54, 16, 0x86DD},
        });
        goesBothWays();
    }

    private void assertAreDropped(int[][] headers) throws Exception {
        for (int[] header : headers) {
            guest.memory.asSlice(PLACE, 12 + FRAME).fill((byte) 0);
            guest.memory.set(ValueLayout.JAVA_BYTE, PLACE, (byte) header[0]);
            guest.memory.set(ValueLayout.JAVA_BYTE, PLACE + 1, (byte) header[1]);
            guest.memory.set(ValueLayout.JAVA_SHORT, PLACE + 4, (short) header[2]);
            guest.memory.set(ValueLayout.JAVA_SHORT, PLACE + 6, (short) header[3]);
            guest.memory.set(ValueLayout.JAVA_SHORT, PLACE + 8, (short) header[4]);
            guest.memory.set(ValueLayout.JAVA_BYTE, PLACE + 24, (byte) (header[5] >> 8));
            guest.memory.set(ValueLayout.JAVA_BYTE, PLACE + 25, (byte) header[5]);
            guest.fromGuest.offer(new Piece[] {new Piece(PLACE, 12 + FRAME)}, false, false);
            guest.fromGuest.tell();
            guest.kick(1);
            guest.awaitUsed(1);
        }
        rig.settle();
        assertThat(rig.receiver.frames).isEmpty();
        assertThat(rig.link.counters().badOffloadsFromGuest()).isEqualTo(headers.length);
    }

    @Test
    void bufferToReceiveThatIsGivenTwiceHarmsTheGuestOnly() throws Exception {
        attach(Features.OFFERED);
        guest.toGuest.describe(guest.toGuest.descriptors, FakeFrontEnd.GUEST + PLACE, 1500, ModelDriver.WRITE, 0);
        for (int i = 0; i < 100; i++) {
            guest.toGuest.makeAvailable(0);
        }
        guest.toGuest.tell();
        guest.kick(0);
        for (int i = 0; i < 50; i++) {
            rig.send(new byte[1_400]);
        }
        assertThat(guest.toGuest.usedIndex()).isEqualTo(50);
        assertThat(rig.link.counters().brokenRings()).isZero();
    }

    /**
     * Two threads of the guest write at random to rings, tables and buffers while frames go both ways, for some seconds;
     * whenever that breaks a ring the guest starts anew. What is not the guest's memory stays as it is, and in the end
     * an orderly guest is served.
     */
    @Test
    void guestThatWritesAnythingAnywhereHarmsItselfOnly() throws Exception {
        long seed = System.nanoTime();
        System.out.println("vhost-user hostile writer, seed " + seed);
        AtomicBoolean over = new AtomicBoolean();
        attach(Features.OFFERED);
        rig.receiver.onFrame = frame -> {
            rig.receiver.frames.clear();
            rig.sendNow(new byte[frame.length() % 3_000 + 14]);
        };
        rig.receiver.onEndOfBatch = rig.link::flush;
        Thread[] writers = new Thread[2];
        for (int i = 0; i < writers.length; i++) {
            Random random = new Random(seed + i);
            writers[i] = Thread.ofPlatform().start(() -> {
                while (!over.get()) {
                    scribble(random);
                }
            });
        }
        Random random = new Random(~seed);
        long until = System.nanoTime() + 4_000_000_000L;
        int restarts = 0;
        while (System.nanoTime() < until) {
            for (int i = 0; i < 20; i++) {
                offerAnything(guest.toGuest, random, ModelDriver.WRITE);
                offerAnything(guest.fromGuest, random, 0);
                guest.kick(0);
                guest.kick(1);
            }
            if (!rig.receiver.events.isEmpty() && rig.receiver.nextEvent().startsWith("detached")) {
                restarts++;
                guest.stop(0);
                guest.stop(1);
                guest.makeDrivers(Features.OFFERED, FakeFrontEnd.RING);
                guest.startRings(0, 0);
            }
        }
        over.set(true);
        for (Thread writer : writers) {
            writer.join();
        }
        assertThat(restarts).as("rings that were broken").isPositive();
        assertThat(rig.link.counters().failures()).isZero();
        rig.receiver.onFrame = frame -> {};
        guest.stop(0);
        guest.stop(1);
        rig.settle();
        rig.receiver.events.clear();
        guest.makeDrivers(Features.OFFERED, FakeFrontEnd.RING);
        guest.startRings(0, 0);
        rig.settle();
        assertThat(rig.link.isAttached()).isTrue();
        goesBothWays();
    }

    private void scribble(Random random) {
        MemorySegment memory = guest.memory;
        int ring = random.nextInt(2) * 0x80000;
        int at = switch (random.nextInt(4)) {
            case 0 -> random.nextInt(64) * 16 + random.nextInt(16);
            case 1 -> 0x4000 + random.nextInt(64);
            case 2 -> 0x8000 + random.nextInt(2100);
            default -> 0x10000 + random.nextInt(0x4000);
        };
        if (random.nextInt(100) == 0) {
            memory.set(ValueLayout.JAVA_BYTE, ring + at, (byte) random.nextInt());
        } else if (at < 0x4000 || at >= 0x10000) {
            // A descriptor that is likely, so that what is read twice would be seen to differ.
            long descriptor = ring + (at & ~15);
            memory.set(ValueLayout.JAVA_LONG, descriptor, FakeFrontEnd.GUEST + random.nextInt(FakeFrontEnd.MEMORY));
            memory.set(ValueLayout.JAVA_INT, descriptor + 8, random.nextInt(3_000));
            memory.set(ValueLayout.JAVA_SHORT, descriptor + 12, (short) (ring == 0 ? ModelDriver.WRITE : 0));
        }
        Thread.onSpinWait();
    }

    private void offerAnything(ModelDriver driver, Random random, int flags) {
        int head = random.nextInt(64);
        boolean indirect = random.nextInt(4) == 0;
        driver.describe(
                driver.descriptors + head * 16L,
                FakeFrontEnd.GUEST + (indirect ? 0x10000 + random.nextInt(0x4000) : random.nextInt(6 << 20)),
                indirect ? 16 * (1 + random.nextInt(8)) : random.nextInt(4_000),
                indirect ? ModelDriver.INDIRECT : flags | random.nextInt(2),
                random.nextInt(64));
        // A ring that is not emptied is left alone, else the first thing to break would be its index.
        if ((driver.availableIndex - driver.usedIndex() & 0xFFFF) < FakeFrontEnd.RING / 2) {
            driver.makeAvailable(head);
            driver.tell();
        }
    }
}
