/**
 * What all fuzz targets use. A target is a class with {@code public static void fuzzerTestOneInput(byte[])} in the
 * package whose code it feeds; its corpus is the folder of its name in {@code src/test/resources/corpus}. Whatever it throws
 * is a finding.
 *
 * <p>{@code CorpusTest} runs each target once with each file of its corpus. Campaigns, by coverage, are
 * run by the Maven profile {@code fuzz}: see docs/testing.md.
 */
package dev.slipway.fuzz;
