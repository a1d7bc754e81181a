package dev.slipway.guest;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A virtual machine of QEMU with Debian's cloud kernel and a first file system of busybox alone. It runs a list of shell
 * commands, says on its serial console how they ended, and powers off.
 */
final class QemuMachine {

    /** Names the folder of an unpacked linux-image-*-cloud-amd64 package. */
    static final String KERNEL_VARIABLE = "SLIPWAY_GUEST_KERNEL";

    private static final String MAC = "5a:94:ef:e4:0c:aa";
    private static final Duration FIRST_WORD = Duration.ofSeconds(20);
    private static final String INIT = """
        #!/bin/busybox sh
        /bin/busybox mkdir -p /proc /sys /tmp /etc
        /bin/busybox --install -s /bin
        export PATH=/bin
        mount -t proc proc /proc
        mount -t sysfs sys /sys
        mount -t devtmpfs dev /dev
        echo "@@ up"
        for module in $(cat /modules/order); do insmod /modules/$module || echo "@@ module-failed $module"; done
        tries=0
        while [ ! -e /sys/class/net/eth0 ] && [ $tries -lt 50 ]; do usleep 100000; tries=$((tries + 1)); done
        ip link set lo up
        ip link set eth0 up
        sh -e /commands
        echo "@@ exit $?"
        poweroff -f
        """;
    private static final String DHCP_SCRIPT = """
        #!/bin/sh
        case $1 in bound) ;; *) exit 0 ;; esac
        ip address add $ip/$mask dev $interface
        ip link set $interface mtu $mtu
        ip route add default via $router
        for d in $dns; do echo "nameserver $d"; done > /etc/resolv.conf
        echo "@@ lease $ip $router $dns $mtu"
        """;
    /** The guest's commands start with this: a lease, or the end. */
    static final String LEASE = "udhcpc -i eth0 -f -n -q -t 10 -T 1 -O mtu -s /dhcp.sh\n";

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
        writeFiles(files, commands);
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

    private void writeFiles(Path file, String commands) throws IOException {
        CpioArchive archive = new CpioArchive();
        archive.addDirectory("bin");
        archive.addDirectory("dev");
        archive.addDirectory("modules");
        archive.addDevice("dev/console", 5, 1);
        archive.addFile(
                "bin/busybox", Files.readAllBytes(Prerequisites.find("busybox").orElseThrow()));
        Map<String, byte[]> modules = kernel.modulesInOrder("virtio_pci", "virtio_net");
        modules.forEach((name, content) -> archive.addFile("modules/" + name, content));
        archive.addFile("modules/order", ascii(String.join("\n", modules.keySet())));
        archive.addFile("init", ascii(INIT));
        archive.addFile("dhcp.sh", ascii(DHCP_SCRIPT));
        archive.addFile("commands", ascii(commands));
        archive.writeTo(file);
    }

    /** The device alone proves little: without these flags of the processor a guest may hang in its first steps. */
    private static boolean isKvmLikely() throws IOException {
        return Files.isWritable(Path.of("/dev/kvm"))
                && Pattern.compile("^flags.*\\b(vmx|svm)\\b", Pattern.MULTILINE)
                        .matcher(Files.readString(Path.of("/proc/cpuinfo")))
                        .find();
    }

    private static byte[] ascii(String text) {
        return text.getBytes(StandardCharsets.US_ASCII);
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
