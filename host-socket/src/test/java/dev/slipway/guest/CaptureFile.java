package dev.slipway.guest;

import java.io.BufferedOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * A pcap file of whole Ethernet frames (draft-ietf-opsawg-pcap), one microsecond between them: only their order is known.
 *
 * <p>{@code -Dslipway.guest.captures=FOLDER} has each relay of a test write one, for {@code .ci/judge-capture}.
 */
final class CaptureFile implements FrameSink, AutoCloseable {

    private static final int MAGIC = 0xA1B2_C3D4;
    private static final int LINKTYPE_ETHERNET = 1;
    private static final int LONGEST = 1 << 18;
    private static final long LIMIT = 16L << 20;
    private static final String FOLDER = System.getProperty("slipway.guest.captures");
    private static final String NAME = "%d-%03d-%s.pcap";
    private static final AtomicInteger COUNT = new AtomicInteger();

    private final OutputStream out;
    private final ByteBuffer record = ByteBuffer.allocate(16).order(ByteOrder.BIG_ENDIAN);
    private long written;
    private int microseconds;
    private boolean closed;

    CaptureFile(Path file) throws IOException {
        out = new BufferedOutputStream(Files.newOutputStream(file), 1 << 16);
        ByteBuffer header = ByteBuffer.allocate(24).order(ByteOrder.BIG_ENDIAN);
        header.putInt(MAGIC).putShort((short) 2).putShort((short) 4).putLong(0).putInt(LONGEST);
        header.putInt(LINKTYPE_ETHERNET);
        out.write(header.array());
    }

    /** The next file of those that were asked for, named after what it is of; null if none were. */
    static CaptureFile next(String name) throws IOException {
        if (FOLDER == null) {
            return null;
        }
        Path folder = Files.createDirectories(Path.of(FOLDER));
        return new CaptureFile(
                folder.resolve(NAME.formatted(ProcessHandle.current().pid(), COUNT.incrementAndGet(), name)));
    }

    /** The test class that is being run by this thread. */
    static String runningTest() {
        return StackWalker.getInstance(StackWalker.Option.RETAIN_CLASS_REFERENCE)
                .walk(frames -> frames.map(frame -> frame.getDeclaringClass().getSimpleName())
                        .filter(name -> name.endsWith("Test"))
                        .findFirst())
                .orElse("machines");
    }

    /** Adds a frame, if it is among the first 16 MiB: more takes too long to be looked through. */
    @Override
    public synchronized void keep(MemorySegment segment, long offset, int length) throws IOException {
        if (written < LIMIT && !closed) {
            byte[] frame = new byte[length];
            MemorySegment.copy(segment, ValueLayout.JAVA_BYTE, offset, frame, 0, length);
            add(frame);
        }
    }

    /** Adds a frame. */
    synchronized void add(byte[] frame) throws IOException {
        record.clear().putInt(microseconds / 1_000_000).putInt(microseconds % 1_000_000);
        record.putInt(frame.length).putInt(frame.length);
        out.write(record.array());
        out.write(frame);
        written += record.capacity() + frame.length;
        microseconds++;
    }

    @Override
    public synchronized void close() throws IOException {
        closed = true;
        out.close();
    }
}
