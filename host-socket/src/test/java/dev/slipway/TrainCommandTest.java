package dev.slipway;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** A launcher whose training fails starts the program all the same, only slower: so it is here that it would be noticed. */
@Timeout(value = 120, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class TrainCommandTest {

    private static final ByteArrayOutputStream OUT = new ByteArrayOutputStream();
    private static final ByteArrayOutputStream ERR = new ByteArrayOutputStream();
    private static int code;

    @BeforeAll
    static void train() {
        code = Main.run(
                new String[] {"train", "--seconds", "0.3"},
                new PrintStream(OUT, true, StandardCharsets.UTF_8),
                new PrintStream(ERR, true, StandardCharsets.UTF_8));
    }

    @ParameterizedTest
    @ValueSource(strings = {"names", "datagrams", "pages", "bytes down", "bytes up"})
    void trainingDoesWhatUsersDo(String what) {
        String text = OUT.toString(StandardCharsets.UTF_8);
        assertThat(code)
                .as("%s%n%s", text, ERR.toString(StandardCharsets.UTF_8))
                .isZero();
        Matcher line =
                Pattern.compile("^([0-9]+) " + what + "$", Pattern.MULTILINE).matcher(text);
        assertThat(line.find()).as(text).isTrue();
        assertThat(Long.parseLong(line.group(1))).isPositive();
    }
}
