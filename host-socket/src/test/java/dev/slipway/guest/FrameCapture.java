package dev.slipway.guest;

import java.io.IOException;
import java.io.OutputStream;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** Frames kept in memory, to be judged one by one or as a capture file by other programs. */
final class FrameCapture {

    private static final int MAGIC = 0xA1B2_C3D4;
    private static final int LINKTYPE_ETHERNET = 1;

    private final List<byte[]> frames = new ArrayList<>();

    synchronized void keep(MemorySegment segment, long offset, int length) {
        byte[] frame = new byte[length];
        MemorySegment.copy(segment, ValueLayout.JAVA_BYTE, offset, frame, 0, length);
        frames.add(frame);
    }

    synchronized List<byte[]> frames() {
        return List.copyOf(frames);
    }

    /** Writes a pcap file (draft-ietf-opsawg-pcap), one microsecond between frames: only their order is known. */
    synchronized void writeTo(Path file) throws IOException {
        try (OutputStream out = Files.newOutputStream(file)) {
            ByteBuffer header = ByteBuffer.allocate(24).order(ByteOrder.BIG_ENDIAN);
            header.putInt(MAGIC)
                    .putShort((short) 2)
                    .putShort((short) 4)
                    .putLong(0)
                    .putInt(1 << 18);
            header.putInt(LINKTYPE_ETHERNET);
            out.write(header.array());
            int microseconds = 0;
            for (byte[] frame : frames) {
                ByteBuffer record = ByteBuffer.allocate(16).order(ByteOrder.BIG_ENDIAN);
                record.putInt(microseconds / 1_000_000).putInt(microseconds % 1_000_000);
                record.putInt(frame.length).putInt(frame.length);
                out.write(record.array());
                out.write(frame);
                microseconds++;
            }
        }
    }
}
