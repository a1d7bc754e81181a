package dev.slipway.fuzz;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Every input that was worth keeping, findings among them, goes through its target again. */
final class CorpusTest {

    private static final Path CORPUS = Path.of("src/test/resources/corpus");

    private static List<Path> in(Path folder) throws IOException {
        try (Stream<Path> entries = Files.list(folder)) {
            return entries.sorted().toList();
        }
    }

    static List<String> targets() throws IOException {
        return in(CORPUS).stream()
                .map(folder -> folder.getFileName().toString())
                .toList();
    }

    @ParameterizedTest
    @MethodSource("targets")
    void nothingInTheCorpusDoesHarm(String target) throws Exception {
        Method run = Class.forName(target).getMethod("fuzzerTestOneInput", byte[].class);
        List<Path> inputs = in(CORPUS.resolve(target));
        assertThat(inputs).isNotEmpty();
        for (Path input : inputs) {
            try {
                run.invoke(null, (Object) Files.readAllBytes(input));
            } catch (InvocationTargetException e) {
                throw new AssertionError(target + " with " + input, e.getCause());
            }
        }
    }

    @Test
    void everyTargetHasACorpus() throws IOException {
        try (Stream<Path> classes = Files.walk(Path.of("target/test-classes/dev/slipway"))) {
            List<String> targets = classes.map(Path::toString)
                    .filter(name -> name.endsWith("Fuzz.class"))
                    .map(name -> name.substring("target/test-classes/".length(), name.length() - ".class".length())
                            .replace('/', '.'))
                    .sorted()
                    .toList();
            assertThat(targets()).containsExactlyElementsOf(targets);
        }
    }
}
