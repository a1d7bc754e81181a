package dev.slipway;

import dev.slipway.SettingSource.Value;
import dev.slipway.proxy.HostPatterns;
import dev.slipway.proxy.ProxyAddress;
import dev.slipway.proxy.ProxySettings;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.snakeyaml.engine.v2.api.Load;
import org.snakeyaml.engine.v2.api.LoadSettings;
import org.snakeyaml.engine.v2.exceptions.MarkedYamlEngineException;
import org.snakeyaml.engine.v2.exceptions.YamlEngineException;

/**
 * Reads the file of VPNKit's {@code --http}, a JSON object. Keys that are not known are ignored, as VPNKit does.
 *
 * <pre>
 *  http, https              URL or HOST:PORT of a proxy
 *  exclude                  what goes around them, apart by commas or blanks
 *  transparent_http_ports   numbers, [80] if absent
 *  transparent_https_ports  numbers, [443] if absent
 *  allow_enabled            whether only the hosts of "allow" may be reached
 *  allow                    strings
 *  allow_error_msg          what a client is told of others; %s stands for the host
 * </pre>
 */
final class ProxyFile {

    private static final long MAX_LENGTH = 1 << 20;

    private final String place;
    private final Map<?, ?> fields;

    private ProxyFile(String place, Map<?, ?> fields) {
        this.place = place;
        this.fields = fields;
    }

    /**
     * Reads a file.
     *
     * @param before the settings that the file's keys replace
     * @throws SettingsException that names the file and the key, without what may be a password
     */
    static ProxySettings read(Path file, ProxySettings before) throws SettingsException {
        try {
            if (Files.size(file) > MAX_LENGTH) {
                throw new SettingsException(file.toString(), "longer than " + MAX_LENGTH + " bytes");
            }
            return parse(file.toString(), Files.readString(file), before);
        } catch (NoSuchFileException e) {
            throw new SettingsException(file.toString(), "there is no such file");
        } catch (IOException e) {
            throw new SettingsException(
                    file.toString(), "cannot be read: " + e.getClass().getSimpleName());
        }
    }

    /** The same from the text itself, which an API may have been given. */
    static ProxySettings parse(String place, String json, ProxySettings before) throws SettingsException {
        Object root;
        try {
            // JSON is YAML 1.2.
            root = new Load(LoadSettings.builder().setAllowDuplicateKeys(false).build()).loadFromString(json);
        } catch (MarkedYamlEngineException e) {
            int line = e.getProblemMark().map(mark -> mark.getLine() + 1).orElse(1);
            throw new SettingsException(place + ":" + line, "not JSON");
        } catch (YamlEngineException e) {
            throw new SettingsException(place, "not JSON");
        }
        if (!(root instanceof Map<?, ?> fields)) {
            throw new SettingsException(place, "must be a JSON object");
        }
        return new ProxyFile(place, fields).settings(before);
    }

    private ProxySettings settings(ProxySettings before) throws SettingsException {
        Optional<HostPatterns> allow = before.allow();
        if (fields.get("allow_enabled") instanceof Boolean enabled) {
            allow = enabled
                    ? Optional.of(ProxyOptions.patterns(value("allow", ""), strings("allow")))
                    : Optional.empty();
        } else if (fields.get("allow_enabled") != null) {
            throw wrong("allow_enabled", "must be true or false");
        }
        String exclude = string("exclude", "");
        String error = string("allow_error_msg", before.allowError());
        return before.withProxies(proxy("http", before.http()), proxy("https", before.https()), before.all())
                .withExclude(
                        fields.containsKey("exclude")
                                ? ProxyOptions.patterns(value("exclude", exclude), List.of(exclude))
                                : before.exclude())
                .withPorts(
                        ports("transparent_http_ports", before.httpPorts()),
                        ports("transparent_https_ports", before.httpsPorts()),
                        before.opaque())
                .withAllow(allow, error);
    }

    private Value value(String key, String text) {
        return new Value(place + ": " + key, text);
    }

    private SettingsException wrong(String key, String problem) {
        return new SettingsException(place + ": " + key, problem);
    }

    private String string(String key, String otherwise) throws SettingsException {
        return switch (fields.get(key)) {
            case null -> otherwise;
            case String text -> text;
            default -> throw wrong(key, "must be a string");
        };
    }

    private Optional<ProxyAddress> proxy(String key, Optional<ProxyAddress> otherwise) throws SettingsException {
        return fields.get(key) == null ? otherwise : ProxyOptions.proxy(value(key, string(key, "")));
    }

    private List<String> strings(String key) throws SettingsException {
        List<String> texts = new ArrayList<>();
        if (fields.get(key) == null) {
            return texts;
        }
        if (!(fields.get(key) instanceof List<?> list)) {
            throw wrong(key, "must be an array of strings");
        }
        for (Object each : list) {
            if (!(each instanceof String text)) {
                throw wrong(key, "must be an array of strings");
            }
            texts.add(text);
        }
        return texts;
    }

    private Set<Integer> ports(String key, Set<Integer> otherwise) throws SettingsException {
        if (fields.get(key) == null) {
            return otherwise;
        }
        if (!(fields.get(key) instanceof List<?> list)) {
            throw wrong(key, "must be an array of ports");
        }
        Set<Integer> ports = new HashSet<>();
        for (Object each : list) {
            if (!(each instanceof Integer port) || port < 1 || port > 65_535) {
                throw wrong(key, "has something that is not a port of 1 to 65535");
            }
            ports.add(port);
        }
        return ports;
    }
}
