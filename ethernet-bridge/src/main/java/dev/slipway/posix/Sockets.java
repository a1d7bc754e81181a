package dev.slipway.posix;

import dev.slipway.posix.SystemCall.Number;
import dev.slipway.wire.BigEndian;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Objects;

/**
 * System calls on sockets that do not block. Each returns what the kernel returned, 0 if that tells nothing, or the error
 * number negated ({@link Errno}); a result of {@code -EAGAIN} says that the call would have had to wait. Only what the
 * caller did wrong throws: a range outside its segment.
 *
 * <p>One instance per thread: what options are passed in belongs to it.
 */
public final class Sockets {

    public static final int AF_UNIX = 1;
    public static final int AF_INET = 2;
    public static final int AF_INET6 = 10;
    public static final int SOCK_STREAM = 1;
    public static final int SOCK_DGRAM = 2;
    public static final int SOCK_SEQPACKET = 5;
    public static final int SHUT_WR = 1;
    public static final int SOL_SOCKET = 1;
    public static final int SO_REUSEADDR = 2;
    public static final int SO_TYPE = 3;
    public static final int SO_ERROR = 4;
    public static final int SO_SNDBUF = 7;
    public static final int SO_RCVBUF = 8;
    public static final int SO_LINGER = 13;
    public static final int SO_ACCEPTCONN = 30;
    public static final int SO_DOMAIN = 39;
    public static final int SO_PEEK_OFF = 42;
    public static final int SO_MEMINFO = 55;
    public static final int IPPROTO_IP = 0;
    public static final int IPPROTO_TCP = 6;
    public static final int IPPROTO_ICMP = 1;
    public static final int IPPROTO_IPV6 = 41;
    public static final int IPPROTO_ICMPV6 = 58;
    public static final int TCP_NODELAY = 1;
    static final int IP_TTL = 2;
    static final int IP_MTU_DISCOVER = 10;
    static final int IP_RECVERR = 11;
    static final int IP_RECVTTL = 12;
    static final int IPV6_UNICAST_HOPS = 16;
    static final int IP_MULTICAST_TTL = 33;
    static final int IPV6_MULTICAST_IF = 17;
    static final int IPV6_MULTICAST_HOPS = 18;
    static final int IPV6_MTU_DISCOVER = 23;
    static final int IPV6_RECVERR = 25;
    static final int IPV6_V6ONLY = 26;
    static final int IPV6_RECVHOPLIMIT = 51;
    /** Routers may fragment what is sent; of both families. */
    private static final int PMTUDISC_DONT = 0;
    /** Nobody may fragment what is sent, and what exceeds the path MTU is refused; of both families. */
    private static final int PMTUDISC_DO = 2;

    private static final int SHUT_RDWR = 2;
    private static final int F_SETFD = 2;
    private static final int F_GETFL = 3;
    private static final int F_SETFL = 4;
    private static final int FD_CLOEXEC = 1;
    private static final int SOCK_NONBLOCK = 0x800;
    private static final int SOCK_CLOEXEC = 0x80000;
    private static final int MSG_PEEK = 0x2;
    private static final int MSG_TRUNC = 0x20;
    private static final int MSG_DONTWAIT = 0x40;
    private static final int MSG_NOSIGNAL = 0x4000;
    private static final int MSG_ERRQUEUE = 0x2000;
    private static final int MSG_CMSG_CLOEXEC = 0x40000000;

    private static final short POLLERR = 0x8;
    private static final short POLLHUP = 0x10;
    private static final short POLLRDHUP = 0x2000;
    /** Where the time to wait lies behind what is polled. */
    private static final int POLL_TIME = 8;

    private static final int TIME_BYTES = 16;
    private static final int MESSAGE_LENGTH = 56;
    private static final int MESSAGE_PIECES = 16;
    private static final int MESSAGE_PIECE_COUNT = 24;

