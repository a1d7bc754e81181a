package dev.slipway;

import dev.slipway.SettingSource.Value;
import dev.slipway.dhcp.DhcpSettings;
import dev.slipway.ethernet.ChannelScheme;
import dev.slipway.ethernet.Faults;
import dev.slipway.ethernet.InheritedSocket;
import dev.slipway.ethernet.Offload;
import dev.slipway.ethernet.TcpAddress;
import dev.slipway.ethernet.Transport;
import dev.slipway.ethernet.VmChannel;
import dev.slipway.host.ResolverSettings;
import dev.slipway.posix.TapDevice;
import dev.slipway.proxy.ProxySettings;
import dev.slipway.publish.PortRange;
import dev.slipway.seam.Ipv6Settings;
import dev.slipway.seam.ServiceRelay;
import dev.slipway.seam.StackSettings;
import dev.slipway.seam.StackSettings.Limits;
import dev.slipway.seam.UdpNat;
import dev.slipway.tap.TapAddress;
import dev.slipway.wire.IpAddress;
import dev.slipway.wire.Ipv6Packet;
import dev.slipway.wire.MacAddress;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * Everything {@code run} is told, by flags and by a file, checked as a whole.
 *
 * @param vms where each VM connects, at least one
 * @param api the control API's socket
 * @param published ports to publish
 * @param publishAddress where published ports listen that name no address; empty: localhost
 * @param preserveSource whether guests see the addresses of clients of published ports
 * @param guestApi whether guests may publish their own ports
 * @param docker the socket of a container engine whose containers' ports are published
 * @param notification the socket that is told of guests that come and go
 * @param stack addresses, MTU and names of each VM's network
 * @param resolver where the guests' names come from
 * @param dhcp what DHCP is told beside the addresses
 * @param leaseFile where leases are kept over a restart
 * @param hostAccess whether guests reach the host's localhost by the host address
 * @param allowLinkLocal whether guests may reach 169.254.0.0/16
 * @param transport how the host is asked for events; empty: the best there is
 * @param capture where the frames of the only VM are captured to
 * @param faults what is to go wrong on purpose
 * @param proxies which flows go through a proxy
 * @param isolated whether the VMs do not see each other
 * @param sandbox what the process takes from itself
 * @param logLevel {@code error} to {@code trace}
 * @param places where each path of a socket or file was written, for error messages
 */
