package dev.slipway;

import dev.slipway.egress.EgressPolicy;
import dev.slipway.egress.EgressPolicy.Ports;
import dev.slipway.egress.EgressPolicy.Protocol;
import dev.slipway.egress.EgressPolicy.Rule;
import dev.slipway.ethernet.VmChannel;
import dev.slipway.proxy.HostPatterns;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.snakeyaml.engine.v2.nodes.MappingNode;
import org.snakeyaml.engine.v2.nodes.Node;
import org.snakeyaml.engine.v2.nodes.NodeTuple;
import org.snakeyaml.engine.v2.nodes.ScalarNode;
import org.snakeyaml.engine.v2.nodes.SequenceNode;
import org.snakeyaml.engine.v2.nodes.Tag;

/**
 * Reads the file of {@code --policy}: {@code default}, perhaps {@code dns} and {@code web}, and a list of {@code rules},
 * of which the first that fits decides. It is refused as a whole if anything in it cannot be.
 */
final class PolicyFile {

    private static final String ALLOW = "allow";
    private static final String DENY = "deny";
    private static final int MAX_RULES = 10_000;

    private final String name;
    private final Set<String> vms;

    private PolicyFile(String name, Set<String> vms) {
        this.name = name;
        this.vms = vms;
    }

    /** The file that the settings name, if they do. */
    static Optional<Path> file(SettingSource source) throws SettingsException {
        SettingSource.Value value = source.one(SettingKey.POLICY.key());
        if (value == null) {
            return Optional.empty();
        }
        if (value.text().isEmpty()) {
            throw value.wrong("the path is empty");
        }
        try {
            return Optional.of(Path.of(value.text()));
        } catch (InvalidPathException e) {
            throw value.wrong("not a path: " + e.getReason());
        }
    }

    /** The policy that the settings name, or the open one. */
    static EgressPolicy from(SettingSource source, List<VmChannel> vms) throws SettingsException {
        Optional<Path> file = file(source);
        return file.isPresent() ? read(file.get(), vms) : EgressPolicy.OPEN;
    }

    /**
     * Reads a file.
     *
     * @param vms that rules may be about
     * @throws SettingsException that names the line and the key
     */
    static EgressPolicy read(Path file, List<VmChannel> vms) throws SettingsException {
        Set<String> names = new HashSet<>();
        vms.forEach(vm -> names.add(vm.toString()));
        return new PolicyFile(file.toString(), names).policy(SettingsFile.mapping(file));
    }

    private EgressPolicy policy(MappingNode root) throws SettingsException {
        Map<String, Node> keys = keys(root, Set.of("default", "dns", "web", "rules"));
        Node rest = keys.get("default");
        if (rest == null) {
            throw at(root, "default: is missing; it says what becomes of what no rule is about: allow or deny");
        }
        boolean allowRest = choice("default", rest, ALLOW, DENY).equals(ALLOW);
        Node dns = keys.get("dns");
        boolean allNames = dns != null && choice("dns", dns, "any", "listed").equals("any");
        Node web = keys.get("web");
        boolean webNames = web != null && choice("web", web, "any", "listed").equals("listed");
        List<Rule> rules = new ArrayList<>();
        Node list = keys.get("rules");
        if (list != null) {
            if (!(list instanceof SequenceNode sequence)) {
                throw at(list, "rules: must be a list of rules, each begun by a hyphen");
            }
            for (Node rule : sequence.getValue()) {
                rules.add(rule(rule));
            }
        }
        if (rules.size() > MAX_RULES) {
            throw at(root, "rules: " + rules.size() + " rules, the limit is " + MAX_RULES);
        }
        return new EgressPolicy(allowRest, allNames, webNames, rules);
    }

    private Rule rule(Node node) throws SettingsException {
        if (!(node instanceof MappingNode mapping)) {
            throw at(node, "rules: a rule must be like '- allow: example.com'");
        }
        Map<String, Node> keys = keys(mapping, Set.of(ALLOW, DENY, "ports", "protocol", "vm"));
        boolean allow = keys.containsKey(ALLOW);
        if (allow == keys.containsKey(DENY)) {
            throw at(node, "rules: a rule must have either allow or deny");
        }
        return new Rule(
                allow,
                patterns(allow ? ALLOW : DENY, keys.get(allow ? ALLOW : DENY)),
                ports(keys.get("ports")),
                protocols(keys.get("protocol")),
                vms(keys.get("vm")));
    }

