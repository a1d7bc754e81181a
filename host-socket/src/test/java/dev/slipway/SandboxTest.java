package dev.slipway;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeFalse;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.slipway.posix.FileRules;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
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
            "fchownat to another user",
            "fchownat to another group",
            "fchown",
            "raw socket",
            "netfilter socket",
            "typing at the terminal",
            "signals of a file to the parent",
            "signals of a file to the parent in other words",
            "another signal of a file",
            "signals of a socket to the parent",
            "signals of a socket to its group");

    private static final List<String> UNKNOWN_SOCKETS = List.of("packet socket", "vsock socket", "crypto socket");

    private static final List<String> NEEDED = List.of(
            "mmap of executable memory",
            "fchownat to itself",
            "a socket",
            "flags of a file",
            "reading resolv.conf",
            "writing beside the leases",
            "removing beside the leases",
            "a temporary folder",
            "interfaces",
            "a name",
            "a thread");

    /** What was said to {@link #attempts}, by mode: each costs a start of a JVM. */
    private static final Map<String, Map<String, String>> SAID = new HashMap<>();

    @TempDir
    static Path folder;

    private static Path named;
    private static Path other;
    /** A file where people keep theirs; empty if there is no such place that can be written to. */
    private static Optional<Path> atHome;

    @BeforeAll
    static void makeFolders() throws IOException {
        named = Files.createDirectory(folder.resolve("named"));
        other = Files.createDirectory(folder.resolve("other"));
        Files.writeString(other.resolve("there"), "as it was");
        Path home = Path.of(System.getProperty("user.home"));
        boolean usable = (home.startsWith("/root") || home.startsWith("/home")) && Files.isWritable(home);
        atHome = usable ? Optional.of(Files.createTempFile(home, ".slipway-test", "")) : Optional.empty();
    }

    @AfterAll
    static void leaveNothing() throws IOException {
        if (atHome.isPresent()) {
            Files.delete(atHome.get());
        }
    }

    private static ProcessBuilder java(String... words) {
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

    private static Map<String, String> attempts(String mode) throws Exception {
        Map<String, String> attempts = SAID.get(mode);
        if (attempts == null) {
            attempts = run(mode);
            SAID.put(mode, attempts);
        }
        return attempts;
    }

    private static Map<String, String> run(String mode) throws Exception {
        // Sockets may be made in the temporary folder, which is to be no folder above those of this test.
        Process process = java(
                        "-Djava.io.tmpdir=" + named,
                        "dev.slipway.ConfinedProgram",
                        mode,
                        named.toString(),
                        other.toString(),
                        atHome.map(Path::toString).orElse(""))
                .start();
        String said = new String(process.getInputStream().readAllBytes());
        assertThat(process.waitFor()).as(said).isZero();
        Map<String, String> attempts = new TreeMap<>();
        said.lines()
                .filter(line -> line.contains(": "))
                .forEach(line -> attempts.put(line.split(": ", 2)[0], line.split(": ", 2)[1]));
        return attempts;
    }

    /** The program itself says what the kernel does not let it have, as it does to a user. */
    private static void assumeSeccomp() throws Exception {
        String state = attempts("auto").get("sandbox");
        assumeFalse(state.startsWith("none"), () -> "no seccomp here: " + state);
    }

    private static void assumeSeccompAndLandlock() throws Exception {
        assumeSeccomp();
        int version = FileRules.version();
        assumeTrue(version >= FileRules.OLDEST, () -> "no Landlock here, or too old a one: " + version);
    }

    @Test
    void whatANetworkStackNeverNeedsIsRefusedAndWhatItNeedsIsNot() throws Exception {
        assumeSeccomp();
        Map<String, String> attempts = attempts("auto");
        assertThat(attempts.get("sandbox")).startsWith("seccomp");
        for (String each : REFUSED) {
            assertThat(attempts).as(each + " is refused by EPERM").containsEntry(each, "errno 1");
        }
        for (String each : UNKNOWN_SOCKETS) {
            assertThat(attempts).as(each + " is none by EAFNOSUPPORT").containsEntry(each, "errno 97");
        }
        assertThat(attempts).as("libc falls back").containsEntry("clone3", "errno 38");
        assertThat(attempts.get("a program")).contains("Operation not permitted");
        for (String each : NEEDED) {
            assertThat(attempts).as(each).containsEntry(each, "done");
        }
        assertThat(attempts).as("the API publishes Unix sockets anywhere").containsEntry("socket elsewhere", "done");
    }

    @Test
    void filesElsewhereStayAsTheyAre() throws Exception {
        assumeSeccompAndLandlock();
        Map<String, String> attempts = attempts("auto");
        assertThat(attempts.get("sandbox")).startsWith("seccomp, landlock ");
        for (String each : List.of(
                "writing elsewhere",
                "overwriting elsewhere",
                "reading the parent's memory",
                "writing the parent's memory")) {
            assertThat(attempts.get(each)).as(each).startsWith("AccessDeniedException");
        }
        assertThat(other.resolve("there")).hasContent("as it was");
    }

    @Test
    void homesAreOutOfReach() throws Exception {
        assumeSeccompAndLandlock();
        assumeTrue(atHome.isPresent(), "no home below /home or /root that can be written to");
        for (String each : List.of("reading a home", "listing a home")) {
            assertThat(attempts("auto").get(each)).as(each).startsWith("AccessDeniedException");
        }
    }

    @Test
    void aStrictSandboxMakesSocketsWhereTheSettingsDo() throws Exception {
        assumeSeccompAndLandlock();
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
        assumeSeccompAndLandlock();
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
            assertThat(toldByJcmd(process, "GC.heap_info")).contains("used ");
            assertThat(toldByJcmd(process, "Thread.print")).contains("\"Signal Dispatcher\"");
        } finally {
            process.destroy();
        }
        assertThat(process.waitFor()).isZero();
        assertThat(Files.readString(folder.resolve("log"))).contains("sandbox: ");
    }

    private static List<String> confinement(long process) throws IOException {
        return Files.readAllLines(Path.of("/proc/" + process + "/status")).stream()
                .filter(line -> line.startsWith("NoNewPrivs:") || line.startsWith("Seccomp"))
                .toList();
    }

    /** A JVM tells its user about itself in a sandbox too: it makes a socket for that, and a thread. */
    private static String toldByJcmd(Process process, String command) throws Exception {
        Path jcmd = Path.of(System.getProperty("java.home"), "bin", "jcmd");
        assumeTrue(Files.isExecutable(jcmd), "no jcmd in this Java");
        Process asking = new ProcessBuilder(jcmd.toString(), Long.toString(process.pid()), command)
                .redirectErrorStream(true)
                .start();
        String said = new String(asking.getInputStream().readAllBytes());
        assertThat(asking.waitFor()).as(said).isZero();
        return said;
    }

    @Test
    void aSandboxThatIsOffRefusesNothing() throws Exception {
        Process process = java(
                        "dev.slipway.Main", "run", "--sandbox", "off", "--vm", "qemu:" + named.resolve("vm.sock"))
                .redirectErrorStream(false)
                .start();
        try {
            assertThat(process.inputReader().readLine()).startsWith("ready: ");
            // A container may have put one on all of us.
            assertThat(confinement(process.pid()))
                    .isNotEmpty()
                    .isEqualTo(confinement(ProcessHandle.current().pid()));
        } finally {
            process.destroy();
        }
        assertThat(process.waitFor()).isZero();
    }
}
