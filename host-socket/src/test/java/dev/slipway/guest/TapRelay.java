package dev.slipway.guest;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.ByteChannel;
import java.nio.file.Path;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;

/**
 * What stands in for QEMU and its virtio-net device: carries the frames of a TAP device in the guest's namespace over a
 * Unix stream socket in QEMU's framing (a length of 4 bytes, big-endian, then the frame). One thread per direction, so
 * that neither stalls the other.
 */
final class TapRelay implements AutoCloseable {

    /** Bytes of the header in front of a frame of a TAP device with offload. */
    static final int HEADER = 12;

    private static final int MAX_FRAME = GuestWire.MAX_FRAME;
    private static final int BATCH = 512 << 10;
    private static final int PREFIX = 4;
    private static final int POLL_MILLIS = 50;
    private static final long PAUSE_NANOS = 1_000_000;
    private static final ValueLayout.OfInt BIG_ENDIAN_INT =
            ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.BIG_ENDIAN);

    private final int tap;
    /** Bytes in front of a frame that the TAP device has and the wire has not. */
    private final int hidden;

    private final AtomicLong refusedByTap = new AtomicLong();
    private volatile FrameSink capture;
    private CaptureFile file;
    private volatile boolean stopping;
    private volatile boolean deaf;
    private ByteChannel socket;
    private Thread fromGuest;
    private Thread toGuest;

    /** Takes over an open TAP device, whose frames go as they are, behind a header if they are. */
    TapRelay(int tap) {
        this(tap, 0);
    }

    private TapRelay(int tap, int hidden) {
        this.tap = tap;
        this.hidden = hidden;
    }

    /** Takes the header of a TAP device with offload away, and puts one of zeros in front, as libkrun does. */
    static TapRelay thatHidesHeaders(int tap) {
        return new TapRelay(tap, HEADER);
    }

    /** Begins to relay to a Unix socket. */
    void connect(Path path) throws IOException {
        connect(GuestWire.qemu(path));
    }

    /** Begins to relay to a channel whose framing is QEMU's, here. */
    void connect(ByteChannel wire) {
        socket = wire;
        stopping = false;
        fromGuest = Thread.ofPlatform().daemon().name("tap to socket").start(this::relayFromGuest);
        toGuest = Thread.ofPlatform().daemon().name("socket to tap").start(this::relayToGuest);
    }

    /** Ends the connection as the end of a VM does; the TAP device stays. */
    void disconnect() throws IOException {
        stopping = true;
        socket.close();
        try {
            fromGuest.join();
            toGuest.join();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IOException("interrupted", e);
        }
    }

    /** Whether the backend has not ended the connection. */
    boolean isConnected() {
        return toGuest != null && toGuest.isAlive() && fromGuest.isAlive();
    }

    /** Whether to read nothing more from the backend, as a VM does that stands still; but for what is being read. */
    void hearNothing(boolean nothing) {
        deaf = nothing;
    }

    /** Every frame of both directions from now on also goes there; null ends that. */
    void captureTo(FrameSink newCapture) {
        capture = newCapture;
    }

    /** Begins a new file for the frames from now on, if such files are asked for. */
    void captureToFile(String name) throws IOException {
        closeFile();
        file = CaptureFile.next(name);
        capture = file;
    }

    private void closeFile() throws IOException {
        if (file != null) {
            capture = null;
            file.close();
            file = null;
        }
    }

    /** Frames that the guest's kernel did not take: its interface was down, or the frame was none. */
    long refusedByTap() {
        return refusedByTap.get();
    }

    private void relayFromGuest() {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment batch = arena.allocate(BATCH + PREFIX + MAX_FRAME);
            MemorySegment pollfd = arena.allocate(8, 4);
            ByteBuffer bytes = batch.asByteBuffer();
            while (!stopping) {
                int filled = 0;
                if (LinuxCalls.awaitReadable(tap, pollfd, POLL_MILLIS)) {
                    filled = readFrames(batch);
                }
                bytes.clear().limit(filled);
                while (bytes.hasRemaining()) {
                    socket.write(bytes);
                }
            }
        } catch (IOException e) {
            reportUnlessStopping(e);
        }
    }

    private int readFrames(MemorySegment batch) throws IOException {
        int filled = 0;
        while (filled < BATCH) {
            int length = LinuxCalls.read(tap, batch, filled + PREFIX, MAX_FRAME) - hidden;
            if (length <= 0) {
                break;
            }
            if (hidden > 0) {
                MemorySegment.copy(batch, filled + PREFIX + hidden, batch, filled + PREFIX, length);
            }
            batch.set(BIG_ENDIAN_INT, filled, length);
            keep(batch, filled + PREFIX, length);
            filled += PREFIX + length;
        }
        return filled;
    }

    private void relayToGuest() {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment batch = arena.allocate(BATCH + PREFIX + MAX_FRAME);
            MemorySegment behindZeros = arena.allocate(HEADER + MAX_FRAME);
            ByteBuffer bytes = batch.asByteBuffer();
            while (heard(socket.read(bytes)) >= 0) {
                bytes.flip();
                while (bytes.remaining() >= PREFIX) {
                    int at = bytes.position();
                    int length = batch.get(BIG_ENDIAN_INT, at);
                    if (length <= 0 || length > MAX_FRAME) {
                        throw new IOException("the backend sent a frame of length " + Integer.toUnsignedString(length));
                    }
                    if (bytes.remaining() < PREFIX + length) {
                        break;
                    }
                    keep(batch, at + PREFIX, length);
                    MemorySegment.copy(batch, at + PREFIX, behindZeros, hidden, length);
                    if (LinuxCalls.write(tap, behindZeros, 0, hidden + length) < 0) {
                        refusedByTap.incrementAndGet();
                    }
                    bytes.position(at + PREFIX + length);
                }
                bytes.compact();
            }
        } catch (IOException e) {
            reportUnlessStopping(e);
        }
    }

    private int heard(int length) {
        while (deaf && !stopping) {
            LockSupport.parkNanos(PAUSE_NANOS);
        }
        return length;
    }

    private void keep(MemorySegment batch, int offset, int length) throws IOException {
        FrameSink current = capture;
        if (current != null) {
            current.keep(batch, offset, length);
        }
    }

    private void reportUnlessStopping(IOException e) {
        if (!stopping) {
            System.err.println("guest tests: the link to the backend ended: " + e);
        }
    }

    @Override
    public void close() throws IOException {
        try {
            if (socket != null) {
                disconnect();
            }
        } finally {
            LinuxCalls.close(tap);
            closeFile();
        }
    }
}
