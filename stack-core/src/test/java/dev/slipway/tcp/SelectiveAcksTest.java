package dev.slipway.tcp;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.BitSet;
import java.util.List;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Combinators;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import org.junit.jupiter.api.Test;

/** Against a bit for each byte. */
class SelectiveAcksTest {

    private static final int SPACE = 400;

    record Step(boolean advance, int start, int length) {}

    @Provide
    Arbitrary<List<Step>> steps() {
        Arbitrary<Step> step = Combinators.combine(
                        Arbitraries.integers().between(0, 9).map(i -> i == 0),
                        Arbitraries.integers().between(0, SPACE - 40),
                        Arbitraries.integers().between(1, 40))
                .as(Step::new);
        return step.list().ofMaxSize(60);
    }

    @Property
    void agreesWithANaiveModel(@ForAll("steps") List<Step> steps) {
        SelectiveAcks acks = new SelectiveAcks();
        BitSet model = new BitSet();
        for (Step step : steps) {
            if (step.advance()) {
                acks.advance(step.start());
                model.clear(0, step.start());
            } else {
                BitSet wanted = (BitSet) model.clone();
                wanted.set(step.start(), step.start() + step.length());
                boolean news = acks.add(step.start(), step.start() + step.length());
                if (news) {
                    assertThat(wanted).isNotEqualTo(model);
                    model = wanted;
                } else if (!wanted.equals(model)) {
                    assertThat(ranges(model)).as("refused only when it is full").isEqualTo(32);
                }
            }
            assertSame(acks, model);
        }
    }

    private static void assertSame(SelectiveAcks acks, BitSet model) {
        assertThat(acks.isEmpty()).isEqualTo(model.isEmpty());
        assertThat(acks.highest()).isEqualTo(model.length());
        assertThat(acks.total()).isEqualTo(model.cardinality());
        for (int at = 0; at < SPACE; at += 7) {
            assertThat(acks.nextHole(at)).isEqualTo(model.nextClearBit(at));
            int hole = model.nextClearBit(at);
            int end = model.nextSetBit(hole);
            assertThat(acks.holeEnd(hole)).isEqualTo(end < 0 ? Long.MAX_VALUE : end);
            for (int to = at; to < SPACE; to += 31) {
                assertThat(acks.missing(at, to))
                        .isEqualTo(to - at - model.get(at, to).cardinality());
            }
        }
        assertThat(acks.missing(50, 10)).isZero();
    }

    private static int ranges(BitSet model) {
        int ranges = 0;
        for (int at = model.nextSetBit(0); at >= 0; at = model.nextSetBit(model.nextClearBit(at))) {
            ranges++;
        }
        return ranges;
    }

    @Test
    void moreRangesThanItHoldsAreForgotten() {
        SelectiveAcks acks = new SelectiveAcks();
        for (int i = 0; i < 1_000; i++) {
            acks.add(10L * i, 10L * i + 1);
        }
        assertThat(acks.total()).isEqualTo(32);
        acks.clear();
        assertThat(acks.isEmpty()).isTrue();
        assertThat(acks.highest()).isZero();
    }
}
