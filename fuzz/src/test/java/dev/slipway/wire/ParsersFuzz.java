package dev.slipway.wire;

import dev.slipway.fuzz.Input;
import dev.slipway.virtio.VirtioNetHeader;
import java.lang.foreign.MemorySegment;

/**
 * Every parser of what a guest sends, on bytes that begin anywhere in a segment that ends where they end: nothing is thrown,
 * and behind {@link DropReason#NONE} every accessor stays within the bytes.
 */
public final class ParsersFuzz {

    private final MemorySegment bytes;
    private final long from;
    private final int length;

    private ParsersFuzz(byte[] all, int from) {
        this.bytes = MemorySegment.ofArray(all);
        this.from = from;
        this.length = all.length - from;
    }

    public static void fuzzerTestOneInput(byte[] data) {
        Input input = new Input(data);
        int parser = input.u8();
        int before = input.u8() % 16;
        byte[] all = input.rest();
        ParsersFuzz target = new ParsersFuzz(all, Math.min(before, all.length));
        switch (parser % 10) {
            case 0 -> target.ethernet();
            case 1 -> target.ipv4();
            case 2 -> target.ipv6();
            case 3 -> target.tcp(target.from, target.length);
            case 4 -> target.udp(target.from, target.length);
            case 5 -> target.icmp();
            case 6 -> target.dhcp(target.from, target.length);
            case 7 -> target.dhcp6();
            case 8 -> target.dns(target.from, target.length);
            default -> target.offload();
        }
    }

    private static void check(boolean holds, String what) {
        if (!holds) {
            throw new AssertionError(what);
        }
    }

    private void within(long at, long count, String what) {
        check(at >= from && count >= 0 && at + count <= bytes.byteSize(), what + " lies beyond the bytes");
    }

    private void ethernet() {
        EthernetFrame frame = new EthernetFrame();
        if (frame.parse(bytes, from, length) == DropReason.NONE) {
            check(frame.type() >= 0 && frame.type() <= 0xFFFF, "a type of " + frame.type());
            MacAddress.toString(frame.source());
            MacAddress.toString(frame.destination());
        }
        ArpPacket arp = new ArpPacket();
        if (arp.parse(bytes, from, length) == DropReason.NONE) {
            check(arp.operation() == ArpPacket.REQUEST || arp.operation() == ArpPacket.REPLY, "an operation");
            check(arp.senderMac() >>> 48 == 0, "a MAC address of more than 48 bits");
            IpAddress.toString(arp.senderIp() ^ arp.targetIp());
        }
    }

    private void ipv4() {
        Ipv4Packet ip = new Ipv4Packet();
        if (ip.parse(bytes, from, length) == DropReason.NONE) {
            within(ip.payloadOffset(), ip.payloadLength(), "the payload");
            check(ip.fragmentOffset() % 8 == 0 && ip.ttl() >= 0, "fragment or time to live");
            tcp(ip.payloadOffset(), ip.payloadLength());
            udp(ip.payloadOffset(), ip.payloadLength());
        }
    }

    private void ipv6() {
        Ipv6Packet ip = new Ipv6Packet();
        if (ip.parse(bytes, from, length) != DropReason.NONE) {
            return;
        }
        within(ip.payloadOffset(), ip.payloadLength(), "the payload");
        check(ip.headerLength() >= 40 && ip.headerLength() <= 40 + Ipv6Packet.MAX_EXTENSION_BYTES, "a header");
        check(ip.protocolOffset() < ip.headerLength(), "where the protocol is said");
        check(!ip.isFragment() || ip.hasFragmentHeader(), "a fragment without its header");
        new Icmpv6Packet().parse(ip, bytes, ip.payloadOffset(), ip.payloadLength());
        UdpDatagram udp = new UdpDatagram();
        if (udp.parse(bytes, ip.payloadOffset(), ip.payloadLength(), ip, true) == DropReason.NONE) {
            within(udp.payloadOffset(), udp.payloadLength(), "a datagram");
        }
        if (ip.isFragment()) {
            byte[] whole = new byte[ip.payloadLength()];
            MemorySegment copy = MemorySegment.ofArray(whole);
            MemorySegment.copy(bytes, ip.payloadOffset(), copy, 0, whole.length);
            if (ip.parseWhole(copy, whole.length, ip.protocol()) == DropReason.NONE) {
                check(ip.wholePayloadOffset() <= whole.length, "a whole packet's payload");
            }
        }
    }

