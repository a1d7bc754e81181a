package dev.slipway.testing;

import dev.slipway.seam.FrameSink;
import dev.slipway.wire.Frame;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.function.BooleanSupplier;

/**
 * A channel that keeps what it is given. Every frame begins as bytes of 0xA5, so that one the stack did not write shows
 * up, in memory of exactly the capacity asked for, so that one byte too many throws.
 */
public final class FrameRecorder implements FrameSink {

    /** Bytes of a frame from which on it is one of a row, if there are any. */
    private static final int ROW_FRAME = 16 << 10;

    private final List<SentFrame> frames = new ArrayList<>();
    private final Frame frame = new Frame();
    private MemorySegment begun = MemorySegment.NULL;
    private int room = Integer.MAX_VALUE;
    private int rowLength = 1;
    private MemorySegment row = MemorySegment.NULL;
    private long used;
    private BooleanSupplier drops = () -> false;

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
        if (rowLength > 1 && capacity >= ROW_FRAME) {
            return beginInRow(capacity);
        }
        begun = Arena.ofAuto().allocate(capacity).fill((byte) 0xA5);
        return frame.set(begun, 0, capacity);
    }

    /** From now on long frames come in rows of so many. */
    public void rows(int frames) {
        rowLength = frames;
    }

    /** A frame for which this is true is dropped, as by a channel that is full: its place in the row is the next one's. */
    public void dropsIf(BooleanSupplier condition) {
        drops = condition;
    }

    private Frame beginInRow(int capacity) {
        if (row.byteSize() - used < capacity) {
            row = Arena.ofAuto().allocate((long) rowLength * capacity).fill((byte) 0xA5);
            used = 0;
        }
        begun = row;
        return frame.set(row, used, capacity).row((int) (row.byteSize() - used) / capacity, capacity);
    }

    @Override
    public void send(Frame sent) {
        if (sent.bytes() != begun) {
            throw new IllegalStateException("a frame was sent that was not the one begun last");
        }
        if (drops.getAsBoolean()) {
            return;
        }
        frames.add(SentFrame.of(sent));
        if (begun == row) {
            used += sent.length();
        }
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
