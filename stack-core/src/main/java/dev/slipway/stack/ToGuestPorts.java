package dev.slipway.stack;

import dev.slipway.dhcp.LeaseTable;
import dev.slipway.ip.Ipv6Neighbours;
import dev.slipway.ip.Neighbours;
import dev.slipway.seam.FrameSink;
import dev.slipway.seam.HostStream;
import dev.slipway.seam.Ipv6Settings;
import dev.slipway.seam.StackSettings;
import dev.slipway.tcp.TcpTable;
import dev.slipway.udp.UdpForwards;
import dev.slipway.wire.ArpPacket;
import dev.slipway.wire.EthernetFrame;
import dev.slipway.wire.Frame;
import dev.slipway.wire.IpAddress;
import dev.slipway.wire.MacAddress;
import java.lang.foreign.MemorySegment;
import java.util.Optional;
import java.util.function.Consumer;
import java.util.function.Function;

/**
 * The way from the host to ports of the guest: connections and datagrams that clients of the host begin.
 *
 * <p>The guest may be asked for by an address beyond its own, one that it routes to (a container of its): that is sent to
 * the card that the guest itself uses, and answers from there are the guest's. A guest in the subnet that was not heard
 * of yet is asked for, by ARP or by neighbour discovery, and the SYN finds it when it is repeated.
 *
 * <p>The guest's address and the one that it is to see as the client's are of one family. Belongs to the thread that owns
 * the stack.
 */
public final class ToGuestPorts {

    /** The ports that a client is shown at when its own is taken (RFC 6335, section 6). */
    private static final int FIRST_EPHEMERAL = 49_152;

    private static final int EPHEMERAL = 65_536 - FIRST_EPHEMERAL;
    private static final int TRIES = 64;
    private static final long LOOK_INTERVAL = 1_000_000_000L;

    private final StackSettings settings;
    private final FrameSink toGuest;
    private final Neighbours neighbours;
    private final Ipv6Neighbours neighbours6;
    private final LeaseTable leases;
    private final int holder;
    private final TcpTable tcp;
    private final UdpForwards udp;
    private Consumer<IpAddress> addressListener = address -> {};
    private Consumer<IpAddress> solicitor = address -> {};
    private Runnable pingAll = () -> {};
    private long nextLook = Long.MIN_VALUE;
    private int guestAddress;
    private long guestMac6;
    private long guestMac;
    private int nextPort;

    ToGuestPorts(
            StackSettings settings,
            FrameSink toGuest,
            Neighbours neighbours,
            Ipv6Neighbours neighbours6,
            LeaseTable leases,
            int holder,
            TcpTable tcp,
            UdpForwards udp) {
        this.settings = settings;
        this.toGuest = toGuest;
        this.neighbours = neighbours;
        this.neighbours6 = neighbours6;
        this.leases = leases;
        this.holder = holder;
        this.tcp = tcp;
        this.udp = udp;
    }

    /** Who is told of each address of the subnet that the guest comes to use. */
    public void whenGuestAddress(Consumer<IpAddress> listener) {
        addressListener = listener;
    }

    /**
     * @param newSolicitor asks the link for an IPv6 address
     * @param newPingAll asks whoever is there by IPv6
     */
    void askBy(Consumer<IpAddress> newSolicitor, Runnable newPingAll) {
        solicitor = newSolicitor;
        pingAll = newPingAll;
    }

    /**
     * The guest's own address: the IPv4 address that it began to use last; or else the IPv6 address that the card is known by
     * which began to use one last. An address is used by whoever has sent a packet from it, and be it that it answered
     * when it was asked for after it had announced it ({@link AnnouncedAddresses}). Empty until then, see {@link #look}.
     */
    public Optional<IpAddress> guestAddress() {
        return guestAddress != 0
                ? Optional.of(IpAddress.ofV4(guestAddress))
                : leases.ipv6().of(holder, guestMac6);
    }

    /**
     * Asks whoever is at the link to show its IPv6 address, once a second at most: the guest is wanted and not known, since
     * it was there before this stack was. {@link Stack#endTurn} is wanted.
     */
    public void look(long now) {
        if (settings.ipv6().enabled() && now >= nextLook) {
            nextLook = now + LOOK_INTERVAL;
            pingAll.run();
        }
    }

    void guestIsAt(int address, long mac) {
        guestAddress = address;
        guestMac = mac;
        addressListener.accept(IpAddress.ofV4(address));
    }

