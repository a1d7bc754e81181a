package dev.slipway;

import dev.slipway.control.Status;
import dev.slipway.dhcp.LeaseCounts;
import dev.slipway.egress.EgressPolicy;
import dev.slipway.ethernet.LinkCounters;
import dev.slipway.ethernet.SocketPathException;
import dev.slipway.ethernet.Transport;
import dev.slipway.host.HostCounters;
import dev.slipway.host.HostPolicy;
import dev.slipway.host.MemoryLimits;
import dev.slipway.host.NetworkSettings;
import dev.slipway.host.ResolverCounters;
import dev.slipway.host.VmNetwork;
import dev.slipway.host.VmSession;
import dev.slipway.lan.SwitchCounters;
import dev.slipway.proxy.HostPatterns;
import dev.slipway.proxy.ProxyCounters;
import dev.slipway.proxy.ProxySettings;
import dev.slipway.seam.DropCounters;
import dev.slipway.seam.StackSettings;
import dev.slipway.seam.StackSettings.Limits;
import dev.slipway.tcp.TcpCounters;
import dev.slipway.wire.DropReason;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import org.slf4j.LoggerFactory;

/** The VMs that {@code run} and {@code demo} serve, as the settings say, and what is to be told of them. */
final class RunningNetwork implements AutoCloseable {

    private static final ProxySettings NO_PROXIES = ProxySettings.none();

    private final VmNetwork network;

    private RunningNetwork(VmNetwork network) {
        this.network = network;
    }

    /**
     * Begins to serve.
     *
     * @param policy what guests may reach at first
     *
     * @throws SocketPathException if a VM's socket cannot be made
     * @throws IOException if the capture's file cannot be made
     * @throws SettingsException if the system property names a transport that is not there
     */
    static RunningNetwork start(Settings settings, EgressPolicy policy) throws IOException, SettingsException {
        HostPolicy ofTheHost = new HostPolicy(settings.hostAccess(), settings.allowLinkLocal());
        Transport transport =
                settings.transport().isPresent() ? settings.transport().get() : bestTransport();
        return new RunningNetwork(VmNetwork.start(
                new NetworkSettings(
                        stack(settings, transport),
                        ofTheHost,
                        settings.resolver(),
                        transport,
                        settings.vms(),
                        settings.capture(),
                        settings.faults(),
                        settings.proxies(),
                        settings.dhcp(),
                        settings.leaseFile(),
                        settings.isolated()),
                policy));
    }

    /** With limits that the heap has room for. */
    private static StackSettings stack(Settings settings, Transport transport) {
        long heap = Runtime.getRuntime().maxMemory();
        StackSettings stack = settings.stack();
        Limits limits = MemoryLimits.of(stack.limits(), heap, settings.vms().size(), transport);
        if (!limits.equals(stack.limits())) {
            LoggerFactory.getLogger(RunningNetwork.class)
                    .info(
                            "a heap of {} MiB has room for {} TCP connections and {} UDP ports of each VM",
                            heap >> 20,
                            limits.tcpFlows(),
                            limits.udpFlows());
        }
        return stack.withLimits(limits);
    }

    private static Transport bestTransport() throws SettingsException {
        try {
            return Transport.best();
        } catch (IllegalArgumentException e) {
            throw new SettingsException("-D" + Transport.PROPERTY, e.getMessage());
        }
    }

    /** Which flows go through a proxy. */
    ProxySettings proxies() {
        return network.proxies();
    }

    /** Changes that for what begins from now on. */
    synchronized void changeProxies(ProxySettings changed) {
        network.changeProxies(changed);
    }

