package dev.slipway.stack;

import dev.slipway.dhcp.LeaseTable;
import dev.slipway.dns.NameServer;
import dev.slipway.fuzz.Input;
import dev.slipway.seam.DropCounters;
import dev.slipway.seam.HostDatagrams.Verdict;
import dev.slipway.seam.Ipv6Settings;
import dev.slipway.seam.NameResolver;
import dev.slipway.seam.ServiceRelay;
import dev.slipway.seam.StackSettings;
import dev.slipway.seam.UdpNat;
import dev.slipway.udp.UdpForwards;
import dev.slipway.virtio.VirtioNetHeader;
import dev.slipway.wire.Checksum;
import dev.slipway.wire.EthernetFrame;
import dev.slipway.wire.Frame;
import dev.slipway.wire.IpAddress;
import dev.slipway.wire.MacAddress;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.List;

/**
 * A whole stack between a guest that speaks everything half right and a host on which anything happens. The input is a
 * program: each step is a frame, with most of it as it should be, or an event of the host, or time that passes.
 *
 * <p>Findings: whatever is thrown, a defect that the stack contained, a frame to the guest that cannot be, a host socket
 * used against its contract, bytes that are not those sent, limits exceeded, anything left when the guest is gone, and a
 * next guest that is not served.
 */
public final class StackFuzz {

    private static final long MAC = 0x5254_0012_3456L;
    private static final int GUEST = 0xC0A8_4103;
    private static final int GATEWAY = 0xC0A8_4101;
    private static final long PREFIX = 0xFD65L << 48;
    private static final long OUTSIDE = 0x2001_0DB8_0000_0000L;
    private static final int MAX_STEPS = 400;
    private static final int TCP_FLOWS = 16;
    private static final int UDP_FLOWS = 6;
    private static final int REASSEMBLY = 64 << 10;

    private static final IpAddress[] OWN = {
        new IpAddress(PREFIX, 0x5054_00FF_FE12_3456L),
        new IpAddress(0xFE80L << 48, 0x5054_00FF_FE12_3456L),
        new IpAddress(PREFIX, 7),
        new IpAddress(0, 0),
    };
    private static final IpAddress[] THERE = {
        new IpAddress(OUTSIDE, 0xDB8_0000 + 4),
        new IpAddress(PREFIX, 1),
        new IpAddress(0xFE80L << 48, 1),
        new IpAddress(0xFF02L << 48, 1),
        new IpAddress(0xFF02L << 48, 2),
        new IpAddress(0xFF02L << 48, 0xFB),
        new IpAddress(0xFF02L << 48, 0x1_0002),
        new IpAddress(PREFIX, 0x254),
        new IpAddress(0xFF02L << 48, 0x1_FF12_3456L),
        new IpAddress(PREFIX, 99),
        new IpAddress(0, 1),
    };
    private static final int[] THERE_V4 = {
        0xCB00_7100, GATEWAY, 0xC0A8_41FE, -1, 0xC0A8_41FF, 0xE000_00FB, 0xEFFF_FFFA, 0xC0A8_4199, 0x7F00_0001, 0,
    };
    private static final int[] PORTS = {9, 53, 67, 547, 5_353, 1_900, 0, 40_001};

    private final Input input;
    private final StackSettings settings;
    private final FuzzGuest guest;
    private final FuzzHost host = new FuzzHost();
    private final DropCounters drops = new DropCounters();
    private final List<NameResolver.Answer> queries = new ArrayList<>();
    private final Stack stack;
    private Throwable failure;
    private long now = 1_000_000_000_000L;
    private byte[] last = new byte[0];
    private int identification;
    /** Whether segments come with offload: large, and with sums that are partial or vouched for. */
    private final boolean hasOffload;
    /** What is said of the next frame: a virtio-net header, or null for nothing. */
    private byte[] offload;

    private StackFuzz(Input input) {
        this.input = input;
        int choice = input.u8();
        hasOffload = (choice & 0x90) == 0x90;
        settings = settings(choice, input.u8());
        guest = new FuzzGuest(settings);
        LeaseTable leases = new LeaseTable(settings);
        NameServer names = new NameServer(settings, (query, stream, answer) -> queries.add(answer), drops);
        stack = new Stack(settings, guest, host, names, leases, drops, new byte[16]);
        stack.whenFailed(thrown -> failure = failure == null ? thrown : failure);
    }

