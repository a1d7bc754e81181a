package dev.slipway.control;

import com.fasterxml.jackson.jr.ob.JSON;
import io.netty.channel.Channel;
import io.netty.handler.codec.http.QueryStringDecoder;
import java.io.IOException;
import java.util.List;
import java.util.Map;

/**
 * A request to the control API.
 *
 * @param method in capitals
 * @param path without the query
 * @param query of the URI
 * @param body as it came
 * @param connection it came by
 */
record ApiRequest(String method, String path, Map<String, List<String>> query, byte[] body, Channel connection) {

    static ApiRequest of(String method, String uri, byte[] body, Channel connection) {
        QueryStringDecoder decoder = new QueryStringDecoder(uri);
        return new ApiRequest(method, decoder.path(), decoder.parameters(), body, connection);
    }

    /** The value of a parameter of the query, or the empty string. */
    String parameter(String name) {
        List<String> values = query.getOrDefault(name, List.of());
        return values.isEmpty() ? "" : values.getFirst();
    }

    /**
     * The body, a JSON object.
     *
     * @throws ApiException with status 400 if it is none
     */
    Map<String, Object> json() throws ApiException {
        try {
            return JSON.std.mapFrom(body);
        } catch (IOException e) {
            throw new ApiException(400, "bad-json", "the body is not a JSON object: " + firstLine(e.getMessage()));
        }
    }

    private static String firstLine(String text) {
        int end = text.indexOf('\n');
        return end < 0 ? text : text.substring(0, end);
    }

    /**
     * A text of a JSON object.
     *
     * @throws ApiException with status 400 if it is there and no text
     */
    static String text(Map<String, Object> object, String key) throws ApiException {
        Object value = object.get(key);
        if (value == null) {
            return "";
        }
        if (value instanceof String text) {
            return text;
        }
        throw new ApiException(400, "bad-value", "\"" + key + "\" must be a string, not " + value);
    }
}
