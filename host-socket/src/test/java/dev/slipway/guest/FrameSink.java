package dev.slipway.guest;

import java.io.IOException;
import java.lang.foreign.MemorySegment;

/** Where frames that pass are kept; called by several threads. */
interface FrameSink {

    /** Keeps a copy of a frame, or nothing of it. */
    void keep(MemorySegment segment, long offset, int length) throws IOException;
}
