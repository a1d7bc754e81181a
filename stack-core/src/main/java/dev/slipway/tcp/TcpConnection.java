package dev.slipway.tcp;

import dev.slipway.ip.IpOutput;
import dev.slipway.seam.Flow;
import dev.slipway.seam.HostStream;
import dev.slipway.seam.IcmpError;
import dev.slipway.time.Timed;
import dev.slipway.wire.BigEndian;
import dev.slipway.wire.DropReason;
import dev.slipway.wire.Frame;
import dev.slipway.wire.Icmpv4Packet;
import dev.slipway.wire.IpAddress;
import dev.slipway.wire.Ipv4Packet;
import dev.slipway.wire.TcpSegment;
import java.lang.foreign.MemorySegment;
import java.util.Locale;

/**
 * One TCP connection of the guest and the host connection it is translated to: its life from SYN to the last
 * acknowledgement. What flows is in {@link FromGuest} and {@link ToGuest}.
 *
 * <p>Events of the host only set flags and ask for a turn; all output is made in {@link #turn}, when the time is known
 * and everything that came together can be answered together.
 */
final class TcpConnection extends Timed implements HostStream.Listener {

    private static final long TIME_WAIT = 1_000_000_000L;

    final IpAddress guest;
    final int guestPort;
    final IpAddress remote;
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
    private final IpOutput output;
    private final SegmentsToGuest segments;
    private final Handshake handshake;
    private HostStream stream;
    private TcpState state = TcpState.CONNECTING;
    private FromGuest fromGuest;
    private ToGuest toGuest;

    private boolean hostConnected;
    private boolean hostReset;
    private HostStream.ConnectFailure failure;
    private IcmpError error;
    private boolean outputDue;
    private long timeWaitUntil = NEVER;

    TcpConnection(
            TcpTable table,
            IpOutput output,
            IpAddress guest,
            int guestPort,
            IpAddress remote,
            int remotePort,
            int iss) {
        this.table = table;
        this.output = output;
        this.segments = new SegmentsToGuest(output, guest, guestPort, remote, remotePort);
        this.guest = guest;
        this.guestPort = guestPort;
        this.remote = remote;
        this.remotePort = remotePort;
        this.ports = guestPort << 16 | remotePort;
        this.handshake = new Handshake(iss, output.payloadMax() - TcpSegment.HEADER_LENGTH);
    }

    /** Whether those are its addresses. */
    boolean isBetween(long guestHigh, long guestLow, long remoteHigh, long remoteLow) {
        return remote.low() == remoteLow
                && guest.low() == guestLow
                && remote.high() == remoteHigh
                && guest.high() == guestHigh;
    }

    TcpState state() {
        return state;
    }

    TcpCounters counters() {
        return table.counters();
    }

    /** The guest's SYN: the host connects first, then it is answered. */
    void begin(TcpSegment syn) {
        handshake.learn(syn);
    }

    /** The host's side of what the guest began. */
    void bind(HostStream hostStream) {
        if (failure == null && !hostReset) {
            stream = hostStream;
        }
    }

    /** A connection of the host's to the guest: our SYN goes first. */
    void open(HostStream hostStream, long now) {
        state = TcpState.SYN_SENT;
        stream = hostStream;
        hostConnected = true;
        sendSyn();
        handshake.await(now);
        watch();
    }

