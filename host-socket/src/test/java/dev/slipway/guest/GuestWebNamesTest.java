package dev.slipway.guest;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;

/** A policy that allows one host of an address which serves others, too ({@code web: listed}), and curl in the guest. */
@Tag("guest")
@Timeout(60)
@ExtendWith(NeedsNamespaces.class)
class GuestWebNamesTest {

    private NamespaceGuest machines;

    private void serve(Path web, int port) throws IOException {
        machines.internet()
                .start(
                        machines.directory().resolve("httpd-" + port + ".log"),
                        List.of(
                                "busybox",
                                "httpd",
                                "-f",
                                "-p",
                                HostMachine.INTERNET + ":" + port,
                                "-h",
                                web.toString()));
    }

    private String curl(String... words) throws IOException {
        String[] command = new String[words.length + 6];
        System.arraycopy(
                new String[] {"curl", "-sSk", "-m", "8", "-w", " %{http_code}"},
                0,
                command,
                0,
                command.length - words.length);
        System.arraycopy(words, 0, command, 6, words.length);
        return machines.guest().run(command).output();
    }

    @Test
    void anAddressServesTheHostThatIsAllowedAndNoOther(@TempDir Path folder) throws IOException {
        Path policy = Files.writeString(folder.resolve("policy.yml"), """
            default: deny
            web: listed
            rules:
              - allow: www.example.test
            """);
        Files.writeString(folder.resolve("index.html"), "here");
        machines = NamespaceGuest.start(Backend.SLIPWAY, "--policy", policy.toString());
        try (NamespaceGuest all = machines) {
            all.lease();
            serve(folder, 80);
            serve(folder, 443);
            String page = "http://www.example.test/index.html";
            Await.until(
                    "the page is there",
                    Duration.ofSeconds(10),
                    () -> curl(page).equals("here 200"));
            assertThat(curl("-H", "Host: other.example.test", page)).endsWith(" 403");
            assertThat(curl("http://" + HostMachine.INTERNET + "/index.html")).endsWith(" 403");
            // What answers there speaks no TLS, so this much is known: something answers.
            assertThat(curl("https://www.example.test/")).contains("wrong version number");
            assertThat(curl(
                            "--connect-to",
                            "other.example.test:443:www.example.test:443",
                            "https://other.example.test/"))
                    .contains("reset by peer");
            assertThat(all.status().count("policyDenied")).isGreaterThanOrEqualTo(3);
        }
    }
}
