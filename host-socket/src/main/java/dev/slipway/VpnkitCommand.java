package dev.slipway;

import dev.slipway.ForeignFlags.Kind;
import dev.slipway.SettingSource.Value;
import dev.slipway.wire.IpAddress;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * {@code slipway vpnkit …}: takes VPNKit's flags, with its addresses. The rule for those that have no setting here: what
 * would change what a VM or a client can reach is refused; what only looks on, or tunes, is passed over with a word.
 */
final class VpnkitCommand {

    private static final Map<String, Kind> FLAGS = new HashMap<>();
    private static final List<String> PASSED_OVER = List.of(
            "introspection",
            "diagnostics",
            "pcap-snaplen",
            "listen-backlog",
            "port-max-idle-time",
            "allowed-bind-addresses",
            "gc-compact-interval");
    private static final List<String> REFUSED = List.of(
            "port",
            "pcap",
            "vsock-path",
            "port-forwards",
            "http-api-path",
            "udpv4-forwards",
            "tcpv4-forwards",
            "gateway-forwards",
            "forwards",
            "dhcp-path");

    static {
        for (String flag : List.of(
                "ethernet",
                "max-connections",
                "dns",
                "http",
                "hosts",
                "host-names",
                "gateway-names",
                "vm-names",
                "server-macaddr",
                "domain",
                "gateway-ip",
                "host-ip",
                "lowest-ip",
                "highest-ip",
                "mtu")) {
            FLAGS.put(flag, Kind.ONE);
        }
        PASSED_OVER.forEach(flag -> FLAGS.put(flag, Kind.LIST));
        REFUSED.forEach(flag -> FLAGS.put(flag, Kind.LIST));
        for (String flag : List.of("debug", "version", "help")) {
            FLAGS.put(flag, Kind.SWITCH);
        }
    }

    private static final String HELP = """
        Usage: slipway vpnkit --ethernet URL [FLAGS], or a link named vpnkit to slipway

        Supported: --ethernet PATH, unix:PATH or fd:N; --mtu, --gateway-ip, --host-ip (0.0.0.0: none), --lowest-ip,
        --highest-ip, --server-macaddr, --domain, --dns FILE, --http FILE, --host-names, --gateway-names, --vm-names,
        --hosts /etc/hosts, --max-connections, --debug, --version.
        Passed over: --introspection, --diagnostics, --pcap-snaplen, --listen-backlog, --port-max-idle-time,
        --allowed-bind-addresses, --gc-compact-interval.
        Refused: --port, --vsock-path, --port-forwards, --pcap, --http-api-path, --tcpv4-forwards, --udpv4-forwards,
        --gateway-forwards, --forwards, --dhcp-path.
        """;

    private static final Set<String> BUILT_IN = Set.of("host.internal", "gateway.internal");
    private static final String NO_HOST = "0.0.0.0";
    private static final int SMALLEST_PREFIX = 8;
    private static final int LARGEST_PREFIX = 29;

    private VpnkitCommand() {}

    static int run(String[] args, PrintStream out, PrintStream err) throws SettingsException {
        ForeignFlags flags = parse(args);
        if (flags.isOn("version")) {
            out.println("vpnkit slipway-" + Main.version());
            return Command.DONE;
        }
        if (flags.isOn("help")) {
            out.print(HELP);
            return Command.DONE;
        }
        SettingSource source = settings(flags);
        for (String flag : PASSED_OVER) {
            if (!flags.all(flag).isEmpty()) {
                err.println("vpnkit: --" + flag + ": not supported, passed over");
            }
        }
        return RunCommand.run(() -> source, List.of(), List.of(), out, err);
    }

    static ForeignFlags parse(String... args) throws SettingsException {
        return ForeignFlags.parse(args, "--", FLAGS);
    }

    /** The settings of {@code run} that the flags mean. */
    static SettingSource settings(ForeignFlags flags) throws SettingsException {
        for (String flag : REFUSED) {
            flags.refuse(flag, "");
        }
        SettingSource source = new SettingSource();
        put(source, SettingKey.VM, vm(flags));
        addresses(flags, source);
        copy(flags, "mtu", source, SettingKey.MTU);
        copy(flags, "max-connections", source, SettingKey.MAX_TCP_FLOWS);
        put(source, SettingKey.DOMAIN, flags.value("domain", flags.text("domain", "localdomain")));
        put(
                source,
                SettingKey.GATEWAY_MAC,
                flags.value("server-macaddr", flags.text("server-macaddr", "f6:16:36:bc:f9:c6")));
        names(flags, source);
        if (!flags.text("http", "").isEmpty()) {
            copy(flags, "http", source, SettingKey.HTTP);
        }
        if (!flags.text("dns", "").isEmpty()) {
            nameServers(flags.all("dns").getLast(), source);
        }
        if (!flags.text("hosts", "/etc/hosts").equals("/etc/hosts")) {
            throw flags.value("hosts", "").wrong("not supported but for /etc/hosts, which is followed anyway");
        }
        if (flags.isOn("debug")) {
            put(source, SettingKey.LOG_LEVEL, flags.value("debug", "debug"));
        }
        return source;
    }

