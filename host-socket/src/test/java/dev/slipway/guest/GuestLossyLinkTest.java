package dev.slipway.guest;

import static org.assertj.core.api.Assertions.assertThat;

import dev.slipway.guest.NamespaceGuest.Connection;
import dev.slipway.guest.Payload.Background;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;

/** A guest whose link loses, doubles and reorders frames: what is sent to it then, looked at by others' eyes. */
@Tag("guest")
@Timeout(60)
@ExtendWith(NeedsNamespaces.class)
class GuestLossyLinkTest {

    private static final long MIB = 1 << 20;
    private static final String FROM_GATEWAY = "eth.src == 5a:94:ef:e4:0c:dd";

    @Test
    void whatIsSentThereIsRightByTheMeasureOfTshark(@TempDir Path directory) throws IOException {
        GuestTests.needs("tshark");
        long seed = Long.getLong("slipway.seed", new Random().nextLong());
        System.out.println("lossy link: seed " + seed);
        Path file = directory.resolve("frames.pcap");
        FrameCapture capture = new FrameCapture();
        try (NamespaceGuest machines = NamespaceGuest.start(
                Backend.SLIPWAY, "--fault", "loss=0.01,duplicate=0.01,reorder=0.02,seed=" + seed)) {
            machines.relay().captureTo(capture);
            machines.lease();
            transferOnFourConnections(machines);
            BackendStatus status = machines.status();
            assertThat(status.count("tcpRetransmittedBytes"))
                    .as("bytes sent again")
                    .isPositive();
            assertThat(status.count("stackFailures") + status.count("linkFailures"))
                    .isZero();
        }
        capture.writeTo(file);
        Tshark.assertNothingIsWrong(file, FROM_GATEWAY);
        assertThat(capture.frames().size()).isGreaterThan(3_000);
    }

    /** Two each way, and of each two one whose reader is slower than its sender: windows shut and open. */
    private static void transferOnFourConnections(NamespaceGuest machines) throws IOException {
        List<Connection> connections = new ArrayList<>();
        List<Background<Long>> work = new ArrayList<>();
        AtomicLong done = new AtomicLong();
        try {
            for (int i = 0; i < 4; i++) {
                Connection connection = machines.connectToInternet();
                connections.add(connection);
                boolean up = i % 2 == 0;
                boolean slow = i >= 2;
                Payload payload = Payload.next();
                work.add(Background.start(done, () -> {
                    payload.send(up ? connection.guest() : connection.server(), MIB);
                    (up ? connection.guest() : connection.server()).shutdownOutput();
                    return 0L;
                }));
                long began = System.nanoTime();
                work.add(Background.start(done, () -> {
                    payload.receiveAll(
                            new PacedChannel(
                                    up ? connection.server() : connection.guest(),
                                    () -> slow ? (System.nanoTime() - began) / 500 : Long.MAX_VALUE),
                            MIB);
                    return 0L;
                }));
            }
            for (Background<Long> one : work) {
                one.join();
            }
        } finally {
            for (Connection connection : connections) {
                connection.close();
            }
        }
    }
}
