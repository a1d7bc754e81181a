package dev.slipway.guest;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/** What a machine must have for tests with a real kernel as the guest; each answer is the first thing missing. */
final class Prerequisites {

    private static final String PATH = System.getenv().getOrDefault("PATH", "/usr/bin:/bin");

    private static final int PT_INTERP = 3;

    private Prerequisites() {}

    /** Why there can be no guest in a namespace here, if there cannot. */
    static Optional<String> missingForNamespaces() {
        return ForNamespaces.MISSING;
    }

    private static Optional<String> lookForNamespaces() {
        if (!System.getProperty("os.name").equals("Linux")) {
            return Optional.of("network namespaces need Linux");
        }
        if (!Files.isWritable(Path.of("/dev/net/tun"))) {
            return Optional.of("/dev/net/tun is not there or not writable (root is needed)");
        }
        Optional<String> program = Stream.of("ip", "busybox", "ping", "dig", "curl", "dnsmasq")
                .filter(name -> find(name).isEmpty())
                .findFirst();
        if (program.isPresent()) {
            return Optional.of("no program " + program.get() + " on the path");
        }
        try (Namespace probe = Namespace.create("probe")) {
            return Optional.empty();
        } catch (IOException e) {
            return Optional.of("no network namespace can be made: " + e.getMessage());
        }
    }

    /** Why there can be no guest of User Mode Linux here, if there cannot. */
    static Optional<String> missingForUserModeLinux() {
        if (find("linux.uml").isEmpty() || !Files.isDirectory(UserModeMachine.MODULES)) {
            return Optional.of("no program linux.uml, or not its modules (Debian: user-mode-linux)");
        }
        return missingForFirstFiles();
    }

    private static Optional<String> missingForFirstFiles() {
        if (!System.getProperty("os.name").equals("Linux")
                || !System.getProperty("os.arch").equals("amd64")) {
            return Optional.of("the guest kernel and busybox are those of Linux on amd64");
        }
        Optional<Path> busybox = find("busybox");
        return busybox.isEmpty() || !isStatic(busybox.get())
                ? Optional.of("no statically linked busybox on the path (Debian: busybox-static)")
                : Optional.empty();
    }

    /** Why there can be no guest in QEMU here, if there cannot. */
    static Optional<String> missingForQemu() {
        Optional<String> missing = missingForFirstFiles();
        if (missing.isPresent()) {
            return missing;
        }
        if (find("qemu-system-x86_64").isEmpty()) {
            return Optional.of("no program qemu-system-x86_64 on the path");
        }
        String version = qemuVersion();
        if (!version.matches("(7\\.([2-9]|\\d\\d)|[89]\\.|\\d\\d+\\.).*")) {
            return Optional.of("-netdev stream needs QEMU 7.2 or newer; this is " + version);
        }
        if (System.getenv(QemuMachine.KERNEL_VARIABLE) == null) {
            return Optional.of(QemuMachine.KERNEL_VARIABLE
                    + " does not name the folder of an unpacked linux-image-*-cloud-amd64 package");
        }
        return Optional.empty();
    }

    private static String qemuVersion() {
        try {
            String said = Subprocess.run("qemu-system-x86_64", "--version").output();
            Matcher matcher = Pattern.compile("version (\\S+)").matcher(said);
            return matcher.find() ? matcher.group(1) : said.strip();
        } catch (IOException e) {
            return e.toString();
        }
    }

    /** Whether an ELF file of 64 bits names no program interpreter: only then does it run on its own. */
    private static boolean isStatic(Path file) {
        try {
            ByteBuffer elf = ByteBuffer.wrap(Files.readAllBytes(file)).order(ByteOrder.LITTLE_ENDIAN);
            int table = (int) elf.getLong(32);
            int entryBytes = elf.getShort(54);
            return IntStream.range(0, elf.getShort(56)).noneMatch(i -> elf.getInt(table + i * entryBytes) == PT_INTERP);
        } catch (IOException | IndexOutOfBoundsException e) {
            return false;
        }
    }

    /** The file of a program on the path; /usr/sbin and /sbin count, wherever the path leads. */
    static Optional<Path> find(String program) {
        return Stream.of((PATH + ":/usr/sbin:/sbin").split(":"))
                .map(directory -> Path.of(directory, program))
                .filter(Files::isExecutable)
                .findFirst();
    }

    /** Looked for once, at the first question. */
    private static final class ForNamespaces {
        static final Optional<String> MISSING = lookForNamespaces();
    }
}
