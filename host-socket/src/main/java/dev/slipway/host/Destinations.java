package dev.slipway.host;

import dev.slipway.egress.Egress;
import dev.slipway.egress.EgressPolicy.Protocol;
import dev.slipway.proxy.DialPolicy;
import dev.slipway.seam.HostDatagrams.Verdict;
import dev.slipway.seam.HostStream.ConnectFailure;
import dev.slipway.seam.Ipv6Settings;
import dev.slipway.seam.StackSettings;
import dev.slipway.wire.IpAddress;
import java.net.NetworkInterface;
import java.util.Optional;

/**
 * Policy and translation, the one place for both: where an address that a guest named leads on the host, and by which
 * address the guest knows who answers.
 *
 * <p>Of what leads somewhere, a policy of the user's may forbid more ({@link Egress}).
 *
 * <p>It judges the address that is dialled, never a name: what a resolver answers is not filtered, so a name that
 * resolves to a forbidden address is refused here.
 *
 * <table>
 *   <caption>IPv4, the first row that fits</caption>
 *   <tr><td>the host address</td><td>127.0.0.1, or prohibited without host access</td></tr>
 *   <tr><td>the gateway</td><td>nothing listens there but the stack's own services</td></tr>
 *   <tr><td>another address of the guest's subnet</td><td>host unreachable</td></tr>
 *   <tr><td>a group whose service may be looked for</td><td>as it is, or prohibited without host access</td></tr>
 *   <tr><td>0/8, 127/8, 224/4, 240/4</td><td>host unreachable</td></tr>
 *   <tr><td>169.254/16</td><td>prohibited unless allowed</td></tr>
 *   <tr><td>an address of the host's own interfaces</td><td>as it is, or prohibited without host access</td></tr>
 *   <tr><td>all others</td><td>as they are</td></tr>
 * </table>
 *
 * An IPv4-mapped IPv6 address is the IPv4 address it holds ({@link IpAddress}), so {@code ::ffff:127.0.0.1} is refused
 * with 127/8.
 *
 * <table>
 *   <caption>IPv6, the first row that fits</caption>
 *   <tr><td>any, while the guest has no IPv6</td><td>network unreachable</td></tr>
 *   <tr><td>the host address</td><td>::1, or prohibited without host access</td></tr>
 *   <tr><td>the gateway, by either of its addresses</td><td>nothing listens there but the stack's own services</td></tr>
 *   <tr><td>a group whose service may be looked for</td><td>as it is, or prohibited without host access</td></tr>
 *   <tr><td>another address of the guest's prefix; ::/96, ff00::/8</td><td>host unreachable</td></tr>
 *   <tr><td>fe80::/10, fec0::/10, fd00:ec2::254 (metadata)</td><td>prohibited unless allowed</td></tr>
 *   <tr><td>6to4, NAT64, Teredo around an IPv4 address that leads nowhere or is forbidden</td><td>as that</td></tr>
 *   <tr><td>an address of the host's own interfaces</td><td>as it is, or prohibited without host access</td></tr>
 *   <tr><td>all others</td><td>as they are</td></tr>
 * </table>
 */
final class Destinations implements DialPolicy {

    /** Where a destination leads. */
    enum Way {
        /** To that address. */
        DIRECT,
        /** To 127.0.0.1, or ::1. */
        LOCALHOST,
        /** To the gateway, where nobody listens. */
        NOBODY_LISTENS,
        HOST_UNREACHABLE,
        NETWORK_UNREACHABLE,
        /** Nowhere, because the settings forbid it. */
        PROHIBITED
    }

    static final IpAddress LOCALHOST = IpAddress.ofV4(0x7F00_0001);
    static final IpAddress LOCALHOST6 = new IpAddress(0, 1);

    /** Where a cloud keeps a machine's secrets, on IPv6. */
    private static final IpAddress METADATA = new IpAddress(0xFD00_0EC2L << 32, 0x254);

    private final StackSettings settings;
    private final HostPolicy policy;
    private final HostInterfaces interfaces;
    private final IpAddress host;
    private final Egress egress;
    private final GroupInterface groupInterface = GroupInterface.ofThisHost();

    /** Without a policy of the user's. */
    Destinations(StackSettings settings, HostPolicy policy, HostInterfaces interfaces) {
        this(settings, policy, interfaces, Egress.open());
    }

    /** @param egress what of all that leads somewhere the user allows this VM */
    Destinations(StackSettings settings, HostPolicy policy, HostInterfaces interfaces, Egress egress) {
        this.egress = egress;
        this.settings = settings;
        this.policy = policy;
        this.interfaces = interfaces;
        this.host = IpAddress.ofV4(settings.host());
    }

