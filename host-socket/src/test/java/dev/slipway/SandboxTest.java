package dev.slipway;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.slipway.posix.FileRules;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

/** What a process can still do that has closed its sandbox: {@link ConfinedProgram} tries, and {@code run} itself. */
@EnabledOnOs(OS.LINUX)
@Timeout(value = 60, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class SandboxTest {

    private static final List<String> REFUSED = List.of(
            "execve",
            "execveat",
            "clone",
            "ptrace",
            "process_vm_readv",
            "kill of the parent",
            "mount",
            "fsopen",
            "unshare",
            "setns",
            "init_module",
            "kexec_load",
            "bpf",
            "perf_event_open",
            "userfaultfd",
            "io_uring_setup",
            "keyctl",
            "setuid",
            "raw socket",
            "netfilter socket",
            "typing at the terminal");

    private static final List<String> UNKNOWN_SOCKETS = List.of("packet socket", "vsock socket", "crypto socket");

    private static final List<String> NEEDED = List.of(
            "mmap of executable memory",
            "reading resolv.conf",
            "writing beside the leases",
            "removing beside the leases",
            "a temporary folder",
            "interfaces",
            "a name",
            "a thread");

    @TempDir
    Path folder;

    private Path named;
    private Path other;

    @BeforeEach
    void makeFolders() throws IOException {
        assumeTrue(FileRules.version() >= FileRules.OLDEST, "no Landlock here");
        named = Files.createDirectory(folder.resolve("named"));
        other = Files.createDirectory(folder.resolve("other"));
        Files.writeString(other.resolve("there"), "as it was");
    }

    private ProcessBuilder java(String... words) {
        List<String> command = new ArrayList<>(List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-XX:+UseSerialGC",
                "-XX:TieredStopAtLevel=1",
                "--enable-native-access=ALL-UNNAMED",
                "-cp",
                System.getProperty("surefire.test.class.path", System.getProperty("java.class.path"))));
        command.addAll(List.of(words));
        return new ProcessBuilder(command).redirectErrorStream(true);
    }

    private Map<String, String> attempts(String mode) throws Exception {
        // Sockets may be made in the temporary folder, which is to be no folder above those of this test.
        Process process = java(
                        "-Djava.io.tmpdir=" + named,
                        "dev.slipway.ConfinedProgram",
                        mode,
                        named.toString(),
                        other.toString())
                .start();
        String said = new String(process.getInputStream().readAllBytes());
        assertThat(process.waitFor()).as(said).isZero();
        Map<String, String> attempts = new TreeMap<>();
        said.lines()
                .filter(line -> line.contains(": "))
                .forEach(line -> attempts.put(line.split(": ", 2)[0], line.split(": ", 2)[1]));
        return attempts;
    }

    @Test
    void whatANetworkStackNeverNeedsIsRefusedAndWhatItNeedsIsNot() throws Exception {
        Map<String, String> attempts = attempts("auto");
        assertThat(attempts.get("sandbox")).startsWith("seccomp, landlock ");
        for (String each : REFUSED) {
            assertThat(attempts).as(each + " is refused by EPERM").containsEntry(each, "errno 1");
        }
        for (String each : UNKNOWN_SOCKETS) {
            assertThat(attempts).as(each + " is none by EAFNOSUPPORT").containsEntry(each, "errno 97");
        }
        assertThat(attempts).as("libc falls back").containsEntry("clone3", "errno 38");
        assertThat(attempts.get("a program")).contains("Operation not permitted");
        for (String each : List.of("writing elsewhere", "overwriting elsewhere", "reading a home", "listing a home")) {
            assertThat(attempts.get(each)).as(each).startsWith("AccessDeniedException");
        }
        for (String each : NEEDED) {
            assertThat(attempts).as(each).containsEntry(each, "done");
        }
        assertThat(attempts).as("the API publishes Unix sockets anywhere").containsEntry("socket elsewhere", "done");
        assertThat(other.resolve("there")).hasContent("as it was");
    }

    @Test
    void aStrictSandboxMakesSocketsWhereTheSettingsDo() throws Exception {
        Map<String, String> attempts = attempts("strict");
        assertThat(attempts.get("sandbox")).startsWith("seccomp, landlock ");
        assertThat(attempts.get("socket elsewhere")).startsWith("AccessDeniedException");
        for (String each : NEEDED) {
            assertThat(attempts).as(each).containsEntry(each, "done");
        }
    }

    /** Not only the threads that are asked: no thread of the process is without the filter. */
    @Test
    void allThreadsOfTheProgramAreFilteredBeforeItIsReady() throws Exception {
        Process process = java(
                        "dev.slipway.Main", "run", "--sandbox", "strict", "--vm", "qemu:" + named.resolve("vm.sock"))
                .redirectError(folder.resolve("log").toFile())
                .redirectErrorStream(false)
                .start();
        try {
            assertThat(process.inputReader().readLine()).startsWith("ready: ");
            int threads = 0;
            try (Stream<Path> tasks = Files.list(Path.of("/proc/" + process.pid() + "/task"))) {
                for (Path task : tasks.toList()) {
                    assertThat(Files.readString(task.resolve("status")))
                            .as(Files.readString(task.resolve("comm")))
                            .contains("NoNewPrivs:\t1", "Seccomp:\t2");
                    threads++;
                }
            }
            assertThat(threads).isGreaterThan(5);
        } finally {
            process.destroy();
        }
        assertThat(process.waitFor()).isZero();
        assertThat(Files.readString(folder.resolve("log"))).contains("sandbox: ");
    }

    @Test
    void aSandboxThatIsOffRefusesNothing() throws Exception {
        Process process = java(
                        "dev.slipway.Main", "run", "--sandbox", "off", "--vm", "qemu:" + named.resolve("vm.sock"))
                .redirectErrorStream(false)
                .start();
        try {
            assertThat(process.inputReader().readLine()).startsWith("ready: ");
            assertThat(Files.readString(Path.of("/proc/" + process.pid() + "/status")))
                    .contains("NoNewPrivs:\t0", "Seccomp:\t0");
        } finally {
            process.destroy();
        }
        assertThat(process.waitFor()).isZero();
    }
}
