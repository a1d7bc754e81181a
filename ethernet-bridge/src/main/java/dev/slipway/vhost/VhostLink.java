package dev.slipway.vhost;

import dev.slipway.ethernet.Acceptor;
import dev.slipway.ethernet.GuestEvents;
import dev.slipway.ethernet.GuestLink;
import dev.slipway.ethernet.LinkCounters;
import dev.slipway.ethernet.LoopDescriptor;
import dev.slipway.ethernet.OnLoop;
import dev.slipway.ethernet.Segmenter;
import dev.slipway.ethernet.SocketPathException;
import dev.slipway.posix.EventSignal;
import dev.slipway.posix.Sockets;
import dev.slipway.virtio.VirtioNetHeader;
import dev.slipway.wire.BigEndian;
import dev.slipway.wire.EthernetFrame;
import dev.slipway.wire.Frame;
import dev.slipway.wire.Frame.ChecksumState;
import io.netty.channel.EventLoop;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The link to a guest by vhost-user: listens on a Unix socket for its VM manager.
 *
 * <p>The guest is attached from when both its rings are started and enabled, until the connection ends or a ring breaks.
 * A pause of the VM, a change of its memory and a reset of its driver do not detach it: meanwhile there is no room.
 *
 * <p>One front-end at a time, by an {@link Acceptor}.
 *
 * <p>Limits: {@value #TURN_BYTES} bytes of frames are written in a turn before data that can wait has to wait; {@link
 * ToGuestQueue} and {@link FromGuestQueue} have limits of their own.
 */
public final class VhostLink implements GuestLink {

    private static final int TURN_BYTES = 1 << 20;
    private static final int NONE = -1;
    private static final int HEADER = VirtioNetHeader.LENGTH;
    private static final int SLOT = HEADER + Frame.MAX_LENGTH;

    /** How long the guest is looked at without being asked to tell, after its last frame. */
    private static final long WATCH_NANOS = 20_000;

    private static final Logger LOG = LoggerFactory.getLogger(VhostLink.class);

    private final EventLoop loop;
    private final int mtu;
    private final Sockets sockets = new Sockets();
    private final EventSignal signals = new EventSignal();
    private final LinkCounters counters = new LinkCounters();
    private final Acceptor acceptor;
    private final GuestEvents events;
    private final FromGuestQueue fromGuest = new FromGuestQueue(counters);
    private final ToGuestQueue toGuest = new ToGuestQueue();
    private final MemorySegment output = Arena.ofAuto().allocate(SLOT, 64);
    private final Frame leaving = new Frame();
    private final Segmenter segmenter = new Segmenter();
    private final Frame segment = new Frame();
    private MemorySegment segmentBytes = MemorySegment.NULL;
    private final Runnable look = this::look;

    private String place = "";
    private LoopDescriptor socket;
    private FrontEnd frontEnd;
    private VhostDevice device;
    private boolean attached;
    private int sentInTurn;
    private boolean starved;
    private long readWhenStarved;
    private boolean lookPosted;
    private boolean watching;
    private long lastTaken;
    private boolean goingDown;
    private boolean active;
    private boolean detaching;
    private boolean closed;

    /**
     * Makes a link without a socket.
     *
     * @param loop the event loop that owns it, on epoll
     * @param mtu bytes of the largest IP packet that goes to the guest
     */
    public VhostLink(EventLoop loop, int mtu) {
        this.loop = loop;
        this.mtu = mtu;
        events = new GuestEvents(loop, counters, () -> attached);
        acceptor = new Acceptor(loop, sockets, counters, new FrontEnds());
    }

    /**
     * Makes a Unix socket of mode 0600 and waits for VM managers on it. To be called once, from any thread but the
     * loop's; the receiver's methods run on the event loop, none from within a method of this link.
     *
     * @throws SocketPathException if no socket can be made there; a stale one, which nobody has open, is replaced
     */
    public void listen(Path path, Receiver to) throws SocketPathException {
        OnLoop.run(loop, path.toString(), () -> {
            acceptor.listen(path, Sockets.SOCK_STREAM);
            events.to(to);
            place = path.toString();
        });
    }

    // --- connections --------------------------------------------------------------------------------------------

    /** VM managers that connect. */
    private final class FrontEnds implements Acceptor.Link {

        @Override
        public boolean isTaken() {
            return socket != null;
        }

        @Override
        public void connected(int fd) {
            serve(fd);
        }
    }