    void guestIsAt(long high, long low, long mac) {
        guestMac6 = mac;
        addressListener.accept(new IpAddress(high, low));
    }

    void reset() {
        guestAddress = 0;
        guestMac = 0;
        guestMac6 = 0;
    }

    /**
     * Opens a TCP connection to the guest for one that the host has accepted.
     *
     * @param seenAs the address that the guest is to see as the caller's
     * @param seenPort the caller's port; another one is shown if that is taken
     * @param factory makes the host's side, told whom to tell; not called if this fails
     * @return false if the guest cannot be reached, or has too many connections
     */
    public boolean connect(
            IpAddress guest,
            int guestPort,
            IpAddress seenAs,
            int seenPort,
            Function<HostStream.Listener, HostStream> factory,
            long now) {
        if (!find(guest)) {
            return false;
        }
        int port = seenPort;
        for (int tries = 0; port == 0 || tcp.isTaken(guest, guestPort, seenAs, port); tries++) {
            if (tries == TRIES) {
                return false;
            }
            port = ephemeral();
        }
        return tcp.open(guest, guestPort, seenAs, port, factory, now);
    }

    /** A port that a client may be shown at, each time another. */
    private int ephemeral() {
        nextPort = (nextPort + 1) % EPHEMERAL;
        return FIRST_EPHEMERAL + nextPort;
    }

    /**
     * Chooses the port that a UDP client is shown at.
     *
     * @return its own if no other client is shown at it, else a free one; 0 if there is none
     */
    public int shownPort(IpAddress guest, int guestPort, IpAddress seenAs, int clientPort) {
        int port = clientPort;
        for (int tries = 0; tries < TRIES; tries++) {
            if (port != 0 && !udp.isTaken(guest, guestPort, seenAs, port)) {
                return port;
            }
            port = ephemeral();
        }
        return 0;
    }

    /**
     * Hands a datagram of a client to the guest.
     *
     * @param seenPort from {@link #shownPort}
     * @return false if the guest cannot be reached
     */
    public boolean deliver(
            IpAddress guest,
            int guestPort,
            IpAddress seenAs,
            int seenPort,
            UdpForwards.Client client,
            MemorySegment payload,
            long offset,
            int length,
            long now) {
        if (!find(guest)) {
            return false;
        }
        udp.deliver(guest, guestPort, seenAs, seenPort, client, payload, offset, length, now);
        return true;
    }

    /** Makes sure that frames for an address go to a card, or at least that the guest is asked for it. */
    private boolean find(IpAddress guest) {
        return guest.isV4() ? findIpv4(guest.v4()) : findIpv6(guest);
    }

    private boolean findIpv6(IpAddress guest) {
        Ipv6Settings network = settings.ipv6();
        long high = guest.high();
        long low = guest.low();
        boolean nowhere = high == 0 || IpAddress.isGroupV6(high) || high == network.prefix() && low == 0;
        if (!network.enabled() || nowhere || network.isOwn(high, low)) {
            return false;
        }
        if (neighbours6.macOf(high, low) != 0) {
            return true;
        }
        if (high != network.prefix() && high >>> 54 != Ipv6Settings.LINK_LOCAL >>> 54) {
            long router = guestMac6 != 0 ? guestMac6 : guestMac;
            return router != 0 && neighbours6.bind(high, low, router);
        }
        solicitor.accept(guest);
        return true;
    }

    private boolean findIpv4(int guest) {
        if (guest == 0 || settings.isOwn(guest)) {
            return false;
        }
        if (neighbours.macOf(guest) != 0) {
            return true;
        }
        if (!settings.contains(guest)) {
            return guestMac != 0 && neighbours.bind(guest, guestMac);
        }
        long owner = leases.ownerOf(guest);
        if (owner != 0 && owner == guestMac) {
            return neighbours.bind(guest, owner);
        }
        ask(guest);
        return true;
    }

    private void ask(int address) {
        Frame frame = toGuest.begin(EthernetFrame.HEADER_LENGTH + ArpPacket.LENGTH);
        EthernetFrame.write(
                frame.bytes(), frame.offset(), MacAddress.BROADCAST, settings.gatewayMac(), EthernetFrame.TYPE_ARP);
        ArpPacket.write(
                frame.bytes(),
                frame.offset() + EthernetFrame.HEADER_LENGTH,
                ArpPacket.REQUEST,
                settings.gatewayMac(),
                settings.gateway(),
                0,
                address);
        toGuest.send(frame);
    }
}
