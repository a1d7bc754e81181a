package dev.slipway;

import java.io.BufferedReader;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.ParseResult;

/**
 * {@code slipway train}: what the launcher runs once after a build, for the JVM to learn which classes a start needs (its
 * AOT cache) and how its methods run (their profiles, by which it compiles them early). It does what users start: a
 * network, with a guest at its socket that works it as hard as it can. No user needs to know of it, so help does not name
 * it.
 *
 * <p>The guest is a process of its own ({@link TrainingGuest}): it is made of the same parts as the network, and what it
 * does with them is not to be taken for what a network does.
 */
final class TrainCommand implements Command {

    private static final String GUEST = "--guest";
    private static final String SECONDS = "--seconds";
    private static final double DEFAULT_SECONDS = 1.5;
    private static final double MAX_SECONDS = 10;
    private static final int READY_SECONDS = 10;

    @Override
    public CommandSpec spec() {
        CommandSpec spec = CommandSpec.create().name("slipway train");
        spec.usageMessage().description("Runs what is started often, once, for the JVM's AOT cache.");
        spec.addOption(OptionSpec.builder(GUEST)
                .paramLabel("SOCKET")
                .type(String.class)
                .description("Is the guest of the one that trains")
                .build());
        spec.addOption(OptionSpec.builder(SECONDS)
                .paramLabel("N")
                .type(double.class)
                .description("How long each kind of work takes. Default: " + DEFAULT_SECONDS)
                .build());
        return spec;
    }

    @Override
    public int run(ParseResult parsed, PrintStream out, PrintStream err) throws SettingsException {
        String guestOf = parsed.matchedOptionValue(GUEST, "");
        double seconds = parsed.matchedOptionValue(SECONDS, DEFAULT_SECONDS);
        if (!(seconds > 0 && seconds <= MAX_SECONDS)) {
            throw new SettingsException(SECONDS, seconds + " is out of range, it must be above 0, and 10 at most");
        }
        try {
            return guestOf.isEmpty()
                    ? train(seconds, out, err)
                    : TrainingGuest.run(Path.of(guestOf), Math.round(seconds * 1e9), System.in, out);
        } catch (IOException e) {
            err.println("slipway: " + e.getMessage());
            return FAILED;
        } catch (InterruptedException e) {
            return FAILED;
        }
    }

    private static int train(double seconds, PrintStream out, PrintStream err)
            throws IOException, InterruptedException {
        Path folder = Files.createTempDirectory("slipway-train");
        try {
            return serve(folder, seconds, out, err);
        } finally {
            Files.deleteIfExists(folder);
        }
    }

    private static int serve(Path folder, double seconds, PrintStream out, PrintStream err)
            throws IOException, InterruptedException {
        String socket = folder.resolve("vm.sock").toString();
        Process guest = new ProcessBuilder(
                        Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                        "-XX:+UseSerialGC",
                        "--enable-native-access=ALL-UNNAMED",
                        "-cp",
                        System.getProperty("java.class.path"),
                        Main.class.getName(),
                        "train",
                        GUEST,
                        socket,
                        SECONDS,
                        Double.toString(seconds))
                .redirectError(ProcessBuilder.Redirect.INHERIT)
                .start();
        try (BufferedReader said = guest.inputReader()) {
            String names = said.readLine();
            if (names == null) {
                return FAILED;
            }
            Thread network = start(socket, folder.resolve("api.sock").toString(), names, err);
            if (network == null) {
                return FAILED;
            }
            try {
                guest.outputWriter().append('\n').flush();
                for (String line = said.readLine(); line != null; line = said.readLine()) {
                    out.println(line);
                }
                boolean done = guest.waitFor(READY_SECONDS, TimeUnit.SECONDS) && guest.exitValue() == DONE;
                return done ? DONE : FAILED;
            } finally {
                network.interrupt();
                network.join(TimeUnit.SECONDS.toMillis(READY_SECONDS));
            }
        } finally {
            guest.destroyForcibly();
        }
    }

    /** The network, or {@code null} if it did not come up. */
    private static Thread start(String socket, String api, String nameServer, PrintStream err)
            throws InterruptedException {
        ReadyLine ready = new ReadyLine();
        PrintStream out = new PrintStream(ready, true, StandardCharsets.UTF_8);
        List<String> arguments = List.of(
                "run",
                "--vm",
                "qemu:" + socket,
                "--api",
                api,
                // The JVM starts a process of its own in the end, which makes the cache.
                SettingKey.SANDBOX.flag(),
                "off",
                "--dns-for",
                TrainingGuest.DOMAIN + "=" + nameServer);
        Thread network = Thread.ofPlatform()
                .daemon()
                .name("train-run")
                .start(() -> Main.run(arguments.toArray(String[]::new), out, err));
        return ready.came.await(READY_SECONDS, TimeUnit.SECONDS) ? network : null;
    }

    /** The stdout of {@code run}, which says one line when VMs can attach. */
    private static final class ReadyLine extends ByteArrayOutputStream {

        final CountDownLatch came = new CountDownLatch(1);

        @Override
        public synchronized void write(byte[] bytes, int offset, int length) {
            super.write(bytes, offset, length);
            if (toString(StandardCharsets.UTF_8).contains("\n")) {
                came.countDown();
            }
        }
    }
}
