package dev.slipway;

import dev.slipway.SettingSource.Value;
import dev.slipway.proxy.HostPatterns;
import dev.slipway.proxy.ProxyAddress;
import dev.slipway.proxy.ProxySettings;
import dev.slipway.proxy.ProxySettings.Opaque;
import dev.slipway.proxy.ProxyTrust;
import java.io.IOException;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * What the settings say about proxies. Each key wins over VPNKit's file, which wins over the environment.
 *
 * <p>No error message repeats what may be a password.
 */
final class ProxyOptions {

    private ProxyOptions() {}

    /**
     * Reads them all.
     *
     * @param environment of the process
     */
    static ProxySettings from(SettingSource source, Map<String, String> environment) throws SettingsException {
        ProxySettings settings = ProxySettings.none();
        if (Settings.choice(source, SettingKey.PROXY, List.of("env", "none"), "none")
                .equals("env")) {
            settings = fromEnvironment(environment);
        }
        Optional<Path> file = file(source);
        if (file.isPresent()) {
            settings = ProxyFile.read(file.get(), settings);
        }
        settings = settings.withProxies(
                proxy(source, SettingKey.HTTP_PROXY, settings.http()),
                proxy(source, SettingKey.HTTPS_PROXY, settings.https()),
                proxy(source, SettingKey.ALL_PROXY, settings.all()));
        Optional<HostPatterns> exclude = patterns(source, SettingKey.NO_PROXY);
        if (exclude.isPresent()) {
            settings = settings.withExclude(exclude.get());
        }
        Optional<HostPatterns> allow = patterns(source, SettingKey.ALLOW);
        Value error = source.one(SettingKey.ALLOW_ERROR.key());
        settings = settings.withAllow(
                allow.isPresent() ? allow : settings.allow(), error == null ? settings.allowError() : error.text());
        String opaque = Settings.choice(
                source,
                SettingKey.PROXY_OPAQUE,
                List.of("proxy", "direct"),
                settings.opaque() == Opaque.PROXY ? "proxy" : "direct");
        settings = settings.withPorts(
                ports(source, SettingKey.TRANSPARENT_HTTP_PORTS, settings.httpPorts()),
                ports(source, SettingKey.TRANSPARENT_HTTPS_PORTS, settings.httpsPorts()),
                opaque.equals("proxy") ? Opaque.PROXY : Opaque.DIRECT);
        Optional<Path> authorities = authorities(source);
        if (authorities.isPresent()) {
            settings = settings.withTrust(trust(source.one(SettingKey.PROXY_CA.key()), authorities.get()));
        }
        return settings.withGatewayPorts(
                gatewayPort(source, SettingKey.GATEWAY_HTTP_PROXY, settings.gatewayHttpPorts()),
                gatewayPort(source, SettingKey.GATEWAY_SOCKS_PROXY, settings.gatewaySocksPorts()));
    }

    /** VPNKit's file, if one is named. */
    static Optional<Path> file(SettingSource source) throws SettingsException {
        return file(source, SettingKey.HTTP);
    }

    /** The file of those who vouch for the certificates of proxies, if one is named. */
    static Optional<Path> authorities(SettingSource source) throws SettingsException {
        return file(source, SettingKey.PROXY_CA);
    }

    private static ProxyTrust trust(Value value, Path file) throws SettingsException {
        try {
            return ProxyTrust.of(file);
        } catch (IOException e) {
            throw value.wrong(e.getMessage());
        }
    }

    private static Optional<Path> file(SettingSource source, SettingKey key) throws SettingsException {
        Value value = source.one(key.key());
        if (value == null || value.text().isEmpty()) {
            return Optional.empty();
        }
        try {
            return Optional.of(Path.of(value.text()));
        } catch (InvalidPathException e) {
            throw value.wrong("not a path: " + e.getReason());
        }
    }

    /** As curl reads them: the names in lower case win, and HTTP_PROXY too is taken in both. */
    private static ProxySettings fromEnvironment(Map<String, String> environment) throws SettingsException {
        Optional<HostPatterns> exclude = Optional.empty();
        Value list = variable(environment, "no_proxy");
        if (list != null) {
            exclude = Optional.of(patterns(list, List.of(list.text())));
        }
        return ProxySettings.none()
                .withProxies(
                        proxy(variable(environment, "http_proxy")),
                        proxy(variable(environment, "https_proxy")),
                        proxy(variable(environment, "all_proxy")))
                .withExclude(exclude.orElse(HostPatterns.NONE));
    }

    private static Value variable(Map<String, String> environment, String name) {
        for (String each : List.of(name, name.toUpperCase(java.util.Locale.ROOT))) {
            String text = environment.get(each);
            if (text != null && !text.isBlank()) {
                return new Value("the environment's " + each, text);
            }
        }
        return null;
    }

    private static Optional<ProxyAddress> proxy(SettingSource source, SettingKey key, Optional<ProxyAddress> otherwise)
            throws SettingsException {
        Value value = source.one(key.key());
        return value == null ? otherwise : proxy(value);
    }

    static Optional<ProxyAddress> proxy(Value value) throws SettingsException {
        if (value == null || value.text().isBlank()) {
            return Optional.empty();
        }
        try {
            return Optional.of(ProxyAddress.parse(value.text()));
        } catch (IllegalArgumentException e) {
            throw value.wrong(e.getMessage());
        }
    }

    private static Optional<HostPatterns> patterns(SettingSource source, SettingKey key) throws SettingsException {
        List<Value> values = source.all(key.key());
        if (values.isEmpty()) {
            return Optional.empty();
        }
        return Optional.of(
                patterns(values.getFirst(), values.stream().map(Value::text).toList()));
    }

    static HostPatterns patterns(Value at, List<String> texts) throws SettingsException {
        List<String> all = new ArrayList<>();
        texts.forEach(text -> all.addAll(List.of(text.split("[\\s,]+"))));
        try {
            return HostPatterns.parse(all);
        } catch (IllegalArgumentException e) {
            throw at.wrong(e.getMessage());
        }
    }

    private static Set<Integer> ports(SettingSource source, SettingKey key, Set<Integer> otherwise)
            throws SettingsException {
        List<Value> values = source.all(key.key());
        Set<Integer> ports = new HashSet<>();
        for (Value value : values) {
            for (String text : value.text().strip().split("[\\s,]+")) {
                ports.add(port(value, text, 1));
            }
        }
        return values.isEmpty() ? otherwise : ports;
    }

    private static Set<Integer> gatewayPort(SettingSource source, SettingKey key, Set<Integer> otherwise)
            throws SettingsException {
        Value value = source.one(key.key());
        if (value == null) {
            return otherwise;
        }
        int port = port(value, value.text(), 0);
        if (port == 53) {
            throw value.wrong("53 is the name server's port");
        }
        return port == 0 ? Set.of() : Set.of(port);
    }

    private static int port(Value value, String text, int least) throws SettingsException {
        if (!text.matches("[0-9]{1,5}") || Integer.parseInt(text) < least || Integer.parseInt(text) > 65_535) {
            throw value.wrong("'" + text + "' is not a port (" + least + " to 65535)");
        }
        return Integer.parseInt(text);
    }
}
