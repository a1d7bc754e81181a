/**
 * JMH benchmarks of what every packet goes through. Each is a small class named after what it measures; the table and
 * the connections that some of them share are a {@link dev.slipway.benchmarks.TcpUnderTest}.
 *
 * <p>From the root of the repository, with any Java for Maven (the benchmarks run on the JDK that the build selects):
 *
 * <pre>
 *   mvn -q -pl benchmarks -am package -Dmaven.test.skip -Pbenchmark                     all, some 2 minutes
 *   mvn -q -pl benchmarks -am package -Dmaven.test.skip -Pbenchmark -Dquick             all, less than 1 minute
 *   mvn -q -pl benchmarks -am package -Dmaven.test.skip -Pbenchmark -Djmh="Checksum"    those whose name matches
 *   mvn -q -pl benchmarks -am package -Dmaven.test.skip -Pbenchmark -Djmh="-h"          JMH's own help
 * </pre>
 *
 * <p>What they cannot tell: everything that the kernel does. The rate of a transfer is measured by transfers.
 *
 * <p>Limits: one thread, one fork. A number that is to decide something deserves {@code -f 5}, and a quiet machine.
 * {@code mvn verify} runs every benchmark once, to see that it runs, and looks at no time.
 */
package dev.slipway.benchmarks;
