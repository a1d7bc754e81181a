package dev.slipway.tcp;

import dev.slipway.ip.IpOutput;
import dev.slipway.seam.HostStream;
import dev.slipway.time.Timed;
import dev.slipway.wire.Frame;
import dev.slipway.wire.TcpSegment;
import java.lang.foreign.MemorySegment;

/**
 * The direction from the host to the guest: what was sent, what the guest has, what was lost on the way.
 *
 * <p>All positions count payload bytes of the host from 0; position {@code p} has sequence number {@code iss + 1 + p},
 * and the FIN stands at the position where the payload ends.
 *
 * <pre>
 *   acknowledged ≤ next ≤ highest ≤ right edge of the guest's window
 * </pre>
 *
 * {@code next} falls behind {@code highest} after a time-out, when everything is sent again. No payload is held here: a
 * retransmission peeks at the host's queue once more.
 *
 * <p>Loss recovery: RFC 5681 slow start and congestion avoidance with byte counting, RFC 6675 recovery with selective
 * acknowledgements, RFC 6582 without, a loss probe for the tail (RFC 8985, section 7), RFC 6298 time-outs, RFC 9293
 * section 3.8.6.1 zero-window probes.
 */
final class ToGuest {

    /** What one flow may send in one turn, so that others get theirs; see decision 032. */
    static final int TURN_BUDGET = 1 << 20;

    /** After so many time-outs in a row the guest is taken for gone: a quarter of an hour (RFC 9293, section 3.8.3). */
    static final int MAX_TIMEOUTS = 15;

    /** Probes, each waiting twice as long as the one before, and then the time-out. */
    private static final int MAX_PROBES = 3;

    private static final long PROBE_MIN = 10_000_000L;
    private static final long PROBE_DELAYED_ACK = 50_000_000L;
    private static final long NO_END = Long.MAX_VALUE;
    private static final int MAX_UNIT = Frame.MAX_LENGTH - TcpSegment.HEADER_LENGTH;
    /** Where a look at the queue of the host puts the byte nobody wants. */
    private static final MemorySegment PROBE = MemorySegment.ofArray(new byte[1]);

    private final TcpConnection connection;
    private final HostStream stream;
    private final IpOutput output;
    private final RoundTripTime roundTrip = new RoundTripTime();
    private final int iss;
    private final int mss;
    private final int unit;
    private final int scale;

    private long acknowledged;
    private long next;
    private long highest;
    private long end = NO_END;
    private long edge;
    private int lastWindowSequence;
    private int lastWindowAck;

    private final CongestionWindow congestion;
    private final LossRecovery losses;
    private int timeouts;
    private int probes;

    private long timedPosition = -1;
    private long timedAt;
    private long deadline = Timed.NEVER;
    private boolean persisting;
    private boolean blocked;
    private boolean sentAnything;

    /**
     * @param mss the largest payload the guest takes in one segment
     * @param shift of the windows the guest announces
     * @param selectiveAcks whether the guest sends them
     */
    ToGuest(
            TcpConnection connection,
            HostStream stream,
            IpOutput output,
            int iss,
            int mss,
            int shift,
            boolean selectiveAcks) {
        this.connection = connection;
        this.stream = stream;
        this.output = output;
        this.iss = iss;
        this.mss = mss;
        this.unit = Math.max(1, (MAX_UNIT - output.headers()) / mss) * mss;
        this.scale = shift;
        this.congestion = new CongestionWindow(mss);
        this.losses = new LossRecovery(mss, congestion, selectiveAcks);
    }

    /** The sequence number of the next new byte, or of what follows the FIN. */
    int nextSequence() {
        return sequenceOf(highest);
    }

    boolean isFinished() {
        return end != NO_END && acknowledged > end;
    }

    long deadline() {
        return deadline;
    }

    private int sequenceOf(long position) {
        return iss + 1 + (int) position;
    }

    /** The window of the segment that opened the connection. */
    void open(TcpSegment segment) {
        edge = (long) segment.window() << (segment.has(TcpSegment.SYN) ? 0 : scale);
        lastWindowSequence = segment.sequence();
        lastWindowAck = segment.acknowledgement();
    }

