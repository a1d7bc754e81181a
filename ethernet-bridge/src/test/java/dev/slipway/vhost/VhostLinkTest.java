package dev.slipway.vhost;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.slipway.ethernet.Transport;
import dev.slipway.vhost.ModelDriver.Piece;
import dev.slipway.wire.Frame;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.Random;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Frames through a guest's memory, with a model of the driver's side that does what virtio says and no more. */
@Timeout(60)
class VhostLinkTest {

    private static final int HEADER = 12;
    private static final long RECEIVE_AREA = (1 << 20) + (8 << 10);
    private static final long SEND_AREA = 11L << 19;
    private static final int SEND_SLOT = 128 << 10;
    private static final int SEND_SLOTS = 16;
    private static final long BASIC = Features.VERSION_1 | Features.PROTOCOL_FEATURES;
    private static final long ALL = Features.OFFERED;

    @TempDir
    Path folder;

    private VhostRig rig;
    private FakeFrontEnd guest;
    private final Map<Integer, Piece[]> buffers = new HashMap<>();

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

    private static byte[] bytes(int length, long seed) {
        byte[] bytes = new byte[length];
        new Random(seed).nextBytes(bytes);
        // An EtherType of nobody's, so that no offload is meant.
        bytes[12] = (byte) 0x88;
        bytes[13] = (byte) 0xB5;
        return bytes;
    }

    // --- what the model does ------------------------------------------------------------------------------------

    /** Offers buffers to receive into until there is no memory for more, or so many. */
    private void offerBuffers(Random random, boolean inSeveral, boolean indirect, int most) {
        int slot = inSeveral ? 16 << 10 : 72 << 10;
        int slots = (int) ((SEND_AREA - RECEIVE_AREA) / slot);
        boolean[] taken = new boolean[slots];
        buffers.values().forEach(pieces -> taken[(int) ((pieces[0].at() - RECEIVE_AREA) / slot)] = true);
        int offered = 0;
        for (int i = 0; i < slots && offered < most && guest.toGuest.freeDescriptors() >= 4; i++) {
            if (!taken[i]) {
                int length = inSeveral ? 64 + random.nextInt(slot - 64) : slot - random.nextInt(1000);
                Piece[] pieces = ModelDriver.cut(random, RECEIVE_AREA + (long) i * slot, length, 4);
                buffers.put(guest.toGuest.offer(pieces, true, indirect && random.nextBoolean()), pieces);
                offered++;
            }
        }
        if (guest.toGuest.tell()) {
            guest.kick(0);
        }
    }

    /** Takes a frame from the buffers, as a driver does: header and frame, and how many buffers they took. */
    private byte[] takeFrame(boolean inSeveral) {
        byte[] whole = new byte[0];
        int count = 1;
        for (int i = 0; i < count; i++) {
            int[] used = guest.awaitUsed(0);
            byte[] part = new byte[used[1]];
            int done = 0;
            for (Piece piece : buffers.remove(used[0])) {
                int length = Math.min(piece.length(), part.length - done);
                MemorySegment.copy(guest.memory, ValueLayout.JAVA_BYTE, piece.at(), part, done, length);
                done += length;
            }
            assertThat(done).as("bytes said to be written fit the buffer").isEqualTo(part.length);
            if (i == 0) {
                assertThat(part.length).isGreaterThanOrEqualTo(HEADER);
                count = part[10] & 0xFF | (part[11] & 0xFF) << 8;
                assertThat(inSeveral || count == 1).isTrue();
            }
            int before = whole.length;
            whole = Arrays.copyOf(whole, before + part.length);
            System.arraycopy(part, 0, whole, before, part.length);
        }
        return whole;
    }

    private static byte[] frameOf(byte[] whole) {
        return Arrays.copyOfRange(whole, HEADER, whole.length);
    }

