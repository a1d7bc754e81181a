package dev.slipway;

import dev.slipway.seam.StackSettings;
import dev.slipway.wire.IpAddress;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;

/**
 * A command in network and mount namespaces of its own, made by util-linux' {@code unshare}. It waits in a script of ours
 * until its interface is there, sets it up, sees a resolv.conf that names our name server, and becomes the command: the
 * process id stays the same, so signals and the exit code are the command's.
 */
final class NamespaceShell implements AutoCloseable {

    /** The guest's interface. */
    static final String DEVICE = "eth0";

    /** Exit code of the script if the network cannot be set up; env(1) and others have it for failures of their own. */
    static final int SET_UP_FAILED = 125;

    private static final int START_MILLIS = 10_000;
    private static final int LOOK_MILLIS = 5;

    /** $1 is our folder; the rest is the command. While we are gone, nothing waits for ever. */
    private static final String SCRIPT = """
        folder=$1
        shift
        : >"$folder/up"
        while [ ! -e "$folder/go" ]; do
            [ -d "$folder" ] && kill -0 "$PPID" 2>/dev/null || exit %1$d
            sleep 0.02
        done
        fail() {
            echo "slipway: shell: cannot set up the network: $1" >&2
            exit %1$d
        }
        ip link set lo up || fail "loopback"
        ip address add %2$s/%3$d dev %4$s || fail "address"
        ip link set %4$s up || fail "interface"
        ip route add default via %5$s || fail "route"
        if [ -e /etc/resolv.conf ]; then
            mount --bind "$folder/resolv.conf" /etc/resolv.conf || fail "/etc/resolv.conf"
        else
            echo "slipway: shell: no /etc/resolv.conf to put another over; the name server is %5$s" >&2
        fi
        exec "$@"
        """;

    private final Path folder;
    private final Process process;

    private NamespaceShell(Path folder, Process process) {
        this.folder = folder;
        this.process = process;
    }

    /**
     * Starts the command's process, which then waits for {@link #go}.
     *
     * @throws IOException if there can be no namespaces, or a program is missing
     */
    static NamespaceShell start(StackSettings stack, List<String> command) throws IOException {
        Path folder = Files.createTempDirectory(
                "slipway-shell", PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------")));
        Process process = null;
        try {
            String gateway = IpAddress.toString(stack.gateway());
            String search =
                    stack.searchDomains().isEmpty() ? "" : "search " + String.join(" ", stack.searchDomains()) + "\n";
            Path resolvConf = Files.writeString(folder.resolve("resolv.conf"), "nameserver " + gateway + "\n" + search);
            Files.setPosixFilePermissions(resolvConf, PosixFilePermissions.fromString("rw-r--r--"));
            Path script = Files.writeString(
                    folder.resolve("setup.sh"),
                    SCRIPT.formatted(
                            SET_UP_FAILED,
                            IpAddress.toString(stack.firstGuest()),
                            stack.prefixLength(),
                            DEVICE,
                            gateway));
            List<String> words = new ArrayList<>(List.of("unshare", "--net", "--mount", "--", "sh"));
            words.addAll(List.of(script.toString(), folder.toString()));
            words.addAll(command);
            process = new ProcessBuilder(words).inheritIO().start();
            awaitUp(process, folder.resolve("up"));
            return new NamespaceShell(folder, process);
        } catch (IOException | RuntimeException e) {
            if (process != null) {
                process.destroyForcibly();
            }
            remove(folder);
            throw e;
        }
    }

    private static void awaitUp(Process process, Path up) throws IOException {
        long deadline = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(START_MILLIS);
        try {
            while (!Files.exists(up)) {
                if (process.waitFor(LOOK_MILLIS, TimeUnit.MILLISECONDS)) {
                    throw new IOException("no namespaces for the command: unshare ended with " + process.exitValue());
                }
                if (System.nanoTime() - deadline > 0) {
                    throw new IOException("the command's namespaces were not there after " + START_MILLIS + " ms");
                }
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IOException("interrupted", e);
        }
    }

    /** The process id of the command, in whose network namespace it is. */
    long pid() {
        return process.pid();
    }

    /** The interface is there: the command may begin. */
    void go() throws IOException {
        Files.createFile(folder.resolve("go"));
    }

    /** Sends the command a signal. */
    void signal(String name) {
        signal(process, name);
    }

    /** Sends a process a signal, without SIG in its name. */
    static void signal(Process process, String name) {
        if (name.equals("TERM")) {
            process.destroy();
            return;
        }
        try {
            new ProcessBuilder("kill", "-s", name, Long.toString(process.pid()))
                    .redirectErrorStream(true)
                    .redirectOutput(ProcessBuilder.Redirect.DISCARD)
                    .start();
        } catch (IOException e) {
            process.destroy();
        }
    }

    /** Waits for the command's end: its exit code, or 128 and the number of the signal that ended it. */
    int await() throws InterruptedException {
        return process.waitFor();
    }

    /** Ends the command if it goes on, and removes what was made for it. */
    @Override
    public void close() {
        process.destroyForcibly();
        remove(folder);
    }

    private static void remove(Path folder) {
        try (Stream<Path> files = Files.walk(folder)) {
            for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
                Files.deleteIfExists(file);
            }
        } catch (IOException e) {
            System.err.println("slipway: shell: cannot remove " + folder + ": " + e.getMessage());
        }
    }
}