    /**
     * A segment of the guest's.
     *
     * @return true if it is a SYN that begins a new connection in this one's place
     */
    boolean segmentArrived(TcpSegment segment, long now) {
        if (hostReset) {
            // The host's side is gone already; the guest hears of it when the turn ends.
            return false;
        }
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
            if (segment.sequence() == handshake.irs() || segment.sequence() == handshake.irs() + 1) {
                counters().guestReset();
                abort();
            }
            return false;
        }
        // The guest's repeated SYN waits like its first; another SYN means that the guest has forgotten this one.
        if (segment.has(TcpSegment.SYN) && !segment.has(TcpSegment.ACK) && segment.sequence() != handshake.irs()) {
            abort();
            return true;
        }
        return false;
    }

    private void arrivedSynSent(TcpSegment segment, long now) {
        boolean acknowledges = segment.has(TcpSegment.ACK) && segment.acknowledgement() == handshake.iss() + 1;
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
            handshake.learn(segment);
            fromGuest = handshake.fromGuest(table, stream);
            toGuest = handshake.toGuest(this, stream, output);
            fromGuest.initialWindow();
            toGuest.open(segment);
            becomeOpen();
            fromGuest.acknowledgeNow();
        }
    }

    private boolean arrivedTimeWait(TcpSegment segment, long now) {
        if (segment.has(TcpSegment.RST)) {
            return false;
        }
        if (segment.has(TcpSegment.SYN)) {
            // RFC 9293, section 3.10.7.4: a SYN beyond the old connection's sequence space may begin a new one.
            boolean beyond = segment.sequence() - (handshake.irs() + 1 + (int) fromGuest.expected()) >= 0;
            if (beyond && !segment.has(TcpSegment.ACK)) {
                close();
                return true;
            }
            table.challenge(this);
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
            if (state == TcpState.SYN_RECEIVED
                    && segment.sequence() == handshake.irs()
                    && !segment.has(TcpSegment.ACK)) {
                sendSyn();
            } else {
                table.challenge(this);
            }
            return;
        }
        if (!segment.has(TcpSegment.ACK)) {
            table.drops().count(DropReason.TCP_FLAGS);
            return;
        }
        if (state == TcpState.SYN_RECEIVED) {
            if (segment.acknowledgement() != handshake.iss() + 1) {
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
        outputDue |= toGuest.acknowledge(segment, now);
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

    /**
     * Only the sequence number expected next resets (RFC 5961, section 3.2). To the guest that is what was acknowledged
     * last, which may be less than what has come: that is what it answers with to a challenge, and for a process that
     * has died.
     */
    private void arrivedReset(long position) {
        if (position == fromGuest.expected() || position == fromGuest.acknowledged()) {
            counters().guestReset();
            abort();
        } else if (position > fromGuest.acknowledged() && position < fromGuest.promised()) {
            table.challenge(this);
        } else {
            table.drops().count(DropReason.TCP_RST_OUT_OF_WINDOW);
        }
    }

    private void becomeOpen() {
        state = TcpState.OPEN;
        outputDue = true;
        handshake.done();
        table.noLongerHalfOpen(this);
        counters().open();
    }

    /**
     * The end of a turn in which something happened to this connection.
     *
     * @param share of the channel's room, in bytes, so that those whose turn comes later find some
     */
    void turn(long now, int share) {
        if (hostReset) {
            counters().hostReset();
            sendReset();
            close();
            return;
        }
        if (state == TcpState.CONNECTING) {
            turnConnecting(now);
        } else if (state == TcpState.OPEN) {
            turnOpen(now, share);
        } else if (state == TcpState.TIME_WAIT && fromGuest.owesAcknowledgement()) {
            sendAcknowledgement();
        }
    }

    private void turnOpen(long now, int share) {
        fromGuest.flush();
        if (outputDue) {
            if (table.isCongested()) {
                table.blocked(this, true);
            } else {
                outputDue = false;
                boolean sent = toGuest.transmit(now, share);
                if (toGuest.isBlocked()) {
                    outputDue = true;
                    table.blocked(this, !sent);
                }
            }
        }
        if (fromGuest.owesAcknowledgement()) {
            sendAcknowledgement();
        }
        if (fromGuest.isFinished() && toGuest.isFinished()) {
            finish(now);
        }
    }

    private void turnConnecting(long now) {
        if (failure != null) {
            fail(failure);
        } else if (hostConnected) {
            state = TcpState.SYN_RECEIVED;
            fromGuest = handshake.fromGuest(table, stream);
            toGuest = handshake.toGuest(this, stream, output);
            sendSyn();
            handshake.await(now);
            watch();
        }
    }

    private void fail(HostStream.ConnectFailure why) {
        counters().refuse();
        int code = switch (why) {
            case HOST_UNREACHABLE -> Icmpv4Packet.CODE_HOST_UNREACHABLE;
            case NETWORK_UNREACHABLE -> Icmpv4Packet.CODE_NET_UNREACHABLE;
            case PROHIBITED -> Icmpv4Packet.CODE_PROHIBITED;
            case REFUSED, EXHAUSTED, TIMED_OUT -> -1;
        };
        if (error != null) {
            report(error);
        } else if (code >= 0) {
            report(table.unreachable(guest, code));
        } else if (why != HostStream.ConnectFailure.TIMED_OUT) {
            sendReset();
        }
        close();
    }

    /** Tells the guest what became of its SYN, of which the ports and the sequence number are left. */
    private void report(IcmpError said) {
        byte[] header = new byte[8];
        MemorySegment syn = MemorySegment.ofArray(header);
        BigEndian.putI32(syn, 0, ports);
        BigEndian.putI32(syn, 4, handshake.irs());
        output.sendErrorAbout(
                said,
                said.reporter(),
                guest,
                remote,
                Ipv4Packet.PROTOCOL_TCP,
                TcpSegment.HEADER_LENGTH,
                syn,
                0,
                header.length);
    }

    /** Both ends are done and acknowledged. */
    private void finish(long now) {
        HostStream ended = stream;
        stream = null;
        state = TcpState.TIME_WAIT;
        timeWaitUntil = now + TIME_WAIT;
        watch();
        if (ended != null) {
            ended.close();
        }
    }

    /** Ends both sides at once: the host's peer sees a reset. */
    void abort() {
        HostStream ended = stream;
        close();
        if (ended != null) {
            ended.reset();
        }
    }

    /** As {@link #abort}, and the guest sees a reset too. */
    void abortBoth() {
        try {
            sendReset();
        } finally {
            abort();
        }
    }

    private void close() {
        if (fromGuest != null) {
            fromGuest.release();
        }
        state = TcpState.CLOSED;
        stream = null;
        table.remove(this);
    }

    /** Sends a segment whose payload is in place behind room for a header without options. */
    void send(Frame frame, int flags, int sequence, int payloadLength, int mss) {
        int acknowledgement = fromGuest.acknowledgement();
        segments.send(
                frame,
                flags,
                sequence,
                acknowledgement,
                fromGuest.window(),
                TcpSegment.HEADER_LENGTH,
                payloadLength,
                mss);
    }

    /** Sends a segment without payload. */
    void sendControl(int flags, int sequence) {
        int acknowledgement = fromGuest.acknowledgement();
        segments.sendControl(flags, sequence, acknowledgement, fromGuest.window());
    }

    /** Sends what the guest is owed: what has come, what may come, what is missing in between. */
    void sendAcknowledgement() {
        Frame frame = segments.begin(SegmentsToGuest.MAX_SACK_OPTION, 0);
        int options =
                handshake.isSelective() ? fromGuest.writeSelectiveAcks(frame.bytes(), segments.options(frame)) : 0;
        int acknowledgement = fromGuest.acknowledgement();
        segments.send(
                frame,
                TcpSegment.ACK,
                toGuest.nextSequence(),
                acknowledgement,
                fromGuest.window(),
                TcpSegment.HEADER_LENGTH + options,
                0,
                Integer.MAX_VALUE);
    }

    /** Tells the guest that the connection is gone, whatever it knows of it. */
    private void sendReset() {
        switch (state) {
            case CONNECTING -> segments.sendControl(TcpSegment.RST | TcpSegment.ACK, 0, handshake.irs() + 1, 0);
            case SYN_SENT -> segments.sendControl(TcpSegment.RST, handshake.iss() + 1, 0, 0);
            case SYN_RECEIVED, OPEN ->
                segments.sendControl(
                        TcpSegment.RST | TcpSegment.ACK, toGuest.nextSequence(), fromGuest.lastAcknowledgement(), 0);
            case TIME_WAIT, CLOSED -> {}
        }
    }

    private void sendSyn() {
        if (state == TcpState.SYN_RECEIVED) {
            handshake.sendSynAck(segments, fromGuest.initialWindow());
        } else {
            handshake.sendSyn(segments, Math.min(stream.room(), 0xFFFF));
        }
    }

    @Override
    public void connected() {
        hostConnected = true;
        wantsTurn();
    }

    @Override
    public void failed(IcmpError said) {
        error = said;
        failed(HostStream.ConnectFailure.HOST_UNREACHABLE);
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
        stream = null;
        wantsTurn();
    }

    void wantsTurn() {
        if (state != TcpState.CLOSED) {
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
        if (state == TcpState.CLOSED || hostReset) {
            return NEVER;
        }
        return state == TcpState.OPEN ? toGuest.deadline() : Math.min(handshake.deadline(), timeWaitUntil);
    }

    @Override
    protected void expired(long now) {
        try {
            if (state == TcpState.TIME_WAIT) {
                if (now >= timeWaitUntil) {
                    close();
                }
            } else if (state == TcpState.SYN_RECEIVED || state == TcpState.SYN_SENT) {
                if (handshake.isInVain()) {
                    counters().abandon();
                    abort();
                } else {
                    sendSyn();
                    handshake.await(now);
                    watch();
                }
            } else if (state == TcpState.OPEN && now >= toGuest.deadline() && !toGuest.expired(now)) {
                counters().abandon();
                abortBoth();
            }
        } catch (RuntimeException | OutOfMemoryError failed) {
            table.failed(this, failed);
        }
    }

    private static String text(IpAddress address) {
        return address.isV4() ? address.toString() : "[" + address + "]";
    }

    Flow asFlow() {
        return new Flow(
                "tcp",
                text(guest) + ":" + guestPort,
                text(remote) + ":" + remotePort,
                state.name().toLowerCase(Locale.ROOT).replace('_', '-'));
    }

    /** For diagnosis: addresses and state. */
    @Override
    public String toString() {
        return guest + ":" + guestPort + " -> " + remote + ":" + remotePort + " " + state;
    }
}
