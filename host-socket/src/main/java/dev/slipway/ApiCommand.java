package dev.slipway;

import com.fasterxml.jackson.jr.ob.JSON;
import dev.slipway.control.ApiClient;
import java.io.IOException;
import java.io.PrintStream;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.Model.PositionalParamSpec;
import picocli.CommandLine.ParseResult;

/** The commands that speak to a running network through its API socket. */
final class ApiCommand implements Command {

    private static final String API = "--api";
    private static final String JSON_OUTPUT = "--json";
    private static final String ENVIRONMENT = "SLIPWAY_API";

    private final String name;

    /** @param name {@code ports}, {@code publish}, {@code unpublish}, {@code flows}, {@code stats} or {@code events} */
    ApiCommand(String name) {
        this.name = name;
    }

    @Override
    public CommandSpec spec() {
        CommandSpec spec = CommandSpec.create().name("slipway " + name);
        spec.usageMessage().description(description() + "%n");
        spec.addOption(OptionSpec.builder(API)
                .paramLabel("PATH")
                .type(String.class)
                .description("API socket of the running network. Default: the environment's " + ENVIRONMENT)
                .build());
        spec.addOption(OptionSpec.builder(JSON_OUTPUT)
                .type(boolean.class)
                .description("Prints the API's answer as it is")
                .build());
        if (name.equals("publish") || name.equals("unpublish")) {
            boolean publish = name.equals("publish");
            spec.addPositional(PositionalParamSpec.builder()
                    .paramLabel(publish ? "[ADDR:]HOST:GUEST[/udp][@VM]" : "ADDR:PORT[/udp]")
                    .arity("1..*")
                    .type(List.class)
                    .auxiliaryTypes(String.class)
                    .description(
                            publish
                                    ? "Ports as with 'run --publish'; all of them or none are published"
                                    : "Ports as 'slipway ports' shows them")
                    .build());
        }
        return spec;
    }

    private String description() {
        return switch (name) {
            case "ports" ->
                "Lists the ports that a running network publishes, and those that it cannot, with the reason.";
            case "publish" -> "Publishes ports of a guest of a running network.";
            case "unpublish" -> "Takes back published ports of a running network; connections go on.";
            case "flows" -> "Lists TCP connections and UDP ports of the guests of a running network.";
            case "events" -> "Prints what happens in a running network, as it happens, until that ends.";
            default -> "Shows what a running network has counted; what is zero is left out.";
        };
    }

    @Override
    public int run(ParseResult parsed, PrintStream out, PrintStream err) throws SettingsException {
        ApiClient client = new ApiClient(socket(parsed));
        try {
            boolean json = parsed.hasMatchedOption(JSON_OUTPUT);
            switch (name) {
                case "ports" -> print(client.ask("GET", "/v1/ports", null), json, out);
                case "publish" -> print(client.ask("POST", "/v1/ports", Map.of("ports", arguments(parsed))), json, out);
                case "unpublish" -> unpublish(client, arguments(parsed));
                case "flows" -> print(client.ask("GET", "/v1/flows", null), json, out);
                case "events" -> client.follow(line -> out.println(json ? line : event(line)));
                default -> print(client.ask("GET", "/v1/status", null), json, out);
            }
            return DONE;
        } catch (IOException e) {
            err.println("slipway: " + name + ": " + e.getMessage());
            return FAILED;
        }
    }

    private static Path socket(ParseResult parsed) throws SettingsException {
        String text = parsed.matchedOptionValue(API, System.getenv(ENVIRONMENT));
        if (text == null || text.isEmpty()) {
            throw new SettingsException(API, "needs the API socket of a running network (run --api PATH)");
        }
        try {
            return Path.of(text);
        } catch (InvalidPathException e) {
            throw new SettingsException(API, "not a path: " + e.getReason());
        }
    }

    private static List<String> arguments(ParseResult parsed) {
        return parsed.matchedPositionalValue(0, List.of());
    }

    private static void unpublish(ApiClient client, List<String> ports) throws IOException {
        for (String port : ports) {
            boolean udp = port.endsWith("/udp");
            boolean unix = port.startsWith("/") || port.startsWith("./");
            String local = udp || port.endsWith("/tcp") ? port.substring(0, port.length() - 4) : port;
            if (local.matches("[0-9]+(-[0-9]+)?")) {
                local = "localhost:" + local;
            }
            client.ask(
                    "DELETE",
                    "/v1/ports?protocol=" + (unix ? "unix" : udp ? "udp" : "tcp") + "&local="
                            + URLEncoder.encode(local, StandardCharsets.UTF_8),
                    null);
        }
    }

    private static void print(Map<String, Object> answer, boolean json, PrintStream out) throws IOException {
        if (json) {
            out.println(JSON.std.asString(answer));
        } else if (answer.get("ports") instanceof List<?> ports) {
            ports.forEach(port -> out.println(port((Map<?, ?>) port)));
        } else if (answer.get("flows") instanceof List<?> flows) {
            flows.forEach(flow -> out.println(flow((Map<?, ?>) flow)));
        } else {
            status(answer).forEach(out::println);
        }
    }

    private static String port(Map<?, ?> port) {
        String line = String.format(
                "%-28s -> %-22s %-4s %s",
                port.get("local"), port.get("remote"), port.get("protocol"), port.get("owner"));
        return port.get("failure") == null ? line : line + "  NOT PUBLISHED: " + port.get("failure");
    }

    private static String flow(Map<?, ?> flow) {
        return String.format(
                "%-4s %-22s -> %-22s %-12s %s",
                flow.get("protocol"), flow.get("guest"), flow.get("remote"), flow.get("state"), flow.get("vm"));
    }

    private static String event(String json) {
        Map<String, Object> event;
        try {
            event = new LinkedHashMap<>(JSON.std.mapFrom(json));
        } catch (IOException e) {
            return json;
        }
        event.remove("number");
        StringBuilder line = new StringBuilder();
        line.append(event.remove("time")).append(' ').append(event.remove("type"));
        event.forEach((name, value) -> line.append(' ').append(name).append('=').append(value));
        return line.toString();
    }

    private static List<String> status(Map<String, Object> status) {
        List<String> lines = new ArrayList<>();
        lines.add("slipway " + status.get("version") + ", up " + status.get("uptimeMillis") + " ms");
        lines.add("sandbox: " + status.get("sandbox"));
        if (status.get("limitations") instanceof List<?> limitations) {
            limitations.forEach(each -> lines.add("not on this host: " + each));
        }
        if (status.get("vms") instanceof List<?> machines) {
            for (Object each : machines) {
                Map<?, ?> machine = (Map<?, ?>) each;
                lines.add(machine.get("socket")
                        + (Boolean.TRUE.equals(machine.get("attached")) ? " attached" : " waiting"));
                counts(lines, machine.get("counters"), "");
                counts(lines, machine.get("drops"), "dropped: ");
            }
        }
        return lines;
    }

    private static void counts(List<String> lines, Object counts, String what) {
        if (counts instanceof Map<?, ?> all) {
            all.forEach((key, value) -> {
                if (value instanceof Number number && number.longValue() != 0) {
                    lines.add("  " + what + key + " " + value);
                }
            });
        }
    }
}
