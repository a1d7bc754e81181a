package dev.slipway.guest;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.condition.EnabledIfSystemProperty;
import org.junit.jupiter.api.extension.ExtendWith;

/**
 * Days of a laptop in minutes, {@link SoakRound} after round. In the end descriptors, resident memory, heap, objects, flows
 * and queries are what they were after the first rounds, and the idle process needs hardly any processor time.
 *
 * <p>Runs only if it is told how long: {@code -Dslipway.soak.minutes=60}. {@code -Dslipway.soak.pause=SECONDS} between
 * rounds leaves the machine to others meanwhile. docs/testing.md has the command.
 */
@Tag("guest")
@Tag("slow")
@Timeout(value = 30, unit = TimeUnit.DAYS)
@EnabledIfSystemProperty(named = "slipway.soak.minutes", matches = "[0-9.]+")
@ExtendWith(NeedsNamespaces.class)
class GuestSoakTest {

    private static final long MIB = 1 << 20;
    /** Until code is compiled and buffers have their sizes. */
    private static final int WARM_UP_ROUNDS = 20;
    /** The longest time that UDP ports live after an answer, and some more. */
    private static final Duration QUIET = Duration.ofSeconds(190);

    /** Until sockets to name servers and of the API, which no counter tells of, are closed. */
    private static final int SETTLING_SECONDS = 15;

    private static final int IDLE_SECONDS = 20;
    private static final long MAY_GROW_RESIDENT = 24 * MIB;
    private static final long MAY_GROW_HEAP = MIB;
    /** Of one class. A round makes hundreds of flows. */
    private static final long MAY_GROW_OBJECTS = 100;

    @Test
    void roundAfterRoundLeavesNothing() throws Exception {
        double minutes = Double.parseDouble(System.getProperty("slipway.soak.minutes"));
        double pause = Double.parseDouble(System.getProperty("slipway.soak.pause", "0"));
        try (NamespaceGuest machines = NamespaceGuest.start(Backend.SLIPWAY)) {
            try {
                soak(machines, minutes, (long) (pause * 1_000));
            } catch (Exception | AssertionError e) {
                System.out.println(machines.report());
                throw e;
            }
        }
    }

    private static void soak(NamespaceGuest machines, double minutes, long pauseMillis) throws Exception {
        machines.lease();
        SoakRound round = new SoakRound(machines);
        while (round.done() < WARM_UP_ROUNDS) {
            round.run();
        }
        Holdings before = settled(machines);
        System.out.println("soak: after the warm-up " + before);
        long end = System.nanoTime() + (long) (minutes * TimeUnit.MINUTES.toNanos(1));
        while (System.nanoTime() < end) {
            round.run();
            TimeUnit.MILLISECONDS.sleep(pauseMillis);
        }
        Holdings after = settled(machines);
        System.out.printf(
                "soak: %d rounds in %.1f minutes, %d TCP connections, %d datagrams, %d queries, %d restarts; then %s%n",
                round.done() - WARM_UP_ROUNDS,
                minutes,
                machines.status().count("tcpOpened"),
                machines.status().count("udpToHost"),
                machines.status().count("dnsQueries"),
                machines.status().count("connections") - 1,
                after);
        assertNothingGrew(before, after);
        for (String counter : new String[] {"stackFailures", "linkFailures", "outOfMemory", "tcpFlowsShed"}) {
            assertThat(machines.status().count(counter)).as(counter).isZero();
        }
        assertIdle(machines);
        assertThat(machines.backendOutput()).doesNotContain("LEAK:", "defect number");
    }

    private static void assertNothingGrew(Holdings before, Holdings after) {
        System.out.println("soak: more descriptors of " + after.moreDescriptorsThan(before));
        System.out.println("soak: more objects of " + after.moreObjectsThan(before, 10));
        assertThat(after.moreDescriptorsThan(before)).as("more descriptors").isEmpty();
        assertThat(after.tcp()).as("TCP connections").isZero();
        assertThat(after.udp()).as("UDP ports").isZero();
        assertThat(after.pings()).as("ping sockets").isZero();
        assertThat(after.names()).as("queries").isZero();
        assertThat(after.resident() - before.resident())
                .as("growth of what is resident, in bytes")
                .isLessThan(MAY_GROW_RESIDENT);
        assertThat(after.heap() - before.heap())
                .as("growth of the heap after a collection, in bytes")
                .isLessThan(MAY_GROW_HEAP);
        assertThat(after.moreObjectsThan(before, MAY_GROW_OBJECTS))
                .as("more objects")
                .isEmpty();
    }

    private static void assertIdle(NamespaceGuest machines) throws Exception {
        long processor = machines.backend().processorMillis();
        TimeUnit.SECONDS.sleep(IDLE_SECONDS);
        double idle = (machines.backend().processorMillis() - processor) / (10.0 * IDLE_SECONDS);
        System.out.printf("soak: idle, %.2f %% of a processor%n", idle);
        assertThat(idle).as("per cent of a processor while idle").isLessThan(1);
    }

    /** What is held once all that times out by itself has done so. */
    private static Holdings settled(NamespaceGuest machines) throws Exception {
        Await.until(
                "no flow is open",
                QUIET,
                () -> machines.status().count("tcpOpen") + machines.status().count("udpOpen") == 0);
        TimeUnit.SECONDS.sleep(SETTLING_SECONDS);
        return Holdings.of(machines);
    }
}
