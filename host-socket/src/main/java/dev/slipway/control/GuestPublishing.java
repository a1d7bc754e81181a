package dev.slipway.control;

import com.fasterxml.jackson.jr.ob.JSON;
import dev.slipway.host.VmSession;
import dev.slipway.proxy.GuestApi;
import dev.slipway.publish.PortRange;
import dev.slipway.publish.PortRequest;
import dev.slipway.publish.PortRequest.Protocol;
import dev.slipway.publish.PublishException;
import dev.slipway.publish.Published;
import dev.slipway.publish.PublishedPorts;
import dev.slipway.wire.IpAddress;
import io.netty.channel.EventLoop;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Consumer;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * What one guest may ask from inside: gvproxy's {@code /services/forwarder/all}, {@code expose} and {@code unexpose}, and
 * of those only what concerns itself. It publishes ports of its own addresses, on the host's localhost, and
 * nothing else; no Unix sockets; at most {@value #MAX_PORTS} ports. It sees and takes back only what it has
 * published itself.
 *
 * <p>A request is done on the event loop of the published ports, and never on the VM's.
 */
public final class GuestPublishing implements GuestApi {

    /** Ports that one VM may publish itself. */
    static final int MAX_PORTS = 64;

    private static final Pattern LOCAL = Pattern.compile("(127\\.0\\.0\\.1|localhost|\\[::1]|):([0-9]{1,5})");
    private static final Pattern REMOTE = Pattern.compile("([0-9.]*|\\[[0-9a-fA-F:]+]):([0-9]{1,5})");

    private final VmSession session;
    private final PublishedPorts ports;
    private final EventLoop loop;
    private final String owner;

    /** @param loop of the published ports */
    public GuestPublishing(VmSession session, PublishedPorts ports, EventLoop loop) {
        this.session = session;
        this.ports = ports;
        this.loop = loop;
        this.owner = "guest of " + session.name();
    }

    @Override
    public void ask(String method, String path, byte[] body, Consumer<Answer> answer) {
        loop.execute(() -> answer.accept(answer(method, path, body)));
    }

    private Answer answer(String method, String path, byte[] body) {
        try {
            return switch (path) {
                case "/services/forwarder/all" -> json(all());
                case "/services/forwarder/expose" -> expose(posted(method, body));
                case "/services/forwarder/unexpose" -> unexpose(posted(method, body));
                default -> throw new ApiException(404, "", "404 page not found");
            };
        } catch (ApiException e) {
            return new Answer(
                    e.status(), "text/plain; charset=utf-8", (e.getMessage() + "\n").getBytes(StandardCharsets.UTF_8));
        }
    }

    private static Answer json(Object value) {
        ApiResponse response = ApiResponse.json(200, value);
        return new Answer(200, response.type(), response.body());
    }

    private static Map<String, Object> posted(String method, byte[] body) throws ApiException {
        if (!method.equals("POST")) {
            throw new ApiException(400, "", "post only");
        }
        try {
            return JSON.std.mapFrom(body);
        } catch (IOException e) {
            throw new ApiException(400, "", "the body is not a JSON object");
        }
    }

    private List<Published> own() {
        return ports.list().stream().filter(port -> port.owner().equals(owner)).toList();
    }

    private List<Map<String, Object>> all() {
        List<Map<String, Object>> all = new ArrayList<>();
        for (Published port : own()) {
            Map<String, Object> entry = new LinkedHashMap<>();
            entry.put("local", port.request().local());
            entry.put("remote", port.request().remote());
            entry.put("protocol", port.request().protocol().toString());
            all.add(entry);
        }
        return all;
    }

    private Answer expose(Map<String, Object> body) throws ApiException {
        PortRequest request = request(body, ApiRequest.text(body, "remote"));
        if (own().size() >= MAX_PORTS) {
            throw new ApiException(500, "", "a guest may publish " + MAX_PORTS + " ports");
        }
        try {
            ports.publish(List.of(request), owner);
            return new Answer(200, "text/plain; charset=utf-8", new byte[0]);
        } catch (PublishException e) {
            throw new ApiException(500, "", e.getMessage());
        }
    }

    private Answer unexpose(Map<String, Object> body) throws ApiException {
        String local = request(body, ":1").local();
        Protocol protocol = protocol(body);
        for (Published port : own()) {
            if (port.request().protocol() == protocol && port.request().local().equals(local)) {
                try {
                    ports.unpublish(protocol, local);
                    return new Answer(200, "text/plain; charset=utf-8", new byte[0]);
                } catch (PublishException e) {
                    throw new ApiException(500, "", "proxy not found");
                }
            }
        }
        throw new ApiException(500, "", "proxy not found");
    }

    private static Protocol protocol(Map<String, Object> body) throws ApiException {
        String name = ApiRequest.text(body, "protocol");
        return switch (name) {
            case "", "tcp" -> Protocol.TCP;
            case "udp" -> Protocol.UDP;
            default -> throw new ApiException(403, "", "a guest may publish tcp and udp, not " + name);
        };
    }

    private PortRequest request(Map<String, Object> body, String remote) throws ApiException {
        Protocol protocol = protocol(body);
        Matcher local = LOCAL.matcher(ApiRequest.text(body, "local"));
        if (!local.matches()) {
            throw new ApiException(403, "", "a guest may publish on localhost only, as :PORT or 127.0.0.1:PORT");
        }
        // Never without an address, which settings may have made any address of the host.
        IpAddress address = local.group(1).equals("[::1]") ? new IpAddress(0, 1) : IpAddress.ofV4(0x7F00_0001);
        Matcher to = REMOTE.matcher(remote);
        if (!to.matches()) {
            throw new ApiException(400, "", "invalid remote addr: it must be :PORT or IP:PORT");
        }
        try {
            Optional<IpAddress> guest =
                    to.group(1).isEmpty() ? session.firstGuestAddress() : Optional.of(PortRange.address(to.group(1)));
            if (guest.isEmpty() || !session.hasGuestAt(guest.get())) {
                throw new ApiException(403, "", "a guest may publish its own ports only");
            }
            return new PortRequest(
                    protocol,
                    Optional.of(address),
                    Integer.parseInt(local.group(2)),
                    Optional.empty(),
                    guest,
                    "",
                    Integer.parseInt(to.group(2)));
        } catch (IllegalArgumentException e) {
            throw new ApiException(400, "", e.getMessage());
        }
    }
}
