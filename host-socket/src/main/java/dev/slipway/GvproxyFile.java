package dev.slipway;

import dev.slipway.SettingSource.Value;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Predicate;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.snakeyaml.engine.v2.nodes.MappingNode;
import org.snakeyaml.engine.v2.nodes.Node;
import org.snakeyaml.engine.v2.nodes.NodeTuple;
import org.snakeyaml.engine.v2.nodes.ScalarNode;
import org.snakeyaml.engine.v2.nodes.SequenceNode;
import org.snakeyaml.engine.v2.nodes.Tag;

/**
 * The YAML file of gvproxy's {@code -config}. What has a flag of gvproxy's becomes that flag, unless it stands on the command
 * line; the rest become settings of {@code run}. A key that is unknown, or has no counterpart here, is an error that names
 * the line; gvproxy itself passes over what it does not know.
 */
final class GvproxyFile {

    private static final Map<String, String> INTERFACES = Map.of(
            "vpnkit", "listen-vpnkit",
            "qemu", "listen-qemu",
            "bess", "listen-bess",
            "stdio", "listen-stdio",
            "vfkit", "listen-vfkit");
    private static final Map<String, String> TOP = Map.of(
            "pid-file", "pid-file",
            "log-file", "log-file",
            "services", "services");
    private static final Map<String, String> STACK = Map.of(
            "capture-file", "pcap",
            "mtu", "mtu",
            "subnet", "subnet",
            "gatewayIP", "gatewayIP",
            "deviceIP", "deviceIP",
            "hostIP", "hostIP");
    private static final Map<String, String> LOG_LEVELS = Map.of(
            "panic", "error",
            "fatal", "error",
            "warning", "warn");
    /** In front of the colon the place on the host, without a host all of its addresses. */
    private static final Pattern LOCAL = Pattern.compile("(udp:|tcp:)?([^:]*|\\[[^]]*]):([0-9]+)");

    private final Path file;
    private final ForeignFlags flags;
    private final SettingSource settings = new SettingSource();
    private final List<Value> records = new ArrayList<>();
    private final List<Value> zones = new ArrayList<>();
    private final List<Pair> nat = new ArrayList<>();
    private final List<Value> virtual = new ArrayList<>();

    /** A key and what stands behind it. */
    private record Pair(String key, Node value, int line) {}

    private GvproxyFile(Path file, ForeignFlags flags) {
        this.file = file;
        this.flags = flags;
    }

    /**
     * Reads the file.
     *
     * @param flags that get what the command line does not say
     * @return settings of {@code run} beside those that the flags mean
     */
    static SettingSource read(Value place, ForeignFlags flags) throws SettingsException {
        try {
            GvproxyFile read = new GvproxyFile(Path.of(place.text()), flags);
            for (Pair pair : read.pairs(SettingsFile.mapping(read.file), "")) {
                read.top(pair);
            }
            read.check();
            return read.settings;
        } catch (InvalidPathException e) {
            throw place.wrong("not a path: " + e.getReason());
        }
    }

    private void top(Pair pair) throws SettingsException {
        switch (pair.key) {
            case "listen" -> flags.otherwise("listen", values(pair, pair.key));
            case "log-level" -> logLevel(value(pair));
            case "interfaces" -> {
                for (Pair each : pairs(pair)) {
                    flag(INTERFACES, each, "interfaces." + each.key);
                }
            }
            case "stack" -> {
                for (Pair each : pairs(pair)) {
                    stack(each);
                }
            }
            case "forwards" -> {
                if (!(pair.value instanceof SequenceNode list && list.getValue().isEmpty())) {
                    throw value(pair, pair.key, "").wrong("not supported: " + GvproxyCommand.NO_SSH);
                }
            }
            case "notification" ->
                flags.otherwise(
                        "notification",
                        List.of(value(pair, pair.key, "unix://" + value(pair).text())));
            // As there, this says nothing: the stack's key does.
            case "ec2-metadata-access" -> isTrue(value(pair));
            default -> flag(TOP, pair, pair.key);
        }
    }

