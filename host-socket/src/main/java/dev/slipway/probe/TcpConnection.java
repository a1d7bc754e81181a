package dev.slipway.probe;

import static dev.slipway.wire.TcpSegment.ACK;
import static dev.slipway.wire.TcpSegment.FIN;
import static dev.slipway.wire.TcpSegment.PSH;
import static dev.slipway.wire.TcpSegment.RST;
import static dev.slipway.wire.TcpSegment.SYN;

import dev.slipway.wire.BigEndian;
import dev.slipway.wire.Checksum;
import dev.slipway.wire.TcpSegment;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/**
 * One TCP connection that the built-in guest opens (RFC 9293, section 3.10, without listening): handshake, also
 * simultaneous; what came and what was lost on the way here; end and reset both ways. {@link TcpSender} is the other
 * half.
 */
public final class TcpConnection implements TcpSender.Output {

    /** What the guest's link layer does for a connection. */
    interface Port {
        int room();

        /** Begins an IP packet to the peer: where its payload of {@code length} bytes goes, or -1 if there is no room. */
        long begin(int length);

        MemorySegment memory();

        void send(int length);
    }

    /** How a connection ended. */
    public enum End {
        /** It has not. */
        NONE,
        /** Both sides sent all and know it. */
        FINISHED,
        REFUSED,
        RESET,
        TIMED_OUT,
        /** ICMP said that the peer cannot be reached. */
        UNREACHABLE,
        /** This side reset it. */
        ABORTED
    }

    private enum State {
        SYN_SENT,
        SYN_RECEIVED,
        OPEN,
        CLOSED
    }

    private static final int QUEUE = 1 << 20;
    private static final int WINDOW_SCALE = 7;
    private static final int SYN_OPTIONS = 12;
    private static final int NO_OPERATIONS = 0x0101_0000;
    private static final int SACK_BLOCK = 8;

    private static final long SYN_INTERVAL = 1_000_000_000L;
    private static final int SYN_ATTEMPTS = 7;
    private static final int DEFAULT_PEER_MSS = 536;

    private final Port port;
    private final int source;
    private final int sourcePort;
    private final int destination;
    private final int destinationPort;
    private final int mss;
    private final int initialSequence;
    private final Arena arena = Arena.ofConfined();
    private final ReceiveQueue received = new ReceiveQueue(arena, QUEUE);
    private final TcpSender sender = new TcpSender(arena, QUEUE, this);

    private State state = State.SYN_SENT;
    private End end = End.NONE;
    private int peerInitialSequence;
    private int peerShift;
    private int ownShift;
    private boolean sack;
    private long synSentAt;
    private int synAttempts;
    private long synDeadline;
    /** The position behind the peer's last byte, once its end is known. */
    private long peerEnd = Long.MAX_VALUE;

    private boolean peerEnded;
    private boolean acknowledgeNow;
    private long advertisedEnd;
    private int windowUpdateSequence;
    private int windowUpdateAcknowledgement;

    TcpConnection(
            Port port,
            int source,
            int sourcePort,
            int destination,
            int destinationPort,
            int mss,
            int sequence,
            long now) {
        this.port = port;
        this.source = source;
        this.sourcePort = sourcePort;
        this.destination = destination;
        this.destinationPort = destinationPort;
        this.mss = mss;
        this.initialSequence = sequence;
        this.synSentAt = now;
        sendSyn(now);
    }

    int sourcePort() {
        return sourcePort;
    }

    boolean isFor(int peer, int peerPort, int ownPort) {
        return peer == destination && peerPort == destinationPort && ownPort == sourcePort;
    }

    /** Whether the handshake is over and the connection has not ended. */
    public boolean isOpen() {
        return state == State.OPEN;
    }

    /** How the connection ended, or {@link End#NONE}. */
    public End end() {
        return end;
    }

