package dev.slipway.host;

import dev.slipway.ethernet.GuestLink;
import dev.slipway.seam.HostStream;
import dev.slipway.stack.Stack;
import dev.slipway.udp.UdpForwards;
import dev.slipway.wire.IpAddress;
import io.netty.channel.socket.DuplexChannel;
import java.lang.foreign.MemorySegment;
import java.net.InetSocketAddress;
import java.util.Optional;
import java.util.function.Function;

/**
 * The clients of published ports at one VM: joins their connections and datagrams to ports of the guest, and decides where
 * the guest sees them. On the VM's event loop.
 */
public final class PortClients {

    /** Stands for the guest's own address, whichever that is. */
    public static final IpAddress OWN = new IpAddress(0, 0);

    private final Stack stack;
    private final GuestLink link;
    private final HostSide host;
    private final Ipv6Watch ipv6;
    private final SessionTurns turns;
    private final HostCounters counters;
    /** Whether the stack has made a host's side of the accepted connection that is being given to it. */
    private boolean claimed;

    private boolean closed;

    PortClients(Stack stack, GuestLink link, HostSide host, Ipv6Watch ipv6, SessionTurns turns, HostCounters counters) {
        this.stack = stack;
        this.link = link;
        this.host = host;
        this.ipv6 = ipv6;
        this.turns = turns;
        this.counters = counters;
    }

    /** From now on there is no guest. */
    void close() {
        closed = true;
    }

    /**
     * Opens a connection to a port of the guest for one that the host has accepted, and joins the two.
     *
     * @param guest the address, or {@link #OWN} for the guest's own
     * @param client who it is from, or null if that has no address
     * @param preserveSource whether the guest sees the client's address where it can be told apart
     * @param accepted not registered with any event loop yet
     * @return false if there is no guest, or it has too many connections, or the host too few descriptors; the accepted
     *     one is untouched then
     */
    public boolean connect(
            IpAddress guest, int port, InetSocketAddress client, boolean preserveSource, DuplexChannel accepted) {
        if (!host.channels().admitsAccepted()) {
            counters.socketsExhausted++;
            return false;
        }
        IpAddress address =
                client == null ? null : IpAddress.ofBytes(client.getAddress().getAddress());
        claimed = false;
        try {
            return connect(guest, port, address, client == null ? 0 : client.getPort(), preserveSource, listener -> {
                claimed = true;
                return host.channels().accepted(accepted, listener);
            });
        } finally {
            if (!claimed) {
                host.channels().acceptedInVain();
            }
        }
    }

    /**
     * The same by a descriptor, on the native transport.
     *
     * @param client who it is from
     * @param accepted a TCP socket with TCP_NODELAY whose close sends a reset; it belongs to the session from here on,
     *     and its client sees a reset if there is no guest, or it has too many connections, or the host too few
     *     descriptors
     */
    public void connect(
            IpAddress guest, int port, IpAddress client, int clientPort, boolean preserveSource, int accepted) {
        claimed = false;
        try {
            if (!host.descriptors().admits(accepted)) {
                counters.socketsExhausted++;
                return;
            }
            connect(guest, port, client, clientPort, preserveSource, listener -> {
                claimed = true;
                return host.descriptors().accepted(accepted, listener);
            });
        } finally {
            if (!claimed) {
                host.descriptors().refuse(accepted);
            }
        }
    }

    private boolean connect(
            IpAddress guest,
            int port,
            IpAddress client,
            int clientPort,
            boolean preserveSource,
            Function<HostStream.Listener, HostStream> factory) {
        Optional<IpAddress> to = addressOf(guest);
        if (closed || to.isEmpty() || !link.isAttached()) {
            return false;
        }
        turns.touch();
        IpAddress seenAs = seenAs(client, to.get(), preserveSource);
        return stack.ports().connect(to.get(), port, seenAs, clientPort, factory, System.nanoTime());
    }

    private Optional<IpAddress> addressOf(IpAddress guest) {
        if (!guest.equals(OWN)) {
            return Optional.of(guest);
        }
        Optional<IpAddress> own = stack.ports().guestAddress();
        if (own.isEmpty() && !closed && link.isAttached()) {
            turns.touch();
            stack.ports().look(System.nanoTime());
        }
        return own;
    }

    /**
     * The two ends of a conversation of a UDP client with the guest.
     *
     * @param guest the guest's address
     * @param seenAs where the guest sees the client
     * @param seenPort at which port
     */
    public record Place(IpAddress guest, IpAddress seenAs, int seenPort) {}

    /**
     * Chooses where the guest sees a UDP client: empty if there is no guest, or it cannot see one more.
     */
    public Optional<Place> placeOf(IpAddress guest, int port, InetSocketAddress client, boolean preserveSource) {
        return addressOf(guest).flatMap(to -> {
            IpAddress address = IpAddress.ofBytes(client.getAddress().getAddress());
            IpAddress seenAs = seenAs(address, to, preserveSource);
            int seenPort = stack.ports().shownPort(to, port, seenAs, client.getPort());
            return seenPort == 0 ? Optional.empty() : Optional.of(new Place(to, seenAs, seenPort));
        });
    }

    /** Whether a place is still one in a conversation with that address, which for {@link #OWN} may have changed. */
    public boolean isAt(Place place, IpAddress guest) {
        return addressOf(guest).equals(Optional.of(place.guest));
    }

    /**
     * Hands a datagram of a client to the guest.
     *
     * @param place from {@link #placeOf}
     * @return false if there is no guest
     */
    public boolean deliver(int port, Place place, UdpForwards.Client client, MemorySegment payload, int length) {
        if (closed || !link.isAttached()) {
            return false;
        }
        turns.touch();
        return stack.ports()
                .deliver(
                        place.guest, port, place.seenAs, place.seenPort, client, payload, 0, length, System.nanoTime());
    }

    /** A guest without a router could not answer an IPv6 address of another network. */
    private IpAddress seenAs(IpAddress client, IpAddress guest, boolean preserveSource) {
        boolean own = client != null && preserveSource && (guest.isV4() || ipv6.guestHasRouter());
        return own
                ? host.destinations().clientSeenByGuest(client, guest)
                : host.destinations().gatewayFor(guest);
    }
}
