package dev.slipway.host;

import dev.slipway.dhcp.DhcpSettings;
import dev.slipway.ethernet.Faults;
import dev.slipway.ethernet.Transport;
import dev.slipway.ethernet.VmChannel;
import dev.slipway.proxy.ProxySettings;
import dev.slipway.seam.StackSettings;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;

/**
 * What a network of VMs is told at its start.
 *
 * @param stack addresses, MTU and limits, the same for every VM
 * @param policy what of the host the VMs may reach
 * @param resolver where names come from
 * @param transport of all event loops
 * @param channels where each VM connects
 * @param capture where the headers of the first VM's frames are captured to
 * @param proxies which flows go through a proxy at first; {@link VmNetwork#changeProxies} changes it
 * @param faults what is to go wrong on purpose with every VM's frames
 * @param dhcp what DHCP is told beside the addresses
 * @param leaseFile where leases are kept over a restart
 * @param isolated whether VMs do not see each other
 */
public record NetworkSettings(
        StackSettings stack,
        HostPolicy policy,
        ResolverSettings resolver,
        Transport transport,
        List<VmChannel> channels,
        Optional<Path> capture,
        Optional<Faults> faults,
        ProxySettings proxies,
        DhcpSettings dhcp,
        Optional<Path> leaseFile,
        boolean isolated) {

    public NetworkSettings {
        channels = List.copyOf(channels);
    }

    /**
     * VMs on QEMU's stream sockets, without a capture, faults and proxies, and with a file of resolvers that is perhaps
     * not the host's.
     */
    public NetworkSettings(
            StackSettings stack, HostPolicy policy, Path resolvConf, Transport transport, List<Path> qemuSockets) {
        this(
                stack,
                policy,
                ResolverSettings.ofThisHost().withResolvConf(resolvConf),
                transport,
                qemuSockets.stream().map(VmChannel::qemu).toList(),
                Optional.empty(),
                Optional.empty(),
                ProxySettings.none(),
                DhcpSettings.NONE,
                Optional.empty(),
                false);
    }

    /** Default addresses and policy, this platform's transport and resolvers. */
    public static NetworkSettings defaults(List<Path> qemuSockets) {
        return new NetworkSettings(
                StackSettings.defaults(),
                HostPolicy.defaults(),
                Path.of("/etc/resolv.conf"),
                Transport.best(),
                qemuSockets);
    }

    /** These settings with proxies. */
    public NetworkSettings withProxies(ProxySettings newProxies) {
        return new NetworkSettings(
                stack, policy, resolver, transport, channels, capture, faults, newProxies, dhcp, leaseFile, isolated);
    }

    /** These settings with other words for DHCP, and a file of leases. */
    public NetworkSettings withLeases(DhcpSettings newDhcp, Optional<Path> newLeaseFile) {
        return new NetworkSettings(
                stack,
                policy,
                resolver,
                transport,
                channels,
                capture,
                faults,
                proxies,
                newDhcp,
                newLeaseFile,
                isolated);
    }

    /** These settings with VMs that do not see each other. */
    public NetworkSettings withoutSwitch() {
        return new NetworkSettings(
                stack, policy, resolver, transport, channels, capture, faults, proxies, dhcp, leaseFile, true);
    }
}
