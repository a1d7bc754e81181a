package dev.slipway.probe;

import dev.slipway.wire.ArpPacket;
import dev.slipway.wire.DropReason;
import dev.slipway.wire.EthernetFrame;
import dev.slipway.wire.MacAddress;
import java.lang.foreign.MemorySegment;
import java.util.HashMap;
import java.util.Map;

/** Who is where on the link (RFC 826): asks, remembers, and answers for the guest's own address. */
final class Neighbours {

    private static final int MIN_FRAME = 60;

    private final FrameLink link;
    private final long mac;
    private final Map<Integer, Long> known = new HashMap<>();
    private final ArpPacket arp = new ArpPacket();
    private int address;

    Neighbours(FrameLink link, long mac) {
        this.link = link;
        this.mac = mac;
    }

    /** Takes an address as the guest's own. */
    void answerFor(int ownAddress) {
        address = ownAddress;
    }

    /** The MAC address of a neighbour, or -1 if it is not known. */
    long find(int neighbour) {
        return known.getOrDefault(neighbour, -1L);
    }

    void learn(int neighbour, long neighbourMac) {
        known.put(neighbour, neighbourMac);
    }

    void forget(int neighbour) {
        known.remove(neighbour);
    }

    void ask(int neighbour) {
        send(ArpPacket.REQUEST, MacAddress.BROADCAST, 0, neighbour);
    }

    DropReason input(MemorySegment bytes, long offset, int length) {
        DropReason reason = arp.parse(bytes, offset, length);
        if (reason == DropReason.NONE) {
            learn(arp.senderIp(), arp.senderMac());
            if (arp.operation() == ArpPacket.REQUEST && arp.targetIp() == address && address != 0) {
                send(ArpPacket.REPLY, arp.senderMac(), arp.senderMac(), arp.senderIp());
            }
        }
        return reason;
    }

    private void send(int operation, long destination, long targetMac, int targetIp) {
        long at = link.begin(MIN_FRAME);
        if (at >= 0) {
            link.memory().asSlice(at, MIN_FRAME).fill((byte) 0);
            EthernetFrame.write(link.memory(), at, destination, mac, EthernetFrame.TYPE_ARP);
            ArpPacket.write(
                    link.memory(), at + EthernetFrame.HEADER_LENGTH, operation, mac, address, targetMac, targetIp);
            link.send(MIN_FRAME);
        }
    }
}
