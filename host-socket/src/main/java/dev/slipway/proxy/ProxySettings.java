package dev.slipway.proxy;

import java.util.Optional;
import java.util.Set;

/**
 * Which flows of a guest go through a proxy, and which destinations are allowed.
 *
 * @param http for plain HTTP
 * @param https for TLS, CONNECT and SOCKS
 * @param all for every TCP flow, and in place of the two above where they are not given
 * @param exclude what goes direct
 * @param httpPorts on which the guest's plain HTTP is recognised
 * @param httpsPorts on which the guest's TLS is recognised
 * @param opaque what becomes of flows on these ports that are neither
 * @param allow the only destinations, by name or address, of flows on these ports and through the gateway's proxies;
 *     none if there is no such list
 * @param allowError what a client is told of another destination; {@code %s} stands for it
 * @param gatewayHttpPorts on which the gateway is an HTTP proxy
 * @param gatewaySocksPorts on which the gateway is a SOCKS 5 proxy
 * @param trust who vouches for the certificates of proxies that are spoken to in TLS
 */
public record ProxySettings(
        Optional<ProxyAddress> http,
        Optional<ProxyAddress> https,
        Optional<ProxyAddress> all,
        HostPatterns exclude,
        Set<Integer> httpPorts,
        Set<Integer> httpsPorts,
        Opaque opaque,
        Optional<HostPatterns> allow,
        String allowError,
        Set<Integer> gatewayHttpPorts,
        Set<Integer> gatewaySocksPorts,
        ProxyTrust trust) {

    /** What VPNKit says, word for word. */
    public static final String ALLOW_ERROR =
            "Connections to %s are forbidden by policy. Please contact your IT administrator.";

    /** What becomes of bytes that are neither HTTP nor TLS. */
    public enum Opaque {
        /** They go by CONNECT to the address that was dialled. */
        PROXY,
        /** They go to the address that was dialled. */
        DIRECT
    }

    /** What a flow is, as far as that says which proxy it takes. */
    enum Kind {
        HTTP,
        TUNNEL,
        /** On a port of HTTP or TLS, and neither. */
        OPAQUE,
        OTHER
    }

    public ProxySettings {
        httpPorts = Set.copyOf(httpPorts);
        httpsPorts = Set.copyOf(httpsPorts);
        gatewayHttpPorts = Set.copyOf(gatewayHttpPorts);
        gatewaySocksPorts = Set.copyOf(gatewaySocksPorts);
    }

    /** No proxy and no list: only the gateway's own proxies, HTTP on 3128 and SOCKS on 1080, which go direct. */
    public static ProxySettings none() {
        return new ProxySettings(
                Optional.empty(),
                Optional.empty(),
                Optional.empty(),
                HostPatterns.NONE,
                Set.of(80),
                Set.of(443),
                Opaque.PROXY,
                Optional.empty(),
                ALLOW_ERROR,
                Set.of(3128, 3129),
                Set.of(1080),
                ProxyTrust.OF_THE_HOST);
    }

    /** These settings with other proxies. */
    public ProxySettings withProxies(
            Optional<ProxyAddress> newHttp, Optional<ProxyAddress> newHttps, Optional<ProxyAddress> newAll) {
        return new ProxySettings(
                newHttp,
                newHttps,
                newAll,
                exclude,
                httpPorts,
                httpsPorts,
                opaque,
                allow,
                allowError,
                gatewayHttpPorts,
                gatewaySocksPorts,
                trust);
    }

    /** These settings with other exceptions. */
    public ProxySettings withExclude(HostPatterns newExclude) {
        return new ProxySettings(
                http,
                https,
                all,
                newExclude,
                httpPorts,
                httpsPorts,
                opaque,
                allow,
                allowError,
                gatewayHttpPorts,
                gatewaySocksPorts,
                trust);
    }

    /** These settings with other ports to look into, and another rule for what is not recognised there. */
    public ProxySettings withPorts(Set<Integer> newHttpPorts, Set<Integer> newHttpsPorts, Opaque newOpaque) {
        return new ProxySettings(
                http,
                https,
                all,
                exclude,
                newHttpPorts,
                newHttpsPorts,
                newOpaque,
                allow,
                allowError,
                gatewayHttpPorts,
                gatewaySocksPorts,
                trust);
    }

    /** These settings with another list of what is allowed. */
    public ProxySettings withAllow(Optional<HostPatterns> newAllow, String newError) {
        return new ProxySettings(
                http,
                https,
                all,
                exclude,
                httpPorts,
                httpsPorts,
                opaque,
                newAllow,
                newError,
                gatewayHttpPorts,
                gatewaySocksPorts,
                trust);
    }

    /** These settings with other ports on the gateway. */
    public ProxySettings withGatewayPorts(Set<Integer> newHttp, Set<Integer> newSocks) {
        return new ProxySettings(
                http, https, all, exclude, httpPorts, httpsPorts, opaque, allow, allowError, newHttp, newSocks, trust);
    }

    /** These settings with others to vouch for the certificates of proxies. */
    public ProxySettings withTrust(ProxyTrust newTrust) {
        return new ProxySettings(
                http,
                https,
                all,
                exclude,
                httpPorts,
                httpsPorts,
                opaque,
                allow,
                allowError,
                gatewayHttpPorts,
                gatewaySocksPorts,
                newTrust);
    }

    /** Whether flows to a port are looked into. */
    boolean concerns(int port) {
        return all.isPresent()
                || httpPorts.contains(port) && (http.isPresent() || allow.isPresent())
                || httpsPorts.contains(port) && (https.isPresent() || allow.isPresent());
    }

    /** Whether what the guest sends first to a port says where it goes. */
    boolean isWebPort(int port) {
        return httpPorts.contains(port) || httpsPorts.contains(port);
    }

    /** The proxy that a flow takes; empty if it goes direct. */
    Optional<ProxyAddress> proxyFor(Kind kind, Target target) {
        Optional<ProxyAddress> own = switch (kind) {
            case HTTP -> http;
            case TUNNEL -> https;
            case OPAQUE -> https.isPresent() ? https : httpPorts.contains(target.port()) ? http : https;
            case OTHER -> Optional.empty();
        };
        Optional<ProxyAddress> proxy = own.isPresent() ? own : all;
        return proxy.isEmpty() || exclude.matches(target) ? Optional.empty() : proxy;
    }

    /**
     * A destination as far as it is allowed: by the name that is, so that its address is the one that this name has; or
     * by the address alone, whatever name the guest gives it.
     */
    Optional<Target> allowed(Target target) {
        if (allow.isEmpty()) {
            return Optional.of(target);
        }
        if (target.hasName() && allow.get().matchesName(target.name(), target.port())) {
            return Optional.of(new Target(target.name(), Optional.empty(), target.port()));
        }
        return target.address()
                .filter(address -> allow.get().matchesAddress(address, target.port()))
                .map(address -> Target.of(address, target.port()));
    }

    /** What a client is told of a destination that is not allowed. */
    String allowErrorFor(Target target) {
        return allowError.replace("%s", target.host());
    }

    /** The proxies and exceptions for people, without credentials. */
    public String summary() {
        return "http=" + text(http) + " https=" + text(https) + " all=" + text(all) + " no-proxy=" + exclude
                + allow.map(list -> " allow=" + list).orElse("");
    }

    private static String text(Optional<ProxyAddress> proxy) {
        return proxy.map(ProxyAddress::toString).orElse("none");
    }
}
