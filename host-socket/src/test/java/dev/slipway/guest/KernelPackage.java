package dev.slipway.guest;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/** An unpacked kernel package of Debian, boot/vmlinuz-* and the modules below lib/modules, or the like. */
final class KernelPackage {

    private static final Pattern MODULE = Pattern.compile("(.+)\\.ko(\\.xz|\\.gz|\\.zst)?");
    /** Entry of the section .modinfo: names separated by commas, ended by NUL. */
    private static final Pattern DEPENDS = Pattern.compile("\0depends=([^\0]*)\0");

    private final Path image;
    private final Map<String, Path> modules = new HashMap<>();

    KernelPackage(Path root) throws IOException {
        this(findImage(root).orElseThrow(() -> new IOException("no boot/vmlinuz-* below " + root)), root);
    }

    /** A kernel whose image is elsewhere than its modules. */
    KernelPackage(Path image, Path root) throws IOException {
        this.image = image;
        try (Stream<Path> files = Files.walk(root)) {
            files.forEach(file -> {
                Matcher matcher = MODULE.matcher(file.getFileName().toString());
                if (matcher.matches()) {
                    modules.put(plain(matcher.group(1)), file);
                }
            });
        }
    }

    Path image() {
        return image;
    }

    /** The contents of modules and of what they depend on, in the order to load them; one not found is built in. */
    Map<String, byte[]> modulesInOrder(String... names) throws IOException {
        Map<String, byte[]> ordered = new LinkedHashMap<>();
        for (String name : names) {
            add(name, ordered);
        }
        return ordered;
    }

    private void add(String name, Map<String, byte[]> ordered) throws IOException {
        Path file = modules.get(plain(name));
        if (file == null || ordered.containsKey(plain(name))) {
            return;
        }
        byte[] content = read(file);
        Matcher depends = DEPENDS.matcher(new String(content, StandardCharsets.ISO_8859_1));
        if (depends.find() && !depends.group(1).isEmpty()) {
            for (String needed : depends.group(1).split(",")) {
                add(needed, ordered);
            }
        }
        ordered.put(plain(name), content);
    }

    private static byte[] read(Path file) throws IOException {
        String name = file.toString();
        String program =
                name.endsWith(".xz") ? "xz" : name.endsWith(".gz") ? "gzip" : name.endsWith(".zst") ? "zstd" : null;
        if (program == null) {
            return Files.readAllBytes(file);
        }
        Process process = new ProcessBuilder(program, "-dc", name)
                .redirectError(ProcessBuilder.Redirect.DISCARD)
                .start();
        try (var out = process.getInputStream()) {
            return out.readAllBytes();
        }
    }

    private static Optional<Path> findImage(Path root) throws IOException {
        try (Stream<Path> files = Files.list(root.resolve("boot"))) {
            return files.filter(file -> file.getFileName().toString().startsWith("vmlinuz-"))
                    .findFirst();
        }
    }

    /** Modules are named with - or _, as it comes. */
    private static String plain(String name) {
        return name.replace('-', '_');
    }
}
