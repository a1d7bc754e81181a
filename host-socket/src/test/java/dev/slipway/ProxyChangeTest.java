package dev.slipway;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.jr.ob.JSON;
import dev.slipway.proxy.ProxySettings;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What an API may say of proxies. */
final class ProxyChangeTest {

    private static ProxySettings change(String json, ProxySettings before) throws Exception {
        Map<String, Object> fields = JSON.std.mapFrom(json);
        return ProxyFile.change("body", fields, before);
    }

    private static ProxySettings some() throws Exception {
        return change("""
            {"http": "http://corp:secret@one:1", "https": "https://two:2", "all": "socks5h://three:3",
             "exclude": "a.b 10.0.0.0/8", "transparent_http_ports": [8080], "transparent_https_ports": [8443],
             "allow_enabled": true, "allow": ["c.d"], "allow_error_msg": "no %s"}\
            """, ProxySettings.none());
    }

    @Test
    void everyKeyIsTaken() throws Exception {
        ProxySettings settings = some();
        assertThat(settings.summary())
                .isEqualTo("http=http://***@one:1 https=https://two:2 all=socks5h://three:3 no-proxy=a.b,10.0.0.0/8"
                        + " allow=c.d");
        assertThat(settings.http().orElseThrow().password()).isEqualTo("secret");
        assertThat(settings.httpPorts()).isEqualTo(Set.of(8080));
        assertThat(settings.httpsPorts()).isEqualTo(Set.of(8443));
        assertThat(settings.allowError()).isEqualTo("no %s");
    }

    @Test
    void whatIsNotSaidStaysAndNullIsNoProxy() throws Exception {
        assertThat(change("{}", some())).isEqualTo(some());
        ProxySettings settings = change("{\"http\": null, \"all\": \"\"}", some());
        assertThat(settings.http()).isEmpty();
        assertThat(settings.all()).isEmpty();
        assertThat(settings.https()).isEqualTo(some().https());
        assertThat(settings.exclude()).isEqualTo(some().exclude());
        assertThat(settings.allow()).isEqualTo(some().allow());
    }

    @Test
    void theListOfAllowedHostsCanBeChangedAloneAndSwitchedOff() throws Exception {
        assertThat(change("{\"allow\": [\"e.f\"]}", some()).allow().orElseThrow())
                .hasToString("e.f");
        assertThat(change("{\"allow_enabled\": false}", some()).allow()).isEmpty();
        assertThat(change("{\"allow_enabled\": true}", some()).allow()).isEqualTo(some().allow());
        assertThat(change("{\"allow_enabled\": true}", ProxySettings.none())
                        .allow()
                        .orElseThrow())
                .as("a list without hosts, which allows none")
                .hasToString("");
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "{\"http\": \"ftp://corp:secret@a:1\"}   | body: http: 'ftp://***@a:1' has an unknown scheme",
                "{\"https\": \"http://corp:secret@a:x\"} | body: https: 'http://***@a:x' has no port of 1 to 65535",
                "{\"all\": 5}                            | body: all: must be a string",
                "{\"http\": \"http://***@one:1\"}        | body: http: the stars stand for credentials",
                "{\"exclude\": [\"a\"]}                  | body: exclude: must be a string",
                "{\"exclude\": \"a b:99999\"}            | body: exclude: 'b:99999' has no port of 1 to 65535",
                "{\"transparent_http_ports\": 80}        | body: transparent_http_ports: must be an array of ports",
                "{\"transparent_http_ports\": [0]}       | body: transparent_http_ports: has something that is not a"
                        + " port",
                "{\"allow_enabled\": \"yes\"}            | body: allow_enabled: must be true or false",
                "{\"allow\": [\"a\"]}                    | body: allow: does nothing unless allow_enabled is true",
                "{\"allow_enabled\": true, \"allow\": 1} | body: allow: must be an array of strings",
                "{\"htpp\": \"a:1\"}                     | body: htpp: unknown; there are http, https, all, exclude,"
            })
    void whatCannotBeIsRefusedByKeyWithoutAPassword(String json, String says) {
        assertThatThrownBy(() -> change(json, ProxySettings.none()))
                .isInstanceOf(SettingsException.class)
                .hasMessageStartingWith(says)
                .message()
                .doesNotContain("secret");
    }
}
