package dev.slipway;

import dev.slipway.egress.EgressPolicy;
import java.io.IOException;
import java.io.PrintStream;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.StructLayout;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.net.InetAddress;
import java.net.NetworkInterface;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.concurrent.Callable;

/**
 * What somebody could do who runs code of his own inside of the program: puts a network into a sandbox as {@code run}
 * does, and then tries things on a thread of an event loop, by system calls of its own. It says a line about each, for
 * {@link SandboxTest}.
 *
 * <p>Arguments: the mode, a folder that the settings name, one that they do not, and a file in somebody's home, or
 * nothing.
 */
final class ConfinedProgram {

    private static final StructLayout CAPTURE = Linker.Option.captureStateLayout();
    private static final MethodHandle SYSCALL = Linker.nativeLinker()
            .downcallHandle(
                    Linker.nativeLinker().defaultLookup().findOrThrow("syscall"),
                    FunctionDescriptor.of(
                            ValueLayout.JAVA_LONG,
                            ValueLayout.JAVA_LONG,
                            ValueLayout.JAVA_LONG,
                            ValueLayout.JAVA_LONG,
                            ValueLayout.JAVA_LONG,
                            ValueLayout.JAVA_LONG,
                            ValueLayout.JAVA_LONG,
                            ValueLayout.JAVA_LONG),
                    Linker.Option.captureCallState("errno"));

    private static final PrintStream OUT = System.out;

    private ConfinedProgram() {}

    public static void main(String[] args) throws Exception {
        Path named = Path.of(args[1]);
        Path other = Path.of(args[2]);
        Path home = args[3].isEmpty() ? null : Path.of(args[3]);
        SettingSource source = new SettingSource();
        put(source, SettingKey.VM, "qemu:" + named.resolve("vm.sock"));
        put(source, SettingKey.LEASE_FILE, named.resolve("leases").toString());
        put(source, SettingKey.CAPTURE, named.resolve("capture.pcap").toString());
        put(source, SettingKey.SANDBOX, args[0]);
        Settings settings = Settings.from(source);
        try (RunningNetwork network = RunningNetwork.start(settings, EgressPolicy.OPEN)) {
            Sandbox sandbox = new Sandbox(settings.sandbox(), settings, List.of(), List.of());
            sandbox.beforeReady(network.network());
            sandbox.afterReady(network.network());
            sandbox.join();
            OUT.println("sandbox: " + sandbox.state());
            boolean arm = System.getProperty("os.arch").equals("aarch64");
            network.network().onEachLoop(() -> attack(arm, named, other, home));
        }
        OUT.println("end");
        OUT.flush();
        // No exit by way of anything that may have been refused.
        Runtime.getRuntime().halt(0);
    }

    private static void put(SettingSource source, SettingKey key, String value) {
        source.put(key.key(), List.of(new SettingSource.Value(key.flag(), value)));
    }

