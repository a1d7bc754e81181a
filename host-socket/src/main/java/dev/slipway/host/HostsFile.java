package dev.slipway.host;

import dev.slipway.wire.IpAddress;
import java.net.InetAddress;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;

/**
 * What a {@code hosts} file says: names and their addresses, both ways. Lines that make no sense are skipped.
 *
 * <p>An address of the host's loopback means the host, so the guest is told the address that stands for it there, or none
 * if nothing does. {@code localhost} itself is each machine's own and is left out.
 */
final class HostsFile {

    static final HostsFile EMPTY = new HostsFile(Map.of(), Map.of());

    private static final String NAME = "[a-z0-9_-]{1,63}(\\.[a-z0-9_-]{1,63})*";

    private final Map<String, List<IpAddress>> addresses;
    private final Map<IpAddress, String> names;

    private HostsFile(Map<String, List<IpAddress>> addresses, Map<IpAddress, String> names) {
        this.addresses = addresses;
        this.names = names;
    }

    /** @param localhost what a guest reaches the host's loopback by, or {@code null} if it does not */
    static HostsFile parse(String text, IpAddress localhost) {
        Map<String, List<IpAddress>> addresses = new HashMap<>();
        Map<IpAddress, String> names = new HashMap<>();
        text.lines().forEach(line -> {
            int comment = line.indexOf('#');
            String[] words =
                    (comment < 0 ? line : line.substring(0, comment)).strip().split("[ \t]+");
            if (words.length < 2) {
                return;
            }
            InetAddress written;
            try {
                written = InetAddress.ofLiteral(words[0]);
            } catch (IllegalArgumentException e) {
                return;
            }
            IpAddress address = written.isLoopbackAddress() ? localhost : IpAddress.ofBytes(written.getAddress());
            for (int i = 1; i < words.length; i++) {
                String name = words[i].toLowerCase(Locale.ROOT);
                if (!name.matches(NAME) || name.length() > 253 || isLocalhost(name)) {
                    continue;
                }
                List<IpAddress> known = addresses.computeIfAbsent(name, key -> new ArrayList<>(1));
                if (address != null && !known.contains(address)) {
                    known.add(address);
                }
                if (address != null && !written.isLoopbackAddress()) {
                    names.putIfAbsent(address, name);
                }
            }
        });
        return new HostsFile(addresses, names);
    }

    private static boolean isLocalhost(String name) {
        return name.equals("localhost") || name.startsWith("localhost.") || name.startsWith("ip6-");
    }

    /**
     * The addresses of a name.
     *
     * @param name lower case, no dot behind
     * @return {@code null} if the file does not have the name
     */
    List<IpAddress> addressesOf(String name) {
        return addresses.get(name);
    }

    /** The first name of an address, or {@code null} if there is none. */
    String nameOf(IpAddress address) {
        return names.get(address);
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof HostsFile that && addresses.equals(that.addresses) && names.equals(that.names);
    }

    @Override
    public int hashCode() {
        return Objects.hash(addresses, names);
    }
}
