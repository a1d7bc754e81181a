package dev.slipway;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParseResult;

/**
 * {@code slipway train}: what the launcher runs once after a build, for the JVM to learn which classes a start needs (its
 * AOT cache). It does in one process what users start: the demo, and a network with a guest at its socket. No user needs
 * to know of it, so help does not name it.
 */
final class TrainCommand implements Command {

    private static final int READY_SECONDS = 10;

    @Override
    public CommandSpec spec() {
        CommandSpec spec = CommandSpec.create().name("slipway train");
        spec.usageMessage().description("Runs what is started often, once, for the JVM's AOT cache.");
        return spec;
    }

    @Override
    public int run(ParseResult parsed, PrintStream out, PrintStream err) throws SettingsException {
        int demo = Main.run(new String[] {"demo", "--quick"}, out, err);
        if (demo != DONE) {
            return demo;
        }
        try {
            Path folder = Files.createTempDirectory("slipway-train");
            try {
                return serve(folder, out, err);
            } finally {
                Files.deleteIfExists(folder);
            }
        } catch (IOException e) {
            err.println("slipway: " + e.getMessage());
            return FAILED;
        } catch (InterruptedException e) {
            return FAILED;
        }
    }

    private static int serve(Path folder, PrintStream out, PrintStream err) throws InterruptedException {
        String socket = folder.resolve("vm.sock").toString();
        String api = folder.resolve("api.sock").toString();
        ReadyLine ready = new ReadyLine();
        Thread network = Thread.ofPlatform()
                .daemon()
                .name("train-run")
                .start(() -> Main.run(
                        new String[] {"run", "--vm", "qemu:" + socket, "--api", api},
                        new PrintStream(ready, true, StandardCharsets.UTF_8),
                        err));
        if (!ready.came.await(READY_SECONDS, TimeUnit.SECONDS)) {
            return FAILED;
        }
        int probe = Main.run(new String[] {"probe", socket}, out, err);
        network.interrupt();
        network.join(TimeUnit.SECONDS.toMillis(READY_SECONDS));
        return probe;
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
