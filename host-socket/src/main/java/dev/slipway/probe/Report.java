package dev.slipway.probe;

import java.io.IOException;
import java.io.PrintStream;
import java.util.Locale;

/**
 * The table of what was tried: one line per step with its outcome, what was seen, and how long it took, printed when
 * the step is over.
 */
public final class Report {

    private static final int NAME_WIDTH = 24;
    private static final int DETAIL_WIDTH = 62;

    /** One thing to try. */
    @FunctionalInterface
    public interface Step {

        /**
         * Does it.
         *
         * @return what was seen, in a few words
         * @throws IOException if it did not work; the message says what was seen instead
         */
        String run() throws IOException;
    }

    private final PrintStream out;
    private int passed;
    private int failed;
    private int absent;

    public Report(PrintStream out) {
        this.out = out;
    }

    /** Does a step that must work. Returns whether it did. */
    public boolean must(String name, Step step) {
        return run(name, step, "FAIL");
    }

    /** Does a step that a backend need not offer. Returns whether it worked. */
    public boolean may(String name, Step step) {
        return run(name, step, "no");
    }

    private boolean run(String name, Step step, String otherwise) {
        long started = System.nanoTime();
        String outcome = "ok";
        String detail;
        try {
            detail = step.run();
            passed++;
        } catch (IOException e) {
            outcome = otherwise;
            detail = e.getMessage() == null ? e.getClass().getSimpleName() : e.getMessage();
            if (otherwise.equals("no")) {
                absent++;
            } else {
                failed++;
            }
        }
        line(outcome, name, detail, time(System.nanoTime() - started));
        return outcome.equals("ok");
    }

    /** Says that a step was left out, and why. */
    public void skip(String name, String why) {
        line("skip", name, why, "");
    }

    /** Whether no step failed that must work, and at least one passed. */
    public boolean isPassed() {
        return failed == 0 && passed > 0;
    }

    /** The last line. */
    public void summary() {
        out.printf(
                Locale.ROOT,
                "%n  %d ok, %d failed%s%n",
                passed,
                failed,
                absent == 0 ? "" : ", " + absent + " not offered by this backend");
        out.flush();
    }

    private void line(String outcome, String name, String detail, String time) {
        String format = "  %-5s %-" + NAME_WIDTH + "s %-" + DETAIL_WIDTH + "s %10s";
        out.println(
                String.format(Locale.ROOT, format, outcome, name, detail, time).stripTrailing());
        out.flush();
    }

    /** A duration with the unit that suits it. */
    static String time(long nanos) {
        if (nanos < 1_000_000) {
            return String.format(Locale.ROOT, "%.3f ms", nanos / 1e6);
        }
        return nanos < 1_000_000_000
                ? String.format(Locale.ROOT, "%.1f ms", nanos / 1e6)
                : String.format(Locale.ROOT, "%.2f s", nanos / 1e9);
    }

    /** An amount of bytes with the unit that suits it. */
    static String bytes(long count) {
        if (count < 10_000) {
            return count + " bytes";
        }
        return count < 10L << 20
                ? String.format(Locale.ROOT, "%.1f KiB", count / 1024.0)
                : String.format(Locale.ROOT, "%.1f MiB", count / 1048576.0);
    }

    /** Bytes in a time as bits per second. */
    static String rate(long bytes, long nanos) {
        double bits = bytes * 8.0 / Math.max(nanos, 1);
        return bits >= 1
                ? String.format(Locale.ROOT, "%.2f Gbit/s", bits)
                : String.format(Locale.ROOT, "%.1f Mbit/s", bits * 1000);
    }
}
