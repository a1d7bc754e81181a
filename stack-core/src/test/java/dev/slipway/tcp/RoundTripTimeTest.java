package dev.slipway.tcp;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

/** RFC 6298. */
class RoundTripTimeTest {

    private static final long MS = 1_000_000L;

    private final RoundTripTime time = new RoundTripTime();

    @Test
    void beforeAMeasurementItIsASecond() {
        assertThat(time.timeout()).isEqualTo(RoundTripTime.INITIAL_TIMEOUT);
        assertThat(time.smoothed()).isNegative();
    }

    @Test
    void theFirstMeasurementCountsWhole() {
        time.measured(400 * MS);
        assertThat(time.smoothed()).isEqualTo(400 * MS);
        assertThat(time.timeout()).isEqualTo(400 * MS + 4 * 200 * MS);
    }

    @Test
    void laterOnesAreSmoothed() {
        time.measured(400 * MS);
        time.measured(800 * MS);
        // variation 3/4 * 200 + 1/4 * 400 = 250, smoothed 7/8 * 400 + 1/8 * 800 = 450
        assertThat(time.smoothed()).isEqualTo(450 * MS);
        assertThat(time.timeout()).isEqualTo(450 * MS + 4 * 250 * MS);
        for (int i = 0; i < 200; i++) {
            time.measured(500 * MS);
        }
        assertThat(time.smoothed()).isBetween(499 * MS, 501 * MS);
        assertThat(time.timeout()).isBetween(499 * MS, 510 * MS);
    }

    @Test
    void aFastLinkHasTheLeastTimeOut() {
        time.measured(10_000);
        assertThat(time.timeout()).isEqualTo(RoundTripTime.MIN_TIMEOUT);
    }

    @Test
    void itBacksOffToAMinuteAndComesBack() {
        time.measured(100_000);
        long before = time.timeout();
        for (int i = 0; i < 40; i++) {
            time.backOff();
            assertThat(time.timeout()).isEqualTo(Math.min(RoundTripTime.MAX_TIMEOUT, 2 * before));
            before = time.timeout();
        }
        assertThat(before).isEqualTo(RoundTripTime.MAX_TIMEOUT);
        time.progressed();
        assertThat(time.timeout()).isEqualTo(RoundTripTime.MIN_TIMEOUT);
    }

    @Test
    void absurdMeasurementsDoNotOverflow() {
        time.measured(Long.MAX_VALUE / 16);
        time.backOff();
        assertThat(time.timeout()).isEqualTo(RoundTripTime.MAX_TIMEOUT);
    }
}
