package dev.slipway.tcp;

import dev.slipway.stack.HostStream;
import dev.slipway.stack.Ipv4Output;
import dev.slipway.time.Timed;
import dev.slipway.wire.BigEndian;
import dev.slipway.wire.DropReason;
import dev.slipway.wire.Frame;
import dev.slipway.wire.Icmpv4Packet;
import dev.slipway.wire.IpAddress;
import dev.slipway.wire.Ipv4Packet;
import dev.slipway.wire.TcpSegment;
import java.lang.foreign.MemorySegment;

/**
 * One TCP connection of the guest and the host connection it is translated to: its life from SYN to the last
 * acknowledgement. What flows is in {@link FromGuest} and {@link ToGuest}.
 *
 * <p>Events of the host only set flags and ask for a turn; all output is made in {@link #turn}, when the time is known
 * and everything that came together can be answered together.
 */
final class TcpConnection extends Timed implements HostStream.Listener {

    /** Where a connection stands (RFC 9293, section 3.3.2; the closing states are in the two directions). */
    enum State {
        /** The guest's SYN is held back until the host's connect has ended. */
        CONNECTING,
        /** Our SYN-ACK is on its way. */
        SYN_RECEIVED,
        /** Our SYN is on its way. */
        SYN_SENT,
        OPEN,
        /** Both ends are acknowledged; only lost acknowledgements are repeated. */
        TIME_WAIT,
        CLOSED
    }

    /** An MSS below this would make a storm of tiny segments out of each window (RFC 791: hosts take 576 bytes). */
    static final int MIN_MSS = 88;

    private static final int DEFAULT_MSS = 536;
    private static final long HANDSHAKE_TIMEOUT = 1_000_000_000L;
    private static final int HANDSHAKE_TRIES = 6;
    private static final long TIME_WAIT = 1_000_000_000L;
    private static final int SYN_OPTIONS = 12;

    final int guest;
    final int guestPort;
    final int remote;
    final int remotePort;
    final int ports;

    /** Neighbours in the list of half-open connections, oldest first. */
    TcpConnection olderHalfOpen;

    TcpConnection newerHalfOpen;
    boolean halfOpen;
    /** Whether it waits for its turn, and whether for room in the channel. */
    boolean dirty;

    boolean waitsForRoom;

    private final TcpTable table;
    private final Ipv4Output output;
    private final int iss;
    private final int ourMss;
    private HostStream stream;
    private State state;
    private FromGuest fromGuest;
    private ToGuest toGuest;

    private int irs;
    private int guestMss;
    private int guestScale = TcpSegment.NO_WINDOW_SCALE;
    private boolean guestSelective;

    private boolean hostConnected;
    private boolean hostReset;
    private HostStream.ConnectFailure failure;
    private boolean outputDue;
    private int tries;
    private long handshakeDeadline = NEVER;
    private long timeWaitUntil = NEVER;

    TcpConnection(TcpTable table, Ipv4Output output, int guest, int guestPort, int remote, int remotePort, int iss) {
        this.table = table;
        this.output = output;
        this.guest = guest;
        this.guestPort = guestPort;
        this.remote = remote;
        this.remotePort = remotePort;
        this.ports = guestPort << 16 | remotePort;
        this.iss = iss;
        this.ourMss = output.mtu() - Ipv4Packet.HEADER_LENGTH - TcpSegment.HEADER_LENGTH;
    }

    State state() {
        return state;
    }

    TcpCounters counters() {
        return table.counters();
    }

    /** The guest's SYN: the host connects first, then it is answered. */
    void connect(TcpSegment syn, HostStream hostStream) {
        state = State.CONNECTING;
        stream = hostStream;
        learn(syn);
    }

    /** A connection of the host's to the guest: our SYN goes first. */
    void open(HostStream hostStream, long now) {
        state = State.SYN_SENT;
        stream = hostStream;
        hostConnected = true;
        sendSyn(now);
    }

    private void learn(TcpSegment syn) {
        irs = syn.sequence();
        guestMss = Math.clamp(syn.hasMaximumSegmentSize() ? syn.maximumSegmentSize() : DEFAULT_MSS, MIN_MSS, ourMss);
        guestScale = syn.windowScale();
        guestSelective = syn.sackPermitted();
    }

    private boolean isScaled() {
        return guestScale != TcpSegment.NO_WINDOW_SCALE;
    }

    private void establishDirections(TcpSegment segment) {
        fromGuest = new FromGuest(table, stream, irs, ourMss, isScaled());
        fromGuest.initialWindow();
        toGuest = new ToGuest(this, stream, output, iss, guestMss, isScaled() ? guestScale : 0, guestSelective);
        toGuest.open(segment);
    }