    private static StackSettings settings(int choice, int mtu) {
        Ipv6Settings ipv6 =
                choice % 4 == 0 ? Ipv6Settings.OFF : choice % 4 == 1 ? Ipv6Settings.AUTO : Ipv6Settings.DEFAULTS;
        StackSettings settings = StackSettings.defaults()
                .withIpv6(ipv6)
                .withUdpNat((choice & 4) != 0 ? UdpNat.SYMMETRIC : UdpNat.FULL_CONE)
                .withMtu(new int[] {1_500, 1_280, 9_000, 65_520}[mtu & 3])
                .withLimits(new StackSettings.Limits(TCP_FLOWS, 4, UDP_FLOWS, REASSEMBLY, 16_384, 40_000, 4, 50_000));
        return (choice & 8) != 0 ? settings.withRelays(EnumSet.allOf(ServiceRelay.class)) : settings;
    }

    public static void fuzzerTestOneInput(byte[] data) {
        new StackFuzz(new Input(data)).run();
    }

    private void run() {
        for (int i = 0; i < MAX_STEPS && input.hasMore(); i++) {
            step();
            if (failure != null) {
                throw new AssertionError("a defect, contained", failure);
            }
            check(stack.tcp().size() <= TCP_FLOWS, "connections beyond the limit");
            check(stack.udp().size() <= UDP_FLOWS, "UDP flows beyond the limit");
            check(stack.reassemblyBytes() <= REASSEMBLY, "fragments beyond the limit");
            check(stack.tcp().outOfOrderBytes() <= 40_000, "bytes out of order beyond the limit");
        }
        guest.room = Integer.MAX_VALUE;
        turn();
        pass(700_000_000_000L);
        stack.reset();
        turn();
        check(host.open() == 0, "sockets of the host are left: " + host.open());
        check(stack.tcp().size() + stack.udp().size() + stack.reassemblyBytes() == 0, "something is left");
        stack.attached();
        nextGuestIsServed();
        if (failure != null) {
            throw new AssertionError("a defect, contained", failure);
        }
    }

    private static void check(boolean holds, String what) {
        if (!holds) {
            throw new AssertionError(what);
        }
    }

    private void nextGuestIsServed() {
        byte[] arp = ByteBuffer.allocate(28)
                .putLong(0x0001_0800_0604_0001L)
                .putShort((short) (MAC >>> 32))
                .putInt((int) MAC)
                .putInt(GUEST)
                .putShort((short) 0)
                .putInt(0)
                .putInt(GATEWAY)
                .array();
        int before = guest.frames;
        give(ethernet(MAC, MacAddress.BROADCAST, EthernetFrame.TYPE_ARP, arp));
        turn();
        check(guest.frames == before + 1 && guest.lastType == EthernetFrame.TYPE_ARP, "no answer by ARP");
        give(ipv4(GUEST, GATEWAY, 64, 1, 0, summed(1, echo(8))));
        turn();
        check(guest.frames == before + 2, "no answer to a ping");
        host.exhausted = false;
        host.verdict = Verdict.SENT;
        int streams = host.streams.size();
        give(ipv4(GUEST, 0xCB00_71FF, 64, 6, 0, tcp(50_000, 443, 1, 0, 2, 1_000, new byte[0], 0)));
        turn();
        check(host.streams.size() == streams + 1, "no connection");
    }

    private static byte[] echo(int type) {
        return new byte[] {(byte) type, 0, 0, 0, 0, 1, 0, 2, 'p', 'i', 'n', 'g'};
    }

    private void turn() {
        stack.endTurn(now);
    }

    private void pass(long nanos) {
        long end = now + nanos;
        for (int i = 0; i < 200 && stack.nextDeadline() <= end; i++) {
            now = Math.max(now, stack.nextDeadline());
            stack.poll(now);
            turn();
        }
        now = end;
        stack.poll(now);
        turn();
    }

