package dev.slipway.lan;

import static org.assertj.core.api.Assertions.assertThat;

import dev.slipway.testing.PacketBuilder;
import dev.slipway.wire.Frame;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayDeque;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

final class FrameQueueTest {

    private static final int FRAMES = 40_000;

    private final Frame out = new Frame();

    private static Frame frame(int length, int fill) {
        MemorySegment bytes = Arena.ofAuto().allocate(Math.max(1, length));
        bytes.fill((byte) fill);
        return new Frame().set(bytes, 0, length);
    }

    private byte[] take(FrameQueue queue) {
        queue.peek(out);
        byte[] bytes = out.bytes().asSlice(out.offset(), out.length()).toArray(ValueLayout.JAVA_BYTE);
        queue.remove();
        return bytes;
    }

    @Test
    void framesOfAnyLengthComeOutAsTheyWentInAndInOrder() {
        long seed = new Random().nextLong();
        System.out.println("seed " + seed);
        Random random = new Random(seed);
        FrameQueue queue = new FrameQueue(2);
        ArrayDeque<byte[]> expected = new ArrayDeque<>();
        for (int i = 0; i < 20_000; i++) {
            if (random.nextInt(5) < 3) {
                int length = random.nextInt(4) == 0 ? random.nextInt(Frame.MAX_LENGTH + 1) : random.nextInt(2_000);
                byte[] bytes = new byte[Math.max(1, length)];
                random.nextBytes(bytes);
                Frame frame = PacketBuilder.frame(PacketBuilder.segment(bytes));
                if (queue.offer(frame, 0, 7)) {
                    expected.add(bytes);
                } else {
                    assertThat(expected).as("refused while there is room").isNotEmpty();
                }
            } else if (!expected.isEmpty()) {
                assertThat(queue.isEmpty()).isFalse();
                assertThat(queue.connection()).isEqualTo(7);
                assertThat(take(queue)).isEqualTo(expected.poll());
            } else {
                assertThat(queue.isEmpty()).isTrue();
            }
        }
    }

    @Test
    void senderHasItsShareAndOthersHaveTheirs() {
        FrameQueue queue = new FrameQueue(5);
        int kept = 0;
        while (queue.offer(frame(1514, 1), 0, 1)) {
            kept++;
        }
        assertThat(kept).isEqualTo(FrameQueue.SLOTS / 4 / 3);
        for (int sender = 1; sender < 4; sender++) {
            int others = 0;
            while (queue.offer(frame(1514, sender), sender, 1)) {
                others++;
            }
            assertThat(others).isBetween(kept - 1, kept);
        }
        take(queue);
        assertThat(queue.offer(frame(1514, 1), 0, 1)).isTrue();
        assertThat(queue.offer(frame(1514, 1), 0, 1)).isFalse();
    }

    @Test
    void longestFrameFitsTheShareOfASenderAmongMany() {
        FrameQueue queue = new FrameQueue(200);
        for (int i = 0; i < 100; i++) {
            assertThat(queue.offer(frame(Frame.MAX_LENGTH, i), i, 1)).isTrue();
            assertThat(take(queue)).hasSize(Frame.MAX_LENGTH).containsOnly(i);
        }
    }

    @Test
    @Timeout(60)
    void sendersOnThreadsOfTheirOwnLoseAndMixNothing() throws Exception {
        FrameQueue queue = new FrameQueue(4);
        try (ExecutorService threads = Executors.newFixedThreadPool(3)) {
            CompletableFuture<?>[] senders = new CompletableFuture<?>[3];
            for (int i = 0; i < senders.length; i++) {
                int sender = i;
                senders[i] = CompletableFuture.runAsync(() -> sendAll(queue, sender), threads);
            }
            int[] next = new int[3];
            long until = System.nanoTime() + TimeUnit.SECONDS.toNanos(50);
            for (int received = 0; received < 3 * FRAMES; ) {
                if (queue.isEmpty()) {
                    assertThat(System.nanoTime()).isLessThan(until);
                    Thread.yield();
                    continue;
                }
                queue.peek(out);
                int number = out.bytes().get(ValueLayout.JAVA_INT_UNALIGNED, out.offset());
                int sender = number % 3;
                assertThat(number / 3).isEqualTo(next[sender]++);
                int last = out.bytes().get(ValueLayout.JAVA_INT_UNALIGNED, out.offset() + out.length() - 4);
                assertThat(last).isEqualTo(number);
                assertThat(out.segmentSize()).isEqualTo(number & 0xFFF);
                queue.remove();
                received++;
            }
            CompletableFuture.allOf(senders).get(10, TimeUnit.SECONDS);
        }
        assertThat(queue.isEmpty()).isTrue();
        assertThat(queue.inUse()).isZero();
    }

    private static void sendAll(FrameQueue queue, int sender) {
        Random random = new Random(sender);
        MemorySegment bytes = Arena.ofAuto().allocate(8_000);
        Frame frame = new Frame();
        for (int i = 0; i < FRAMES; i++) {
            int number = i * 3 + sender;
            int length = 8 + random.nextInt(7_000);
            bytes.set(ValueLayout.JAVA_INT_UNALIGNED, 0, number);
            bytes.set(ValueLayout.JAVA_INT_UNALIGNED, length - 4, number);
            frame.set(bytes, 0, length).largeUnit(number & 0xFFF);
            while (!queue.offer(frame, sender, 1)) {
                Thread.yield();
            }
        }
    }
}