    /**
     * A segment of the guest's.
     *
     * @return true if it is a SYN that begins a new connection in this one's place
     */
    boolean segmentArrived(TcpSegment segment, long now) {
        switch (state) {
            case CONNECTING -> {
                return arrivedConnecting(segment);
            }
            case SYN_SENT -> arrivedSynSent(segment, now);
            case TIME_WAIT -> {
                return arrivedTimeWait(segment, now);
            }
            case SYN_RECEIVED, OPEN -> arrivedSynchronized(segment, now);
            case CLOSED -> table.drops().count(DropReason.TCP_NO_CONNECTION);
        }
        return false;
    }

    private boolean arrivedConnecting(TcpSegment segment) {
        if (segment.has(TcpSegment.RST)) {
            if (segment.sequence() == irs || segment.sequence() == irs + 1) {
                counters().guestReset();
                abort();
            }
            return false;
        }
        // The guest's repeated SYN waits like its first; another SYN means that the guest has forgotten this one.
        if (segment.has(TcpSegment.SYN) && !segment.has(TcpSegment.ACK) && segment.sequence() != irs) {
            abort();
            return true;
        }
        return false;
    }

    private void arrivedSynSent(TcpSegment segment, long now) {
        boolean acknowledges = segment.has(TcpSegment.ACK) && segment.acknowledgement() == iss + 1;
        if (segment.has(TcpSegment.ACK) && !acknowledges) {
            table.refuse(segment, guest, remote);
            return;
        }
        if (segment.has(TcpSegment.RST)) {
            if (acknowledges) {
                counters().refuse();
                abort();
            }
            return;
        }
        if (acknowledges && segment.has(TcpSegment.SYN)) {
            learn(segment);
            establishDirections(segment);
            becomeOpen();
            fromGuest.acknowledgeNow();
            outputDue = true;
        }
    }

    private boolean arrivedTimeWait(TcpSegment segment, long now) {
        if (segment.has(TcpSegment.RST)) {
            return false;
        }
        if (segment.has(TcpSegment.SYN)) {
            // RFC 9293, section 3.10.7.4: a SYN beyond the old connection's sequence space may begin a new one.
            boolean beyond = segment.sequence() - (irs + 1 + (int) fromGuest.expected()) >= 0;
            if (beyond && !segment.has(TcpSegment.ACK)) {
                close();
                return true;
            }
            return false;
        }
        if (segment.sequenceLength() > 0) {
            timeWaitUntil = now + TIME_WAIT;
            fromGuest.acknowledgeNow();
        }
        return false;
    }

    private void arrivedSynchronized(TcpSegment segment, long now) {
        long position = fromGuest.positionOf(segment.sequence());
        if (segment.has(TcpSegment.RST)) {
            arrivedReset(position);
            return;
        }
        if (segment.has(TcpSegment.SYN)) {
            if (state == State.SYN_RECEIVED && segment.sequence() == irs && !segment.has(TcpSegment.ACK)) {
                sendSyn(now);
            } else {
                table.challenge(this);
            }
            return;
        }
        if (!segment.has(TcpSegment.ACK)) {
            table.drops().count(DropReason.TCP_FLAGS);
            return;
        }
        if (state == State.SYN_RECEIVED) {
            if (segment.acknowledgement() != iss + 1) {
                table.refuse(segment, guest, remote);
                return;
            }
            toGuest.open(segment);
            becomeOpen();
        }
        if (position > fromGuest.promised() + 1) {
            table.drops().count(DropReason.TCP_OUT_OF_WINDOW);
            fromGuest.acknowledgeNow();
            return;
        }
        if (!toGuest.isAcceptable(segment.acknowledgement())) {
            if (toGuest.isUnsent(segment.acknowledgement())) {
                table.drops().count(DropReason.TCP_ACK_UNSENT);
            }
            table.challenge(this);
            return;
        }
        toGuest.acknowledge(segment, now);
        outputDue = true;
        if (segment.sequenceLength() == 0) {
            // A keepalive has the sequence number before the one expected and wants an answer (RFC 9293, 3.8.4).
            if (position < fromGuest.expected()) {
                fromGuest.acknowledgeNow();
            }
        } else if (!fromGuest.accept(segment, position)) {
            sendAcknowledgement();
        }
        if (fromGuest.isFinished() && toGuest.isFinished()) {
            finish(now);
        }
    }

    private void arrivedReset(long position) {
        if (position == fromGuest.expected()) {
            counters().guestReset();
            abort();
        } else if (position > fromGuest.expected() && position < fromGuest.promised()) {
            table.challenge(this);
        } else {
            table.drops().count(DropReason.TCP_RST_OUT_OF_WINDOW);
        }
    }