    // --- steps --------------------------------------------------------------------------------------------------

    private void step() {
        switch (input.u8() % 20) {
            case 0 -> give(input.bytes(input.u16() & 0x7FF));
            case 1 -> {
                int protocol = input.u8();
                give(ipv4(GUEST, there4(), input.u8(), protocol, 0, summed(protocol, input.block())));
            }
            case 2, 3, 4, 5 -> segment();
            case 6 -> datagram();
            case 7 -> {
                byte[] message = input.block();
                int type = input.u8();
                if (message.length > 0) {
                    message[0] = (byte) type;
                }
                give(ipv4(GUEST, there4(), input.u8(), 1, 0, summed(1, message)));
            }
            case 8 -> {
                IpAddress from = own();
                IpAddress to = there();
                byte[] message = input.block();
                give(ipv6(from, to, input.u8(), 58, summed6(from, to, 58, message), new byte[0]));
            }
            case 9 -> neighbour();
            case 10 -> fragment4();
            case 11 -> fragment6();
            case 12 -> pass(1L << input.u8() % 40);
            case 13 -> establish();
            case 14, 15 -> {
                host.event(input);
                turn();
            }
            case 16 -> damaged();
            case 17 -> published();
            case 18 -> arp();
            default -> setting();
        }
    }

    private void setting() {
        switch (input.u8() % 10) {
            case 0 -> guest.room = input.u16();
            case 1 -> {
                guest.room = Integer.MAX_VALUE;
                stack.guestReady();
                turn();
            }
            case 2 -> stack.attached();
            case 3 -> {
                stack.reset();
                for (FuzzGuest.Flow flow : guest.flows) {
                    flow.isOpen = false;
                }
            }
            case 4 -> {
                stack.ipv6Router(input.flag());
                turn();
            }
            case 5 -> host.verdict = Verdict.values()[input.u8() % Verdict.values().length];
            case 6 -> host.room = input.u16();
            case 7 -> host.exhausted = input.flag();
            default -> {
                if (!queries.isEmpty()) {
                    byte[] answer = input.block();
                    queries.remove(input.u8() % queries.size())
                            .answered(answer.length < 12 ? Arrays.copyOf(answer, 12) : answer);
                    turn();
                }
            }
        }
    }

    private void give(byte[] frame) {
        if (host.streams.size() + host.datagrams.size() + host.echoes.size() > FuzzHost.MAX_SOCKETS) {
            return;
        }
        last = frame;
        Frame given = new Frame().set(MemorySegment.ofArray(frame), 0, frame.length);
        boolean refused = offload != null && !VirtioNetHeader.read(MemorySegment.ofArray(offload), 0, given);
        offload = null;
        if (refused) {
            return;
        }
        stack.input(given, now);
        if ((frame.length & 1) == 0) {
            turn();
        }
    }

    private void damaged() {
        byte[] frame = last.clone();
        for (int i = input.u8() % 4; i >= 0 && frame.length > 0; i--) {
            frame[input.u16() % frame.length] = (byte) input.u8();
        }
        byte[] before = last;
        give(input.flag() ? frame : Arrays.copyOf(frame, frame.length * input.u8() / 255));
        last = before;
    }

    private int there4() {
        return THERE_V4[input.u8() % THERE_V4.length];
    }

    private IpAddress own() {
        return OWN[input.u8() % OWN.length];
    }

    private IpAddress there() {
        return THERE[input.u8() % THERE.length];
    }

    /** A connection of the guest's as it should begin, options and all; what follows is on it. */
    private void establish() {
        int index = input.u8() % FuzzGuest.FLOWS;
        FuzzGuest.Flow flow = guest.flows[index];
        int before = host.streams.size();
        flow.next = input.i32();
        flow.isOpen = false;
        give(tcp(index, flow.next++, 0, 2, 65_535, new byte[] {2, 4, 5, (byte) 180, 3, 3, 2, 1, 4, 2}, 0));
        turn();
        if (host.streams.size() > before) {
            host.streams.getLast().connect();
            turn();
            give(tcp(index, flow.next, flow.expected, 0x10, 65_535, new byte[0], 0));
            turn();
        }
    }

