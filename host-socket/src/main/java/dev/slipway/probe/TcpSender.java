package dev.slipway.probe;

import java.lang.foreign.Arena;

/**
 * The sending half of an open TCP connection: what may be sent when, and what is sent again. Reno with NewReno's
 * partial acknowledgements (RFC 5681, 6582), the timer of RFC 6298, zero-window probes (RFC 9293, section 3.8.6.1).
 *
 * <p>Positions count bytes from the start of the stream; the end of the stream takes one position behind the last byte.
 */
final class TcpSender {

    private static final int DUPLICATES = 3;
    private static final long MIN_RTO = 200_000_000L;
    private static final long MAX_RTO = 60_000_000_000L;
    /** Time-outs in a row after which the peer is given up, as Linux does it (tcp_retries2). */
    private static final int MAX_ATTEMPTS = 15;

    private final SendQueue queue;
    private final Output output;
    private int mss;
    /** Oldest position not acknowledged, next to send, and the highest ever sent. */
    private long una;

    private long nxt;
    private long max;
    private long peerWindow;
    private long congestionWindow;
    private long slowStartThreshold = Long.MAX_VALUE;
    private int duplicates;
    private boolean recovering;
    private long recover;
    private boolean finishing;
    private long smoothedRtt;
    private long rttVariation;
    private long rto = 1_000_000_000L;
    private long timedPosition = -1;
    private long timedAt;
    private long deadline = Long.MAX_VALUE;
    private int attempts;
    private long retransmissions;

    TcpSender(Arena arena, int capacity, Output output) {
        this.queue = new SendQueue(arena, capacity);
        this.output = output;
    }

    SendQueue queue() {
        return queue;
    }

    /** The handshake is over. */
    void open(int segmentSize, long window, long handshakeRtt) {
        mss = segmentSize;
        peerWindow = window;
        congestionWindow = 10L * mss;
        if (handshakeRtt >= 0) {
            sampleRtt(handshakeRtt);
        }
    }

    /** No more bytes will be written. */
    void finish() {
        finishing = true;
    }

    boolean finishSent() {
        return finishing && max > queue.end();
    }

    boolean finishAcknowledged() {
        return finishing && una > queue.end();
    }

    long unacknowledged() {
        return una;
    }

    long highest() {
        return max;
    }

    long nextPosition() {
        return nxt;
    }

    long retransmissions() {
        return retransmissions;
    }

    long deadline() {
        return deadline;
    }

    /** An acknowledgement of nothing that was not sent, whose window is fresh. */
    void acknowledged(long position, boolean bare, long window, long now) {
        boolean sameWindow = window == peerWindow;
        peerWindow = window;
        if (position > una) {
            advance(position, now);
        } else if (position == una && bare && sameWindow && max > una) {
            duplicate(now);
        }
        if (peerWindow > 0 && max == una) {
            deadline = Long.MAX_VALUE;
        }
    }

    private void advance(long position, long now) {
        long bytes = position - una;
        una = position;
        nxt = Math.max(nxt, una);
        queue.acknowledge(Math.min(una, queue.end()));
        attempts = 0;
        if (timedPosition >= 0 && una > timedPosition) {
            sampleRtt(now - timedAt);
            timedPosition = -1;
        }
        if (recovering && una < recover) {
            // A partial acknowledgement: the next hole is lost as well (RFC 6582, section 3.2, step 3).
            congestionWindow = Math.max(mss, congestionWindow - bytes + mss);
            resend(now);
        } else if (recovering) {
            recovering = false;
            congestionWindow = slowStartThreshold;
        } else if (congestionWindow < slowStartThreshold) {
            congestionWindow += bytes;
        } else {
            congestionWindow += Math.max(1, (long) mss * bytes / congestionWindow);
        }
        duplicates = 0;
        deadline = max > una ? now + rto : Long.MAX_VALUE;
    }

    private void duplicate(long now) {
        duplicates++;
        if (duplicates == DUPLICATES && !recovering) {
            slowStartThreshold = Math.max((max - una) / 2, 2L * mss);
            congestionWindow = slowStartThreshold + (long) DUPLICATES * mss;
            recovering = true;
            recover = max;
            resend(now);
        } else if (recovering) {
            congestionWindow += mss;
        }
    }

    private void resend(long now) {
        timedPosition = -1;
        retransmissions++;
        emit(una, (int) Math.min(mss, queue.end() - una));
        deadline = now + rto;
    }

    private void emit(long position, int length) {
        boolean last = position + length == queue.end();
        output.emit(position, length, last, last && finishing);
    }

    /** Sends what the windows and the link allow. */
    void send(long now) {
        long end = queue.end() + (finishing ? 1 : 0);
        long allowed = una + Math.min(peerWindow, congestionWindow);
        while (nxt < end && output.room() >= mss) {
            int length = (int) Math.min(mss, Math.min(queue.end(), allowed) - nxt);
            boolean finish = finishing && nxt + Math.max(length, 0) == queue.end();
            boolean small = length < mss && nxt + length < queue.end();
            if (length < 0 || length == 0 && (!finish || allowed <= nxt) || small && max > una) {
                break;
            }
            emit(nxt, length);
            if (nxt < max) {
                retransmissions++;
            } else if (timedPosition < 0) {
                timedPosition = nxt;
                timedAt = now;
            }
            nxt += length + (finish ? 1 : 0);
            max = Math.max(max, nxt);
        }
        if (deadline == Long.MAX_VALUE && (max > una || nxt < end && peerWindow == 0)) {
            deadline = now + rto;
        }
    }

    /**
     * The timer fired.
     *
     * @return whether there is hope left
     */
    boolean timeout(long now) {
        rto = Math.min(2 * rto, MAX_RTO);
        deadline = now + rto;
        if (peerWindow == 0) {
            // One byte into the closed window makes the peer say whether it still is (RFC 9293, section 3.8.6.1).
            int length = (int) Math.min(1, queue.end() - una);
            boolean finish = finishing && una + length == queue.end();
            emit(una, length);
            max = Math.max(max, una + length + (finish ? 1 : 0));
            nxt = una;
            timedPosition = -1;
            return true;
        }
        slowStartThreshold = Math.max((max - una) / 2, 2L * mss);
        congestionWindow = mss;
        recovering = false;
        duplicates = 0;
        timedPosition = -1;
        nxt = una;
        return ++attempts <= MAX_ATTEMPTS;
    }

    /** RFC 6298, section 2. */
    private void sampleRtt(long rtt) {
        if (smoothedRtt == 0) {
            smoothedRtt = Math.max(1, rtt);
            rttVariation = rtt / 2;
        } else {
            rttVariation += (Math.abs(smoothedRtt - rtt) - rttVariation) / 4;
            smoothedRtt += (rtt - smoothedRtt) / 8;
        }
        rto = Math.clamp(smoothedRtt + 4 * rttVariation, MIN_RTO, MAX_RTO);
    }

    /** The way to the link. */
    interface Output {

        /** Bytes of frames that may be sent now. */
        int room();

        /** Sends one segment with what the queue has at a position. */
        void emit(long position, int length, boolean push, boolean finish);
    }
}
