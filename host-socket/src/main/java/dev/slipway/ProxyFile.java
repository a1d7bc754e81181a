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

    /** How an address says that it has credentials. */
    private static final String HIDDEN = "***@";

    private static final List<String> KEYS = List.of(
            "http",
            "https",
            "all",
            "exclude",
            "transparent_http_ports",
            "transparent_https_ports",
            "allow_enabled",
            "allow",
            "allow_error_msg");

    private final String place;
    private final Map<?, ?> fields;
    private final boolean isFile;

    private ProxyFile(String place, Map<?, ?> fields, boolean isFile) {
        this.place = place;
        this.fields = fields;
        this.isFile = isFile;
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

    private static ProxySettings parse(String place, String json, ProxySettings before) throws SettingsException {
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
        return new ProxyFile(place, fields, true).settings(before);
    }

    /**
     * What an API was asked to change. It has the file's keys and {@code all}, the proxy for every TCP connection; {@code
     * null} is no proxy. Unlike the file it may have no other keys.
     *
     * @param place for error messages
     * @param before the settings that the keys replace
     * @throws SettingsException that names the place and the key, without what may be a password
     */
    static ProxySettings change(String place, Map<String, ?> fields, ProxySettings before) throws SettingsException {
        for (String key : fields.keySet()) {
            if (!KEYS.contains(key)) {
                throw new SettingsException(place + ": " + key, "unknown; there are " + String.join(", ", KEYS));
            }
        }
        return new ProxyFile(place, fields, false).settings(before);
    }

    private ProxySettings settings(ProxySettings before) throws SettingsException {
        Optional<HostPatterns> allow = allow(before.allow());
        String exclude = string("exclude", "");
        String error = string("allow_error_msg", before.allowError());
        return before.withProxies(
                        proxy("http", before.http()),
                        proxy("https", before.https()),
                        isFile ? before.all() : proxy("all", before.all()))
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

    private Optional<HostPatterns> allow(Optional<HostPatterns> before) throws SettingsException {
        boolean enabled = switch (fields.get("allow_enabled")) {
            case null -> before.isPresent();
            case Boolean given -> given;
            default -> throw wrong("allow_enabled", "must be true or false");
        };
        boolean given = fields.get("allow") != null;
        if (isFile) {
            // In VPNKit's file the list counts only beside the switch.
            return fields.get("allow_enabled") == null ? before : enabled ? Optional.of(allowed()) : Optional.empty();
        }
        if (given && !enabled) {
            throw wrong("allow", "does nothing unless allow_enabled is true");
        }
        return !enabled
                ? Optional.empty()
                : given ? Optional.of(allowed()) : Optional.of(before.orElse(HostPatterns.NONE));
    }

    private HostPatterns allowed() throws SettingsException {
        return ProxyOptions.patterns(value("allow", ""), strings("allow"));
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
        if (fields.get(key) == null) {
            return isFile || !fields.containsKey(key) ? otherwise : Optional.empty();
        }
        String url = string(key, "");
        if (!isFile && url.contains(HIDDEN)) {
            throw wrong(key, "the stars stand for credentials that are not shown; say them, or PATCH without this key");
        }
        return ProxyOptions.proxy(value(key, url));
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
