package dev.slipway;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** What docs/security.md says is tested: that the tests it names are there, and that no row was forgotten. */
final class SecurityDocumentTest {

    private static final Path ROOT = Path.of("..").toAbsolutePath().normalize();
    private static final Pattern CODE = Pattern.compile("`([^`]+)`");
    private static final Pattern TEST = Pattern.compile("([A-Z][A-Za-z0-9]*Test)(?:\\.([a-z][A-Za-z0-9]*))?");

    private static String document() throws IOException {
        String text = Files.readString(ROOT.resolve("docs/security.md"));
        return text.substring(text.indexOf("## Threats and tests"));
    }

    private static Map<String, String> tests() throws IOException {
        Map<String, String> sources = new HashMap<>();
        for (String module : List.of("stack-core", "ethernet-bridge", "host-socket", "benchmarks", "fuzz")) {
            Path folder = ROOT.resolve(module).resolve("src/test/java");
            try (Stream<Path> files = Files.walk(folder)) {
                for (Path file : files.filter(each -> each.toString().endsWith("Test.java"))
                        .toList()) {
                    sources.put(file.getFileName().toString().replace(".java", ""), Files.readString(file));
                }
            }
        }
        return sources;
    }

    /** `Class`, `Class.method`, and methods in brackets behind a class. */
    @Test
    void everyTestThatIsNamedIsThere() throws IOException {
        Map<String, String> sources = tests();
        List<String> missing = new ArrayList<>();
        int named = 0;
        String last = null;
        Matcher code = CODE.matcher(document());
        while (code.find()) {
            String text = code.group(1);
            Matcher test = TEST.matcher(text);
            String method = null;
            if (test.matches()) {
                last = test.group(1);
                method = test.group(2);
            } else if (last != null && text.matches("[a-z]+[A-Z][A-Za-z0-9]*") && text.length() > 12) {
                method = text;
            } else {
                continue;
            }
            named++;
            String source = sources.get(last);
            if (source == null || method != null && !source.contains("void " + method + "(")) {
                missing.add(last + (method == null ? "" : "." + method));
            }
        }
        assertThat(missing).as("named in docs/security.md and not there").isEmpty();
        assertThat(named).isGreaterThan(150);
    }

    @Test
    void everyRowIsThere() throws IOException {
        String document = document();
        String inputs = document.substring(document.indexOf("## Bad input"), document.indexOf("## Faults"));
        assertThat(rows("T(\\d+)", document))
                .containsAll(IntStream.rangeClosed(1, 21).boxed().toList());
        assertThat(rows("(\\d+)", inputs))
                .containsAll(IntStream.rangeClosed(1, 67).boxed().toList());
        assertThat(rows("F(\\d+)", document))
                .containsAll(IntStream.rangeClosed(1, 20).boxed().toList());
    }

    /** The numbers in the bold beginnings of rows: one, several apart by commas, or from one to another. */
    private static List<Integer> rows(String number, String text) {
        List<Integer> rows = new ArrayList<>();
        Matcher row = Pattern.compile("(?m)^- \\*\\*([^*]+)\\*\\*").matcher(text);
        while (row.find()) {
            for (String part : row.group(1).split(", ")) {
                String[] ends = part.split("\u2013");
                Matcher first = Pattern.compile(number).matcher(ends[0]);
                Matcher last = Pattern.compile(number).matcher(ends[ends.length - 1]);
                if (first.matches() && last.matches()) {
                    IntStream.rangeClosed(Integer.parseInt(first.group(1)), Integer.parseInt(last.group(1)))
                            .forEach(rows::add);
                }
            }
        }
        return rows;
    }
}
