package dev.slipway.ethernet;

import dev.slipway.wire.BigEndian;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;

/** How frames stand in a stream of bytes: each behind its length, which is written in one of two ways. */
public enum StreamFraming {
    /** Four bytes in network order, of QEMU ({@code net/stream.c}). */
    QEMU(4, Integer.MAX_VALUE),
    /** Two bytes, the lower one first, of HyperKit, VPNKit and gvproxy. */
    HYPERKIT(2, 0xFFFF);

    private static final ValueLayout.OfShort LITTLE_ENDIAN_SHORT =
            ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    private final int prefix;
    private final int longest;

    StreamFraming(int prefix, int longest) {
        this.prefix = prefix;
        this.longest = longest;
    }

    /** Bytes of the length before each frame. */
    int prefix() {
        return prefix;
    }

    /** The longest frame whose length can be written, in bytes. */
    int longest() {
        return longest;
    }

    /** Reads a length, 0 to 2³²-1. */
    long length(MemorySegment bytes, long offset) {
        return this == QEMU
                ? BigEndian.u32(bytes, offset)
                : Short.toUnsignedInt(bytes.get(LITTLE_ENDIAN_SHORT, offset));
    }

    /** Writes a length of {@link #longest} at most. */
    void putLength(MemorySegment bytes, long offset, int length) {
        if (this == QEMU) {
            BigEndian.putI32(bytes, offset, length);
        } else {
            bytes.set(LITTLE_ENDIAN_SHORT, offset, (short) length);
        }
    }
}
