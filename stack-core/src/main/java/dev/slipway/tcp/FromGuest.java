package dev.slipway.tcp;

import dev.slipway.seam.HostStream;
import dev.slipway.wire.BigEndian;
import dev.slipway.wire.DropReason;
import dev.slipway.wire.TcpSegment;
import java.lang.foreign.MemorySegment;

/**
 * The direction from the guest to the host: what has come, what was promised, what was acknowledged.
 *
 * <p>All positions count payload bytes of the guest from 0; position {@code p} has sequence number {@code irs + 1 + p}.
 *
 * <pre>
 *   acknowledged ≤ taken by the host's kernel ≤ received in order ≤ promised (right edge of the window)
 * </pre>
 *
 * The right edge never moves back, and never beyond what the host's socket has room for. It moves on by at least a
 * segment at a time (RFC 9293, section 3.8.6.2.2), so that the guest never sees a silly window. What the guest reads out
 * of the window field may be less than one step of the scale behind it (RFC 7323, section 2.4): the field is rounded up
 * as long as the host has room for that, and down otherwise.
 */
final class FromGuest {

    /** The shift of the windows we announce: up to 16 MiB in steps of 256 bytes. */
    static final int WINDOW_SCALE = 8;

    /** The right edge moves by a segment at least, but a host socket smaller than a large segment must do too. */
    private static final int MAX_STEP = 8 << 10;

    private static final long NO_FIN = -1;

    private final TcpTable table;
    private final HostStream stream;
    private final int irs;
    private final int step;
    private final int scale;
    private final long maxWindow;

    private long received;
    private long promised;
    private long acknowledged;
    private long finPosition = NO_FIN;
    private boolean finPassedOn;
    private boolean finAcknowledged;
    private boolean acknowledgeNow;
    private boolean unflushed;
    private OutOfOrder outOfOrder;

    /**
     * @param irs the guest's initial sequence number
     * @param mss the largest payload the guest sends in one segment
     * @param scaled whether both sides scale windows
     */
    FromGuest(TcpTable table, HostStream stream, int irs, int mss, boolean scaled) {
        this.table = table;
        this.stream = stream;
        this.irs = irs;
        this.step = Math.min(mss, MAX_STEP);
        this.scale = scaled ? WINDOW_SCALE : 0;
        this.maxWindow = 0xFFFFL << scale;
    }

    /** The stream position of a sequence number near the end of what was received. */
    long positionOf(int sequence) {
        return received + (sequence - (irs + 1 + (int) received));
    }

    /** The position expected next, the FIN counted. */
    long expected() {
        return finPassedOn ? received + 1 : received;
    }

    /** The position the guest was told last to go on from. */
    long acknowledged() {
        return acknowledged;
    }

    long promised() {
        return promised;
    }

    boolean isFinished() {
        return finAcknowledged;
    }

    /** The next segment to the guest has to be sent even if it says nothing new. */
    void acknowledgeNow() {
        acknowledgeNow = true;
    }

    /**
     * Payload and FIN of a segment, in window or not.
     *
     * @return false if it came out of order, so that the guest is to be told at once
     */
    boolean accept(TcpSegment segment, long position) {
        if (segment.has(TcpSegment.FIN)) {
            long fin = position + segment.payloadLength();
            if (finPosition == NO_FIN && fin >= received && fin <= promised) {
                finPosition = fin;
            }
            acknowledgeNow = true;
        }
        long start = Math.max(position, received);
        long end = Math.min(
                position + segment.payloadLength(), finPosition == NO_FIN ? promised : Math.min(promised, finPosition));
        if (position + segment.payloadLength() > promised) {
            table.drops().count(DropReason.TCP_OUT_OF_WINDOW);
        }
        if (segment.payloadLength() > 0) {
            acknowledgeNow |= end <= received || start > received || end < position + segment.payloadLength();
        }
        boolean inOrder = true;
        if (start < end) {
            long offset = segment.payloadOffset() + (start - position);
            if (start == received) {
                pass(segment.bytes(), offset, (int) (end - start));
                fillFromQueue();
            } else {
                keep(start, segment.bytes(), offset, (int) (end - start));
                inOrder = false;
            }
        }
        if (finPosition == received && !finPassedOn) {
            finPassedOn = true;
            stream.shutdownOutput();
        }
        return inOrder;
    }

    private void pass(MemorySegment bytes, long offset, int length) {
        stream.write(bytes, offset, length);
        unflushed = true;
        received += length;
    }