    /** Where the size of the send buffer lies in what SO_MEMINFO gives: SK_MEMINFO_SNDBUF (linux/sock_diag.h). */
    private static final int MEMINFO_SNDBUF = 12;
    /** Where the bytes queued to send lie in it: SK_MEMINFO_WMEM_QUEUED. */
    private static final int MEMINFO_WMEM_QUEUED = 20;

    private static final int MEMINFO_LENGTH = 36;

    private final SystemCall kernel = new SystemCall();
    private final MemorySegment option = Arena.ofAuto().allocate(64, 8);
    /** A {@code struct msghdr} without the peer's address and without control data. */
    private final MemorySegment message = Arena.ofAuto().allocate(MESSAGE_LENGTH, 8);

    private final MemorySegment optionLength = Arena.ofAuto().allocate(8, 8);

    /** Whether this platform has these calls: Linux on x86-64 or aarch64. */
    public static boolean isSupported() {
        return SystemCall.isSupported();
    }

    /** Makes the first call of the process, which takes some 70 ms, so that nobody waits for it later. From any thread. */
    public static void prepare() {
        new Sockets().close(-1);
    }

    /** A new socket that does not block and is closed on exec. */
    public int open(int family, int type) {
        return open(family, type, 0);
    }

    /** A new socket of a protocol that is not the usual one of its type; does not block and is closed on exec. */
    public int open(int family, int type, int protocol) {
        return (int) kernel.call(Number.SOCKET, family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
    }

    /** Gives a descriptor back. It must not be used after that, as the next socket may get the same number. */
    public int close(int fd) {
        return (int) kernel.call(Number.CLOSE, fd, 0, 0);
    }

    /** Begins to connect: {@code -EINPROGRESS} if the outcome comes later, as writability and {@link #pendingError}. */
    public int connect(int fd, SocketAddress address) {
        return (int) kernel.call(Number.CONNECT, fd, address.address(), address.length());
    }

    /** Gives a socket its address and port; port 0 lets the kernel choose one. */
    public int bind(int fd, SocketAddress address) {
        return (int) kernel.call(Number.BIND, fd, address.address(), address.length());
    }

    /** Waits for connections from now on. */
    public int listen(int fd, int backlog) {
        return (int) kernel.call(Number.LISTEN, fd, backlog, 0);
    }

    /**
     * Makes a socket listen no more, and resets who waits (shutdown(2)). Its port is free for sockets with SO_REUSEADDR, and
     * for others when it is closed.
     */
    public int stopListening(int fd) {
        return (int) kernel.call(Number.SHUTDOWN, fd, SHUT_RDWR, 0);
    }

    /** Takes a connection: its descriptor, which does not block and is closed on exec. */
    public int accept(int fd) {
        return (int) kernel.call(Number.ACCEPT4, fd, 0, 0, SOCK_NONBLOCK | SOCK_CLOEXEC, 0, 0);
    }

    /**
     * The same, and who called. The connection begins with the listening socket's SO_LINGER and TCP_NODELAY.
     *
     * @param client an IPv4 or IPv6 address, if there is a connection
     */
    public int accept(int fd, SocketAddress client) {
        optionLength.set(ValueLayout.JAVA_INT, 0, SocketAddress.CAPACITY);
        int accepted = (int) kernel.call(
                Number.ACCEPT4, fd, client.address(), optionLength.address(), SOCK_NONBLOCK | SOCK_CLOEXEC, 0, 0);
        client.received(optionLength.get(ValueLayout.JAVA_INT, 0));
        return accepted;
    }

    /**
     * Says with what mode a Unix socket is born when it is bound, before it is (unix(7) says nothing of it; Linux takes
     * the mode of the socket's own inode, and then the umask away from it).
     */
    public int setMode(int fd, int mode) {
        return (int) kernel.call(Number.FCHMOD, fd, mode, 0);
    }

    /** Makes a descriptor that came from elsewhere one that does not block and is closed on exec. */
    public int adopt(int fd) {
        int flags = (int) kernel.call(Number.FCNTL, fd, F_GETFL, 0);
        if (flags < 0) {
            return flags;
        }
        int result = (int) kernel.call(Number.FCNTL, fd, F_SETFL, flags | SOCK_NONBLOCK);
        return result < 0 ? result : (int) kernel.call(Number.FCNTL, fd, F_SETFD, FD_CLOEXEC);
    }

    /** The value of an option of SOL_SOCKET that is never negative. */
    public int option(int fd, int name) {
        int result = getOption(fd, SOL_SOCKET, name, 4);
        return result < 0 ? result : option.get(ValueLayout.JAVA_INT, 0);
    }

    /** Ends the stream to the peer; the other direction goes on. */
    public int shutdownOutput(int fd) {
        return (int) kernel.call(Number.SHUTDOWN, fd, SHUT_WR, 0);
    }

    /** Sets an option whose value is an {@code int}. */
    public int setOption(int fd, int level, int name, int value) {
        option.set(ValueLayout.JAVA_INT, 0, value);
        return (int) kernel.call(Number.SETSOCKOPT, fd, level, name, option.address(), 4, 0);
    }

    /** Sets the time to live that packets leave with, 1 to 255. */
    public int setHopLimit(int fd, boolean ipv6, int hops) {
        return ipv6 ? setOption(fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS, hops) : setOption(fd, IPPROTO_IP, IP_TTL, hops);
    }

    /** The same for packets to a group. */
    public int setGroupHopLimit(int fd, boolean ipv6, int hops) {
        return ipv6
                ? setOption(fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, hops)
                : setOption(fd, IPPROTO_IP, IP_MULTICAST_TTL, hops);
    }

    /**
     * Says by which interface packets to groups of IPv6 leave.
     *
     * @param index the interface's number, or 0 for the kernel's choice
     */
    public int setGroupInterface(int fd, int index) {
        return setOption(fd, IPPROTO_IPV6, IPV6_MULTICAST_IF, index);
    }

    /** Keeps IPv4 from an IPv6 socket, so that a port may be bound once for each family; before it is bound. */
    public int onlyIpv6(int fd) {
        return setOption(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
    }

    /** Says whether anybody may fragment what is sent; if not, what exceeds the path MTU fails with EMSGSIZE. */
    public int setDontFragment(int fd, boolean ipv6, boolean dontFragment) {
        int discover = dontFragment ? PMTUDISC_DO : PMTUDISC_DONT;
        return ipv6
                ? setOption(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, discover)
                : setOption(fd, IPPROTO_IP, IP_MTU_DISCOVER, discover);
    }

    /** Says whether errors are kept for {@link #receiveError}; if not, those that were kept are dropped. */
    public int keepErrors(int fd, boolean ipv6, boolean keep) {
        return ipv6
                ? setOption(fd, IPPROTO_IPV6, IPV6_RECVERR, keep ? 1 : 0)
                : setOption(fd, IPPROTO_IP, IP_RECVERR, keep ? 1 : 0);
    }

    /** Makes {@link #receive(int, ReceivedMessage)} tell the time to live. */
    public int tellHopLimit(int fd, boolean ipv6) {
        return ipv6 ? setOption(fd, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 1) : setOption(fd, IPPROTO_IP, IP_RECVTTL, 1);
    }

    /** Makes the next close send a reset (SO_LINGER with a time of 0), that at the end of the process too. */
    public int resetOnClose(int fd) {
        option.set(ValueLayout.JAVA_INT, 0, 1);
        option.set(ValueLayout.JAVA_INT, 4, 0);
        return (int) kernel.call(Number.SETSOCKOPT, fd, SOL_SOCKET, SO_LINGER, option.address(), 8, 0);
    }

    /** Makes the next close an ordinary one again, after which the kernel sends what it has, and then the end. */
    public int endOnClose(int fd) {
        option.set(ValueLayout.JAVA_INT, 0, 0);
        option.set(ValueLayout.JAVA_INT, 4, 0);
        return (int) kernel.call(Number.SETSOCKOPT, fd, SOL_SOCKET, SO_LINGER, option.address(), 8, 0);
    }

    /** Takes the socket's pending error: its number, or 0; negative if it could not be asked. */
    public int pendingError(int fd) {
        int result = getOption(fd, SOL_SOCKET, SO_ERROR, 4);
        return result < 0 ? result : option.get(ValueLayout.JAVA_INT, 0);
    }

    /** Whether the peer will send nothing more, though what it has sent may not be read yet. Does not wait (poll(2)). */
    public boolean isPeerDone(int fd) {
        option.set(ValueLayout.JAVA_INT, 0, fd);
        option.set(ValueLayout.JAVA_SHORT, 4, POLLRDHUP);
        option.set(ValueLayout.JAVA_SHORT, 6, (short) 0);
        option.asSlice(POLL_TIME, TIME_BYTES).fill((byte) 0);
        kernel.call(Number.PPOLL, option.address(), 1, option.address() + POLL_TIME, 0, 0, 0);
        return (option.get(ValueLayout.JAVA_SHORT, 6) & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
    }

    /**
     * Bytes that the send buffer has left, by the kernel's own accounting (SO_MEMINFO), which counts the memory that
     * payload takes, structures around it included; never less than 0 but for an error.
     */
    public int sendRoom(int fd) {
        int result = getOption(fd, SOL_SOCKET, SO_MEMINFO, MEMINFO_LENGTH);
        if (result < 0) {
            return result;
        }
        return Math.max(
                0,
                option.get(ValueLayout.JAVA_INT, MEMINFO_SNDBUF)
                        - option.get(ValueLayout.JAVA_INT, MEMINFO_WMEM_QUEUED));
    }

    private int getOption(int fd, int level, int name, int length) {
        optionLength.set(ValueLayout.JAVA_INT, 0, length);
        return (int) kernel.call(Number.GETSOCKOPT, fd, level, name, option.address(), optionLength.address(), 0);
    }

    /** Reads for good: bytes read; 0 at the end of the stream. The target is native memory. */
    public int read(int fd, MemorySegment target, long offset, long length) {
        Objects.checkFromIndexSize(offset, length, target.byteSize());
        return (int) kernel.call(Number.READ, fd, target.address() + offset, length);
    }

    /** Bytes that the kernel took. A peer that is gone is an error, never a signal. The source is native memory. */
    public int write(int fd, MemorySegment source, long offset, long length) {
        Objects.checkFromIndexSize(offset, length, source.byteSize());
        return (int) kernel.call(Number.SENDTO, fd, source.address() + offset, length, MSG_NOSIGNAL, 0, 0);
    }

    /** Bytes that the kernel took of the pieces from {@code first} on, in their order. */
    public long write(int fd, IoVectors vectors, int first) {
        return kernel.call(Number.WRITEV, fd, vectors.address(first), vectors.size() - first);
    }

    /**
     * Copies bytes that stay in the socket's queue: how many, or 0 at the end of the stream. From where SO_PEEK_OFF says,
     * if it is set, and then it moves on by as much. The target is native memory.
     */
    public int peek(int fd, MemorySegment target, long offset, long length) {
        Objects.checkFromIndexSize(offset, length, target.byteSize());
        return (int) kernel.call(Number.RECVFROM, fd, target.address() + offset, length, MSG_PEEK | MSG_DONTWAIT, 0, 0);
    }

    /** The same into pieces, in their order: how many bytes of all of them, or 0 at the end of the stream. */
    public int peek(int fd, IoVectors pieces) {
        message.set(ValueLayout.JAVA_LONG, MESSAGE_PIECES, pieces.address(0));
        message.set(ValueLayout.JAVA_LONG, MESSAGE_PIECE_COUNT, pieces.size());
        return (int) kernel.call(Number.RECVMSG, fd, message.address(), MSG_PEEK | MSG_DONTWAIT);
    }

    /**
     * Drops bytes at the front of a TCP socket's queue without copying them (MSG_TRUNC, tcp(7)): how many, maybe fewer
     * than were asked for. The peek offset falls back by as much.
     */
    public int discard(int fd, long length) {
        return (int) kernel.call(Number.RECVFROM, fd, 0, length, MSG_TRUNC | MSG_DONTWAIT, 0, 0);
    }

    /** The port that an IPv4 or IPv6 socket is bound to. */
    public int localPort(int fd) {
        optionLength.set(ValueLayout.JAVA_INT, 0, SocketAddress.CAPACITY);
        int result = (int) kernel.call(Number.GETSOCKNAME, fd, option.address(), optionLength.address());
        return result < 0 ? result : BigEndian.u16(option, 2);
    }

    /** Sends one datagram; an empty one too. The source is native memory. */
    public int send(int fd, MemorySegment source, long offset, long length, SocketAddress destination) {
        Objects.checkFromIndexSize(offset, length, source.byteSize());
        return (int) kernel.call(
                Number.SENDTO,
                fd,
                source.address() + offset,
                length,
                MSG_NOSIGNAL | MSG_DONTWAIT,
                destination.address(),
                destination.length());
    }

    /**
     * Sends the messages from {@code first} on, at least one.
     *
     * @return how many messages the kernel took: it stops at the first that it does not take, and says why only if that
     *     is the first of the call (sendmmsg(2))
     */
    public int send(int fd, SendBatch batch, int first) {
        Objects.checkIndex(first, batch.messages());
        return (int) kernel.call(
                Number.SENDMMSG, fd, batch.address(first), batch.messages() - first, MSG_NOSIGNAL | MSG_DONTWAIT, 0, 0);
    }

    /** Receives into a batch what waits, and as much as fits: the number of datagrams, which the batch then tells of. */
    public int receive(int fd, ReceiveBatch batch) {
        batch.clear();
        int count = (int) kernel.call(Number.RECVMMSG, fd, batch.address(), ReceiveBatch.SLOTS, MSG_DONTWAIT, 0, 0);
        batch.received(Math.max(count, 0));
        return count;
    }

    /** Receives one datagram with what the kernel tells beside it: its length, which {@code message} then tells of. */
    public int receive(int fd, ReceivedMessage message) {
        return receive(fd, message, MSG_DONTWAIT);
    }

    /**
     * Takes the oldest entry of a socket's error queue (IP_RECVERR, ip(7)), and with it the socket's pending error: the
     * length of what is quoted of the packet at fault, which {@code message} then tells of.
     */
    public int receiveError(int fd, ReceivedMessage message) {
        return receive(fd, message, MSG_ERRQUEUE | MSG_DONTWAIT);
    }

    private int receive(int fd, ReceivedMessage message, int flags) {
        message.clear();
        int length = (int) kernel.call(Number.RECVMSG, fd, message.headerAddress(), flags);
        if (length >= 0) {
            message.received(length);
        }
        return length;
    }

    /**
     * Receives bytes of a Unix stream, and the descriptors that were sent along with the first of them: the number of
     * bytes, 0 at the end of the stream. The target is native memory. Bytes with descriptors of their own are never
     * received together with others.
     */
    public int receive(int fd, MemorySegment target, long offset, long length, ReceivedDescriptors descriptors) {
        Objects.checkFromIndexSize(offset, length, target.byteSize());
        int bytes = (int) kernel.call(
                Number.RECVMSG,
                fd,
                descriptors.prepare(target.address() + offset, length),
                MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        descriptors.received(bytes >= 0);
        return bytes;
    }
}
