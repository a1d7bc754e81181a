package dev.slipway;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.slipway.SettingSource.Value;
import dev.slipway.proxy.HostPatterns;
import dev.slipway.proxy.ProxyAddress;
import dev.slipway.proxy.ProxySettings;
import dev.slipway.proxy.ProxyTrust;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

final class ProxyOptionsTest {

    @TempDir
    Path folder;

    private final SettingSource source = new SettingSource();

    private void set(SettingKey key, String... texts) {
        source.put(
                key.key(),
                List.of(texts).stream().map(text -> new Value(key.flag(), text)).toList());
    }

    private ProxySettings read(Map<String, String> environment) throws SettingsException {
        return ProxyOptions.from(source, environment);
    }

    private Path file(String json) throws Exception {
        return Files.writeString(folder.resolve("http.json"), json);
    }

    private static Optional<ProxyAddress> proxy(String url) {
        return Optional.of(ProxyAddress.parse(url));
    }

    @Test
    void withoutSettingsThereIsNoProxyWhateverTheEnvironmentSays() throws Exception {
        assertThat(read(Map.of("http_proxy", "http://p:1"))).isEqualTo(ProxySettings.none());
    }

    @Test
    void theEnvironmentIsReadWhenAskedFor() throws Exception {
        set(SettingKey.PROXY, "env");
        ProxySettings settings = read(Map.of(
                "HTTP_PROXY", "http://upper:1",
                "http_proxy", "http://lower:2",
                "HTTPS_PROXY", "http://s:3",
                "all_proxy", "socks5h://a:4",
                "NO_PROXY", "localhost,10.0.0.0/8"));
        assertThat(settings.http()).isEqualTo(proxy("http://lower:2"));
        assertThat(settings.https()).isEqualTo(proxy("http://s:3"));
        assertThat(settings.all()).isEqualTo(proxy("socks5h://a:4"));
        assertThat(settings.exclude()).isEqualTo(HostPatterns.parse("localhost,10.0.0.0/8"));
    }

    @Test
    void vpnkitsFileIsReadFieldByField() throws Exception {
        set(SettingKey.HTTP, file("""
            {"http": "corp:secret@10.0.0.1:3128", "https": "http://10.0.0.2:3129", "exclude": "*.local, 10.0.0.0/8",
             "transparent_http_ports": [80, 8080], "transparent_https_ports": [443, 8443],
             "allow_enabled": true, "allow": ["example.com", "192.0.2.0/24"], "allow_error_msg": "no %s",
             "something_new": 1}
            """).toString());
        ProxySettings settings = read(Map.of());
        assertThat(settings.http()).isEqualTo(proxy("http://corp:secret@10.0.0.1:3128"));
        assertThat(settings.https()).isEqualTo(proxy("http://10.0.0.2:3129"));
        assertThat(settings.exclude()).isEqualTo(HostPatterns.parse("*.local,10.0.0.0/8"));
        assertThat(settings.httpPorts()).isEqualTo(Set.of(80, 8080));
        assertThat(settings.httpsPorts()).isEqualTo(Set.of(443, 8443));
        assertThat(settings.allow()).contains(HostPatterns.parse("example.com,192.0.2.0/24"));
        assertThat(settings.allowError()).isEqualTo("no %s");
    }

    @Test
    void absentKeysOfTheFileTakeVpnkitsDefaults() throws Exception {
        set(SettingKey.HTTP, file("{\"allow\": [\"example.com\"]}").toString());
        ProxySettings settings = read(Map.of());
        assertThat(settings).isEqualTo(ProxySettings.none());
        assertThat(settings.allowError())
                .isEqualTo("Connections to %s are forbidden by policy. Please contact your IT administrator.");
    }

    @Test
    void flagsWinOverTheFileAndTheFileOverTheEnvironment() throws Exception {
        set(SettingKey.PROXY, "env");
        set(SettingKey.HTTP, file("{\"https\": \"file:2\"}").toString());
        set(SettingKey.HTTP_PROXY, "");
        set(SettingKey.NO_PROXY, "a.com", "b.com c.com");
        ProxySettings settings = read(Map.of("http_proxy", "env:1", "https_proxy", "env:1", "all_proxy", "env:1"));
        assertThat(settings.http()).isEmpty();
        assertThat(settings.https()).isEqualTo(proxy("file:2"));
        assertThat(settings.all()).isEqualTo(proxy("env:1"));
        assertThat(settings.exclude()).isEqualTo(HostPatterns.parse("a.com,b.com,c.com"));
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "[1]|http.json: must be a JSON object",
                "{\"http\": 1}|http.json: http: must be a string",
                "{\"http\": \"http://corp:secret@\"}|http.json: http: 'http://***@' names no host",
                "{\"exclude\": \"10.0.0.0/99\"}|http.json: exclude: '10.0.0.0/99' has no prefix of 0 to 32",
                "{\"transparent_http_ports\": [0]}|transparent_http_ports: has something that is not a port of 1 to"
                        + " 65535",
                "{\"transparent_http_ports\": 80}|transparent_http_ports: must be an array of ports",
                "{\"allow_enabled\": \"yes\"}|http.json: allow_enabled: must be true or false",
                "{\"allow_enabled\": true, \"allow\": [1]}|http.json: allow: must be an array of strings",
                "{\"http\": \"http://corp:secret@h:1\"|http.json:1: not JSON",
            })
    void badFilesAreRefusedByKeyAndWithoutThePassword(String json, String message) throws Exception {
        set(SettingKey.HTTP, file(json).toString());
        assertThatThrownBy(() -> read(Map.of()))
                .isInstanceOf(SettingsException.class)
                .hasMessageEndingWith(message)
                .message()
                .doesNotContain("secret");
    }

    @Test
    void badFlagsAreRefusedByFlag() {
        set(SettingKey.HTTP_PROXY, "ftp://corp:secret@h:1");
        assertThatThrownBy(() -> read(Map.of()))
                .hasMessage("--http-proxy: 'ftp://***@h:1' has an unknown scheme (http, https, socks5, socks5h)");
        set(SettingKey.HTTP_PROXY, "h:1");
        set(SettingKey.NO_PROXY, "a/b");
        assertThatThrownBy(() -> read(Map.of())).hasMessageStartingWith("--no-proxy: 'a/b'");
        set(SettingKey.NO_PROXY, "a");
        set(SettingKey.GATEWAY_HTTP_PROXY, "53");
        assertThatThrownBy(() -> read(Map.of())).hasMessageStartingWith("--gateway-http-proxy: 53");
        set(SettingKey.GATEWAY_HTTP_PROXY, "0");
        set(SettingKey.HTTP, folder.resolve("none.json").toString());
        assertThatThrownBy(() -> read(Map.of())).hasMessageEndingWith("none.json: there is no such file");
    }

    @Test
    void authoritiesThatCannotBeReadAreRefusedByFlagAndFile() throws Exception {
        Path authorities = folder.resolve("authorities.pem");
        set(SettingKey.PROXY_CA, authorities.toString());
        assertThatThrownBy(() -> read(Map.of())).hasMessage("--proxy-ca: there is no file " + authorities);
        Files.writeString(authorities, "nothing of the kind");
        assertThatThrownBy(() -> read(Map.of()))
                .isInstanceOf(SettingsException.class)
                .hasMessageStartingWith("--proxy-ca: " + authorities + " has ");
        set(SettingKey.PROXY_CA, "");
        assertThat(read(Map.of()).trust()).isEqualTo(ProxyTrust.OF_THE_HOST);
    }
}
