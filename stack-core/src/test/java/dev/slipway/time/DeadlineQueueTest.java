package dev.slipway.time;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Combinators;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import org.junit.jupiter.api.Test;

/** Against a list that is looked through whole. */
class DeadlineQueueTest {

    private static final int THINGS = 20;

    private static final class Thing extends Timed {
        long due = NEVER;
        long again = NEVER;
        int fired;
        long firedAt;

        @Override
        protected long deadline() {
            return due;
        }

        @Override
        protected void expired(long now) {
            fired++;
            firedAt = now;
            due = again;
        }
    }

    enum Kind {
        SET,
        CLEAR,
        REMOVE,
        PASS
    }

    record Step(Kind kind, int thing, int amount) {}

    @Provide
    Arbitrary<List<Step>> steps() {
        return Combinators.combine(
                        Arbitraries.of(Kind.class),
                        Arbitraries.integers().between(0, THINGS - 1),
                        Arbitraries.integers().between(0, 1_000))
                .as(Step::new)
                .list()
                .ofMaxSize(200);
    }

    @Property
    void firesWhatIsDueAndNothingElse(@ForAll("steps") List<Step> steps) {
        DeadlineQueue queue = new DeadlineQueue();
        List<Thing> things = new ArrayList<>();
        boolean[] watched = new boolean[THINGS];
        for (int i = 0; i < THINGS; i++) {
            things.add(new Thing());
        }
        long now = -5_000;
        for (Step step : steps) {
            Thing thing = things.get(step.thing());
            switch (step.kind()) {
                case SET -> {
                    thing.due = now + step.amount();
                    queue.watch(thing);
                    watched[step.thing()] = true;
                }
                case CLEAR -> thing.due = Timed.NEVER;
                case REMOVE -> {
                    queue.remove(thing);
                    watched[step.thing()] = false;
                    thing.due = Timed.NEVER;
                }
                case PASS -> {
                    now += step.amount();
                    int[] expected = new int[THINGS];
                    for (int i = 0; i < THINGS; i++) {
                        expected[i] = things.get(i).fired + (watched[i] && things.get(i).due <= now ? 1 : 0);
                    }
                    queue.poll(now);
                    for (int i = 0; i < THINGS; i++) {
                        assertThat(things.get(i).fired).as("thing %d", i).isEqualTo(expected[i]);
                    }
                }
            }
            long earliest = Timed.NEVER;
            for (int i = 0; i < THINGS; i++) {
                earliest = watched[i] ? Math.min(earliest, things.get(i).due) : earliest;
            }
            assertThat(queue.next()).as("never later than a deadline").isLessThanOrEqualTo(earliest);
        }
    }

    @Test
    void aJumpOverManyIntervalsFiresOnce() {
        DeadlineQueue queue = new DeadlineQueue();
        Thing thing = new Thing();
        thing.due = 10;
        thing.again = 20;
        queue.watch(thing);
        queue.poll(1_000_000_000_000L);
        assertThat(thing.fired).isEqualTo(1);
        assertThat(queue.size()).isEqualTo(1);
        thing.again = Timed.NEVER;
        queue.poll(1_000_000_000_001L);
        assertThat(thing.fired).isEqualTo(2);
        assertThat(queue.size()).isZero();
    }

    @Test
    void aDeadlineThatMovesAwayIsLookedAtAndKept() {
        DeadlineQueue queue = new DeadlineQueue();
        Thing thing = new Thing();
        thing.due = 100;
        queue.watch(thing);
        thing.due = 500;
        queue.poll(100);
        assertThat(thing.fired).isZero();
        assertThat(queue.next()).isEqualTo(500);
        thing.due = 200;
        queue.watch(thing);
        queue.poll(200);
        assertThat(thing.firedAt).isEqualTo(200);
    }

    @Test
    void manyThingsFireInOrder() {
        DeadlineQueue queue = new DeadlineQueue();
        List<Long> order = new ArrayList<>();
        java.util.Random random = new java.util.Random(3);
        for (int i = 0; i < 5_000; i++) {
            long due = random.nextInt(1_000_000);
            Timed timed = new Timed() {
                private boolean done;

                @Override
                protected long deadline() {
                    return done ? NEVER : due;
                }

                @Override
                protected void expired(long now) {
                    done = true;
                    order.add(due);
                }
            };
            queue.watch(timed);
        }
        queue.poll(1_000_000);
        assertThat(order).hasSize(5_000).isSorted();
        assertThat(queue.size()).isZero();
        assertThat(queue.next()).isEqualTo(Timed.NEVER);
    }
}
