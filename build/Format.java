import com.palantir.javaformat.java.Formatter;
import com.palantir.javaformat.java.FormatterException;
import com.palantir.javaformat.java.JavaFormatterOptions;
import java.io.IOException;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.ArrayList;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;

/**
 * Formats every Java source below a folder, or checks that it is formatted. It runs in a JVM of its own, that of the
 * toolchain, so that its result does not depend on which Java runs Maven.
 *
 * <pre>
 *     java -cp LIBRARIES build/Format.java --check|--write FOLDER
 * </pre>
 *
 * Exit status: 0 when everything is formatted (afterwards), 1 when a file is not, or could not be parsed.
 */
final class Format {
    private static final Formatter FORMATTER = Formatter.createFormatter(JavaFormatterOptions.builder()
            .style(JavaFormatterOptions.Style.PALANTIR)
            .formatJavadoc(false)
            .build());

    private Format() {}

    public static void main(String[] args) throws IOException {
        if (args.length != 2 || !(args[0].equals("--check") || args[0].equals("--write"))) {
            System.err.println("usage: Format --check|--write FOLDER");
            System.exit(2);
        }
        boolean write = args[0].equals("--write");
        Path root = Path.of(args[1]);

        Queue<String> unformatted = new ConcurrentLinkedQueue<>();
        Queue<String> broken = new ConcurrentLinkedQueue<>();
        sources(root).parallelStream().forEach(file -> {
            String name = root.relativize(file).toString();
            try {
                String before = Files.readString(file);
                String after = FORMATTER.formatSourceAndFixImports(before);
                if (after.equals(before)) {
                    return;
                }
                unformatted.add(name);
                if (write) {
                    Files.writeString(file, after);
                }
            } catch (IOException | FormatterException | RuntimeException e) {
                broken.add(name + ": " + e);
            }
        });

        unformatted.stream()
                .sorted()
                .forEach(name -> System.out.println((write ? "formatted " : "not formatted: ") + name));
        broken.stream().sorted().forEach(System.out::println);
        if (!write && !unformatted.isEmpty()) {
            System.out.println("To format them: mvn -q -N validate -Pformat");
        }
        if (!broken.isEmpty() || (!write && !unformatted.isEmpty())) {
            System.exit(1);
        }
    }

    /** All Java sources below the folder, but not what is built or hidden. */
    private static List<Path> sources(Path root) throws IOException {
        List<Path> found = new ArrayList<>();
        Files.walkFileTree(root, new SimpleFileVisitor<>() {
            @Override
            public FileVisitResult preVisitDirectory(Path folder, BasicFileAttributes attributes) {
                String name = folder.getFileName().toString();
                boolean skipped = !folder.equals(root) && (name.equals("target") || name.startsWith("."));
                return skipped ? FileVisitResult.SKIP_SUBTREE : FileVisitResult.CONTINUE;
            }

            @Override
            public FileVisitResult visitFile(Path file, BasicFileAttributes attributes) {
                if (file.toString().endsWith(".java")) {
                    found.add(file);
                }
                return FileVisitResult.CONTINUE;
            }
        });
        return found;
    }
}
