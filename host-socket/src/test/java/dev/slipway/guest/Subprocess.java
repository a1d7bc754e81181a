package dev.slipway.guest;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;

/** A child of this process: never another one is ended. What it prints goes to a file. */
final class Subprocess implements AutoCloseable {

    private static final Duration GRACE = Duration.ofSeconds(3);

    private final Process process;
    private final Path log;

    private Subprocess(Process process, Path log) {
        this.process = process;
        this.log = log;
    }

    static Subprocess start(Path log, List<String> command) throws IOException {
        ProcessBuilder builder = new ProcessBuilder(command)
                .redirectErrorStream(true)
                .redirectInput(ProcessBuilder.Redirect.from(Path.of("/dev/null").toFile()))
                .redirectOutput(log.toFile());
        return new Subprocess(builder.start(), log);
    }

    static Result run(String... command) throws IOException {
        return run(List.of(command), Duration.ofSeconds(10));
    }

    /** Runs a command to its end; after the time it is ended, and its exit code is that of its signal. */
    static Result run(List<String> command, Duration timeout) throws IOException {
        Path log = Files.createTempFile("slipway-guest", ".out");
        try (Subprocess child = start(log, command)) {
            boolean ended = child.awaitExit(timeout);
            child.close();
            String output = Files.readString(log, StandardCharsets.UTF_8);
            return new Result(
                    command, child.process.exitValue(), ended ? output : output + "\n(ended after " + timeout + ")");
        } finally {
            Files.delete(log);
        }
    }

    boolean awaitExit(Duration timeout) throws IOException {
        try {
            return process.waitFor(timeout.toMillis(), TimeUnit.MILLISECONDS);
        } catch (InterruptedException e) {
            close();
            Thread.currentThread().interrupt();
            throw new IOException(
                    "interrupted while waiting for " + process.info().commandLine(), e);
        }
    }

    /** Sends it a signal, for instance {@code HUP}. */
    void signal(String name) throws IOException {
        run("kill", "-" + name, Long.toString(process.pid())).orFail();
    }

    long pid() {
        return process.pid();
    }

    boolean isAlive() {
        return process.isAlive();
    }

    int exitValue() {
        return process.exitValue();
    }

    /** What it printed so far. */
    String output() throws IOException {
        return Files.readString(log, StandardCharsets.ISO_8859_1);
    }

    /** Whether a file of a name is mapped into it, as a library is. */
    boolean hasMapped(String name) throws IOException {
        return Files.readString(Path.of("/proc/" + process.pid() + "/maps")).contains("/" + name);
    }

    /** Memory of the process that is resident, in bytes. */
    long residentBytes() throws IOException {
        try (Stream<String> lines = Files.lines(Path.of("/proc/" + process.pid() + "/status"))) {
            String line = lines.filter(l -> l.startsWith("VmRSS:")).findFirst().orElseThrow();
            return Long.parseLong(line.replaceAll("\\D", "")) * 1024;
        }
    }

    /** Time that the process has kept processors busy, in milliseconds. */
    long processorMillis() throws IOException {
        String stat = Files.readString(Path.of("/proc/" + process.pid() + "/stat"));
        String[] fields = stat.substring(stat.lastIndexOf(')') + 2).split(" ");
        return (Long.parseLong(fields[11]) + Long.parseLong(fields[12])) * 10; // ticks of 10 ms
    }

    /** Lets it have so many descriptors, the ones that it has among them. */
    void limitDescriptors(int limit) throws IOException {
        run("prlimit", "--pid", Long.toString(process.pid()), "--nofile=" + limit + ":")
                .orFail();
    }

    /** How many descriptors the process has open. */
    int descriptors() throws IOException {
        try (Stream<Path> entries = Files.list(Path.of("/proc/" + process.pid() + "/fd"))) {
            return (int) entries.count();
        }
    }

    /** How many descriptors the process has open, by what they lead to: a file's path, or a kind of socket. */
    Map<String, Long> openFiles() throws IOException {
        Map<String, Long> kinds = new TreeMap<>();
        try (Stream<Path> entries = Files.list(Path.of("/proc/" + process.pid() + "/fd"))) {
            for (Path entry : entries.toList()) {
                String target;
                try {
                    target = Files.readSymbolicLink(entry).toString();
                } catch (NoSuchFileException e) {
                    // It has closed it meanwhile.
                    continue;
                }
                kinds.merge(target.replaceAll(":\\[\\d+]$", ""), 1L, Long::sum);
            }
        }
        return kinds;
    }

    @Override
    public void close() {
        List<ProcessHandle> descendants = process.descendants().toList();
        process.destroy();
        try {
            if (!process.waitFor(GRACE.toMillis(), TimeUnit.MILLISECONDS)) {
                process.destroyForcibly().waitFor();
            }
        } catch (InterruptedException e) {
            process.destroyForcibly();
            Thread.currentThread().interrupt();
        }
        descendants.forEach(ProcessHandle::destroyForcibly);
    }

    /** How a command ended and what it printed. */
    record Result(List<String> command, int exit, String output) {

        Result orFail() throws IOException {
            if (exit != 0) {
                throw new IOException(String.join(" ", command) + ": exit " + exit + ": " + output.strip());
            }
            return this;
        }
    }
}