    private void stack(Pair pair) throws SettingsException {
        String key = "stack." + pair.key;
        switch (pair.key) {
            case "debug" -> {
                if (isTrue(value(pair, key))) {
                    settings.put(SettingKey.LOG_LEVEL.key(), List.of(value(pair, key, "debug")));
                }
            }
            case "gatewayMacAddress" -> settings.put(SettingKey.GATEWAY_MAC.key(), List.of(value(pair, key)));
            case "dnsSearchDomains" -> put(SettingKey.SEARCH_DOMAIN, values(pair, key));
            case "ec2MetadataAccess" -> settings.put(SettingKey.ALLOW_LINK_LOCAL.key(), List.of(value(pair, key)));
            case "dhcpStaticLeases" -> {
                List<Value> leases = new ArrayList<>();
                for (Pair lease : pairs(pair)) {
                    leases.add(value(lease, key, value(lease).text() + "=" + lease.key));
                }
                put(SettingKey.STATIC_LEASE, leases);
            }
            case "forwards" -> {
                List<Value> ports = new ArrayList<>();
                for (Pair port : pairs(pair)) {
                    ports.add(port(port, key));
                }
                put(SettingKey.PUBLISH, ports);
            }
            case "dns" -> {
                for (Node zone : list(pair, key)) {
                    zone(zone, key);
                }
                put(SettingKey.DNS_RECORD, records);
                put(SettingKey.DNS_ZONE, zones);
            }
            case "nat" -> nat.addAll(pairs(pair));
            case "gatewayVirtualIPs" -> virtual.addAll(values(pair, key));
            case "vpnKitUUIDMacAddresses" ->
                throw value(pair, key, "").wrong("not supported: MAC addresses are told by Slipway, see --vm vpnkit:");
            default -> flag(STACK, pair, key);
        }
    }

    private void flag(Map<String, String> known, Pair pair, String name) throws SettingsException {
        String flag = known.get(pair.key);
        if (flag == null) {
            throw value(pair, name, "").wrong("unknown key");
        }
        flags.otherwise(flag, List.of(value(pair, name)));
    }

    private void put(SettingKey key, List<Value> values) {
        if (!values.isEmpty()) {
            settings.put(key.key(), values);
        }
    }

    private void logLevel(Value level) {
        String text = LOG_LEVELS.getOrDefault(level.text(), level.text());
        settings.put(SettingKey.LOG_LEVEL.key(), List.of(new Value(level.place(), text)));
    }

    private Value port(Pair pair, String key) throws SettingsException {
        Matcher local = LOCAL.matcher(pair.key);
        Value remote = value(pair, key);
        int colon = remote.text().lastIndexOf(':');
        if (!local.matches() || colon < 1) {
            throw remote.wrong("'" + pair.key + ": " + remote.text()
                    + "' is not [udp:][ADDRESS]:PORT and ADDRESS:PORT of the guest");
        }
        String address = local.group(2).isEmpty()
                ? "0.0.0.0"
                : local.group(2).equals("localhost") ? "127.0.0.1" : local.group(2);
        String protocol = "udp:".equals(local.group(1)) ? "/udp" : "";
        return new Value(
                remote.place(),
                address + ":" + local.group(3) + ":" + remote.text().substring(colon + 1) + protocol + "@"
                        + remote.text().substring(0, colon));
    }

    // ---- names

    private void zone(Node node, String key) throws SettingsException {
        String name = "";
        String otherwise = "";
        List<? extends Node> records = List.of();
        int line = line(node);
        for (Pair pair : pairs(node, key)) {
            switch (pair.key) {
                case "name" -> name = value(pair).text();
                case "defaultIP" -> otherwise = value(pair).text();
                case "records" -> records = list(pair, key + ".records");
                default -> throw value(pair, key + "." + pair.key, "").wrong("unknown key");
            }
        }
        String zone = name.endsWith(".") ? name.substring(0, name.length() - 1) : name;
        if (zone.isEmpty()) {
            throw new Value(place(line, key), "").wrong("a zone needs a name, for example corp.test.");
        }
        for (Node each : records) {
            record(each, zone, key + ".records");
        }
        zones.add(new Value(place(line, key), zone + (otherwise.isEmpty() ? "" : "=" + otherwise)));
    }

