package dev.slipway.control;

import com.google.re2j.Pattern;
import com.google.re2j.PatternSyntaxException;
import dev.slipway.dhcp.Lease;
import dev.slipway.dns.Zone;
import dev.slipway.dns.ZoneRecord;
import dev.slipway.host.VmNetwork;
import dev.slipway.host.VmSession;
import dev.slipway.publish.PortRange;
import dev.slipway.publish.PortRequest;
import dev.slipway.publish.PortRequest.Protocol;
import dev.slipway.publish.PublishException;
import dev.slipway.publish.Published;
import dev.slipway.publish.PublishedPorts;
import dev.slipway.seam.StackSettings;
import dev.slipway.wire.IpAddress;
import dev.slipway.wire.MacAddress;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;

/**
 * The endpoints of gvproxy (containers/gvisor-tap-vsock), so that what was written for it works as it is. Errors are plain
 * text with a line end, as there.
 *
 * <p>As there, an address without a host ({@code :8080}) is one on all of the host's addresses, and an entry is known by
 * the very text it was made with.
 */
public final class GvproxyApi implements ControlApi {

    private record Key(Protocol protocol, String local) {}

    private record Forward(PortRequest request, String remote) {}

    private final PublishedPorts ports;
    private final VmNetwork network;
    private final StackSettings settings;
    private final Tunnels tunnels;
    /** What was exposed here: the others' ports are listed by what they really are. */
    private final Map<Key, Forward> exposed = new LinkedHashMap<>();

    /** @param counters of the socket that this is served at */
    public GvproxyApi(PublishedPorts ports, VmNetwork network, StackSettings settings, ControlCounters counters) {
        this.ports = ports;
        this.network = network;
        this.settings = settings;
        this.tunnels = new Tunnels(ports, network.transport(), counters);
    }

    @Override
    public ApiResponse answer(ApiRequest request) {
        try {
            return switch (request.path()) {
                case "/services/forwarder/all" -> ApiResponse.json(200, all());
                case "/services/forwarder/expose" -> expose(posted(request));
                case "/services/forwarder/unexpose" -> unexpose(posted(request));
                case "/services/dhcp/leases", "/leases" -> ApiResponse.json(200, leases());
                case "/services/dns/all" -> ApiResponse.json(200, zones());
                case "/services/dns/add" -> addZone(posted(request));
                case "/cam" -> ApiResponse.json(200, cam());
                case "/stats" -> ApiResponse.json(200, stats());
                case "/tunnel" -> tunnel(request);
                case "/connect" -> connect();
                default -> null;
            };
        } catch (ApiException e) {
            return ApiResponse.text(e.status(), e.getMessage() + "\n");
        }
    }

    private static ApiRequest posted(ApiRequest request) throws ApiException {
        if (!request.method().equals("POST")) {
            throw new ApiException(400, "", "post only");
        }
        return request;
    }

    // ---- ports

    private List<Map<String, Object>> all() {
        List<Map<String, Object>> all = new ArrayList<>();
        for (Published port : ports.list()) {
            if (port.failure().isPresent()) {
                continue;
            }
            String local = port.request().local();
            String remote = port.request().remote();
            for (Map.Entry<Key, Forward> each : exposed.entrySet()) {
                if (each.getValue().request().local().equals(local)
                        && each.getKey().protocol() == port.request().protocol()) {
                    local = each.getKey().local();
                    remote = each.getValue().remote();
                }
            }
            Map<String, Object> entry = new LinkedHashMap<>();
            entry.put("local", local);
            entry.put("remote", remote);
            entry.put("protocol", port.request().protocol().toString());
            all.add(entry);
        }
        all.sort(Comparator.<Map<String, Object>, String>comparing(entry -> (String) entry.get("local"))
                .thenComparing(entry -> (String) entry.get("protocol")));
        return all;
    }

    private ApiResponse expose(ApiRequest request) throws ApiException {
        Map<String, Object> body = request.json();
        Protocol protocol = protocol(ApiRequest.text(body, "protocol"));
        String local = ApiRequest.text(body, "local");
        String remote = ApiRequest.text(body, "remote");
        Key key = new Key(protocol, local);
        if (exposed.containsKey(key) && isPublished(exposed.get(key).request())) {
            throw new ApiException(500, "", "proxy already running for " + protocol + " on " + local);
        }
        PortRequest asked = portRequest(protocol, local, remote);
        try {
            PortRequest published =
                    ports.publish(List.of(asked), "api").getFirst().request();
            exposed.put(key, new Forward(published, remote));
            return ApiResponse.empty(200);
        } catch (PublishException e) {
            throw new ApiException(500, "", e.getMessage());
        }
    }

    private boolean isPublished(PortRequest request) {
        return ports.list().stream().anyMatch(port -> port.request().equals(request));
    }

