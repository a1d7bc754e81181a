package dev.slipway.guest;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** Frames kept in memory, to be judged one by one or as a capture file by other programs. */
final class FrameCapture implements FrameSink {

    private final List<byte[]> frames = new ArrayList<>();

    @Override
    public synchronized void keep(MemorySegment segment, long offset, int length) {
        byte[] frame = new byte[length];
        MemorySegment.copy(segment, ValueLayout.JAVA_BYTE, offset, frame, 0, length);
        frames.add(frame);
    }

    synchronized List<byte[]> frames() {
        return List.copyOf(frames);
    }

    /** Writes a pcap file. */
    synchronized void writeTo(Path path) throws IOException {
        try (CaptureFile file = new CaptureFile(path)) {
            for (byte[] frame : frames) {
                file.add(frame);
            }
        }
    }
}
