package dev.slipway;

import dev.slipway.SettingSource.Value;
import dev.slipway.ethernet.Transport;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.function.Consumer;
import java.util.stream.Stream;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.PositionalParamSpec;
import picocli.CommandLine.ParseResult;

/**
 * {@code slipway shell}: a command whose only network is Slipway.
 *
 * <p>It runs in network and mount namespaces of its own ({@link NamespaceShell}), joined by a TAP device. Making these
 * takes rights that root has, and an ordinary user in a user namespace of its own. A process with threads cannot enter
 * one, so for a user who is not root the whole program is started once more inside of one, by {@code unshare}; its
 * sockets stay those of the host, and of the user.
 */
final class ShellCommand implements Command {

    /** Set in the environment of the program inside the user namespace. */
    private static final String INSIDE = "SLIPWAY_SHELL_INSIDE";

    private static final Path TUN = Path.of("/dev/net/tun");

    /** Settings of {@code run} that make no sense for one command. */
    private static final Set<String> WITHOUT =
            Set.of("vm", "api", "publish", "publish-address", "no-preserve-source", "docker", "transport", "sandbox");

    private static Stream<SettingKey> keys() {
        return Stream.of(SettingKey.values()).filter(key -> !WITHOUT.contains(key.key()));
    }

    @Override
    public CommandSpec spec() {
        CommandSpec spec = CommandSpec.create().name("slipway shell");
        spec.usageMessage()
                .customSynopsis("slipway shell [OPTIONS] [-- COMMAND [ARGUMENT...]]")
                .description(
                        "Runs a command, or a shell, in a network namespace whose only network is Slipway. It has the"
                                + " first address of the subnet that guests get, and names are resolved by the host.%n")
                .footer(
                        "",
                        "Needs Linux, /dev/net/tun open to the user, unshare (util-linux) and ip (iproute2); without"
                                + " root also user namespaces for ordinary users, in which the command sees itself as"
                                + " root.",
                        "Exit code: that of the command, 128 and the signal's number if a signal ended it; 125 if its"
                                + " network cannot be set up, 126 or 127 if it cannot be started, 2 wrong options.",
                        "Example: slipway shell -- curl -sS http://host.docker.internal:8000/");
        keys().forEach(key -> spec.addOption(RunCommand.option(key)));
        spec.addPositional(PositionalParamSpec.builder()
                .index("0..*")
                .arity("0..*")
                .paramLabel("COMMAND")
                .type(List.class)
                .auxiliaryTypes(String.class)
                .hidden(true)
                .description("What to run")
                .build());
        spec.parser().stopAtPositional(true);
        return spec;
    }

    @Override
    public int run(ParseResult parsed, PrintStream out, PrintStream err) throws SettingsException {
        SettingSource source = new SettingSource();
        keys().filter(key -> parsed.hasMatchedOption(key.flag())).forEach(key -> {
            List<Value> values = new ArrayList<>();
            for (String text : parsed.matchedOption(key.flag()).stringValues()) {
                values.add(new Value(key.flag(), text));
            }
            source.put(key.key(), values);
        });
        if (!parsed.hasMatchedOption(SettingKey.LOG_LEVEL.flag())) {
            source.put(SettingKey.LOG_LEVEL.key(), List.of(new Value(SettingKey.LOG_LEVEL.flag(), "error")));
        }
        // Wrong settings are told before anything is made; whose namespace it is will be known later.
        Settings settings = settings(source, "self");
        List<String> command = parsed.matchedPositionalValue(0, List.<String>of());
        if (command.isEmpty()) {
            command = List.of(Optional.ofNullable(System.getenv("SHELL")).orElse("/bin/sh"));
        }
        Optional<String> missing = missing();
        if (missing.isPresent()) {
            err.println("slipway: shell: " + missing.get());
            return FAILED;
        }
        Logging.configure(settings.logLevel());
        try {
            return isRoot() || System.getenv(INSIDE) != null ? here(source, settings, command) : inUserNamespace(err);
        } catch (IOException e) {
            err.println("slipway: shell: " + e.getMessage());
            return FAILED;
        } catch (InterruptedException e) {
            return FAILED;
        }
    }

