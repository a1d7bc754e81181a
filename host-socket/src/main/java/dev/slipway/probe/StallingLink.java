package dev.slipway.probe;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.util.concurrent.locks.LockSupport;

/**
 * The wire of a guest whose processor is taken away from time to time: what is sent to it waits meanwhile, and one frame is
 * lost.
 */
final class StallingLink implements FrameLink {

    private static final long PAUSE_NANOS = 10_000_000;

    private final FrameLink link;
    private final int frames;
    private final Receiver withLosses = this::frame;
    private Receiver receiver;
    private int countdown;

    /** @param frames that come from one such time to the next, at least 1 */
    StallingLink(FrameLink link, int frames) {
        this.link = link;
        this.frames = frames;
        this.countdown = frames;
    }

    @Override
    public boolean receive(Receiver to, long waitNanos) throws IOException {
        receiver = to;
        return link.receive(withLosses, waitNanos);
    }

    private void frame(MemorySegment bytes, long offset, int length) {
        if (--countdown == 0) {
            countdown = frames;
            LockSupport.parkNanos(PAUSE_NANOS);
        } else {
            receiver.frame(bytes, offset, length);
        }
    }

    @Override
    public MemorySegment memory() {
        return link.memory();
    }

    @Override
    public int room() {
        return link.room();
    }

    @Override
    public long begin(int length) {
        return link.begin(length);
    }

    @Override
    public void send(int length) {
        link.send(length);
    }

    @Override
    public void flush() throws IOException {
        link.flush();
    }

    @Override
    public long now() {
        return link.now();
    }

    @Override
    public void close() throws IOException {
        link.close();
    }
}