    /** A segment of one of the guest's connections in its packet. */
    private byte[] tcp(int index, int sequence, int ack, int flags, int window, byte[] options, int length) {
        byte[] segment =
                tcp(FuzzGuest.PORT + index, FuzzGuest.remotePort(index), sequence, ack, flags, window, options, length);
        return packet(index, 64, segment);
    }

    private byte[] packet(int index, int hops, byte[] segment) {
        if (index < FuzzGuest.FLOWS / 2) {
            return ipv4(GUEST, FuzzGuest.remote(index), hops, 6, 0, segment);
        }
        IpAddress to = new IpAddress(OUTSIDE, FuzzGuest.remote(index) & 0xFFFF_FFFFL);
        return ipv6(OWN[0], to, hops, 6, resummed6(OWN[0], to, segment), new byte[0]);
    }

    /** A segment of one of the guest's connections, as far from what it should be as the input says. */
    private void segment() {
        int which = input.u8();
        int index = which % FuzzGuest.FLOWS;
        FuzzGuest.Flow flow = guest.flows[index];
        int flags = new int[] {0x02, 0x10, 0x10, 0x18, 0x11, 0x04, 0x14, 0}[which / FuzzGuest.FLOWS % 8];
        if (flags == 0) {
            flags = input.u8();
        }
        int sequence = flow.next + distance();
        int acknowledgement = flow.expected + distance();
        if ((flags & 2) != 0 && flags == 2) {
            sequence = input.i32();
            flow.next = sequence;
            flow.isOpen = false;
        }
        byte[] options = which >= 128 ? input.bytes(input.u8() % 41) : new byte[0];
        int window = input.u16();
        int undone = hasOffload ? input.u8() : 0;
        int longest = (undone & 3) == 3 ? 65_000 : Math.min(0x3FFF, settings.mtu() - 120);
        int length = (flags & 2) != 0 && which < 128 ? 0 : Math.min(input.u16() & (longest | 0x3FFF), longest);
        byte[] segment = tcp(
                FuzzGuest.PORT + index,
                FuzzGuest.remotePort(index),
                sequence,
                acknowledgement,
                flags,
                window,
                options,
                Math.max(0, length));
        if (sequence == flow.next) {
            flow.next += Math.max(0, length) + (flags & 1) + (flags >>> 1 & 1);
        }
        int hops = (which & 64) != 0 ? 64 : input.u8();
        byte[] packet = packet(index, hops, segment);
        offload = undone == 0 ? null : header(undone, packet.length - segment.length, index);
        give(packet);
    }

    /** As the input says; or a partial sum, with a unit to be cut or without, as a driver would say it. */
    private byte[] header(int undone, int transport, int index) {
        if ((undone & 3) == 0) {
            return Arrays.copyOf(input.bytes(VirtioNetHeader.LENGTH), VirtioNetHeader.LENGTH);
        }
        boolean isUnit = (undone & 3) == 3;
        return ByteBuffer.allocate(VirtioNetHeader.LENGTH)
                .order(ByteOrder.LITTLE_ENDIAN)
                .put((byte) (undone & 3 & ((undone & 4) != 0 ? 2 : 3)))
                .put((byte) (!isUnit ? 0 : index < FuzzGuest.FLOWS / 2 ? 1 : 4))
                .putShort((short) 0)
                .putShort((short) (1 + undone * 8))
                .putShort((short) transport)
                .putShort((short) 16)
                .putShort((short) 1)
                .array();
    }

    /** Usually none. */
    private int distance() {
        return switch (input.u8() % 8) {
            case 0 -> input.u8();
            case 1 -> -input.u8();
            case 2 -> input.i32();
            case 3 -> input.u16();
            default -> 0;
        };
    }

