package dev.slipway.testing;

import dev.slipway.wire.Frame;
import java.lang.foreign.MemorySegment;

/**
 * The entry to assertions about frames; to be imported statically beside AssertJ's own {@code assertThat}.
 *
 * <p>Each {@code isTcp()}, {@code isUdp()} … first proves that lengths and checksums are right, so that no test has to.
 */
public final class PacketMatchers {

    private PacketMatchers() {}

    public static FrameAssert assertThat(SentFrame frame) {
        return new FrameAssert(frame);
    }

    public static FrameAssert assertThat(Frame frame) {
        return new FrameAssert(SentFrame.of(frame));
    }

    /** Asserts about a segment that holds one frame. */
    public static FrameAssert assertThatFrame(MemorySegment frame) {
        return new FrameAssert(SentFrame.of(frame));
    }
}