    private void record(Node node, String zone, String key) throws SettingsException {
        String name = "";
        String regexp = "";
        String ip = "";
        for (Pair pair : pairs(node, key)) {
            switch (pair.key) {
                case "name" -> name = value(pair).text();
                case "regexp" -> regexp = value(pair).text();
                case "ip" -> ip = value(pair).text();
                default -> throw value(pair, key + "." + pair.key, "").wrong("unknown key");
            }
        }
        Value place = new Value(place(line(node), key), "");
        if (name.isEmpty() == regexp.isEmpty()) {
            throw place.wrong("a record has either a name or a regexp");
        }
        String pattern = regexp.isEmpty() ? name + "." + zone : "/" + wholeName(place, regexp, zone) + "/";
        records.add(new Value(place.place(), pattern + "=" + ip));
    }

    /** A pattern of what stands in front of a zone as one of the whole name. */
    private static String wholeName(Value place, String regexp, String zone) throws SettingsException {
        boolean ends = regexp.endsWith("$") && !regexp.endsWith("\\$");
        String body = ends ? regexp.substring(0, regexp.length() - 1) : regexp;
        if (body.contains("$") || ends && body.contains("|") || body.contains("\\z")) {
            throw place.wrong(
                    "regexp '" + regexp + "': an end ($) is supported as the last thing of it, and not beside |");
        }
        return "(?:" + body + ")" + (ends ? "" : ".*") + "[.]" + zone.replace(".", "[.]") + "$";
    }

    // ---- what there is only one of here

    private void check() throws SettingsException {
        String subnet = flags.text("subnet", GvproxyCommand.DEFAULT_SUBNET);
        String host = flags.text("hostIP", GvproxyCommand.lastUsable(subnet));
        for (Pair pair : nat) {
            Value to = value(pair, "stack.nat");
            if (!pair.key.equals(host) || !to.text().equals("127.0.0.1")) {
                throw to.wrong("'" + pair.key + ": " + to.text() + "' is not supported, only " + host + ": 127.0.0.1");
            }
        }
        for (Value address : virtual) {
            if (!address.text().equals(host)) {
                throw address.wrong("'" + address.text() + "' is not supported, only the host's, " + host);
            }
        }
    }

    // ---- YAML

    private List<Pair> pairs(Pair pair) throws SettingsException {
        return pairs(pair.value, pair.key);
    }

    private List<Pair> pairs(Node node, String key) throws SettingsException {
        if (!(node instanceof MappingNode mapping)) {
            throw new SettingsException(place(line(node), key), "must be a group of keys");
        }
        List<Pair> pairs = new ArrayList<>();
        Set<String> seen = new HashSet<>();
        for (NodeTuple each : mapping.getValue()) {
            int line = line(each.getKeyNode());
            if (!(each.getKeyNode() instanceof ScalarNode scalar)) {
                throw new SettingsException(place(line, key), "a key must be a single word");
            }
            if (!seen.add(scalar.getValue())) {
                throw new SettingsException(place(line, scalar.getValue()), "given twice");
            }
            pairs.add(new Pair(scalar.getValue(), each.getValueNode(), line));
        }
        return pairs;
    }

    private List<? extends Node> list(Pair pair, String key) throws SettingsException {
        if (pair.value instanceof SequenceNode list) {
            return list.getValue();
        }
        throw value(pair, key, "").wrong("must be a list");
    }

    private List<Value> values(Pair pair, String key) throws SettingsException {
        List<Value> values = new ArrayList<>();
        for (Node each : list(pair, key)) {
            values.add(new Value(place(line(each), key), text(each, key)));
        }
        return values;
    }

    private Value value(Pair pair) throws SettingsException {
        return value(pair, pair.key);
    }

    private Value value(Pair pair, String key) throws SettingsException {
        return value(pair, key, text(pair.value, key));
    }

    private Value value(Pair pair, String key, String text) {
        return new Value(place(pair.line, key), text);
    }

    private String text(Node node, String key) throws SettingsException {
        if (node instanceof ScalarNode scalar && !scalar.getTag().equals(Tag.NULL)) {
            return scalar.getValue();
        }
        throw new SettingsException(place(line(node), key), "must be a single value");
    }

    private static boolean isTrue(Value value) throws SettingsException {
        Predicate<String> is = value.text()::equalsIgnoreCase;
        if (!is.test("true") && !is.test("false")) {
            throw value.wrong("must be true or false, not '" + value.text() + "'");
        }
        return is.test("true");
    }

    private static int line(Node node) {
        return node.getStartMark().map(mark -> mark.getLine() + 1).orElse(1);
    }

    private String place(int line, String key) {
        return file + ":" + line + (key.isEmpty() ? "" : ": " + key);
    }
}
