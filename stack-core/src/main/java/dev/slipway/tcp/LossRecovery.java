package dev.slipway.tcp;

import dev.slipway.wire.TcpSegment;

/**
 * What is known of losses on the way to the guest, and how far they are repaired: RFC 6675 with selective
 * acknowledgements, RFC 6582 without. Positions are those of {@link ToGuest}.
 */
final class LossRecovery {

    private static final int DUPLICATE_THRESHOLD = 3;

    private final int mss;
    private final CongestionWindow congestion;
    private final SelectiveAcks selective;

    private int duplicates;
    private boolean active;
    /** Losses up to here are one event. */
    private long recoveryPoint;
    /** The holes before this were filled in this pass. */
    private long repaired;
    /** What was sent when the pass began. */
    private long repairMark;

    private boolean repairFirst;

    /**
     * @param selectiveAcks whether the guest sends them
     */
    LossRecovery(int mss, CongestionWindow congestion, boolean selectiveAcks) {
        this.mss = mss;
        this.congestion = congestion;
        this.selective = selectiveAcks ? new SelectiveAcks() : null;
    }

    boolean isActive() {
        return active;
    }

    boolean isSelective() {
        return selective != null;
    }

    /** Whether the guest has told of bytes behind such as it misses. */
    boolean knowsHoles() {
        return selective != null && !selective.isEmpty();
    }

    /** Whether what is unacknowledged was lost before, and is being sent again. */
    boolean isBehind(long acknowledged) {
        return acknowledged < recoveryPoint;
    }

    long nextHole(long position) {
        return selective.nextHole(position);
    }

    long holeEnd(long position) {
        return selective.holeEnd(position);
    }

    /**
     * Takes over the selective acknowledgements of a segment.
     *
     * @param base the sequence number of position {@code acknowledged}
     * @param from blocks before this position say nothing new
     * @param highest blocks behind this position are wrong
     * @return whether anything is new
     */
    boolean reported(TcpSegment segment, long acknowledged, int base, long from, long highest) {
        if (selective == null) {
            return false;
        }
        boolean news = false;
        for (int i = 0; i < segment.sackBlocks(); i++) {
            long left = acknowledged + (segment.sackLeft(i) - base);
            long right = acknowledged + (segment.sackRight(i) - base);
            if (left >= from && left < right && right <= highest) {
                news |= selective.add(left, right);
            }
        }
        return news;
    }

    /**
     * The guest acknowledged more.
     *
     * @param newly how much
     * @param wasLimited whether the congestion window was what kept more from being sent
     */
    void advanced(long acknowledged, long newly, long highest, boolean wasLimited) {
        if (selective != null) {
            selective.advance(acknowledged);
        }
        duplicates = 0;
        if (active && acknowledged >= recoveryPoint) {
            active = false;
            congestion.recovered();
        } else if (active) {
            repairFirst = !knowsHoles();
            repaired = Math.max(repaired, acknowledged);
            repairAgainIfLost(acknowledged, highest);
        } else if (wasLimited) {
            congestion.acknowledged(newly);
        }
    }

    /**
     * The guest acknowledged the same once more.
     *
     * @param news whether it told of more bytes behind
     * @param probed whether this may be the answer to a probe
     * @return whether that means a loss not known before
     */
    boolean duplicate(boolean news, boolean probed, long acknowledged, long highest) {
        duplicates++;
        if (active) {
            if (selective == null) {
                congestion.inflate();
            } else {
                repairAgainIfLost(acknowledged, highest);
            }
            return false;
        }
        boolean farBehind = news && selective.highest() - acknowledged > (long) DUPLICATE_THRESHOLD * mss;
        return (duplicates >= DUPLICATE_THRESHOLD || farBehind || probed && news) && acknowledged >= recoveryPoint;
    }

    /** Begins to repair a loss. */
    void begin(long acknowledged, long highest) {
        active = true;
        recoveryPoint = highest;
        repaired = acknowledged;
        repairMark = highest;
        repairFirst = true;
        congestion.lost(highest - acknowledged);
    }

    /** Repairs may have been lost too: begins the pass anew. */
    void again(long acknowledged) {
        repaired = acknowledged;
        repairFirst = true;
    }

    /**
     * Everything is sent again.
     *
     * @param distrusted whether the guest may have thrown away what it told of (RFC 2018, section 8)
     */
    void timedOut(long acknowledged, long highest, boolean distrusted) {
        congestion.timedOut(highest - acknowledged);
        active = false;
        recoveryPoint = highest;
        duplicates = 0;
        if (selective != null && distrusted) {
            selective.clear();
        }
    }

    /**
     * If the guest has what was sent after a repair but not the repair itself, the repair was lost (the idea of RFC
     * 8985, section 2.1): the pass over the holes begins anew.
     */
    private void repairAgainIfLost(long acknowledged, long highest) {
        if (selective != null
                && selective.highest() > repairMark + (long) DUPLICATE_THRESHOLD * mss
                && repaired > acknowledged) {
            repaired = acknowledged;
            repairMark = highest;
        }
    }

    /** How many bytes from a position on the congestion window allows. */
    long allowance(long position, long acknowledged, long highest) {
        if (active && knowsHoles()) {
            return congestion.bytes() - inFlight(acknowledged, highest);
        }
        return acknowledged + congestion.bytes() - position;
    }

    /** What is on its way, as far as selective acknowledgements tell (RFC 6675, section 4: pipe). */
    private long inFlight(long acknowledged, long highest) {
        long reportedTo = selective.highest();
        return highest
                - Math.max(reportedTo, acknowledged)
                + selective.missing(acknowledged, Math.min(repaired, reportedTo));
    }

    /** Whether the first segment that the guest misses is to be sent again, whatever the windows say. */
    boolean wantsFirst() {
        return repairFirst;
    }

    /** The first segment was sent again. */
    void sentFirst(long end) {
        repairFirst = false;
        repaired = Math.max(repaired, end);
    }

    /** Where the next hole to fill begins, or -1 (RFC 6675, section 5, NextSeg rule 1). */
    long nextRepair(long acknowledged, long highest) {
        if (selective == null || inFlight(acknowledged, highest) >= congestion.bytes()) {
            return -1;
        }
        long hole = selective.nextHole(Math.max(repaired, acknowledged));
        return hole < selective.highest() ? hole : -1;
    }

    /** How much of a hole may be filled, a segment at least. */
    long repairLength(long hole, long acknowledged, long highest) {
        long allowed = Math.max(mss, congestion.bytes() - inFlight(acknowledged, highest));
        return Math.min(selective.holeEnd(hole) - hole, allowed);
    }

    /** A hole was filled up to here. */
    void repairedTo(long end) {
        repaired = end;
    }
}