    /**
     * The same as an API is asked to, with the keys of VPNKit's proxy file.
     *
     * @param fields of the request's body
     * @param whole whether keys that are absent are as if nothing had ever been set; otherwise they stay
     * @throws IllegalArgumentException that names the key, without what may be a password; nothing has changed then
     */
    synchronized void changeProxies(Map<String, Object> fields, boolean whole) {
        ProxySettings now = network.proxies();
        ProxySettings before = whole
                ? now.withProxies(Optional.empty(), Optional.empty(), Optional.empty())
                        .withExclude(HostPatterns.NONE)
                        .withPorts(NO_PROXIES.httpPorts(), NO_PROXIES.httpsPorts(), now.opaque())
                        .withAllow(Optional.empty(), NO_PROXIES.allowError())
                : now;
        try {
            ProxySettings changed = ProxyFile.change("body", fields, before);
            network.changeProxies(changed);
            LoggerFactory.getLogger(RunningNetwork.class).info("changed by the API: proxies {}", changed.summary());
        } catch (SettingsException e) {
            throw new IllegalArgumentException(e.getMessage(), e);
        }
    }

    /** Changes what guests may reach, for what begins from now on. */
    void changePolicy(EgressPolicy changed) {
        network.changePolicy(changed);
    }

    VmNetwork network() {
        return network;
    }

    Transport transport() {
        return network.transport();
    }

    /** What each VM has done so far, in the order of the settings; numbers may be a moment old. */
    List<Status.Vm> status() {
        List<Status.Vm> vms = new ArrayList<>();
        for (VmSession session : network.sessions()) {
            Map<String, Long> counters = new TreeMap<>();
            count(counters, session.linkCounters());
            count(counters, session.hostCounters());
            count(counters, session.tcpCounters());
            count(counters, session.resolverCounters());
            count(counters, network.leases().counts());
            count(counters, session.proxyCounters());
            network.switchCounters(session).ifPresent(between -> count(counters, between));
            counters.put("policyAllowed", session.egress().allowed());
            counters.put("policyDenied", session.egress().denied());
            counters.put("policyNamesRefused", session.egress().namesRefused());
            vms.add(new Status.Vm(session.name(), session.isAttached(), counters, drops(session.drops())));
        }
        return vms;
    }

    /** What this host cannot do for its guests, in words; a moment old. */
    List<String> limitations() {
        return network.limitations();
    }

    private static void count(Map<String, Long> counters, LinkCounters link) {
        counters.put("framesFromGuest", link.framesFromGuest());
        counters.put("bytesFromGuest", link.bytesFromGuest());
        counters.put("framesToGuest", link.framesToGuest());
        counters.put("bytesToGuest", link.bytesToGuest());
        counters.put("dropsToGuest", link.dropsToGuest());
        counters.put("connections", link.connections());
        counters.put("connectionsRefused", link.refusedConnections());
        counters.put("framesOversize", link.oversizeFromGuest());
        counters.put("badFrameLengths", link.badLengthsFromGuest());
        counters.put("badOffloadsFromGuest", link.badOffloadsFromGuest());
        counters.put("ringsBroken", link.brokenRings());
        counters.put("handshakesFailed", link.failedHandshakes());
        counters.put("linkFailures", link.failures());
    }

    private static void count(Map<String, Long> counters, HostCounters host) {
        counters.put("tcpConnects", host.connects());
        counters.put("tcpAccepts", host.accepts());
        counters.put("tcpConnectsFailed", host.connectsFailed());
        counters.put("tcpConnectsRefusedByPolicy", host.connectsRefusedByPolicy());
        counters.put("tcpOpen", (long) host.openStreams());
        counters.put("tcpResetsByHost", host.resetsByHost());
        counters.put("tcpFlowsShed", host.flowsShed());
        counters.put("udpToHost", host.datagramsToHost());
        counters.put("udpFromHost", host.datagramsFromHost());
        counters.put("udpLost", host.datagramsLost());
        counters.put("udpRefusedByPolicy", host.datagramsRefusedByPolicy());
        counters.put("udpFromStrangers", host.datagramsFromStrangers());
        counters.put("udpOpen", (long) host.openDatagrams());
        counters.put("pingsToHost", host.echoesToHost());
        counters.put("pingsFromHost", host.echoesFromHost());
        counters.put("pingsLost", host.echoesLost());
        counters.put("pingOpen", (long) host.openEchoes());
        counters.put("networkErrors", host.errorsFromHost());
        counters.put("socketsExhausted", host.socketsExhausted());
        counters.put("outOfMemory", host.outOfMemory());
        counters.put("stackFailures", host.stackFailures());
    }