    /** Whether an acknowledgement number is of something that was sent, and not absurdly old (RFC 5961, section 5). */
    boolean isAcceptable(int acknowledgement) {
        long position = acknowledged + (acknowledgement - sequenceOf(acknowledged));
        return position <= highest && position >= acknowledged - CongestionWindow.MAX;
    }

    boolean isUnsent(int acknowledgement) {
        return acknowledged + (acknowledgement - sequenceOf(acknowledged)) > highest;
    }

    /**
     * An acceptable acknowledgement.
     *
     * @return whether it says anything new, so that more may be sent
     */
    boolean acknowledge(TcpSegment segment, long now) {
        long position = acknowledged + (segment.acknowledgement() - sequenceOf(acknowledged));
        int base = sequenceOf(acknowledged);
        boolean news = losses.reported(segment, acknowledged, base, Math.max(position, acknowledged), highest);
        long oldEdge = edge;
        updateWindow(segment, position);
        boolean says = news || edge != oldEdge;
        if (position > acknowledged) {
            advance(position, now);
            says = true;
        } else if (position == acknowledged
                && highest > acknowledged
                && edge > acknowledged
                && segment.sequenceLength() == 0
                && (news || edge == oldEdge)) {
            // An answer to a window probe is no sign of loss, hence the look at the window.
            if (losses.duplicate(news, probes > 0, acknowledged, highest)) {
                recover();
            }
            says = true;
        }
        if (persisting) {
            timeouts = 0;
            if (edge > acknowledged) {
                endPersisting(now);
            }
        }
        return says;
    }

    private void endPersisting(long now) {
        persisting = false;
        deadline = Timed.NEVER;
        roundTrip.progressed();
        if (highest == acknowledged + 1) {
            // The byte that probed the window was thrown away: it goes with what follows it.
            next = acknowledged;
        }
        arm(now);
    }

    private void updateWindow(TcpSegment segment, long position) {
        int sequence = segment.sequence();
        int acknowledgement = segment.acknowledgement();
        boolean newer = sequence - lastWindowSequence > 0
                || sequence == lastWindowSequence && acknowledgement - lastWindowAck >= 0;
        if (newer && position >= acknowledged) {
            edge = position + ((long) segment.window() << scale);
            lastWindowSequence = sequence;
            lastWindowAck = acknowledgement;
        }
    }

    private void advance(long position, long now) {
        long newly = position - acknowledged;
        boolean wasLimited = highest - acknowledged >= congestion.bytes() / 2;
        acknowledged = position;
        next = Math.max(next, acknowledged);
        stream.discard(Math.min(acknowledged, end));
        if (timedPosition >= 0 && acknowledged > timedPosition) {
            roundTrip.measured(Math.max(1, now - timedAt));
            timedPosition = -1;
        }
        roundTrip.progressed();
        timeouts = 0;
        probes = 0;
        losses.advanced(acknowledged, newly, highest, wasLimited);
        deadline = Timed.NEVER;
        arm(now);
    }

    private void recover() {
        losses.begin(acknowledged, highest);
        timedPosition = -1;
        connection.counters().fastRetransmit();
    }

    /**
     * Sends what windows and channel allow.
     *
     * @param share of the channel's room, in bytes; at least a segment may be sent
     * @return whether anything was sent
     */
    boolean transmit(long now, int share) {
        blocked = false;
        sentAnything = false;
        if (losses.isActive()) {
            repair();
        }
        int budget = Math.clamp(share, mss, TURN_BUDGET);
        if (budget > unit) {
            // Each piece costs a look at the host's queue, however short it is.
            budget -= budget % unit;
        }
        while (budget > 0) {
            int sent = transmitUnit(budget, now);
            if (sent <= 0) {
                break;
            }
            budget -= sent;
        }
        if (budget <= 0) {
            connection.continueNextTurn();
        }
        arm(now);
        return sentAnything;
    }

    /** Whether the channel to the guest was full. */
    boolean isBlocked() {
        return blocked;
    }

