package dev.slipway.control;

import com.fasterxml.jackson.jr.ob.JSON;
import io.netty.channel.Channel;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.Map;

/**
 * What a request is answered with.
 *
 * @param status of HTTP
 * @param type of the body
 * @param body may be empty
 * @param takeover if not null, it gets the connection instead of an answer, and HTTP ends there
 */
record ApiResponse(int status, String type, byte[] body, Takeover takeover) {

    /** What becomes of a connection behind its request. */
    interface Takeover {

        /**
         * Takes it, on its event loop.
         *
         * @param connection with an empty pipeline, and nothing is being read from it
         * @param early what came behind the request
         */
        void take(Channel connection, byte[] early);
    }

    private static final String JSON_TYPE = "application/json";

    /** A JSON value of maps, lists, texts, numbers and truth values. */
    static ApiResponse json(int status, Object value) {
        try {
            return new ApiResponse(
                    status, JSON_TYPE, (JSON.std.asString(value) + "\n").getBytes(StandardCharsets.UTF_8), null);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    static ApiResponse error(ApiException e) {
        return json(e.status(), Map.of("error", Map.of("code", e.code(), "message", e.getMessage())));
    }

    static ApiResponse text(int status, String text) {
        return new ApiResponse(status, "text/plain; charset=utf-8", text.getBytes(StandardCharsets.UTF_8), null);
    }

    static ApiResponse of(int status, String type, byte[] body) {
        return new ApiResponse(status, type, body, null);
    }

    static ApiResponse empty(int status) {
        return new ApiResponse(status, "", new byte[0], null);
    }

    static ApiResponse takeover(Takeover takeover) {
        return new ApiResponse(0, "", new byte[0], takeover);
    }
}