    private static void count(Map<String, Long> counters, TcpCounters tcp) {
        counters.put("tcpOpened", tcp.opened());
        counters.put("tcpRefused", tcp.refused());
        counters.put("tcpResetByGuest", tcp.resetByGuest());
        counters.put("tcpResetToGuest", tcp.resetByHost());
        counters.put("tcpAbandoned", tcp.abandoned());
        counters.put("tcpFastRetransmits", tcp.fastRetransmits());
        counters.put("tcpTimeouts", tcp.timeouts());
        counters.put("tcpTailProbes", tcp.tailProbes());
        counters.put("tcpWindowProbes", tcp.windowProbes());
        counters.put("tcpRetransmittedBytes", tcp.retransmittedBytes());
        counters.put("tcpChallengeAcks", tcp.challengeAcks());
    }

    private static void count(Map<String, Long> counters, SwitchCounters between) {
        counters.put("framesToVms", between.framesToVms());
        counters.put("bytesToVms", between.bytesToVms());
        counters.put("framesFromVms", between.framesFromVms());
        counters.put("bytesFromVms", between.bytesFromVms());
    }

    private static void count(Map<String, Long> counters, ProxyCounters proxies) {
        counters.put("proxyOpen", (long) proxies.open());
        counters.put("proxyRequests", proxies.requests());
        counters.put("proxyTunnels", proxies.tunnels());
        counters.put("proxyOpaque", proxies.opaque());
        counters.put("proxyFailures", proxies.failures());
        counters.put("proxyRefusedByProxy", proxies.refusedByProxy());
        counters.put("proxyRefusedByList", proxies.refusedByList());
        counters.put("proxyMalformed", proxies.malformed());
    }

    private static void count(Map<String, Long> counters, ResolverCounters resolver) {
        counters.put("dnsQueries", resolver.queries());
        counters.put("dnsAnswers", resolver.answers());
        counters.put("dnsTimeouts", resolver.timeouts());
        counters.put("dnsUnreachable", resolver.unreachable());
        counters.put("dnsFailures", resolver.failures());
        counters.put("dnsRejected", resolver.rejected());
        counters.put("dnsRefused", resolver.refused());
        counters.put("dnsCached", resolver.cached());
        counters.put("dnsJoined", resolver.joined());
        counters.put("dnsFromHostsFile", resolver.hostsFile());
        counters.put("dnsResolverChanges", resolver.changes());
        counters.put("dnsAaaaWithheld", resolver.withheld());
        counters.put("dnsOutstanding", (long) resolver.outstanding());
    }

    /** The table of addresses is all VMs' own, and so are these. */
    private static void count(Map<String, Long> counters, LeaseCounts leases) {
        counters.put("dhcpOffers", leases.offered());
        counters.put("dhcpLeases", leases.committed());
        counters.put("dhcpRefused", leases.refused());
        counters.put("dhcpExhausted", leases.exhausted());
        counters.put("dhcpDeclined", leases.declined());
        counters.put("dhcpEvicted", leases.evicted());
        counters.put("dhcpNameConflicts", leases.nameConflicts());
        counters.put("addressesReleased", leases.released());
        counters.put("addressesClaimed", leases.claimed());
        counters.put("addressClaimsRefused", leases.claimsRefused());
    }

    private static Map<String, Long> drops(DropCounters drops) {
        Map<String, Long> counts = new TreeMap<>();
        for (DropReason reason : DropReason.values()) {
            if (drops.get(reason) != 0) {
                counts.put(reason.label(), drops.get(reason));
            }
        }
        return counts;
    }

    @Override
    public void close() {
        network.close();
    }
}
