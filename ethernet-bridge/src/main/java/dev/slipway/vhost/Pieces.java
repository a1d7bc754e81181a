package dev.slipway.vhost;

import java.lang.foreign.MemorySegment;

/** Takes the pieces of guest memory that a chain of descriptors is made of, in their order. */
interface Pieces {

    /** One piece, which is all within the segment; its length is greater than 0. */
    void add(MemorySegment memory, long offset, int length);
}
