package dev.slipway.testing;

/** Assertions about a UDP datagram. */
public final class UdpAssert extends TransportAssert<UdpAssert> {

    UdpAssert(SentFrame frame) {
        super(frame, UdpAssert.class);
    }

    @Override
    int headerLength() {
        return 8;
    }

    public UdpAssert from(String ip, int port) {
        return from(ip).same("source port", port, u16(0));
    }

    public UdpAssert to(String ip, int port) {
        return to(ip).same("destination port", port, u16(2));
    }

    /** A DHCP message to a client. */
    public DhcpAssert isDhcp() {
        same("source port", 67, u16(0));
        same("destination port", 68, u16(2));
        return DhcpAssert.of(payload());
    }

    /** A DNS message from a name server. */
    public DnsAssert isDns() {
        same("source port", 53, u16(0));
        return DnsAssert.of(payload());
    }
}
