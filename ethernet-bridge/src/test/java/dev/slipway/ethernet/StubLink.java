package dev.slipway.ethernet;

import dev.slipway.wire.Frame;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;

/** A link that keeps what is sent to its guest, for tests of decorators. */
final class StubLink implements GuestLink {

    final List<byte[]> sent = new ArrayList<>();
    final LinkCounters counters = new LinkCounters();
    boolean isAttached = true;
    int flushes;
    boolean isClosed;

    private final MemorySegment memory = Arena.ofAuto().allocate(Frame.MAX_LENGTH + 2);
    private final Frame frame = new Frame();

    @Override
    public int room() {
        return 1000;
    }

    @Override
    public Frame begin(int capacity) {
        return frame.set(memory, 2, capacity);
    }

    @Override
    public void send(Frame built) {
        sent.add(built.bytes().asSlice(built.offset(), built.length()).toArray(ValueLayout.JAVA_BYTE));
    }

    @Override
    public void flush() {
        flushes++;
    }

    @Override
    public boolean isAttached() {
        return isAttached;
    }

    @Override
    public LinkCounters counters() {
        return counters;
    }

    @Override
    public void close() {
        isClosed = true;
    }
}