public record Settings(
        List<VmChannel> vms,
        Optional<Path> api,
        List<PortRange> published,
        Optional<IpAddress> publishAddress,
        boolean preserveSource,
        boolean guestApi,
        Optional<Path> docker,
        Optional<Path> notification,
        StackSettings stack,
        ResolverSettings resolver,
        DhcpSettings dhcp,
        Optional<Path> leaseFile,
        boolean hostAccess,
        boolean allowLinkLocal,
        Optional<Transport> transport,
        Optional<Path> capture,
        Optional<Faults> faults,
        ProxySettings proxies,
        boolean isolated,
        Sandbox.Mode sandbox,
        String logLevel,
        Map<String, String> places) {

    private static final List<String> TRANSPORTS = List.of("auto", "native", "epoll", "kqueue", "nio");
    private static final List<String> ON_OFF_AUTO = List.of("on", "off", "auto");
    private static final List<String> UDP_NATS = List.of("full-cone", "symmetric");
    private static final List<String> SANDBOXES = List.of("auto", "off", "strict");
    private static final List<String> LOG_LEVELS = List.of("error", "warn", "info", "debug", "trace");
    private static final List<String> STREAM_PROTOCOLS = List.of("qemu", "gvproxy", "hyperkit", "vpnkit");

    public Settings {
        vms = List.copyOf(vms);
        published = List.copyOf(published);
        places = Map.copyOf(places);
    }

    static Settings from(SettingSource source) throws SettingsException {
        List<VmChannel> vms = vms(source);
        StackSettings stack = stack(source);
        return new Settings(
                vms,
                api(source, vms),
                published(source, stack, vms.size()),
                publishAddress(source),
                !isOn(source, SettingKey.NO_PRESERVE_SOURCE),
                isOn(source, SettingKey.GUEST_API),
                docker(source, vms.size()),
                notification(source),
                stack,
                new NameSettings(source, stack).resolver(),
                new NameSettings(source, stack).dhcp(),
                new NameSettings(source, stack).leaseFile(),
                !isOn(source, SettingKey.NO_HOST_ACCESS),
                isOn(source, SettingKey.ALLOW_LINK_LOCAL),
                transport(source),
                capture(source, vms.size()),
                faults(source),
                ProxyOptions.from(source, System.getenv()),
                isOn(source, SettingKey.ISOLATE),
                Sandbox.Mode.valueOf(
                        choice(source, SettingKey.SANDBOX, SANDBOXES, "auto").toUpperCase(Locale.ROOT)),
                choice(source, SettingKey.LOG_LEVEL, LOG_LEVELS, "info"),
                places(source, vms));
    }

    private static List<VmChannel> vms(SettingSource source) throws SettingsException {
        List<VmChannel> vms = new ArrayList<>();
        for (Value value : source.all(SettingKey.VM.key())) {
            VmChannel vm = vm(value);
            for (VmChannel other : vms) {
                if (isSame(other, vm)) {
                    throw value.wrong("two VMs on one " + what(vm.scheme()) + ": " + vm.place());
                }
            }
            vms.add(isOn(source, SettingKey.ONE_OFF) ? vm.onlyOnce() : vm);
        }
        if (vms.isEmpty()) {
            throw new SettingsException("--vm", "at least one VM is needed, for example --vm qemu:/tmp/vm.sock");
        }
        return vms;
    }

    private static String what(ChannelScheme scheme) {
        return switch (scheme) {
            case TAP -> "device";
            case QEMU_TCP -> "port";
            case FD, STDIO -> "descriptor";
            case CONNECT -> "name";
            default -> "socket";
        };
    }

    private static boolean isSame(VmChannel one, VmChannel other) {
        if (one.scheme().isSocketFile() && other.scheme().isSocketFile()) {
            return place(one.path()).equals(place(other.path()));
        }
        if (one.scheme() == ChannelScheme.TAP && other.scheme() == ChannelScheme.TAP) {
            return TapAddress.parse(one.path()).equals(TapAddress.parse(other.path()));
        }
        return one.scheme() == other.scheme()
                && (one.scheme() == ChannelScheme.STDIO
                        || one.place().split("/")[0].equals(other.place().split("/")[0]));
    }

    private static Map<String, String> places(SettingSource source, List<VmChannel> vms) throws SettingsException {
        Map<String, String> places = new HashMap<>();
        for (SettingKey key : List.of(SettingKey.CAPTURE, SettingKey.API)) {
            Value value = source.one(key.key());
            if (value != null) {
                places.put(path(value, value.text()).toString(), value.place());
            }
        }
        List<Value> values = source.all(SettingKey.VM.key());
        for (int i = 0; i < vms.size(); i++) {
            places.put(vms.get(i).place(), values.get(i).place());
            places.put(vms.get(i).toString(), values.get(i).place());
        }
        return places;
    }

    private static VmChannel vm(Value value) throws SettingsException {
        int colon = value.text().indexOf(':');
        String scheme = colon < 0 ? "" : value.text().substring(0, colon);
        if (colon < 1 || scheme.contains("/")) {
            throw value.wrong("'" + value.text() + "' is not SCHEME:PATH, for example qemu:/tmp/vm.sock");
        }
        String[] words = scheme.split("\\+", 2);
        Optional<ChannelScheme> known = ChannelScheme.of(words[0]);
        if (known.isEmpty()) {
            throw value.wrong("unknown scheme '" + words[0] + "' (supported: " + ChannelScheme.labels() + ")");
        }
        String place = value.text().substring(colon + 1);
        return new VmChannel(
                known.get(),
                words.length < 2 ? Offload.NONE : offload(value, known.get(), words[1], place),
                switch (known.get()) {
                    case QEMU, HYPERKIT, VPNKIT, DGRAM, VFKIT, BESS, VHOST_USER ->
                        path(value, place).toString();
                    case QEMU_TCP -> tcp(value, place);
                    case CONNECT -> connection(value, place);
                    case FD -> descriptor(value, place);
                    case STDIO -> protocol(value, place.isEmpty() ? "gvproxy" : place);
                    case TAP -> device(value, path(value, place)).toString();
                });
    }

    private static Offload offload(Value value, ChannelScheme scheme, String word, String place)
            throws SettingsException {
        Optional<Offload> offload = Offload.of(word);
        if (offload.isEmpty()) {
            throw value.wrong("'" + word + "' is none of " + Offload.labels());
        }
        if (!scheme.takesOffload() || scheme == ChannelScheme.FD && place.contains("/") && !place.endsWith("/qemu")) {
            throw value.wrong(
                    "'+" + word + "' needs packets or QEMU's framing: qemu, qemu-tcp, dgram, vfkit, bess, or fd"
                            + " with one of them");
        }
        return offload.get();
    }

    private static String descriptor(Value value, String text) throws SettingsException {
        String[] words = text.split("/", 2);
        try {
            InheritedSocket.parse(words[0]);
        } catch (IllegalArgumentException e) {
            throw value.wrong(e.getMessage());
        }
        return words.length < 2 ? text : words[0] + "/" + protocol(value, words[1]);
    }

    private static String connection(Value value, String text) throws SettingsException {
        String[] words = text.split("/", 2);
        if (!words[0].matches("[A-Za-z0-9._-]{0,64}")) {
            throw value.wrong("'" + words[0] + "' is no name: letters, digits, dots, hyphens, 64 at most");
        }
        return words.length < 2 ? text : words[0] + "/" + protocol(value, words[1]);
    }

    private static String protocol(Value value, String word) throws SettingsException {
        if (!STREAM_PROTOCOLS.contains(word)) {
            throw value.wrong("'" + word + "' is none of " + String.join(", ", STREAM_PROTOCOLS));
        }
        return word;
    }

    /** HOST:PORT in full, HOST being a literal address. */
    private static String tcp(Value value, String text) throws SettingsException {
        try {
            InetSocketAddress address = TcpAddress.parse(text);
            return TcpAddress.toString(address);
        } catch (IllegalArgumentException e) {
            throw value.wrong(e.getMessage());
        }
    }

    private static Path device(Value value, Path place) throws SettingsException {
        String device = TapAddress.parse(place).device();
        if (device.contains("/") || device.getBytes(StandardCharsets.UTF_8).length > TapDevice.MAX_NAME) {
            throw value.wrong("'" + device + "' is no interface's name (at most " + TapDevice.MAX_NAME
                    + " bytes, no slash); a TAP is NETNS[/IF]");
        }
        return place;
    }

    private static Path path(Value value, String text) throws SettingsException {
        if (text.isEmpty()) {
            throw value.wrong("the path is empty");
        }
        try {
            return Path.of(text);
        } catch (InvalidPathException e) {
            throw value.wrong("not a path: " + e.getReason());
        }
    }

    private static Optional<Path> path(SettingSource source, SettingKey key) throws SettingsException {
        Value value = source.one(key.key());
        return value == null ? Optional.empty() : Optional.of(path(value, value.text()));
    }

    /** The file that a path names, whatever links its folder is reached by. */
    private static Path place(Path path) {
        Path absolute = path.toAbsolutePath().normalize();
        try {
            return absolute.getParent().toRealPath().resolve(absolute.getFileName());
        } catch (IOException | NullPointerException e) {
            return absolute;
        }
    }

    private static Optional<Path> api(SettingSource source, List<VmChannel> vms) throws SettingsException {
        Optional<Path> api = path(source, SettingKey.API);
        for (VmChannel vm : vms) {
            if (api.isPresent()
                    && vm.scheme().isSocketFile()
                    && place(api.get()).equals(place(vm.path()))) {
                throw source.one(SettingKey.API.key()).wrong("is a VM's socket as well: " + api.get());
            }
        }
        return api;
    }

    private static Optional<IpAddress> publishAddress(SettingSource source) throws SettingsException {
        Value value = source.one(SettingKey.PUBLISH_ADDRESS.key());
        try {
            return value == null ? Optional.empty() : Optional.of(PortRange.address(value.text()));
        } catch (IllegalArgumentException e) {
            throw value.wrong(e.getMessage());
        }
    }

    private static Optional<Path> docker(SettingSource source, int vms) throws SettingsException {
        Value value = source.one(SettingKey.DOCKER.key());
        if (value == null) {
            return Optional.empty();
        }
        if (vms > 1) {
            throw value.wrong("an engine's VM must be the only one, but there are " + vms);
        }
        return Optional.of(unixUrl(value));
    }

    private static Optional<Path> notification(SettingSource source) throws SettingsException {
        Value value = source.one(SettingKey.NOTIFICATION.key());
        return value == null ? Optional.empty() : Optional.of(unixUrl(value));
    }

    private static Path unixUrl(Value value) throws SettingsException {
        if (!value.text().startsWith("unix://") || value.text().length() == "unix://".length()) {
            throw value.wrong("'" + value.text() + "' is not unix:///PATH");
        }
        return path(value, value.text().substring("unix://".length()));
    }

    private static List<PortRange> published(SettingSource source, StackSettings stack, int vms)
            throws SettingsException {
        List<PortRange> published = new ArrayList<>();
        for (Value value : source.all(SettingKey.PUBLISH.key())) {
            PortRange port;
            try {
                port = PortRange.parse(value.text());
            } catch (IllegalArgumentException e) {
                throw value.wrong(e.getMessage());
            }
            if (port.vm().isEmpty() && vms > 1) {
                throw value.wrong(
                        "'" + value.text() + "' names no VM, but there are " + vms + "; add @ADDRESS or @NAME");
            }
            checkGuest(value, port, stack);
            for (PortRange other : published) {
                if (other.clashesWith(port)) {
                    throw value.wrong(
                            "'" + value.text() + "' takes a port of the host that '" + other + "' has already");
                }
            }
            published.add(port);
        }
        return published;
    }

    private static void checkGuest(Value value, PortRange port, StackSettings stack) throws SettingsException {
        if (port.vm().matches("[0-9.]+") && !stack.contains(address(value, port.vm()))) {
            throw value.wrong(port.vm() + " is outside the guest's network " + cidr(stack));
        }
        if (port.vm().contains(":") && !stack.ipv6().enabled()) {
            throw value.wrong("IPv6 is off, and so nobody is at " + port.vm());
        }
        if (port.vm().contains(":")
                && port.guest().orElseThrow().high() != stack.ipv6().prefix()) {
            throw value.wrong(port.vm() + " is outside the guest's network "
                    + new IpAddress(stack.ipv6().prefix(), 0) + "/64");
        }
    }

    private static StackSettings stack(SettingSource source) throws SettingsException {
        StackSettings defaults = StackSettings.defaults();
        Value subnet = source.one(SettingKey.SUBNET.key());
        int prefix = defaults.prefixLength();
        int network = defaults.network();
        if (subnet != null) {
            prefix = prefix(subnet);
            network = network(subnet, prefix);
        }
        int last = network | ~(-1 << (32 - prefix));
        int gateway = ownAddress(source, SettingKey.GATEWAY_IP, network + 1, network, last);
        int host = ownAddress(source, SettingKey.HOST_IP, last - 1, network, last);
        if (gateway == host) {
            Value value = source.one(SettingKey.HOST_IP.key());
            value = value == null ? source.one(SettingKey.GATEWAY_IP.key()) : value;
            throw value.wrong("gateway and host cannot both be " + IpAddress.toString(host));
        }
        int mtu = mtu(source);
        return new StackSettings(
                network,
                prefix,
                gateway,
                host,
                network + 3,
                gatewayMac(source, defaults.gatewayMac()),
                mtu,
                domain(source.one(SettingKey.DOMAIN.key()), defaults.domain()),
                searchDomains(source),
                choice(source, SettingKey.UDP_NAT, UDP_NATS, "full-cone").equals("symmetric")
                        ? UdpNat.SYMMETRIC
                        : UdpNat.FULL_CONE,
                ipv6(source, mtu),
                relays(source),
                limits(source, defaults.limits()));
    }

    private static long gatewayMac(SettingSource source, long otherwise) throws SettingsException {
        Value value = source.one(SettingKey.GATEWAY_MAC.key());
        if (value == null) {
            return otherwise;
        }
        try {
            long mac = MacAddress.parse(value.text());
            if (MacAddress.isGroup(mac) || mac == 0) {
                throw value.wrong(value.text() + " is no card's address");
            }
            return mac;
        } catch (IllegalArgumentException e) {
            throw value.wrong(e.getMessage());
        }
    }

    private static Limits limits(SettingSource source, Limits defaults) throws SettingsException {
        return new Limits(
                limit(source, SettingKey.MAX_TCP_FLOWS, defaults.tcpFlows()),
                limit(source, SettingKey.MAX_HALF_OPEN, defaults.tcpHalfOpen()),
                limit(source, SettingKey.MAX_UDP_FLOWS, defaults.udpFlows()),
                defaults.reassemblyBytes(),
                defaults.outOfOrderBytes(),
                defaults.outOfOrderTotalBytes(),
                limit(source, SettingKey.MAX_DNS_QUERIES, defaults.dnsQueries()),
                limit(source, SettingKey.MAX_CONNECT_RATE, defaults.connectsPerSecond()));
    }

    private static int limit(SettingSource source, SettingKey key, int otherwise) throws SettingsException {
        Value value = source.one(key.key());
        if (value == null) {
            return otherwise;
        }
        if (!value.text().matches("[0-9]{1,7}") || Integer.parseInt(value.text()) < 1) {
            throw value.wrong("'" + value.text() + "' is not a number from 1 to 9999999");
        }
        return Integer.parseInt(value.text());
    }

    private static Ipv6Settings ipv6(SettingSource source, int mtu) throws SettingsException {
        String state = choice(source, SettingKey.IPV6, ON_OFF_AUTO, "auto");
        boolean on = state.equals("on");
        if (on && mtu < Ipv6Packet.MIN_MTU) {
            throw source.one(SettingKey.IPV6.key())
                    .wrong("IPv6 needs an MTU of " + Ipv6Packet.MIN_MTU + " at least, not " + mtu);
        }
        if (state.equals("off") || mtu < Ipv6Packet.MIN_MTU) {
            return Ipv6Settings.OFF;
        }
        return (on ? Ipv6Settings.DEFAULTS : Ipv6Settings.AUTO).at(Ipv6Prefix.free(Ipv6Prefix.ofThisHost()));
    }

    private static int prefix(Value subnet) throws SettingsException {
        int slash = subnet.text().indexOf('/');
        String digits = slash < 0 ? "" : subnet.text().substring(slash + 1);
        if (!digits.matches("[0-9]{1,3}")) {
            throw subnet.wrong("'" + subnet.text() + "' is not a network like 192.168.65.0/24");
        }
        int prefix = Integer.parseInt(digits);
        if (prefix < 8 || prefix > 29) {
            throw subnet.wrong("a prefix of /" + prefix + " cannot be used, it must be /8 to /29");
        }
        return prefix;
    }

    private static int network(Value subnet, int prefix) throws SettingsException {
        int address = address(subnet, subnet.text().substring(0, subnet.text().indexOf('/')));
        int network = address & -1 << (32 - prefix);
        if (network != address) {
            throw subnet.wrong("'" + subnet.text() + "' is an address in a network; the network is "
                    + IpAddress.toString(network) + "/" + prefix);
        }
        int first = network >>> 24;
        if (first == 0 || first == 127 || first >= 224 || network >>> 16 == 0xA9FE) {
            throw subnet.wrong("'" + subnet.text() + "' is reserved and cannot be a guest's network");
        }
        return network;
    }

    private static int address(Value value, String text) throws SettingsException {
        try {
            return IpAddress.parseV4(text);
        } catch (IllegalArgumentException e) {
            throw value.wrong(e.getMessage());
        }
    }

    private static int ownAddress(SettingSource source, SettingKey key, int otherwise, int network, int broadcast)
            throws SettingsException {
        Value value = source.one(key.key());
        if (value == null) {
            return otherwise;
        }
        int address = address(value, value.text());
        if (Integer.compareUnsigned(address, network) < 0 || Integer.compareUnsigned(address, broadcast) > 0) {
            throw value.wrong(value.text() + " is outside the subnet " + IpAddress.toString(network) + " to "
                    + IpAddress.toString(broadcast));
        }
        if (address == network || address == broadcast) {
            throw value.wrong(
                    value.text() + " is the subnet's " + (address == network ? "own" : "broadcast") + " address");
        }
        return address;
    }

    private static int mtu(SettingSource source) throws SettingsException {
        Value value = source.one(SettingKey.MTU.key());
        if (value == null) {
            return StackSettings.defaults().mtu();
        }
        if (!value.text().matches("-?[0-9]{1,18}")) {
            throw value.wrong("'" + value.text() + "' is not a whole number");
        }
        long mtu = Long.parseLong(value.text());
        if (mtu < StackSettings.MIN_MTU || mtu > StackSettings.MAX_MTU) {
            throw value.wrong(
                    mtu + " is out of range, it must be " + StackSettings.MIN_MTU + " to " + StackSettings.MAX_MTU);
        }
        return (int) mtu;
    }

    private static Set<ServiceRelay> relays(SettingSource source) throws SettingsException {
        Set<ServiceRelay> relays = EnumSet.noneOf(ServiceRelay.class);
        for (Value value : source.all(SettingKey.RELAY.key())) {
            ServiceRelay named = null;
            for (ServiceRelay relay : ServiceRelay.values()) {
                named = relay.label().equals(value.text()) ? relay : named;
            }
            if (named == null) {
                throw value.wrong("'" + value.text() + "' is none of mdns, ssdp");
            }
            if (choice(source, SettingKey.UDP_NAT, UDP_NATS, "full-cone").equals("symmetric")) {
                throw value.wrong("answers come from whom the guest has not sent to: not with --udp-nat symmetric");
            }
            relays.add(named);
        }
        return relays;
    }

    private static List<String> searchDomains(SettingSource source) throws SettingsException {
        List<String> domains = new ArrayList<>();
        for (Value value : source.all(SettingKey.SEARCH_DOMAIN.key())) {
            domains.add(domain(value, ""));
        }
        return domains;
    }

    private static String domain(Value value, String otherwise) throws SettingsException {
        if (value == null) {
            return otherwise;
        }
        String label = "[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?";
        if (value.text().length() > 253 || !value.text().matches(label + "(\\." + label + ")*\\.?")) {
            throw value.wrong("'" + value.text() + "' is not a domain name");
        }
        return value.text();
    }

    private static Optional<Transport> transport(SettingSource source) throws SettingsException {
        String chosen = choice(source, SettingKey.TRANSPORT, TRANSPORTS, "auto");
        if (chosen.equals("auto")) {
            return Optional.empty();
        }
        Transport transport = Transport.valueOf(chosen.toUpperCase(Locale.ROOT));
        if (!transport.isAvailable()) {
            throw source.one(SettingKey.TRANSPORT.key()).wrong(chosen + " is not available on this platform");
        }
        return Optional.of(transport);
    }

    private static Optional<Path> capture(SettingSource source, int vms) throws SettingsException {
        Optional<Path> capture = path(source, SettingKey.CAPTURE);
        if (capture.isPresent() && vms > 1) {
            throw source.one(SettingKey.CAPTURE.key()).wrong("one file cannot hold the frames of " + vms + " VMs");
        }
        if (capture.isPresent()) {
            Path folder = capture.get().toAbsolutePath().getParent();
            if (folder == null || !Files.isDirectory(folder)) {
                throw source.one(SettingKey.CAPTURE.key()).wrong("the folder " + folder + " is not there");
            }
            if (!Files.isWritable(folder) || Files.isDirectory(capture.get())) {
                throw source.one(SettingKey.CAPTURE.key()).wrong("'" + capture.get() + "' cannot be written");
            }
        }
        return capture;
    }

    private static Optional<Faults> faults(SettingSource source) throws SettingsException {
        Value value = source.one(SettingKey.FAULT.key());
        try {
            return value == null ? Optional.empty() : Optional.of(Faults.parse(value.text()));
        } catch (IllegalArgumentException e) {
            throw value.wrong(e.getMessage());
        }
    }

    private static boolean isOn(SettingSource source, SettingKey key) throws SettingsException {
        Value value = source.one(key.key());
        return value != null && value.text().equalsIgnoreCase("true");
    }

    static String choice(SettingSource source, SettingKey key, List<String> choices, String otherwise)
            throws SettingsException {
        Value value = source.one(key.key());
        if (value == null) {
            return otherwise;
        }
        String chosen = value.text().toLowerCase(Locale.ROOT);
        if (!choices.contains(chosen)) {
            throw value.wrong("'" + value.text() + "' is none of " + String.join(", ", choices));
        }
        return chosen;
    }

    /** The guest's network in prefix notation. */
    static String cidr(StackSettings stack) {
        return IpAddress.toString(stack.network()) + "/" + stack.prefixLength();
    }
}
