package dev.slipway.control;

import dev.slipway.ProxyChanges;
import dev.slipway.ethernet.Transport;
import dev.slipway.event.Events;
import dev.slipway.fuzz.Input;
import dev.slipway.host.HostPolicy;
import dev.slipway.host.NetworkSettings;
import dev.slipway.host.VmNetwork;
import dev.slipway.proxy.ProxySettings;
import dev.slipway.publish.PublishedPorts;
import dev.slipway.seam.StackSettings;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.netty.channel.embedded.EmbeddedChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * Bytes of a client of the control API, as a whole or in two pieces, to all of its endpoints on a running network; ports are
 * taken back already, so that none is opened. No answer says that there is a defect.
 */
public final class ApiRequestsFuzz {

    private static final Status STATUS = new Status("1", 2, "off", List.of(), List.of());
    private static final String[] PATHS = {
        "/v1/status",
        "/v1/ports",
        "/v1/flows",
        "/v1/proxies",
        "/v1/events",
        "/v1/openapi.json",
        "/services/forwarder/all",
        "/services/forwarder/expose",
        "/services/forwarder/unexpose",
        "/services/dhcp/leases",
        "/services/dns/all",
        "/services/dns/add",
        "/cam",
        "/stats",
        "/tunnel",
        "/connect",
    };
    private static final String[] METHODS = {"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "post"};

    private static List<ControlApi> apis;
    private static ProxySettings proxies = ProxySettings.none();

    private ApiRequestsFuzz() {}

    private static synchronized List<ControlApi> apis() throws Exception {
        if (apis == null) {
            Path folder = Files.createTempDirectory("slipway-fuzz");
            StackSettings settings = StackSettings.defaults();
            VmNetwork network = VmNetwork.start(new NetworkSettings(
                    settings,
                    HostPolicy.defaults(),
                    folder.resolve("resolv.conf"),
                    Transport.best(),
                    List.of(folder.resolve("vm.sock"))));
            PublishedPorts ports = new PublishedPorts(
                    network.controlLoop(),
                    network.transport(),
                    network::sessions,
                    name -> 0,
                    Optional.empty(),
                    true,
                    new Events());
            ports.close();
            ControlCounters counters = new ControlCounters();
            apis = List.of(
                    new SlipwayApi(() -> STATUS, ports, network, network.events(), counters),
                    new ProxyApi(() -> proxies, ApiRequestsFuzz::change),
                    new GvproxyApi(ports, network, settings, counters));
        }
        return apis;
    }

    private static void change(Map<String, Object> fields, boolean whole) {
        proxies = ProxyChanges.after(fields, whole ? ProxySettings.none() : proxies);
    }

    public static void fuzzerTestOneInput(byte[] data) throws Exception {
        Input input = new Input(data);
        proxies = ProxySettings.none();
        EmbeddedChannel channel = new EmbeddedChannel();
        ControlServer.serve(channel, new Waiting(ControlServer.MAX_CONNECTIONS), apis(), new ControlCounters());
        int kind = input.u8();
        int cut = input.u8();
        while (input.hasMore() && channel.isOpen()) {
            byte[] bytes = kind % 8 == 0 ? input.rest() : request(input);
            int middle = Math.min(cut, bytes.length);
            channel.writeInbound(Unpooled.copiedBuffer(bytes, 0, middle));
            if (channel.isOpen()) {
                channel.writeInbound(Unpooled.copiedBuffer(bytes, middle, bytes.length - middle));
            }
        }
        channel.runPendingTasks();
        for (Object out = channel.readOutbound(); out != null; out = channel.readOutbound()) {
            if (out instanceof ByteBuf answer) {
                String text = answer.toString(StandardCharsets.ISO_8859_1);
                answer.release();
                if (text.contains("\"code\":\"defect\"")) {
                    throw new AssertionError("a defect: " + text);
                }
            }
        }
        channel.finishAndReleaseAll();
        channel.checkException();
    }

    /** A request that is one, to an endpoint that there is, with a body and a query of the input's. */
    private static byte[] request(Input input) {
        String method = METHODS[input.u8() % METHODS.length];
        String path = PATHS[input.u8() % PATHS.length];
        byte[] query = input.bytes(input.u8() % 64);
        byte[] body = input.block();
        StringBuilder text = new StringBuilder(method + " " + path);
        if (query.length > 0) {
            text.append('?').append(new String(query, StandardCharsets.ISO_8859_1).replaceAll("[\\s\\x00]", "+"));
        }
        text.append(" HTTP/1.1\r\nHost: slipway\r\nContent-Length: ")
                .append(body.length)
                .append("\r\n\r\n");
        text.append(new String(body, StandardCharsets.ISO_8859_1));
        return text.toString().getBytes(StandardCharsets.ISO_8859_1);
    }
}