    /**
     * Where a destination that the guest named leads, for what it wants there.
     *
     * @param port 0 for pings
     */
    Way judge(IpAddress destination, Protocol protocol, int port) {
        Way way = judge(destination);
        boolean leads = way == Way.DIRECT || way == Way.LOCALHOST;
        return leads && !egress.admits(destination, protocol, port) ? Way.PROHIBITED : way;
    }

    /** Whether a policy that may have changed still allows what was judged before. */
    boolean stillAdmits(IpAddress destination, Protocol protocol, int port) {
        return egress.stillAdmits(destination, protocol, port);
    }

    /** Where a destination that the guest named leads, whatever it wants there. */
    Way judge(IpAddress destination) {
        return destination.isV4() ? judgeV4(destination) : judgeV6(destination);
    }

    private Way judgeV4(IpAddress destination) {
        int address = destination.v4();
        if (settings.host() != 0 && address == settings.host()) {
            return policy.hostAccess() ? Way.LOCALHOST : Way.PROHIBITED;
        }
        if (address == settings.gateway()) {
            return Way.NOBODY_LISTENS;
        }
        if (settings.relayOf(address) != null) {
            // The host is one of the group, and would answer.
            return policy.hostAccess() ? Way.DIRECT : Way.PROHIBITED;
        }
        if (settings.contains(address) || isNowhere(address)) {
            return Way.HOST_UNREACHABLE;
        }
        if (isLinkLocal(address) && !policy.allowLinkLocal()) {
            return Way.PROHIBITED;
        }
        if (!policy.hostAccess() && interfaces.contains(destination)) {
            return Way.PROHIBITED;
        }
        return Way.DIRECT;
    }

    private Way judgeV6(IpAddress destination) {
        Ipv6Settings network = settings.ipv6();
        if (!network.enabled()) {
            return Way.NETWORK_UNREACHABLE;
        }
        if (destination.equals(network.host())) {
            return policy.hostAccess() ? Way.LOCALHOST : Way.PROHIBITED;
        }
        if (network.isOwn(destination.high(), destination.low())) {
            return Way.NOBODY_LISTENS;
        }
        if (settings.relayOf(destination.high(), destination.low()) != null) {
            return policy.hostAccess() ? Way.DIRECT : Way.PROHIBITED;
        }
        long high = destination.high();
        boolean nowhere = destination.isGroup() || high == 0 && destination.low() >>> 32 == 0;
        if (nowhere || high == network.prefix()) {
            return Way.HOST_UNREACHABLE;
        }
        boolean local = isLinkLocal(destination) || high >>> 54 == 0xFEC0 >>> 6 || destination.equals(METADATA);
        if (local && !policy.allowLinkLocal()) {
            return Way.PROHIBITED;
        }
        IpAddress within = embeddedV4(destination);
        if (within != null) {
            Way way = judgeV4(within);
            if (way != Way.DIRECT) {
                return way == Way.PROHIBITED ? way : Way.HOST_UNREACHABLE;
            }
        }
        return !policy.hostAccess() && interfaces.contains(destination) ? Way.PROHIBITED : Way.DIRECT;
    }

    /** The IPv4 address to which a gateway of the network would carry what is sent to an IPv6 address, or null. */
    private static IpAddress embeddedV4(IpAddress address) {
        long high = address.high();
        if (high >>> 48 == 0x2002) {
            return IpAddress.ofV4((int) (high >>> 16));
        }
        boolean nat64 = high == 0x0064_FF9B_0000_0000L && address.low() >>> 32 == 0 || high >>> 16 == 0x0064_FF9B_0001L;
        if (nat64) {
            return IpAddress.ofV4((int) address.low());
        }
        return high >>> 32 == 0x2001_0000L ? IpAddress.ofV4((int) ~address.low()) : null;
    }

    /** Why a connection may not go such a way, or {@code null} if it may. */
    static ConnectFailure refusal(Way way) {
        return switch (way) {
            case DIRECT, LOCALHOST -> null;
            case NOBODY_LISTENS -> ConnectFailure.REFUSED;
            case HOST_UNREACHABLE -> ConnectFailure.HOST_UNREACHABLE;
            case NETWORK_UNREACHABLE -> ConnectFailure.NETWORK_UNREACHABLE;
            case PROHIBITED -> ConnectFailure.PROHIBITED;
        };
    }

    /** Why a datagram may not go such a way, or {@code null} if it may. */
    static Verdict refusalOfDatagram(Way way) {
        return switch (way) {
            case DIRECT, LOCALHOST -> null;
            case NOBODY_LISTENS -> Verdict.PORT_UNREACHABLE;
            case HOST_UNREACHABLE -> Verdict.HOST_UNREACHABLE;
            case NETWORK_UNREACHABLE -> Verdict.NETWORK_UNREACHABLE;
            case PROHIBITED -> Verdict.PROHIBITED;
        };
    }

