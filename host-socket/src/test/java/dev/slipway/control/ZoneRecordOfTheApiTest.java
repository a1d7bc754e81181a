package dev.slipway.control;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;

import dev.slipway.dns.ZoneRecord;
import java.time.Duration;
import java.util.Map;
import org.junit.jupiter.api.Test;

class ZoneRecordOfTheApiTest {

    /** With a matcher that tries one way after the other a name of this length would take for ever. */
    @Test
    void expressionTakesNoLongerWhateverNameAGuestAsksFor() throws ApiException {
        ZoneRecord record = GvproxyApi.record(Map.of("Regexp", "(.*)".repeat(10) + "x$", "IP", "10.0.0.1"));
        assertTimeoutPreemptively(Duration.ofSeconds(10), () -> {
            assertThat(record.pattern().test("a".repeat(250))).isFalse();
            assertThat(record.pattern().test("a".repeat(249) + "x")).isTrue();
        });
    }
}
