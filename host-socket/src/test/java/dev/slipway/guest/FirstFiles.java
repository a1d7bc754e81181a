package dev.slipway.guest;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;

/**
 * A machine's first file system, of busybox alone. The machine runs a list of shell commands, says on its console how
 * they ended, and powers off.
 */
final class FirstFiles {

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

    private FirstFiles() {}

    static void write(Path file, KernelPackage kernel, String commands) throws IOException {
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

    private static byte[] ascii(String text) {
        return text.getBytes(StandardCharsets.US_ASCII);
    }
}