    /** Whether the peer has sent its end and everything before it was read. */
    public boolean isAtEnd() {
        return peerEnded && received.readable() == 0;
    }

    /** Bytes that came in order and were not read. */
    public int readable() {
        return received.readable();
    }

    /** Reads all there is. */
    public void drain(ReceiveQueue.Reader reader) {
        received.drain(reader);
        // Silly window avoidance at the receiver (RFC 9293, section 3.8.6.2.2).
        if (received.next() + received.window() - advertisedEnd >= QUEUE / 2) {
            acknowledgeNow = true;
        }
    }

    /** Appends bytes to send, as many as there is room for, and says how many. */
    public int write(MemorySegment bytes, long offset, int length) {
        return sender.queue().write(bytes, offset, length);
    }

    /** Room for bytes to send. */
    public int writable() {
        return sender.queue().room();
    }

    /** Ends this side's stream behind what was written. */
    public void finish() {
        sender.finish();
    }

    /** Whether everything written, and the end if there is one, was acknowledged. */
    public boolean isAllAcknowledged() {
        return sender.unacknowledged() == sender.queue().end() || sender.finishAcknowledged();
    }

    /** Segments sent again. */
    public long retransmissions() {
        return sender.retransmissions();
    }

    /** Ends the connection at once; the peer hears a reset. */
    public void abort() {
        if (state == State.OPEN || state == State.SYN_RECEIVED) {
            segment(sequence(sender.nextPosition()), RST | ACK, 0, 0, 0);
        }
        close(End.ABORTED);
    }

    /** An ICMP error came for this connection; it counts only before it is open (RFC 5461). */
    void unreachable() {
        if (state == State.SYN_SENT) {
            close(End.UNREACHABLE);
        }
    }

    private void close(End how) {
        if (end == End.NONE) {
            end = how;
        }
        state = State.CLOSED;
    }

    /** Gives the queues back. Nothing may be called after it. */
    void free() {
        arena.close();
    }

    private int sequence(long position) {
        return initialSequence + 1 + (int) position;
    }

    private int expected() {
        return peerInitialSequence + 1 + (int) received.next() + (peerEnded ? 1 : 0);
    }

    /** A segment came whose addresses, ports and checksum are right. */
    void input(TcpSegment segment, long now) {
        switch (state) {
            case SYN_SENT -> inputSynSent(segment, now);
            case SYN_RECEIVED, OPEN -> inputSynchronised(segment, now);
            case CLOSED -> {
                // The peer may have missed the last acknowledgement (TIME-WAIT, RFC 9293, section 3.10.7.4).
                if (end == End.FINISHED && !segment.has(RST)) {
                    acknowledge();
                }
            }
        }
    }

    /** RFC 9293, section 3.10.7.3. */
    private void inputSynSent(TcpSegment segment, long now) {
        boolean acknowledges = segment.has(ACK);
        if (acknowledges && segment.acknowledgement() != initialSequence + 1) {
            if (!segment.has(RST)) {
                segment(segment.acknowledgement(), RST, 0, 0, 0);
            }
            return;
        }
        if (segment.has(RST)) {
            if (acknowledges) {
                close(End.REFUSED);
            }
            return;
        }
        if (!segment.has(SYN)) {
            return;
        }
        peerInitialSequence = segment.sequence();
        boolean scaled = segment.windowScale() != TcpSegment.NO_WINDOW_SCALE;
        peerShift = scaled ? segment.windowScale() : 0;
        ownShift = scaled ? WINDOW_SCALE : 0;
        sack = segment.sackPermitted();
        int peerMss = segment.maximumSegmentSize() == 0 ? DEFAULT_PEER_MSS : segment.maximumSegmentSize();
        windowUpdateSequence = segment.sequence();
        windowUpdateAcknowledgement = initialSequence + 1;
        // The window of a segment with SYN is never scaled (RFC 7323, section 2.2).
        sender.open(Math.min(mss, Math.max(peerMss, 88)), segment.window(), synAttempts == 1 ? now - synSentAt : -1);
        if (acknowledges) {
            state = State.OPEN;
            acknowledgeNow = true;
        } else {
            state = State.SYN_RECEIVED;
            sendSyn(now);
        }
    }