    private HostPatterns patterns(String key, Node node) throws SettingsException {
        List<String> texts = new ArrayList<>();
        for (ScalarNode each : scalars(key, node)) {
            for (String text : each.getValue().strip().split("[\\s,]+")) {
                try {
                    HostPatterns.parse(text);
                } catch (IllegalArgumentException e) {
                    throw at(each, key + ": " + e.getMessage());
                }
                if (HostPatterns.parse(text).hasPorts()) {
                    throw at(each, key + ": '" + text + "' has a port; ports have a key of their own");
                }
                texts.add(text);
            }
        }
        return HostPatterns.parse(texts);
    }

    private List<Ports> ports(Node node) throws SettingsException {
        List<Ports> ranges = new ArrayList<>();
        if (node != null) {
            for (ScalarNode each : scalars("ports", node)) {
                for (String text : each.getValue().strip().split("[\\s,]+")) {
                    ranges.add(range(each, text));
                }
            }
        }
        return ranges;
    }

    private Ports range(Node node, String text) throws SettingsException {
        if (text.matches("[0-9]{1,5}(-[0-9]{1,5})?")) {
            String[] ends = text.split("-");
            int first = Integer.parseInt(ends[0]);
            int last = Integer.parseInt(ends[ends.length - 1]);
            if (first >= 1 && first <= last && last <= 65_535) {
                return new Ports(first, last);
            }
        }
        throw at(node, "ports: '" + text + "' is no port of 1 to 65535, and no range like 8000-8010");
    }

    private Set<Protocol> protocols(Node node) throws SettingsException {
        if (node == null) {
            return EnumSet.allOf(Protocol.class);
        }
        Set<Protocol> protocols = EnumSet.noneOf(Protocol.class);
        for (ScalarNode each : scalars("protocol", node)) {
            protocols.add(Protocol.valueOf(
                    choice("protocol", each, "tcp", "udp", "icmp").toUpperCase(Locale.ROOT)));
        }
        return protocols;
    }

    private Set<String> vms(Node node) throws SettingsException {
        Set<String> named = new HashSet<>();
        if (node != null) {
            for (ScalarNode each : scalars("vm", node)) {
                if (!vms.contains(each.getValue())) {
                    throw at(each, "vm: there is no VM '" + each.getValue() + "'; there are " + vms);
                }
                named.add(each.getValue());
            }
        }
        return named;
    }

    private List<ScalarNode> scalars(String key, Node node) throws SettingsException {
        List<Node> nodes = node instanceof SequenceNode sequence ? sequence.getValue() : List.of(node);
        List<ScalarNode> scalars = new ArrayList<>();
        for (Node each : nodes) {
            if (!(each instanceof ScalarNode scalar)
                    || scalar.getTag().equals(Tag.NULL)
                    || scalar.getValue().isBlank()) {
                throw at(each, key + ": must be a value, or a list of values");
            }
            scalars.add(scalar);
        }
        if (scalars.isEmpty()) {
            throw at(node, key + ": the list is empty");
        }
        return scalars;
    }

    private String choice(String key, Node node, String... choices) throws SettingsException {
        String text = node instanceof ScalarNode scalar ? scalar.getValue().toLowerCase(Locale.ROOT) : "";
        if (!List.of(choices).contains(text)) {
            throw at(node, key + ": '" + text + "' is none of " + String.join(", ", choices));
        }
        return text;
    }

    private Map<String, Node> keys(MappingNode mapping, Set<String> known) throws SettingsException {
        Map<String, Node> keys = new HashMap<>();
        for (NodeTuple entry : mapping.getValue()) {
            if (!(entry.getKeyNode() instanceof ScalarNode key)) {
                throw at(entry.getKeyNode(), "a key must be a single word");
            }
            if (!known.contains(key.getValue())) {
                throw at(key, key.getValue() + ": unknown key");
            }
            if (keys.put(key.getValue(), entry.getValueNode()) != null) {
                throw at(key, key.getValue() + ": given twice");
            }
        }
        return keys;
    }

    private SettingsException at(Node node, String problem) {
        int line = node.getStartMark().map(mark -> mark.getLine() + 1).orElse(1);
        return new SettingsException(name + ":" + line, problem);
    }
}
