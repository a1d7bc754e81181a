package dev.slipway.tcp;

import dev.slipway.stack.HostStream;
import dev.slipway.stack.Ipv4Output;
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

    /** What may be in flight before anything is known of the link: it is a local one. */
    static final int INITIAL_WINDOW = 64 << 10;

    static final int MAX_WINDOW = 16 << 20;
    /** What one flow may send in one turn, so that others get theirs. */
    static final int TURN_BUDGET = 512 << 10;

    /** After so many time-outs in a row the guest is taken for gone: a quarter of an hour (RFC 9293, section 3.8.3). */
    static final int MAX_TIMEOUTS = 15;

    private static final int DUPLICATE_THRESHOLD = 3;
    /** Probes, each waiting twice as long as the one before, and then the time-out. */
    private static final int MAX_PROBES = 3;

    private static final long PROBE_MIN = 10_000_000L;
    private static final long PROBE_DELAYED_ACK = 50_000_000L;
    private static final long NO_END = Long.MAX_VALUE;
    private static final int MAX_UNIT = 65_535 - 40;
    /** Where a look at the queue of the host puts the byte nobody wants. */
    private static final MemorySegment PROBE = MemorySegment.ofArray(new byte[1]);

    private final TcpConnection connection;
    private final HostStream stream;
    private final Ipv4Output output;
    private final RoundTripTime roundTrip = new RoundTripTime();
    private final SelectiveAcks selective;
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

    private int congestionWindow = INITIAL_WINDOW;
    private int slowStartThreshold = Integer.MAX_VALUE;
    private int duplicates;
    private boolean recovering;
    private long recoveryPoint;
    private long repaired;
    private long repairMark;
    private boolean repairFirst;
    private int timeouts;
    private int probes;

    private long timedPosition = -1;
    private long timedAt;
    private long deadline = Timed.NEVER;
    private boolean persisting;
    private boolean blocked;

    /**
     * @param mss the largest payload the guest takes in one segment
     * @param shift of the windows the guest announces
     * @param selectiveAcks whether the guest sends them
     */
    ToGuest(TcpConnection connection, HostStream stream, Ipv4Output output, int iss, int mss, int shift, boolean selectiveAcks) {
        this.connection = connection;
        this.stream = stream;
        this.output = output;
        this.iss = iss;
        this.mss = mss;
        this.unit = Math.max(1, MAX_UNIT / mss) * mss;
        this.scale = shift;
        this.selective = selectiveAcks ? new SelectiveAcks() : null;
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
        return position <= highest && position >= acknowledged - MAX_WINDOW;
    }

    boolean isUnsent(int acknowledgement) {
        return acknowledged + (acknowledgement - sequenceOf(acknowledged)) > highest;
    }

    /** An acceptable acknowledgement. */
    void acknowledge(TcpSegment segment, long now) {
        long position = acknowledged + (segment.acknowledgement() - sequenceOf(acknowledged));
        boolean news = reported(segment, position);
        long oldEdge = edge;
        updateWindow(segment, position);
        if (position > acknowledged) {
            advance(position, now);
        } else if (position == acknowledged && highest > acknowledged && segment.sequenceLength() == 0
                && (news || edge == oldEdge)) {
            duplicate(news);
        }
        if (persisting && edge > acknowledged) {
            persisting = false;
            deadline = Timed.NEVER;
            roundTrip.progressed();
            arm(now);
        }
    }

    private boolean reported(TcpSegment segment, long position) {
        if (selective == null || segment.sackBlocks() == 0) {
            return false;
        }
        boolean news = false;
        for (int i = 0; i < segment.sackBlocks(); i++) {
            long left = acknowledged + (segment.sackLeft(i) - sequenceOf(acknowledged));
            long right = acknowledged + (segment.sackRight(i) - sequenceOf(acknowledged));
            if (left >= Math.max(position, acknowledged) && left < right && right <= highest) {
                news |= selective.add(left, right);
            }
        }
        return news;
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
        boolean wasLimited = highest - acknowledged >= congestionWindow / 2;
        acknowledged = position;
        next = Math.max(next, acknowledged);
        stream.discard(Math.min(acknowledged, end));
        if (selective != null) {
            selective.advance(acknowledged);
        }
        if (timedPosition >= 0 && acknowledged > timedPosition) {
            roundTrip.measured(Math.max(1, now - timedAt));
            timedPosition = -1;
        }
        roundTrip.progressed();
        timeouts = 0;
        probes = 0;
        duplicates = 0;
        if (recovering && acknowledged >= recoveryPoint) {
            recovering = false;
            congestionWindow = Math.max(slowStartThreshold, 2 * mss);
        } else if (recovering) {
            repairFirst = selective == null || selective.isEmpty();
            repaired = Math.max(repaired, acknowledged);
            repairAgainIfLost();
        } else if (wasLimited) {
            grow(newly);
        }
        deadline = Timed.NEVER;
        arm(now);
    }

    private void grow(long newly) {
        long grown;
        if (congestionWindow < slowStartThreshold) {
            grown = congestionWindow + newly;
        } else {
            grown = congestionWindow + Math.max(1, newly * mss / congestionWindow);
        }
        congestionWindow = (int) Math.min(grown, MAX_WINDOW);
    }

    private void duplicate(boolean news) {
        duplicates++;
        if (recovering) {
            if (selective == null) {
                congestionWindow = Math.min(congestionWindow + mss, MAX_WINDOW);
            } else {
                repairAgainIfLost();
            }
            return;
        }
        boolean farBehind = news && selective.highest() - acknowledged > (long) DUPLICATE_THRESHOLD * mss;
        if ((duplicates >= DUPLICATE_THRESHOLD || farBehind || probes > 0 && news) && acknowledged >= recoveryPoint) {
            recover();
        }
    }

    private void recover() {
        recovering = true;
        recoveryPoint = highest;
        repaired = acknowledged;
        repairMark = highest;
        repairFirst = true;
        timedPosition = -1;
        slowStartThreshold = (int) Math.max((highest - acknowledged) / 2, 2L * mss);
        congestionWindow = slowStartThreshold;
        connection.counters().fastRetransmit();
    }

    /**
     * If the guest has what was sent after a repair but not the repair itself, the repair was lost (the idea of RFC
     * 8985, section 2.1): the pass over the holes begins anew.
     */
    private void repairAgainIfLost() {
        if (selective != null && selective.highest() > repairMark + (long) DUPLICATE_THRESHOLD * mss && repaired > acknowledged) {
            repaired = acknowledged;
            repairMark = highest;
        }
    }

    /** Sends what windows and channel allow. */
    void transmit(long now) {
        blocked = false;
        if (recovering) {
            repair();
        }
        int budget = TURN_BUDGET;
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
        if (next < highest && selective != null) {
            position = selective.nextHole(next);
            stop = selective.holeEnd(position);
        }
        long allowed = Math.min(edge - position, congestionAllowance(position));
        if (position == end) {
            return sendFin(position, now);
        }
        if (allowed < mss && position > acknowledged) {
            // Less than a segment while others are in flight: their acknowledgement will open more (RFC 9293, 3.8.6.2.1).
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
        int sent = sendPayload(position, (int) Math.min(Math.min(allowed, stop - position), Math.min(unit, Math.max(budget, mss))), now);
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

    private long congestionAllowance(long position) {
        if (recovering && knowsHoles()) {
            return congestionWindow - inFlight();
        }
        return acknowledged + congestionWindow - position;
    }

    /** What is on its way, as far as selective acknowledgements tell (RFC 6675, section 4: pipe). */
    private long inFlight() {
        long reportedTo = selective.highest();
        return highest - Math.max(reportedTo, acknowledged) + selective.missing(acknowledged, Math.min(repaired, reportedTo));
    }

    private int sendPayload(long position, int length, long now) {
        int fits = length;
        if (output.room() < length + mss) {
            fits = Math.min(length, output.room() / (2 * mss) * mss);
            if (fits <= 0) {
                blocked = true;
                return 0;
            }
        }
        Frame frame = output.begin(TcpSegment.HEADER_LENGTH + fits);
        long payload = frame.offset() + Ipv4Output.HEADERS + TcpSegment.HEADER_LENGTH;
        int copied = stream.peek(position, frame.bytes(), payload, fits);
        if (copied <= 0) {
            return copied;
        }
        int push = copied < fits || position + copied >= edge ? TcpSegment.PSH : 0;
        connection.send(frame, TcpSegment.ACK | push, sequenceOf(position), copied, mss);
        if (timedPosition < 0 && position >= highest) {
            timedPosition = position;
            timedAt = now;
        } else if (position < highest) {
            connection.counters().retransmitted(copied);
        }
        return copied;
    }

    private int sendFin(long position, long now) {
        if (next > position || position > edge && position > acknowledged) {
            return 0;
        }
        connection.sendControl(TcpSegment.FIN | TcpSegment.ACK, sequenceOf(position));
        next = position + 1;
        highest = Math.max(highest, next);
        if (timedPosition < 0) {
            timedPosition = position;
            timedAt = now;
        }
        return 0;
    }

    /** Sends again what the guest misses below what it has (RFC 6675, section 5, NextSeg rule 1). */
    private void repair() {
        if (repairFirst) {
            repairFirst = false;
            long hole = acknowledged;
            int sent = resend(hole, mss);
            repaired = Math.max(repaired, hole + Math.max(sent, 0));
        }
        if (selective == null) {
            return;
        }
        while (inFlight() < congestionWindow) {
            long hole = selective.nextHole(Math.max(repaired, acknowledged));
            if (hole >= selective.highest()) {
                return;
            }
            int sent = resend(hole, (int) Math.min(selective.holeEnd(hole) - hole, Math.min(unit, Math.max(mss, congestionWindow - inFlight()))));
            if (sent <= 0) {
                return;
            }
            repaired = hole + sent;
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
        if (!inFlight && !persisting) {
            boolean shut = next <= end && edge <= next && !blocked && stream.peek(next, PROBE, 0, 1) != 0;
            if (!shut) {
                deadline = Timed.NEVER;
                return;
            }
            persisting = true;
            deadline = now + roundTrip.timeout();
            connection.watch();
            return;
        }
        if (deadline == Timed.NEVER) {
            deadline = now + (mayProbe() ? probeTimeout() : roundTrip.timeout());
            connection.watch();
        }
    }

    private boolean knowsHoles() {
        return selective != null && !selective.isEmpty();
    }

    private boolean mayProbe() {
        return !persisting && probes < MAX_PROBES && roundTrip.smoothed() >= 0;
    }

    private long probeTimeout() {
        long delay = highest - acknowledged <= mss && !knowsHoles() ? PROBE_DELAYED_ACK : 0;
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
        slowStartThreshold = (int) Math.max((highest - acknowledged) / 2, 2L * mss);
        congestionWindow = mss;
        recovering = false;
        recoveryPoint = highest;
        duplicates = 0;
        timedPosition = -1;
        if (selective != null && timeouts > 1) {
            selective.clear();
        }
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
        if (recovering) {
            repaired = acknowledged;
            repairFirst = true;
            connection.continueNextTurn();
        } else if (acknowledged < recoveryPoint) {
            next = acknowledged;
            connection.continueNextTurn();
        } else if (knowsHoles()) {
            recover();
            connection.continueNextTurn();
        } else {
            resend(Math.max(acknowledged, Math.min(highest, end) - mss), mss);
        }
    }

    private boolean probeWindow(long now) {
        persisting = false;
        if (edge <= acknowledged) {
            connection.counters().windowProbe();
            int sent = next >= end ? 0 : sendPayload(acknowledged, 1, now);
            timedPosition = -1;
            if (sent > 0) {
                next = Math.max(next, acknowledged + 1);
                highest = Math.max(highest, next);
            }
            roundTrip.backOff();
            persisting = true;
            deadline = now + roundTrip.timeout();
            connection.watch();
        }
        return true;
    }
}