    private ApiResponse unexpose(ApiRequest request) throws ApiException {
        Map<String, Object> body = request.json();
        Key key = new Key(protocol(ApiRequest.text(body, "protocol")), ApiRequest.text(body, "local"));
        Forward forward = exposed.remove(key);
        try {
            ports.unpublish(
                    key.protocol(),
                    forward == null ? key.local() : forward.request().local());
            return ApiResponse.empty(200);
        } catch (PublishException e) {
            throw new ApiException(500, "", "proxy not found");
        }
    }

    private static Protocol protocol(String name) throws ApiException {
        return switch (name) {
            case "", "tcp" -> Protocol.TCP;
            case "udp" -> Protocol.UDP;
            case "unix" -> Protocol.UNIX;
            default -> throw new ApiException(500, "", "unknown protocol " + name);
        };
    }

    private PortRequest portRequest(Protocol protocol, String local, String remote) throws ApiException {
        String target = remote;
        if (protocol == Protocol.UNIX) {
            if (!remote.startsWith("tcp://")) {
                throw new ApiException(400, "", "invalid remote addr: " + remote + " is not tcp://IP:PORT");
            }
            target = remote.substring("tcp://".length());
        }
        int colon = target.lastIndexOf(':');
        try {
            IpAddress guest = guestAddress(target.substring(0, Math.max(colon, 0)));
            int guestPort = port(target.substring(colon + 1));
            if (protocol == Protocol.UNIX) {
                return new PortRequest(
                        protocol, Optional.empty(), 0, Optional.of(Path.of(local)), Optional.of(guest), "", guestPort);
            }
            int localColon = local.lastIndexOf(':');
            if (localColon < 0) {
                throw new ApiException(500, "", "address " + local + ": missing port in address");
            }
            IpAddress address = hostAddress(local.substring(0, localColon));
            int port = Integer.parseInt(local.substring(localColon + 1));
            return new PortRequest(
                    protocol, Optional.of(address), port, Optional.empty(), Optional.of(guest), "", guestPort);
        } catch (InvalidPathException e) {
            throw new ApiException(500, "", "not a path: " + e.getReason());
        } catch (IllegalArgumentException e) {
            throw new ApiException(400, "", "invalid remote addr: " + e.getMessage());
        }
    }

    /** IPv4, or IPv6 in brackets. */
    private static IpAddress guestAddress(String text) {
        return text.startsWith("[") ? PortRange.address(text) : IpAddress.ofV4(IpAddress.parseV4(text));
    }

    private static int port(String text) {
        int port = Integer.parseInt(text);
        if (port < 1 || port > 65_535) {
            throw new IllegalArgumentException("port " + port);
        }
        return port;
    }

    private static IpAddress hostAddress(String host) throws ApiException {
        if (host.isEmpty()) {
            return IpAddress.ofV4(0);
        }
        if (host.equals("localhost")) {
            return IpAddress.ofV4(0x7F00_0001);
        }
        if (!host.matches("[0-9.]+|\\[[0-9a-fA-F:.]+]")) {
            throw new ApiException(500, "", "lookup " + host + ": no such host");
        }
        try {
            return IpAddress.ofBytes(InetAddress.getByName(host).getAddress());
        } catch (UnknownHostException e) {
            throw new ApiException(500, "", "lookup " + host + ": no such host");
        }
    }

    // ---- addresses and names

    private Map<String, String> leases() {
        Map<String, String> leases = new TreeMap<>();
        leases.put(IpAddress.toString(settings.gateway()), MacAddress.toString(settings.gatewayMac()));
        for (Lease lease : network.leases().leases()) {
            if (lease.state() != Lease.State.QUARANTINED) {
                leases.put(IpAddress.toString(lease.address()), MacAddress.toString(lease.mac()));
            }
        }
        return leases;
    }

    /** Which VM a station is at: the numbers of VMs begin with 1. */
    private Map<String, Integer> cam() {
        Map<String, Integer> stations = new TreeMap<>();
        List<VmSession> sessions = network.sessions();
        for (Lease lease : network.leases().leases()) {
            for (int i = 0; i < sessions.size(); i++) {
                if (sessions.get(i).hasGuestAt(IpAddress.ofV4(lease.address()))) {
                    stations.put(MacAddress.toString(lease.mac()), i + 1);
                }
            }
        }
        return stations;
    }

    private List<Map<String, Object>> zones() {
        List<Map<String, Object>> zones = new ArrayList<>();
        for (Zone zone : network.names().allZones()) {
            List<Map<String, Object>> records = new ArrayList<>();
            for (ZoneRecord each : zone.records()) {
                Map<String, Object> entry = new LinkedHashMap<>();
                if (!each.name().isEmpty()) {
                    entry.put("Name", each.name());
                }
                entry.put("IP", each.address().toString());
                if (!each.regexp().isEmpty()) {
                    entry.put("Regexp", each.regexp());
                }
                records.add(entry);
            }
            Map<String, Object> entry = new LinkedHashMap<>();
            entry.put("Name", zone.name() + ".");
            entry.put("Records", records);
            entry.put(
                    "DefaultIP", zone.defaultAddress().map(IpAddress::toString).orElse(""));
            zones.add(entry);
        }
        return zones;
    }

