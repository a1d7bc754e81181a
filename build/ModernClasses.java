import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.lang.classfile.ClassFile;
import java.lang.classfile.ClassFileVersion;
import java.lang.classfile.ClassHierarchyResolver;
import java.lang.classfile.ClassTransform;
import java.lang.classfile.CodeTransform;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;
import java.util.zip.ZipOutputStream;

/**
 * Brings classes of a format older than Java 6 to that of Java 8, in all jars of a folder. The JVM's AOT cache holds
 * only classes with stack maps, which the older formats do not have; what it does not hold is read, checked and linked
 * at every start.
 *
 * <pre>
 *     java build/ModernClasses.java FOLDER
 * </pre>
 *
 * A jar without such classes stays as it is, so that a second run changes nothing.
 */
final class ModernClasses {

    private static final int FIRST_WITH_STACK_MAPS = ClassFile.JAVA_6_VERSION;
    private static final int MAJOR_VERSION_OFFSET = 6;

    private ModernClasses() {}

    public static void main(String[] args) throws IOException {
        if (args.length != 1) {
            System.err.println("usage: ModernClasses FOLDER");
            System.exit(2);
        }
        try (DirectoryStream<Path> jars = Files.newDirectoryStream(Path.of(args[0]), "*.jar")) {
            for (Path jar : jars) {
                try (ZipFile zip = new ZipFile(jar.toFile())) {
                    if (zip.stream().anyMatch(entry -> isOld(entry, read(zip, entry)))) {
                        byte[] rewritten = rewrite(zip);
                        Path beside = jar.resolveSibling(jar.getFileName() + ".new");
                        Files.write(beside, rewritten);
                        Files.move(beside, jar, StandardCopyOption.ATOMIC_MOVE);
                    }
                }
            }
        }
    }

    private static boolean isOld(ZipEntry entry, byte[] bytes) {
        return entry.getName().endsWith(".class")
                && bytes.length > MAJOR_VERSION_OFFSET + 1
                && (bytes[MAJOR_VERSION_OFFSET] << 8 | bytes[MAJOR_VERSION_OFFSET + 1]) < FIRST_WITH_STACK_MAPS;
    }

    private static byte[] read(ZipFile zip, ZipEntry entry) {
        try (InputStream in = zip.getInputStream(entry)) {
            return in.readAllBytes();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static byte[] rewrite(ZipFile zip) throws IOException {
        // Where paths of a method meet, the common superclass of what they left there is asked for.
        ClassHierarchyResolver ownClasses = ClassHierarchyResolver.ofResourceParsing(type -> {
            String descriptor = type.descriptorString();
            ZipEntry entry = zip.getEntry(descriptor.substring(1, descriptor.length() - 1) + ".class");
            try {
                return entry == null ? null : zip.getInputStream(entry);
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        });
        ClassFile classes = ClassFile.of(
                ClassFile.StackMapsOption.GENERATE_STACK_MAPS,
                ClassFile.ClassHierarchyResolverOption.of(ownClasses.orElse(ClassHierarchyResolver.defaultResolver())));
        ClassTransform newer = ClassTransform.transformingMethodBodies(CodeTransform.ACCEPT_ALL)
                .andThen((builder, element) -> {
                    if (element instanceof ClassFileVersion) {
                        builder.withVersion(ClassFile.JAVA_8_VERSION, 0);
                    } else {
                        builder.with(element);
                    }
                });
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        try (ZipOutputStream out = new ZipOutputStream(bytes)) {
            for (ZipEntry entry : zip.stream().toList()) {
                byte[] content = read(zip, entry);
                ZipEntry copy = new ZipEntry(entry.getName());
                copy.setTime(entry.getTime());
                out.putNextEntry(copy);
                out.write(isOld(entry, content) ? classes.transformClass(classes.parse(content), newer) : content);
                out.closeEntry();
            }
        }
        return bytes.toByteArray();
    }
}
