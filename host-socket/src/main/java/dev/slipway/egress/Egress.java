package dev.slipway.egress;

import dev.slipway.egress.EgressPolicy.Protocol;
import dev.slipway.seam.NameResolver;
import dev.slipway.wire.DnsMessage;
import dev.slipway.wire.IpAddress;
import java.util.concurrent.Executor;
import java.util.function.LongSupplier;
import java.util.function.Supplier;

/**
 * The policy as it holds for one VM, and what was decided. Belongs to the VM's event loop; counters may be read by others
 * a moment late. Connections that stand when a policy changes go on; datagrams are judged each.
 */
public final class Egress {

    /** How long a decision about one destination is good for another datagram to it, in nanoseconds. */
    private static final long DECISION_NANOS = 1_000_000_000L;

    private final String vm;
    private final Supplier<EgressPolicy> policy;
    private final LongSupplier clock;
    private final AnsweredNames names = new AnsweredNames();

    private EgressPolicy lastPolicy;
    private IpAddress lastDestination;
    private Protocol lastProtocol;
    private int lastPort;
    private long lastChanges;
    private long lastUntil;
    private boolean lastDecision;

    private long allowed;
    private long denied;
    private long namesRefused;

    /**
     * @param vm its socket, scheme and path, as rules name it
     * @param policy at any moment
     * @param clock in nanoseconds
     */
    public Egress(String vm, Supplier<EgressPolicy> policy, LongSupplier clock) {
        this.vm = vm;
        this.policy = policy;
        this.clock = clock;
    }

    /** One that allows everything. */
    public static Egress open() {
        return new Egress("", () -> EgressPolicy.OPEN, System::nanoTime);
    }

    /**
     * Whether the guest may reach an address.
     *
     * @param destination as the guest named it
     * @param port 0 for pings
     */
    public boolean admits(IpAddress destination, Protocol protocol, int port) {
        EgressPolicy now = policy.get();
        if (now == EgressPolicy.OPEN) {
            return true;
        }
        boolean admitted = decide(now, destination, protocol, port);
        if (admitted) {
            allowed++;
        } else {
            denied++;
        }
        return admitted;
    }

    /** The same without counting, for what was admitted before and goes on. */
    public boolean stillAdmits(IpAddress destination, Protocol protocol, int port) {
        EgressPolicy now = policy.get();
        return now == EgressPolicy.OPEN || decide(now, destination, protocol, port);
    }

    private boolean decide(EgressPolicy now, IpAddress destination, Protocol protocol, int port) {
        long time = clock.getAsLong();
        boolean known = now == lastPolicy
                && port == lastPort
                && protocol == lastProtocol
                && lastChanges == names.changes()
                && time - lastUntil < 0
                && destination.equals(lastDestination);
        if (!known) {
            lastDecision = now.admits(vm, destination, names.of(destination, time), protocol, port);
            lastPolicy = now;
            lastDestination = destination;
            lastProtocol = protocol;
            lastPort = port;
            lastChanges = names.changes();
            lastUntil = time + DECISION_NANOS;
        }
        return lastDecision;
    }

    /**
     * Whether the guest may speak to a host by its name, whatever address that has: for whoever reads names in what a
     * guest sends, or asks a proxy for one.
     */
    public boolean admitsName(String name, Protocol protocol, int port) {
        EgressPolicy now = policy.get();
        if (now == EgressPolicy.OPEN) {
            return true;
        }
        boolean admitted = now.admitsName(vm, name, protocol, port);
        if (admitted) {
            allowed++;
        } else {
            denied++;
        }
        return admitted;
    }

    /**
     * Whether a connection of the web to an address that is admitted has to say for which host it is, because no rule
     * about the address itself decides.
     */
    public boolean asksForName(IpAddress destination, Protocol protocol, int port) {
        EgressPolicy now = policy.get();
        return now != EgressPolicy.OPEN
                && now.asksForName(vm, destination, names.of(destination, clock.getAsLong()), protocol, port);
    }

    /** Whether one may be for no host in particular. */
    public boolean admitsNameless() {
        boolean admitted = policy.get().allowRest();
        if (!admitted) {
            denied++;
        }
        return admitted;
    }

    /**
     * Puts the policy before a resolver: names that may not be asked for are REFUSED, answers are remembered.
     *
     * @param later runs what is not to happen within a call, on the same thread
     */
    public NameResolver before(NameResolver resolver, Executor later) {
        return (query, stream, answer) -> resolve(resolver, later, query, stream, answer);
    }

    private void resolve(
            NameResolver resolver, Executor later, DnsMessage query, boolean stream, NameResolver.Answer answer) {
        EgressPolicy now = policy.get();
        String name = query.hostName();
        if (now != EgressPolicy.OPEN && !now.admitsQuery(vm, name)) {
            namesRefused++;
            byte[] refusal = query.respond(DnsMessage.REFUSED);
            later.execute(() -> answer.answered(refusal));
            return;
        }
        resolver.resolve(query, stream, response -> {
            AddressRecords.read(response, (address, seconds) -> answered(name, address, seconds));
            answer.answered(response);
        });
    }

    private void answered(String name, IpAddress address, long seconds) {
        if (policy.get() == EgressPolicy.OPEN) {
            // One may come while what is answered now is in use.
            names.note(name, address, seconds, clock.getAsLong());
        } else {
            names.answered(name, address, seconds, clock.getAsLong());
        }
    }

    /** The guest is another one: what the one before was told does not hold for it. */
    public void forget() {
        names.clear();
    }

    /** Connections, datagrams and pings that a policy allowed. */
    public long allowed() {
        return allowed;
    }

    /** Connections, datagrams and pings that a policy denied. */
    public long denied() {
        return denied;
    }

    /** Queries for names that a policy denied. */
    public long namesRefused() {
        return namesRefused;
    }

    /** Addresses whose names are remembered. */
    public int answeredAddresses() {
        return names.size();
    }
}