    private void keep(long start, MemorySegment bytes, long offset, int length) {
        if (outOfOrder == null) {
            outOfOrder = new OutOfOrder();
        }
        int before = outOfOrder.bytes();
        if (!outOfOrder.add(start, bytes, offset, length, table.outOfOrderRoom(before))) {
            table.drops().count(DropReason.TCP_REASSEMBLY_LIMIT);
        }
        table.outOfOrderChanged(outOfOrder.bytes() - before);
    }

    private void fillFromQueue() {
        while (outOfOrder != null && !outOfOrder.isEmpty() && outOfOrder.firstStart() <= received) {
            long start = outOfOrder.firstStart();
            int before = outOfOrder.bytes();
            byte[] piece = outOfOrder.removeFirst();
            table.outOfOrderChanged(outOfOrder.bytes() - before);
            long skip = received - start;
            // A guest that says it ended before what it sent has ended.
            long length = finPosition == NO_FIN ? piece.length : Math.min(piece.length, finPosition - start);
            if (skip < length) {
                pass(MemorySegment.ofArray(piece), skip, (int) (length - skip));
            }
            acknowledgeNow = true;
        }
        if (outOfOrder != null && outOfOrder.isEmpty()) {
            outOfOrder = null;
        }
    }

    /** Hands what came in this turn to the host's kernel. */
    void flush() {
        if (unflushed) {
            unflushed = false;
            stream.flush();
        }
    }

    /** Whether the guest has to be told something that no segment has told it yet. */
    boolean owesAcknowledgement() {
        if (acknowledgeNow || acknowledgeable() > acknowledged) {
            return true;
        }
        if (finPassedOn) {
            return false;
        }
        long opened = grantable(stream.room()) - promised;
        return opened >= 2L * step || opened >= step && promised - acknowledged < step;
    }

    private long acknowledgeable() {
        if (finAcknowledged) {
            return received + 1;
        }
        long taken = stream.taken();
        return finPassedOn && taken == received && stream.isOutputShutdown() ? taken + 1 : taken;
    }

    /** The acknowledgement number for a segment that is about to be sent. */
    int acknowledgement() {
        acknowledged = acknowledgeable();
        finAcknowledged |= finPassedOn && acknowledged == received + 1;
        acknowledgeNow = false;
        return irs + 1 + (int) acknowledged;
    }

    /** The acknowledgement number sent last. */
    int lastAcknowledgement() {
        return irs + 1 + (int) acknowledged;
    }

    /**
     * The window field for a segment that is about to be sent; to be asked after {@link #acknowledgement}.
     */
    int window() {
        long limit = promised;
        if (!finPassedOn) {
            int room = stream.room();
            limit = received + room;
            long edge = grantable(room);
            if (edge - promised >= step) {
                promised = edge;
            }
        }
        long open = Math.max(0, promised - acknowledged);
        long field = Math.min((open + (1L << scale) - 1) >>> scale, 0xFFFF);
        long edge = acknowledged + (field << scale);
        if (edge > promised) {
            if (edge > limit) {
                return (int) (open >>> scale);
            }
            promised = edge;
        }
        return (int) field;
    }

    /** How far the right edge may go, less what rounding up the field may add to it. */
    private long grantable(int room) {
        long unit = 1L << scale;
        long spare = room > 4 * unit ? unit - 1 : 0;
        return Math.min(received + room - spare, acknowledged + maxWindow);
    }

    /** The window field of the SYN-ACK or SYN, which is never scaled (RFC 7323, section 2.2). */
    int initialWindow() {
        int window = Math.min(stream.room(), 0xFFFF);
        promised = Math.max(promised, window);
        return window;
    }

    /** Writes selective acknowledgements behind a header; returns the bytes of option they take, padding included. */
    int writeSelectiveAcks(MemorySegment target, long offset) {
        if (outOfOrder == null) {
            return 0;
        }
        int blocks = outOfOrder.writeBlocks(target, offset + 4, TcpSegment.MAX_SACK_BLOCKS, irs + 1);
        if (blocks == 0) {
            return 0;
        }
        BigEndian.putI32(target, offset, 0x0101_0000 | TcpSegment.OPTION_SACK << 8 | 2 + 8 * blocks);
        return 4 + 8 * blocks;
    }

    /** Lets go of what is kept out of order. */
    void release() {
        if (outOfOrder != null) {
            table.outOfOrderChanged(-outOfOrder.bytes());
            outOfOrder = null;
        }
    }
}
