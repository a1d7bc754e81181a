package dev.slipway.proxy;

import dev.slipway.ethernet.Transport;
import dev.slipway.queue.QueueBudget;
import io.netty.channel.EventLoop;
import java.util.HashSet;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import java.util.function.Supplier;

/**
 * What all proxied flows of a VM share. Everything belongs to the VM's event loop.
 *
 * @param loop of the VM
 * @param transport of the loop
 * @param settings as they are now; asked anew for every request
 * @param policy what of the host and the network may be reached
 * @param names how names are resolved
 * @param budget for the queues of all flows
 * @param touched called before each event that is delivered to the stack
 * @param failed called with what the stack threw when it was told of an event
 * @param kept which proxies and servers keep connections
 */
record ProxyContext(
        EventLoop loop,
        Transport transport,
        Supplier<ProxySettings> settings,
        DialPolicy policy,
        HostNames names,
        QueueBudget budget,
        ProxyCounters counters,
        Runnable touched,
        Consumer<Throwable> failed,
        KeptConnections kept,
        Set<GuestStream> streams) {

    ProxyContext(
            EventLoop loop,
            Transport transport,
            Supplier<ProxySettings> settings,
            DialPolicy policy,
            HostNames names,
            QueueBudget budget,
            ProxyCounters counters,
            Runnable touched,
            Consumer<Throwable> failed) {
        this(
                loop,
                transport,
                settings,
                policy,
                names,
                budget,
                counters,
                touched,
                failed,
                new KeptConnections(),
                new HashSet<>());
    }

    void opened(GuestStream stream) {
        streams.add(stream);
        counters.open = streams.size();
    }

    void closed(GuestStream stream) {
        streams.remove(stream);
        counters.open = streams.size();
    }

    /** Runs something on the loop later; what it returns forgets it again. */
    Runnable after(long millis, Runnable task) {
        var timer = loop.schedule(task, millis, TimeUnit.MILLISECONDS);
        return () -> timer.cancel(false);
    }

    /**
     * Whether the policy lets the guest speak to a host by a connection of the web.
     *
     * @param dialled by which address it was made
     * @param host for which it is, by its first bytes
     */
    boolean maySpeakTo(Target dialled, Target host) {
        if (!policy.asksForName(dialled.address().orElseThrow(), dialled.port())) {
            return true;
        }
        return host.hasName() ? policy.admitsName(host.name(), dialled.port()) : policy.admitsNameless();
    }

    /** Whether a destination is one that no proxy can lead to. */
    boolean isNear(Target target) {
        return target.hasName() && names.isLocal(target.name())
                || target.address().isPresent()
                        && policy.isNear(target.address().get());
    }
}
