package dev.slipway.ethernet;

import dev.slipway.wire.Frame;

/**
 * A link with a tap: what passes in either direction is also written to a {@link CaptureFile}, if one is set. A
 * decorator of any link and of its receiver.
 *
 * <p>Frames are captured as the stack sees them, so a large unit is one packet and its checksum may be partial; a frame
 * that the link below drops is in the capture too.
 */
public final class CaptureLink implements GuestLink {

    private final GuestLink link;
    private CaptureFile file;

    public CaptureLink(GuestLink link) {
        this.link = link;
    }

    /** What to give to the link below as its receiver, so that frames from the guest are captured. */
    public Receiver receiver(Receiver to) {
        return new Tap(to);
    }

    /** Captures into a file from now on; what was captured into before is closed. On the event loop. */
    public void start(CaptureFile into) {
        stop();
        file = into;
    }

    /** Closes the file, if any. On the event loop. */
    public void stop() {
        if (file != null) {
            file.close();
            file = null;
        }
    }

    private void capture(Frame frame) {
        if (file != null) {
            file.write(frame);
        }
    }

    private void endTurn() {
        if (file != null) {
            file.flush();
        }
    }

    @Override
    public int room() {
        return link.room();
    }

    @Override
    public Frame begin(int capacity) {
        return link.begin(capacity);
    }

    @Override
    public void send(Frame frame) {
        capture(frame);
        link.send(frame);
    }

    @Override
    public void flush() {
        link.flush();
        endTurn();
    }

    @Override
    public boolean isAttached() {
        return link.isAttached();
    }

    @Override
    public LinkCounters counters() {
        return link.counters();
    }

    @Override
    public void close() {
        stop();
        link.close();
    }

    /** The receiver's side of the tap. */
    private final class Tap implements Receiver {

        private final Receiver to;

        Tap(Receiver to) {
            this.to = to;
        }

        @Override
        public void attached() {
            to.attached();
        }

        @Override
        public void frame(Frame frame) {
            capture(frame);
            to.frame(frame);
        }

        @Override
        public void endOfBatch() {
            to.endOfBatch();
            endTurn();
        }

        @Override
        public void ready() {
            to.ready();
        }

        @Override
        public void detached(String reason) {
            to.detached(reason);
            endTurn();
        }
    }
}
