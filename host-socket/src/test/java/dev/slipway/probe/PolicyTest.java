package dev.slipway.probe;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.slipway.wire.IpAddress;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.List;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** {@code --policy} in a running process: what it closes, what it opens, and how it changes. */
@Tag("guest")
@Timeout(value = 240, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class PolicyTest {

    private static final long LIMIT = 60_000_000_000L;
    private static final Pattern PATTERN = new Pattern(31);
    private static final int HOST = IpAddress.parseV4("192.168.65.254");

    @TempDir
    Path folder;

    /** Puts a file in the place of the one before, so that nobody reads half of one. */
    private Path policy(String text) throws IOException {
        Path written = Files.writeString(folder.resolve("policy.new"), text);
        return Files.move(
                written,
                folder.resolve("policy.yml"),
                StandardCopyOption.ATOMIC_MOVE,
                StandardCopyOption.REPLACE_EXISTING);
    }

    private static String allowing(int port) {
        return "default: deny\nrules:\n  - allow: 192.168.65.254\n    ports: " + port + "\n";
    }

    private static TcpConnection.End outcome(Guest guest, int port) throws IOException {
        TcpConnection connection = guest.connect(HOST, port);
        assertThat(guest.await(() -> connection.isOpen() || connection.end() != TcpConnection.End.NONE, LIMIT))
                .isTrue();
        TcpConnection.End end = connection.end();
        guest.release(connection);
        return end;
    }

    @Test
    void itClosesWhatNoRuleAllowsAndIsFollowedLive() throws Exception {
        try (HostPeer first = new HostPeer(PATTERN, PATTERN, 10);
                HostPeer second = new HostPeer(PATTERN, PATTERN, 10)) {
            Path file = policy(allowing(first.port()));
            try (SlipwayProcess slipway =
                            new SlipwayProcess(folder, 0, List.of("-Xmx64m"), "--policy", file.toString());
                    Guest guest = Guest.attach(slipway.socket("a"))) {
                Lease lease = new DhcpClient(guest).acquire(LIMIT);
                guest.configure(lease, 1500);
                assertThat(outcome(guest, second.port())).isEqualTo(TcpConnection.End.UNREACHABLE);
                assertThat(outcome(guest, first.port())).isEqualTo(TcpConnection.End.NONE);
                assertThat(slipway.count(0, "policyDenied")).isPositive();
                assertThat(slipway.count(0, "policyAllowed")).isPositive();
                assertThatThrownBy(
                                () -> new DnsClient(guest, lease.nameServers().getFirst())
                                        .lookUp("secret.example.com", LIMIT)
                                        .addresses()
                                        .getFirst())
                        .isInstanceOf(Exception.class);
                assertThat(slipway.count(0, "policyNamesRefused")).isPositive();

                policy("default: deny\nrules:\n  - allow: [\n");
                SlipwayProcess.until(
                        "the bad file is named",
                        20,
                        () -> slipway.log().contains("the one before stays: " + file + ":"));
                assertThat(outcome(guest, second.port())).isEqualTo(TcpConnection.End.UNREACHABLE);

                policy(allowing(second.port()));
                SlipwayProcess.until(
                        "the new file holds", 20, () -> outcome(guest, second.port()) == TcpConnection.End.NONE);
            }
        }
    }

    @Test
    void aFileThatCannotBeReadIsNoPolicyAndNothingStarts() {
        assertThatThrownBy(() -> new SlipwayProcess(
                        folder,
                        0,
                        List.of("-Xmx64m"),
                        "--policy",
                        folder.resolve("none.yml").toString()))
                .hasMessageContaining("ended with 2")
                .hasMessageContaining("none.yml: there is no such file");
    }
}
