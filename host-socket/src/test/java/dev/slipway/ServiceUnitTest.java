package dev.slipway;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;

/** The unit for systemd starts a command line that there is, and is as hard as the manual says. */
class ServiceUnitTest {

    private static final Path UNIT = Path.of("..").toAbsolutePath().normalize().resolve("packaging/slipway.service");

    private static List<String> lines() throws IOException {
        return Files.readAllLines(UNIT);
    }

    @Test
    void itsCommandLineHasOnlyOptionsThatThereAre() throws IOException {
        String start = lines().stream()
                .filter(line -> line.startsWith("ExecStart="))
                .findFirst()
                .orElseThrow();
        List<String> known = new ArrayList<>(List.of("--config"));
        for (SettingKey key : SettingKey.values()) {
            known.add(key.flag());
        }
        assertThat(start).contains("/slipway run ");
        Matcher options = Pattern.compile(" (--[a-z0-9-]+)").matcher(start);
        int count = 0;
        for (; options.find(); count++) {
            assertThat(known).contains(options.group(1));
        }
        assertThat(count).isPositive();
    }

    @Test
    void itTakesRightsAndFilesAwayAndLetsTheJvmCompile() throws IOException {
        assertThat(lines())
                .contains(
                        "NoNewPrivileges=yes",
                        "CapabilityBoundingSet=",
                        "ProtectSystem=strict",
                        "ProtectHome=read-only",
                        "PrivateTmp=yes",
                        "PrivateUsers=yes",
                        "RestrictNamespaces=yes",
                        "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK",
                        "SystemCallFilter=@system-service",
                        "MemoryDenyWriteExecute=no");
    }

    /** systemd up to 252 has these in no group; without them the process could take nothing from itself. */
    @Test
    void ourOwnSandboxCanBeMadeUnderItsFilter() throws IOException {
        List<String> filters = lines().stream()
                .filter(line -> line.startsWith("SystemCallFilter="))
                .toList();
        assertThat(filters.getLast())
                .isEqualTo("SystemCallFilter=seccomp landlock_create_ruleset landlock_add_rule landlock_restrict_self");
    }
}