    private void tcp(long at, int count) {
        TcpSegment tcp = new TcpSegment();
        tcp.parse(bytes, at, count, 1, 2, true);
        if (tcp.parse(bytes, at, count, 1, 2, false) == DropReason.NONE) {
            within(tcp.payloadOffset(), tcp.payloadLength(), "the payload");
            check(tcp.windowScale() >= -1 && tcp.windowScale() <= 14, "a window scale of " + tcp.windowScale());
            check(tcp.sackBlocks() >= 0 && tcp.sackBlocks() <= TcpSegment.MAX_SACK_BLOCKS, "too many blocks");
            for (int i = 0; i < tcp.sackBlocks(); i++) {
                SequenceNumber.before(tcp.sackLeft(i), tcp.sackRight(i));
            }
        }
    }

    private void udp(long at, int count) {
        UdpDatagram udp = new UdpDatagram();
        udp.parse(bytes, at, count, 1, 2, true);
        if (udp.parse(bytes, at, count, 1, 2, false) == DropReason.NONE) {
            within(udp.payloadOffset(), udp.payloadLength(), "the payload");
            dhcp(udp.payloadOffset(), udp.payloadLength());
            dns(udp.payloadOffset(), udp.payloadLength());
        }
    }

    private void icmp() {
        Icmpv4Packet icmp = new Icmpv4Packet();
        if (icmp.parse(bytes, from, length) == DropReason.NONE) {
            check((icmp.type() | icmp.code()) <= 255, "a type of " + icmp.type());
        }
    }

    private void dhcp(long at, int count) {
        DhcpMessage dhcp = new DhcpMessage();
        if (dhcp.parse(bytes, at, count) != DropReason.NONE) {
            return;
        }
        check(dhcp.type() >= 1 && dhcp.hardwareAddress() >>> 48 == 0, "a type, or an address");
        for (int code = 1; code < 255; code++) {
            if (dhcp.has(code)) {
                within(dhcp.optionOffset(code), dhcp.optionLength(code), "option " + code);
            }
            dhcp.i32(code);
            dhcp.u16(code);
            dhcp.u8(code);
        }
    }

    private void dhcp6() {
        Dhcp6Message dhcp = new Dhcp6Message();
        if (dhcp.parse(bytes, from, length) != DropReason.NONE) {
            return;
        }
        if (dhcp.hasClientId()) {
            within(dhcp.clientId(), dhcp.clientIdLength(), "the client's identifier");
        }
        dhcp.isFor(new byte[10]);
        int options = 0;
        dhcp.options();
        while (dhcp.nextOption()) {
            within(dhcp.data(), dhcp.dataLength(), "an option");
            check(++options <= length, "options without end");
            if (dhcp.option() == Dhcp6Message.OPTION_IA_NA) {
                long mark = dhcp.mark();
                dhcp.optionsWithin(Dhcp6Message.IA_LENGTH);
                int inner = 0;
                while (dhcp.nextOption()) {
                    within(dhcp.data(), dhcp.dataLength(), "an option within");
                    check(++inner <= length, "options within without end");
                }
                dhcp.back(mark);
            }
        }
    }

    private void dns(long at, int count) {
        DnsMessage dns = new DnsMessage();
        if (dns.parse(bytes, at, count) != DropReason.NONE) {
            return;
        }
        check(dns.length() >= 17 && dns.length() <= count, "a length of " + dns.length());
        check(dns.own().length == dns.length(), "a copy of another length");
        check(dns.maxUdpLength() >= 512, "a limit of " + dns.maxUdpLength());
        check(dns.name().length() <= 1_100 && dns.hostName().length() <= 1_100, "a name that is too long");
        check(dns.respond(DnsMessage.REFUSED).length >= 17, "a response without the question");
        check(dns.respond(DnsMessage.TYPE_A, new byte[4], 1).length >= 33, "a response without its record");
        check(dns.truncate(new byte[12]).length >= 17, "a short response without the question");
        DnsMessage again = new DnsMessage();
        byte[] own = dns.own();
        check(again.parse(MemorySegment.ofArray(own), 0, own.length) == DropReason.NONE, "a copy that is none");
        check(again.name().equals(dns.name()) && again.type() == dns.type(), "a copy that asks for something else");
    }

    private void offload() {
        if (length < VirtioNetHeader.LENGTH + EthernetFrame.HEADER_LENGTH) {
            return;
        }
        Frame frame = new Frame();
        long at = from + VirtioNetHeader.LENGTH;
        frame.set(bytes, at, length - VirtioNetHeader.LENGTH);
        if (VirtioNetHeader.read(bytes, from, frame) && frame.checksum() == Frame.ChecksumState.PARTIAL) {
            within(at + frame.checksumStart() + frame.checksumOffset(), 2, "the checksum");
        }
    }
}
