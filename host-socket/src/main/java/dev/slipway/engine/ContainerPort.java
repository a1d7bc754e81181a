package dev.slipway.engine;

import dev.slipway.publish.PortRequest;
import dev.slipway.publish.PortRequest.Protocol;
import dev.slipway.wire.IpAddress;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;

/**
 * A port that a container publishes, as the engine's list of containers tells it.
 *
 * @param owner the container's name behind {@code docker:}
 * @param request what is to be published for it
 */
record ContainerPort(String owner, PortRequest request) {

    /**
     * Reads the answer to {@code GET /containers/json}.
     *
     * @throws IllegalArgumentException if it is not a list of containers
     */
    static List<ContainerPort> of(List<?> containers) {
        List<ContainerPort> all = new ArrayList<>();
        for (Object each : containers) {
            if (!(each instanceof Map<?, ?> container)) {
                throw new IllegalArgumentException("a container is an object, not " + each);
            }
            if (container.get("Ports") instanceof List<?> ports) {
                all.addAll(of(container, ports));
            }
        }
        return all;
    }

    private static List<ContainerPort> of(Map<?, ?> container, List<?> ports) {
        String owner = "docker:" + name(container);
        // A port bound for IPv4 and IPv6 comes twice, and is one port of the host.
        Map<String, ContainerPort> found = new LinkedHashMap<>();
        for (Object each : ports) {
            if (each instanceof Map<?, ?> port
                    && number(port, "PublicPort") instanceof Integer publicPort
                    && number(port, "PrivatePort") instanceof Integer privatePort) {
                String type = String.valueOf(port.get("Type")).toUpperCase(Locale.ROOT);
                if (!type.equals("TCP") && !type.equals("UDP")) {
                    continue;
                }
                Optional<PortRequest> request = request(
                        container, Protocol.valueOf(type), String.valueOf(port.get("IP")), publicPort, privatePort);
                request.ifPresent(asked -> found.putIfAbsent(type + publicPort, new ContainerPort(owner, asked)));
            }
        }
        return List.copyOf(found.values());
    }

    private static Optional<PortRequest> request(
            Map<?, ?> container, Protocol protocol, String bound, int publicPort, int privatePort) {
        if (!isLoopback(bound)) {
            return Optional.of(new PortRequest(
                    protocol, Optional.empty(), publicPort, Optional.empty(), Optional.empty(), "", publicPort));
        }
        return address(container)
                .map(address -> new PortRequest(
                        protocol,
                        Optional.empty(),
                        publicPort,
                        Optional.empty(),
                        Optional.of(address),
                        "",
                        privatePort));
    }

    private static boolean isLoopback(String bound) {
        if (!bound.matches("[0-9.]+|[0-9a-fA-F:.]*:[0-9a-fA-F:.]*")) {
            return false;
        }
        try {
            return InetAddress.getByName(bound).isLoopbackAddress();
        } catch (UnknownHostException e) {
            return false;
        }
    }

    /** The container's own address in the first of its networks that has one. */
    private static Optional<IpAddress> address(Map<?, ?> container) {
        if (container.get("NetworkSettings") instanceof Map<?, ?> settings
                && settings.get("Networks") instanceof Map<?, ?> networks) {
            for (Object each : networks.values()) {
                if (each instanceof Map<?, ?> network
                        && network.get("IPAddress") instanceof String address
                        && !address.isEmpty()) {
                    return Optional.of(IpAddress.ofV4(IpAddress.parseV4(address)));
                }
            }
        }
        return Optional.empty();
    }

    private static String name(Map<?, ?> container) {
        if (container.get("Names") instanceof List<?> names && !names.isEmpty()) {
            String name = String.valueOf(names.getFirst());
            return name.startsWith("/") ? name.substring(1) : name;
        }
        return String.valueOf(container.get("Id"));
    }

    private static Integer number(Map<?, ?> object, String key) {
        return object.get(key) instanceof Number number && number.intValue() > 0 && number.intValue() <= 65_535
                ? number.intValue()
                : null;
    }
}
