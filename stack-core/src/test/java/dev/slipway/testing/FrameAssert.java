package dev.slipway.testing;

import dev.slipway.wire.Frame;
import dev.slipway.wire.MacAddress;
import org.assertj.core.api.AbstractAssert;

/** Assertions about a frame to a guest. */
public final class FrameAssert extends AbstractAssert<FrameAssert, SentFrame> {

    FrameAssert(SentFrame frame) {
        super(frame, FrameAssert.class);
        isNotNull();
    }

    public FrameAssert fromMac(long mac) {
        return same("source MAC", MacAddress.toString(mac), MacAddress.toString(actual.mac(6)));
    }

    public FrameAssert toMac(long mac) {
        return same("destination MAC", MacAddress.toString(mac), MacAddress.toString(actual.mac(0)));
    }

    public FrameAssert hasLength(int bytes) {
        return same("frame length", bytes, actual.length());
    }

    /** Whether it is to be cut into segments with payloads of that size; 0: not at all. */
    public FrameAssert hasSegmentSize(int bytes) {
        return same("segment size", bytes, actual.segmentSize());
    }

    /** A whole, unfragmented IPv4 packet that carries a right TCP segment. */
    public TcpAssert isTcp() {
        isIpv4(6);
        int at = actual.transport();
        atLeast("TCP segment", 20, actual.transportLength());
        int header = (actual.u8(at + 12) >> 4) * 4;
        if (header < 20 || header > actual.transportLength()) {
            throw failure("TCP data offset says %d bytes of %d in %s", header, actual.transportLength(), actual);
        }
        isChecksummed(6, 16);
        return new TcpAssert(actual);
    }

    /** A whole, unfragmented IPv4 packet that carries a right UDP datagram. */
    public UdpAssert isUdp() {
        isIpv4(17);
        atLeast("UDP datagram", 8, actual.transportLength());
        same("UDP length", actual.transportLength(), actual.u16(actual.transport() + 4));
        if (actual.u16(actual.transport() + 6) == 0) {
            throw failure("UDP without a checksum: %s", actual);
        }
        isChecksummed(17, 6);
        return new UdpAssert(actual);
    }

    /** A whole, unfragmented IPv4 packet that carries a right ICMP message. */
    public IcmpAssert isIcmp() {
        isIpv4(1);
        atLeast("ICMP message", 8, actual.transportLength());
        byte[] body = actual.completedTransport();
        same("ICMP checksum sum", 0xFFFF, NaiveChecksum.sum(body, 0, body.length));
        return new IcmpAssert(actual);
    }

    /** A right ARP packet for IPv4 over Ethernet. */
    public ArpAssert isArp() {
        same("EtherType", 0x0806, actual.type());
        atLeast("ARP frame", 42, actual.length());
        same("ARP hardware and protocol type", 0x0001_0800, actual.i32(14));
        same("ARP address lengths", 0x0604, actual.u16(18));
        same("ARP sender and Ethernet source", actual.mac(6), actual.mac(22));
        for (int i = 42; i < actual.length(); i++) {
            same("padding at " + i, 0, actual.u8(i));
        }
        return new ArpAssert(actual);
    }

    /** An IPv4 packet or fragment with a right header that fills the frame. */
    public FrameAssert isIpv4() {
        same("EtherType", 0x0800, actual.type());
        atLeast("IPv4 frame", 34, actual.length());
        same("IP version", 4, actual.u8(14) >> 4);
        atLeast("IP header", 20, actual.ipHeaderLength());
        same("IP total length", actual.length() - 14, actual.u16(16));
        same("IP header checksum sum", 0xFFFF, NaiveChecksum.sum(actual.bytes, 14, actual.transport()));
        atLeast("TTL", 1, actual.u8(22));
        return this;
    }

    /** A fragment whose payload lies there in the datagram's. */
    public FrameAssert isFragment(int offset, boolean moreFollow) {
        isIpv4();
        return same("fragment field", offset / 8 | (moreFollow ? 0x2000 : 0), actual.u16(20));
    }

    private void isIpv4(int protocol) {
        isIpv4();
        same("IP protocol", protocol, actual.protocol());
        same("fragment offset and MF", 0, actual.u16(20) & 0x3FFF);
    }

    private void isChecksummed(int protocol, int field) {
        int pseudo = NaiveChecksum.pseudoHeader(
                actual.slice(26, 30), actual.slice(30, 34), protocol, actual.transportLength());
        if (actual.checksum() == Frame.ChecksumState.PARTIAL) {
            same("start of the partial checksum", actual.transport(), actual.checksumStart());
            same("field of the partial checksum", field, actual.checksumOffset());
            same("pseudo-header's sum in the checksum field", pseudo, actual.u16(actual.transport() + field));
        } else {
            byte[] body = actual.slice(actual.transport(), actual.transport() + actual.transportLength());
            same("checksum sum", 0xFFFF, NaiveChecksum.fold((long) pseudo + NaiveChecksum.sum(body, 0, body.length)));
        }
    }

    private void atLeast(String what, int least, int is) {
        if (is < least) {
            throw failure("%s has %d bytes, expected at least %d: %s", what, is, least, actual);
        }
    }

    private FrameAssert same(String what, Object expected, Object is) {
        if (!expected.equals(is)) {
            throw failureWithActualExpected(is, expected, "%s: expected %s, is %s in %s", what, expected, is, actual);
        }
        return this;
    }
}
