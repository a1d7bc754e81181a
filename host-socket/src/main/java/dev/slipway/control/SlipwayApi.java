package dev.slipway.control;

import dev.slipway.event.Events;
import dev.slipway.host.VmNetwork;
import dev.slipway.host.VmSession;
import dev.slipway.publish.PortRange;
import dev.slipway.publish.PortRequest;
import dev.slipway.publish.PortRequest.Protocol;
import dev.slipway.publish.PublishException;
import dev.slipway.publish.Published;
import dev.slipway.publish.PublishedPorts;
import dev.slipway.seam.Flow;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.TimeoutException;
import java.util.function.Supplier;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Our own endpoints, below {@code /v1/}; {@code /v1/openapi.json} describes them.
 *
 * <p>Errors are {@code {"error": {"code": …, "message": …}}}.
 */
public final class SlipwayApi implements ControlApi {

    private static final String PORTS = "/v1/ports";
    private static final Pattern RANGE = Pattern.compile("(.*:)([0-9]{1,5})-([0-9]{1,5})");
    private static final int MAX_FLOWS = 10_000;

    private final Supplier<Status> status;
    private final PublishedPorts ports;
    private final VmNetwork network;
    private final Events events;
    private final ControlCounters counters;

    /**
     * @param events what {@code /v1/events} passes on
     * @param counters of the socket that this is served at
     */
    public SlipwayApi(
            Supplier<Status> status, PublishedPorts ports, VmNetwork network, Events events, ControlCounters counters) {
        this.status = status;
        this.events = events;
        this.counters = counters;
        this.ports = ports;
        this.network = network;
    }

    @Override
    public ApiResponse answer(ApiRequest request) throws ApiException {
        return switch (request.path()) {
            case "/v1/status" -> {
                only(request, "GET");
                Map<String, Object> all = status.get().toJson();
                all.put("api", counters.all());
                yield ApiResponse.json(200, all);
            }
            case PORTS -> ports(request);
            case "/v1/flows" -> {
                only(request, "GET");
                yield ApiResponse.json(200, Map.of("flows", flows()));
            }
            case "/v1/events" -> {
                only(request, "GET");
                yield EventStream.of(events, counters);
            }
            case "/v1/openapi.json" -> {
                only(request, "GET");
                yield ApiResponse.of(200, "application/json", document());
            }
            default -> null;
        };
    }

    private static void only(ApiRequest request, String method) throws ApiException {
        if (!request.method().equals(method)) {
            throw new ApiException(
                    405, "method-not-allowed", request.path() + " takes " + method + ", not " + request.method());
        }
    }

    private ApiResponse ports(ApiRequest request) throws ApiException {
        return switch (request.method()) {
            case "GET" -> ApiResponse.json(200, Map.of("ports", json(ports.list())));
            case "POST" -> publish(request);
            case "DELETE" -> unpublish(request);
            default ->
                throw new ApiException(
                        405,
                        "method-not-allowed",
                        request.path() + " takes GET, POST and DELETE, not " + request.method());
        };
    }

    private ApiResponse publish(ApiRequest request) throws ApiException {
        if (!(request.json().get("ports") instanceof List<?> texts) || texts.isEmpty()) {
            throw new ApiException(
                    400, "bad-value", "\"ports\" must be a list of [ADDR:]HOST:GUEST[/udp][@VM], like [\"8000:80\"]");
        }
        List<PortRequest> requests = new ArrayList<>();
        for (Object text : texts) {
            requests.addAll(range(String.valueOf(text)).requests());
        }
        try {
            return ApiResponse.json(201, Map.of("ports", json(ports.publish(requests, "api"))));
        } catch (PublishException e) {
            throw refused(e);
        }
    }

    private static PortRange range(String text) throws ApiException {
        try {
            return PortRange.parse(text);
        } catch (IllegalArgumentException e) {
            throw new ApiException(400, "bad-value", e.getMessage());
        }
    }

    private ApiResponse unpublish(ApiRequest request) throws ApiException {
        String name = request.parameter("protocol");
        Protocol protocol;
        try {
            protocol = name.isEmpty() ? Protocol.TCP : Protocol.valueOf(name.toUpperCase(Locale.ROOT));
        } catch (IllegalArgumentException e) {
            throw new ApiException(400, "bad-value", "protocol '" + name + "' is not tcp, udp or unix");
        }
        String local = request.parameter("local");
        if (local.isEmpty()) {
            throw new ApiException(400, "bad-value", "the query must say what: local=127.0.0.1:8000&protocol=tcp");
        }
        try {
            ports.unpublish(protocol, protocol == Protocol.UNIX ? List.of(local) : each(local));
            return ApiResponse.empty(204);
        } catch (PublishException e) {
            throw refused(e);
        }
    }

    /** Each port of a range, or the only one, in the form of the list. */
    private static List<String> each(String local) throws ApiException {
        Matcher range = RANGE.matcher(local);
        if (!range.matches()) {
            return List.of(local);
        }
        int first = Integer.parseInt(range.group(2));
        int last = Integer.parseInt(range.group(3));
        if (last < first || last > 65_535) {
            throw new ApiException(400, "bad-value", "'" + local + "' is no range of ports");
        }
        List<String> locals = new ArrayList<>();
        for (int port = first; port <= last; port++) {
            locals.add(range.group(1) + port);
        }
        return locals;
    }

    private static ApiException refused(PublishException e) {
        return switch (e.reason()) {
            case IN_USE -> new ApiException(409, "in-use", e.getMessage());
            case REFUSED -> new ApiException(422, "refused", e.getMessage());
            case UNKNOWN -> new ApiException(404, "unknown-port", e.getMessage());
            case TOO_MANY -> new ApiException(429, "too-many", e.getMessage());
        };
    }

    private static List<Map<String, Object>> json(List<Published> list) {
        List<Map<String, Object>> json = new ArrayList<>();
        for (Published each : list) {
            Map<String, Object> port = new LinkedHashMap<>();
            port.put("protocol", each.request().protocol().toString());
            port.put("local", each.request().local());
            port.put("remote", each.request().remote());
            port.put("owner", each.owner());
            port.put("listening", each.failure().isEmpty());
            each.failure().ifPresent(failure -> port.put("failure", failure));
            json.add(port);
        }
        return json;
    }

    private List<Map<String, Object>> flows() throws ApiException {
        List<Map<String, Object>> json = new ArrayList<>();
        for (VmSession session : network.sessions()) {
            for (Flow flow : flowsOf(session)) {
                Map<String, Object> entry = new LinkedHashMap<>();
                entry.put("vm", session.name());
                entry.put("protocol", flow.protocol());
                entry.put("guest", flow.guest());
                entry.put("remote", flow.remote());
                entry.put("state", flow.state());
                json.add(entry);
            }
        }
        return json;
    }

    private static List<Flow> flowsOf(VmSession session) throws ApiException {
        try {
            return session.ask((stack, link) -> {
                List<Flow> flows = new ArrayList<>();
                stack.tcp().list(flows, MAX_FLOWS);
                stack.udp().list(flows, MAX_FLOWS);
                return flows;
            });
        } catch (TimeoutException e) {
            throw new ApiException(503, "busy", session.name() + " has no time to answer");
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new ApiException(503, "busy", "interrupted");
        }
    }

    private static byte[] document() {
        try (InputStream in = SlipwayApi.class.getResourceAsStream("openapi.json")) {
            return in.readAllBytes();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