    private int sendFromGuest(Random random, int slot, byte[] frame, boolean indirect) {
        long at = SEND_AREA + (long) slot * SEND_SLOT;
        guest.memory.asSlice(at, HEADER).fill((byte) 0);
        MemorySegment.copy(frame, 0, guest.memory, ValueLayout.JAVA_BYTE, at + HEADER, frame.length);
        Piece[] pieces = ModelDriver.cut(random, at, HEADER + frame.length, 12);
        return guest.fromGuest.offer(pieces, false, indirect && random.nextBoolean());
    }

    // --- the usual ----------------------------------------------------------------------------------------------

    /** Each bit of the argument is a feature more than the least. */
    @ParameterizedTest
    @ValueSource(ints = {0, 1, 2, 3, 4, 5, 6, 7})
    void everyFrameComesBackAsItWentWhateverWasAgreed(int which) throws Exception {
        long seed = System.nanoTime();
        System.out.println("vhost-user model, features " + which + ", seed " + seed);
        Random random = new Random(seed);
        boolean inSeveral = (which & 1) != 0;
        boolean indirect = (which & 2) != 0;
        attach(BASIC
                | (inSeveral ? Features.MRG_RXBUF : 0)
                | (indirect ? Features.INDIRECT_DESC : 0)
                | ((which & 4) != 0 ? Features.EVENT_IDX : 0));
        rig.receiver.onFrame = frame -> rig.sendNow(
                frame.bytes().asSlice(frame.offset(), frame.length()).toArray(ValueLayout.JAVA_BYTE));
        Runnable flush = rig.link::flush;
        rig.receiver.onEndOfBatch = flush;
        Queue<byte[]> expected = new ArrayDeque<>();
        Map<Integer, Integer> slots = new HashMap<>();
        int sent = 0;
        int back = 0;
        int total = 3_000;
        while (back < total) {
            // Enough for all that is under way, or both would wait for each other.
            offerBuffers(random, inSeveral, indirect, buffers.size() < 60 ? 60 : random.nextInt(40));
            int burst = expected.size() < 8 ? Math.min(total - sent, random.nextInt(4)) : 0;
            for (int i = 0; i < burst && slots.size() < SEND_SLOTS && guest.fromGuest.freeDescriptors() >= 12; i++) {
                int length = random.nextInt(20) == 0
                        ? 14 + random.nextInt(Frame.MAX_LENGTH - 13)
                        : 14 + random.nextInt(1_500);
                byte[] frame = bytes(length, random.nextLong());
                int slot = 0;
                while (slots.containsValue(slot)) {
                    slot++;
                }
                slots.put(sendFromGuest(random, slot, frame, indirect), slot);
                expected.add(frame);
                sent++;
            }
            if (guest.fromGuest.tell()) {
                guest.kick(1);
            }
            while (guest.fromGuest.hasUsed()) {
                slots.remove(guest.fromGuest.takeUsed()[0]);
            }
            if (expected.size() > 1 || sent == total) {
                assertThat(frameOf(takeFrame(inSeveral))).isEqualTo(expected.remove());
                back++;
            }
            rig.receiver.frames.clear();
        }
        while (!slots.isEmpty()) {
            slots.remove(guest.awaitUsed(1)[0]);
        }
        assertThat(rig.link.counters().brokenRings()).isZero();
        assertThat(rig.link.counters().dropsToGuest()).isZero();
        assertThat(rig.link.counters().framesFromGuest()).isEqualTo(total);
    }