    /** RFC 9293, section 3.10.7.4, with the checks of RFC 5961. */
    private void inputSynchronised(TcpSegment segment, long now) {
        int distance = segment.sequence() - expected();
        int length = segment.sequenceLength();
        int window = received.window();
        if (distance + length <= 0 && !(distance == 0 && length == 0) || distance >= Math.max(window, 1)) {
            if (segment.has(SYN) && segment.has(ACK) && state == State.SYN_RECEIVED) {
                acceptAcknowledgement(segment, now);
            }
            if (!segment.has(RST)) {
                acknowledge();
            }
            return;
        }
        if (segment.has(RST)) {
            if (distance == 0) {
                close(End.RESET);
            } else {
                acknowledge();
            }
            return;
        }
        if (segment.has(SYN)) {
            acknowledge();
            return;
        }
        if (!segment.has(ACK) || !acceptAcknowledgement(segment, now)) {
            return;
        }
        if (segment.payloadLength() > 0 || segment.has(FIN)) {
            acceptPayload(segment, distance);
        }
    }

    private boolean acceptAcknowledgement(TcpSegment segment, long now) {
        int acknowledgement = segment.acknowledgement();
        long position = sender.unacknowledged() + (acknowledgement - sequence(sender.unacknowledged()));
        if (position > sender.highest()) {
            acknowledge();
            return false;
        }
        if (position < 0) {
            return false;
        }
        if (state == State.SYN_RECEIVED) {
            state = State.OPEN;
        }
        boolean fresh = windowUpdateSequence - segment.sequence() < 0
                || windowUpdateSequence == segment.sequence() && windowUpdateAcknowledgement - acknowledgement <= 0;
        if (fresh) {
            windowUpdateSequence = segment.sequence();
            windowUpdateAcknowledgement = acknowledgement;
            int shift = segment.has(SYN) ? 0 : peerShift;
            boolean bare = segment.payloadLength() == 0 && !segment.has(FIN);
            sender.acknowledged(position, bare, (long) segment.window() << shift, now);
        }
        return true;
    }

    private void acceptPayload(TcpSegment segment, int distance) {
        if (peerEnded) {
            acknowledge();
            return;
        }
        long position = received.next() + distance;
        if (segment.has(FIN)) {
            peerEnd = Math.min(peerEnd, position + segment.payloadLength());
        }
        long before = received.next();
        boolean gap = received.hasGap();
        received.offer(position, segment.bytes(), segment.payloadOffset(), segment.payloadLength());
        if (received.next() == peerEnd) {
            peerEnded = true;
        }
        if (received.next() == before && !peerEnded || gap) {
            // Out of order, or filling a gap: say so at once, once per segment (RFC 5681, section 4.2).
            acknowledge();
        } else {
            acknowledgeNow = true;
        }
    }

    /** The end of a turn: timers, what may be sent, and an acknowledgement if nothing carried it. */
    void endTurn(long now) {
        if (state == State.SYN_SENT || state == State.SYN_RECEIVED) {
            if (now >= synDeadline) {
                if (synAttempts == SYN_ATTEMPTS) {
                    close(End.TIMED_OUT);
                } else {
                    sendSyn(now);
                }
            }
            return;
        }
        if (state != State.OPEN) {
            return;
        }
        if (now >= sender.deadline() && !sender.timeout(now)) {
            abort();
            end = End.TIMED_OUT;
            return;
        }
        sender.send(now);
        if (acknowledgeNow) {
            acknowledge();
        }
        if (peerEnded && sender.finishAcknowledged()) {
            close(End.FINISHED);
        }
    }

