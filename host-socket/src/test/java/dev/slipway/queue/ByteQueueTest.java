package dev.slipway.queue;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.PooledByteBufAllocator;
import java.lang.foreign.MemorySegment;
import java.util.Random;
import org.junit.jupiter.api.Test;

final class ByteQueueTest {

    private final QueueBudget budget = new QueueBudget(1 << 20);
    private final ByteQueue queue = new ByteQueue(budget);

    private static byte pattern(long position) {
        return (byte) (position * 31 + (position >>> 8) * 7 + (position >>> 16));
    }

    private void append(long from, int length, int size) {
        ByteBuf buffer = queue.target(PooledByteBufAllocator.DEFAULT, size);
        int fits = Math.min(length, buffer.writableBytes());
        byte[] bytes = new byte[fits];
        for (int i = 0; i < fits; i++) {
            bytes[i] = pattern(from + i);
        }
        buffer.writeBytes(bytes);
        queue.append(buffer);
    }

    @Test
    void anyPositionCanBeCopiedUntilItIsDiscarded() {
        long seed = new Random().nextLong();
        Random random = new Random(seed);
        byte[] out = new byte[10_000];
        MemorySegment target = MemorySegment.ofArray(out);
        long start = 0;
        for (int round = 0; round < 5_000; round++) {
            if (queue.held() < 100_000) {
                append(queue.end(), 1 + random.nextInt(3_000), 512 << random.nextInt(4));
            }
            long position = start + random.nextLong(queue.end() - start + 1);
            int length = random.nextInt(out.length);
            int copied = queue.copy(position, target, 0, length);
            assertThat(copied).as("seed %s", seed).isEqualTo((int) Math.min(length, queue.end() - position));
            boolean exact = true;
            for (int i = 0; i < copied; i++) {
                exact &= out[i] == pattern(position + i);
            }
            assertThat(exact)
                    .as("seed %s position %s length %s", seed, position, copied)
                    .isTrue();
            if (random.nextInt(3) == 0) {
                start = position;
                queue.discard(start);
            }
            assertThat(budget.held()).isEqualTo(queue.held());
        }
        queue.clear();
        assertThat(budget.held()).isZero();
    }

    @Test
    void singleBytesFillOneBuffer() {
        for (int i = 0; i < 1_000; i++) {
            append(i, 1, 2_048);
        }
        assertThat(queue.end()).isEqualTo(1_000);
        assertThat(queue.held()).isEqualTo(2_048);
        queue.discard(1_000);
        assertThat(queue.held()).isZero();
    }

    @Test
    void discardedAndFuturePositionsAreRefused() {
        append(0, 100, 512);
        queue.discard(50);
        byte[] out = new byte[1];
        assertThatThrownBy(() -> queue.copy(49, MemorySegment.ofArray(out), 0, 1))
                .hasMessageContaining("49");
        assertThatThrownBy(() -> queue.discard(101)).hasMessageContaining("101");
        assertThat(queue.copy(100, MemorySegment.ofArray(out), 0, 1)).isZero();
        queue.clear();
    }
}
