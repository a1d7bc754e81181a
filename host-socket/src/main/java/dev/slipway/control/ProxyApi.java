package dev.slipway.control;

import dev.slipway.proxy.HostPatterns;
import dev.slipway.proxy.ProxyAddress;
import dev.slipway.proxy.ProxySettings;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Supplier;

/**
 * {@code /v1/proxies}: which flows go through a proxy, in the words of VPNKit's proxy file. What is changed holds for
 * connections and requests that begin after it. No answer has credentials.
 */
public final class ProxyApi implements ControlApi {

    private static final String PATH = "/v1/proxies";

    private final Supplier<ProxySettings> current;
    private final Change change;

    /** Changes the proxies. */
    public interface Change {

        /**
         * Changes all or nothing.
         *
         * @param fields of the request's body
         * @param whole whether keys that are absent are as if nothing had ever been set; otherwise they stay
         * @throws IllegalArgumentException that names the key and its value, without what may be a password
         */
        void apply(Map<String, Object> fields, boolean whole);
    }

    public ProxyApi(Supplier<ProxySettings> current, Change change) {
        this.current = current;
        this.change = change;
    }

    @Override
    public ApiResponse answer(ApiRequest request) throws ApiException {
        if (!request.path().equals(PATH)) {
            return null;
        }
        switch (request.method()) {
            case "GET" -> {
                // There is nothing to do.
            }
            case "PUT" -> apply(request, true);
            case "PATCH" -> apply(request, false);
            default ->
                throw new ApiException(
                        405, "method-not-allowed", PATH + " takes GET, PUT and PATCH, not " + request.method());
        }
        return ApiResponse.json(200, json(current.get()));
    }

    private void apply(ApiRequest request, boolean whole) throws ApiException {
        Map<String, Object> fields = request.json();
        try {
            change.apply(fields, whole);
        } catch (IllegalArgumentException e) {
            throw new ApiException(400, "bad-value", e.getMessage());
        }
    }

    private static Map<String, Object> json(ProxySettings settings) {
        Map<String, Object> json = new LinkedHashMap<>();
        put(json, "http", settings.http());
        put(json, "https", settings.https());
        put(json, "all", settings.all());
        json.put("exclude", settings.exclude().toString());
        json.put("transparent_http_ports", sorted(settings.httpPorts()));
        json.put("transparent_https_ports", sorted(settings.httpsPorts()));
        json.put("allow_enabled", settings.allow().isPresent());
        json.put("allow", settings.allow().map(HostPatterns::texts).orElse(List.of()));
        json.put("allow_error_msg", settings.allowError());
        return json;
    }

    private static void put(Map<String, Object> json, String key, Optional<ProxyAddress> proxy) {
        // The address leaves its credentials out of its text.
        proxy.ifPresent(address -> json.put(key, address.toString()));
    }

    private static List<Integer> sorted(Set<Integer> ports) {
        return ports.stream().sorted().toList();
    }
}
