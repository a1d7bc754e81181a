package dev.slipway;

import java.io.PrintStream;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParseResult;

/** One of the program's commands. */
interface Command {

    /** Exit code: what was asked for was done. */
    int DONE = 0;

    /** Exit code: it was started and failed. */
    int FAILED = 1;

    /** Exit code: flags or settings cannot be. */
    int USAGE = 2;

    /** Its flags and its help. */
    CommandSpec spec();

    /**
     * Runs it.
     *
     * @return its exit code
     * @throws SettingsException if what was asked for cannot be
     */
    int run(ParseResult parsed, PrintStream out, PrintStream err) throws SettingsException;
}
