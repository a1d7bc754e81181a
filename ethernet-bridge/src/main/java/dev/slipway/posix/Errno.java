package dev.slipway.posix;

/** Error numbers of Linux, as {@link Sockets} returns them negated (asm-generic/errno.h). */
public final class Errno {

    public static final int EPERM = 1;
    public static final int ENOENT = 2;
    public static final int EINTR = 4;
    public static final int EIO = 5;
    public static final int EAGAIN = 11;
    public static final int ENOMEM = 12;
    public static final int EACCES = 13;
    public static final int EFAULT = 14;
    public static final int EBUSY = 16;
    public static final int ENODEV = 19;
    public static final int EINVAL = 22;
    public static final int ENFILE = 23;
    public static final int EMFILE = 24;
    public static final int EPIPE = 32;
    public static final int EBADF = 9;
    public static final int EBADFD = 77;
    public static final int ENOTSOCK = 88;
    public static final int EMSGSIZE = 90;
    public static final int EPROTONOSUPPORT = 93;
    public static final int EAFNOSUPPORT = 97;
    public static final int EADDRINUSE = 98;
    public static final int EADDRNOTAVAIL = 99;
    public static final int ENETDOWN = 100;
    public static final int ENETUNREACH = 101;
    public static final int ECONNRESET = 104;
    public static final int ENOBUFS = 105;
    public static final int ENOTCONN = 107;
    public static final int ETIMEDOUT = 110;
    public static final int ECONNREFUSED = 111;
    public static final int EHOSTDOWN = 112;
    public static final int EHOSTUNREACH = 113;
    public static final int EINPROGRESS = 115;

    private Errno() {}

    /** Whether a result says that the call would have had to wait. */
    public static boolean isAgain(long result) {
        return result == -EAGAIN;
    }

    /** Name and meaning of an error number, for people. */
    public static String name(long number) {
        return switch ((int) number) {
            case EPERM -> "EPERM: operation not permitted";
            case ENOENT -> "ENOENT: no such file";
            case EINTR -> "EINTR: interrupted";
            case EIO -> "EIO: input/output error";
            case EAGAIN -> "EAGAIN: try again";
            case ENOMEM -> "ENOMEM: out of memory";
            case EACCES -> "EACCES: permission denied";
            case EFAULT -> "EFAULT: bad address";
            case EBUSY -> "EBUSY: in use";
            case ENODEV -> "ENODEV: no such device";
            case EINVAL -> "EINVAL: invalid argument";
            case ENFILE -> "ENFILE: too many open files in the system";
            case EMFILE -> "EMFILE: too many open files";
            case EPIPE -> "EPIPE: broken pipe";
            case EBADF -> "EBADF: not an open descriptor";
            case ENOTSOCK -> "ENOTSOCK: not a socket";
            case EBADFD -> "EBADFD: descriptor in a bad state";
            case EMSGSIZE -> "EMSGSIZE: message too long";
            case EPROTONOSUPPORT -> "EPROTONOSUPPORT: protocol not supported";
            case EAFNOSUPPORT -> "EAFNOSUPPORT: address family not supported";
            case EADDRINUSE -> "EADDRINUSE: address already in use";
            case EADDRNOTAVAIL -> "EADDRNOTAVAIL: address not available";
            case ENETDOWN -> "ENETDOWN: network is down";
            case ENETUNREACH -> "ENETUNREACH: network is unreachable";
            case ECONNRESET -> "ECONNRESET: connection reset by peer";
            case ENOBUFS -> "ENOBUFS: no buffer space";
            case ENOTCONN -> "ENOTCONN: not connected";
            case ETIMEDOUT -> "ETIMEDOUT: timed out";
            case ECONNREFUSED -> "ECONNREFUSED: connection refused";
            case EHOSTDOWN -> "EHOSTDOWN: host is down";
            case EHOSTUNREACH -> "EHOSTUNREACH: no route to host";
            case EINPROGRESS -> "EINPROGRESS: in progress";
            default -> "errno " + number;
        };
    }
}
