package dev.slipway.posix;

import dev.slipway.wire.BigEndian;
import dev.slipway.wire.IpAddress;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * A {@code struct sockaddr} in native memory, set anew for each call: {@code sockaddr_in} and {@code sockaddr_in6}
 * (ip(7), ipv6(7)).
 *
 * <pre>
 *  0       2       4               8
 *  +-------+-------+---------------+-----------------------+
 *  |family | port  | IPv4 address  | zero                  |   16 bytes
 *  +-------+-------+---------------+-----------------------+-----------+----------+
 *  |family | port  | flow          | IPv6 address                      | scope    |   28 bytes
 *  +-------+-------+---------------+-----------------------------------+----------+
 * </pre>
 */
public final class SocketAddress {

    static final int CAPACITY = 28;

    private static final int IPV4_LENGTH = 16;

    private final MemorySegment bytes = Arena.ofAuto().allocate(32, 8);
    private int length;

    /** Names an IPv4 address (network order) and a port. */
    public SocketAddress set(int ipv4, int port) {
        bytes.fill((byte) 0);
        bytes.set(ValueLayout.JAVA_SHORT, 0, (short) Sockets.AF_INET);
        BigEndian.putU16(bytes, 2, port);
        BigEndian.putI32(bytes, 4, ipv4);
        length = IPV4_LENGTH;
        return this;
    }

    /** Names an address of either family and a port. */
    public SocketAddress set(IpAddress address, int port) {
        if (address.isV4()) {
            return set(address.v4(), port);
        }
        bytes.fill((byte) 0);
        bytes.set(ValueLayout.JAVA_SHORT, 0, (short) Sockets.AF_INET6);
        BigEndian.putU16(bytes, 2, port);
        BigEndian.putI64(bytes, 8, address.high());
        BigEndian.putI64(bytes, 16, address.low());
        length = CAPACITY;
        return this;
    }

    long address() {
        return bytes.address();
    }

    int length() {
        return length;
    }
}
