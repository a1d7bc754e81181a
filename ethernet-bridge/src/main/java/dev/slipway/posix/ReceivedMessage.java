package dev.slipway.posix;

import dev.slipway.wire.BigEndian;
import dev.slipway.wire.IpAddress;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * Room for one message that recvmsg(2) receives, with what the kernel tells beside its bytes: the time to live it came
 * with (IP_RECVTTL), or, from the error queue, what the network said about a packet of the socket's (IP_RECVERR, ip(7);
 * linux/errqueue.h). Of both families.
 *
 * <pre>
 *  struct msghdr      0 name  8 its length  16 iovec  24 number of iovecs  32 control  40 its length  48 flags
 *  struct cmsghdr     0 length             8 level   12 type              16 data …, the next one aligned to 8
 *  sock_extended_err  0 errno  4 origin  5 type  6 code  8 info  12 data  16 struct sockaddr of who says it
 * </pre>
 */
public final class ReceivedMessage {

    /** The error comes from the host itself: {@link #errorNumber} and {@link #errorInfo} say what it is. */
    public static final int ORIGIN_LOCAL = 1;

    /** The error came as an ICMP message. */
    public static final int ORIGIN_ICMP = 2;

    /** The error came as an ICMPv6 message. */
    public static final int ORIGIN_ICMPV6 = 3;

    private static final int HEADER = 56;
    private static final int VECTOR = 16;
    private static final int NAME = 32;
    private static final int CONTROL = 256;
    private static final int CONTROL_HEADER = 16;
    private static final int IPV6_HOPLIMIT = 52;
    private static final int NONE = -1;

    private final MemorySegment header = Arena.ofAuto().allocate(HEADER + VECTOR + NAME + CONTROL, 8);
    private final MemorySegment payload;
    private int length;
    private long hopLimitAt = NONE;
    private long errorAt = NONE;

    /**
     * @param capacity bytes of a message that are kept; what exceeds them is cut off
     */
    public ReceivedMessage(int capacity) {
        payload = Arena.ofAuto().allocate(capacity, 8);
        long base = header.address();
        header.set(ValueLayout.JAVA_LONG, 0, base + HEADER + VECTOR);
        header.set(ValueLayout.JAVA_LONG, 16, base + HEADER);
        header.set(ValueLayout.JAVA_LONG, 24, 1);
        header.set(ValueLayout.JAVA_LONG, 32, base + HEADER + VECTOR + NAME);
        header.set(ValueLayout.JAVA_LONG, HEADER, payload.address());
        header.set(ValueLayout.JAVA_LONG, HEADER + 8, capacity);
    }

    /** The memory that the message begins at the start of; the next call overwrites it. */
    public MemorySegment payload() {
        return payload;
    }

    /** Bytes of the message. */
    public int length() {
        return length;
    }

    /** Whom the message came from; of an error, where the packet at fault went. */
    public IpAddress address() {
        return addressAt(HEADER + VECTOR);
    }

    /** The port that belongs to {@link #address}. */
    public int port() {
        return BigEndian.u16(header, HEADER + VECTOR + 2);
    }

    /** The time to live, or hop limit, that the message came with; -1 if the kernel did not say. */
    public int hopLimit() {
        return hopLimitAt < 0 ? NONE : header.get(ValueLayout.JAVA_INT, hopLimitAt);
    }

    /** Whether the message is an error. */
    public boolean isError() {
        return errorAt >= 0;
    }

    /** The error as an error number, see {@link Errno}. */
    public int errorNumber() {
        return header.get(ValueLayout.JAVA_INT, errorAt);
    }

    /** Who noticed: {@link #ORIGIN_LOCAL}, {@link #ORIGIN_ICMP}, {@link #ORIGIN_ICMPV6}, or something else. */
    public int errorOrigin() {
        return header.get(ValueLayout.JAVA_BYTE, errorAt + 4) & 0xFF;
    }

    /** The type of the ICMP message. */
    public int errorType() {
        return header.get(ValueLayout.JAVA_BYTE, errorAt + 5) & 0xFF;
    }

    /** The code of the ICMP message. */
    public int errorCode() {
        return header.get(ValueLayout.JAVA_BYTE, errorAt + 6) & 0xFF;
    }

    /** The path MTU in bytes, of an error that speaks of it. */
    public int errorInfo() {
        return header.get(ValueLayout.JAVA_INT, errorAt + 8);
    }

    /** Who sent the ICMP message, or {@code null} if nobody did. */
    public IpAddress errorReporter() {
        return addressAt(errorAt + 16);
    }

    private IpAddress addressAt(long at) {
        return switch (header.get(ValueLayout.JAVA_SHORT, at)) {
            case Sockets.AF_INET -> IpAddress.ofV4(BigEndian.i32(header, at + 4));
            case Sockets.AF_INET6 -> new IpAddress(BigEndian.i64(header, at + 8), BigEndian.i64(header, at + 16));
            default -> null;
        };
    }

    long headerAddress() {
        return header.address();
    }

    /** Before a call: the kernel has changed the lengths of what it filled in. */
    void clear() {
        header.set(ValueLayout.JAVA_INT, 8, NAME);
        header.set(ValueLayout.JAVA_LONG, 40, CONTROL);
        header.set(ValueLayout.JAVA_SHORT, HEADER + VECTOR, (short) 0);
        length = 0;
        hopLimitAt = NONE;
        errorAt = NONE;
    }

    /** After a call: finds what the kernel told beside the bytes. */
    void received(int bytes) {
        length = (int) Math.min(bytes, payload.byteSize());
        long base = HEADER + VECTOR + NAME;
        long end = base + Math.min(CONTROL, header.get(ValueLayout.JAVA_LONG, 40));
        for (long at = base; at + CONTROL_HEADER <= end; ) {
            long size = header.get(ValueLayout.JAVA_LONG, at);
            if (size < CONTROL_HEADER || at + size > end) {
                return;
            }
            found(
                    header.get(ValueLayout.JAVA_INT, at + 8),
                    header.get(ValueLayout.JAVA_INT, at + 12),
                    at + CONTROL_HEADER,
                    size - CONTROL_HEADER);
            at += size + 7 & ~7L;
        }
    }

    private void found(int level, int type, long at, long size) {
        boolean isV4 = level == Sockets.IPPROTO_IP;
        if (!isV4 && level != Sockets.IPPROTO_IPV6) {
            return;
        }
        if (type == (isV4 ? Sockets.IP_TTL : IPV6_HOPLIMIT) && size >= 4) {
            hopLimitAt = at;
        } else if (type == (isV4 ? Sockets.IP_RECVERR : Sockets.IPV6_RECVERR) && size >= 16 + 16) {
            errorAt = at;
        }
    }
}
