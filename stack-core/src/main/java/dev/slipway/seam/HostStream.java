package dev.slipway.seam;

import java.lang.foreign.MemorySegment;

/**
 * A TCP connection of the host as the stack sees it: two byte queues that the host's kernel (or a bounded queue of ours
 * in its stead) holds. The stack itself holds no payload.
 *
 * <p>Positions count bytes from the start of the connection, per direction, from 0.
 *
 * <ul>
 *   <li><b>Guest to host.</b> {@link #room} promises; what was promised is accepted by {@link #write} without
 *       exception; {@link #taken} says how much of it the host's kernel has. Only that is acknowledged to the guest.
 *   <li><b>Host to guest.</b> {@link #peek} copies from any position not yet discarded, as often as a retransmission
 *       needs; {@link #discard} lets go of what the guest acknowledged.
 * </ul>
 *
 * After the end ({@link #reset}, {@link #close}, or an event that says it is closed) no method may be called any more.
 *
 * <p>All methods and all events belong to the thread that owns the stack. No event is delivered from within a method of
 * this interface, nor from within {@link HostSockets#connect}.
 */
public interface HostStream {

    /** Returned by {@link #peek} at the position where the host's stream ends. */
    int END = -1;

    /**
     * How many bytes more than were written so far would be accepted. The stack offers at most this as a window; the
     * promise holds until those bytes have come. It may be 0; {@link Listener#writable} tells when it grows again.
     */
    int room();

    /**
     * Takes bytes for the host, in order. They need stay valid only until {@link #flush}. The source may be native
     * memory or an array.
     */
    void write(MemorySegment source, long offset, int length);

    /** Ends the turn's writing: what was written goes to the host's kernel as far as it takes it. */
    void flush();

    /** How many bytes written so far are in the host's kernel. */
    long taken();

    /** The guest sends no more: the host's connection is half closed when all that was written is in the kernel. */
    void shutdownOutput();

    /** Whether the half-close that {@link #shutdownOutput} asked for was done. */
    boolean isOutputShutdown();

    /**
     * Copies bytes for the guest without consuming them.
     *
     * @param position where to copy from; not before what was discarded
     * @return bytes copied; 0 if there are none at that position just now ({@link Listener#readable} follows when there
     *     are); {@link #END} if the stream ends at that position
     */
    int peek(long position, MemorySegment target, long offset, int length);

    /**
     * Copies bytes for the guest without consuming them, as {@link #peek} does, in pieces that do not lie one behind the
     * other: room for headers is between them.
     *
     * @param length bytes of all pieces
     * @param piece bytes of each piece but the last, which may be shorter
     * @param distance bytes from the start of a piece to the start of the next
     * @return as {@link #peek}; it may be no more than one piece, although more bytes are there
     */
    default int peek(long position, MemorySegment target, long offset, int length, int piece, int distance) {
        return peek(position, target, offset, Math.min(length, piece));
    }

    /** Lets go of all bytes before a position: the guest has them. */
    void discard(long position);

    /** Ends the connection at once so that the host's peer sees a reset. No event follows. */
    void reset();

    /**
     * Lets go of a connection that both sides have ended in order (guest's end passed on, host's end delivered). No
     * event follows.
     */
    void close();

    /** What happens to a host connection. */
    interface Listener {

        /** The host's connect succeeded. */
        void connected();

        /** The host's connect failed. No other event follows; the stream is already closed. */
        void failed(ConnectFailure failure);

        /** The host's connect failed because the network said this. No other event follows; the stream is closed. */
        default void failed(IcmpError error) {
            failed(ConnectFailure.HOST_UNREACHABLE);
        }

        /** {@link HostStream#peek} has something new: bytes, or the end. */
        void readable();

        /** {@link HostStream#taken}, {@link HostStream#room} or {@link HostStream#isOutputShutdown} has grown. */
        void writable();

        /** The host's peer reset the connection, or the host's kernel gave it up. The stream is already closed. */
        void reset();
    }

    /** Why a connect of the host failed, as far as the guest is to learn of it. */
    enum ConnectFailure {
        /** Nobody listens: a reset for the guest. */
        REFUSED,
        /** No way to the host: ICMP host unreachable. */
        HOST_UNREACHABLE,
        /** No way to the network: ICMP network unreachable. */
        NETWORK_UNREACHABLE,
        /** Settings or the host's firewall forbid it: ICMP administratively prohibited. */
        PROHIBITED,
        /** Nobody answered: the guest hears nothing either, its own timer decides. */
        TIMED_OUT,
        /** The host has no socket left: a reset for the guest. */
        EXHAUSTED
    }
}
