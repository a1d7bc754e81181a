package dev.slipway.guest;

import static org.assertj.core.api.Assertions.assertThat;

import dev.slipway.posix.SocketAddress;
import dev.slipway.posix.Sockets;
import dev.slipway.wire.IpAddress;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.net.Inet6Address;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.NetworkInterface;
import java.net.ProtocolFamily;
import java.net.StandardProtocolFamily;
import java.net.StandardSocketOptions;
import java.nio.ByteBuffer;
import java.nio.channels.DatagramChannel;
import java.nio.charset.StandardCharsets;
import java.util.HexFormat;

/** Says from within a guest, by its kernel, what only a network's own servers and routers should say. */
final class RogueSender {

    private static final int SOCK_RAW = 3;
    private static final int ALL_HOPS = 255;
    private static final int IPV6_MULTICAST_LOOP = 19;

    /**
     * A router for half an hour, and the prefix fd99::/64 to make addresses of (RFC 4861, sections 4.2 and 4.6.2). The
     * kernel writes the checksum.
     */
    private static final byte[] ROUTER_ADVERTISEMENT = HexFormat.of()
            .parseHex("86000000" + "40000708" + "0000000000000000" + "030440c0" + "0000070800000708" + "00000000"
                    + "fd990000000000000000000000000000");

    private final Namespace guest;

    RogueSender(Namespace guest) {
        this.guest = guest;
    }

    /** A DHCP offer (RFC 2131, section 2) of an address and a router of its own, to all and to the other. */
    void offerAddresses(String other) throws IOException {
        byte[] offer = new byte[300];
        offer[0] = 2; // BOOTREPLY
        offer[1] = 1;
        offer[2] = 6;
        byte[] options = HexFormat.of().parseHex("63825363" + "350102" + "3604c0a84132" + "0304c0a84132" + "ff");
        System.arraycopy(options, 0, offer, 236, options.length);
        send(67, offer, new InetSocketAddress("255.255.255.255", 68));
        send(67, offer, new InetSocketAddress(other, 68));
        // From where no server speaks.
        send(6_767, offer, new InetSocketAddress(other, 68));
    }

    /** The same by DHCPv6: an ADVERTISE (RFC 8415, section 8), to a link-local address. */
    void offerAddressesByIpv6(String other) throws IOException {
        guest.call(() -> send(547, new byte[] {2, 1, 2, 3}, new InetSocketAddress(scoped(other), 546)));
    }

    void advertiseRouter() throws IOException {
        guest.call(() -> {
            Sockets sockets = new Sockets();
            int fd = sockets.open(Sockets.AF_INET6, SOCK_RAW, Sockets.IPPROTO_ICMPV6);
            try {
                sockets.setGroupInterface(fd, NetworkInterface.getByName("eth0").getIndex());
                sockets.setGroupHopLimit(fd, true, ALL_HOPS);
                // Its own kernel is not to hear it.
                sockets.setOption(fd, Sockets.IPPROTO_IPV6, IPV6_MULTICAST_LOOP, 0);
                MemorySegment bytes = Arena.ofAuto().allocate(ROUTER_ADVERTISEMENT.length);
                MemorySegment.copy(
                        ROUTER_ADVERTISEMENT, 0, bytes, ValueLayout.JAVA_BYTE, 0, ROUTER_ADVERTISEMENT.length);
                IpAddress allNodes =
                        IpAddress.ofBytes(InetAddress.getByName("ff02::1").getAddress());
                int sent = sockets.send(fd, bytes, 0, bytes.byteSize(), new SocketAddress().set(allNodes, 0));
                assertThat(sent).isEqualTo(ROUTER_ADVERTISEMENT.length);
            } finally {
                sockets.close(fd);
            }
            return null;
        });
    }

    /** Speaks to a port of the other's by IPv6 from an address, of its own or not. */
    void speakFrom(String claimed, String other) throws IOException {
        guest.call(() -> {
            try (DatagramChannel channel = DatagramChannel.open().bind(new InetSocketAddress(scoped(claimed), 0))) {
                return channel.send(ByteBuffer.allocate(1), new InetSocketAddress(scoped(other), 9));
            }
        });
    }

    /** What may be said: it comes behind all that was said before. */
    void greet(String other, int port) throws IOException {
        send(0, "hello".getBytes(StandardCharsets.US_ASCII), new InetSocketAddress(other, port));
    }

    private static InetAddress scoped(String linkLocal) throws IOException {
        int index = NetworkInterface.getByName("eth0").getIndex();
        return Inet6Address.getByAddress(null, InetAddress.getByName(linkLocal).getAddress(), index);
    }

    private int send(int from, byte[] bytes, InetSocketAddress to) throws IOException {
        return guest.call(() -> {
            ProtocolFamily family = to.getAddress() instanceof Inet6Address
                    ? StandardProtocolFamily.INET6
                    : StandardProtocolFamily.INET;
            try (DatagramChannel channel = DatagramChannel.open(family)) {
                return channel.setOption(StandardSocketOptions.SO_BROADCAST, true)
                        .bind(new InetSocketAddress(from))
                        .send(ByteBuffer.wrap(bytes), to);
            }
        });
    }
}