    private void becomeOpen() {
        state = State.OPEN;
        handshakeDeadline = NEVER;
        table.noLongerHalfOpen(this);
        counters().open();
    }

    /** The end of a turn in which something happened to this connection. */
    void turn(long now) {
        if (hostReset) {
            counters().hostReset();
            if (state != State.CONNECTING) {
                sendReset();
            }
            close();
            return;
        }
        if (state == State.CONNECTING) {
            turnConnecting(now);
            return;
        }
        if (state == State.OPEN) {
            fromGuest.flush();
            if (outputDue) {
                outputDue = false;
                toGuest.transmit(now);
            }
            if (fromGuest.owesAcknowledgement()) {
                sendAcknowledgement();
            }
            if (toGuest.isBlocked()) {
                outputDue = true;
                table.blocked(this);
            }
            if (fromGuest.isFinished() && toGuest.isFinished()) {
                finish(now);
            }
        } else if (state == State.TIME_WAIT && fromGuest.owesAcknowledgement()) {
            sendAcknowledgement();
        }
    }

    private void turnConnecting(long now) {
        if (failure != null) {
            fail(failure);
        } else if (hostConnected) {
            state = State.SYN_RECEIVED;
            fromGuest = new FromGuest(table, stream, irs, ourMss, isScaled());
            toGuest = new ToGuest(this, stream, output, iss, guestMss, isScaled() ? guestScale : 0, guestSelective);
            sendSyn(now);
        }
    }

    private void fail(HostStream.ConnectFailure why) {
        counters().refuse();
        switch (why) {
            case REFUSED, EXHAUSTED -> sendRefusal();
            case HOST_UNREACHABLE -> sendUnreachable(Icmpv4Packet.CODE_HOST_UNREACHABLE);
            case NETWORK_UNREACHABLE -> sendUnreachable(Icmpv4Packet.CODE_NET_UNREACHABLE);
            case PROHIBITED -> sendUnreachable(Icmpv4Packet.CODE_PROHIBITED);
            case TIMED_OUT -> {}
        }
        close();
    }

    /** Both ends are done and acknowledged. */
    private void finish(long now) {
        if (stream != null) {
            stream.close();
            stream = null;
        }
        state = State.TIME_WAIT;
        timeWaitUntil = now + TIME_WAIT;
        watch();
    }

    /** Ends both sides at once: the host's peer sees a reset. */
    void abort() {
        if (stream != null) {
            stream.reset();
            stream = null;
        }
        close();
    }

    /** As {@link #abort}, and the guest sees a reset too. */
    void abortBoth() {
        if (fromGuest != null && state != State.TIME_WAIT) {
            sendReset();
        } else if (state == State.CONNECTING) {
            sendRefusal();
        }
        abort();
    }

    private void close() {
        if (fromGuest != null) {
            fromGuest.release();
        }
        state = State.CLOSED;
        stream = null;
        table.remove(this);
    }

    // --- output -------------------------------------------------------------------------------------------------

    /** Sends a segment whose payload is in place behind room for a header without options. */
    void send(Frame frame, int flags, int sequence, int payloadLength, int mss) {
        send(frame, flags, sequence, TcpSegment.HEADER_LENGTH, payloadLength, mss);
    }

    private void send(Frame frame, int flags, int sequence, int headerLength, int payloadLength, int mss) {
        int acknowledgement = fromGuest.acknowledgement();
        writeAndSend(frame, flags, sequence, acknowledgement, fromGuest.window(), headerLength, payloadLength, mss);
    }

    private void writeAndSend(
            Frame frame, int flags, int sequence, int acknowledgement, int window, int headerLength, int payloadLength, int mss) {
        int length = headerLength + payloadLength;
        TcpSegment.write(
                frame.bytes(), frame.offset() + Ipv4Output.HEADERS, remote, remotePort, guest, guestPort, sequence,
                acknowledgement, flags, window, headerLength, length);
        frame.checksumPartial(Ipv4Output.HEADERS, TcpSegment.CHECKSUM);
        if (payloadLength > mss) {
            frame.largeUnit(mss);
        }
        output.send(frame, length, remote, guest, Ipv4Packet.PROTOCOL_TCP);
    }

    /** Sends a segment without payload. */
    void sendControl(int flags, int sequence) {
        Frame frame = output.begin(TcpSegment.HEADER_LENGTH);
        send(frame, flags, sequence, TcpSegment.HEADER_LENGTH, 0, Integer.MAX_VALUE);
    }

    /** Sends what the guest is owed: what has come, what may come, what is missing in between. */
    void sendAcknowledgement() {
        Frame frame = output.begin(TcpSegment.HEADER_LENGTH + 4 + 8 * TcpSegment.MAX_SACK_BLOCKS);
        int options = guestSelective
                ? fromGuest.writeSelectiveAcks(frame.bytes(), frame.offset() + Ipv4Output.HEADERS + TcpSegment.HEADER_LENGTH)
                : 0;
        send(frame, TcpSegment.ACK, toGuest.nextSequence(), TcpSegment.HEADER_LENGTH + options, 0, Integer.MAX_VALUE);
    }

