package dev.slipway.stack;

import dev.slipway.seam.FrameSink;
import dev.slipway.seam.StackSettings;
import dev.slipway.wire.ArpPacket;
import dev.slipway.wire.BigEndian;
import dev.slipway.wire.Checksum;
import dev.slipway.wire.DropReason;
import dev.slipway.wire.EthernetFrame;
import dev.slipway.wire.Frame;
import dev.slipway.wire.Ipv4Packet;
import dev.slipway.wire.Ipv6Packet;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * The guest's end of the link: it holds every frame to what a frame must be (lengths that agree, checksums that are good,
 * nothing longer than the link but large units of TCP), and remembers what a client of TCP would.
 */
final class FuzzGuest implements FrameSink {

    /** What the guest knows of the connection of one of its ports. */
    static final class Flow {
        /** The next byte of the guest's own. */
        int next;
        /** The next byte that it expects, which is the acknowledgement that it owes. */
        int expected;
        /** Where the other end's bytes begin. */
        int first;

        boolean isOpen;
    }

    static final int FLOWS = 8;
    static final int PORT = 40_000;

    final Flow[] flows = new Flow[FLOWS];
    int room = Integer.MAX_VALUE;
    int frames;
    /** The EtherType of the last frame. */
    int lastType;

    private final StackSettings settings;
    private final MemorySegment memory = Arena.ofAuto().allocate(Frame.MAX_LENGTH, 8);
    private final Frame frame = new Frame();
    private MemorySegment begun;

    FuzzGuest(StackSettings settings) {
        this.settings = settings;
        for (int i = 0; i < FLOWS; i++) {
            flows[i] = new Flow();
        }
    }

    private static void check(boolean holds, String what) {
        if (!holds) {
            throw new AssertionError(what);
        }
    }

    @Override
    public int room() {
        return room;
    }

    @Override
    public Frame begin(int capacity) {
        check(capacity > 0 && capacity <= Frame.MAX_LENGTH, "a frame of " + capacity + " bytes was begun");
        begun = memory.asSlice(0, capacity);
        begun.asSlice(0, Math.min(capacity, 128)).fill((byte) 0xA5);
        return frame.set(begun, 0, capacity);
    }

    @Override
    public void send(Frame sent) {
        check(sent.bytes() == begun, "a frame was sent that was not begun");
        begun = null;
        frames++;
        if (room != Integer.MAX_VALUE) {
            room -= sent.length();
        }
        MemorySegment bytes = sent.bytes();
        int length = sent.length();
        check(length >= EthernetFrame.HEADER_LENGTH, "a runt");
        check(sent.segmentSize() > 0 || length <= settings.mtu() + 14, length + " bytes do not fit the link");
        check(BigEndian.u48(bytes, sent.offset() + 6) == settings.gatewayMac(), "a frame that is not the gateway's");
        lastType = BigEndian.u16(bytes, sent.offset() + 12);
        long at = sent.offset() + EthernetFrame.HEADER_LENGTH;
        int left = length - EthernetFrame.HEADER_LENGTH;
        switch (lastType) {
            case EthernetFrame.TYPE_ARP -> check(new ArpPacket().parse(bytes, at, left) == DropReason.NONE, "no ARP");
            case EthernetFrame.TYPE_IPV4 -> ipv4(sent, bytes, at, left);
            case EthernetFrame.TYPE_IPV6 -> ipv6(sent, bytes, at, left);
            default -> throw new AssertionError("EtherType " + lastType);
        }
    }

    private void ipv4(Frame sent, MemorySegment bytes, long at, int left) {
        Ipv4Packet ip = new Ipv4Packet();
        check(ip.parse(bytes, at, left) == DropReason.NONE, "an IPv4 header that cannot be");
        check(ip.totalLength() == left, "a packet of " + ip.totalLength() + " bytes in " + left);
        if (!ip.isFragment()) {
            int pseudo = ip.protocol() == Ipv4Packet.PROTOCOL_ICMP
                    ? 0
                    : Checksum.pseudoHeader(ip.source(), ip.destination(), ip.protocol(), ip.payloadLength());
            transport(sent, bytes, ip.payloadOffset(), ip.payloadLength(), ip.protocol(), pseudo, ip.source());
        }
    }