    private void serve(int fd) {
        goingDown = false;
        device = new VhostDevice(loop, sockets, signals, new Queues(), mtu);
        frontEnd = new FrontEnd(sockets, device, this::afterMessage);
        try {
            socket = new LoopDescriptor(loop, sockets, fd, LoopDescriptor.READ, happening -> readable());
        } catch (IllegalStateException e) {
            counters.refusedConnection();
            sockets.close(fd);
            frontEnd = null;
            device = null;
        }
    }

    private void readable() {
        try {
            String over = frontEnd.read(socket.number());
            if (over != null) {
                gone(over);
            }
        } catch (ProtocolViolation e) {
            counters.failedHandshake();
            gone(protocol(e));
        } catch (InternalError e) {
            gone(memoryGone());
        } catch (RuntimeException e) {
            events.failed("message", e);
            gone("a defect while handling a message: " + e);
        }
    }

    /** Starts what can be started by now. */
    private void afterMessage() throws ProtocolViolation {
        if (device.start(VhostDevice.TO_GUEST)) {
            toGuest.start(
                    device.ring(VhostDevice.TO_GUEST).ring(), reader(), (device.features() & Features.MRG_RXBUF) != 0);
        }
        if (device.start(VhostDevice.FROM_GUEST)) {
            fromGuest.start(device.ring(VhostDevice.FROM_GUEST).ring(), reader(), device.features());
        }
        boolean wasActive = active;
        active = device.isActive(VhostDevice.TO_GUEST) && device.isActive(VhostDevice.FROM_GUEST);
        if (active && !attached && !goingDown && !detaching) {
            attach();
        } else if (active && !wasActive) {
            events.postReady();
        }
        if (isOpen()) {
            // An interrupt may have been lost with the descriptor that was replaced.
            device.ring(VhostDevice.TO_GUEST).tell();
        }
        postLook();
    }

    private ChainReader reader() {
        return new ChainReader(device.memory(), (device.features() & Features.INDIRECT_DESC) != 0);
    }

    private void attach() {
        attached = true;
        starved = false;
        counters.connection();
        if (device.mayShrink()) {
            LOG.info("{}: the guest's memory is no sealed file, so its VM manager could take it away", place);
        }
        events.attached();
    }

    /** What the device asks of the queues. */
    private final class Queues implements VhostDevice.Queues {

        @Override
        public void beforeMemoryChanges() {
            toGuest.rewind();
        }

        @Override
        public void beforeStop(int ring) {
            if (ring == VhostDevice.TO_GUEST) {
                counters.dropToGuest(toGuest.stop());
            } else {
                fromGuest.stop();
            }
            device.ring(ring).tell();
        }

        @Override
        public void kicked(int ring) {
            if (ring == VhostDevice.TO_GUEST) {
                moreBuffers();
            } else {
                look();
            }
        }
    }

    // --- from the guest -----------------------------------------------------------------------------------------

    private void postLook() {
        if (!lookPosted) {
            lookPosted = true;
            loop.execute(look);
        }
    }

    /** Takes what the guest has sent, and looks again soon; when it has long been silent, asks it for a kick. */
    private void look() {
        lookPosted = false;
        if (device == null) {
            return;
        }
        Vring vring = device.ring(VhostDevice.FROM_GUEST);
        SplitRing ring = vring.ring();
        if (ring == null || !attached && device.isEnabled(VhostDevice.FROM_GUEST)) {
            // What is sent waits until somebody is there to take it.
            return;
        }
        try {
            ring.silence();
            if (take(vring) > 0) {
                watching = true;
                lastTaken = System.nanoTime();
                again(ring);
            } else {
                watching &= System.nanoTime() - lastTaken < WATCH_NANOS;
                if (watching || ring.listen()) {
                    again(ring);
                }
            }
        } catch (RingViolation e) {
            broken(VhostDevice.FROM_GUEST, e);
        } catch (InternalError e) {
            goneLater(memoryGone());
        }
    }

    private void again(SplitRing ring) {
        if (device != null && device.ring(VhostDevice.FROM_GUEST).ring() == ring) {
            postLook();
        }
    }

    private int take(Vring vring) throws RingViolation {
        if (!device.isEnabled(VhostDevice.FROM_GUEST)) {
            return discard(vring);
        }
        long before = counters.framesFromGuest();
        try {
            return fromGuest.deliver(events);
        } finally {
            if (!closed && counters.framesFromGuest() != before) {
                events.endOfBatch();
            }
            vring.tell();
        }
    }