    private void sendReset() {
        Frame frame = output.begin(TcpSegment.HEADER_LENGTH);
        writeAndSend(
                frame, TcpSegment.RST | TcpSegment.ACK, toGuest.nextSequence(), fromGuest.lastAcknowledgement(), 0,
                TcpSegment.HEADER_LENGTH, 0, Integer.MAX_VALUE);
    }

    private void sendRefusal() {
        Frame frame = output.begin(TcpSegment.HEADER_LENGTH);
        writeAndSend(
                frame, TcpSegment.RST | TcpSegment.ACK, 0, irs + 1, 0, TcpSegment.HEADER_LENGTH, 0, Integer.MAX_VALUE);
    }

    private void sendUnreachable(int code) {
        output.sendUnreachable(code, Ipv4Packet.PROTOCOL_TCP, guest, remote, ports, irs, table.gateway());
    }

    private void sendSyn(long now) {
        boolean answer = state == State.SYN_RECEIVED;
        boolean scale = !answer || isScaled();
        boolean selective = !answer || guestSelective;
        Frame frame = output.begin(TcpSegment.HEADER_LENGTH + SYN_OPTIONS);
        MemorySegment bytes = frame.bytes();
        long options = frame.offset() + Ipv4Output.HEADERS + TcpSegment.HEADER_LENGTH;
        BigEndian.putI32(bytes, options, TcpSegment.OPTION_MSS << 24 | 4 << 16 | ourMss);
        BigEndian.putI32(bytes, options + 4, scale ? 0x0100_0000 | TcpSegment.OPTION_WINDOW_SCALE << 16 | 3 << 8 | FromGuest.WINDOW_SCALE : 0x0101_0101);
        BigEndian.putI32(bytes, options + 8, selective ? 0x0101_0000 | TcpSegment.OPTION_SACK_PERMITTED << 8 | 2 : 0x0101_0101);
        int window = answer ? fromGuest.initialWindow() : Math.min(stream.room(), 0xFFFF);
        writeAndSend(
                frame, answer ? TcpSegment.SYN | TcpSegment.ACK : TcpSegment.SYN, iss, answer ? irs + 1 : 0, window,
                TcpSegment.HEADER_LENGTH + SYN_OPTIONS, 0, Integer.MAX_VALUE);
        handshakeDeadline = now + (HANDSHAKE_TIMEOUT << tries);
        watch();
    }

    // --- events and timers --------------------------------------------------------------------------------------

    @Override
    public void connected() {
        hostConnected = true;
        wantsTurn();
    }

    @Override
    public void failed(HostStream.ConnectFailure why) {
        failure = why;
        stream = null;
        wantsTurn();
    }

    @Override
    public void readable() {
        outputDue = true;
        wantsTurn();
    }

    @Override
    public void writable() {
        wantsTurn();
    }

    @Override
    public void reset() {
        hostReset = true;
        wantsTurn();
    }

    /** The channel to the guest has room again. */
    void guestReady() {
        wantsTurn();
    }

    void wantsTurn() {
        if (state != State.CLOSED) {
            outputDue |= state == State.OPEN && toGuest.isBlocked();
            table.wantsTurn(this);
        }
    }

    /** The next turn has to look for payload of the host even without an event. */
    void continueNextTurn() {
        outputDue = true;
        wantsTurn();
    }

    void watch() {
        table.deadlines().watch(this);
    }

    @Override
    protected long deadline() {
        if (state == State.CLOSED) {
            return NEVER;
        }
        return Math.min(Math.min(handshakeDeadline, timeWaitUntil), toGuest == null || state != State.OPEN ? NEVER : toGuest.deadline());
    }

    @Override
    protected void expired(long now) {
        if (state == State.TIME_WAIT) {
            if (now >= timeWaitUntil) {
                close();
            }
        } else if (state == State.SYN_RECEIVED || state == State.SYN_SENT) {
            if (++tries >= HANDSHAKE_TRIES) {
                counters().abandon();
                abort();
            } else {
                sendSyn(now);
            }
        } else if (state == State.OPEN && now >= toGuest.deadline() && !toGuest.expired(now)) {
            counters().abandon();
            abortBoth();
        }
    }

    /** For diagnosis: addresses and state. */
    @Override
    public String toString() {
        return IpAddress.toString(guest) + ":" + guestPort + " -> "
                + IpAddress.toString(remote) + ":" + remotePort + " " + state;
    }
}
