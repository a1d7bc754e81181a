package dev.slipway.vhost;

import dev.slipway.ethernet.GuestEvents;
import dev.slipway.ethernet.GuestLink;
import dev.slipway.ethernet.LinkCounters;
import dev.slipway.fuzz.Input;
import dev.slipway.wire.EthernetFrame;
import dev.slipway.wire.Frame;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * Rings in a guest's memory into which the guest writes anything, between frames that go both ways. A {@link RingViolation}
 * is the only thing that may come of it.
 */
public final class VhostRingsFuzz {

    private static final long GUEST = 0x4000_0000L;
    private static final int REGION = 1 << 15;
    private static final int MAX_STEPS = 200;
    /** Where the parts of the first ring lie; those of the other are 0x3000 behind. */
    private static final int DESCRIPTORS = 0;

    private static final int AVAILABLE = 0x1000;
    private static final int USED = 0x2000;
    private static final int OTHER = 0x3000;

    /** What a link makes once and starts anew with each guest. */
    private static final LinkCounters COUNTERS = new LinkCounters();

    private static final ToGuestQueue TO_GUEST = new ToGuestQueue();
    private static final FromGuestQueue FROM_GUEST = new FromGuestQueue(COUNTERS);
    private static final MemorySegment SOURCE = Arena.ofAuto().allocate(12 + Frame.MAX_LENGTH, 8);

    private final Input input;
    private final GuestMemory memory = new GuestMemory();

    private VhostRingsFuzz(Input input) {
        this.input = input;
    }

    private static void check(boolean holds, String what) {
        if (!holds) {
            throw new AssertionError(what);
        }
    }

    public static void fuzzerTestOneInput(byte[] data) throws ProtocolViolation {
        VhostRingsFuzz target = new VhostRingsFuzz(new Input(data));
        int file = LinuxFiles.memory(2 * REGION, true);
        try {
            target.memory.add(GUEST, 0x7000_0000L, REGION, 0, file);
            target.memory.add(GUEST + REGION, 0x7000_0000L + REGION, REGION, REGION, file);
            target.run();
        } catch (RingViolation expected) {
            check(!expected.getMessage().isEmpty(), "no reason");
        } finally {
            TO_GUEST.stop();
            FROM_GUEST.stop();
            target.memory.close();
            LinuxFiles.close(file);
        }
        check(COUNTERS.failures() == 0, "a defect");
    }

    private final class Frames implements GuestLink.Receiver {
        @Override
        public void attached() {}

        @Override
        public void frame(Frame frame) {
            check(frame.length() >= EthernetFrame.HEADER_LENGTH && frame.length() <= Frame.MAX_LENGTH, "a length");
            frame.bytes().asSlice(frame.offset(), frame.length());
            if (frame.checksum() == Frame.ChecksumState.PARTIAL) {
                check(
                        frame.checksumStart() + frame.checksumOffset() + 2 <= frame.length(),
                        "a checksum beyond the frame");
            }
        }

        @Override
        public void endOfBatch() {}

        @Override
        public void ready() {}

        @Override
        public void detached(String reason) {}
    }

    private SplitRing ring(int at, int size, boolean eventIndexes, int base) {
        SplitRing ring = new SplitRing(size, eventIndexes, base);
        MemorySegment bytes = memory.bytes(0);
        ring.place(
                bytes.asSlice(at + DESCRIPTORS, SplitRing.descriptorBytes(size)),
                bytes.asSlice(at + AVAILABLE, SplitRing.availableBytes(size)),
                bytes.asSlice(at + USED, SplitRing.usedBytes(size)));
        return ring;
    }

    private void run() throws RingViolation {
        long features = input.flag() ? Features.OFFERED : input.i64();
        boolean eventIndexes = (features & Features.EVENT_IDX) != 0;
        int size = 1 << input.u8() % 8;
        write();
        SplitRing receiving = ring(0, size, eventIndexes, input.u16());
        SplitRing sending = ring(OTHER, size, eventIndexes, input.u16());
        ChainReader reader = new ChainReader(memory, (features & Features.INDIRECT_DESC) != 0);
        TO_GUEST.start(receiving, reader, (features & Features.MRG_RXBUF) != 0);
        GuestEvents events = new GuestEvents(Runnable::run, COUNTERS, () -> true);
        events.to(new Frames());
        FROM_GUEST.start(sending, reader, features);
        for (int i = 0; i < MAX_STEPS && input.hasMore(); i++) {
            switch (input.u8() % 9) {
                case 0, 1, 2 -> write();
                case 3 -> FROM_GUEST.deliver(events);
                case 4 -> TO_GUEST.send(SOURCE, 0, 12 + 14 + Math.min(input.u16(), Frame.MAX_LENGTH - 14));
                case 5 -> TO_GUEST.drain();
                case 6 -> TO_GUEST.room();
                case 7 -> {
                    TO_GUEST.rewind();
                    FROM_GUEST.discard();
                }
                default -> {
                    receiving.publishAndAsk();
                    sending.publishAndAsk();
                    sending.silence();
                    sending.listen();
                }
            }
        }
    }

    /** The guest writes: bytes anywhere, a descriptor, or an entry that it makes available. */
    private void write() {
        MemorySegment bytes = memory.bytes(0);
        int at = input.u8() % 2 * OTHER;
        switch (input.u8() % 4) {
            case 0 -> {
                byte[] anything = input.block();
                int to = input.u16() % (REGION - anything.length);
                MemorySegment.copy(anything, 0, bytes, ValueLayout.JAVA_BYTE, to, anything.length);
            }
            case 1, 2 -> {
                int descriptor = at + DESCRIPTORS + input.u8() * 16;
                bytes.set(ValueLayout.JAVA_LONG_UNALIGNED, descriptor, GUEST + (input.u16() + (input.u8() % 3 << 14)));
                bytes.set(ValueLayout.JAVA_INT_UNALIGNED, descriptor + 8, input.u16() * (1 + input.u8() % 2));
                bytes.set(ValueLayout.JAVA_SHORT_UNALIGNED, descriptor + 12, (short) (input.u8() & 7));
                bytes.set(ValueLayout.JAVA_SHORT_UNALIGNED, descriptor + 14, (short) input.u8());
            }
            default -> {
                short index = bytes.get(ValueLayout.JAVA_SHORT_UNALIGNED, at + AVAILABLE + 2);
                int entries = 1 + input.u8() % 4;
                for (int i = 0; i < entries; i++) {
                    bytes.set(ValueLayout.JAVA_SHORT_UNALIGNED, at + AVAILABLE + 4 + 2 * (input.u8() % 128), (short)
                            input.u8());
                }
                bytes.set(ValueLayout.JAVA_SHORT_UNALIGNED, at + AVAILABLE + 2, (short) (index + entries));
            }
        }
    }
}
