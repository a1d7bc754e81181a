package dev.slipway;

import dev.slipway.ethernet.VmChannel;
import dev.slipway.host.VmNetwork;
import dev.slipway.posix.Errno;
import dev.slipway.posix.FileRules;
import dev.slipway.posix.SystemCallFilter;
import dev.slipway.publish.PortRange;
import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Stream;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * What this process takes from itself once it serves (Linux): the system calls that {@link SystemCallFilter} lists on all
 * threads, and on those that hear guests, servers and clients of the API also files that they have no business with.
 * Decision 028.
 *
 * <p>Files may be read outside of the folders where people keep theirs, and in these only beside the files that the settings
 * name: a resolver's settings may come to lie anywhere else. They may be written beside the capture and the lease file. Sockets may be made and removed anywhere, because the
 * API publishes Unix sockets anywhere; only where the settings put some if the sandbox is {@link Mode#STRICT}.
 */
final class Sandbox {

    /** How much is asked for. */
    enum Mode {
        /** What the kernel has; soon after the program is ready. */
        AUTO,
        OFF,
        /** All of it before the program is ready, or it does not start. */
        STRICT
    }

    /** Below these, people keep what is theirs. */
    private static final Set<String> OTHERS = Set.of("home", "root", "Users", "lost+found");

    private static final Logger LOG = LoggerFactory.getLogger(Sandbox.class);

    private final Mode mode;
    private final Settings settings;
    /** Files that settings come from. */
    private final List<Path> files;
    /** Sockets of the control API. */
    private final List<Path> apis;

    private volatile String state;
    /** Confines while the program runs already; null if nothing does. */
    private Thread confining;

    /** @param mode one of {@link Mode}, in lower case or not */
    Sandbox(Mode mode, Settings settings, List<Path> files, List<Path> apis) {
        this.mode = mode;
        this.settings = settings;
        this.files = List.copyOf(files);
        this.apis = List.copyOf(apis);
        state = mode == Mode.OFF ? "off" : "not yet";
    }

    /** What has been done, in a few words: {@code seccomp, landlock 7}, {@code none (why)}, {@code off}, {@code not yet}. */
    String state() {
        return state;
    }

    /**
     * Before the program says that it is ready: a strict sandbox is closed.
     *
     * @throws IOException if it cannot be
     */
    void beforeReady(VmNetwork network) throws IOException {
        if (mode == Mode.STRICT) {
            try {
                confine(network);
            } catch (IllegalStateException e) {
                throw new IOException(SettingKey.SANDBOX.flag() + " strict: " + e.getMessage(), e);
            }
        }
    }

    /** Soon after the program has said so: the first system call of a process takes long, and nobody waits for it here. */
    void afterReady(VmNetwork network) {
        if (mode == Mode.AUTO) {
            confining = Thread.ofPlatform().daemon().name("sandbox").start(() -> {
                try {
                    confine(network);
                } catch (IllegalStateException e) {
                    LOG.warn("the sandbox is not whole: {}; all else works", e.getMessage());
                }
            });
        }
    }

    /** Returns when nothing more will be done, by the thread that called {@link #afterReady}. */
    void join() throws InterruptedException {
        if (confining != null) {
            confining.join();
        }
    }

    private void confine(VmNetwork network) {
        int filtered = SystemCallFilter.install();
        if (filtered < 0) {
            String why = "no seccomp filter here: " + Errno.name(-filtered);
            state = "none (" + why + ")";
            throw new IllegalStateException(why);
        }
        state = "seccomp";
        int version = FileRules.version();
        if (version < FileRules.OLDEST) {
            throw new IllegalStateException(
                    version < 0 ? "no Landlock here: " + Errno.name(-version) : "Landlock is too old: " + version);
        }
        try (FileRules rules = rules(version)) {
            AtomicInteger failed = new AtomicInteger();
            network.onEachLoop(() -> failed.accumulateAndGet(rules.confineThisThread(), Math::min));
            if (failed.get() < 0) {
                throw new IllegalStateException("no Landlock here: " + Errno.name(-failed.get()));
            }
        } catch (ExecutionException e) {
            throw new IllegalStateException("no Landlock here: " + e.getCause(), e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException("interrupted", e);
        }
        state = "seccomp, landlock " + version;
        LOG.info(
                "sandbox: {} system calls are refused (seccomp), files are confined (Landlock, version {})",
                SystemCallFilter.refusedCalls(),
                version);
    }

    private FileRules rules(int version) {
        FileRules rules = FileRules.create(version);
        readable().forEach(rules::allowReading);
        settings.capture().ifPresent(file -> rules.allowWriting(folder(file)));
        settings.leaseFile().ifPresent(file -> rules.allowWriting(folder(file)));
        rules.allowWriting(Path.of("/dev/null"));
        if (mode == Mode.STRICT) {
            socketFolders().forEach(rules::allowSockets);
        } else {
            rules.allowSockets(Path.of("/"));
        }
        return rules;
    }

    private List<Path> readable() {
        List<Path> places = new ArrayList<>();
        try (Stream<Path> top = Files.list(Path.of("/"))) {
            top.filter(each -> !OTHERS.contains(each.getFileName().toString())).forEach(places::add);
        } catch (IOException e) {
            throw new IllegalStateException("cannot list /: " + e.getMessage(), e);
        }
        places.add(Path.of(System.getProperty("java.home")));
        for (String entry : System.getProperty("java.class.path", "").split(File.pathSeparator)) {
            Path path = Path.of(entry);
            places.add(Files.isDirectory(path) ? path : folder(path));
        }
        files.forEach(file -> places.add(folder(file)));
        return places;
    }

    private List<Path> socketFolders() {
        List<Path> folders = new ArrayList<>();
        folders.add(Path.of(System.getProperty("java.io.tmpdir")));
        for (VmChannel vm : settings.vms()) {
            if (vm.scheme().isSocketFile()) {
                folders.add(folder(vm.path()));
            }
        }
        apis.forEach(api -> folders.add(folder(api)));
        for (PortRange range : settings.published()) {
            range.path().ifPresent(path -> folders.add(folder(path)));
        }
        return folders;
    }

    private static Path folder(Path file) {
        return file.toAbsolutePath().getParent();
    }
}
