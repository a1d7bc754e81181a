package dev.slipway.guest;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;

/**
 * What busybox' DHCP client was given, in the words of its script's variables.
 *
 * @param values by name: ip, mask (the prefix length), router, dns, mtu, lease, …
 */
record Lease(Map<String, String> values) {

    /**
     * The script that udhcpc calls: sets the interface up and writes the lease down. The route names Linux' usual
     * congestion control, which the machine's own setting would otherwise replace.
     */
    static Path writeScript(Path directory) throws IOException {
        Path script = directory.resolve("dhcp.sh");
        Files.writeString(script, """
            #!/bin/sh
            case $1 in bound|renew) ;; *) exit 0 ;; esac
            set -e
            ip -4 address flush dev $interface
            ip address add $ip/$mask dev $interface
            [ -z "$mtu" ] || ip link set $interface mtu $mtu
            for r in $router; do
                ip route replace default via $r dev $interface congctl cubic ||
                    ip route replace default via $r dev $interface
            done
            env > %s
            """.formatted(file(directory)));
        if (!script.toFile().setExecutable(true)) {
            throw new IOException("cannot make it executable: " + script);
        }
        return script;
    }

    /** Reads and removes what the script wrote. */
    static Lease take(Path directory) throws IOException {
        List<String> lines = Files.readAllLines(file(directory));
        Files.delete(file(directory));
        return new Lease(lines.stream()
                .filter(line -> line.matches("[a-z0-9]+=.*"))
                .map(line -> line.split("=", 2))
                .collect(Collectors.toMap(pair -> pair[0], pair -> pair[1])));
    }

    String address() {
        return values.get("ip");
    }

    private static Path file(Path directory) {
        return directory.resolve("lease");
    }
}
