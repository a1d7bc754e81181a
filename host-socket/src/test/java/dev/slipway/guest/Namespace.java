package dev.slipway.guest;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetSocketAddress;
import java.net.StandardProtocolFamily;
import java.nio.channels.DatagramChannel;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.file.DirectoryNotEmptyException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A network namespace of Linux: a machine of its own as far as addresses, routes and sockets are concerned. A socket
 * belongs for life to the namespace of the thread that made it, so a test may hold sockets of several machines.
 */
final class Namespace implements AutoCloseable {

    private static final AtomicInteger COUNT = new AtomicInteger();
    private static final String TIME_WAIT = "06";
    private static final Path RESOLVER_FILES = Path.of("/etc/netns");

    private final Optional<String> name;
    private final List<Subprocess> started = new ArrayList<>();

    private Namespace(Optional<String> name) {
        this.name = name;
    }

    /** Makes a namespace whose name no other run and no other test has; only its loopback is up. */
    static Namespace create(String role) throws IOException {
        String name = "slipway-" + ProcessHandle.current().pid() + "-" + COUNT.incrementAndGet() + "-" + role;
        Namespace made = new Namespace(Optional.of(name));
        Subprocess.run("ip", "netns", "add", name).orFail();
        try {
            made.ip("link set lo up");
            return made;
        } catch (IOException | RuntimeException e) {
            made.close();
            throw e;
        }
    }

    /** The namespace this process already lives in: for what needs no privileges. */
    static Namespace ofThisProcess() {
        return new Namespace(Optional.empty());
    }

    String name() {
        return name.orElseThrow();
    }

    /** Runs an {@code ip} command, its words separated by blanks, on this namespace. */
    void ip(String words) throws IOException {
        List<String> command = new ArrayList<>(List.of("ip", "-n", name()));
        command.addAll(List.of(words.split(" ")));
        Subprocess.run(command, Duration.ofSeconds(10)).orFail();
    }

    /**
     * Says which name servers the processes started here from now on see in /etc/resolv.conf. Those already running see
     * a change too: the file stays the same one.
     */
    void nameServers(String... addresses) throws IOException {
        StringBuilder lines = new StringBuilder();
        for (String address : addresses) {
            lines.append("nameserver ").append(address).append('\n');
        }
        Path directory = Files.createDirectories(RESOLVER_FILES.resolve(name()));
        Files.writeString(directory.resolve("resolv.conf"), lines);
    }

    /** Sets a switch below /proc/sys/net of this namespace. */
    void sysctl(String path, String value) throws IOException {
        call(() -> Files.writeString(Path.of("/proc/sys/net").resolve(path), value));
    }

    /** A counter of /proc/net/snmp, for instance {@code Tcp RetransSegs}. */
    long counter(String protocol, String counter) throws IOException {
        List<String> lines = call(() -> Files.readAllLines(Path.of("/proc/thread-self/net/snmp"))).stream()
                .filter(line -> line.startsWith(protocol + ":"))
                .toList();
        int column = List.of(lines.get(0).split(" ")).indexOf(counter);
        return Long.parseLong(lines.get(1).split(" ")[column]);
    }

    /** TCP sockets of all states but TIME_WAIT, in which only the kernel remembers them. */
    List<String> tcpSockets() throws IOException {
        return call(() -> Files.readAllLines(Path.of("/proc/thread-self/net/tcp"))).stream()
                .skip(1)
                .filter(line -> !line.strip().split(" +")[3].equals(TIME_WAIT))
                .toList();
    }

    /** Whether a stream socket listens at a path; asking by a connection would be a guest's first. */
    boolean listens(Path socket) throws IOException {
        Pattern line = Pattern.compile(".*: \\S+ \\S+ 00010000 0001 .* " + Pattern.quote(socket.toString()));
        return call(() -> Files.readAllLines(Path.of("/proc/thread-self/net/unix"))).stream()
                .map(line::matcher)
                .anyMatch(Matcher::matches);
    }

    /** Runs code in a thread that lives in this namespace. */
    <T> T call(Callable<T> code) throws IOException {
        FutureTask<T> task = new FutureTask<>(() -> {
            if (name.isPresent()) {
                LinuxCalls.enterNetworkNamespace("/run/netns/" + name.get());
            }
            return code.call();
        });
        Thread thread = Thread.ofPlatform()
                .daemon()
                .name("in " + name.orElse("this namespace"))
                .start(task);
        try {
            return task.get();
        } catch (ExecutionException e) {
            if (e.getCause() instanceof IOException io) {
                throw io;
            }
            throw new IllegalStateException(e.getCause());
        } catch (InterruptedException e) {
            thread.interrupt();
            Thread.currentThread().interrupt();
            throw new IOException("interrupted", e);
        }
    }

    /** A listening socket on a free port, or on the given one. */
    ServerSocketChannel listen(String address, int port) throws IOException {
        return call(() -> ServerSocketChannel.open(familyOf(address)).bind(new InetSocketAddress(address, port)));
    }

    /** A connection from here. */
    SocketChannel connect(InetSocketAddress destination, Duration timeout) throws IOException {
        SocketChannel channel =
                call(() -> SocketChannel.open(familyOf(destination.getAddress().getHostAddress())));
        try {
            channel.socket().connect(destination, (int) timeout.toMillis());
            return channel;
        } catch (IOException e) {
            channel.close();
            throw e;
        }
    }

    /** A UDP socket on a free port. */
    DatagramChannel datagrams(String address) throws IOException {
        return call(() -> DatagramChannel.open(familyOf(address)).bind(new InetSocketAddress(address, 0)));
    }

    /** Runs a command here to its end, at most 20 s. */
    Subprocess.Result run(String... command) throws IOException {
        return Subprocess.run(inside(List.of(command)), Duration.ofSeconds(20));
    }

    /** Starts a command here that lives until {@link #close}. */
    Subprocess start(Path log, List<String> command) throws IOException {
        Subprocess process = Subprocess.start(log, inside(command));
        started.add(process);
        return process;
    }

    private List<String> inside(List<String> command) {
        if (name.isEmpty()) {
            return command;
        }
        List<String> words = new ArrayList<>(List.of("ip", "netns", "exec", name()));
        words.addAll(command);
        return words;
    }

    @Override
    public void close() {
        started.reversed().forEach(Subprocess::close);
        if (name.isEmpty()) {
            return;
        }
        try {
            Subprocess.run("ip", "netns", "del", name());
            Files.deleteIfExists(RESOLVER_FILES.resolve(name()).resolve("resolv.conf"));
            Files.deleteIfExists(RESOLVER_FILES.resolve(name()));
            Files.deleteIfExists(RESOLVER_FILES);
        } catch (DirectoryNotEmptyException | NoSuchFileException e) {
            // The folder holds what others put there, or never was.
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** The family of an address in figures. */
    private static StandardProtocolFamily familyOf(String address) {
        return address.contains(":") ? StandardProtocolFamily.INET6 : StandardProtocolFamily.INET;
    }
}
