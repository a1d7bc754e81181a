package dev.slipway.guest;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
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

/** {@code slipway shell} as root, with the real kernel's namespaces. */
@Tag("guest")
@Timeout(120)
@ExtendWith(NeedsNamespaces.class)
class ShellCommandTest {

    private static final Duration LIMIT = Duration.ofSeconds(60);

    @TempDir
    Path folder;

    private List<String> command(String... words) {
        List<String> command = new ArrayList<>(List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(), "-XX:+UseSerialGC", "-Xmx64m"));
        command.addAll(List.of("--enable-native-access=ALL-UNNAMED", "-Djava.io.tmpdir=" + folder));
        command.addAll(List.of("-cp", Backend.classPath(), "dev.slipway.Main", "shell", "--"));
        command.addAll(List.of(words));
        return command;
    }

    private Subprocess.Result shell(String... words) throws IOException {
        return Subprocess.run(command(words), LIMIT);
    }

    private void assertNothingIsLeft() throws IOException {
        try (Stream<Path> files = Files.list(folder)) {
            assertThat(files.map(file -> file.getFileName().toString())
                            .filter(name -> name.startsWith("slipway-shell")))
                    .isEmpty();
        }
    }

    @Test
    void commandReachesAServiceOfTheHostByNameAndItsExitCodeIsPassedOn() throws Exception {
        String resolvConf = Files.readString(Path.of("/etc/resolv.conf"));
        try (ServerSocketChannel server = ServerSocketChannel.open().bind(new InetSocketAddress("127.0.0.1", 0))) {
            FutureTask<Void> answer = new FutureTask<>(() -> {
                try (SocketChannel client = server.accept()) {
                    client.write(StandardCharsets.US_ASCII.encode("HTTP/1.0 200 OK\r\n\r\nhello from the host\n"));
                }
                return null;
            });
            Thread.ofPlatform().daemon().start(answer);
            int port = ((InetSocketAddress) server.getLocalAddress()).getPort();
            Subprocess.Result result =
                    shell("sh", "-c", "curl -sS -m 20 http://host.docker.internal:" + port + "/; ip -o link; exit 7");
            assertThat(result.output()).contains("hello from the host", "eth0");
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