    /** A segment with the sum for IPv4 from the guest to where flows lead; its payload says where it belongs. */
    private byte[] tcp(
            int port, int remotePort, int sequence, int ack, int flags, int window, byte[] options, int length) {
        int header = 20 + (options.length + 3 & ~3);
        byte[] segment = new byte[header + length];
        ByteBuffer.wrap(segment)
                .putShort((short) port)
                .putShort((short) remotePort)
                .putInt(sequence)
                .putInt(ack)
                .put((byte) (header / 4 << 4))
                .put((byte) flags)
                .putShort((short) window)
                .putInt(0)
                .put(options);
        for (int i = 0; i < length; i++) {
            segment[header + i] = (byte) (sequence + i + (flags >>> 1 & 1));
        }
        int remote = port == 50_000 ? 0xCB00_71FF : FuzzGuest.remote(port - FuzzGuest.PORT);
        return sum(segment, 16, Checksum.pseudoHeader(GUEST, remote, 6, segment.length));
    }

    private static byte[] resummed6(IpAddress from, IpAddress to, byte[] segment) {
        segment[16] = 0;
        segment[17] = 0;
        return sum(segment, 16, Checksum.pseudoHeader(from, to, 6, segment.length));
    }

    private static byte[] sum(byte[] bytes, int field, int pseudo) {
        if (bytes.length >= field + 2) {
            int sum = Checksum.finish(pseudo + Checksum.sum(MemorySegment.ofArray(bytes), 0, bytes.length));
            bytes[field] = (byte) (sum >>> 8);
            bytes[field + 1] = (byte) sum;
        }
        return bytes;
    }

    private static byte[] summed(int protocol, byte[] payload) {
        if (protocol == 1 && payload.length >= 4) {
            payload[2] = 0;
            payload[3] = 0;
            return sum(payload, 2, 0);
        }
        return payload;
    }

    private static byte[] summed6(IpAddress from, IpAddress to, int protocol, byte[] payload) {
        int field = protocol == 17 ? 6 : 2;
        if (payload.length >= field + 2) {
            payload[field] = 0;
            payload[field + 1] = 0;
        }
        return sum(payload, field, Checksum.pseudoHeader(from, to, protocol, payload.length));
    }

    private byte[] udp(int port, byte[] payload) {
        return ByteBuffer.allocate(8 + payload.length)
                .putShort((short) (5_000 + input.u8() % 10))
                .putShort((short) port)
                .putShort((short) (8 + payload.length))
                .putShort((short) 0)
                .put(payload)
                .array();
    }

    private void datagram() {
        boolean v6 = input.flag();
        int port = PORTS[input.u8() % PORTS.length];
        byte[] payload = input.flag() ? input.bytes(input.u16() & 0x3FF) : new byte[input.u8()];
        if (v6) {
            IpAddress from = own();
            IpAddress to = there();
            give(ipv6(from, to, input.u8(), 17, summed6(from, to, 17, udp(port, payload)), new byte[0]));
        } else {
            int source = input.u8() % 8 == 0 ? 0 : GUEST;
            give(ipv4(source, there4(), input.u8(), 17, 0, udp(port, payload)));
        }
    }

    private void neighbour() {
        IpAddress from = own();
        IpAddress to = there();
        IpAddress target = input.flag() ? own() : there();
        byte[] options = input.bytes(input.u8() % 32);
        byte[] message = ByteBuffer.allocate(24 + options.length)
                .put((byte) (133 + input.u8() % 5))
                .put((byte) 0)
                .putShort((short) 0)
                .putInt(input.i32())
                .put(target.toBytes())
                .put(options)
                .array();
        give(ipv6(from, to, 255, 58, summed6(from, to, 58, message), new byte[0]));
    }

    private void fragment4() {
        int kind = input.u8();
        int protocol = new int[] {17, 1, 6, 17}[kind & 3];
        int field = (input.u8() << 5 & 0x1FFF) | ((kind & 4) != 0 ? 0x2000 : 0) | ((kind & 8) != 0 ? input.u8() : 0);
        identification = (kind & 16) != 0 ? input.u8() : identification;
        byte[] piece = (kind & 32) != 0 ? input.block() : new byte[256 * (1 + (kind >>> 6))];
        give(ipv4(GUEST, there4(), 64, protocol, field, piece));
    }

    private void fragment6() {
        int kind = input.u8();
        IpAddress from = own();
        IpAddress to = there();
        byte[] extensions = input.bytes(input.u8() % 80);
        byte[] payload = input.block();
        int first = extensions.length == 0 ? kind : new int[] {44, 0, 60, 43}[kind & 3];
        give(ipv6(from, to, 64, first, payload, extensions));
    }