    private int transmitUnit(int budget, long now) {
        if (next > end) {
            return 0;
        }
        long position = next;
        long stop = NO_END;
        if (next < highest && losses.isSelective()) {
            position = losses.nextHole(next);
            stop = losses.holeEnd(position);
        }
        long allowed = Math.min(edge - position, losses.allowance(position, acknowledged, highest));
        if (position == end) {
            return sendFin(position, now);
        }
        if (allowed < mss && position > acknowledged) {
            // Less than a segment while others are in flight: their acknowledgement will open more (RFC 9293,
            // 3.8.6.2.1).
            allowed = Math.min(allowed, highest - position);
        }
        if (allowed <= 0) {
            next = position;
            return endsBehindShutWindow(position) ? sendFin(position, now) : 0;
        }
        if (allowed > mss) {
            // What the windows cut off is cut off between segments.
            allowed -= allowed % mss;
        }
        int most = Math.max(budget / mss * mss, mss);
        int sent = sendPayload(position, (int) Math.min(Math.min(allowed, stop - position), most), now);
        if (sent == HostStream.END) {
            end = position;
            return sendFin(position, now);
        }
        next = position + Math.max(0, sent);
        highest = Math.max(highest, next);
        return sent;
    }

    /** A window of zero keeps back payload, not the FIN; so look whether the FIN is all there is. */
    private boolean endsBehindShutWindow(long position) {
        if (edge > position || position > acknowledged || stream.peek(position, PROBE, 0, 1) != HostStream.END) {
            return false;
        }
        end = position;
        return true;
    }

    /** Sends a unit, or more of them where the channel's memory has a row of frames for them. */
    private int sendPayload(long position, int length, long now) {
        int piece = Math.min(length, unit);
        int room = output.room();
        if (room <= 0) {
            blocked = true;
            return 0;
        }
        if (room < piece + mss) {
            // One segment goes if there is any room: only a channel that is full says when it no longer is.
            piece = Math.min(piece, Math.max(mss, room / (2 * mss) * mss));
        }
        Frame frame = output.begin(TcpSegment.HEADER_LENGTH + piece);
        int units = piece < unit ? 1 : Math.clamp(room / unit, 1, frame.row());
        int wanted = units > 1 ? Math.min(length, units * unit) : piece;
        long payload = frame.offset() + output.headers() + TcpSegment.HEADER_LENGTH;
        int copied = wanted > piece
                ? stream.peek(position, frame.bytes(), payload, wanted, piece, frame.distance())
                : stream.peek(position, frame.bytes(), payload, piece);
        if (copied <= 0) {
            return copied;
        }
        int sent = sendPieces(frame, position, copied, piece, copied < wanted);
        sentAnything = true;
        if (timedPosition < 0 && position >= highest) {
            timedPosition = position;
            timedAt = now;
        } else if (position < highest) {
            connection.counters().retransmitted(sent);
        }
        return sent;
    }

    /**
     * Sends payload that lies in a row of frames, of which the first is begun.
     *
     * @param last whether it is all there is
     * @return bytes sent; less than {@code length} if the frames did not come to lie where the payload is
     */
    private int sendPieces(Frame first, long position, int length, int piece, boolean last) {
        Frame frame = first;
        MemorySegment bytes = frame.bytes();
        long at = frame.offset();
        int distance = frame.distance();
        int sent = 0;
        while (true) {
            int part = Math.min(piece, length - sent);
            int push = last && sent + part == length || position + sent + part >= edge ? TcpSegment.PSH : 0;
            connection.send(frame, TcpSegment.ACK | push, sequenceOf(position + sent), part, mss);
            sent += part;
            if (sent == length) {
                return sent;
            }
            at += distance;
            frame = output.begin(TcpSegment.HEADER_LENGTH + Math.min(piece, length - sent));
            if (frame.offset() != at || frame.bytes() != bytes) {
                // What was sent was dropped, or more was sent: the rest is looked at again.
                return sent;
            }
        }
    }

    private int sendFin(long position, long now) {
        if (next > position || position > edge && position > acknowledged) {
            return 0;
        }
        connection.sendControl(TcpSegment.FIN | TcpSegment.ACK, sequenceOf(position));
        next = position + 1;
        if (timedPosition < 0 && position >= highest) {
            timedPosition = position;
            timedAt = now;
        }
        highest = Math.max(highest, next);
        return 0;
    }