    private static void attack(boolean arm, Path named, Path other, Path home) {
        tell("a program", () -> new ProcessBuilder("true").start());
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment memory = arena.allocate(4096, 8);
            long at = memory.address();
            call("execve", arm ? 221 : 59, arena.allocateFrom("/bin/true").address(), 0, 0);
            call(
                    "execveat",
                    arm ? 281 : 322,
                    -100,
                    arena.allocateFrom("/bin/true").address(),
                    0);
            // A new process: only the signal for its end (SIGCHLD), no CLONE_THREAD.
            call("clone", arm ? 220 : 56, 17, 0, 0);
            call("clone3", 435, at, 64, 0);
            call(
                    "ptrace",
                    arm ? 117 : 101,
                    16,
                    ProcessHandle.current().parent().orElseThrow().pid(),
                    0);
            call("process_vm_readv", arm ? 270 : 310, ProcessHandle.current().pid(), at, 1);
            call(
                    "kill of the parent",
                    arm ? 129 : 62,
                    ProcessHandle.current().parent().orElseThrow().pid(),
                    0,
                    0);
            call("mount", arm ? 40 : 165, at, at, at);
            call("fsopen", 430, arena.allocateFrom("tmpfs").address(), 0, 0);
            call("unshare", arm ? 97 : 272, 0x10000000, 0, 0);
            call("setns", arm ? 268 : 308, -1, 0, 0);
            call("init_module", arm ? 105 : 175, at, 8, at);
            call("kexec_load", arm ? 104 : 246, 0, 0, 0);
            call("bpf", arm ? 280 : 321, 0, at, 0);
            call("perf_event_open", arm ? 241 : 298, at, 0, 0);
            call("userfaultfd", arm ? 282 : 323, 0, 0, 0);
            call("io_uring_setup", 425, 1, at, 0);
            call("keyctl", arm ? 219 : 250, 0, -3, 0);
            call("setuid", arm ? 146 : 105, 0, 0, 0);
            long user = attribute(other, "unix:uid");
            long group = attribute(other, "unix:gid");
            long path = arena.allocateFrom(other.toString()).address();
            if (!arm) {
                call("chown to itself", 92, path, user, group);
                call("chown to another user", 92, path, user + 1, group);
                call("chown to another group", 92, path, user, group + 1);
            }
            call("fchownat to itself", arm ? 54 : 260, -100, path, user, group, 0, 0);
            call("fchownat to another user", arm ? 54 : 260, -100, path, user + 1, group, 0, 0);
            call("fchownat to another group", arm ? 54 : 260, -100, path, user, group + 1, 0, 0);
            call("fchown", arm ? 55 : 93, 0, user, group);
            call("packet socket", arm ? 198 : 41, 17, 3, 0);
            call("vsock socket", arm ? 198 : 41, 40, 1, 0);
            call("crypto socket", arm ? 198 : 41, 38, 5, 0);
            call("raw socket", arm ? 198 : 41, 2, 3, 255);
            call("netfilter socket", arm ? 198 : 41, 16, 3, 12);
            call("typing at the terminal", arm ? 29 : 16, 0, 0x5412, at);
            long parent = ProcessHandle.current().parent().orElseThrow().pid();
            long descriptor = call("a socket", arm ? 198 : 41, 2, 2, 0);
            call("signals of a file to the parent", arm ? 25 : 72, descriptor, 8, parent);
            memory.set(ValueLayout.JAVA_INT, 0, 1);
            memory.set(ValueLayout.JAVA_INT, 4, (int) parent);
            call("signals of a file to the parent in other words", arm ? 25 : 72, descriptor, 15, at);
            call("another signal of a file", arm ? 25 : 72, descriptor, 10, 9);
            memory.set(ValueLayout.JAVA_INT, 0, (int) parent);
            call("signals of a socket to the parent", arm ? 29 : 16, descriptor, 0x8901, at);
            call("signals of a socket to its group", arm ? 29 : 16, descriptor, 0x8902, at);
            call("flags of a file", arm ? 25 : 72, descriptor, 3, 0);
            long executable = call("mmap of executable memory", arm ? 222 : 9, 0, 4096, 7, 0x22, -1, 0);
            if (executable < 0) {
                OUT.println("the JVM cannot compile");
            }
        }
        tell("writing elsewhere", () -> Files.writeString(other.resolve("written"), "x"));
        Path parent = Path.of(
                "/proc",
                Long.toString(ProcessHandle.current().parent().orElseThrow().pid()),
                "mem");
        tell("reading the parent's memory", () -> Files.newByteChannel(parent).isOpen());
        tell(
                "writing the parent's memory",
                () -> Files.newByteChannel(parent, StandardOpenOption.WRITE).isOpen());
        tell("overwriting elsewhere", () -> Files.writeString(other.resolve("there"), "x"));
        if (home != null) {
            tell("reading a home", () -> Files.readString(home));
            tell("listing a home", () -> Files.list(home.getParent()).count());
        }
        tell("socket elsewhere", () -> {
            Files.createDirectory(other.resolve("folder"));
            return Files.deleteIfExists(other.resolve("folder"));
        });
        tell("reading resolv.conf", () -> Files.readString(Path.of("/etc/resolv.conf")));
        tell("writing beside the leases", () -> Files.writeString(named.resolve("beside"), "x"));
        tell("removing beside the leases", () -> Files.deleteIfExists(named.resolve("beside")));
        tell("a temporary folder", () -> Files.deleteIfExists(Files.createTempDirectory("slipway")));
        tell("interfaces", () -> NetworkInterface.networkInterfaces().count());
        tell("a name", () -> InetAddress.getByName("localhost"));
        tell("a thread", () -> {
            Thread thread = Thread.ofPlatform().start(() -> {});
            thread.join();
            return thread;
        });
    }

    private static long attribute(Path file, String name) {
        try {
            return (int) Files.getAttribute(file, name);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static void tell(String what, Callable<?> attempt) {
        try {
            attempt.call();
            OUT.println(what + ": done");
        } catch (IOException e) {
            OUT.println(what + ": " + e.getClass().getSimpleName() + " " + e.getMessage());
        } catch (Exception e) {
            OUT.println(what + ": " + e);
        }
    }

    private static long call(String what, long number, long a, long b, long c) {
        return call(what, number, a, b, c, 0, 0, 0);
    }

    private static long call(String what, long number, long a, long b, long c, long d, long e, long f) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment capture = arena.allocate(CAPTURE);
            long result = (long) SYSCALL.invokeExact(capture, number, a, b, c, d, e, f);
            int errno = (int) CAPTURE.varHandle(MemoryLayout.PathElement.groupElement("errno"))
                    .get(capture, 0L);
            OUT.println(what + ": " + (result == -1 ? "errno " + errno : "done"));
            return result;
        } catch (Throwable impossible) {
            throw new AssertionError(impossible);
        }
    }
}
