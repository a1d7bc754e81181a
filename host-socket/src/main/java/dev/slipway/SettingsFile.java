package dev.slipway;

import dev.slipway.SettingKey.Kind;
import dev.slipway.SettingSource.Value;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.CharsetDecoder;
import java.nio.charset.CoderResult;
import java.nio.charset.StandardCharsets;
import java.nio.file.AccessDeniedException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import org.snakeyaml.engine.v2.api.LoadSettings;
import org.snakeyaml.engine.v2.api.lowlevel.Compose;
import org.snakeyaml.engine.v2.exceptions.MarkedYamlEngineException;
import org.snakeyaml.engine.v2.exceptions.YamlEngineException;
import org.snakeyaml.engine.v2.nodes.MappingNode;
import org.snakeyaml.engine.v2.nodes.Node;
import org.snakeyaml.engine.v2.nodes.NodeTuple;
import org.snakeyaml.engine.v2.nodes.ScalarNode;
import org.snakeyaml.engine.v2.nodes.SequenceNode;
import org.snakeyaml.engine.v2.nodes.Tag;

/**
 * Reads settings from a YAML file (YAML 1.2): one mapping from the keys of {@link SettingKey} to a value, or a list
 * where a flag may be repeated.
 *
 * <p>The file is read once and as a whole. It is refused, never half used: an empty one too, because what remains of a
 * file that could not be written must not open what the file had closed.
 */
final class SettingsFile {

    private static final long MAX_LENGTH = 1 << 20;

    private final String name;
    private final Map<SettingKey, Integer> lines = new EnumMap<>(SettingKey.class);
    private final SettingSource source = new SettingSource();

    private SettingsFile(String name) {
        this.name = name;
    }

    /**
     * Reads a file.
     *
     * @throws SettingsException that names the line and the key, if anything in it cannot be
     */
    static SettingSource read(Path file) throws SettingsException {
        return new SettingsFile(file.toString()).parse(bytes(file));
    }

    /**
     * The keys of a YAML file of another kind, with nodes that know their lines. Keys may stand there twice.
     *
     * @throws SettingsException that names the line, if it is no mapping
     */
    static MappingNode mapping(Path file) throws SettingsException {
        return new SettingsFile(file.toString()).root(bytes(file));
    }

    private static byte[] bytes(Path file) throws SettingsException {
        try {
            if (Files.isDirectory(file)) {
                throw new SettingsException(file.toString(), "is a folder, not a settings file");
            }
            if (Files.size(file) > MAX_LENGTH) {
                throw new SettingsException(file.toString(), "longer than " + MAX_LENGTH + " bytes");
            }
            return Files.readAllBytes(file);
        } catch (NoSuchFileException e) {
            throw new SettingsException(file.toString(), "there is no such file");
        } catch (AccessDeniedException e) {
            throw new SettingsException(file.toString(), "may not be read");
        } catch (IOException e) {
            throw new SettingsException(file.toString(), "cannot be read: " + e.getMessage());
        }
    }

    private SettingSource parse(byte[] bytes) throws SettingsException {
        for (NodeTuple entry : root(bytes).getValue()) {
            accept(entry.getKeyNode(), entry.getValueNode());
        }
        return source;
    }

    private MappingNode root(byte[] bytes) throws SettingsException {
        if (bytes.length >= 3 && (bytes[0] & 0xFF) == 0xEF && (bytes[1] & 0xFF) == 0xBB && (bytes[2] & 0xFF) == 0xBF) {
            throw at(1, "begins with a byte order mark; save it as UTF-8 without one");
        }
        Optional<Node> root;
        String text = decode(bytes);
        checkTabs(text);
        try {
            LoadSettings settings = LoadSettings.builder()
                    .setAllowDuplicateKeys(true)
                    .setMaxAliasesForCollections(8)
                    .build();
            root = new Compose(settings).composeString(text);
        } catch (MarkedYamlEngineException e) {
            int line = e.getProblemMark().map(mark -> mark.getLine() + 1).orElse(1);
            throw at(line, "not YAML: " + e.getProblem());
        } catch (YamlEngineException e) {
            throw at(1, "not YAML: " + e.getMessage().lines().findFirst().orElse(""));
        }
        if (root.isEmpty()
                || root.get() instanceof ScalarNode scalar && scalar.getTag().equals(Tag.NULL)) {
            throw at(1, "the file has no settings; leave --config out to run with the defaults");
        }
        if (!(root.get() instanceof MappingNode mapping)) {
            throw at(line(root.get()), "must be lines like 'mtu: 1500'");
        }
        return mapping;
    }

