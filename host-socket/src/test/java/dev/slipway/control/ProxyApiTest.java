package dev.slipway.control;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.jr.ob.JSON;
import dev.slipway.proxy.HostPatterns;
import dev.slipway.proxy.ProxyAddress;
import dev.slipway.proxy.ProxySettings;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.assertj.core.api.InstanceOfAssertFactories;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

final class ProxyApiTest {

    private final List<Object> changes = new ArrayList<>();
    private ProxySettings settings = ProxySettings.none();
    private final ProxyApi api = new ProxyApi(() -> settings, (fields, whole) -> {
        if (fields.containsKey("wrong")) {
            throw new IllegalArgumentException("body: wrong: is so");
        }
        changes.add(Map.of("fields", fields, "whole", whole));
        settings = settings.withExclude(HostPatterns.parse("changed"));
    });

    private ApiResponse ask(String method, String path, String body) throws ApiException {
        return api.answer(ApiRequest.of(method, path, body.getBytes(StandardCharsets.UTF_8), null));
    }

    private String text(String method, String body) throws ApiException {
        ApiResponse response = ask(method, "/v1/proxies", body);
        assertThat(response.status()).isEqualTo(200);
        return new String(response.body(), StandardCharsets.UTF_8).strip();
    }

    @Test
    void withoutAnyProxyTheAnswerSaysWhatHolds() throws Exception {
        assertThat(text("GET", ""))
                .isEqualTo("{\"exclude\":\"\",\"transparent_http_ports\":[80],\"transparent_https_ports\":[443],"
                        + "\"allow_enabled\":false,\"allow\":[],\"allow_error_msg\":\"" + ProxySettings.ALLOW_ERROR
                        + "\"}");
    }

    @Test
    void credentialsAreNotShown() throws Exception {
        Optional<ProxyAddress> proxy = Optional.of(ProxyAddress.parse("https://corp:secret@proxy.example:8443"));
        settings = settings.withProxies(proxy, proxy, proxy)
                .withExclude(HostPatterns.parse("a.b, 10.0.0.0/8"))
                .withPorts(Set.of(8080, 80), Set.of(443), ProxySettings.Opaque.PROXY)
                .withAllow(Optional.of(HostPatterns.parse("c.d,*.e.f:443")), "no %s");
        assertThat(text("GET", ""))
                .isEqualTo("{\"http\":\"https://***@proxy.example:8443\",\"https\":\"https://***@proxy.example:8443\","
                        + "\"all\":\"https://***@proxy.example:8443\",\"exclude\":\"a.b,10.0.0.0/8\","
                        + "\"transparent_http_ports\":[80,8080],\"transparent_https_ports\":[443],"
                        + "\"allow_enabled\":true,\"allow\":[\"c.d\",\"*.e.f:443\"],\"allow_error_msg\":\"no %s\"}");
    }

    @Test
    void aChangeIsAnsweredWithWhatHoldsThen() throws Exception {
        assertThat(text("PATCH", "{\"http\":null,\"exclude\":\"x\"}")).contains("\"exclude\":\"changed\"");
        assertThat(text("PUT", "{}")).contains("\"exclude\":\"changed\"");
        assertThat(changes.get(0).toString()).contains("whole=false", "http=null", "exclude=x");
        assertThat(changes.get(1)).isEqualTo(Map.of("fields", Map.of(), "whole", true));
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "POST   | {}           | 405 | method-not-allowed | /v1/proxies takes GET, PUT and PATCH, not POST",
                "DELETE | ''           | 405 | method-not-allowed | /v1/proxies takes GET, PUT and PATCH, not DELETE",
                "PUT    | ''           | 400 | bad-json           | the body is not a JSON object",
                "PATCH  | []           | 400 | bad-json           | the body is not a JSON object",
                "PATCH  | {\"wrong\":1 | 400 | bad-json           | the body is not a JSON object",
                "PATCH  | {\"wrong\":1} | 400 | bad-value         | body: wrong: is so"
            })
    void whatCannotBeIsATypedErrorAndChangesNothing(String method, String body, int status, String code, String says) {
        assertThatThrownBy(() -> ask(method, "/v1/proxies", body)).isInstanceOfSatisfying(ApiException.class, e -> {
            assertThat(e.status()).isEqualTo(status);
            assertThat(e.code()).isEqualTo(code);
            assertThat(e).hasMessageStartingWith(says);
        });
        assertThat(changes).isEmpty();
    }

    @Test
    void otherPathsAreLeftToOthers() throws Exception {
        assertThat(ask("GET", "/v1/proxies/", "")).isNull();
        assertThat(ask("GET", "/v1/status", "")).isNull();
    }

    @Test
    void theDocumentDescribesIt() throws Exception {
        ApiResponse document = new SlipwayApi(null, null, null, null, null)
                .answer(ApiRequest.of("GET", "/v1/openapi.json", new byte[0], null));
        assertThat(JSON.std.mapFrom(document.body()))
                .extractingByKey("paths", InstanceOfAssertFactories.MAP)
                .extractingByKey("/v1/proxies", InstanceOfAssertFactories.MAP)
                .containsOnlyKeys("get", "put", "patch");
    }
}
