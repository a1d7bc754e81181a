package dev.slipway.testing;

import dev.slipway.seam.FrameSink;
import dev.slipway.wire.Frame;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;

/**
 * A channel that keeps what it is given. Every frame begins as bytes of 0xA5, so that one the stack did not write shows
 * up, in memory of exactly the capacity asked for, so that one byte too many throws.
 */
public final class FrameRecorder implements FrameSink {

    private final List<SentFrame> frames = new ArrayList<>();
    private final Frame frame = new Frame();
    private MemorySegment begun = MemorySegment.NULL;
    private int room = Integer.MAX_VALUE;

    @Override
    public int room() {
        return room;
    }

    /** Sets the room; each frame sent takes its length from it, unless it was never set. */
    public void room(int bytes) {
        room = bytes;
    }

    @Override
    public Frame begin(int capacity) {
        if (capacity <= 0 || capacity > Frame.MAX_LENGTH) {
            throw new IllegalArgumentException("a frame of " + capacity + " bytes was begun");
        }
        begun = Arena.ofAuto().allocate(capacity).fill((byte) 0xA5);
        return frame.set(begun, 0, capacity);
    }

    @Override
    public void send(Frame sent) {
        if (sent.bytes() != begun) {
            throw new IllegalStateException("a frame was sent that was not the one begun last");
        }
        frames.add(SentFrame.of(sent));
        begun = MemorySegment.NULL;
        if (room != Integer.MAX_VALUE) {
            room -= sent.length();
        }
    }

    /** The frames sent and not taken yet, oldest first. */
    public List<SentFrame> frames() {
        return List.copyOf(frames);
    }

    /** The frames sent and not taken yet, oldest first; they are taken. */
    public List<SentFrame> take() {
        List<SentFrame> taken = List.copyOf(frames);
        frames.clear();
        return taken;
    }

    /** Takes the one frame that was sent. */
    public SentFrame only() {
        if (frames.size() != 1) {
            throw new AssertionError("expected one frame, there are " + frames.size() + ": " + frames);
        }
        return frames.removeFirst();
    }

    /** Takes the oldest frame. */
    public SentFrame next() {
        if (frames.isEmpty()) {
            throw new AssertionError("expected a frame, there is none");
        }
        return frames.removeFirst();
    }
}
