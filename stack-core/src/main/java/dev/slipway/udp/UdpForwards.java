package dev.slipway.udp;

import dev.slipway.ip.Ipv4Output;
import dev.slipway.ip.Ipv6Output;
import dev.slipway.seam.DropCounters;
import dev.slipway.seam.StackSettings;
import dev.slipway.time.DeadlineQueue;
import dev.slipway.time.Timed;
import dev.slipway.wire.DropReason;
import dev.slipway.wire.IpAddress;
import dev.slipway.wire.Ipv6Packet;
import dev.slipway.wire.UdpDatagram;
import java.lang.foreign.MemorySegment;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * Datagrams that clients of the host send to ports of the guest, and what the guest answers: a table of conversations,
 * each between one client, as the guest sees it, and one port of the guest.
 *
 * <p>A conversation ends {@link UdpTable#TIMEOUT} after its last datagram. At the limit the one that was idle longest
 * makes room.
 */
public final class UdpForwards extends Timed {

    /** A client of the host. */
    public interface Client {

        /** The guest has answered; the bytes are valid only during the call. */
        void answered(MemorySegment payload, long offset, int length);

        /** The conversation is over; what the guest sends from now on does not reach the client. */
        void forgotten();
    }

    private record Ends(IpAddress guest, int guestPort, IpAddress client, int clientPort) {}

    private static final class Conversation {
        final Client client;
        long lastUsed;

        Conversation(Client client) {
            this.client = client;
        }
    }

    private final StackSettings settings;
    private final DropCounters drops;
    private final DeadlineQueue deadlines;
    private final DatagramsToGuest toGuest;
    private final Map<Ends, Conversation> byUse = new LinkedHashMap<>(16, 0.75f, true);

    public UdpForwards(
            StackSettings settings,
            Ipv4Output output,
            Ipv6Output output6,
            DropCounters drops,
            DeadlineQueue deadlines) {
        this.settings = settings;
        this.drops = drops;
        this.deadlines = deadlines;
        this.toGuest = new DatagramsToGuest(output, output6, drops);
    }

    /** Conversations that go on. */
    public int size() {
        return byUse.size();
    }

    /** Whether the guest sees that client in a conversation with that port. */
    public boolean isTaken(IpAddress guest, int guestPort, IpAddress seenAs, int seenPort) {
        return byUse.containsKey(new Ends(guest, guestPort, seenAs, seenPort));
    }

    /**
     * Hands a client's datagram to the guest.
     *
     * @param guest the guest's address
     * @param seenAs the address that the guest is to see as the client's, of the same family
     * @param client who hears what the guest answers, the same for the same addresses and ports
     */
    public void deliver(
            IpAddress guest,
            int guestPort,
            IpAddress seenAs,
            int seenPort,
            Client client,
            MemorySegment payload,
            long offset,
            int length,
            long now) {
        Ends ends = new Ends(guest, guestPort, seenAs, seenPort);
        Conversation conversation = byUse.get(ends);
        if (conversation == null) {
            if (byUse.size() >= settings.limits().udpFlows()) {
                drops.count(DropReason.UDP_FLOW_LIMIT);
                forgetEldest();
            }
            conversation = new Conversation(client);
            byUse.put(ends, conversation);
        }
        conversation.lastUsed = now;
        deadlines.watch(this);
        if (guest.isV4()) {
            toGuest.send(seenAs.v4(), seenPort, guest.v4(), guestPort, payload, offset, length);
        } else {
            toGuest.send(seenAs, seenPort, guest, guestPort, payload, offset, length);
        }
    }

    /**
     * A datagram of the guest's: if it is an answer to a client, the client gets it.
     *
     * @return false if it belongs to no conversation
     */
    public boolean answer(UdpDatagram udp, MemorySegment bytes, int guest, int destination, long now) {
        return !byUse.isEmpty() && answer(udp, bytes, IpAddress.ofV4(guest), IpAddress.ofV4(destination), now);
    }

    /** The same by IPv6. */
    public boolean answer(UdpDatagram udp, MemorySegment bytes, Ipv6Packet ip, long now) {
        return !byUse.isEmpty()
                && answer(
                        udp,
                        bytes,
                        new IpAddress(ip.sourceHigh(), ip.sourceLow()),
                        new IpAddress(ip.destinationHigh(), ip.destinationLow()),
                        now);
    }

    private boolean answer(UdpDatagram udp, MemorySegment bytes, IpAddress guest, IpAddress destination, long now) {
        Conversation conversation = byUse.get(new Ends(guest, udp.sourcePort(), destination, udp.destinationPort()));
        if (conversation == null) {
            return false;
        }
        conversation.lastUsed = now;
        conversation.client.answered(bytes, udp.payloadOffset(), udp.payloadLength());
        return true;
    }

    /** The guest is gone. */
    public void reset() {
        while (!byUse.isEmpty()) {
            forgetEldest();
        }
    }

    private void forgetEldest() {
        Iterator<Conversation> eldest = byUse.values().iterator();
        Conversation forgotten = eldest.next();
        eldest.remove();
        forgotten.client.forgotten();
    }

    @Override
    protected long deadline() {
        return byUse.isEmpty() ? NEVER : byUse.values().iterator().next().lastUsed + UdpTable.TIMEOUT;
    }

    @Override
    protected void expired(long now) {
        while (deadline() <= now) {
            forgetEldest();
        }
    }
}
