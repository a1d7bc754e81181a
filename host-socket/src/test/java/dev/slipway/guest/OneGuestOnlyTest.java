package dev.slipway.guest;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.slipway.testing.PacketBuilder;
import java.io.DataInputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** A running process whose channels end with their first guest. Needs no privileges. */
@Timeout(60)
class OneGuestOnlyTest {

    private static final PacketBuilder GUEST = PacketBuilder.guest().address("192.168.65.100");
    private static final byte[] QUESTION = PacketBuilder.bytes(GUEST.arpRequest("192.168.65.1"));

    @TempDir
    Path folder;

    private Process process;

    @AfterEach
    void stop() throws InterruptedException {
        if (process != null) {
            process.destroyForcibly().waitFor();
        }
    }

    private void start(String... arguments) throws IOException {
        assumeTrue(Backend.chosen() == Backend.SLIPWAY, "a peer has other flags");
        List<String> command = Backend.SLIPWAY.command(folder.resolve("vm.sock"));
        command.removeLast();
        command.removeLast();
        command.addAll(List.of(arguments));
        process = new ProcessBuilder(command)
                .redirectError(folder.resolve("log").toFile())
                .start();
        Await.until("it is ready", Duration.ofSeconds(30), () -> {
            if (!process.isAlive()) {
                throw new IOException("it ended: " + log());
            }
            return log().contains("ready: ") || process.getInputStream().available() > 0;
        });
    }

    private String log() throws IOException {
        return Files.readString(folder.resolve("log"));
    }

    private void assertEndsInOrder() throws Exception {
        assertThat(process.waitFor(20, TimeUnit.SECONDS)).isTrue();
        assertThat(process.exitValue()).isZero();
        assertThat(log()).doesNotContain("ERROR");
    }

    @ParameterizedTest
    @CsvSource({"stdio:, 2", "stdio:gvproxy, 2", "stdio:qemu, 4"})
    void standardInputAndOutputAreOneGuestsAndItsEndIsTheProcesss(String vm, int prefix) throws Exception {
        start("--vm", vm);
        ByteBuffer framed = ByteBuffer.allocate(prefix + QUESTION.length);
        if (prefix == 2) {
            framed.order(ByteOrder.LITTLE_ENDIAN).putShort((short) QUESTION.length);
        } else {
            framed.putInt(QUESTION.length);
        }
        process.getOutputStream().write(framed.put(QUESTION).array());
        process.getOutputStream().flush();
        // Nothing but frames comes from standard output.
        DataInputStream output = new DataInputStream(process.getInputStream());
        byte[] length = output.readNBytes(prefix);
        int frame = prefix == 2
                ? ByteBuffer.wrap(length).order(ByteOrder.LITTLE_ENDIAN).getShort()
                : ByteBuffer.wrap(length).getInt();
        assertThat(RawGuest.isArp(output.readNBytes(frame))).isTrue();
        assertThat(log()).contains("ready: stdio:");
        process.getOutputStream().close();
        assertEndsInOrder();
        assertThat(output.readAllBytes()).isEmpty();
    }

    @Test
    void endOfStandardInputLeavesOtherVmsAlone() throws Exception {
        Path socket = folder.resolve("vm.sock");
        start("--vm", "stdio:", "--vm", "qemu:" + socket);
        process.getOutputStream().close();
        Await.until("the first is gone", Duration.ofSeconds(20), () -> log().contains("guest detached: "));
        try (RawGuest guest = RawGuest.attach(socket)) {
            guest.write(RawGuest.framed(QUESTION));
            assertThat(RawGuest.isArp(guest.receive())).isTrue();
        }
        assertThat(process.isAlive()).isTrue();
    }

    @Test
    void oneOffEndsWithItsGuestAndRemovesItsSocket() throws Exception {
        Path socket = folder.resolve("vm.sock");
        start("--one-off", "--vm", "qemu:" + socket);
        try (RawGuest guest = RawGuest.attach(socket)) {
            guest.write(RawGuest.framed(QUESTION));
            assertThat(RawGuest.isArp(guest.receive())).isTrue();
        }
        assertEndsInOrder();
        assertThat(socket).doesNotExist();
    }

    @Test
    void oneOffWithTwoVmsEndsWithTheSecond() throws Exception {
        start("--one-off", "--vm", "qemu:" + folder.resolve("a"), "--vm", "qemu:" + folder.resolve("b"));
        RawGuest.attach(folder.resolve("a")).close();
        Await.until("the first is gone", Duration.ofSeconds(20), () -> Files.notExists(folder.resolve("a")));
        assertThat(process.isAlive()).isTrue();
        RawGuest.attach(folder.resolve("b")).close();
        assertEndsInOrder();
    }
}
