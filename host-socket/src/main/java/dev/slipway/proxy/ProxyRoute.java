package dev.slipway.proxy;

import java.util.Optional;

/**
 * Where a flow goes after all rules were asked.
 *
 * @param proxy empty for none
 * @param target what may be dialled
 */
record ProxyRoute(Optional<ProxyAddress> proxy, Target target) {

    /** The way to a destination, or empty if the list of allowed ones forbids it, which is counted. */
    static Optional<ProxyRoute> find(ProxyContext context, ProxySettings.Kind kind, Target wanted) {
        ProxySettings settings = context.settings().get();
        Optional<Target> allowed = settings.allowed(wanted);
        if (allowed.isEmpty()) {
            context.counters().refusedByList++;
            return Optional.empty();
        }
        boolean direct = context.isNear(wanted)
                || kind == ProxySettings.Kind.OPAQUE && settings.opaque() == ProxySettings.Opaque.DIRECT
                || settings.exclude().matches(wanted);
        return Optional.of(
                new ProxyRoute(direct ? Optional.empty() : settings.proxyFor(kind, allowed.get()), allowed.get()));
    }
}
