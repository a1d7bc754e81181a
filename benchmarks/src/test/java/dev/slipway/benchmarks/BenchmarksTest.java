package dev.slipway.benchmarks;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Collection;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.results.RunResult;
import org.openjdk.jmh.runner.BenchmarkList;
import org.openjdk.jmh.runner.Runner;
import org.openjdk.jmh.runner.RunnerException;
import org.openjdk.jmh.runner.options.Options;
import org.openjdk.jmh.runner.options.OptionsBuilder;
import org.openjdk.jmh.runner.options.VerboseMode;

/** That every benchmark runs; how fast is none of this test's business. */
@Timeout(60)
class BenchmarksTest {

    @Test
    void everyBenchmarkRunsOnce() throws RunnerException {
        Options once = new OptionsBuilder()
                .include("dev\\.slipway\\.benchmarks\\..*")
                .mode(Mode.SingleShotTime)
                .forks(0)
                .warmupIterations(0)
                .measurementIterations(1)
                .shouldFailOnError(true)
                .verbosity(VerboseMode.SILENT)
                .build();
        Collection<RunResult> results = new Runner(once).run();
        assertThat(results.stream().map(run -> run.getParams().getBenchmark()).distinct())
                .as("benchmarks that ran, of all that %s lists", BenchmarkList.BENCHMARK_LIST)
                .contains(
                        "dev.slipway.benchmarks.ChecksumBenchmark.sum",
                        "dev.slipway.benchmarks.DeadlineQueueBenchmark.fire",
                        "dev.slipway.benchmarks.FlowLookupBenchmark.bareAcknowledgement",
                        "dev.slipway.benchmarks.ParseBenchmark.segment",
                        "dev.slipway.benchmarks.SegmenterBenchmark.cutUnit",
                        "dev.slipway.benchmarks.TcpFromGuestBenchmark.segmentInOrder",
                        "dev.slipway.benchmarks.TcpToGuestBenchmark.unitAndAcknowledgement");
    }
}
