package dev.slipway.guest;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.List;
import java.util.stream.Stream;

/**
 * A host machine on which a backend waits for a guest, and an internet, each a network namespace joined by a veth pair:
 *
 * <pre>
 *   guest ==Unix socket== backend in host --h0 198.18.0.2, fd18::2 … 198.18.0.1, fd18::1 i0-- internet
 * </pre>
 *
 * The internet has name servers for example.test; other servers are the tests' own. 198.18.0.0/15 is the range for such
 * set-ups (RFC 2544); nothing leaves this machine. Without privileges the host machine is this machine and there is no
 * internet.
 */
final class HostMachine implements AutoCloseable {

    static final String INTERNET = "198.18.0.1";
    static final String INTERNET_V6 = "fd18::1";
    /** A second address of the internet, whose name server gives other answers. */
    static final String OTHER_NAME_SERVER = "198.18.0.3";

    static final String HOST_SEEN_FROM_INTERNET = "198.18.0.2";
    static final String HOST_SEEN_FROM_INTERNET_V6 = "fd18::2";
    /** An address of the internet that swallows all. */
    static final String SILENT = "198.18.0.66";
    /** An address to which the host has no way. */
    static final String NO_ROUTE = "203.0.113.1";
    /** An address of which the internet's router says that it has no way there. */
    static final String NO_ROUTE_BEHIND_ROUTER = "198.51.100.1";

    /** The JVM's option that says how large the backend's heap may be: it takes the place of the usual one. */
    private static final String HEAP = "-Xmx";

    /** Stands in an option for the machine's folder, which is not known before it is there. */
    static final String IN_FOLDER = "{folder}";

    /** What begins so is not an option but a variable of the backend's environment, as {@code NAME=VALUE}. */
    static final String VARIABLE = "env:";

    /** What begins so is a program that is put before the backend's command line. */
    static final String LAUNCHER = "launcher:";

    private static final Duration START = Duration.ofSeconds(60);

    private final List<AutoCloseable> parts = new ArrayList<>();
    private final Path directory;
    private final Thread atExit = new Thread(this::closeParts);
    private Namespace host;
    private Namespace internet;
    private List<String> backendCommand;
    private Subprocess backendProcess;
    private int backends;
    private Path socket;

    private HostMachine() throws IOException {
        directory = Files.createTempDirectory("slipway-guest");
        Runtime.getRuntime().addShutdownHook(atExit);
    }

    /** Makes host and internet and starts a backend with options of its own. Needs root. */
    static HostMachine start(Backend backend, String... options) throws IOException {
        HostMachine made = new HostMachine();
        try {
            made.makeHostAndInternet();
            made.startNameServer(INTERNET);
            made.startNameServer(OTHER_NAME_SERVER);
            made.startBackend(backend, options);
            return made;
        } catch (IOException | RuntimeException e) {
            throw made.closedAfter(e);
        }
    }

    /** Starts a backend on this machine, for a guest that needs no more than the host's localhost. */
    static HostMachine startWithoutPrivileges(Backend backend, String... options) throws IOException {
        HostMachine made = new HostMachine();
        try {
            made.host = made.add(Namespace.ofThisProcess());
            made.startBackend(backend, options);
            return made;
        } catch (IOException | RuntimeException e) {
            throw made.closedAfter(e);
        }
    }

    private void makeHostAndInternet() throws IOException {
        host = add(Namespace.create("host"));
        internet = add(Namespace.create("internet"));
        host.ip("link add h0 type veth peer name i0 netns " + internet.name());
        host.ip("address add " + HOST_SEEN_FROM_INTERNET + "/24 dev h0");
        host.ip("address add " + HOST_SEEN_FROM_INTERNET_V6 + "/64 dev h0 nodad");
        host.ip("link set h0 up");
        internet.ip("address add " + INTERNET + "/24 dev i0");
        internet.ip("address add " + OTHER_NAME_SERVER + "/24 dev i0");
        internet.ip("address add " + INTERNET_V6 + "/64 dev i0 nodad");
        internet.ip("link set i0 up");
        host.ip("route add default via " + INTERNET);
        host.ip("-6 route add default via " + INTERNET_V6);
        host.ip("route add unreachable " + NO_ROUTE + "/32");
        host.ip("neighbour add " + SILENT + " lladdr 02:00:00:00:00:66 dev h0");
        host.sysctl("ipv4/ping_group_range", "0 2147483647");
        host.nameServers(INTERNET);
        internet.sysctl("ipv4/ip_forward", "1");
    }

