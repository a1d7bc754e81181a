package dev.slipway.host;

import dev.slipway.seam.NameResolver;
import dev.slipway.wire.DnsMessage;
import dev.slipway.wire.DropReason;
import java.lang.foreign.MemorySegment;
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
    public void resolve(byte[] query, boolean stream, Answer answer) {
        DnsMessage question = new DnsMessage();
        boolean concerned = question.parse(MemorySegment.ofArray(query), 0, query.length) == DropReason.NONE
                && question.type() == DnsMessage.TYPE_AAAA
                && withhold.getAsBoolean();
        if (!concerned) {
            resolver.resolve(query, stream, answer);
            return;
        }
        counters.withheld++;
        byte[] none = question.respond(DnsMessage.NOERROR);
        later.execute(() -> answer.answered(none));
    }
}
