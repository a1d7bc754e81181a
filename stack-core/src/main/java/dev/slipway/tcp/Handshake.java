package dev.slipway.tcp;

import dev.slipway.ip.IpOutput;
import dev.slipway.seam.HostStream;
import dev.slipway.time.Timed;
import dev.slipway.wire.TcpSegment;

/** How a connection begins: what the two SYNs say, and how often ours is repeated. */
final class Handshake {

    /** An MSS below this would make a storm of tiny segments out of each window (RFC 791: hosts take 576 bytes). */
    static final int MIN_MSS = 88;

    private static final int DEFAULT_MSS = 536;
    private static final long TIMEOUT = 1_000_000_000L;
    private static final int TRIES = 6;

    private final int iss;
    private final int ourMss;

    private int irs;
    private int guestMss;
    private int guestScale = TcpSegment.NO_WINDOW_SCALE;
    private boolean selective;
    private int tries;
    private long deadline = Timed.NEVER;

    /**
     * @param iss our initial sequence number
     * @param ourMss the largest payload the guest may send in one segment
     */
    Handshake(int iss, int ourMss) {
        this.iss = iss;
        this.ourMss = ourMss;
    }

    /** Takes over what the guest's SYN says. */
    void learn(TcpSegment syn) {
        irs = syn.sequence();
        guestMss = Math.clamp(syn.hasMaximumSegmentSize() ? syn.maximumSegmentSize() : DEFAULT_MSS, MIN_MSS, ourMss);
        guestScale = syn.windowScale();
        selective = syn.sackPermitted();
    }

    int iss() {
        return iss;
    }

    /** The guest's initial sequence number. */
    int irs() {
        return irs;
    }

    /** Whether the guest takes selective acknowledgements. */
    boolean isSelective() {
        return selective;
    }

    /** Windows are scaled if both sides offer it (RFC 7323, section 2.2). */
    private boolean isScaled() {
        return guestScale != TcpSegment.NO_WINDOW_SCALE;
    }

    FromGuest fromGuest(TcpTable table, HostStream stream) {
        return new FromGuest(table, stream, irs, ourMss, isScaled());
    }

    ToGuest toGuest(TcpConnection connection, HostStream stream, IpOutput output) {
        return new ToGuest(connection, stream, output, iss, guestMss, isScaled() ? guestScale : 0, selective);
    }

    /** Our SYN, with all that we can do. */
    void sendSyn(SegmentsToGuest segments, int window) {
        segments.sendSyn(TcpSegment.SYN, iss, 0, window, ourMss, true, true);
    }

    /** Our answer to the guest's SYN, with what both can do. */
    void sendSynAck(SegmentsToGuest segments, int window) {
        segments.sendSyn(TcpSegment.SYN | TcpSegment.ACK, iss, irs + 1, window, ourMss, isScaled(), selective);
    }

    /** Sets the time at which ours is to be repeated, later each time (RFC 6298, section 5.5). */
    void await(long now) {
        deadline = now + (TIMEOUT << tries);
    }

    /** Ours was not answered in time. Returns whether it is to be given up. */
    boolean isInVain() {
        return ++tries >= TRIES;
    }

    void done() {
        deadline = Timed.NEVER;
    }

    long deadline() {
        return deadline;
    }
}
