package dev.slipway;

import dev.slipway.SettingSource.Value;
import dev.slipway.wire.IpAddress;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.util.Locale;

/**
 * Ports of a guest that are to be ports of the host: {@code [ADDR:]HOST:GUEST[/udp][@VM]}.
 *
 * @param address the host's address to listen on
 * @param hostPort the first port of the host
 * @param guestPort the first port of the guest
 * @param count how many ports in a row
 * @param udp UDP instead of TCP
 * @param vm the address or name of the VM, or the empty string for the only one
 */
public record PublishedPort(IpAddress address, int hostPort, int guestPort, int count, boolean udp, String vm) {

    private static final String SYNTAX = "[ADDR:]HOST:GUEST[/udp][@VM]";

    static PublishedPort parse(Value value) throws SettingsException {
        String text = value.text();
        String vm = "";
        int at = text.indexOf('@');
        if (at >= 0) {
            vm = text.substring(at + 1);
            text = text.substring(0, at);
            if (!vm.matches("[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")) {
                throw value.wrong(
                        "'" + vm + "' behind the @ is neither an address nor a name, in '" + value.text() + "'");
            }
        }
        boolean udp = false;
        int slash = text.indexOf('/');
        if (slash >= 0) {
            String protocol = text.substring(slash + 1).toLowerCase(Locale.ROOT);
            if (!protocol.equals("tcp") && !protocol.equals("udp")) {
                throw value.wrong(
                        "'" + text.substring(slash + 1) + "' is not a protocol (tcp, udp), in '" + value.text() + "'");
            }
            udp = protocol.equals("udp");
            text = text.substring(0, slash);
        }
        int guestColon = text.lastIndexOf(':');
        int hostColon = guestColon < 0 ? -1 : text.lastIndexOf(':', guestColon - 1);
        if (guestColon < 0 || hostColon >= 0 && hostColon < text.lastIndexOf(']')) {
            throw value.wrong("'" + value.text() + "' is not " + SYNTAX);
        }
        IpAddress address =
                hostColon < 0 ? IpAddress.ofV4(0x7F00_0001) : parseAddress(value, text.substring(0, hostColon));
        int[] host = ports(value, text.substring(hostColon + 1, guestColon));
        int[] guest = ports(value, text.substring(guestColon + 1));
        if (host[1] != guest[1]) {
            throw value.wrong(
                    host[1] + " ports of the host and " + guest[1] + " of the guest in '" + value.text() + "'");
        }
        return new PublishedPort(address, host[0], guest[0], host[1], udp, vm);
    }

    private static IpAddress parseAddress(Value value, String text) throws SettingsException {
        try {
            if (text.startsWith("[") && text.endsWith("]") && text.matches("\\[[0-9a-fA-F:.]+]")) {
                return IpAddress.ofBytes(InetAddress.getByName(text).getAddress());
            }
            return IpAddress.ofV4(IpAddress.parseV4(text));
        } catch (IllegalArgumentException | UnknownHostException e) {
            throw value.wrong("'" + text + "' is not an address of the host, in '" + value.text()
                    + "' (IPv4, or IPv6 in brackets)");
        }
    }

    /** The first port and how many. */
    private static int[] ports(Value value, String text) throws SettingsException {
        int hyphen = text.indexOf('-');
        int first = port(value, hyphen < 0 ? text : text.substring(0, hyphen));
        int last = hyphen < 0 ? first : port(value, text.substring(hyphen + 1));
        if (last < first) {
            throw value.wrong("the range '" + text + "' ends before it begins, in '" + value.text() + "'");
        }
        return new int[] {first, last - first + 1};
    }

    private static int port(Value value, String text) throws SettingsException {
        if (!text.matches("[0-9]{1,5}") || Integer.parseInt(text) < 1 || Integer.parseInt(text) > 65_535) {
            throw value.wrong("'" + text + "' is not a port (1 to 65535), in '" + value.text() + "'");
        }
        return Integer.parseInt(text);
    }

    /** Whether both would listen on one port of the host. */
    boolean clashesWith(PublishedPort other) {
        boolean sameAddress = address.equals(other.address) || isAny() || other.isAny();
        return sameAddress
                && udp == other.udp
                && hostPort < other.hostPort + other.count
                && other.hostPort < hostPort + count;
    }

    private boolean isAny() {
        return address.isV4() && address.v4() == 0 || address.high() == 0 && address.low() == 0;
    }

    @Override
    public String toString() {
        String host = address.isV4() ? address.toString() : "[" + address + "]";
        return host + ":" + range(hostPort) + ":" + range(guestPort) + (udp ? "/udp" : "")
                + (vm.isEmpty() ? "" : "@" + vm);
    }

    private String range(int first) {
        return count == 1 ? Integer.toString(first) : first + "-" + (first + count - 1);
    }
}
