package dev.slipway.ethernet;

import static org.assertj.core.api.Assertions.assertThat;

import dev.slipway.wire.Frame;
import java.lang.foreign.ValueLayout;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;

/** Keeps what a link delivers, for a test's own thread to wait for. */
public final class RecordingReceiver implements GuestLink.Receiver {

    public final BlockingQueue<String> events = new LinkedBlockingQueue<>();
    public final BlockingQueue<byte[]> frames = new LinkedBlockingQueue<>();
    public final BlockingQueue<Integer> batches = new LinkedBlockingQueue<>();
    /** What to do with each frame, on the event loop. */
    public volatile Consumer<Frame> onFrame = frame -> {};

    /** What to do at the end of each batch, on the event loop. */
    public volatile Runnable onEndOfBatch = () -> {};

    private int inBatch;

    @Override
    public void attached() {
        events.add("attached");
    }

    @Override
    public void frame(Frame frame) {
        inBatch++;
        frames.add(frame.bytes().asSlice(frame.offset(), frame.length()).toArray(ValueLayout.JAVA_BYTE));
        onFrame.accept(frame);
    }

    @Override
    public void endOfBatch() {
        batches.add(inBatch);
        inBatch = 0;
        onEndOfBatch.run();
    }

    @Override
    public void ready() {
        events.add("ready");
    }

    @Override
    public void detached(String reason) {
        events.add("detached: " + reason);
    }

    /** The next frame, within 20 seconds. */
    public byte[] nextFrame() throws InterruptedException {
        byte[] frame = frames.poll(20, TimeUnit.SECONDS);
        assertThat(frame).as("a frame within 20 s; other events: %s", events).isNotNull();
        return frame;
    }

    /** The next event, within 20 seconds. */
    public String nextEvent() throws InterruptedException {
        String event = events.poll(20, TimeUnit.SECONDS);
        assertThat(event).as("an event within 20 s").isNotNull();
        return event;
    }
}
