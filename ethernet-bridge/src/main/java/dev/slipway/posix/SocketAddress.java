package dev.slipway.posix;

import dev.slipway.wire.BigEndian;
import dev.slipway.wire.IpAddress;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;

/**
 * A {@code struct sockaddr} in native memory, set anew for each call: {@code sockaddr_in}, {@code sockaddr_in6} and
 * {@code sockaddr_un} (ip(7), ipv6(7), unix(7)).
 *
 * <pre>
 *  0       2       4               8
 *  +-------+-------+---------------+-----------------------+
 *  |family | port  | IPv4 address  | zero                  |   16 bytes
 *  +-------+-------+---------------+-----------------------+-----------+----------+
 *  |family | port  | flow          | IPv6 address                      | scope    |   28 bytes
 *  +-------+-------+---------------+-----------------------------------+----------+
 *  |family | path, up to 108 bytes; nothing for a socket without a name            |   2 to 110 bytes
 *  +-------+-----------------------------------------------------------------------+
 * </pre>
 */
public final class SocketAddress {

    static final int CAPACITY = 28;

    /** Bytes of a Unix socket's address, at most. */
    static final int UNIX_CAPACITY = 110;

    private static final int PATH = 2;

    private static final int IPV4_LENGTH = 16;

    private final MemorySegment bytes = Arena.ofAuto().allocate(112, 8);
    private int length;

    /** Names an IPv4 address (network order) and a port. */
    public SocketAddress set(int ipv4, int port) {
        bytes.set(ValueLayout.JAVA_LONG, 8, 0);
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

    /**
     * Names a Unix socket by its path.
     *
     * @throws IllegalArgumentException if it is longer than 107 bytes
     */
    public SocketAddress set(Path path) {
        byte[] name = path.toString().getBytes(StandardCharsets.UTF_8);
        if (name.length > UNIX_CAPACITY - PATH - 1) {
            throw new IllegalArgumentException("a path of " + name.length + " bytes");
        }
        bytes.fill((byte) 0);
        bytes.set(ValueLayout.JAVA_SHORT, 0, (short) Sockets.AF_UNIX);
        MemorySegment.copy(name, 0, bytes, ValueLayout.JAVA_BYTE, PATH, name.length);
        length = PATH + name.length + 1;
        return this;
    }

    /** No address: that of the peer of a connected socket. */
    public SocketAddress clear() {
        length = 0;
        return this;
    }

    /** No family: connecting to it ends the connection of a datagram socket (connect(2)). */
    public SocketAddress unspecified() {
        bytes.fill((byte) 0);
        length = PATH;
        return this;
    }

    /** Whether it names anybody. */
    public boolean isNamed() {
        return length > PATH;
    }

    /** The path of a Unix socket, for people; an abstract name begins with @. */
    public String path() {
        int end = PATH;
        while (end < length && (end == PATH || bytes.get(ValueLayout.JAVA_BYTE, end) != 0)) {
            end++;
        }
        return new String(
                        bytes.asSlice(PATH, Math.max(0, end - PATH)).toArray(ValueLayout.JAVA_BYTE),
                        StandardCharsets.UTF_8)
                .replace('\0', '@');
    }

    /** The IPv4 or IPv6 address; one of IPv4 that came to a socket of both families is IPv4's. */
    public IpAddress ip() {
        return bytes.get(ValueLayout.JAVA_SHORT, 0) == Sockets.AF_INET
                ? IpAddress.ofV4(BigEndian.i32(bytes, 4))
                : new IpAddress(BigEndian.i64(bytes, 8), BigEndian.i64(bytes, 16));
    }

    /** The port of an IPv4 or IPv6 address. */
    public int port() {
        return BigEndian.u16(bytes, 2);
    }

    /** The kernel has written an address of that length. */
    void received(int newLength) {
        length = Math.clamp(newLength, 0, UNIX_CAPACITY);
    }

    void set(SocketAddress other) {
        MemorySegment.copy(other.bytes, 0, bytes, 0, bytes.byteSize());
        length = other.length;
    }

    void set(MemorySegment from, long offset, int newLength) {
        length = Math.clamp(newLength, 0, UNIX_CAPACITY);
        MemorySegment.copy(from, offset, bytes, 0, length);
    }

    boolean equals(MemorySegment other, long offset, int otherLength) {
        return length == otherLength && bytes.asSlice(0, length).mismatch(other.asSlice(offset, length)) < 0;
    }

    long address() {
        return bytes.address();
    }

    int length() {
        return length;
    }
}
