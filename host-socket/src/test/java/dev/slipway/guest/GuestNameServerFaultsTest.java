package dev.slipway.guest;

import static org.assertj.core.api.Assertions.assertThat;

import dev.slipway.host.FakeDnsServer;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Function;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.ExtendWith;

/** What {@code dig} in the guest sees when the host's name server is late, lies, says much, or is gone. */
@Tag("guest")
@Timeout(60)
@ExtendWith(NeedsNamespaces.class)
class GuestNameServerFaultsTest {

    private static final String ADDRESS = "198.18.0.99";
    private static final int QUESTION = 12;
    private static final Duration PATIENCE = Duration.ofSeconds(10);

    private static NamespaceGuest machines;

    private final AtomicReference<Function<byte[], List<byte[]>>> behaviour = new AtomicReference<>();
    private FakeDnsServer server;

    @BeforeAll
    static void start() throws IOException {
        machines = NamespaceGuest.start(Backend.SLIPWAY);
        machines.internet().ip("address add " + ADDRESS + "/24 dev i0");
        machines.host().nameServers(ADDRESS);
        machines.online();
    }

    @AfterAll
    static void stop() {
        if (machines != null) {
            machines.close();
        }
    }

    @BeforeEach
    void serve() throws IOException {
        server = machines.internet()
                .call(() ->
                        new FakeDnsServer(ADDRESS, 53, query -> behaviour.get().apply(query)));
    }

    @AfterEach
    void close() throws IOException {
        server.close();
    }

    private static String dig(String... words) throws IOException {
        List<String> command = new ArrayList<>(List.of("dig", "+tries=1", "+time=8", "@192.168.65.1"));
        command.addAll(List.of(words));
        return machines.guest().run(command.toArray(String[]::new)).output();
    }

    /** A response with TXT records of one string each. */
    private static byte[] response(byte[] query, int code, String... texts) {
        int end = QUESTION;
        while (query[end] != 0) {
            end += 1 + query[end];
        }
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        byte[] head = Arrays.copyOf(query, end + 5);
        head[2] |= (byte) 0x80;
        head[3] = (byte) (0x80 | code);
        head[7] = (byte) texts.length;
        head[11] = 0;
        out.writeBytes(head);
        for (String text : texts) {
            out.writeBytes(new byte[] {(byte) 0xC0, QUESTION, 0, 16, 0, 1, 0, 0, 0, 0, 0, (byte) (text.length() + 1)});
            out.write(text.length());
            out.writeBytes(text.getBytes(StandardCharsets.US_ASCII));
        }
        return out.toByteArray();
    }

    @Test
    void silenceIsAServerFailureBeforeTheGuestGivesUp() throws IOException {
        behaviour.set(query -> List.of());
        long start = System.nanoTime();
        assertThat(dig("silent.example.test", "TXT")).contains("status: SERVFAIL");
        assertThat(Duration.ofNanos(System.nanoTime() - start)).isLessThan(Duration.ofSeconds(6));
    }

    @Test
    void truthBehindLiesIsWhatTheGuestHears() throws IOException {
        behaviour.set(query -> {
            byte[] otherId = response(query, 0, "a lie");
            otherId[1] ^= 1;
            byte[] otherName = response(query, 0, "a lie");
            otherName[QUESTION + 1] ^= 1;
            return List.of(otherId, otherName, new byte[3], response(query, 0, "the truth"));
        });
        assertThat(dig("+short", "lies.example.test", "TXT").strip()).isEqualTo("\"the truth\"");
    }

    @Test
    void answersLongerThanFourKilobytesComeWhole() throws IOException {
        String[] texts = new String[25];
        for (int i = 0; i < texts.length; i++) {
            texts[i] = Character.toString('a' + i).repeat(200);
        }
        behaviour.set(query -> List.of(response(query, 0, texts)));
        for (String way : new String[] {"+tcp", "+notcp"}) {
            String answer = dig(way, "+bufsize=16384", "+ignore", "+short", "long.example.test", "TXT");
            assertThat(answer.lines().sorted())
                    .as(way)
                    .containsExactly(
                            Arrays.stream(texts).map(text -> '"' + text + '"').toArray(String[]::new));
        }
    }

    @Test
    void truncatedAnswerSendsTheGuestToTcp() throws IOException {
        AtomicReference<Boolean> truncates = new AtomicReference<>(true);
        behaviour.set(query -> {
            byte[] response = response(query, 0, "whole");
            if (truncates.getAndSet(false)) {
                response = response(query, 0);
                response[2] |= 0x02;
            }
            return List.of(response);
        });
        assertThat(dig("+short", "cut.example.test", "TXT")).contains("\"whole\"");
    }

    @Test
    void serverThatDiesIsAFailureAtOnceAndItsReturnIsNoticed() throws IOException {
        behaviour.set(query -> List.of(response(query, 0, "here")));
        assertThat(dig("+short", "before.example.test", "TXT")).contains("here");
        server.close();
        long start = System.nanoTime();
        assertThat(dig("gone.example.test", "TXT")).contains("status: SERVFAIL");
        assertThat(Duration.ofNanos(System.nanoTime() - start)).isLessThan(Duration.ofSeconds(3));
        serve();
        Await.until(
                "names are there again",
                PATIENCE,
                () -> dig("+short", "back.example.test", "TXT").contains("here"));
    }
}