    /** What is sent on a ring that runs and is not enabled is lost (vhost-user.rst, "Ring states"). */
    private int discard(Vring vring) throws RingViolation {
        int lost = fromGuest.discard();
        vring.tell();
        return lost;
    }

    // --- to the guest -------------------------------------------------------------------------------------------

    private boolean isOpen() {
        return attached && device.isActive(VhostDevice.TO_GUEST);
    }

    @Override
    public int room() {
        if (!attached) {
            return 0;
        }
        int room = 0;
        if (isOpen()) {
            try {
                room = Math.min(toGuest.room(), TURN_BYTES - sentInTurn);
            } catch (RingViolation e) {
                broken(VhostDevice.TO_GUEST, e);
                return 0;
            } catch (InternalError e) {
                goneLater(memoryGone());
                return 0;
            }
        }
        if (room < Frame.MAX_LENGTH && !starved) {
            starved = true;
            readWhenStarved = toGuest.everRead();
        }
        return room;
    }

    @Override
    public Frame begin(int capacity) {
        if (capacity < 0 || capacity > Frame.MAX_LENGTH) {
            throw new IllegalArgumentException("a frame of " + capacity + " bytes, the limit is " + Frame.MAX_LENGTH);
        }
        return leaving.set(output, HEADER, capacity);
    }

    @Override
    public void send(Frame frame) {
        if (!isOpen()) {
            counters.dropToGuest();
            return;
        }
        try {
            if (takes(frame)) {
                whole(frame);
            } else {
                inPieces(frame);
            }
        } catch (RingViolation e) {
            counters.dropToGuest();
            broken(VhostDevice.TO_GUEST, e);
        } catch (InternalError e) {
            counters.dropToGuest();
            goneLater(memoryGone());
        }
    }

    /** Whether the guest has agreed to take a frame as it is. */
    private boolean takes(Frame frame) {
        long agreed = device.features();
        if (frame.segmentSize() > 0) {
            int type = BigEndian.u16(frame.bytes(), frame.offset() + EthernetFrame.HEADER_LENGTH - 2);
            long needed = type == EthernetFrame.TYPE_IPV6 ? Features.GUEST_TSO6 : Features.GUEST_TSO4;
            return (agreed & needed) != 0 && (agreed & Features.GUEST_CSUM) != 0;
        }
        return frame.checksum() == ChecksumState.COMPLETE || (agreed & Features.GUEST_CSUM) != 0;
    }

    private void whole(Frame frame) throws RingViolation {
        int length = frame.length();
        if (!VirtioNetHeader.write(frame, output, 0, 1)) {
            counters.dropToGuest();
            return;
        }
        if (frame.bytes() != output || frame.offset() != HEADER) {
            MemorySegment.copy(frame.bytes(), frame.offset(), output, HEADER, length);
        }
        write(output, length);
    }

    private void write(MemorySegment bytes, int length) throws RingViolation {
        if (toGuest.send(bytes, 0, HEADER + length)) {
            sentInTurn += length;
            counters.toGuest(length);
        } else {
            counters.dropToGuest();
        }
    }

    /** For a guest that takes no large units, or no partial sums. */
    private void inPieces(Frame frame) throws RingViolation {
        if (segmentBytes == MemorySegment.NULL) {
            segmentBytes = Arena.ofAuto().allocate(SLOT, 64);
        }
        int segments = segmenter.begin(frame);
        if (segments == Segmenter.MALFORMED) {
            counters.dropToGuest();
        } else if (segments == 1) {
            if (Segmenter.complete(frame)) {
                whole(segment.set(frame.bytes(), frame.offset(), frame.length()));
            } else {
                counters.dropToGuest();
            }
        } else {
            for (int i = 0; i < segments; i++) {
                segmenter.next(segmentBytes, HEADER);
                int header = segmenter.headerLength();
                int payload = segmenter.payloadLength();
                MemorySegment.copy(
                        frame.bytes(), segmenter.payloadOffset(), segmentBytes, HEADER + (long) header, payload);
                segment.set(segmentBytes, HEADER, header + payload);
                VirtioNetHeader.write(segment, segmentBytes, 0, 1);
                write(segmentBytes, header + payload);
            }
        }
    }

