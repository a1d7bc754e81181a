package dev.slipway.publish;

import dev.slipway.publish.PortRequest.Protocol;
import dev.slipway.wire.IpAddress;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;

/**
 * Ports as people write them: {@code [ADDR:]HOST:GUEST[/udp][@VM]}, with ranges for both, or {@code PATH:GUEST[@VM]} for a
 * Unix socket of the host.
 *
 * @param address the host's address to listen on; empty: localhost
 * @param path the Unix socket to listen on, instead of address and ports
 * @param hostPort the first port of the host; 0: any
 * @param guestPort the first port of the guest
 * @param count how many ports in a row
 * @param udp UDP instead of TCP
 * @param vm the address (of either family, without brackets) or name of the VM, or the empty string for the only one
 */
public record PortRange(
        Optional<IpAddress> address,
        Optional<Path> path,
        int hostPort,
        int guestPort,
        int count,
        boolean udp,
        String vm) {

    private static final String SYNTAX = "[ADDR:]HOST:GUEST[/udp][@VM] or PATH:GUEST[@VM]";

    /**
     * Understands the text.
     *
     * @throws IllegalArgumentException if it makes no sense; the message says what does not
     */
    public static PortRange parse(String whole) {
        String text = whole;
        String vm = "";
        int at = text.lastIndexOf('@');
        if (at >= 0) {
            vm = text.substring(at + 1);
            text = text.substring(0, at);
            if (vm.contains(":") || vm.matches("[0-9.]+")) {
                vm = guestAddress(whole, vm);
            } else if (!vm.matches("[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")) {
                throw new IllegalArgumentException(
                        "'" + vm + "' behind the @ is neither an address nor a name, in '" + whole + "'");
            }
        }
        return text.startsWith("/") || text.startsWith("./") ? unix(whole, text, vm) : ports(whole, text, vm);
    }

    private static String guestAddress(String whole, String text) {
        try {
            return address(text.startsWith("[") || !text.contains(":") ? text : "[" + text + "]")
                    .toString();
        } catch (IllegalArgumentException e) {
            throw new IllegalArgumentException(
                    "'" + text + "' behind the @ is neither an address nor a name, in '" + whole + "'", e);
        }
    }

    private static PortRange unix(String whole, String text, String vm) {
        int colon = text.lastIndexOf(':');
        if (colon < 0) {
            throw new IllegalArgumentException("'" + whole + "' is not " + SYNTAX);
        }
        int guest = port(whole, text.substring(colon + 1), 1);
        return new PortRange(Optional.empty(), Optional.of(Path.of(text.substring(0, colon))), 0, guest, 1, false, vm);
    }

    private static PortRange ports(String whole, String given, String vm) {
        String text = given;
        boolean udp = false;
        int slash = text.indexOf('/');
        if (slash >= 0) {
            String protocol = text.substring(slash + 1).toLowerCase(Locale.ROOT);
            if (!protocol.equals("tcp") && !protocol.equals("udp")) {
                throw new IllegalArgumentException(
                        "'" + text.substring(slash + 1) + "' is not a protocol (tcp, udp), in '" + whole + "'");
            }
            udp = protocol.equals("udp");
            text = text.substring(0, slash);
        }
        int guestColon = text.lastIndexOf(':');
        int hostColon = guestColon < 0 ? -1 : text.lastIndexOf(':', guestColon - 1);
        if (guestColon < 0 || hostColon >= 0 && hostColon < text.lastIndexOf(']')) {
            throw new IllegalArgumentException("'" + whole + "' is not " + SYNTAX);
        }
        Optional<IpAddress> address =
                hostColon < 0 ? Optional.empty() : Optional.of(address(whole, text.substring(0, hostColon)));
        int[] host = range(whole, text.substring(hostColon + 1, guestColon), 0);
        int[] guest = range(whole, text.substring(guestColon + 1), 1);
        if (host[1] != guest[1]) {
            throw new IllegalArgumentException(
                    host[1] + " ports of the host and " + guest[1] + " of the guest in '" + whole + "'");
        }
        return new PortRange(address, Optional.empty(), host[0], guest[0], host[1], udp, vm);
    }

    private static IpAddress address(String whole, String text) {
        try {
            return address(text);
        } catch (IllegalArgumentException e) {
            throw new IllegalArgumentException(e.getMessage() + ", in '" + whole + "'", e);
        }
    }

    /**
     * An address of the host to listen on: IPv4, or IPv6 in brackets.
     *
     * @throws IllegalArgumentException if it is neither
     */
    public static IpAddress address(String text) {
        try {
            if (text.startsWith("[") && text.endsWith("]") && text.matches("\\[[0-9a-fA-F:.]+]")) {
                return IpAddress.ofBytes(InetAddress.getByName(text).getAddress());
            }
            return IpAddress.ofV4(IpAddress.parseV4(text));
        } catch (IllegalArgumentException | UnknownHostException e) {
            throw new IllegalArgumentException(
                    "'" + text + "' is not an address of the host (IPv4, or IPv6 in brackets)", e);
        }
    }

    /** The first port and how many. */
    private static int[] range(String whole, String text, int least) {
        int hyphen = text.indexOf('-');
        int first = port(whole, hyphen < 0 ? text : text.substring(0, hyphen), hyphen < 0 ? least : 1);
        int last = hyphen < 0 ? first : port(whole, text.substring(hyphen + 1), 1);
        if (last < first) {
            throw new IllegalArgumentException("the range '" + text + "' ends before it begins, in '" + whole + "'");
        }
        return new int[] {first, last - first + 1};
    }

    private static int port(String whole, String text, int least) {
        if (!text.matches("[0-9]{1,5}") || Integer.parseInt(text) < least || Integer.parseInt(text) > 65_535) {
            throw new IllegalArgumentException(
                    "'" + text + "' is not a port (" + least + " to 65535), in '" + whole + "'");
        }
        return Integer.parseInt(text);
    }

    /** Whether both would listen in one place of the host. */
    public boolean clashesWith(PortRange other) {
        if (path.isPresent() || other.path.isPresent()) {
            return path.equals(other.path);
        }
        boolean sameAddress = isAny()
                || other.isAny()
                || address.equals(other.address)
                || address.isEmpty() && other.isLocalhost()
                || other.address.isEmpty() && isLocalhost();
        return sameAddress
                && udp == other.udp
                && hostPort != 0
                && hostPort < other.hostPort + other.count
                && other.hostPort < hostPort + count;
    }

    private boolean isAny() {
        return address.isPresent()
                && (address.get().isV4()
                        ? address.get().v4() == 0
                        : (address.get().high() | address.get().low()) == 0);
    }

    private boolean isLocalhost() {
        return address.isPresent()
                && (address.get().isV4()
                        ? address.get().v4() == 0x7F00_0001
                        : address.get().high() == 0 && address.get().low() == 1);
    }

    /** The address that is written behind the {@code @}; empty if nothing or a name is. */
    public Optional<IpAddress> guest() {
        if (vm.contains(":")) {
            return Optional.of(address("[" + vm + "]"));
        }
        return vm.matches("[0-9.]+") ? Optional.of(IpAddress.ofV4(IpAddress.parseV4(vm))) : Optional.empty();
    }

    /** One request for each port. */
    public List<PortRequest> requests() {
        List<PortRequest> requests = new ArrayList<>();
        Optional<IpAddress> guest = guest();
        String name = guest.isEmpty() ? vm : "";
        for (int i = 0; i < count; i++) {
            Protocol protocol = path.isPresent() ? Protocol.UNIX : udp ? Protocol.UDP : Protocol.TCP;
            int port = hostPort == 0 ? 0 : hostPort + i;
            requests.add(new PortRequest(protocol, address, port, path, guest, name, guestPort + i));
        }
        return requests;
    }

    @Override
    public String toString() {
        String host = path.map(Path::toString)
                .orElse(address.map(each -> each.isV4() ? each + ":" : "[" + each + "]:")
                                .orElse("")
                        + range(hostPort));
        return host + ":" + range(guestPort) + (udp ? "/udp" : "")
                + (vm.isEmpty() ? "" : "@" + (vm.contains(":") ? "[" + vm + "]" : vm));
    }

    private String range(int first) {
        return count == 1 ? Integer.toString(first) : first + "-" + (first + count - 1);
    }
}