    /** Sends again what the guest misses below what it has. */
    private void repair() {
        if (losses.wantsFirst()) {
            int sent = resend(acknowledged, mss);
            if (sent <= 0) {
                return;
            }
            losses.sentFirst(acknowledged + sent);
        }
        long hole = losses.nextRepair(acknowledged, highest);
        while (hole >= 0) {
            int sent = resend(hole, (int) Math.min(unit, losses.repairLength(hole, acknowledged, highest)));
            if (sent <= 0) {
                return;
            }
            losses.repairedTo(hole + sent);
            hole = losses.nextRepair(acknowledged, highest);
        }
    }

    private int resend(long position, int length) {
        if (position >= end) {
            connection.sendControl(TcpSegment.FIN | TcpSegment.ACK, sequenceOf(end));
            return 1;
        }
        return sendPayload(position, (int) Math.min(length, highest - position), 0);
    }

    /** Sets the timer for what is in flight, or for a window that is shut. */
    private void arm(long now) {
        boolean inFlight = highest > acknowledged;
        if (!inFlight) {
            persisting = next <= end && edge <= next && !blocked && stream.peek(next, PROBE, 0, 1) != 0;
            if (!persisting) {
                deadline = Timed.NEVER;
                return;
            }
        }
        if (deadline == Timed.NEVER) {
            deadline = now + (mayProbe() ? probeTimeout() : roundTrip.timeout());
            connection.watch();
        }
    }

    private boolean mayProbe() {
        return !persisting && probes < MAX_PROBES && roundTrip.smoothed() >= 0;
    }

    private long probeTimeout() {
        long delay = highest - acknowledged <= mss && !losses.knowsHoles() ? PROBE_DELAYED_ACK : 0;
        return Math.min((Math.max(2 * roundTrip.smoothed(), PROBE_MIN) << probes) + delay, roundTrip.timeout());
    }

    /**
     * The timer has fired.
     *
     * @return false if the guest is to be given up
     */
    boolean expired(long now) {
        deadline = Timed.NEVER;
        if (persisting) {
            return probeWindow(now);
        }
        if (highest <= acknowledged) {
            return true;
        }
        if (edge <= acknowledged) {
            return probeWindow(now);
        }
        if (mayProbe()) {
            probe();
            probes++;
            timedPosition = -1;
            arm(now);
            return true;
        }
        if (++timeouts > MAX_TIMEOUTS) {
            return false;
        }
        connection.counters().timeout();
        roundTrip.backOff();
        losses.timedOut(acknowledged, highest, timeouts > 1);
        timedPosition = -1;
        next = acknowledged;
        connection.continueNextTurn();
        return true;
    }

    /**
     * Two round trips without a word: sends the tail again so that the guest tells what it misses; and if it told that
     * before, what was sent again is lost too, so sends it once more. Cheaper than a time-out, which follows if this is
     * in vain.
     */
    private void probe() {
        connection.counters().tailProbe();
        if (losses.isActive()) {
            losses.again(acknowledged);
            connection.continueNextTurn();
        } else if (losses.isBehind(acknowledged)) {
            next = acknowledged;
            connection.continueNextTurn();
        } else if (losses.knowsHoles()) {
            recover();
            connection.continueNextTurn();
        } else {
            resend(Math.max(acknowledged, Math.min(highest, end) - mss), mss);
        }
    }

    /** Asks a guest whose window is shut whether it still is, as long as it answers (RFC 9293, section 3.8.6.1). */
    private boolean probeWindow(long now) {
        persisting = false;
        if (edge > acknowledged) {
            return true;
        }
        if (++timeouts > MAX_TIMEOUTS) {
            return false;
        }
        connection.counters().windowProbe();
        if (acknowledged >= end) {
            connection.sendControl(TcpSegment.FIN | TcpSegment.ACK, sequenceOf(end));
            next = Math.max(next, end + 1);
            highest = Math.max(highest, next);
        } else if (sendPayload(acknowledged, 1, now) > 0) {
            next = Math.max(next, acknowledged + 1);
            highest = Math.max(highest, next);
        }
        timedPosition = -1;
        roundTrip.backOff();
        persisting = true;
        deadline = now + roundTrip.timeout();
        connection.watch();
        return true;
    }
}