    private String decode(byte[] bytes) throws SettingsException {
        CharsetDecoder decoder = StandardCharsets.UTF_8.newDecoder();
        ByteBuffer input = ByteBuffer.wrap(bytes);
        CharBuffer output = CharBuffer.allocate(bytes.length + 1);
        CoderResult result = decoder.decode(input, output, true);
        try {
            if (result.isError()) {
                result.throwException();
            }
        } catch (CharacterCodingException e) {
            long line = output.flip().chars().filter(c -> c == '\n').count() + 1;
            throw at((int) line, "not UTF-8");
        }
        return output.flip().toString();
    }

    /** What YAML says of a tab in the indentation is true, and no help. */
    private void checkTabs(String text) throws SettingsException {
        int number = 1;
        String key = "";
        for (String line : text.split("\n", -1)) {
            String word = line.strip().split(":", 2)[0];
            if (SettingKey.named(word) != null) {
                key = word + ": ";
            }
            String indentation =
                    line.substring(0, line.length() - line.stripLeading().length());
            if (indentation.indexOf('\t') >= 0 && !line.isBlank()) {
                throw at(number, key + "a tab in the indentation; YAML takes blanks only");
            }
            number++;
        }
    }

    private void accept(Node keyNode, Node valueNode) throws SettingsException {
        int line = line(keyNode);
        if (!(keyNode instanceof ScalarNode scalar)) {
            throw at(line, "a key must be a single word");
        }
        SettingKey key = SettingKey.named(scalar.getValue());
        if (key == null) {
            throw at(line, scalar.getValue() + ": unknown key" + suggestion(scalar.getValue()));
        }
        Integer before = lines.put(key, line);
        if (before != null) {
            throw at(line, key.key() + ": given twice, first in line " + before);
        }
        List<Value> values = new ArrayList<>();
        if (valueNode instanceof SequenceNode sequence) {
            if (key.kind() != Kind.LIST) {
                throw at(line, key.key() + ": takes one value, not a list");
            }
            for (Node element : sequence.getValue()) {
                values.add(value(key, element));
            }
            if (values.isEmpty()) {
                throw at(line, key.key() + ": the list is empty");
            }
        } else {
            values.add(value(key, valueNode));
        }
        source.put(key.key(), values);
    }

    private Value value(SettingKey key, Node node) throws SettingsException {
        if (!(node instanceof ScalarNode scalar)) {
            throw at(line(node), key.key() + ": must be a single value, not " + kindOf(node));
        }
        if (scalar.getTag().equals(Tag.NULL)) {
            throw at(line(node), key.key() + ": has no value");
        }
        if (key.kind() == Kind.SWITCH && !scalar.getTag().equals(Tag.BOOL)) {
            throw at(line(node), key.key() + ": must be true or false, not '" + scalar.getValue() + "'");
        }
        return new Value(place(line(node)) + ": " + key.key(), scalar.getValue());
    }

    private static String kindOf(Node node) {
        return node instanceof SequenceNode ? "a list" : "a group of keys";
    }

    private static String suggestion(String wrong) {
        for (SettingKey key : SettingKey.values()) {
            if (key.kind() != Kind.HIDDEN && (key.key().startsWith(wrong) || wrong.startsWith(key.key()))
                    || key.key().equals(wrong.replace('_', '-').toLowerCase(Locale.ROOT))) {
                return ", did you mean " + key.key() + "?";
            }
        }
        return "";
    }

    private static int line(Node node) {
        return node.getStartMark().map(mark -> mark.getLine() + 1).orElse(1);
    }

    private String place(int line) {
        return name + ":" + line;
    }

    private SettingsException at(int line, String problem) {
        return new SettingsException(place(line), problem);
    }
}
