package dev.slipway.guest;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;

/** The judgement of others on frames: tshark's. What it looks for is what {@code .ci/judge-capture} looks for. */
final class Tshark {

    private static final Duration PATIENCE = Duration.ofSeconds(30);
    private static final String WRONG = "ip.checksum.status==\"Bad\" || tcp.checksum.status==\"Bad\""
            + " || udp.checksum.status==\"Bad\" || icmp.checksum.status==\"Bad\" || icmpv6.checksum.status==\"Bad\""
            + " || _ws.malformed || ip.fragment.error || ip.fragment.overlap || ipv6.fragment.error"
            + " || tcp.analysis.ack_lost_segment || tcp.option.len.invalid";

    private Tshark() {}

    /** Fails if it finds anything wrong in a capture, or in those of its frames that a filter lets pass. */
    static void assertNothingIsWrong(Path capture, String filter) throws IOException {
        assertThat(frames(capture, filter + " && (" + WRONG + ")"))
                .as("frames that tshark finds wrong")
                .isEmpty();
    }

    /** A line for each frame that a filter lets pass. */
    static List<String> frames(Path capture, String filter) throws IOException {
        List<String> command = List.of(
                "tshark",
                "-r",
                capture.toString(),
                "-n",
                "-o",
                "ip.check_checksum:TRUE",
                "-o",
                "tcp.check_checksum:TRUE",
                "-o",
                "udp.check_checksum:TRUE",
                "-o",
                "tcp.analyze_sequence_numbers:TRUE",
                "-o",
                "tcp.desegment_tcp_streams:FALSE",
                "-Y",
                filter);
        return Subprocess.run(command, PATIENCE)
                .orFail()
                .output()
                .lines()
                .filter(line -> !line.startsWith("Running as user"))
                .toList();
    }
}