    private static Value vm(ForeignFlags flags) throws SettingsException {
        String url = flags.text("ethernet", "");
        if (url.isEmpty()) {
            throw new SettingsException("--ethernet", "is needed, for example --ethernet /var/tmp/vpnkit.socket");
        }
        if (url.matches("fd:[0-9]+")) {
            return flags.value("ethernet", url + "/vpnkit");
        }
        String path = url.replaceFirst("^unix:(//)?(?=/)", "");
        if (path.matches("[a-z-]+:.*")) {
            throw flags.value("ethernet", url).wrong("'" + url + "' is not PATH, unix:PATH or fd:N");
        }
        return flags.value("ethernet", "vpnkit:" + path);
    }

    private static void addresses(ForeignFlags flags, SettingSource source) throws SettingsException {
        int gateway = address(flags, "gateway-ip", "192.168.65.1");
        int lowest = address(flags, "lowest-ip", "192.168.65.3");
        int highest = address(flags, "highest-ip", "192.168.65.254");
        String hostText = flags.text("host-ip", "192.168.65.2");
        // The smallest network that all three lie in, as VPNKit has it.
        int prefix = LARGEST_PREFIX;
        while (prefix > SMALLEST_PREFIX && !(isIn(gateway, lowest + 1, prefix) && isIn(gateway, highest, prefix))) {
            prefix--;
        }
        int network = gateway & -1 << 32 - prefix;
        put(source, SettingKey.SUBNET, flags.value("gateway-ip", IpAddress.toString(network) + "/" + prefix));
        put(source, SettingKey.GATEWAY_IP, flags.value("gateway-ip", IpAddress.toString(gateway)));
        if (hostText.equals(NO_HOST)) {
            put(source, SettingKey.NO_HOST_ACCESS, flags.value("host-ip", "true"));
        } else {
            put(source, SettingKey.HOST_IP, flags.value("host-ip", hostText));
        }
    }

    private static boolean isIn(int one, int other, int prefix) {
        return (one ^ other) >>> 32 - prefix == 0;
    }

    private static int address(ForeignFlags flags, String flag, String otherwise) throws SettingsException {
        String text = flags.text(flag, otherwise);
        try {
            return IpAddress.parseV4(text);
        } catch (IllegalArgumentException e) {
            throw flags.value(flag, text).wrong(e.getMessage());
        }
    }

    private static void names(ForeignFlags flags, SettingSource source) {
        List<Value> records = new ArrayList<>();
        String host = flags.text("host-ip", "192.168.65.2");
        if (!host.equals(NO_HOST)) {
            add(records, flags, "host-names", "host.internal", host);
        }
        add(records, flags, "gateway-names", "gateway.internal", flags.text("gateway-ip", "192.168.65.1"));
        add(records, flags, "vm-names", "vm.internal", flags.text("lowest-ip", "192.168.65.3"));
        if (!records.isEmpty()) {
            source.put(SettingKey.DNS_RECORD.key(), records);
        }
    }

    private static void add(List<Value> records, ForeignFlags flags, String flag, String otherwise, String address) {
        for (String name : flags.text(flag, otherwise).split(",")) {
            if (!name.isBlank() && !BUILT_IN.contains(name.strip())) {
                records.add(flags.value(flag, name.strip() + "=" + address));
            }
        }
    }

    /** VPNKit's file of name servers, as it is at the start. */
    private static void nameServers(Value file, SettingSource source) throws SettingsException {
        List<String> lines;
        try {
            lines = Files.readAllLines(Path.of(file.text()));
        } catch (IOException e) {
            throw file.wrong("cannot be read: " + e.getMessage());
        }
        Map<String, List<String>> servers = new HashMap<>();
        List<Value> search = new ArrayList<>();
        List<String> zones = List.of();
        for (String line : lines) {
            String[] words = line.strip().split("\\s+");
            if (words[0].equals("zone")) {
                zones = List.of(words).subList(1, words.length);
            } else if (words[0].equals("search")) {
                for (int i = 1; i < words.length; i++) {
                    search.add(new Value(file.place(), words[i]));
                }
            } else if (words[0].equals("nameserver") && words.length > 1) {
                for (String zone : zones.isEmpty() ? List.of(".") : zones) {
                    servers.computeIfAbsent(zone, key -> new ArrayList<>()).add(words[1]);
                }
                zones = List.of();
            }
        }
        List<Value> rules = new ArrayList<>();
        servers.forEach((zone, list) -> rules.add(new Value(file.place(), zone + "=" + String.join(",", list))));
        source.put(SettingKey.DNS_FOR.key(), rules);
        source.put(SettingKey.SEARCH_DOMAIN.key(), search);
    }

    private static void copy(ForeignFlags flags, String flag, SettingSource source, SettingKey key) {
        if (!flags.all(flag).isEmpty()) {
            source.put(key.key(), flags.all(flag));
        }
    }

    private static void put(SettingSource source, SettingKey key, Value value) {
        source.put(key.key(), List.of(value));
    }
}
