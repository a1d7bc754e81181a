package dev.slipway.ethernet;

import dev.slipway.wire.Frame;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Set;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A packet capture in the classic libpcap format (magic 0xA1B23C4D: time stamps in nanoseconds; link type 1, Ethernet),
 * of mode 0600 and of bounded size: when it is full it becomes {@code FILE.1}, in place of an older one, and a new one
 * begins. So at most twice the size limit lies on the disk.
 *
 * <pre>
 *  file:   | magic | 2, 4 | 0 | 0 | snap length | 1 |        24 bytes
 *  packet: | seconds | nanoseconds | bytes here | bytes on the wire | bytes …
 * </pre>
 *
 * Writing goes to the page cache, once per turn. When the disk is full, or fails, the capture ends with one line in the
 * log, the file is cut back to its last whole packet, and everything else goes on.
 *
 * <p>Not safe for use by several threads.
 */
public final class CaptureFile implements AutoCloseable {

    /** Bytes of a packet that are captured unless said otherwise: the headers, not what people say to each other. */
    public static final int HEADERS_ONLY = 128;
    /** The largest snap length: whole packets. */
    public static final int WHOLE_PACKETS = 0x1_0000 + 0x1000;
    /** The smallest size limit: a file holds some packets at least. */
    public static final int MIN_SIZE_LIMIT = 128 * 1024;

    private static final Logger LOG = LoggerFactory.getLogger(CaptureFile.class);

    private static final int MAGIC_NANOSECONDS = 0xA1B2_3C4D;
    private static final int FILE_HEADER = 24;
    private static final int PACKET_HEADER = 16;
    private static final int ETHERNET = 1;
    private static final int BUFFER = 128 * 1024;
    private static final long NANOS_PER_SECOND = 1_000_000_000L;

    private final Path path;
    private final int snapLength;
    private final long sizeLimit;
    private final ByteBuffer buffer = ByteBuffer.allocateDirect(BUFFER).order(ByteOrder.nativeOrder());
    private final MemorySegment memory = MemorySegment.ofBuffer(buffer);
    /** What to add to {@link System#nanoTime} to get nanoseconds since 1970. */
    private final long epoch = System.currentTimeMillis() * 1_000_000 - System.nanoTime();

    private FileChannel file;
    private long written;
    private long packets;

    /**
     * Begins a capture; a file that is there is overwritten, a symbolic link is not followed.
     *
     * @param snapLength bytes of each packet to keep, 14 to {@link #WHOLE_PACKETS}
     * @param sizeLimit bytes of the file at which a new one begins, at least {@link #MIN_SIZE_LIMIT}
     * @throws IOException if the file cannot be made
     */
    public CaptureFile(Path path, int snapLength, long sizeLimit) throws IOException {
        if (snapLength < 14 || snapLength > WHOLE_PACKETS) {
            throw new IllegalArgumentException("snap length " + snapLength + ": must be 14 to " + WHOLE_PACKETS);
        }
        if (sizeLimit < MIN_SIZE_LIMIT) {
            throw new IllegalArgumentException("size limit " + sizeLimit + ": must be at least " + MIN_SIZE_LIMIT);
        }
        this.path = path;
        this.snapLength = snapLength;
        this.sizeLimit = sizeLimit;
        open();
        file.write(buffer.flip());
        written = FILE_HEADER;
        buffer.clear();
    }

    private void open() throws IOException {
        boolean existed = Files.isRegularFile(path, LinkOption.NOFOLLOW_LINKS);
        file = FileChannel.open(
                path,
                Set.of(
                        StandardOpenOption.CREATE,
                        StandardOpenOption.WRITE,
                        StandardOpenOption.TRUNCATE_EXISTING,
                        LinkOption.NOFOLLOW_LINKS),
                PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------")));
        if (existed) {
            Files.setPosixFilePermissions(path, PosixFilePermissions.fromString("rw-------"));
        }
        written = 0;
        buffer.clear()
                .putInt(MAGIC_NANOSECONDS)
                .putShort((short) 2)
                .putShort((short) 4)
                .putInt(0)
                .putInt(0)
                .putInt(snapLength)
                .putInt(ETHERNET);
    }

    /** Adds a packet; its bytes are copied. Does nothing when the capture has ended. */
    void write(Frame frame) {
        if (file == null) {
            return;
        }
        int kept = Math.min(frame.length(), snapLength);
        int record = PACKET_HEADER + kept;
        if (buffer.remaining() < record) {
            flush();
        }
        if (written + buffer.position() + record > sizeLimit) {
            rotate();
        }
        if (file == null) {
            return;
        }
        long now = epoch + System.nanoTime();
        buffer.putInt((int) (now / NANOS_PER_SECOND))
                .putInt((int) (now % NANOS_PER_SECOND))
                .putInt(kept)
                .putInt(frame.length());
        MemorySegment.copy(frame.bytes(), frame.offset(), memory, buffer.position(), kept);
        buffer.position(buffer.position() + kept);
        packets++;
    }

    /** Gives what was added to the system. */
    void flush() {
        if (file == null || buffer.position() == 0) {
            return;
        }
        buffer.flip();
        int length = buffer.remaining();
        try {
            while (buffer.hasRemaining()) {
                file.write(buffer);
            }
            written += length;
        } catch (IOException e) {
            fail(e);
        }
        buffer.clear();
    }

    private void rotate() {
        flush();
        if (file == null) {
            return;
        }
        try {
            file.close();
            Files.move(path, path.resolveSibling(path.getFileName() + ".1"), StandardCopyOption.REPLACE_EXISTING);
            open();
        } catch (IOException e) {
            fail(e);
        }
    }

    private void fail(IOException failure) {
        LOG.warn("the capture into {} ends after {} packets: {}", path, packets, failure.getMessage());
        try (FileChannel failed = file) {
            if (failed.isOpen()) {
                failed.truncate(written + wholePackets(failed.position() - written));
            }
        } catch (IOException e) {
            LOG.debug("cannot cut {} back to its last whole packet", path, e);
        }
        file = null;
    }

    /** How many of the buffer's first bytes, of which that many were written, are whole packets. */
    private long wholePackets(long limit) {
        int at = written == 0 ? FILE_HEADER : 0;
        if (at > limit) {
            return 0;
        }
        while (at + PACKET_HEADER <= limit) {
            int next = at + PACKET_HEADER + buffer.getInt(at + 8);
            if (next > limit) {
                break;
            }
            at = next;
        }
        return at;
    }

    /** Whether packets are still being written. */
    public boolean isOpen() {
        return file != null;
    }

    /** Packets captured. */
    public long packets() {
        return packets;
    }

    /** Ends the capture. */
    @Override
    public void close() {
        flush();
        if (file != null) {
            try {
                file.close();
            } catch (IOException e) {
                LOG.warn("closing the capture {}: {}", path, e.getMessage());
            }
            file = null;
        }
    }
}