    private static Settings settings(SettingSource source, String namespace) throws SettingsException {
        source.put(
                SettingKey.VM.key(),
                List.of(new Value("shell", "tap:/proc/" + namespace + "/ns/net/" + NamespaceShell.DEVICE)));
        return Settings.from(source);
    }

    /** What this machine lacks, and where it comes from. */
    private static Optional<String> missing() {
        if (!Transport.NATIVE.isAvailable()) {
            return Optional.of("network namespaces need Linux on x86-64 or aarch64");
        }
        for (String[] program : new String[][] {
            {"unshare", "util-linux"}, {"mount", "util-linux"}, {"ip", "iproute2"}, {"sh", "a shell"}
        }) {
            if (!isOnPath(program[0])) {
                return Optional.of("no program '" + program[0] + "' on the path (" + program[1] + ")");
            }
        }
        if (!Files.exists(TUN)) {
            return Optional.of(TUN + " is not there (modprobe tun)");
        }
        return Files.isReadable(TUN) && Files.isWritable(TUN)
                ? Optional.empty()
                : Optional.of(TUN + " is not open to this user (usual is mode 0666)");
    }

    private static boolean isOnPath(String program) {
        String path = Optional.ofNullable(System.getenv("PATH")).orElse("/usr/bin:/bin");
        return Stream.of(path.split(":")).anyMatch(folder -> Files.isExecutable(Path.of(folder, program)));
    }

    private static boolean isRoot() throws IOException {
        return Files.getAttribute(Path.of("/proc/self"), "unix:uid").equals(0);
    }

    // --- here

    private static int here(SettingSource source, Settings settings, List<String> command)
            throws IOException, InterruptedException, SettingsException {
        try (NamespaceShell shell = NamespaceShell.start(settings.stack(), command)) {
            forward(shell::signal);
            Settings ofShell = settings(source, Long.toString(shell.pid()));
            try (RunningNetwork network = RunningNetwork.start(ofShell, PolicyFile.from(source, ofShell.vms()))) {
                shell.go();
                return shell.await();
            }
        }
    }

    /** Hands on what we are told to the command, whose end is then ours. */
    private static void forward(Consumer<String> to) {
        for (String signal : List.of("TERM", "HUP", "INT")) {
            // What is typed at a terminal goes to the command anyway, it is in the same group of processes.
            boolean typed = signal.equals("INT")
                    && System.console() != null
                    && System.console().isTerminal();
            Signals.hear(signal, typed ? () -> {} : () -> to.accept(signal));
        }
    }

    // --- without root

    private static int inUserNamespace(PrintStream err) throws IOException, InterruptedException {
        List<String> unshare = List.of("unshare", "--user", "--map-root-user", "--");
        List<String> probe = new ArrayList<>(unshare);
        probe.add("true");
        Process probing = new ProcessBuilder(probe).redirectErrorStream(true).start();
        String said = new String(probing.getInputStream().readAllBytes(), StandardCharsets.UTF_8).strip();
        if (probing.waitFor() != 0) {
            err.println("slipway: shell: no user namespace for an ordinary user here (" + said
                    + "); see sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone and"
                    + " kernel.apparmor_restrict_unprivileged_userns, or run it as root");
            return FAILED;
        }
        List<String> words = new ArrayList<>(unshare);
        words.add(ProcessHandle.current().info().command().orElse("java"));
        String[] arguments = Files.readString(Path.of("/proc/self/cmdline")).split("\0", -1);
        words.addAll(List.of(arguments).subList(1, arguments.length - 1));
        ProcessBuilder builder = new ProcessBuilder(words).inheritIO();
        builder.environment().put(INSIDE, "1");
        Process process = builder.start();
        forward(signal -> NamespaceShell.signal(process, signal));
        return process.waitFor();
    }
}
