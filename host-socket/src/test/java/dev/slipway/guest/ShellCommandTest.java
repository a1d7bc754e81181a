package dev.slipway.guest;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.File;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.FutureTask;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;

/** {@code slipway shell} as root and as an ordinary user, with the real kernel's namespaces. */
@Tag("guest")
@Timeout(120)
@ExtendWith(NeedsNamespaces.class)
class ShellCommandTest {

    private static final Duration LIMIT = Duration.ofSeconds(60);

    /**
     * Makes root an ordinary user on a machine where /dev/net/tun is everybody's, as udev makes it; only the command sees
     * that.
     */
    private static final List<String> ORDINARY_USER =
            List.of("unshare", "--mount", "--propagation", "private", "--", "sh", "-ec", """
                mount -t tmpfs tmpfs /dev/net
                mknod -m 666 /dev/net/tun c 10 200
                cd /
                exec setpriv --reuid 65534 --regid 65534 --clear-groups -- "$@"
                """, "sh");

    @TempDir
    Path folder;

    private List<String> command(String... words) {
        return commandFrom(Backend.classPath(), words);
    }

    private List<String> commandFrom(String classPath, String... words) {
        List<String> command = new ArrayList<>(List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(), "-XX:+UseSerialGC", "-Xmx64m"));
        command.addAll(List.of("--enable-native-access=ALL-UNNAMED", "-Djava.io.tmpdir=" + folder));
        command.addAll(List.of("-cp", classPath, "dev.slipway.Main", "shell", "--"));
        command.addAll(List.of(words));
        return command;
    }

    private Subprocess.Result shell(String... words) throws IOException {
        return Subprocess.run(command(words), LIMIT);
    }

    private Subprocess.Result shellOfAnOrdinaryUser(String... words) throws IOException {
        Subprocess.Result can = asOrdinaryUser(List.of("unshare", "--user", "--map-root-user", "--", "true"));
        assumeTrue(can.exit() == 0, "no user namespaces for ordinary users, or no setpriv: " + can.output());
        Files.setPosixFilePermissions(folder, PosixFilePermissions.fromString("rwxrwxrwx"));
        return asOrdinaryUser(commandFrom(classPathForEverybody(), words));
    }

    private static Subprocess.Result asOrdinaryUser(List<String> words) throws IOException {
        List<String> command = new ArrayList<>(ORDINARY_USER);
        command.addAll(words);
        return Subprocess.run(command, LIMIT);
    }

    /** A copy: the repository of a root who builds is closed to others. */
    private String classPathForEverybody() throws IOException {
        Path all = folder.resolve("class-path");
        List<String> copies = new ArrayList<>();
        boolean copied = Files.exists(all);
        Files.createDirectories(all);
        for (String entry : Backend.classPath().split(File.pathSeparator)) {
            if (entry.endsWith("test-classes")) {
                continue;
            }
            Path from = Path.of(entry);
            Path to = all.resolve(Integer.toString(copies.size()));
            copies.add(to.toString());
            try (Stream<Path> files = copied ? Stream.empty() : Files.walk(from)) {
                for (Path file : (Iterable<Path>) files::iterator) {
                    Files.copy(file, to.resolve(from.relativize(file).toString()));
                }
            }
        }
        return String.join(File.pathSeparator, copies);
    }

    private void assertNothingIsLeft() throws IOException {
        try (Stream<Path> files = Files.list(folder)) {
            assertThat(files.map(file -> file.getFileName().toString())
                            .filter(name -> name.startsWith("slipway-shell")))
                    .isEmpty();
        }
    }

    @Test
    void rootsCommandReachesAServiceOfTheHostByNameAndItsExitCodeIsPassedOn() throws Exception {
        assertReachesAServiceOfTheHost(this::shell, "0 0");
    }

    @Test
    void soDoesTheCommandOfAnOrdinaryUser() throws Exception {
        assertReachesAServiceOfTheHost(this::shellOfAnOrdinaryUser, "0 65534");
    }

    private interface Shell {
        Subprocess.Result run(String... words) throws IOException;
    }

    private void assertReachesAServiceOfTheHost(Shell shell, String user) throws Exception {
        String resolvConf = Files.readString(Path.of("/etc/resolv.conf"));
        try (ServerSocketChannel server = ServerSocketChannel.open().bind(new InetSocketAddress("127.0.0.1", 0))) {
            FutureTask<Void> answer = new FutureTask<>(() -> {
                for (int i = 0; i < 2; i++) {
                    try (SocketChannel client = server.accept()) {
                        // What is left unread when it is closed makes the end a reset.
                        client.read(ByteBuffer.allocate(4_096));
                        client.write(StandardCharsets.US_ASCII.encode("HTTP/1.0 200 OK\r\n\r\nhello from the host\n"));
                    }
                }
                return null;
            });
            Thread.ofPlatform().daemon().start(answer);
            String url =
                    "http://host.docker.internal:" + ((InetSocketAddress) server.getLocalAddress()).getPort() + "/";
            Subprocess.Result alone = shell.run("curl", "-sS", "-m", "20", url);
            assertThat(alone.output()).isEqualTo("hello from the host\n");
            assertThat(alone.exit()).isZero();
            Subprocess.Result result =
                    shell.run("sh", "-c", "curl -sS -m 20 " + url + "; cat /proc/self/uid_map; ip -o link; exit 7");
            assertThat(result.output()).contains("hello from the host", "eth0");
            assertThat(result.output().replaceAll(" +", " "))
                    .as("whose root is whom")
                    .contains(" " + user + " ");
            assertThat(result.output().lines().filter(line -> line.matches("[0-9]+: .*")))
                    .as("interfaces: the loopback and ours")
                    .hasSize(2);
            assertThat(result.exit()).isEqualTo(7);
        }
        assertThat(Files.readString(Path.of("/etc/resolv.conf")))
                .as("the host's own file")
                .isEqualTo(resolvConf);
        assertNothingIsLeft();
    }

    @Test
    void commandThatDoesNotExistIs127() throws IOException {
        assertThat(shell("no-such-program-anywhere").exit()).isEqualTo(127);
        assertNothingIsLeft();
    }

    @Test
    void signalIsTheCommandsToHandleAndSoIsTheExitCode() throws Exception {
        Path up = folder.resolve("command-is-up");
        Process process = new ProcessBuilder(
                        command("sh", "-c", "trap 'exit 9' TERM; : > " + up + "; while :; do sleep 0.05; done"))
                .redirectErrorStream(true)
                .redirectOutput(folder.resolve("output").toFile())
                .start();
        try {
            Await.until("the command runs", LIMIT, () -> Files.exists(up));
            process.destroy();
            assertThat(process.waitFor()).isEqualTo(9);
        } finally {
            process.destroyForcibly();
        }
        assertNothingIsLeft();
    }
}