    private ApiResponse addZone(ApiRequest request) throws ApiException {
        Map<String, Object> body = lowerCased(request.json());
        String name = ApiRequest.text(body, "name");
        List<ZoneRecord> records = new ArrayList<>();
        try {
            if (body.get("records") instanceof List<?> list) {
                for (Object each : list) {
                    records.add(record(each));
                }
            }
            String fallback = ApiRequest.text(body, "defaultip");
            Optional<IpAddress> address =
                    fallback.isEmpty() ? Optional.empty() : Optional.of(IpAddress.ofV4(IpAddress.parseV4(fallback)));
            network.names()
                    .add(new Zone(name.endsWith(".") ? name.substring(0, name.length() - 1) : name, records, address));
            return ApiResponse.empty(200);
        } catch (IllegalArgumentException e) {
            throw new ApiException(400, "", e.getMessage());
        }
    }

    /** Regular expressions are RE2's, as gvproxy's are: how long one takes is bounded, whatever a guest asks for. */
    static ZoneRecord record(Object json) throws ApiException {
        if (!(json instanceof Map<?, ?> object)) {
            throw new ApiException(400, "", "a record is an object, not " + json);
        }
        Map<String, Object> body = lowerCased(object);
        IpAddress address = IpAddress.ofV4(IpAddress.parseV4(ApiRequest.text(body, "ip")));
        String regexp = ApiRequest.text(body, "regexp");
        if (regexp.isEmpty()) {
            return ZoneRecord.named(ApiRequest.text(body, "name"), address);
        }
        try {
            Pattern pattern = Pattern.compile(regexp);
            return ZoneRecord.matching(
                    regexp, remainder -> pattern.matcher(remainder).find(), address);
        } catch (PatternSyntaxException e) {
            throw new ApiException(400, "", "regexp " + regexp + ": " + e.getDescription());
        }
    }

    /** Keys as Go reads them: upper and lower case are one. */
    private static Map<String, Object> lowerCased(Map<?, ?> object) {
        Map<String, Object> lowered = new LinkedHashMap<>();
        object.forEach((key, value) -> lowered.put(String.valueOf(key).toLowerCase(Locale.ROOT), value));
        return lowered;
    }

    // ---- the rest

    private Map<String, Object> stats() {
        long toGuest = 0;
        long fromGuest = 0;
        long dropped = 0;
        long connects = 0;
        long toHost = 0;
        long fromHost = 0;
        long open = 0;
        for (VmSession session : network.sessions()) {
            toGuest += session.linkCounters().bytesToGuest();
            fromGuest += session.linkCounters().bytesFromGuest();
            dropped += session.drops().total();
            connects += session.hostCounters().connects();
            open += session.hostCounters().openStreams();
            toHost += session.hostCounters().datagramsToHost();
            fromHost += session.hostCounters().datagramsFromHost();
        }
        Map<String, Object> stats = new LinkedHashMap<>();
        stats.put("BytesSent", toGuest);
        stats.put("BytesReceived", fromGuest);
        stats.put("DroppedPackets", dropped);
        stats.put("TCP", Map.of("PassiveConnectionOpenings", connects, "CurrentEstablished", open));
        stats.put("UDP", Map.of("PacketsReceived", toHost, "PacketsSent", fromHost));
        return stats;
    }

    /** The connection becomes one to a port of the guest: two bytes say so, and no HTTP comes any more. */
    private ApiResponse tunnel(ApiRequest request) throws ApiException {
        String ip = request.parameter("ip");
        String portText = request.parameter("port");
        IpAddress guest;
        int port;
        try {
            guest = guestAddress(ip.contains(":") ? "[" + ip + "]" : ip);
            port = port(portText);
        } catch (IllegalArgumentException e) {
            throw new ApiException(500, "", "ip and port are mandatory");
        }
        return tunnels.to(guest, port);
    }

    /** The connection becomes a VM's channel: no byte of an answer, frames from here on in both directions. */
    private ApiResponse connect() throws ApiException {
        if (!network.takesConnections()) {
            throw new ApiException(404, "", "no VM is to come by /connect: it takes --vm connect:");
        }
        return ApiResponse.takeover((connection, early) -> connection
                .deregister()
                .addListener(done -> {
                    if (done.isSuccess()) {
                        connection.attr(ControlServer.GIVEN_AWAY).set(true);
                        network.hand(connection, early);
                    } else {
                        connection.close();
                    }
                }));
    }
}
