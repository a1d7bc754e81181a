package dev.slipway.ethernet;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class QueueLimitTest {

    private long now = -5_000_000_000L;
    private final QueueLimit limit = new QueueLimit(() -> now);

    /** The queue is full until the guest has taken so many bytes, in that time. */
    private int fullFor(long nanos, int bytes) {
        limit.reached();
        limit.taken(bytes / 2);
        limit.taken(bytes - bytes / 2);
        now += nanos;
        limit.left();
        return limit.bytes();
    }

    @Test
    void aFastGuestGetsALongQueueWithinFewRounds() {
        assertThat(limit.bytes()).isEqualTo(QueueLimit.LEAST);
        int before = 0;
        for (int round = 0; round < 6; round++) {
            before = limit.bytes();
            assertThat(fullFor(2_000_000, 1_000_000)).isGreaterThanOrEqualTo(before);
        }
        assertThat(before).isEqualTo(QueueLimit.MOST);
    }

    @Test
    void whatWaitsForASlowGuestIsTheLeastAgain() {
        for (int round = 0; round < 6; round++) {
            fullFor(2_000_000, 1_000_000);
        }
        fullFor(50_000_000, 1_000_000);
        fullFor(50_000_000, 1_000_000);
        assertThat(fullFor(50_000_000, 1_000_000)).isEqualTo(QueueLimit.LEAST);
    }

    @Test
    void inBetweenItIsWhatTheGuestTakesInItsTime() {
        for (int round = 0; round < 30; round++) {
            fullFor(10_000_000, 1_500_000);
        }
        assertThat(limit.bytes()).isBetween(2_249_000, 2_251_000);
    }

    @Test
    void whatOneGuestTookSaysNothingOfTheNext() {
        for (int round = 0; round < 6; round++) {
            fullFor(2_000_000, 1_000_000);
        }
        limit.begin();
        assertThat(limit.bytes()).isEqualTo(QueueLimit.LEAST);
    }

    /** So that what was within the limit, and is half gone, is within the next one, and its reserve is there. */
    @Test
    void itNeverFallsBelowHalf() {
        for (int round = 0; round < 6; round++) {
            fullFor(1_000_000, 4_000_000);
        }
        assertThat(fullFor(10_000_000_000L, 1)).isEqualTo(QueueLimit.MOST / 2);
    }

    @Test
    void aClockThatStandsStillOrGoesBackMakesTheMost() {
        fullFor(0, 4_000_000);
        assertThat(limit.bytes()).isEqualTo(QueueLimit.MOST);
        fullFor(-1_000_000, 4_000_000);
        assertThat(limit.bytes()).isEqualTo(QueueLimit.MOST);
        assertThat(fullFor(-1_000_000, Integer.MAX_VALUE)).isEqualTo(QueueLimit.MOST);
    }
}
