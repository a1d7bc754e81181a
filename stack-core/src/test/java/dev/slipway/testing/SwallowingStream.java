package dev.slipway.testing;

import dev.slipway.seam.HostStream;
import java.lang.foreign.MemorySegment;

/** A connection whose host takes everything at once and counts it, and says nothing. */
public class SwallowingStream implements HostStream {

    public long written;
    public boolean ended;
    public boolean shutdown;

    @Override
    public int room() {
        return 1 << 20;
    }

    @Override
    public void write(MemorySegment source, long offset, int length) {
        written += length;
    }

    @Override
    public void flush() {}

    @Override
    public long taken() {
        return written;
    }

    @Override
    public void shutdownOutput() {
        shutdown = true;
    }

    @Override
    public boolean isOutputShutdown() {
        return shutdown;
    }

    @Override
    public int peek(long position, MemorySegment target, long offset, int length) {
        return 0;
    }

    @Override
    public void discard(long position) {}

    @Override
    public void reset() {
        ended = true;
    }

    @Override
    public void close() {
        ended = true;
    }
}
