package dev.slipway.ethernet;

import dev.slipway.posix.Errno;
import dev.slipway.posix.ReceiveBatch;
import dev.slipway.posix.SocketAddress;
import dev.slipway.posix.Sockets;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Who the guest is on a datagram socket: the first that sends from a name of its own. The socket is connected to it, and
 * from then on the kernel refuses what others send; what they sent before is told apart here.
 *
 * <p>Nothing tells that the guest's socket is closed, so while the guest is silent the connection is made anew: that fails
 * when the socket is gone, and finds a new one of the same name.
 */
final class DatagramPeer {

    private static final Logger LOG = LoggerFactory.getLogger(PacketLink.class);

    private final Sockets sockets;
    private final LinkCounters counters;
    private final SocketAddress guest = new SocketAddress();
    private final SocketAddress stranger = new SocketAddress();
    /** Whether the kernel's queue may hold what others have sent before the socket was connected. */
    private boolean mixed;

    private long framesAtLastLook;
    private boolean toldOfStrangers;

    /** @param counters where those who are not the guest are counted */
    DatagramPeer(Sockets sockets, LinkCounters counters) {
        this.sockets = sockets;
        this.counters = counters;
    }

    /** The guest is whoever the socket is connected to already, and has no name that is known. */
    void unnamed() {
        guest.clear();
    }

    /**
     * Makes the sender of a datagram the guest.
     *
     * @param place the socket's name, for messages
     * @return false if nothing can be sent to it; it is counted, and the first one is logged
     */
    boolean meet(String place, int fd, ReceiveBatch received, int index) {
        received.source(index, stranger);
        int result = stranger.isNamed() ? sockets.connect(fd, stranger) : -Errno.ENOTCONN;
        if (result < 0) {
            counters.refusedConnection();
            tellOfStranger(place, result);
            return false;
        }
        received.source(index, guest);
        mixed = true;
        return true;
    }

    private void tellOfStranger(String place, int result) {
        if (!toldOfStrangers) {
            toldOfStrangers = true;
            LOG.warn(
                    "{}: a frame came from {}; later ones are only counted",
                    place,
                    stranger.isNamed()
                            ? stranger.path() + ", where nothing can be sent to (" + Errno.name(-result) + ")"
                            : "a socket without a name, which cannot be answered: it must be bound to a path");
        }
    }

    /** Whether the guest has sent a datagram; if not, it is counted. */
    boolean hasSent(ReceiveBatch received, int index) {
        if (!mixed || received.isFrom(index, guest)) {
            return true;
        }
        counters.refusedConnection();
        return false;
    }

    /** All that was in the kernel's queue has been read. */
    void drained() {
        mixed = false;
    }

    /** From now on the guest is looked for if it is silent. */
    void watch() {
        framesAtLastLook = counters.framesFromGuest();
    }

    /** Why a guest that was silent since the last look is gone; null if it is there. */
    String look(int fd) {
        long frames = counters.framesFromGuest();
        boolean silent = frames == framesAtLastLook;
        framesAtLastLook = frames;
        if (silent) {
            int result = sockets.connect(fd, guest);
            if (result < 0 && result != -Errno.EAGAIN && result != -Errno.EINTR) {
                return "the guest's socket " + guest.path() + " is gone (" + Errno.name(-result) + ")";
            }
        }
        return null;
    }

    /** Whether the guest's name leads to a socket again, which may be another one. */
    boolean isBack(int fd) {
        return guest.isNamed() && sockets.connect(fd, guest) == 0;
    }

    /** The guest is gone: what is still queued to it is thrown away by the kernel with this. */
    void part(int fd) {
        sockets.connect(fd, stranger.unspecified());
    }
}
