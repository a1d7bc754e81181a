package dev.slipway.host;

import dev.slipway.seam.NameResolver;
import dev.slipway.wire.DnsMessage;
import java.util.concurrent.Executor;
import java.util.function.BooleanSupplier;

/**
 * Answers questions for IPv6 addresses with "no such record" (NOERROR, empty) while the guest has no use for them, so
 * that no program waits for a connection that cannot be. Nobody else is asked then.
 */
final class AaaaFilter implements NameResolver {

    private final NameResolver resolver;
    private final BooleanSupplier withhold;
    private final Executor later;
    private final ResolverCounters counters;

    /**
     * @param withhold asked for each such question
     * @param later runs what is not to happen within a call, on the same thread
     */
    AaaaFilter(NameResolver resolver, BooleanSupplier withhold, Executor later, ResolverCounters counters) {
        this.resolver = resolver;
        this.withhold = withhold;
        this.later = later;
        this.counters = counters;
    }

    @Override
    public void resolve(DnsMessage query, boolean stream, Answer answer) {
        if (query.type() != DnsMessage.TYPE_AAAA || !withhold.getAsBoolean()) {
            resolver.resolve(query, stream, answer);
            return;
        }
        counters.withheld++;
        byte[] none = query.respond(DnsMessage.NOERROR);
        later.execute(() -> answer.answered(none));
    }
}