    @Override
    public void flush() {
        sentInTurn = 0;
        if (!isOpen()) {
            return;
        }
        try {
            device.ring(VhostDevice.TO_GUEST).tell();
            if (starved || toGuest.isWaiting()) {
                listenForBuffers();
            }
        } catch (RingViolation e) {
            broken(VhostDevice.TO_GUEST, e);
        } catch (InternalError e) {
            goneLater(memoryGone());
        }
    }

    /** Goes on if there are new buffers, else asks the guest to tell when there are. */
    private void listenForBuffers() throws RingViolation {
        SplitRing ring = device.ring(VhostDevice.TO_GUEST).ring();
        long before = NONE;
        while (!foundBuffers() && before != toGuest.everRead()) {
            before = toGuest.everRead();
            if (!ring.listen()) {
                return;
            }
        }
        ring.silence();
    }

    /** Looks for new buffers, writes what waits into them, and says so if there are any. */
    private boolean foundBuffers() throws RingViolation {
        toGuest.drain();
        device.ring(VhostDevice.TO_GUEST).tell();
        boolean enough = toGuest.room() >= Frame.MAX_LENGTH;
        if (starved && (enough || toGuest.everRead() != readWhenStarved)) {
            starved = false;
            events.postReady();
        }
        return !starved && !toGuest.isWaiting();
    }

    /** The guest has told of buffers. */
    private void moreBuffers() {
        if (!isOpen()) {
            return;
        }
        try {
            device.ring(VhostDevice.TO_GUEST).ring().silence();
            if (starved || toGuest.isWaiting()) {
                listenForBuffers();
            }
        } catch (RingViolation e) {
            broken(VhostDevice.TO_GUEST, e);
        } catch (InternalError e) {
            goneLater(memoryGone());
        }
    }

    // --- the end ------------------------------------------------------------------------------------------------

    private static String protocol(ProtocolViolation violation) {
        return "the VM manager broke the protocol: " + violation.getMessage();
    }

    private static String memoryGone() {
        return "the guest's memory was taken away: its file is shorter than it was";
    }

    /** Leaves a ring alone for what stands in it, until it is started anew. */
    private void broken(int index, RingViolation why) {
        String reason = "the guest broke ring " + index + ": " + why.getMessage();
        counters.brokenRing();
        LOG.warn("{}: {}", place, reason);
        if (index == VhostDevice.TO_GUEST) {
            counters.dropToGuest(toGuest.stop());
        } else {
            fromGuest.stop();
        }
        device.ring(index).breakDown(reason);
        if (attached) {
            attached = false;
            detaching = true;
            // Not from within a call of the receiver's own.
            loop.execute(() -> detachedByRing(reason));
        }
    }

    /** The rings may have been started anew meanwhile. */
    private void detachedByRing(String reason) {
        detaching = false;
        events.detached(reason);
        try {
            if (device != null) {
                afterMessage();
            }
        } catch (ProtocolViolation e) {
            goneLater(protocol(e));
        } catch (InternalError e) {
            goneLater(memoryGone());
        }
    }

    /** Not from within a call of the receiver's own. */
    private void goneLater(String reason) {
        if (!goingDown) {
            goingDown = true;
            LoopDescriptor whose = socket;
            loop.execute(() -> {
                if (socket == whose) {
                    gone(reason);
                }
            });
        }
    }

    private void gone(String reason) {
        if (socket == null) {
            return;
        }
        boolean wasAttached = attached;
        release();
        if (wasAttached) {
            events.detached(reason);
        } else {
            LOG.info("{}: a VM manager is gone, no guest of its was attached: {}", place, reason);
        }
        acceptor.next();
    }

    private void release() {
        attached = false;
        active = false;
        counters.dropToGuest(toGuest.stop());
        fromGuest.stop();
        frontEnd.close();
        device.close();
        socket.close();
        socket = null;
        frontEnd = null;
        device = null;
    }

    // --- for others ---------------------------------------------------------------------------------------------

    @Override
    public boolean isAttached() {
        return attached;
    }

    @Override
    public LinkCounters counters() {
        return counters;
    }

    /** Closes all sockets, lets go of the guest's memory and removes the path. No event follows. From any thread. */
    @Override
    public void close() {
        if (!loop.inEventLoop()) {
            loop.execute(this::close);
            return;
        }
        if (closed) {
            return;
        }
        closed = true;
        if (socket != null) {
            release();
        }
        acceptor.close();
    }
}
