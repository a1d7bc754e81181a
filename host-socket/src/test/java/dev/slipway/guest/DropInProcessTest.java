package dev.slipway.guest;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.slipway.testing.PacketBuilder;
import java.io.IOException;
import java.net.ServerSocket;
import java.nio.ByteBuffer;
import java.nio.channels.ByteChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Running processes that were started as gvproxy and as VPNKit are. Needs no privileges. */
@Timeout(60)
class DropInProcessTest {

    private static final Duration SOON = Duration.ofSeconds(30);

    @TempDir
    Path folder;

    private Process process;

    @AfterEach
    void stop() throws InterruptedException {
        if (process != null) {
            process.destroyForcibly().waitFor();
        }
    }

    /** By the name that the launcher hands on when it was called by a link of that name. */
    private void start(String name, String... arguments) throws IOException {
        assumeTrue(Backend.chosen() == Backend.SLIPWAY, "a peer has other flags");
        List<String> command = new ArrayList<>(Backend.SLIPWAY.command(folder.resolve("vm.sock")));
        assumeTrue(command.contains("-cp"), "the launcher is called by its own name");
        command.subList(command.size() - 3, command.size()).clear();
        command.add(command.indexOf("-cp"), "-Dslipway.name=" + name);
        command.addAll(List.of(arguments));
        process = new ProcessBuilder(command)
                .redirectError(folder.resolve("log").toFile())
                .redirectOutput(folder.resolve("out").toFile())
                .start();
        Await.until("it is ready", SOON, () -> {
            if (!process.isAlive()) {
                throw new IOException("it ended: " + Files.readString(folder.resolve("log")));
            }
            return Files.readString(folder.resolve("out")).startsWith("ready: ");
        });
    }

    @Test
    void gvproxyServesItsVmAndEndsWithIt() throws Exception {
        int port;
        try (ServerSocket free = new ServerSocket(0)) {
            port = free.getLocalPort();
        }
        Path socket = folder.resolve("vm.sock");
        Path services = folder.resolve("services.sock");
        Path pid = folder.resolve("pid");
        start(
                "gvproxy",
                "-listen-qemu",
                "unix://" + socket,
                "-services",
                "unix://" + services,
                "-listen",
                "unix://" + folder.resolve("api.sock"),
                "-pid-file",
                pid.toString(),
                "-ssh-port",
                Integer.toString(Math.max(port, 1024)));
        assertThat(Files.readString(pid)).isEqualTo(Long.toString(process.pid()));
        assertThat(folder.resolve("api.sock")).exists();
        try (RawGuest guest = RawGuest.attach(socket)) {
            // The address is kept for the card that gvproxy's VMs have.
            guest.send(PacketBuilder.guest()
                    .mac(0x5A94_EFE4_0CEEL)
                    .address("192.168.127.2")
                    .arpRequest("192.168.127.1"));
            assertThat(RawGuest.isArp(guest.receive())).isTrue();
            assertThat(BackendStatus.ask(services).attached()).isTrue();
        }
        assertThat(process.waitFor(20, TimeUnit.SECONDS)).isTrue();
        assertThat(process.exitValue()).isZero();
        assertThat(Files.readString(folder.resolve("log")))
                .containsPattern("(?m)^\\d\\d:\\d\\d:\\d\\d\\.\\d{3} INFO VmSession - qemu:.*: guest attached$");
        assertThat(pid).doesNotExist();
        assertThat(socket).doesNotExist();
        assertThat(services).doesNotExist();
    }

    @Test
    void vpnkitServesOneVmAfterTheOther() throws Exception {
        Path socket = folder.resolve("vm.sock");
        start("vpnkit", "--ethernet", socket.toString(), "--mtu", "1400", "--host-ip", "0.0.0.0");
        for (String uuid : List.of("8d3a1c52-9f0e-4b7d-a6c1-2e5f90b7d413", "00000000-0000-4000-8000-000000000001")) {
            try (GuestWire.Vpnkit guest = GuestWire.vpnkit(socket, uuid)) {
                assertThat(guest.mtu()).isEqualTo(1400);
                byte[] question = PacketBuilder.bytes(
                        PacketBuilder.guest().address("192.168.65.3").arpRequest("192.168.65.1"));
                guest.write(ByteBuffer.wrap(RawGuest.framed(question)));
                assertThat(RawGuest.isArp(frame(guest))).isTrue();
            }
        }
        process.destroy();
        assertThat(process.waitFor(20, TimeUnit.SECONDS)).isTrue();
        assertThat(process.exitValue()).isZero();
        assertThat(socket).doesNotExist();
    }

    private static byte[] frame(ByteChannel channel) throws IOException {
        ByteBuffer bytes = ByteBuffer.allocate(1 << 16);
        channel.read(bytes);
        byte[] frame = new byte[bytes.flip().getInt()];
        bytes.get(frame);
        return frame;
    }
}
