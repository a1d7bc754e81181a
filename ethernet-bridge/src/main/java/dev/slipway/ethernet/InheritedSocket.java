package dev.slipway.ethernet;

import dev.slipway.ethernet.SocketPathException.Reason;
import dev.slipway.posix.Errno;
import dev.slipway.posix.Sockets;
import java.util.Locale;

/**
 * A socket that this process was started with, by its descriptor: a launcher has connected it, or listens on it, and so
 * needs no path.
 *
 * @param descriptor its number
 * @param kind what it carries
 * @param listening whether VMs connect to it, rather than that it is connected to one
 * @param unix whether it is a Unix socket, rather than TCP's
 */
public record InheritedSocket(int descriptor, Kind kind, boolean listening, boolean unix) {

    /** What a socket carries. */
    public enum Kind {
        /** A stream of bytes. */
        STREAM,
        /** Datagrams. */
        DATAGRAMS,
        /** Packets on a connection. */
        PACKETS
    }

    /** The lowest that is not standard input, output or error. */
    public static final int FIRST = 3;

    private static final int HIGHEST = 1 << 20;

    /**
     * Reads a number.
     *
     * @throws IllegalArgumentException that says what is wrong, for people
     */
    public static int parse(String text) {
        if (!text.matches("[0-9]{1,7}") || Integer.parseInt(text) < FIRST || Integer.parseInt(text) > HIGHEST) {
            throw new IllegalArgumentException(
                    "'" + text + "' is not the number of a descriptor, " + FIRST + " or more");
        }
        return Integer.parseInt(text);
    }

    /**
     * Looks what a descriptor is.
     *
     * @param place as it was written, for messages
     * @throws SocketPathException if it is not open, no socket, or one that cannot carry frames
     */
    public static InheritedSocket look(int descriptor, String place, Transport transport) throws SocketPathException {
        if (!Sockets.isSupported() || transport != Transport.NATIVE && transport != Transport.EPOLL) {
            throw new SocketPathException(
                    place,
                    Reason.NOT_SUPPORTED,
                    "inherited descriptors need Linux on x86-64 or aarch64 and --transport native or epoll, not "
                            + transport.name().toLowerCase(Locale.ROOT));
        }
        Sockets sockets = new Sockets();
        int type = sockets.option(descriptor, Sockets.SO_TYPE);
        if (type < 0) {
            throw new SocketPathException(
                    place, Reason.REFUSED, "descriptor " + descriptor + " is no socket (" + Errno.name(-type) + ")");
        }
        int family = sockets.option(descriptor, Sockets.SO_DOMAIN);
        boolean unix = family == Sockets.AF_UNIX;
        boolean listening = sockets.option(descriptor, Sockets.SO_ACCEPTCONN) == 1;
        boolean tcp = family == Sockets.AF_INET || family == Sockets.AF_INET6;
        if (type == Sockets.SOCK_STREAM && (unix || tcp)) {
            sockets.adopt(descriptor);
            return new InheritedSocket(descriptor, Kind.STREAM, listening, unix);
        }
        if (!unix || listening || type != Sockets.SOCK_DGRAM && type != Sockets.SOCK_SEQPACKET) {
            throw new SocketPathException(
                    place,
                    Reason.NOT_SUPPORTED,
                    "descriptor " + descriptor + " is a socket of family " + family + " and type " + type
                            + "; it can be a stream (Unix or TCP, connected or listening), or connected Unix datagrams"
                            + " or packets");
        }
        if (transport != Transport.NATIVE) {
            throw new SocketPathException(place, Reason.NOT_SUPPORTED, "datagrams and packets need --transport native");
        }
        return new InheritedSocket(descriptor, type == Sockets.SOCK_DGRAM ? Kind.DATAGRAMS : Kind.PACKETS, false, true);
    }
}