    @ParameterizedTest
    @ValueSource(longs = {BASIC, BASIC | Features.EVENT_IDX})
    void oneKickAndOneInterruptAreEnoughForManyFrames(long features) throws Exception {
        attach(features);
        rig.settle();
        guest.signals(guest.calls[1]);
        guest.fromGuest.listen();
        CountDownLatch busy = new CountDownLatch(1);
        rig.loop.execute(() -> {
            try {
                busy.await();
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        });
        int kicks = 0;
        for (int i = 0; i < 100; i++) {
            Piece[] frame = {new Piece(SEND_AREA + i * 1_024L, 12 + 60)};
            guest.fromGuest.offer(frame, false, false);
            if (guest.fromGuest.tell()) {
                kicks++;
                guest.kick(1);
            }
        }
        // Without event indexes it is the device that forbids kicks, and it is busy.
        assertThat(kicks).isBetween(1, (features & Features.EVENT_IDX) != 0 ? 1 : 100);
        busy.countDown();
        guest.awaitSignal(guest.calls[1], "an interrupt");
        rig.settle();
        assertThat(guest.fromGuest.usedIndex()).isEqualTo(100);
        assertThat(guest.signals(guest.calls[1])).as("interrupts more").isZero();
    }

    @Test
    void guestWithoutBuffersStopsTheSenderUntilItOffersSome() throws Exception {
        attach(ALL);
        assertThat(rig.room()).isZero();
        // What cannot wait goes into a reserve, and then nowhere.
        byte[] frame = bytes(1_400, 5);
        for (int i = 0; i < 400; i++) {
            rig.send(frame);
        }
        long dropped = rig.link.counters().dropsToGuest();
        assertThat(dropped).isBetween(100L, 300L);
        assertThat(rig.link.counters().framesToGuest()).isEqualTo(400 - dropped);
        assertThat(rig.room()).isNegative();
        assertThat(rig.receiver.events).isEmpty();
        for (int left = 400 - (int) dropped; left > 0; left--) {
            offerBuffers(new Random(left), true, false, 25);
            assertThat(frameOf(takeFrame(true))).isEqualTo(frame);
        }
        assertThat(rig.receiver.nextEvent()).isEqualTo("ready");
        offerBuffers(new Random(7), true, false, 40);
        assertThat(rig.room()).isGreaterThan(Frame.MAX_LENGTH);
    }

    /** A frame that lies in several buffers is there at once, with all of them, or not at all. */
    @Test
    void frameIsNotBegunBeforeThereAreBuffersForAllOfIt() throws Exception {
        attach(ALL);
        offerBuffer(RECEIVE_AREA, 1_000);
        byte[] frame = bytes(2_500, 1);
        rig.send(frame);
        offerBuffer(RECEIVE_AREA + 4_096, 1_000);
        rig.settle();
        assertThat(guest.toGuest.usedIndex()).isZero();
        assertThat(guest.memory.asSlice(RECEIVE_AREA, 8_192).toArray(ValueLayout.JAVA_BYTE))
                .containsOnly(0);
        offerBuffer(RECEIVE_AREA + 8_192, 1_000);
        assertThat(frameOf(takeFrame(true))).isEqualTo(frame);
        assertThat(guest.toGuest.usedIndex()).isEqualTo(3);
    }

    private void offerBuffer(long at, int length) {
        Piece[] buffer = {new Piece(at, length)};
        buffers.put(guest.toGuest.offer(buffer, true, false), buffer);
        if (guest.toGuest.tell()) {
            guest.kick(0);
        }
    }

    @Test
    void nothingIsWrittenBesideTheBuffersAndTheUsedRing() throws Exception {
        attach(ALL);
        Random random = new Random(8);
        offerBuffers(random, true, true, 60);
        byte[] before = guest.memory.toArray(ValueLayout.JAVA_BYTE);
        List<Piece[]> offered = List.copyOf(buffers.values());
        for (int i = 0; i < 10; i++) {
            byte[] frame = bytes(14 + random.nextInt(20_000), i);
            rig.send(frame);
            assertThat(frameOf(takeFrame(true))).isEqualTo(frame);
        }
        byte[] after = guest.memory.toArray(ValueLayout.JAVA_BYTE);
        for (byte[] memory : List.of(before, after)) {
            for (Piece[] pieces : offered) {
                for (Piece piece : pieces) {
                    Arrays.fill(memory, (int) piece.at(), (int) piece.at() + piece.length(), (byte) 0);
                }
            }
            int used = (int) guest.toGuest.used;
            Arrays.fill(memory, used, used + (int) SplitRing.usedBytes(guest.toGuest.size), (byte) 0);
            // Where the driver itself says how far it is.
            int event = (int) guest.toGuest.available + (int) SplitRing.availableBytes(guest.toGuest.size) - 2;
            Arrays.fill(memory, event, event + 2, (byte) 0);
        }
        assertThat(Arrays.mismatch(before, after))
                .as("the first byte that changed")
                .isEqualTo(-1);
    }

    @Test
    void indirectTableThatLiesInTwoRegionsOfMemoryIsRead() throws Exception {
        attach(ALL);
        byte[] frame = bytes(300, 1);
        guest.memory.asSlice(SEND_AREA, HEADER).fill((byte) 0);
        MemorySegment.copy(frame, 0, guest.memory, ValueLayout.JAVA_BYTE, SEND_AREA + HEADER, frame.length);
        ModelDriver driver = guest.fromGuest;
        long table = FakeFrontEnd.BORDER - 24;
        long sent = FakeFrontEnd.GUEST + SEND_AREA;
        driver.describe(table, sent, 100, ModelDriver.NEXT, 1);
        driver.describe(table + 16, sent + 100, 100, ModelDriver.NEXT, 2);
        driver.describe(table + 32, sent + 200, HEADER + 100, 0, 0);
        driver.describe(driver.descriptors, FakeFrontEnd.GUEST + table, 48, ModelDriver.INDIRECT, 0);
        driver.makeAvailable(0);
        driver.tell();
        guest.kick(1);
        assertThat(rig.receiver.nextFrame()).isEqualTo(frame);
    }

    @Test
    void frameLongerThanAnyBufferIsDroppedAndTheNextOneGoes() throws Exception {
        attach(BASIC | Features.EVENT_IDX);
        offerBuffer(RECEIVE_AREA, 1_526);
        rig.send(bytes(1_515, 1));
        assertThat(rig.link.counters().dropsToGuest()).isEqualTo(1);
        byte[] fits = bytes(1_514, 2);
        rig.send(fits);
        assertThat(frameOf(takeFrame(false))).isEqualTo(fits);
    }

    @Test
    void unitTooLargeForTheGuestIsCutAndItsSumsAreCompleted() throws Exception {
        attach(BASIC | Features.EVENT_IDX | Features.MRG_RXBUF);
        offerBuffers(new Random(3), true, false, 200);
        byte[] unit = tcpUnit(4_000);
        rig.loop
                .submit(() -> {
                    Frame frame = rig.link.begin(unit.length);
                    MemorySegment.copy(unit, 0, frame.bytes(), ValueLayout.JAVA_BYTE, frame.offset(), unit.length);
                    rig.link.send(frame.checksumPartial(34, 16).largeUnit(1_460));
                    rig.link.flush();
                })
                .get(20, TimeUnit.SECONDS);
        for (int payload : new int[] {1_460, 1_460, 1_080}) {
            byte[] whole = takeFrame(true);
            assertThat(whole.length).isEqualTo(HEADER + 54 + payload);
            assertThat(Arrays.copyOf(whole, 10))
                    .as("nothing is left to the guest")
                    .containsOnly(0);
        }
    }

    @Test
    void unitThatTheGuestTakesIsNotCut() throws Exception {
        attach(ALL);
        offerBuffers(new Random(3), true, true, 200);
        byte[] unit = tcpUnit(40_000);
        rig.loop
                .submit(() -> {
                    Frame frame = rig.link.begin(unit.length);
                    MemorySegment.copy(unit, 0, frame.bytes(), ValueLayout.JAVA_BYTE, frame.offset(), unit.length);
                    rig.link.send(frame.checksumPartial(34, 16).largeUnit(1_460));
                    rig.link.flush();
                })
                .get(20, TimeUnit.SECONDS);
        byte[] whole = takeFrame(true);
        assertThat(frameOf(whole)).isEqualTo(unit);
        assertThat(Arrays.copyOf(whole, 10)).containsExactly(1, 1, 54, 0, 1_460 & 0xFF, 1_460 >> 8, 34, 0, 16, 0);
    }

    private static byte[] tcpUnit(int payload) {
        byte[] unit = bytes(54 + payload, 9);
        unit[12] = 0x08;
        unit[13] = 0x00;
        unit[14] = 0x45;
        unit[16] = (byte) (40 + payload >> 8);
        unit[17] = (byte) (40 + payload);
        unit[20] = 0x40;
        unit[21] = 0;
        unit[23] = 6;
        unit[46] = 0x50;
        unit[47] = 0x10;
        return unit;
    }

    // --- stops and starts ---------------------------------------------------------------------------------------

    @Test
    void stoppedRingIsNotTouchedAndGoesOnWhereItWas() throws Exception {
        attach(ALL);
        Random random = new Random(4);
        offerBuffers(random, true, true, 60);
        rig.send(bytes(300, 1));
        takeFrame(true);
        assertThat(rig.room()).as("the rest was read ahead").isPositive();
        int fromBase = guest.stop(1);
        int toBase = guest.stop(0);
        assertThat(fromBase).isZero();
        assertThat(toBase).as("what was read ahead is given back").isEqualTo(guest.toGuest.seen);
        byte[] asItWas = guest.memory.toArray(ValueLayout.JAVA_BYTE);
        rig.send(bytes(300, 2));
        assertThat(rig.room()).isZero();
        guest.kick(0);
        guest.kick(1);
        rig.settle();
        assertThat(guest.memory.toArray(ValueLayout.JAVA_BYTE)).isEqualTo(asItWas);
        assertThat(rig.link.counters().dropsToGuest()).isEqualTo(1);
        guest.startRings(toBase, fromBase);
        assertThat(rig.receiver.nextEvent()).isEqualTo("ready");
        byte[] next = bytes(2_000, 3);
        rig.send(next);
        assertThat(frameOf(takeFrame(true))).isEqualTo(next);
        assertThat(rig.receiver.events).as("a pause is no end").allMatch("ready"::equals);
    }

    @Test
    void guestThatStartsAnewFindsRingsThatBeginAtNothing() throws Exception {
        attach(ALL);
        for (int start = 0; start < 3; start++) {
            Random random = new Random(start);
            buffers.clear();
            offerBuffers(random, true, true, 60);
            byte[] frame = bytes(3_000, start);
            rig.send(frame);
            assertThat(frameOf(takeFrame(true))).isEqualTo(frame);
            sendFromGuest(random, 0, frame, true);
            if (guest.fromGuest.tell()) {
                guest.kick(1);
            }
            assertThat(rig.receiver.nextFrame()).isEqualTo(frame);
            guest.stop(0);
            guest.stop(1);
            assertThat(guest.ask(ControlMessage.SET_FEATURES, new long[] {ALL})).isZero();
            guest.memoryTable();
            guest.makeDrivers(ALL, 64 << start);
            guest.startRings(0, 0);
        }
        assertThat(rig.receiver.events).isNotEmpty().allMatch("ready"::equals);
    }

    @Test
    void memoryThatIsMappedAnewWhileBuffersAreOutstandingServesOn() throws Exception {
        attach(ALL);
        Random random = new Random(6);
        offerBuffers(random, true, true, 100);
        assertThat(rig.room()).isPositive();
        for (int i = 0; i < 10; i++) {
            guest.memoryTable();
            byte[] frame = bytes(5_000, i);
            assertThat(guest.ask(ControlMessage.SET_OWNER, new long[] {})).isZero();
            rig.send(frame);
            assertThat(frameOf(takeFrame(true))).isEqualTo(frame);
        }
    }

    @Test
    void memoryTableMayHaveRoomBehindItsRegions() throws Exception {
        guest.negotiate(ALL);
        long[] table = {1, FakeFrontEnd.GUEST, FakeFrontEnd.MEMORY, FakeFrontEnd.USER, 0, 0, 0, 0, 0};
        assertThat(guest.ask(ControlMessage.SET_MEM_TABLE, table, guest.memoryFile))
                .isZero();
        guest.makeDrivers(ALL, FakeFrontEnd.RING);
        guest.startRings(0, 0);
        assertThat(rig.receiver.nextEvent()).isEqualTo("attached");
    }

    @Test
    void memoryComesAndGoesOneRegionAtATime() throws Exception {
        guest.negotiate(ALL);
        assertThat(guest.ask(ControlMessage.GET_MAX_MEM_SLOTS, new long[] {})).isEqualTo(GuestMemory.MAX_REGIONS);
        long half = FakeFrontEnd.MEMORY / 2;
        long[] first = {0, FakeFrontEnd.GUEST, half, FakeFrontEnd.USER, 0};
        long[] second = {0, FakeFrontEnd.GUEST + half, half, FakeFrontEnd.USER + half, half};
        assertThat(guest.ask(ControlMessage.ADD_MEM_REG, first, guest.memoryFile))
                .isZero();
        guest.makeDrivers(ALL, FakeFrontEnd.RING);
        guest.startRings(0, 0);
        assertThat(rig.receiver.nextEvent()).isEqualTo("attached");
        assertThat(guest.ask(ControlMessage.ADD_MEM_REG, second, guest.memoryFile))
                .isZero();
        byte[] frame = bytes(9_000, 1);
        sendFromGuest(new Random(1), 0, frame, true);
        if (guest.fromGuest.tell()) {
            guest.kick(1);
        }
        assertThat(rig.receiver.nextFrame()).isEqualTo(frame);
        // Some front-ends send a descriptor along.
        assertThat(guest.ask(ControlMessage.REM_MEM_REG, second, guest.memoryFile))
                .isZero();
        assertThat(guest.ask(ControlMessage.REM_MEM_REG, second)).isEqualTo(1);
        sendFromGuest(new Random(1), 0, frame, true);
        if (guest.fromGuest.tell()) {
            guest.kick(1);
        }
        assertThat(rig.receiver.nextEvent()).contains("no memory of the guest's");
    }

    @Test
    void ringThatIsNotEnabledIsEmptiedAndNothingIsHandedOn() throws Exception {
        guest.negotiate(ALL);
        guest.memoryTable();
        guest.makeDrivers(ALL, FakeFrontEnd.RING);
        guest.ring(1, guest.fromGuest, 0);
        sendFromGuest(new Random(1), 0, bytes(100, 1), false);
        if (guest.fromGuest.tell()) {
            guest.kick(1);
        }
        guest.awaitUsed(1);
        assertThat(rig.receiver.frames).isEmpty();
        assertThat(rig.link.isAttached()).isFalse();
    }

    @Test
    void nextVmManagerIsServedWhenTheFirstIsGoneAndNotBefore() throws Exception {
        attach(ALL);
        try (FakeFrontEnd second = new FakeFrontEnd(rig.path, true)) {
            second.awaitEnd();
        }
        assertThat(rig.link.counters().refusedConnections()).isEqualTo(1);
        guest.close();
        assertThat(rig.receiver.nextEvent()).contains("closed the connection");
        guest = new FakeFrontEnd(rig.path, true);
        attach(ALL);
    }

    @Test
    void driverOlderThanVirtio1IsNotServed() throws Exception {
        long old = Features.PROTOCOL_FEATURES;
        guest.ask(ControlMessage.GET_FEATURES, new long[] {});
        guest.request(ControlMessage.SET_PROTOCOL_FEATURES, new long[] {Features.PROTOCOL_OFFERED});
        assertThat(guest.ask(ControlMessage.SET_FEATURES, new long[] {old})).isEqualTo(1);
        guest.memoryTable();
        guest.makeDrivers(ALL, FakeFrontEnd.RING);
        guest.startRings(0, 0);
        rig.settle();
        assertThat(rig.link.isAttached()).isFalse();
        guest.stop(0);
        guest.stop(1);
        attach(ALL);
    }
}