    private void startNameServer(String address) throws IOException {
        Path settings = directory.resolve("dnsmasq-" + address);
        // 800 characters of text: more than a UDP answer holds without EDNS.
        String longText = String.join(",", Collections.nCopies(4, "\"" + "x".repeat(200) + "\""));
        Files.writeString(settings, """
            no-resolv
            no-hosts
            bind-interfaces
            user=root
            pid-file=
            listen-address=%1$s
            address=/www.example.test/%1$s
            address=/six.example.test/fd18::1
            address=/both.example.test/%1$s
            address=/both.example.test/fd18::1
            txt-record=txt.example.test,"hello txt"
            txt-record=long.example.test,%2$s
            mx-host=example.test,mail.example.test,10
            srv-host=_sip._tcp.example.test,www.example.test,5060
            local=/test/
            """.formatted(address, longText));
        String program = Prerequisites.find("dnsmasq").orElseThrow().toString();
        Subprocess server = internet.start(
                directory.resolve("dnsmasq-" + address + ".log"), List.of(program, "-k", "-C", settings.toString()));
        Await.until("dnsmasq on " + address, START, () -> {
            if (!server.isAlive()) {
                throw new IOException("dnsmasq ended: " + server.output());
            }
            return internet.run("dig", "+tries=1", "+time=1", "@" + address, "txt.example.test", "TXT")
                            .exit()
                    == 0;
        });
    }

    private void startBackend(Backend backend, String... options) throws IOException {
        socket = directory.resolve("vm.sock");
        List<String> command = new ArrayList<>(backend.command(socket));
        if (backend == Backend.SLIPWAY) {
            command.addAll(List.of("--api", apiSocket().toString()));
        }
        for (String option : options) {
            if (option.startsWith(HEAP)) {
                command.replaceAll(word -> word.startsWith(HEAP) ? option : word);
            } else if (option.startsWith(VARIABLE)) {
                command.addAll(0, List.of("env", option.substring(VARIABLE.length())));
            } else if (option.startsWith(LAUNCHER)) {
                command.addFirst(option.substring(LAUNCHER.length()));
            } else {
                command.add(option.replace(IN_FOLDER, directory.toString()));
            }
        }
        backendCommand = command;
        runBackend();
        Await.until("the backend listens on " + socket, START, () -> {
            if (!backendProcess.isAlive()) {
                throw new IOException("the backend ended with exit code " + backendProcess.exitValue());
            }
            // Slipway binds its socket elsewhere and moves it into place, so the kernel lists it by another name.
            return host.listens(socket) || backendOutput().contains("ready: qemu:" + socket);
        });
    }

    private void runBackend() throws IOException {
        backendProcess = host.start(directory.resolve("backend" + backends++ + ".log"), backendCommand);
    }

    /** Kills the backend and starts another like it, which listens after a while. */
    void replaceBackend() throws IOException {
        backendProcess.signal("KILL");
        if (!backendProcess.awaitExit(START)) {
            throw new IOException("the backend outlives SIGKILL");
        }
        runBackend();
    }

    private IOException closedAfter(Exception e) {
        IOException withLog = new IOException(e.getMessage() + "; the backend's output: " + backendOutput(), e);
        close();
        return withLog;
    }

    /** Something more that ends with the machine, before all that was there earlier. */
    <T extends AutoCloseable> T add(T part) {
        parts.add(part);
        return part;
    }

    Namespace host() {
        return host;
    }

    /** Whether there is an internet with name servers. */
    boolean hasInternet() {
        return internet != null;
    }

    Namespace internet() {
        return internet;
    }

    Subprocess backend() {
        return backendProcess;
    }

    /** Where the backend listens for guests. */
    Path socket() {
        return socket;
    }

    /** Where Slipway answers questions about itself; peers do not. */
    Path apiSocket() {
        return directory.resolve("api.sock");
    }

    /** What Slipway has counted for its guest so far, by name; see {@code /v1/status}. */
    BackendStatus status() throws IOException {
        return BackendStatus.ask(apiSocket());
    }

    /** The same for one of several, the first whose channel's name begins so. */
    BackendStatus status(String vm) throws IOException {
        return BackendStatus.ask(apiSocket(), vm);
    }

    /** A folder for files that go when the machine goes. */
    Path directory() {
        return directory;
    }

    /** What the backend printed so far, for a failed test's report. */
    String backendOutput() {
        try {
            return backendProcess == null ? "(not started)" : backendProcess.output();
        } catch (IOException e) {
            return e.toString();
        }
    }

    @Override
    public void close() {
        closeParts();
        Runtime.getRuntime().removeShutdownHook(atExit);
    }

    /** Whoever is interrupted, because its time is over, still cleans up. */
    private synchronized void closeParts() {
        boolean interrupted = Thread.interrupted();
        for (AutoCloseable part : parts.reversed()) {
            try {
                part.close();
            } catch (Exception e) {
                System.err.println("guest tests: cannot clean up: " + e);
            }
        }
        parts.clear();
        try (Stream<Path> files = Files.walk(directory)) {
            for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
                Files.deleteIfExists(file);
            }
        } catch (IOException | UncheckedIOException e) {
            System.err.println("guest tests: cannot clean up: " + e);
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }
}
