package dev.slipway.tcp;

import dev.slipway.seam.FrameSink;
import dev.slipway.wire.BigEndian;
import dev.slipway.wire.Checksum;
import dev.slipway.wire.EthernetFrame;
import dev.slipway.wire.Frame;
import dev.slipway.wire.Ipv4Packet;
import dev.slipway.wire.TcpSegment;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.PriorityQueue;
import java.util.Random;
import java.util.function.Consumer;

/**
 * A link between two ends in virtual time: it delays, loses, doubles, reorders and damages frames as it is told, by a
 * seeded generator. Large units are cut and partial checksums completed first, so that what is lost is one segment.
 */
final class SimulatedLink {

    /** What the link does to frames. Chances are per frame, times in nanoseconds. */
    record Conditions(
            double loss,
            double duplication,
            double reordering,
            double corruption,
            long delay,
            long nanosPerByte1000,
            int burst) {

        static Conditions perfect() {
            return new Conditions(0, 0, 0, 0, 50_000, 800, 1);
        }

        Conditions withLoss(double chance) {
            return new Conditions(chance, duplication, reordering, corruption, delay, nanosPerByte1000, burst);
        }

        Conditions withDuplication(double chance) {
            return new Conditions(loss, chance, reordering, corruption, delay, nanosPerByte1000, burst);
        }

        Conditions withReordering(double chance) {
            return new Conditions(loss, duplication, chance, corruption, delay, nanosPerByte1000, burst);
        }

        Conditions withCorruption(double chance) {
            return new Conditions(loss, duplication, reordering, chance, delay, nanosPerByte1000, burst);
        }

        Conditions withDelay(long nanos) {
            return new Conditions(loss, duplication, reordering, corruption, nanos, nanosPerByte1000, burst);
        }

        /** Losses come in runs of that many frames. */
        Conditions withBurst(int frames) {
            return new Conditions(loss, duplication, reordering, corruption, delay, nanosPerByte1000, frames);
        }
    }

    private record Delivery(long time, long order, Direction direction, byte[] frame) {}

    private final Random random;
    private final Conditions conditions;
    private final PriorityQueue<Delivery> underWay = new PriorityQueue<>(
            java.util.Comparator.comparingLong(Delivery::time).thenComparingLong(Delivery::order));
    private long now = 1_000_000_000L;
    private long order;
    private int losing;
    int corrupted;
    int lost;
    final Direction toGuest = new Direction();
    final Direction fromGuest = new Direction();

    SimulatedLink(long seed, Conditions conditions) {
        random = new Random(seed);
        this.conditions = conditions;
    }

    long now() {
        return now;
    }

    boolean isIdle() {
        return underWay.isEmpty();
    }

    long nextDelivery() {
        return underWay.isEmpty() ? Long.MAX_VALUE : underWay.peek().time();
    }

    void advanceTo(long time) {
        now = Math.max(now, time);
    }

    /** Delivers everything that is due. */
    void deliver() {
        while (!underWay.isEmpty() && underWay.peek().time() <= now) {
            Delivery delivery = underWay.poll();
            delivery.direction().receiver.accept(delivery.frame());
        }
    }

    /** One way of the link. */
    final class Direction implements FrameSink {

        private final MemorySegment memory = Arena.ofAuto().allocate(Frame.MAX_LENGTH);
        private final Frame frame = new Frame();
        private long busyUntil;
        Consumer<byte[]> receiver = bytes -> {};
        Consumer<byte[]> tap = bytes -> {};
        java.util.function.Predicate<byte[]> dropIf = bytes -> false;
        int room = 4 << 20;

        @Override
        public int room() {
            return room;
        }

        @Override
        public Frame begin(int capacity) {
            // A frame must not show what was in memory before it (robustness: host memory to guest).
            memory.fill((byte) 0xA5);
            return frame.set(memory, 0, capacity);
        }

        @Override
        public void send(Frame sent) {
            byte[] unit =
                    sent.bytes().asSlice(sent.offset(), sent.length()).toArray(java.lang.foreign.ValueLayout.JAVA_BYTE);
            if (sent.segmentSize() == 0) {
                put(complete(unit, sent));
                return;
            }
            int headers = EthernetFrame.HEADER_LENGTH + Ipv4Packet.HEADER_LENGTH + TcpSegment.HEADER_LENGTH;
            int payload = unit.length - headers;
            for (int at = 0; at < payload; at += sent.segmentSize()) {
                int part = Math.min(sent.segmentSize(), payload - at);
                byte[] cut = new byte[headers + part];
                System.arraycopy(unit, 0, cut, 0, headers);
                System.arraycopy(unit, headers + at, cut, headers, part);
                MemorySegment bytes = MemorySegment.ofArray(cut);
                Ipv4Packet.write(
                        bytes,
                        14,
                        cut.length - 14,
                        BigEndian.u16(bytes, 18) + at,
                        0x4000,
                        64,
                        6,
                        BigEndian.i32(bytes, 26),
                        BigEndian.i32(bytes, 30));
                BigEndian.putI32(bytes, 38, BigEndian.i32(bytes, 38) + at);
                if (at + part < payload) {
                    BigEndian.putU8(bytes, 47, BigEndian.u8(bytes, 47) & ~TcpSegment.PSH);
                }
                BigEndian.putU16(
                        bytes,
                        50,
                        Checksum.pseudoHeader(BigEndian.i32(bytes, 26), BigEndian.i32(bytes, 30), 6, cut.length - 34));
                put(complete(cut, sent));
            }
        }

        private byte[] complete(byte[] bytes, Frame sent) {
            if (sent.checksum() == Frame.ChecksumState.PARTIAL) {
                MemorySegment segment = MemorySegment.ofArray(bytes);
                int sum = Checksum.sum(segment, sent.checksumStart(), bytes.length - sent.checksumStart());
                BigEndian.putU16(segment, sent.checksumStart() + sent.checksumOffset(), Checksum.finish(sum));
            }
            return bytes;
        }

        private void put(byte[] bytes) {
            tap.accept(bytes);
            if (dropIf.test(bytes)) {
                lost++;
                return;
            }
            busyUntil = Math.max(now, busyUntil) + bytes.length * conditions.nanosPerByte1000() / 1000;
            if (losing > 0 || random.nextDouble() < conditions.loss() / conditions.burst()) {
                losing = losing > 0 ? losing - 1 : conditions.burst() - 1;
                lost++;
                return;
            }
            if (random.nextDouble() < conditions.corruption()) {
                bytes[14 + random.nextInt(bytes.length - 14)] ^= (byte) (1 << random.nextInt(8));
                corrupted++;
            }
            long late = random.nextDouble() < conditions.reordering()
                    ? (long) (random.nextDouble() * conditions.delay() * 4)
                    : 0;
            underWay.add(new Delivery(busyUntil + conditions.delay() + late, order++, this, bytes));
            if (random.nextDouble() < conditions.duplication()) {
                underWay.add(new Delivery(busyUntil + conditions.delay(), order++, this, bytes.clone()));
            }
        }
    }
}
