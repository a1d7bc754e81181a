package dev.slipway.host;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;

class MemoryReserveTest {

    private static final long SECOND = TimeUnit.SECONDS.toNanos(1);

    private final AtomicInteger ended = new AtomicInteger();
    private final MemoryReserve reserve = new MemoryReserve(ended::incrementAndGet);

    @Test
    void noFlowBeginsUntilMemoryHasSufficedForAWhile() {
        assertThat(reserve.admitsFlows(0)).isTrue();
        reserve.exhausted(SECOND);
        assertThat(reserve.admitsFlows(SECOND + 1)).isFalse();
        assertThat(reserve.admitsFlows(2 * SECOND)).isTrue();
        assertThat(reserve.failures()).isEqualTo(1);
    }

    @Test
    void memoryThatRunsOutNowAndThenEndsNothing() {
        for (int i = 0; i < 1_000; i++) {
            reserve.exhausted(i * 4 * SECOND);
        }
        assertThat(ended).hasValue(0);
    }

    @Test
    void flowsThatBeginInBetweenShowThatTheProcessServes() {
        for (int i = 0; i < 100; i++) {
            reserve.exhausted(i * SECOND);
            assertThat(reserve.admitsFlows(i * SECOND + SECOND / 2)).isTrue();
        }
        assertThat(ended).hasValue(0);
    }

    @Test
    void memoryThatGoesOnToRunOutEndsTheProcess() {
        for (int i = 0; i <= 10; i++) {
            reserve.exhausted(i * SECOND);
            assertThat(ended).hasValue(0);
        }
        reserve.exhausted(11 * SECOND);
        assertThat(ended).hasValue(1);
    }
}
