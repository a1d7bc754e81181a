package dev.slipway.wire;

import static org.assertj.core.api.Assertions.assertThat;

import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import org.junit.jupiter.api.Test;

final class SequenceNumberTest {

    @Property
    void orderIsThatOfTheDistanceWhereverTheWrapLies(
            @ForAll int from, @ForAll @IntRange(min = 1, max = Integer.MAX_VALUE) int distance) {
        int to = from + distance;
        assertThat(SequenceNumber.before(from, to)).isTrue();
        assertThat(SequenceNumber.beforeOrAt(from, to)).isTrue();
        assertThat(SequenceNumber.after(from, to)).isFalse();
        assertThat(SequenceNumber.afterOrAt(from, to)).isFalse();
        assertThat(SequenceNumber.before(to, from)).isFalse();
        assertThat(SequenceNumber.beforeOrAt(to, from)).isFalse();
        assertThat(SequenceNumber.after(to, from)).isTrue();
        assertThat(SequenceNumber.afterOrAt(to, from)).isTrue();
        assertThat(SequenceNumber.max(from, to)).isEqualTo(to);
        assertThat(SequenceNumber.max(to, from)).isEqualTo(to);
        assertThat(SequenceNumber.min(from, to)).isEqualTo(from);
        assertThat(SequenceNumber.min(to, from)).isEqualTo(from);
    }

    @Property
    void numberIsNeitherBeforeNorAfterItself(@ForAll int number) {
        assertThat(SequenceNumber.before(number, number)).isFalse();
        assertThat(SequenceNumber.after(number, number)).isFalse();
        assertThat(SequenceNumber.beforeOrAt(number, number)).isTrue();
        assertThat(SequenceNumber.afterOrAt(number, number)).isTrue();
        assertThat(SequenceNumber.max(number, number)).isEqualTo(number);
    }

    @Test
    void wrapIsCrossed() {
        assertThat(SequenceNumber.before(0xFFFF_FFF0, 0x10)).isTrue();
        assertThat(SequenceNumber.after(0x10, 0xFFFF_FFF0)).isTrue();
        assertThat(SequenceNumber.max(0xFFFF_FFFF, 0)).isZero();
        assertThat(SequenceNumber.before(0x7FFF_FFFF, 0x8000_0000)).isTrue();
    }
}