    private void arp() {
        byte[] message = input.bytes(28);
        byte[] whole = ByteBuffer.allocate(28).putLong(0x0001_0800_0604_0001L).array();
        System.arraycopy(message, Math.min(6, message.length), whole, 6, Math.max(0, message.length - 6));
        if (input.flag()) {
            ByteBuffer.wrap(whole).putShort(8, (short) (MAC >>> 32)).putInt(10, (int) MAC);
        }
        give(ethernet(MAC, MacAddress.BROADCAST, EthernetFrame.TYPE_ARP, whole));
    }

    private void published() {
        boolean v6 = input.flag();
        IpAddress to = v6 ? own() : IpAddress.ofV4(input.flag() ? GUEST : there4());
        int port = input.flag() ? FuzzGuest.PORT + input.u8() % FuzzGuest.FLOWS : 1 + input.u8();
        IpAddress seenAs = v6 ? THERE[0] : IpAddress.ofV4(GATEWAY);
        switch (input.u8() % 4) {
            case 0 -> stack.ports().look(now);
            case 1 -> {
                int seenPort = stack.ports().shownPort(to, port, seenAs, input.u16());
                byte[] payload = new byte[input.u16()];
                stack.ports()
                        .deliver(
                                to,
                                port,
                                seenAs,
                                seenPort == 0 ? 1 : seenPort,
                                new Client(),
                                MemorySegment.ofArray(payload),
                                0,
                                Math.min(payload.length, 65_507),
                                now);
            }
            default -> stack.ports().connect(to, port, seenAs, input.u16(), listener -> host.accept(listener), now);
        }
        turn();
    }

    private static final class Client implements UdpForwards.Client {
        @Override
        public void answered(MemorySegment payload, long offset, int length) {
            check(payload.asSlice(offset, length).byteSize() == length, "an answer that is not there");
        }

        @Override
        public void forgotten() {}
    }

    // --- packets ------------------------------------------------------------------------------------------------

    private byte[] ethernet(long from, long to, int type, byte[] payload) {
        return ByteBuffer.allocate(14 + payload.length)
                .putShort((short) (to >>> 32))
                .putInt((int) to)
                .putShort((short) (from >>> 32))
                .putInt((int) from)
                .putShort((short) type)
                .put(payload)
                .array();
    }

    private byte[] ipv4(int from, int to, int hops, int protocol, int fragment, byte[] payload) {
        byte[] packet = ByteBuffer.allocate(20 + payload.length)
                .putShort((short) 0x4500)
                .putShort((short) (20 + payload.length))
                .putShort((short) identification)
                .putShort((short) fragment)
                .put((byte) hops)
                .put((byte) protocol)
                .putShort((short) 0)
                .putInt(from)
                .putInt(to)
                .put(payload)
                .array();
        int sum = Checksum.finish(Checksum.sum(MemorySegment.ofArray(packet), 0, 20));
        packet[10] = (byte) (sum >>> 8);
        packet[11] = (byte) sum;
        long mac = to == -1 || to >>> 28 == 0xE ? MacAddress.BROADCAST : settings.gatewayMac();
        return ethernet(MAC, mac, EthernetFrame.TYPE_IPV4, packet);
    }

    private byte[] ipv6(IpAddress from, IpAddress to, int hops, int protocol, byte[] payload, byte[] extensions) {
        byte[] packet = ByteBuffer.allocate(40 + extensions.length + payload.length)
                .putInt(6 << 28)
                .putShort((short) (extensions.length + payload.length))
                .put((byte) protocol)
                .put((byte) hops)
                .put(from.toBytes(), 0, from.toBytes().length)
                .put(new byte[16 - from.toBytes().length])
                .put(to.toBytes())
                .put(extensions)
                .put(payload)
                .array();
        return ethernet(MAC, to.isGroup() ? 0x3333_0000_0001L : settings.gatewayMac(), EthernetFrame.TYPE_IPV6, packet);
    }
}
