package dev.slipway.probe;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(value = 30, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class BrokenBackendTest {

    @TempDir
    Path folder;

    /** What a guest reports of a backend that says some bytes and closes. */
    private String probe(int... bytes) throws IOException {
        Path socket = folder.resolve("vm.sock");
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        try (ServerSocketChannel server = ServerSocketChannel.open(StandardProtocolFamily.UNIX)) {
            server.bind(UnixDomainSocketAddress.of(socket));
            Report report = new Report(new PrintStream(out, true, StandardCharsets.UTF_8));
            try (Probe probe = Probe.attach(socket, 1500)) {
                try (SocketChannel guest = server.accept()) {
                    ByteBuffer said = ByteBuffer.allocate(bytes.length);
                    for (int value : bytes) {
                        said.put((byte) value);
                    }
                    guest.write(said.flip());
                }
                probe.run(report, null, 0, false);
            }
            assertThat(report.isPassed()).isFalse();
        }
        return out.toString(StandardCharsets.UTF_8);
    }

    @Test
    void aBackendThatClosesIsAFailedStep() throws IOException {
        assertThat(probe()).contains("FAIL").contains("the backend closed the connection");
    }

    @Test
    void aBackendThatClosesInAFrameIsAFailedStep() throws IOException {
        assertThat(probe(0, 0, 0, 60, 1, 2, 3)).contains("FAIL").contains("the backend closed the connection");
    }
}