    long deadline() {
        return switch (state) {
            case SYN_SENT, SYN_RECEIVED -> synDeadline;
            case OPEN -> acknowledgeNow ? Long.MIN_VALUE : sender.deadline();
            case CLOSED -> Long.MAX_VALUE;
        };
    }

    @Override
    public int room() {
        return port.room();
    }

    @Override
    public void emit(long position, int length, boolean push, boolean finish) {
        segment(sequence(position), ACK | (push ? PSH : 0) | (finish ? FIN : 0), 0, position, length);
    }

    /** With what came behind gaps, if the peer wants to know (RFC 2018). */
    private void acknowledge() {
        int blocks = sack ? Math.min(received.ranges(), TcpSegment.MAX_SACK_BLOCKS) : 0;
        int optionsLength = blocks == 0 ? 0 : Integer.BYTES + blocks * SACK_BLOCK;
        segment(sequence(sender.nextPosition()), ACK, optionsLength, 0, 0);
    }

    private void sendSyn(long now) {
        synDeadline = now + (SYN_INTERVAL << synAttempts++);
        segment(initialSequence, state == State.SYN_RECEIVED ? SYN | ACK : SYN, SYN_OPTIONS, 0, 0);
    }

    private void segment(int sequence, int flags, int optionsLength, long position, int payloadLength) {
        int headerLength = TcpSegment.HEADER_LENGTH + optionsLength;
        int length = headerLength + payloadLength;
        long at = port.begin(length);
        if (at < 0) {
            return;
        }
        MemorySegment memory = port.memory();
        boolean acknowledges = (flags & ACK) != 0;
        int window = received.window();
        int field = Math.min(0xFFFF, (flags & SYN) != 0 ? window : window >>> ownShift);
        TcpSegment.write(
                memory,
                at,
                source,
                sourcePort,
                destination,
                destinationPort,
                sequence,
                acknowledges ? expected() : 0,
                flags,
                field,
                headerLength,
                length);
        if ((flags & SYN) != 0) {
            writeSynOptions(memory, at + TcpSegment.HEADER_LENGTH);
        } else if (optionsLength > 0) {
            writeSackBlocks(memory, at + TcpSegment.HEADER_LENGTH, (optionsLength - Integer.BYTES) / SACK_BLOCK);
        }
        if (payloadLength > 0) {
            sender.queue().copyTo(position, memory, at + headerLength, payloadLength);
        }
        // The field holds the pseudo-header's sum, so the sum over the segment is the whole one.
        BigEndian.putU16(memory, at + TcpSegment.CHECKSUM, Checksum.finish(Checksum.sum(memory, at, length)));
        port.send(length);
        if (acknowledges) {
            acknowledgeNow = false;
            advertisedEnd = received.next() + window;
        }
    }

    private void writeSynOptions(MemorySegment memory, long at) {
        BigEndian.putI32(memory, at, 0x0204_0000 | mss);
        // No-operation, then the window scale.
        BigEndian.putI32(memory, at + 4, 0x0103_0300 | WINDOW_SCALE);
        BigEndian.putI32(memory, at + 8, NO_OPERATIONS | TcpSegment.OPTION_SACK_PERMITTED << 8 | 2);
    }

    /** The one that has changed last comes first (RFC 2018, section 4). */
    private void writeSackBlocks(MemorySegment memory, long at, int count) {
        BigEndian.putI32(memory, at, NO_OPERATIONS | TcpSegment.OPTION_SACK << 8 | 2 + count * SACK_BLOCK);
        int first = received.lastChanged();
        for (int i = 0; i < count; i++) {
            int range = (first + i) % received.ranges();
            long block = at + Integer.BYTES + i * SACK_BLOCK;
            BigEndian.putI32(memory, block, peerInitialSequence + 1 + (int) received.start(range));
            BigEndian.putI32(memory, block + Integer.BYTES, peerInitialSequence + 1 + (int) received.end(range));
        }
    }
}
