package dev.slipway.tcp;

import static org.assertj.core.api.Assertions.assertThat;

import dev.slipway.tcp.SimulatedLink.Conditions;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Bytes that go through whatever the link does to the frames, in virtual time. */
class TransferTest {

    private static final long SECOND = 1_000_000_000L;
    private static final long MIB = 1 << 20;

    /** Both directions at once, each ended by its sender, checked byte for byte; returns the virtual nanoseconds. */
    private static long transfer(long seed, Conditions conditions, long up, long down, long limit) {
        SimulatedNetwork network = new SimulatedNetwork(seed, conditions);
        network.hostFactory = listener -> new PatternStream(down, 2, 1);
        PatternStream program = network.dial(new PatternStream(up, 1, 2), 40_000);
        long start = network.link.now();
        boolean done = network.runUntil(
                () -> program.wasClosed && !network.hostStreams.isEmpty() && network.hostStreams.getFirst().wasClosed,
                limit);
        PatternStream server = network.hostStreams.getFirst();
        assertThat(done)
                .as(
                        "finished; seed %d: guest got %d of %d, host got %d of %d, %s",
                        seed, program.written, down, server.written, up, network.stack.drops)
                .isTrue();
        assertThat(program.written).isEqualTo(down);
        assertThat(server.written).isEqualTo(up);
        assertThat(program.shutdownWanted && server.shutdownWanted)
                .as("both ends told")
                .isTrue();
        long elapsed = network.link.now() - start;
        network.run(10 * SECOND);
        assertThat(network.stack.table.size()).as("connections left").isZero();
        assertThat(network.stack.deadlines.size()).as("timers left").isZero();
        assertThat(network.stack.table.outOfOrderBytes()).as("bytes left").isZero();
        return elapsed;
    }

    @ParameterizedTest
    @ValueSource(longs = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10})
    void bytesSurviveEverythingALinkCanDo(long seed) {
        Conditions bad = Conditions.perfect()
                .withLoss(0.03)
                .withDuplication(0.02)
                .withReordering(0.05)
                .withCorruption(0.01);
        transfer(seed, bad, MIB, MIB, 600 * SECOND);
    }

    @ParameterizedTest
    @ValueSource(ints = {2, 5, 20, 60})
    void bytesSurviveLossesInBursts(int burst) {
        transfer(burst, Conditions.perfect().withLoss(0.02).withBurst(burst), 2 * MIB, 2 * MIB, 600 * SECOND);
    }

    @ParameterizedTest
    @ValueSource(doubles = {0.01, 0.1, 0.5})
    void bytesSurviveReordering(double chance) {
        transfer(11, Conditions.perfect().withReordering(chance), 4 * MIB, 4 * MIB, 100 * SECOND);
    }

    @Test
    void aPerfectLinkSeesNoRetransmission() {
        SimulatedNetwork network = new SimulatedNetwork(1, Conditions.perfect());
        network.hostFactory = listener -> new PatternStream(20 * MIB, 2, 1);
        PatternStream program = network.dial(new PatternStream(20 * MIB, 1, 2), 40_000);
        assertThat(network.runUntil(() -> program.wasClosed, 60 * SECOND)).isTrue();
        assertThat(network.stack.table.counters().retransmittedBytes()).isZero();
        assertThat(network.guest.table.counters().retransmittedBytes()).isZero();
        assertThat(network.stack.drops.total())
                .as(network.stack.drops.toString())
                .isZero();
    }

    /** 10 MiB in one direction by loss; the table is the project's record of how well losses are recovered from. */
    @Test
    void throughputUnderLossIsAsRecorded() throws Exception {
        List<String> table = new ArrayList<>();
        table.add("loss %   up Mbit/s   down Mbit/s     (10 MiB, 10 Gbit/s link, 100 us round trip, MTU 1500)");
        for (double loss : new double[] {0, 0.1, 1, 5, 20}) {
            Conditions conditions = Conditions.perfect().withLoss(loss / 100);
            long up = transfer(42, conditions, 10 * MIB, 0, 3600 * SECOND);
            long down = transfer(42, conditions, 0, 10 * MIB, 3600 * SECOND);
            table.add(String.format(Locale.ROOT, "%6.1f %11.1f %13.1f", loss, rate(up), rate(down)));
        }
        Path record = Path.of("src/test/resources/throughput-under-loss.txt");
        if (Boolean.getBoolean("slipway.record")) {
            Files.createDirectories(record.getParent());
            Files.write(record, table);
        }
        assertThat(table)
                .as("deterministic, so any change is a change of behaviour; record anew with -Dslipway.record=true")
                .isEqualTo(Files.readAllLines(record));
    }

    private static double rate(long nanos) {
        return 10 * MIB * 8 * 1e3 / nanos;
    }
}
