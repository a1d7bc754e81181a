package dev.slipway;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.slipway.wire.IpAddress;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.net.Inet4Address;
import java.net.InetAddress;
import java.net.InterfaceAddress;
import java.net.NetworkInterface;
import java.net.ServerSocket;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** {@code slipway run} as a process: its first line, its sockets, its end. */
@Timeout(value = 60, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class RunCommandTest {

    @TempDir
    Path folder;

    private final List<Process> processes = new ArrayList<>();

    private Process slipway(String... args) throws IOException {
        List<String> command = new ArrayList<>(List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-XX:+UseSerialGC",
                "-XX:TieredStopAtLevel=1",
                "--enable-native-access=ALL-UNNAMED",
                "-cp",
                System.getProperty("java.class.path"),
                "dev.slipway.Main",
                "run"));
        command.addAll(List.of(args));
        Process process = new ProcessBuilder(command)
                .redirectError(folder.resolve("log").toFile())
                .start();
        processes.add(process);
        return process;
    }

    private String log() throws IOException {
        return Files.readString(folder.resolve("log"));
    }

    @AfterEach
    void stop() throws InterruptedException {
        for (Process process : processes) {
            process.destroyForcibly().waitFor();
        }
    }

    @Test
    void itSaysWhenItIsReadyServesItsApiAndEndsInOrder() throws Exception {
        Path vm = folder.resolve("vm.sock");
        Path api = folder.resolve("api.sock");
        Process process = slipway("--vm", "qemu:" + vm, "--api", api.toString(), "-p", "127.0.0.1:17000:7000");
        assertThat(process.inputReader().readLine()).isEqualTo("ready: qemu:" + vm + " api:" + api);
        assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(vm)))
                .isEqualTo("rw-------");
        assertThat(request(api))
                .startsWith("HTTP/1.1 200 OK")
                .contains("\"socket\":\"qemu:" + vm + "\"", "\"attached\":false");

        Process second = slipway("--vm", "qemu:" + vm);
        assertThat(second.waitFor()).isEqualTo(2);
        assertThat(log()).contains("--vm: " + vm + ": in use");

        long before = System.nanoTime();
        process.toHandle().destroy();
        assertThat(process.waitFor()).as("exit code after SIGTERM").isZero();
        assertThat(System.nanoTime() - before).isLessThan(TimeUnit.SECONDS.toNanos(5));
        assertThat(vm).doesNotExist();
        assertThat(api).doesNotExist();
    }

    @Test
    void settingsComeFromAFileAndItsErrorsNameTheLine() throws Exception {
        Path missing = folder.resolve("no").resolve("vm.sock");
        Path file = Files.writeString(folder.resolve("slipway.yml"), "mtu: 1400\nvm:\n  - qemu:" + missing + "\n");
        Process process = slipway("--config", file.toString());
        assertThat(process.waitFor()).isEqualTo(2);
        assertThat(log()).contains(file + ":3: vm: " + missing + ": there is no folder");
    }

    @Test
    void aPortThatCannotBePublishedEndsTheStartWithItsReason() throws Exception {
        try (ServerSocket holder = new ServerSocket(0, 1, InetAddress.getByName("127.0.0.1"))) {
            String port = holder.getLocalPort() + ":80";
            Process process = slipway("--vm", "qemu:" + folder.resolve("vm.sock"), "-p", port);
            assertThat(process.waitFor()).isEqualTo(1);
            assertThat(log()).contains("--publish " + port).contains("in use");
        }
    }

    @Test
    void aNetworkOfTheHostThatTheGuestsHidesIsWarnedOf() throws Exception {
        InterfaceAddress own = NetworkInterface.networkInterfaces()
                .flatMap(each -> each.getInterfaceAddresses().stream())
                .filter(each -> each.getAddress() instanceof Inet4Address v4 && !v4.isLoopbackAddress())
                .filter(each -> each.getNetworkPrefixLength() >= 8 && each.getNetworkPrefixLength() <= 29)
                .findFirst()
                .orElse(null);
        assumeTrue(own != null, "this machine is on no network of IPv4");
        String address = own.getAddress().getHostAddress();
        int network = IpAddress.parseV4(address) & -1 << 32 - own.getNetworkPrefixLength();
        String subnet = IpAddress.toString(network) + "/" + own.getNetworkPrefixLength();
        Process process = slipway("--vm", "qemu:" + folder.resolve("vm.sock"), "--subnet", subnet);
        assertThat(process.inputReader().readLine()).startsWith("ready: ");
        while (!log().contains("overlaps")) {
            assertThat(process.waitFor(10, TimeUnit.MILLISECONDS)).as(log()).isFalse();
        }
        assertThat(log()).contains("network " + subnet + " overlaps the host's ", " " + address + "/", "--subnet");
    }

    @Test
    void aPublishedPortIsListedAndFreeAfterwards() throws Exception {
        Path api = folder.resolve("api.sock");
        Process process =
                slipway("--vm", "qemu:" + folder.resolve("vm.sock"), "--api", api.toString(), "-p", "127.0.0.1:0:80");
        assertThat(process.inputReader().readLine()).startsWith("ready: ");
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        int exit = Main.run(
                new String[] {"ports", "--api", api.toString()},
                new PrintStream(out, true, StandardCharsets.UTF_8),
                System.err);
        assertThat(exit).isZero();
        assertThat(out.toString(StandardCharsets.UTF_8))
                .matches("127\\.0\\.0\\.1:[1-9][0-9]+ +-> vm:80 +tcp +settings\\n");
        process.toHandle().destroy();
        assertThat(process.waitFor()).isZero();
    }

    private static String request(Path api) throws IOException {
        try (SocketChannel client = SocketChannel.open(StandardProtocolFamily.UNIX)) {
            client.connect(UnixDomainSocketAddress.of(api));
            String request = "GET /v1/status HTTP/1.1\r\nHost: slipway\r\nConnection: close\r\n\r\n";
            client.write(ByteBuffer.wrap(request.getBytes(StandardCharsets.US_ASCII)));
            ByteBuffer response = ByteBuffer.allocate(65_536);
            while (client.read(response) >= 0) {
                // Until the server closes.
                continue;
            }
            return StandardCharsets.UTF_8.decode(response.flip()).toString();
        }
    }
}
