package dev.slipway.host;

import dev.slipway.ethernet.GuestLink;
import dev.slipway.wire.Frame;

/** Hands on what a link tells, and ends the link with its first guest. */
final class FirstGuest implements GuestLink.Receiver {

    private final GuestLink.Receiver receiver;
    private final GuestLink link;
    private final Runnable over;

    /**
     * @param receiver of everything
     * @param link that is to end
     * @param over run when it has, on its event loop
     */
    FirstGuest(GuestLink.Receiver receiver, GuestLink link, Runnable over) {
        this.receiver = receiver;
        this.link = link;
        this.over = over;
    }

    @Override
    public void attached() {
        receiver.attached();
    }

    @Override
    public void frame(Frame frame) {
        receiver.frame(frame);
    }

    @Override
    public void endOfBatch() {
        receiver.endOfBatch();
    }

    @Override
    public void ready() {
        receiver.ready();
    }

    @Override
    public void detached(String reason) {
        receiver.detached(reason);
        link.close();
        over.run();
    }
}
