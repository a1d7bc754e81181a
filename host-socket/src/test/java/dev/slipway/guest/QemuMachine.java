package dev.slipway.guest;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** A virtual machine of QEMU with Debian's cloud kernel and {@link FirstFiles}. */
final class QemuMachine {

    /** Names the folder of an unpacked linux-image-*-cloud-amd64 package. */
    static final String KERNEL_VARIABLE = "SLIPWAY_GUEST_KERNEL";

    private static final String MAC = "5a:94:ef:e4:0c:aa";
    private static final Duration FIRST_WORD = Duration.ofSeconds(20);
    private final KernelPackage kernel;
    private final Path directory;
    private final Attachment attachment;
    private boolean useKvm;

    /** How the machine's network card comes to the backend. */
    enum Attachment {
        /** Frames on a stream; a guest that resets itself has come to its end. */
        STREAM(List.of("-machine", "q35", "-no-reboot"), "stream,id=n,server=off,addr.type=unix,addr.path=", ""),
        /**
         * Rings in the guest's memory; a guest that resets itself starts again. QEMU 7.2 ends with a segmentation fault
         * when it emulates a processor and the card of vhost-user has interrupts of its own (MSI-X).
         */
        VHOST_USER(
                List.of(
                        "-machine",
                        "q35,memory-backend=m",
                        "-object",
                        "memory-backend-memfd,id=m,size=384M,share=on",
                        "-netdev",
                        "vhost-user,id=n,chardev=c"),
                "socket,id=c,path=",
                ",vectors=0");

        private final List<String> options;
        private final String place;
        private final String card;

        Attachment(List<String> options, String place, String card) {
            this.options = options;
            this.place = place;
            this.card = card;
        }

        private List<String> options(Path socket) {
            List<String> words = new ArrayList<>(options);
            words.addAll(List.of(this == STREAM ? "-netdev" : "-chardev", place + socket));
            words.addAll(List.of("-device", "virtio-net-pci,netdev=n,romfile=,mac=" + MAC + card));
            return words;
        }
    }

    QemuMachine(Path directory, Attachment attachment) throws IOException {
        this.directory = directory;
        this.attachment = attachment;
        kernel = new KernelPackage(Path.of(System.getenv(KERNEL_VARIABLE)));
        useKvm = isKvmLikely();
    }

    /** Starts the machine, lets it run the commands and waits for its end. */
    Console run(Namespace host, Path socket, String commands, Duration timeout) throws IOException {
        Path files = directory.resolve("initramfs.gz");
        FirstFiles.write(files, kernel, commands);
        if (useKvm) {
            Optional<Console> console = tryRun(host, command(socket, files, "kvm"), timeout);
            if (console.isPresent()) {
                return console.get();
            }
            System.out.println("guest tests: KVM is there but no guest starts on it; emulating");
            useKvm = false;
        }
        return tryRun(host, command(socket, files, "tcg"), timeout)
                .orElseThrow(() -> new IOException("the guest said nothing within " + FIRST_WORD));
    }

    /** Nothing if the guest's kernel did not even start. */
    private Optional<Console> tryRun(Namespace host, List<String> command, Duration timeout) throws IOException {
        Path log = directory.resolve("console");
        try (Subprocess qemu = host.start(log, command)) {
            try {
                Await.until(
                        "the guest's first word",
                        FIRST_WORD,
                        () -> !qemu.isAlive() || qemu.output().contains("@@ up"));
            } catch (IOException e) {
                return Optional.empty();
            }
            if (!qemu.awaitExit(timeout)) {
                throw new IOException(
                        "the guest did not power off within " + timeout + "; its console: " + qemu.output());
            }
            if (qemu.exitValue() != 0) {
                throw new IOException("QEMU ended with exit code " + qemu.exitValue() + ": " + qemu.output());
            }
            return Optional.of(new Console(qemu.output()));
        }
    }

    private List<String> command(Path socket, Path files, String accelerator) {
        List<String> words = new ArrayList<>(List.of("qemu-system-x86_64", "-nodefaults", "-no-user-config"));
        words.addAll(List.of("-accel", accelerator, "-cpu", "max", "-smp", "1", "-m", "384M"));
        words.addAll(List.of("-display", "none", "-serial", "stdio"));
        words.addAll(List.of("-kernel", kernel.image().toString(), "-initrd", files.toString()));
        words.addAll(List.of("-append", "console=ttyS0 quiet panic=-1 mitigations=off rdinit=/init"));
        words.addAll(attachment.options(socket));
        return words;
    }

    /** The device alone proves little: without these flags of the processor a guest may hang in its first steps. */
    private static boolean isKvmLikely() throws IOException {
        return Files.isWritable(Path.of("/dev/kvm"))
                && Pattern.compile("^flags.*\\b(vmx|svm)\\b", Pattern.MULTILINE)
                        .matcher(Files.readString(Path.of("/proc/cpuinfo")))
                        .find();
    }

    /**
     * What the guest said on its serial console.
     *
     * @param text all of it
     */
    record Console(String text) {

        /** What followed a keyword, for instance {@code lease}; the whole console if it was not said. */
        String said(String keyword) {
            Matcher line = Pattern.compile("^@@ " + keyword + " (.*?)\\s*$", Pattern.MULTILINE)
                    .matcher(text);
            return line.find() ? line.group(1) : "not said: " + keyword + " in: " + text;
        }
    }
}
