package dev.slipway;

import static org.assertj.core.api.Assertions.assertThat;

import dev.slipway.proxy.ProxySettings;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

@Timeout(120)
final class SettingsReloadTest {

    @TempDir
    Path folder;

    private final BlockingQueue<ProxySettings> changes = new LinkedBlockingQueue<>();

    private SettingsReload watch(Path file) throws Exception {
        SettingsReload.Reader reader = () -> ProxyFile.read(file, ProxySettings.none());
        return SettingsReload.watch(reader, reader.read(), List.of(file), changes::add);
    }

    private String next() throws Exception {
        ProxySettings changed = changes.poll(60, TimeUnit.SECONDS);
        return changed == null ? "nothing" : changed.summary();
    }

    @Test
    void aChangedFileIsReadAgainAndABadOneChangesNothing() throws Exception {
        Path file = folder.resolve("http.json");
        Files.writeString(file, "{\"http\": \"one:1\"}");
        try (SettingsReload reload = watch(file)) {
            assertThat(reload).isNotNull();
            Files.writeString(file, "{\"http\": \"http://corp:secret@two.example:2\"}");
            assertThat(next()).contains("http=http://***@two.example:2 ");
            Files.writeString(file, "{\"http\": ");
            Files.writeString(folder.resolve("new"), "{\"http\": \"three:3\", \"exclude\": \"a.b\"}");
            Files.move(
                    folder.resolve("new"),
                    file,
                    java.nio.file.StandardCopyOption.ATOMIC_MOVE,
                    java.nio.file.StandardCopyOption.REPLACE_EXISTING);
            assertThat(next()).contains("http=http://three:3 ", "no-proxy=a.b");
            assertThat(changes).isEmpty();
        }
    }

    /** A process of its own: signals and the list of processes are about processes. */
    @Test
    @EnabledOnOs(OS.LINUX)
    void aRunningProgramHidesPasswordsAndReadsItsFilesAgainOnSighup() throws Exception {
        Path file = folder.resolve("http.json");
        Files.writeString(file, "{\"https\": \"one:1\"}");
        Path log = folder.resolve("log");
        Process process = start("--default-signal=HUP", file, log);
        try {
            await(process, log, "ready:");
            String arguments = Files.readString(Path.of("/proc/" + process.pid() + "/cmdline"));
            assertThat(arguments)
                    .contains("http://***********@proxy.example:8888")
                    .doesNotContain("secret");
            hangUp(process);
            await(process, log, "nothing changed");
            Files.writeString(file, "{\"https\": \"http://corp:secret@two.example:2\"}");
            await(process, log, "https=http://***@two.example:2");
            assertThat(Files.readString(log)).doesNotContain("secret");
        } finally {
            stop(process);
        }
        assertThat(process.waitFor()).isZero();
    }

    /** As by {@code nohup}: the JVM hears no signal that who started it had ignored. */
    @Test
    @EnabledOnOs(OS.LINUX)
    void aProgramThatIgnoresSighupSaysSoAndFollowsItsFiles() throws Exception {
        Path file = folder.resolve("http.json");
        Files.writeString(file, "{\"https\": \"one:1\"}");
        Path log = folder.resolve("log");
        Process process = start("--ignore-signal=HUP", file, log);
        try {
            await(process, log, "SIGHUP cannot be heard");
            await(process, log, "ready:");
            hangUp(process);
            Files.writeString(file, "{\"https\": \"two.example:2\"}");
            await(process, log, "https=http://two.example:2");
        } finally {
            stop(process);
        }
    }

    /** A program of its own, whose arguments hold a password. */
    private Process start(String signals, Path file, Path log) throws IOException {
        return new ProcessBuilder(
                        "env",
                        signals,
                        ProcessHandle.current().info().command().orElseThrow(),
                        "--enable-native-access=ALL-UNNAMED",
                        "-XX:+UseSerialGC",
                        "-Dorg.slf4j.simpleLogger.defaultLogLevel=info",
                        "-cp",
                        System.getProperty("java.class.path"),
                        "dev.slipway.Main",
                        "run",
                        "--vm",
                        "qemu:" + folder.resolve("vm.sock"),
                        "--http-proxy",
                        "http://corp:secret@proxy.example:8888",
                        "--http",
                        file.toString())
                .redirectErrorStream(true)
                .redirectOutput(log.toFile())
                .start();
    }

    private static void hangUp(Process process) throws Exception {
        Process kill = new ProcessBuilder("kill", "-HUP", "" + process.pid()).start();
        assertThat(kill.waitFor()).isZero();
    }

    private static void stop(Process process) throws InterruptedException {
        process.destroy();
        if (!process.waitFor(20, TimeUnit.SECONDS)) {
            process.destroyForcibly();
        }
    }

    private static void await(Process process, Path log, String text) throws Exception {
        long begin = System.nanoTime();
        while (!Files.readString(log).contains(text)) {
            if (!process.isAlive() || System.nanoTime() - begin > TimeUnit.SECONDS.toNanos(60)) {
                throw new AssertionError("no '" + text + "' in: " + Files.readString(log) + whatItsThreadsDo(process));
            }
        }
    }

    private static String whatItsThreadsDo(Process process) {
        Path jcmd = Path.of(System.getProperty("java.home"), "bin", "jcmd");
        try {
            Process dump = new ProcessBuilder(jcmd.toString(), "" + process.pid(), "Thread.print")
                    .redirectErrorStream(true)
                    .start();
            return new String(dump.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        } catch (IOException e) {
            return e.toString();
        }
    }
}