    private void ipv6(Frame sent, MemorySegment bytes, long at, int left) {
        Ipv6Packet ip = new Ipv6Packet();
        check(ip.parse(bytes, at, left) == DropReason.NONE, "an IPv6 header that cannot be");
        check(ip.totalLength() == left, "a packet of " + ip.totalLength() + " bytes in " + left);
        if (!ip.isFragment()) {
            int pseudo = Checksum.pseudoHeader(
                    ip.sourceHigh(),
                    ip.sourceLow(),
                    ip.destinationHigh(),
                    ip.destinationLow(),
                    ip.protocol(),
                    ip.payloadLength());
            transport(sent, bytes, ip.payloadOffset(), ip.payloadLength(), ip.protocol(), pseudo, (int) ip.sourceLow());
        }
    }

    private void transport(Frame sent, MemorySegment bytes, long at, int length, int protocol, int pseudo, int source) {
        int field = protocol == 6 ? 16 : protocol == 17 ? 6 : 2;
        if (sent.checksum() == Frame.ChecksumState.PARTIAL) {
            check(
                    sent.offset() + sent.checksumStart() == at && sent.checksumOffset() == field,
                    "a partial checksum elsewhere than in the transport's header");
            int partial = BigEndian.u16(bytes, at + field);
            check(partial == Checksum.fold(pseudo), "a partial checksum that is not the pseudo-header's");
        } else {
            int given = BigEndian.u16(bytes, at + field);
            check(
                    protocol == 17 && given == 0 || Checksum.fold(pseudo + Checksum.sum(bytes, at, length)) == 0xFFFF,
                    "a bad checksum of protocol " + protocol);
        }
        check(sent.segmentSize() == 0 || protocol == 6, "a large unit of protocol " + protocol);
        if (protocol == 6) {
            tcp(bytes, at, length, source);
        }
    }

    /** The last 32 bits of the address that a flow of the guest's leads to. */
    static int remote(int flow) {
        return flow < FLOWS / 2 ? 0xCB00_7100 + flow : 0xDB8_0000 + flow;
    }

    static int remotePort(int flow) {
        return 80 + flow;
    }

    /** @param source the last 32 bits of the address that it is from */
    private void tcp(MemorySegment bytes, long at, int length, int source) {
        int header = (BigEndian.u8(bytes, at + 12) >>> 4) * 4;
        check(header >= 20 && header <= length, "a TCP header of " + header + " bytes");
        int flags = BigEndian.u8(bytes, at + 13);
        int sequence = BigEndian.i32(bytes, at + 4);
        int port = BigEndian.u16(bytes, at + 2);
        if (port < PORT || port >= PORT + FLOWS) {
            return;
        }
        int index = port - PORT;
        if ((flags & 4) != 0 || source != remote(index) || BigEndian.u16(bytes, at) != remotePort(index)) {
            return;
        }
        Flow flow = flows[index];
        if ((flags & 2) != 0) {
            flow.first = sequence + 1;
            flow.expected = sequence + 1;
            flow.isOpen = true;
        } else if (flow.isOpen) {
            int payload = length - header;
            int position = sequence - flow.first;
            if (position >= 0 && position < 1 << 24) {
                for (int i = 0; i < payload; i += 1 + payload / 64) {
                    byte is = bytes.get(ValueLayout.JAVA_BYTE, at + header + i);
                    check(is == FuzzHost.ofHost(position + i), "byte " + (position + i) + " of the host's is " + is);
                }
                if (position == flow.expected - flow.first) {
                    flow.expected += payload + (flags & 1);
                }
            }
        }
    }
}