    /** The gateway by its address of the family of another. */
    IpAddress gatewayFor(IpAddress other) {
        return settings.gatewayFor(other);
    }

    /** The address to dial for a destination that leads somewhere. */
    IpAddress onHost(IpAddress destination, Way way) {
        if (way != Way.LOCALHOST) {
            return destination;
        }
        return destination.isV4() ? LOCALHOST : LOCALHOST6;
    }

    // ---- for the proxies

    @Override
    public Optional<ConnectFailure> refusal(IpAddress destination, int port) {
        return Optional.ofNullable(refusal(judge(destination, Protocol.TCP, port)));
    }

    @Override
    public boolean admitsName(String name, int port) {
        return egress.admitsName(name, Protocol.TCP, port);
    }

    @Override
    public boolean asksForName(IpAddress destination, int port) {
        return egress.asksForName(destination, Protocol.TCP, port);
    }

    @Override
    public boolean admitsNameless() {
        return egress.admitsNameless();
    }

    @Override
    public IpAddress onHost(IpAddress destination) {
        return onHost(destination, judge(destination));
    }

    @Override
    public boolean isNear(IpAddress destination) {
        return judge(destination) != Way.DIRECT || interfaces.contains(destination);
    }

    @Override
    public ConnectFailure failureOf(Throwable cause) {
        return Failures.ofConnect(cause);
    }

    /**
     * By which address the guest knows a sender.
     *
     * @return the address; {@code null} if the guest must not hear of it: the host's localhost without host access, or
     *     a stranger whose address is one of the guest's own subnet
     */
    IpAddress seenByGuest(IpAddress source) {
        if (!source.isV4()) {
            return seenV6(source);
        }
        int address = source.v4();
        if (address >>> 24 == 127) {
            return policy.hostAccess() && settings.host() != 0 ? host : null;
        }
        return settings.contains(address) ? null : source;
    }

    /**
     * By which address the guest knows who answers it after it has asked a group, where a neighbour of the host answers by
     * its link-local address of IPv6. That of the router on the guest's own link is none.
     */
    IpAddress answererSeenByGuest(IpAddress source) {
        boolean neighbour =
                !source.isV4() && isLinkLocal(source) && settings.ipv6().enabled();
        if (!neighbour) {
            return seenByGuest(source);
        }
        return settings.ipv6().isOwn(source.high(), source.low()) ? null : source;
    }

    /** The host's interface by which groups of IPv6 are asked; empty for the kernel's choice. */
    Optional<NetworkInterface> groupInterface() {
        return groupInterface.get();
    }

    /** The number of that interface, or 0. */
    int groupInterfaceIndex() {
        Optional<NetworkInterface> by = groupInterface.get();
        return by.isPresent() ? by.get().getIndex() : 0;
    }

    /**
     * By which address the guest is to know a client of a published port: its own where that is of the family of the
     * guest's and the guest can tell it from its own network, else the gateway's.
     */
    IpAddress clientSeenByGuest(IpAddress client, IpAddress guest) {
        boolean own = client.isV4() == guest.isV4() && (client.isV4() ? isOther(client.v4()) : isOther(client));
        return own ? client : settings.gatewayFor(guest);
    }

    private boolean isOther(int address) {
        return !settings.contains(address) && !isNowhere(address);
    }

    /** Whether an IPv6 address is a unicast one of neither the guest's link nor this host alone (RFC 4291, section 2.4). */
    private boolean isOther(IpAddress address) {
        long high = address.high();
        return high != settings.ipv6().prefix() && high != 0 && !isLinkLocal(address) && !address.isGroup();
    }

    private IpAddress seenV6(IpAddress source) {
        Ipv6Settings network = settings.ipv6();
        if (!network.enabled()) {
            return null;
        }
        if (source.equals(LOCALHOST6)) {
            return policy.hostAccess() ? network.host() : null;
        }
        return isLinkLocal(source) || source.high() == network.prefix() ? null : source;
    }

    /** "This network", loopback, multicast, reserved and broadcast (RFC 6890, section 2.2.2). */
    private static boolean isNowhere(int address) {
        int first = address >>> 24;
        return first == 0 || first == 127 || first >= 224;
    }

    private static boolean isLinkLocal(IpAddress v6) {
        return v6.high() >>> 54 == 0xFE80 >>> 6;
    }

    private static boolean isLinkLocal(int address) {
        return address >>> 16 == 0xA9FE;
    }
}
