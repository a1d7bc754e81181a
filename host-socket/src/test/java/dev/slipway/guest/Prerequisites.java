package dev.slipway.guest;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import java.util.stream.Stream;

/** What a machine must have for tests with a real kernel as the guest; each answer is the first thing missing. */
final class Prerequisites {

    private static final String PATH = System.getenv().getOrDefault("PATH", "/usr/bin:/bin");

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
        Optional<String> program = Stream.of("ip", "busybox", "ping", "dig", "dnsmasq")
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

    /** Why there can be no guest in QEMU here, if there cannot. */
    static Optional<String> missingForQemu() {
        if (!System.getProperty("os.name").equals("Linux") || !System.getProperty("os.arch").equals("amd64")) {
            return Optional.of("the guest kernel and busybox are those of Linux on amd64");
        }
        if (find("qemu-system-x86_64").isEmpty()) {
            return Optional.of("no program qemu-system-x86_64 on the path");
        }
        if (find("busybox").isEmpty()) {
            return Optional.of("no program busybox on the path");
        }
        if (System.getenv(QemuMachine.KERNEL_VARIABLE) == null) {
            return Optional.of(QemuMachine.KERNEL_VARIABLE
                    + " does not name the folder of an unpacked linux-image-*-cloud-amd64 package");
        }
        return Optional.empty();
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
